//! Masked rounds of a study: nobody sees one member's update, and everyone recomputes the sums.
//!
//! What is masked: [`vector`]. What travels: [`record`]. Who does what when: [`turn`], decided from what the ledger
//! says alone, so that whoever was killed goes on where the ledger stands. What anyone computes from the public
//! records: [`recompute`], and from its groups: [`groups`]. The protocol inside a group is [`crate::masking`]'s. Stored and
//! sent forms: `docs/spec/masked-studies.md`.

pub mod groups;
pub mod recompute;
pub mod record;
pub mod turn;
pub mod vector;
