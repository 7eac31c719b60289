//! `[training.masking]`: groups whose sums are seen and nothing of a single member.

use serde::{Deserialize, Serialize};

use super::Seconds;
use crate::{
    ledger::masking::MaskSetting,
    masking::{draw::largest_group, fraction_bits},
};

/// Most examples by which a member may be weighted, so that weights and sums stay exact.
pub const MOST_EXAMPLES: u32 = 1 << 24;
/// Largest group size: a dispute of a larger group's sum would cost a chain too much.
const LARGEST_SIZE: u32 = 16;
/// Fewest bits after the binary point of a masked vector: below that, rounding would be seen in the model.
const FEWEST_BITS: u32 = 8;

/// How a study masks, as its terms hold it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Masking {
    /// Members of a group, from 3 to 16; what is left over joins the first groups.
    pub group_size: u8,
    /// From 51 to 100: the part of a member's neighbours, in percent, that is not enough to open its secrets.
    pub threshold_percent: u8,
    /// Fewest survivors of a group whose sum is opened, at least 3.
    pub fewest_survivors: u8,
    /// Most examples by which a member is weighted; one with more rows counts as so many.
    pub most_examples: u32,
    /// How long a sum can be disputed after the study, and the coordinator's bond stays.
    pub dispute_seconds: u32,
}

/// `[training.masking]` as it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct MaskingSection {
    /// As [`Masking::group_size`].
    pub group_size: u8,
    /// As [`Masking::threshold_percent`].
    #[serde(default = "two_thirds")]
    pub threshold_percent: u8,
    /// As [`Masking::fewest_survivors`].
    #[serde(default = "three")]
    pub fewest_survivors: u8,
    /// As [`Masking::most_examples`].
    pub most_examples: u32,
    /// As [`Masking::dispute_seconds`].
    #[serde(default = "week")]
    pub dispute_time: Seconds,
}

fn two_thirds() -> u8 {
    66
}
fn three() -> u8 {
    3
}
fn week() -> Seconds {
    Seconds(7 * 86_400)
}

impl MaskingSection {
    /// As terms hold it.
    #[must_use]
    pub fn masking(&self) -> Masking {
        Masking {
            group_size: self.group_size,
            threshold_percent: self.threshold_percent,
            fewest_survivors: self.fewest_survivors,
            most_examples: self.most_examples,
            dispute_seconds: self.dispute_time.0,
        }
    }
}

impl Masking {
    /// Whether each setting is in its range and sums of updates within a clip fit; otherwise the setting's key and what
    /// is expected of it.
    ///
    /// # Errors
    /// Key and expectation.
    pub fn check(&self, clip: f64) -> Result<(), (&'static str, String)> {
        let within = |key, value: u32, least: u32, most: u32| match (least..=most).contains(&value) {
            true => Ok(()),
            false => Err((key, format!("{value} is not from {least} to {most}"))),
        };
        within("group-size", self.group_size.into(), 3, LARGEST_SIZE)?;
        within("threshold-percent", self.threshold_percent.into(), 51, 100)?;
        let fewest = u32::from(self.fewest_survivors);
        within("fewest-survivors", fewest, 3, self.group_size.into())?;
        within("most-examples", self.most_examples, 1, MOST_EXAMPLES)?;
        within("dispute-time", self.dispute_seconds, 1, u32::MAX)?;
        let bits = fraction_bits(clip, largest_group(self.group_size).into());
        if bits.is_none_or(|bits| bits < FEWEST_BITS) {
            let size = largest_group(self.group_size);
            let problem =
                format!("{size} updates of norm {clip} do not fit 32 bits: a smaller group or clip");
            return Err(("group-size", problem));
        }
        Ok(())
    }

    /// Bits after the binary point of a masked vector: as many as the sum of the largest group leaves.
    #[must_use]
    pub fn bits(&self, clip: f64) -> u32 {
        fraction_bits(clip, largest_group(self.group_size).into()).unwrap_or(0)
    }

    /// What the ledger must say for a model of so many parameters; the bond is the ledger's affair.
    #[must_use]
    pub fn agrees_with(&self, setting: &MaskSetting, parameters: usize) -> bool {
        setting.group_size == self.group_size
            && setting.threshold_percent == self.threshold_percent
            && setting.fewest_survivors == self.fewest_survivors
            && setting.dispute_seconds == self.dispute_seconds
            && u64::from(setting.coordinates) == parameters as u64 + 1
    }
}
