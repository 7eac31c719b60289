//! Every metric there is: the page `docs/reference/metrics.md` and the dashboard are held against this list.

/// What a metric's value means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Only grows, until the process is started again.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts of durations by class.
    Histogram,
}

/// A metric.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Metric {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) help: &'static str,
    pub(crate) labels: &'static [&'static str],
}

macro_rules! catalogue {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(#[doc = $help]
        pub(crate) static $constant: Metric = Metric {
            name: $name,
            kind: Kind::$kind,
            help: $help,
            labels: &[$($label),*],
        };)*

        /// All of them, in the order in which they are served.
        #[cfg(test)]
        pub(crate) static ALL: &[&Metric] = &[$(&$constant,)*];
    };
}

catalogue! {
    BUILD_INFO = Gauge "cw_build_info" ["version"] "1, with the version of cw";
    UPTIME = Gauge "cw_uptime_seconds" [] "Seconds since the process began to serve metrics";
    ROUND = Gauge "cw_round" [] "Number of the newest round";
    ROUNDS_PLANNED = Gauge "cw_rounds_planned" [] "Rounds of the study";
    ROUNDS_CLOSED = Gauge "cw_rounds_closed" [] "Rounds of the study that are closed on the chain";
    MEMBERS = Gauge "cw_members" [] "Members of the study";
    ROUND_OPEN_SECONDS = Gauge "cw_round_open_seconds" [] "Age of the open round; 0 while none is open";
    ROUND_ASKED = Gauge "cw_round_asked" [] "Members asked in the newest round";
    ROUND_COMMITMENTS = Gauge "cw_round_commitments" [] "Members that have committed to the open round on the chain";
    ROUND_RECORDS = Gauge "cw_round_records" ["record"] "Updates and records of masked rounds taken in the newest round";
    ROUND_SURVIVORS = Gauge "cw_round_survivors" [] "Members whose updates are in the last closed round";
    ROUND_LOSSES = Gauge "cw_round_losses" [] "Members asked in the last closed or expired round that are not in it";
    ROUNDS_EXPIRED = Counter "cw_rounds_expired_total" [] "Rounds that expired and were opened again";
    UPDATE_REFUSALS = Counter "cw_update_refusals_total" ["refusal"] "Updates and records that broke a rule, by rule";
    HOLDOUT_LOSS = Gauge "cw_holdout_loss" [] "Loss of the model on the hold-out after the last closed round";
    PRIVACY_SPENT = Gauge "cw_privacy_spent_epsilon" [] "Privacy that the closed rounds spent, the ε of the study's terms";
    HTTP_CONNECTIONS = Gauge "cw_http_connections" [] "Connections of members that are open";
    HTTP_REQUESTS = Counter "cw_http_requests_total" [] "Requests of members answered";
    HTTP_RECEIVED = Counter "cw_http_received_bytes_total" [] "Bytes of bodies that members sent";
    HTTP_SENT = Counter "cw_http_sent_bytes_total" [] "Bytes of bodies that members were sent";
    HTTP_REFUSALS = Counter "cw_http_refusals_total" ["code"] "Requests of members that were not done, by the code of docs/spec/member-protocol.md";
    UPLOADS_IN_FLIGHT = Gauge "cw_uploads_in_flight" [] "Updates and records in memory: announced, coming in, or waiting for the coordinator";
    UPLOAD_BYTES = Gauge "cw_upload_bytes" [] "Bytes set aside for those";
    UPLOAD_BYTES_PEAK = Gauge "cw_upload_bytes_peak" [] "The most bytes that ever were set aside at once";
    LENT_BYTES = Gauge "cw_lent_bytes" [] "Bytes of blobs that are being given out";
    CHAIN_CALLS = Counter "cw_chain_calls_total" ["call", "outcome"] "Calls of the chain: answered, a revert being an answer, or failed";
    CHAIN_CALL_SECONDS = Histogram "cw_chain_call_seconds" ["call"] "Time of calls of the chain; a send waits until it is included";
    CHAIN_SILENT_SECONDS = Gauge "cw_chain_silent_seconds" [] "For how long the chain has not answered what the coordinator is doing";
    BOND_HELD = Gauge "cw_bond_held" [] "1 while a bond stands behind the study's sums, 0 once it is back or lost";
    DEMANDS_OPEN = Gauge "cw_demands_open" [] "Demands for blocks of sums that wait for an answer";
    DEMANDS_ANSWERED = Counter "cw_demands_answered_total" [] "Blocks of sums shown by this process";
    DEMANDS_UNANSWERED = Gauge "cw_demands_unanswerable" [] "Open demands that the records here do not answer: the bond is at stake";
    LOG_ENTRIES = Gauge "cw_log_entries" [] "Entries of the log that its newest checkpoint commits to";
    LOG_CHECKPOINT_AGE = Gauge "cw_log_checkpoint_age_seconds" [] "Age of the newest checkpoint";
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    fn file(path: &str) -> String {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        fs::read_to_string(root.join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Words of a text that look like metrics.
    fn named(text: &str) -> BTreeSet<&str> {
        let is_part = |character: char| character.is_ascii_lowercase() || character == '_';
        text.split(|character| !is_part(character))
            .filter(|word| word.starts_with("cw_"))
            .collect()
    }

    #[test]
    fn names_are_those_that_prometheus_asks_for() {
        let mut seen = BTreeSet::new();
        for metric in ALL {
            let Metric {
                name,
                kind,
                help,
                labels,
            } = metric;
            assert!(seen.insert(name), "{name} is there twice");
            let legal = |text: &str| text.chars().all(|one| one.is_ascii_lowercase() || one == '_');
            assert!(legal(name) && labels.iter().all(|label| legal(label)), "{name}");
            assert_eq!(name.ends_with("_total"), *kind == Kind::Counter, "{name}");
            assert!(!help.ends_with('.') && !help.is_empty(), "{name}");
        }
    }

    #[test]
    fn the_page_has_every_metric_with_its_kind_labels_and_meaning_and_no_other() {
        let page = file("docs/reference/metrics.md");
        for Metric {
            name,
            kind,
            help,
            labels,
        } in ALL
        {
            let labels: Vec<String> = labels.iter().map(|label| format!("`{label}`")).collect();
            let row = format!("| `{name}` | {kind} | {} | {help} |\n", labels.join(", "));
            assert!(page.contains(&row), "docs/reference/metrics.md lacks\n{row}");
        }
        let known: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(
            named(&page).difference(&known).collect::<Vec<_>>(),
            Vec::<&&str>::new()
        );
    }

    #[test]
    fn the_dashboard_asks_only_for_metrics_that_exist() {
        let text = file("docs/reference/grafana-coordinator.json");
        let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
        let mut asked = BTreeSet::new();
        for panel in dashboard["panels"].as_array().unwrap() {
            assert!(!panel["title"].as_str().unwrap().is_empty());
            for target in panel["targets"].as_array().unwrap() {
                asked.extend(named(target["expr"].as_str().unwrap()));
            }
        }
        assert!(asked.len() > 10, "{asked:?}");
        for name in asked {
            let parts = ["_bucket", "_sum", "_count"];
            let histogram = parts
                .iter()
                .find_map(|part| name.strip_suffix(part))
                .unwrap_or(name);
            let found = ALL.iter().any(|metric| {
                metric.name == name || (metric.name == histogram && metric.kind == Kind::Histogram)
            });
            assert!(found, "the dashboard asks for {name}");
        }
    }
}
