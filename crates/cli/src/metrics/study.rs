//! What a coordinator's process says of its study: from what happens, from its server, and from the chain by a look now and then.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::{Duration, Instant},
};

use counterweight_chain::{
    guard::{GuardLook, GuardStep},
    ledger::{BondFate, ContractLedger},
    metered::{CLASSES_MS, CallCounts},
};
use counterweight_federated::{
    coordinator::StudyEvent,
    http::{Traffic, TrafficReport},
    ledger::StudyReader as _,
};
use counterweight_primitives::StudyId;

use super::{
    catalogue::{
        BOND_HELD, BUILD_INFO, CHAIN_CALL_SECONDS, CHAIN_CALLS, CHAIN_SILENT_SECONDS, DEMANDS_ANSWERED,
        DEMANDS_OPEN, DEMANDS_UNANSWERED, HOLDOUT_LOSS, HTTP_CONNECTIONS, HTTP_RECEIVED, HTTP_REFUSALS,
        HTTP_REQUESTS, HTTP_SENT, LENT_BYTES, MEMBERS, PRIVACY_SPENT, ROUND, ROUND_ASKED, ROUND_COMMITMENTS,
        ROUND_LOSSES, ROUND_OPEN_SECONDS, ROUND_RECORDS, ROUND_SURVIVORS, ROUNDS_CLOSED, ROUNDS_EXPIRED,
        ROUNDS_PLANNED, UPDATE_REFUSALS, UPLOAD_BYTES, UPLOAD_BYTES_PEAK, UPLOADS_IN_FLIGHT, UPTIME,
    },
    text::{Sample, page},
};

/// How often the chain is asked for what no event tells.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What is known of a study.
#[derive(Debug, Default)]
struct Known {
    round: u32,
    planned: u32,
    closed: u32,
    members: usize,
    asked: usize,
    opened: Option<Instant>,
    committed: u32,
    records: BTreeMap<&'static str, u64>,
    last: Option<(usize, usize)>,
    expired: u64,
    refusals: BTreeMap<String, u64>,
    loss: Option<f64>,
    spent: Option<f64>,
    silent: Duration,
    bond: Option<(bool, u64)>,
    answered: u64,
    unanswerable: usize,
}

/// The metrics of a coordinator.
#[derive(Debug)]
pub(crate) struct StudyMetrics {
    started: Instant,
    known: Mutex<Known>,
    traffic: Mutex<Option<Arc<Traffic>>>,
    calls: Arc<CallCounts>,
}

impl Default for StudyMetrics {
    fn default() -> Self {
        Self::new(Arc::default())
    }
}

