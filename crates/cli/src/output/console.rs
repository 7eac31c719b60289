//! What goes to standard error: what is being done, remarks, warnings, bars.

use std::{env, io::Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{Surface, Tone};

/// How much is said besides the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Loudness {
    /// Warnings and errors.
    Quiet,
    /// What is being done.
    Normal,
    /// Details too.
    Verbose,
}

/// Standard error.
#[derive(Debug, Clone)]
pub(crate) struct Console {
    surface: Surface,
    loudness: Loudness,
    bars: bool,
}

impl Console {
    /// Speaks to standard error.
    pub(crate) fn new(surface: Surface, loudness: Loudness) -> Self {
        let bars = surface.terminal
            && loudness > Loudness::Quiet
            && env::var_os("CW_NO_PROGRESS").is_none_or(|value| value.is_empty());
        Self {
            surface,
            loudness,
            bars,
        }
    }

    /// What it looks like.
    pub(crate) fn surface(&self) -> Surface {
        self.surface
    }

    /// Says what was done: a verb, and on what. `Training  round 3 of 15`.
    pub(crate) fn did(&self, verb: &str, what: impl AsRef<str>) {
        if self.loudness >= Loudness::Normal {
            let space = " ".repeat(12_usize.saturating_sub(verb.chars().count()));
            self.raw(&format!(
                "{space}{} {}",
                self.surface.paint(Tone::Good, verb),
                what.as_ref()
            ));
        }
    }

    /// A line only wanted with `-v`.
    pub(crate) fn detail(&self, line: impl AsRef<str>) {
        if self.loudness >= Loudness::Verbose {
            self.raw(&self.surface.paint(Tone::Faint, line.as_ref()));
        }
    }

    /// A line that is said unless `-q`.
    pub(crate) fn note(&self, line: impl AsRef<str>) {
        if self.loudness >= Loudness::Normal {
            self.raw(line.as_ref());
        }
    }

    /// Something that is not as it should be, but goes on.
    pub(crate) fn warn(&self, line: impl AsRef<str>) {
        self.raw(&format!(
            "{}: {}",
            self.surface.paint(Tone::Warn, "warning"),
            line.as_ref()
        ));
    }

    /// What to try next.
    pub(crate) fn next(&self, commands: &[String]) {
        if self.loudness < Loudness::Normal || commands.is_empty() {
            return;
        }
        self.raw("");
        for (index, command) in commands.iter().enumerate() {
            let lead = if index == 0 { "Next:" } else { "     " };
            self.raw(&format!("{lead} {}", self.surface.paint(Tone::Type, command)));
        }
    }

    /// A bar over `total` steps. Without a terminal it is silent: the caller says each phase with
    /// [`Console::did`].
    pub(crate) fn bar(&self, verb: &str, total: u64) -> Bar {
        if !self.bars {
            return Bar(ProgressBar::hidden());
        }
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:>12.green} {pos}/{len} {bar:32} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("━╸─");
        bar.set_style(style);
        bar.set_prefix(verb.to_owned());
        Bar(bar)
    }

    fn raw(&self, line: &str) {
        // Nothing can be done about a standard error that cannot be written.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }
}

/// A bar; it vanishes when dropped.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Moves on to `position`, with what to say beside it.
    pub(crate) fn at(&self, position: u64, message: impl Into<String>) {
        self.0.set_position(position);
        self.0.set_message(message.into());
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
