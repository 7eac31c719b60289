//! Metrics in the text format that Prometheus reads, version 0.0.4.

use std::fmt::{self, Write as _};

use super::catalogue::{Kind, Metric};

/// What a metric says now.
#[derive(Debug)]
pub(crate) struct Sample {
    metric: &'static Metric,
    /// Appended to the metric's name, for the parts of a histogram.
    suffix: &'static str,
    labels: Vec<(&'static str, String)>,
    value: f64,
}

impl Metric {
    /// A sample of it.
    pub(crate) fn is(&'static self, value: f64) -> Sample {
        Sample {
            metric: self,
            suffix: "",
            labels: Vec::new(),
            value,
        }
    }
}

impl Sample {
    /// With a label.
    pub(crate) fn with(mut self, label: &'static str, value: impl ToString) -> Self {
        debug_assert!(self.metric.labels.contains(&label) || label == "le", "{label}");
        self.labels.push((label, value.to_string()));
        self
    }

    /// As a part of a histogram.
    pub(crate) fn part(mut self, suffix: &'static str) -> Self {
        debug_assert_eq!(self.metric.kind, Kind::Histogram);
        self.suffix = suffix;
        self
    }
}

/// The samples as a page. Those of one metric are given one after the other.
pub(crate) fn page(samples: &[Sample]) -> String {
    let mut text = String::new();
    let mut last = "";
    for sample in samples {
        let Metric { name, kind, help, .. } = sample.metric;
        // A `String` takes everything that is written to it.
        if last != *name {
            let _ = writeln!(
                text,
                "# HELP {name} {}\n# TYPE {name} {kind}",
                Escaped(help, false)
            );
            last = name;
        }
        let _ = write!(text, "{name}{}", sample.suffix);
        for (index, (label, value)) in sample.labels.iter().enumerate() {
            let lead = if index == 0 { '{' } else { ',' };
            let _ = write!(text, "{lead}{label}=\"{}\"", Escaped(value, true));
        }
        if !sample.labels.is_empty() {
            text.push('}');
        }
        let _ = writeln!(text, " {}", Number(sample.value));
    }
    text
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        })
    }
}

/// A text whose line breaks and backslashes, and in labels quotation marks, are escaped.
struct Escaped<'a>(&'a str, bool);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '\\' => f.write_str("\\\\")?,
                '\n' => f.write_str("\\n")?,
                '"' if self.1 => f.write_str("\\\"")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            value if value.is_nan() => f.write_str("NaN"),
            f64::INFINITY => f.write_str("+Inf"),
            f64::NEG_INFINITY => f.write_str("-Inf"),
            value => write!(f, "{value}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::catalogue::{CHAIN_CALL_SECONDS, HTTP_REFUSALS, ROUND};

    #[test]
    fn a_page_names_each_metric_once_and_escapes_what_it_must() {
        let samples = [
            ROUND.is(3.0),
            HTTP_REFUSALS.is(2.0).with("code", "busy"),
            HTTP_REFUSALS.is(1.5).with("code", "a \"b\"\\\n"),
            CHAIN_CALL_SECONDS
                .is(1.0)
                .part("_bucket")
                .with("call", "send")
                .with("le", Number(f64::INFINITY)),
        ];
        let text = page(&samples);
        assert_eq!(
            text.lines()
                .filter(|line| !line.starts_with('#'))
                .collect::<Vec<_>>(),
            [
                "cw_round 3",
                "cw_http_refusals_total{code=\"busy\"} 2",
                "cw_http_refusals_total{code=\"a \\\"b\\\"\\\\\\n\"} 1.5",
                "cw_chain_call_seconds_bucket{call=\"send\",le=\"+Inf\"} 1",
            ]
        );
        assert_eq!(text.matches("# TYPE cw_http_refusals_total counter").count(), 1);
        assert!(text.contains("# TYPE cw_chain_call_seconds histogram\n"));
        assert_eq!(Number(f64::NAN).to_string(), "NaN");
        assert_eq!(Number(0.25).to_string(), "0.25");
    }
}
