//! What members are worth where only sums of groups are seen.
//!
//! Groups are drawn anew for every round ([`draw_groups`]). A group's value is how much lower the hold-out loss is with it
//! than without it ([`leave_one_group_out`]), so only published sums are used, and everyone recomputes the same
//! values. [`GroupScores`] tells members apart over the rounds, since each is in other company every time. With
//! fewer than eight members there are too few groups for that: [`Participation`] compares rounds that a member sat out
//! with those it was part of. [`Standing`] tells who lies far below the others for long.
//!
//! Scoring a group's sum by itself instead, without the others, ranks who does nothing above honest members as soon as
//! their data differ (`benches/valuation` shows it).
//!
//! # Sources
//!
//! Leave-one-out over groups after Ma et al., "Transparent Contribution Evaluation for Secure Federated Learning on
//! Blockchain" (2021, arXiv:2101.10572), with one group left out in place of Shapley's permutations: it needs one
//! evaluation a group, and copies of one member's work earn nothing, since none of them is missed.

mod group_scores;
mod grouping;
mod participation;
mod standing;

pub use self::{
    group_scores::{GroupScores, leave_one_group_out},
    grouping::{Grouping, GroupingError, draw_groups},
    participation::{Participation, draw_turns},
    standing::{Standing, StandingRules, shares},
};
