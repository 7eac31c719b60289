//! Purposes a steward may allow, and sets of them.
//!
//! A purpose is a bit of a `uint160` on the chain. The table is `docs/spec/purposes.md`; a test reads that page
//! and compares. Names carry no scope or limit: terms, expiry and licences do.

use std::fmt;

use counterweight_primitives::PurposeIndex;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A named purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Purpose {
    /// Its bit.
    pub index: PurposeIndex,
    /// Its name, lower case with hyphens.
    pub name: &'static str,
    /// What it allows, in one sentence without a full stop.
    pub allows: &'static str,
    /// The term of the Data Use Ontology that comes closest, `DUO:0000042`, where there is one.
    pub duo: Option<&'static str>,
    /// The action of the Open Digital Rights Language that it permits, `odrl:use`.
    pub action: &'static str,
}

macro_rules! purposes {
    ($($index:literal $name:literal $action:literal $allows:literal $($duo:literal)?,)*) => {
        /// Every named purpose, in the order of its bits. Bits are never given another meaning.
        pub const PURPOSES: &[Purpose] = &[$(Purpose {
            index: PurposeIndex($index),
            name: $name,
            allows: $allows,
            duo: {
                const TERM: &[&str] = &[$($duo)?];
                match TERM {
                    [term, ..] => Some(*term),
                    [] => None,
                }
            },
            action: concat!("odrl:", $action),
        },)*];
    };
}

purposes! {
    0 "research" "use" "any research whose results are meant to be published" "DUO:0000042",
    1 "disease-specific-research" "use" "research into the disease that the dataset's terms name" "DUO:0000007",
    2 "health-research" "use" "research into health, medicine or biology, ancestry excluded" "DUO:0000006",
    3 "ancestry-research" "use" "research into the origins or ancestry of populations" "DUO:0000011",
    4 "methods-development" "use" "developing statistical methods, algorithms and software",
    5 "quality-improvement" "use" "measuring and improving the service that collected the data",
    6 "clinical-decision-support" "use" "models that advise on the care of a patient" "DUO:0000043",
    7 "diagnosis" "use" "models that detect or classify a disease",
    8 "public-health" "use" "surveillance and planning by public health bodies",
    9 "education" "use" "teaching and training of people",
    10 "benchmarking" "use" "public comparison of models and methods",
    11 "model-evaluation" "use" "testing a model that was trained elsewhere",
    12 "model-training" "derive" "training models of any kind that are not generative",
    13 "generative-training" "derive" "training models that generate text, images, sound or code",
    14 "fine-tuning" "derive" "adapting a model that was trained elsewhere",
    15 "retrieval" "index" "indexing and showing excerpts in answers to questions",
    16 "synthetic-data" "derive" "generating data that resembles the dataset",
    17 "fraud-detection" "use" "detecting fraud, money laundering and abuse",
    18 "credit-scoring" "use" "judging whether a person or firm will repay",
    19 "insurance-pricing" "use" "pricing or refusing insurance",
    20 "security" "use" "defending networks, contracts and machines",
    21 "advertising" "use" "choosing or measuring advertisements",
    22 "personalisation" "use" "adapting a service to the person who uses it",
    23 "public-administration" "use" "tasks that law gives to a public body",
}

/// Number of purposes that fit the chain's bit set.
pub const PURPOSE_BITS: u8 = 160;

/// No purpose has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PurposeError {
    /// The table has no such name.
    #[error("no purpose is called \"{name}\"{}", nearest.map(|n| format!(", did you mean \"{n}\"?")).unwrap_or_default())]
    UnknownName {
        /// What was asked for.
        name: String,
        /// The name most like it, if any is.
        nearest: Option<&'static str>,
    },
    /// Beyond the bits that the chain keeps.
    #[error("purpose {index} is beyond the last, {}", PURPOSE_BITS - 1)]
    OutOfRange {
        /// What was asked for.
        index: u8,
    },
}

impl Purpose {
    /// The purpose with a name.
    ///
    /// # Errors
    /// [`PurposeError::UnknownName`], with the nearest name.
    pub fn by_name(name: &str) -> Result<&'static Self, PurposeError> {
        PURPOSES
            .iter()
            .find(|p| p.name == name)
            .ok_or_else(|| PurposeError::UnknownName {
                name: name.to_owned(),
                nearest: nearest(name),
            })
    }

    /// The purpose at a bit, if the table names it.
    #[must_use]
    pub fn by_index(index: PurposeIndex) -> Option<&'static Self> {
        PURPOSES.get(usize::from(index.0))
    }
}