impl StudyMetrics {
    /// Of a process that counts its calls of the chain in `calls`.
    pub(super) fn new(calls: Arc<CallCounts>) -> Self {
        Self {
            started: Instant::now(),
            known: Mutex::default(),
            traffic: Mutex::default(),
            calls,
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the server's traffic too.
    pub(crate) fn watch_traffic(&self, traffic: Arc<Traffic>) {
        *self.traffic.lock().unwrap_or_else(PoisonError::into_inner) = Some(traffic);
    }

    /// Takes up what happened.
    pub(crate) fn see(&self, event: &StudyEvent) {
        let mut known = self.known();
        if !matches!(event, StudyEvent::LedgerSilent { .. }) {
            known.silent = Duration::ZERO;
        }
        match event {
            StudyEvent::Resumed { closed_rounds } => known.closed = *closed_rounds,
            StudyEvent::Enrolling { joined, .. } => known.members = *joined,
            StudyEvent::Started { members } => known.members = *members,
            StudyEvent::RoundOpened {
                round, rounds, asked, ..
            } => {
                known.round = round.0;
                known.planned = *rounds;
                known.asked = *asked;
                known.opened = Some(Instant::now());
                known.committed = 0;
                known.records.clear();
            }
            StudyEvent::UpdateStored { .. } => *known.records.entry("update").or_default() += 1,
            StudyEvent::RecordStored { record, .. } => {
                *known.records.entry(record.name()).or_default() += 1;
            }
            StudyEvent::UpdateRefused { refusal, .. } => {
                // As it is written in the protocol.
                let name = serde_json::to_value(refusal).ok();
                let name = name.and_then(|it| Some(it.get("refusal")?.as_str()?.to_owned()));
                *known.refusals.entry(name.unwrap_or_default()).or_default() += 1;
            }
            StudyEvent::RoundClosed(summary) => {
                known.closed = summary.round.0;
                known.opened = None;
                known.last = Some((summary.survivors.len(), summary.absent.len()));
                known.loss = summary.value.as_ref().map(|value| value.loss_nano as f64 / 1e9);
                known.spent = summary.spent.map(|spent| spent.0 as f64 / 1e6);
            }
            StudyEvent::RoundExpired { absent, .. } => {
                known.expired += 1;
                known.opened = None;
                known.last = Some((0, absent.len()));
            }
            StudyEvent::LedgerSilent { silent_ms, .. } => known.silent = Duration::from_millis(*silent_ms),
            _ => {}
        }
    }

    /// Takes up what a guard of the bond saw and did.
    pub(crate) fn guarded(&self, look: &GuardLook) {
        let mut known = self.known();
        known.bond = Some((look.bond.fate == BondFate::Held, look.bond.open_demands));
        let count = |wanted: fn(&GuardStep) -> bool| look.steps.iter().filter(|step| wanted(step)).count();
        known.answered += count(|step| matches!(step, GuardStep::Shown { .. })) as u64;
        known.unanswerable = count(|step| matches!(step, GuardStep::NotShown { .. }));
    }

    /// Asks the chain now and then who committed, until the other end of `stopped` is dropped.
    pub(crate) fn look(&self, ledger: &ContractLedger, study: StudyId, stopped: &Receiver<()>) {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(LOOK_EVERY) {
            if let Ok(state) = ledger.study(study) {
                let mut known = self.known();
                known.members = state.members.len();
                known.committed = state.committed.count_ones();
            }
        }
    }

    /// The page as it is now.
    pub(crate) fn page(&self) -> String {
        let mut samples = vec![
            BUILD_INFO.is(1.0).with("version", env!("CARGO_PKG_VERSION")),
            UPTIME.is(self.started.elapsed().as_secs_f64()),
        ];
        self.study(&mut samples);
        let traffic = self.traffic.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(traffic) = &*traffic {
            carried(&traffic.report(), &mut samples);
        }
        drop(traffic);
        self.chain(&mut samples);
        self.bond(&mut samples);
        page(&samples)
    }

    fn study(&self, samples: &mut Vec<Sample>) {
        let known = self.known();
        let open = known.opened.map_or(Duration::ZERO, |opened| opened.elapsed());
        samples.extend([
            ROUND.is(known.round.into()),
            ROUNDS_PLANNED.is(known.planned.into()),
            ROUNDS_CLOSED.is(known.closed.into()),
            MEMBERS.is(known.members as f64),
            ROUND_OPEN_SECONDS.is(open.as_secs_f64()),
            ROUND_ASKED.is(known.asked as f64),
            ROUND_COMMITMENTS.is(known.committed.into()),
        ]);
        let records = known.records.iter();
        samples.extend(records.map(|(record, count)| ROUND_RECORDS.is(*count as f64).with("record", record)));
        if let Some((survivors, losses)) = known.last {
            samples.push(ROUND_SURVIVORS.is(survivors as f64));
            samples.push(ROUND_LOSSES.is(losses as f64));
        }
        samples.push(ROUNDS_EXPIRED.is(known.expired as f64));
        let refusals = known.refusals.iter();
        samples.extend(refusals.map(|(name, count)| UPDATE_REFUSALS.is(*count as f64).with("refusal", name)));
        samples.extend(known.loss.map(|loss| HOLDOUT_LOSS.is(loss)));
        samples.extend(known.spent.map(|spent| PRIVACY_SPENT.is(spent)));
    }

    fn chain(&self, samples: &mut Vec<Sample>) {
        let report = self.calls.report();
        for (call, counts) in &report {
            for (outcome, count) in [("answered", counts.answered), ("failed", counts.failed)] {
                samples.push(
                    CHAIN_CALLS
                        .is(count as f64)
                        .with("call", call)
                        .with("outcome", outcome),
                );
            }
        }
        for (call, counts) in &report {
            let mut below = 0;
            for (index, count) in counts.classes.iter().enumerate() {
                below += count;
                let bound = CLASSES_MS.get(index);
                let bound = bound.map_or("+Inf".to_owned(), |millis| (*millis as f64 / 1e3).to_string());
                let bucket = CHAIN_CALL_SECONDS.is(below as f64).part("_bucket");
                samples.push(bucket.with("call", call).with("le", bound));
            }
            let time = counts.time.as_secs_f64();
            samples.push(CHAIN_CALL_SECONDS.is(time).part("_sum").with("call", call));
            samples.push(
                CHAIN_CALL_SECONDS
                    .is(below as f64)
                    .part("_count")
                    .with("call", call),
            );
        }
        samples.push(CHAIN_SILENT_SECONDS.is(self.known().silent.as_secs_f64()));
    }

    fn bond(&self, samples: &mut Vec<Sample>) {
        let known = self.known();
        let Some((held, open)) = known.bond else {
            return;
        };
        samples.extend([
            BOND_HELD.is(u8::from(held).into()),
            DEMANDS_OPEN.is(open as f64),
            DEMANDS_ANSWERED.is(known.answered as f64),
            DEMANDS_UNANSWERED.is(known.unanswerable as f64),
        ]);
    }
}

fn carried(report: &TrafficReport, samples: &mut Vec<Sample>) {
    samples.extend([
        HTTP_CONNECTIONS.is(report.connections as f64),
        HTTP_REQUESTS.is(report.requests as f64),
        HTTP_RECEIVED.is(report.bytes_in as f64),
        HTTP_SENT.is(report.bytes_out as f64),
    ]);
    let refusals = report.refusals.iter();
    samples.extend(refusals.map(|(code, count)| HTTP_REFUSALS.is(*count as f64).with("code", code)));
    samples.extend([
        UPLOADS_IN_FLIGHT.is(report.uploads as f64),
        UPLOAD_BYTES.is(report.upload_bytes as f64),
        UPLOAD_BYTES_PEAK.is(report.upload_bytes_peak as f64),
        LENT_BYTES.is(report.lent_bytes as f64),
    ]);
}

#[cfg(test)]
mod tests {
    use counterweight_federated::{
        coordinator::RoundSummary,
        privacy::MicroEpsilon,
        round::{Absence, Refusal},
    };
    use counterweight_primitives::{ContentDigest, MemberIndex, Round};

    use super::*;

    fn has(metrics: &StudyMetrics, line: &str) {
        let page = metrics.page();
        assert!(page.lines().any(|other| other == line), "no {line} in\n{page}");
    }

    #[test]
    fn what_happens_in_a_round_is_on_the_page() {
        let metrics = StudyMetrics::default();
        metrics.see(&StudyEvent::Started { members: 4 });
        metrics.see(&StudyEvent::RoundOpened {
            round: Round(2),
            rounds: 5,
            asked: 3,
            resumed: false,
        });
        let update = |member| StudyEvent::UpdateStored {
            round: Round(2),
            member: MemberIndex(member),
            examples: 10,
        };
        metrics.see(&update(0));
        metrics.see(&update(1));
        metrics.see(&StudyEvent::UpdateRefused {
            round: Round(2),
            member: MemberIndex(2),
            refusal: Refusal::NotAsked { member: 2 },
        });
        has(&metrics, "cw_round 2");
        has(&metrics, "cw_round_asked 3");
        has(&metrics, "cw_round_records{record=\"update\"} 2");
        has(&metrics, "cw_update_refusals_total{refusal=\"not-asked\"} 1");
        metrics.see(&StudyEvent::RoundClosed(RoundSummary {
            round: Round(2),
            rounds: 5,
            survivors: vec![MemberIndex(0), MemberIndex(1)],
            absent: vec![(MemberIndex(2), Absence::NeverUploaded)],
            examples: 20,
            result: ContentDigest([1; 32]),
            value: None,
            spent: Some(MicroEpsilon(250_000)),
        }));
        has(&metrics, "cw_privacy_spent_epsilon 0.25");
        has(&metrics, "cw_rounds_closed 2");
        has(&metrics, "cw_round_open_seconds 0");
        has(&metrics, "cw_round_survivors 2");
        has(&metrics, "cw_round_losses 1");
        metrics.see(&StudyEvent::LedgerSilent {
            doing: "waiting",
            silent_ms: 4_500,
        });
        has(&metrics, "cw_chain_silent_seconds 4.5");
        metrics.see(&update(0));
        has(&metrics, "cw_chain_silent_seconds 0");
        // Without a server of its own, or a bond, nothing is said of them.
        assert!(!metrics.page().contains("cw_http_"));
        assert!(!metrics.page().contains("cw_bond_"));
    }
}
