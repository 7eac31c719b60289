//! What liars do, for tests and benchmarks of [`crate::rules`].
//!
//! A [`DataAttack`] spoils a member's rows, and the member then trains honestly on them. An [`UpdateAttack`] writes the
//! update itself, with everything a coalition may know: its members' own honest updates and those of everyone else.
//! Every forged update fits the clip, as anything else would be refused before a rule sees it.
//!
//! | attack | source |
//! |---|---|
//! | sign flip, noise, scaling | common in the field; scaling is model replacement, Bagdasaryan et al. (AISTATS 2020) |
//! | a little is enough | Baruch et al. (NeurIPS 2019, arXiv:1902.06156), algorithm 3 |
//! | inner product | Xie et al., "Fall of Empires" (UAI 2019, arXiv:1903.03936) |
//! | label flip, backdoor | Tolpegin et al. (2020); Gu et al., "BadNets" (2017, arXiv:1708.06733) |
//! | free riders | Fraboni et al. (AISTATS 2021, arXiv:2006.11901) |
//! | sybils | Fung et al. (RAID 2020, arXiv:1808.04866) |

mod data;
mod update;

pub use self::{
    data::DataAttack,
    update::{UpdateAttack, View, enough_deviations},
};