/// The name most like `name`, where less than half of the letters differ.
fn nearest(name: &str) -> Option<&'static str> {
    // A longer text is no typing error, and the comparison takes the product of the lengths.
    if name.len() > 64 {
        return None;
    }
    PURPOSES
        .iter()
        .map(|p| (strsim::damerau_levenshtein(p.name, name), p.name))
        .filter(|(distance, candidate)| distance * 2 < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// A set of purposes: the `uint160` of the chain, most significant byte first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PurposeSet([u8; 20]);

impl PurposeSet {
    /// No purpose.
    pub const EMPTY: Self = Self([0; 20]);

    /// From the bytes of the `uint160`, most significant first.
    #[must_use]
    pub const fn from_be_bytes(bytes: [u8; 20]) -> Self {
        Self(bytes)
    }

    /// The bytes of the `uint160`, most significant first.
    #[must_use]
    pub const fn to_be_bytes(self) -> [u8; 20] {
        self.0
    }

    /// The set of named purposes.
    ///
    /// # Errors
    /// [`PurposeError::UnknownName`] for the first name that is not in the table.
    pub fn from_names<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Self, PurposeError> {
        let mut set = Self::EMPTY;
        for name in names {
            set.insert(Purpose::by_name(name)?.index)?;
        }
        Ok(set)
    }

    /// Adds a purpose.
    ///
    /// # Errors
    /// [`PurposeError::OutOfRange`] from 160 on.
    pub fn insert(&mut self, purpose: PurposeIndex) -> Result<(), PurposeError> {
        let byte = self.0.iter_mut().rev().nth(usize::from(purpose.0 / 8));
        *byte.ok_or(PurposeError::OutOfRange { index: purpose.0 })? |= 1 << (purpose.0 % 8);
        Ok(())
    }

    /// Whether it holds a purpose.
    #[must_use]
    pub fn contains(&self, purpose: PurposeIndex) -> bool {
        let byte = self.0.iter().rev().nth(usize::from(purpose.0 / 8));
        byte.is_some_and(|byte| byte >> (purpose.0 % 8) & 1 == 1)
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::EMPTY
    }

    /// What is in this set and not in the other.
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut rest = self.0;
        for (byte, taken) in rest.iter_mut().zip(other.0) {
            *byte &= !taken;
        }
        Self(rest)
    }

    /// Its purposes, in the order of their bits.
    pub fn iter(&self) -> impl Iterator<Item = PurposeIndex> + '_ {
        (0..PURPOSE_BITS).map(PurposeIndex).filter(|p| self.contains(*p))
    }

    /// Names of its purposes; `purpose-57` for a bit that the table does not name.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.iter()
            .map(|index| Purpose::by_index(index).map_or(format!("purpose-{index}"), |p| p.name.to_owned()))
            .collect()
    }
}

impl fmt::Debug for PurposeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

/// Written as the list of names, in the order of the bits.
impl Serialize for PurposeSet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

/// Reads what is written: named purposes, each once, in the order of the bits.
impl<'de> Deserialize<'de> for PurposeSet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let names = Vec::<String>::deserialize(deserializer)?;
        let set = Self::from_names(names.iter().map(String::as_str)).map_err(de::Error::custom)?;
        if set.names() != names {
            return Err(de::Error::custom(
                "purposes must be listed once each, in the order of the table",
            ));
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_the_one_on_the_page() {
        let page = include_str!("../../../docs/spec/purposes.md");
        let rows: Vec<(u8, &str, &str, Option<&str>, &str)> = page
            .lines()
            .filter_map(|line| {
                let mut cells = line.trim_matches('|').split('|').map(str::trim);
                let index = cells.next()?.parse().ok()?;
                let (name, allows) = (cells.next()?.trim_matches('`'), cells.next()?);
                // The page adds the term's abbreviation.
                let term = cells.next()?.split(' ').next().filter(|term| *term != "–");
                Some((index, name, allows, term, cells.next()?.trim_matches('`')))
            })
            .collect();
        let table: Vec<_> = PURPOSES
            .iter()
            .map(|p| (p.index.0, p.name, p.allows, p.duo, p.action))
            .collect();
        assert_eq!(rows, table);
        assert!(
            PURPOSES
                .iter()
                .enumerate()
                .all(|(i, p)| usize::from(p.index.0) == i)
        );
    }

    #[test]
    fn a_typing_error_gets_the_nearest_name() {
        let error = Purpose::by_name("reserch").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no purpose is called \"reserch\", did you mean \"research\"?"
        );
        let error = Purpose::by_name("world-domination").unwrap_err();
        assert_eq!(error.to_string(), "no purpose is called \"world-domination\"");
    }

    #[test]
    fn bit_0_is_the_lowest_bit_of_the_last_byte() {
        let set = PurposeSet::from_names(["research", "public-health"]).unwrap();
        let mut bytes = [0; 20];
        (bytes[19], bytes[18]) = (1, 1);
        assert_eq!(set.to_be_bytes(), bytes);
    }

    #[test]
    fn refuses_names_twice_out_of_order_or_unknown() {
        for text in [
            r#"["research","research"]"#,
            r#"["public-health","research"]"#,
            r#"["purpose-57"]"#,
        ] {
            assert!(serde_json::from_str::<PurposeSet>(text).is_err(), "{text}");
        }
        let set: PurposeSet = serde_json::from_str(r#"["research","public-health"]"#).unwrap();
        assert!(set.contains(PurposeIndex(8)));
        assert_eq!(
            PurposeSet::default().insert(PurposeIndex(160)),
            Err(PurposeError::OutOfRange { index: 160 })
        );
    }

    proptest! {
        #[test]
        fn a_set_holds_exactly_what_was_put_in(indices in proptest::collection::btree_set(0_u8..160, 0..20)) {
            let mut set = PurposeSet::EMPTY;
            for index in &indices {
                set.insert(PurposeIndex(*index)).unwrap();
            }
            let listed: Vec<u8> = set.iter().map(|p| p.0).collect();
            prop_assert_eq!(&listed, &indices.into_iter().collect::<Vec<_>>());
            prop_assert!((0..=255).all(|i| set.contains(PurposeIndex(i)) == listed.contains(&i)));
            prop_assert!(set.without(&set).is_empty());
        }
    }
}
