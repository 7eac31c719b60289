//! What a member sends in a round: how its training moved the model, in fixed point.
//!
//! Stored form: `docs/spec/update.md`. Coordinates are integers, so that sums are exact, whatever their order, and
//! anyone who has the public updates can recompute a round bit for bit.

use counterweight_primitives::{ContentDigest, MemberIndex, Round, StudyId};

use crate::parameters::Parameters;

/// Bits after the binary point of a coordinate.
pub const FRACTION_BITS: u32 = 24;
/// Largest clip. A coordinate is at most its update's norm, and 127 * 2^24 fits an `i32`.
pub const LARGEST_CLIP: f64 = 127.0;
/// Most examples one update may claim: 64 times this is what the exact sum holds.
pub const MOST_EXAMPLES: u32 = 1 << 26;

/// First bytes of an update.
const MAGIC: [u8; 8] = *b"cwupdate";
/// Version of the record.
const VERSION: u16 = 1;
/// Bytes before the coordinates.
const HEADER_BYTES: usize = 64;
/// Units in one.
const UNITS: f64 = (1_u32 << FRACTION_BITS) as f64;

/// An update as it arrived or was made: anyone may have written it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Update {
    /// The study.
    pub study: StudyId,
    /// The round.
    pub round: Round,
    /// Who trained.
    pub member: MemberIndex,
    /// Digest of the parameters that training started from.
    pub base: ContentDigest,
    /// Rows trained on: the weight in the mean.
    pub examples: u32,
    /// Trained minus base, in units of 2^-24.
    pub coordinates: Vec<i32>,
}

/// What an update must fit.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateRules {
    /// The study.
    pub study: StudyId,
    /// The open round.
    pub round: Round,
    /// Digest of the round's base parameters.
    pub base: ContentDigest,
    /// Parameters of the model.
    pub coordinates: usize,
    /// Largest L2 norm.
    pub clip: f64,
    /// Most examples.
    pub most_examples: u32,
}

/// An update that fits the rules of its round. Made only by [`Update::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedUpdate(Update);

/// Why an update is refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum UpdateError {
    /// The bytes are no update record.
    #[error("not an update: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// For another study.
    #[error("the update is for study {got}, expected study {expected}")]
    OtherStudy {
        /// The study it should be for.
        expected: StudyId,
        /// The study it names.
        got: StudyId,
    },
    /// For another round.
    #[error("the update is for round {got}, expected round {expected}")]
    OtherRound {
        /// The open round.
        expected: Round,
        /// The round it names.
        got: Round,
    },
    /// From another member than expected.
    #[error("the update is from member {got}, expected member {expected}")]
    OtherMember {
        /// Who should have sent it.
        expected: MemberIndex,
        /// Who it names.
        got: MemberIndex,
    },
    /// Trained from other parameters.
    #[error("the update started from {got}, the round starts from {expected}")]
    OtherBase {
        /// The round's base.
        expected: ContentDigest,
        /// The update's base.
        got: ContentDigest,
    },
    /// Another model shape.
    #[error("the update has {got} coordinates, the model has {expected}")]
    ShapeMismatch {
        /// Parameters of the model.
        expected: usize,
        /// Coordinates of the update.
        got: usize,
    },
    /// No examples, or more than allowed.
    #[error("the update claims {got} examples, from 1 to {limit} are allowed")]
    Examples {
        /// Most allowed.
        limit: u32,
        /// Claimed.
        got: u32,
    },
    /// L2 norm beyond the clip.
    #[error("the update has norm {norm}, the clip is {clip}")]
    BeyondClip {
        /// Its norm.
        norm: f64,
        /// The clip.
        clip: f64,
    },
    /// A clip that is not above 0 and at most [`LARGEST_CLIP`].
    #[error("a clip of {clip} is not above 0 and at most {LARGEST_CLIP}")]
    ClipRange {
        /// The clip.
        clip: f64,
    },
    /// Training gave NaN or an infinity.
    #[error("coordinate {index} is not a finite number")]
    NotFinite {
        /// Counted from 0.
        index: usize,
    },
}

