//! The bond behind a masked study's sums, looked after beside the training itself.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
    time::Duration,
};

use counterweight_chain::{
    guard::{GuardError, GuardLook, GuardStep, SumGuard},
    ledger::{BondFate, ContractLedger},
};
use counterweight_federated::clock::{Clock as _, SystemClock};
use counterweight_primitives::StudyId;

use crate::{commands::Context, metrics::StudyMetrics, session::Session};

/// First pause, before a bond was looked at, and the one after a look that failed.
const SOON: Duration = Duration::from_secs(2);

/// The guard of a study's bond that acts for `ledger`'s account with this project's records.
pub(crate) fn guard_of(session: &Session<'_>, ledger: &ContractLedger, study: StudyId) -> SumGuard {
    SumGuard::new(ledger.clone(), Arc::clone(&session.blobs) as _, study)
}

/// Shows demanded blocks until the other end of `stopped` is dropped, the bond is gone, or there turns out to be none.
pub(crate) fn keep_guard(
    guard: &SumGuard,
    stopped: &Receiver<()>,
    metrics: Option<&StudyMetrics>,
    context: &Context,
) {
    let console = &context.console;
    let mut pause = SOON;
    let mut warned = None;
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(pause) {
        match guard.look(SystemClock.now().seconds()) {
            Ok(look) => {
                if let Some(metrics) = metrics {
                    metrics.guarded(&look);
                }
                let GuardLook { bond, steps, .. } = look;
                for step in &steps {
                    match step {
                        GuardStep::NotShown { .. } if warned.as_ref() == Some(step) => {}
                        GuardStep::NotShown { .. } => {
                            console.warn(said(step));
                            warned = Some(step.clone());
                        }
                        step => console.did("Answered", said(step)),
                    }
                }
                if bond.fate != BondFate::Held {
                    return;
                }
                pause = SumGuard::pause(&bond);
            }
            Err(GuardError::NoBond { .. }) => return,
            Err(error) => {
                // The coordinator asks the same chain and says at length what is wrong with it.
                console.detail(format!(
                    "demands for sums were not looked at: {}",
                    crate::error::with_causes(&error)
                ));
                pause = SOON;
            }
        }
    }
}

/// What a guard did, for people.
pub(crate) fn said(step: &GuardStep) -> String {
    match step {
        GuardStep::Shown { round, group, number } => {
            format!("showed block {number} of the sum of round {round}, group {group}")
        }
        GuardStep::NotShown { demand, why } => format!(
            "block {} of the sum of round {}, group {}, is demanded until {} and cannot be shown: {why}",
            demand.number,
            demand.round,
            demand.group,
            demand.answer_by.to_rfc3339()
        ),
        GuardStep::Released { .. } => "the bond is back".to_owned(),
    }
}
