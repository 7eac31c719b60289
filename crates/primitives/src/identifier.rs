//! Numbers that name things on the chain, each a type of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

identifier! {
    /// An asset in `AssetRegistry`, counted from 1.
    AssetId(u64)
}
identifier! {
    /// A study in `TrainingRounds`, counted from 1.
    StudyId(u64)
}
identifier! {
    /// A round of a study, counted from 1; 0 stands for "before the first round".
    Round(u32)
}
identifier! {
    /// A member of a study, counted from 0 in the order of joining.
    MemberIndex(u8)
}
identifier! {
    /// A purpose in the table of `docs/spec/purposes.md`, 0 to 159.
    PurposeIndex(u8)
}