impl Update {
    /// Trained minus base, scaled down to the rules' clip if it is longer, and rounded to fixed point, half to even.
    ///
    /// # Errors
    /// [`UpdateError::ShapeMismatch`], [`UpdateError::Examples`], [`UpdateError::ClipRange`] or
    /// [`UpdateError::NotFinite`].
    pub fn of_training(
        rules: &UpdateRules,
        member: MemberIndex,
        base: &Parameters,
        trained: &Parameters,
        examples: u32,
    ) -> Result<CheckedUpdate, UpdateError> {
        for model in [base, trained] {
            if model.values().len() != rules.coordinates {
                return Err(UpdateError::ShapeMismatch {
                    expected: rules.coordinates,
                    got: model.values().len(),
                });
            }
        }
        rules.check_clip()?;
        let moved = trained.values().iter().zip(base.values());
        let moved: Vec<f64> = moved
            .map(|(after, before)| f64::from(*after) - f64::from(*before))
            .collect();
        let update = Self {
            study: rules.study,
            round: rules.round,
            member,
            base: rules.base,
            examples,
            coordinates: quantise(&moved, rules.clip)?,
        };
        update.check(rules, member)
    }

    /// The bytes of `docs/spec/update.md`.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + 4 * self.coordinates.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.push(FRACTION_BITS as u8);
        bytes.push(self.member.0);
        bytes.extend_from_slice(&self.round.0.to_le_bytes());
        bytes.extend_from_slice(&self.study.0.to_le_bytes());
        bytes.extend_from_slice(&self.base.0);
        bytes.extend_from_slice(&self.examples.to_le_bytes());
        let count = u32::try_from(self.coordinates.len()).expect("a model has at most 2^24 parameters");
        bytes.extend_from_slice(&count.to_le_bytes());
        for coordinate in &self.coordinates {
            bytes.extend_from_slice(&coordinate.to_le_bytes());
        }
        bytes
    }

    /// Reads them; an update of more than `most_coordinates` is refused before memory is taken.
    ///
    /// # Errors
    /// [`UpdateError::Malformed`].
    pub fn decode(bytes: &[u8], most_coordinates: usize) -> Result<Self, UpdateError> {
        let malformed = |what| UpdateError::Malformed { what };
        let (header, data) = bytes
            .split_first_chunk::<HEADER_BYTES>()
            .ok_or(malformed("shorter than its header of 64 bytes"))?;
        let mut header = header.as_slice();
        if take(&mut header) != MAGIC {
            return Err(malformed("it does not start with \"cwupdate\""));
        }
        if u16::from_le_bytes(take(&mut header)) != VERSION {
            return Err(malformed("its version is not 1"));
        }
        if take(&mut header) != [FRACTION_BITS as u8] {
            return Err(malformed("it does not have 24 fraction bits"));
        }
        let [member] = take(&mut header);
        let round = Round(u32::from_le_bytes(take(&mut header)));
        let study = StudyId(u64::from_le_bytes(take(&mut header)));
        let base = ContentDigest(take(&mut header));
        let examples = u32::from_le_bytes(take(&mut header));
        let count = u32::from_le_bytes(take(&mut header)) as usize;
        if count > most_coordinates {
            return Err(malformed("it has more coordinates than are read here"));
        }
        if data.len() != 4 * count {
            return Err(malformed(
                "its length is not what its number of coordinates asks for",
            ));
        }
        let (coordinates, _) = data.as_chunks::<4>();
        Ok(Self {
            study,
            round,
            member: MemberIndex(member),
            base,
            examples,
            coordinates: coordinates
                .iter()
                .map(|bytes| i32::from_le_bytes(*bytes))
                .collect(),
        })
    }

    /// BLAKE3 digest of the bytes: what is committed on the chain.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest::of(&self.encode())
    }

    /// L2 norm, for people: [`Update::check`] compares exact integers instead.
    #[must_use]
    pub fn norm(&self) -> f64 {
        (squared_norm(&self.coordinates) as f64).sqrt() / UNITS
    }

    /// Checks it against the round and the member it came from.
    ///
    /// # Errors
    /// The variant of [`UpdateError`] that names what is wrong.
    pub fn check(self, rules: &UpdateRules, member: MemberIndex) -> Result<CheckedUpdate, UpdateError> {
        if self.study != rules.study {
            return Err(UpdateError::OtherStudy {
                expected: rules.study,
                got: self.study,
            });
        }
        if self.round != rules.round {
            return Err(UpdateError::OtherRound {
                expected: rules.round,
                got: self.round,
            });
        }
        if self.member != member {
            return Err(UpdateError::OtherMember {
                expected: member,
                got: self.member,
            });
        }
        if self.base != rules.base {
            return Err(UpdateError::OtherBase {
                expected: rules.base,
                got: self.base,
            });
        }
        if self.coordinates.len() != rules.coordinates {
            return Err(UpdateError::ShapeMismatch {
                expected: rules.coordinates,
                got: self.coordinates.len(),
            });
        }
        let limit = rules.most_examples.min(MOST_EXAMPLES);
        if self.examples == 0 || self.examples > limit {
            return Err(UpdateError::Examples {
                limit,
                got: self.examples,
            });
        }
        rules.check_clip()?;
        if squared_norm(&self.coordinates) > squared_limit(rules.clip) {
            return Err(UpdateError::BeyondClip {
                norm: self.norm(),
                clip: rules.clip,
            });
        }
        Ok(CheckedUpdate(self))
    }
}

