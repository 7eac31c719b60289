//! The main job, in its steps: datasets, study, rounds, model, statements.

mod comparison;
mod consents;
mod curve;
mod datasets;
mod guarding;
mod opening;
mod parties;
mod publication;
mod rounds;
mod start;
mod statements;
mod summary;
mod trainers;

pub(crate) use comparison::{Comparison, compare};
pub(crate) use consents::{Stewarded, log_key, logged_entries, record_consents, registry};
pub(crate) use curve::{Judge, Point};
pub(crate) use datasets::{Membership, format_of, prepare, purpose, read_holdout, read_local, register};
pub(crate) use guarding::{guard_of, keep_guard, said as guard_said};
pub(crate) use opening::{Opened, fund, join_all, open_or_resume};
pub(crate) use parties::{member_key, sponsor_key};
pub(crate) use publication::{dataset_statement, publish};
pub(crate) use rounds::{ROW_NOISE, Watcher, coordinator_options, member_notes, run as run_rounds, simulate};
pub(crate) use start::{keep_start, read_start};
pub(crate) use statements::{
    LogCheck, check_log, find_statement, is_anchored, log_key_file, log_owner, log_reader,
    origin as log_origin, read_statement, record, signer as log_signer,
};
pub(crate) use summary::{RunSummary, amount};
pub(crate) use trainers::{check_trainers, figures, trainer_of};
