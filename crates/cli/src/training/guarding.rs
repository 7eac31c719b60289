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

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use counterweight_chain::{
        deploy::{DeployOptions, deploy},
        embedded::{Config, DEVELOPMENT_CHAIN_ID, EmbeddedChain, Genesis},
        keys::development_key,
        network::Network,
    };
    use counterweight_federated::blobs::MemoryBlobs;
    use counterweight_primitives::Amount;
    use counterweight_testkit::{MaskedStudy, MaskedStudyOptions};

    use super::*;
    use crate::{
        arguments::{Parsed, parse},
        output::{Console, Form, Loudness, Surface},
    };

    fn context() -> Context {
        let parsed = parse(["cw", "status"].map(Into::into).into(), false);
        let Ok(Parsed::Run(arguments)) = parsed else {
            panic!("it is a command");
        };
        Context {
            global: arguments.global,
            console: Console::new(Surface::PIPE, Loudness::Quiet),
            form: Form::Text,
            surface: Surface::PIPE,
        }
    }

    /// As beside a coordinator: what is demanded is shown without anybody asking for it, and the end of the study ends it.
    #[test]
    fn a_demand_is_answered_while_a_study_runs() {
        let chain = EmbeddedChain::in_memory(Genesis::development(), Config::default()).unwrap();
        let network: Arc<dyn Network> = Arc::new(chain.clone());
        let folder = tempfile::tempdir().unwrap();
        let key = |index| Arc::new(development_key(index, DEVELOPMENT_CHAIN_ID).unwrap());
        let file = folder.path().join("deployment.json");
        let deployment = deploy(&*network, &*key(0), &DeployOptions::default(), &file).unwrap();
        let ledger = |index| ContractLedger::new(Arc::clone(&network), deployment.clone(), key(index));
        let (coordinator, challenger) = (ledger(0), ledger(6));
        for account in [&coordinator, &challenger] {
            coordinator
                .mint_development_tokens(account.account(), Amount(10_000))
                .unwrap();
        }
        let options = MaskedStudyOptions {
            token: deployment.development_token.unwrap(),
            bond: Amount(1_000),
            dispute_seconds: 60,
            coordinates: 37,
            rounds: 2,
        };
        let study = MaskedStudy::start(coordinator.clone(), (1..=5).map(ledger).collect(), &options);
        let blobs = MemoryBlobs::default();
        let opening = study.up_to_sums(&blobs, &|seconds| {
            chain.increase_time(seconds);
            chain.mine().unwrap();
        });
        study.post(opening.round, &opening.sum);
        let record = study.record(opening.round);
        challenger.demand_block(study.study, &record, 0, 1).unwrap();
        let guard = SumGuard::new(coordinator, Arc::new(blobs), study.study);
        let metrics = StudyMetrics::default();
        let (stop, stopped) = channel();
        let (guard, context) = (&guard, &context());
        let shown = std::thread::scope(|scope| {
            let metrics = &metrics;
            scope.spawn(move || keep_guard(guard, &stopped, Some(metrics), context));
            let shown = (0..600).any(|_| {
                std::thread::sleep(Duration::from_millis(50));
                let demands = challenger.block_demands(study.study).unwrap();
                demands.iter().all(|demand| demand.shown.is_some())
            });
            drop::<std::sync::mpsc::Sender<()>>(stop);
            shown
        });
        assert!(shown);
        assert!(
            metrics.page().contains("\ncw_demands_answered_total 1\n"),
            "{}",
            metrics.page()
        );
    }
}