impl UpdateRules {
    fn check_clip(&self) -> Result<(), UpdateError> {
        if self.clip > 0.0 && self.clip <= LARGEST_CLIP {
            Ok(())
        } else {
            Err(UpdateError::ClipRange { clip: self.clip })
        }
    }
}

impl CheckedUpdate {
    /// What was checked.
    #[must_use]
    pub fn get(&self) -> &Update {
        &self.0
    }

    /// The update itself, to be sent.
    #[must_use]
    pub fn into_inner(self) -> Update {
        self.0
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> [u8; N] {
    let (first, rest) = bytes
        .split_first_chunk()
        .expect("the fields fill a header of fixed length");
    *bytes = rest;
    *first
}

/// At most 2^24 squares of at most 2^62 each: far below 2^128.
pub(crate) fn squared_norm(coordinates: &[i32]) -> u128 {
    let (runs, rest) = coordinates.as_chunks::<4>();
    let square = |coordinate: &i32| u64::from(coordinate.unsigned_abs()).pow(2);
    // Four squares fit a u64 only below 2^62 each; i32::MIN squared is 2^62 itself, so they are widened one by one.
    runs.iter()
        .flatten()
        .chain(rest)
        .map(|coordinate| u128::from(square(coordinate)))
        .sum()
}

/// Square of the clip in whole units, rounded down before squaring.
fn squared_limit(clip: f64) -> u128 {
    let units = (clip * UNITS).floor() as u128;
    units * units
}

/// Integers in units of 2^-24 below 2^53, scaled down to a clip if they are longer.
pub(crate) fn rescale(units: impl Iterator<Item = i64>, clip: f64) -> Vec<i32> {
    let moved: Vec<f64> = units.map(|value| value as f64 / UNITS).collect();
    quantise(&moved, clip).expect("integers are finite")
}

pub(crate) fn quantise(moved: &[f64], clip: f64) -> Result<Vec<i32>, UpdateError> {
    let norm = moved.iter().map(|value| value * value).sum::<f64>().sqrt();
    if let Some(index) = moved.iter().position(|value| !value.is_finite()) {
        return Err(UpdateError::NotFinite { index });
    }
    // `f32` differences squared stay far inside the range of `f64`: the norm is finite.
    let scaled = |scale: f64| -> Vec<i32> {
        moved
            .iter()
            .map(|value| (value * scale).round_ties_even() as i32)
            .collect()
    };
    if norm <= clip {
        let plain = scaled(UNITS);
        // Rounding can lengthen an update by half a unit a coordinate, past a clip that it only just kept.
        if squared_norm(&plain) <= squared_limit(clip) {
            return Ok(plain);
        }
    }
    // Rounding adds at most sqrt(n)/2 units to the norm, so what is scaled to that much less stays within the clip;
    // two units more make up for the rounding of these very operations.
    let slack = (moved.len() as f64).sqrt() / 2.0 + 2.0;
    let target = ((clip * UNITS).floor() - slack).max(0.0);
    Ok(scaled(target / norm))
}

#[cfg(test)]
mod tests;
