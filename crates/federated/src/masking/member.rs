//! A member's side.

use std::collections::{BTreeMap, BTreeSet};

use rand_core::{CryptoRng, RngCore};
use zeroize::Zeroizing;

use super::{
    group::{Group, GroupError, Place},
    keys::{PairSecret, PublicKey, SecretKey, apply_channel, apply_mask, check_seed, self_seed},
    sharing::{Checked, Shares, Sharing, all_open, deal, random_scalar, read_scalar},
};
use curve25519_dalek::Scalar;

/// Step 1: a member's key for this round and no other, signed by its account on the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// Whose.
    pub from: Place,
    /// The key.
    pub key: PublicKey,
}

/// Step 2: a member's secrets, dealt to its neighbours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dealing {
    /// Whose.
    pub from: Place,
    /// What anyone may read of how its key and its self-mask's seed are shared.
    pub sharing: Sharing,
    /// For each neighbour that announced a key its two shares, encrypted to it.
    pub shares: BTreeMap<Place, [u8; 64]>,
}

/// Step 4: for each neighbour that took part, one share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unmasking {
    /// Whose shares.
    pub from: Place,
    /// Of seeds, for neighbours that survived.
    pub seeds: BTreeMap<Place, [u8; 32]>,
    /// Of keys, for neighbours that dropped out.
    pub keys: BTreeMap<Place, [u8; 32]>,
}

/// Why a member goes no further in a round.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MaskError {
    /// The group is none.
    #[error(transparent)]
    Group(#[from] GroupError),
    /// A place that the group does not have.
    #[error("place {place} is not in a group of {size}")]
    NoSuchPlace {
        /// The place.
        place: u16,
        /// Members of the group.
        size: u16,
    },
    /// Two messages of one member, or its own altered.
    #[error("the message of place {place} is there twice, or not the one it sent")]
    OtherMessage {
        /// The place.
        place: u16,
    },
    /// A key that gives every pair the same secret.
    #[error("the key of place {place} is of small order")]
    WeakKey {
        /// The place.
        place: u16,
    },
    /// A dealing whose commitments or shares do not fit the announced key or each other.
    #[error("the dealing of place {place} is wrong")]
    WrongDealing {
        /// The place.
        place: u16,
    },
    /// Too few neighbours to open this member's secrets should it drop out.
    #[error("{got} neighbours take part, {needed} are needed")]
    TooFewNeighbours {
        /// The group's threshold.
        needed: u16,
        /// Taking part.
        got: usize,
    },
    /// Too few members, so that the sum would tell too much.
    #[error("{got} members, {needed} are needed")]
    TooFewMembers {
        /// The group's fewest.
        needed: u16,
        /// There.
        got: usize,
    },
    /// A survivor that took no part, or this member counted as dropped out after it uploaded.
    #[error("place {place} cannot be counted so: it {}", if *.took_part { "took part" } else { "took no part" })]
    Survivors {
        /// The place.
        place: u16,
        /// Whether it took part.
        took_part: bool,
    },
    /// Another set of survivors was answered before: both together could open a single vector.
    #[error("another set of survivors was answered before")]
    AnsweredBefore,
    /// A vector of another length.
    #[error("the vector has {got} coordinates, the group sums {expected}")]
    ShapeMismatch {
        /// Of the group.
        expected: usize,
        /// Of the vector.
        got: usize,
    },
    /// A step out of turn.
    #[error("{step} is out of turn")]
    OutOfTurn {
        /// The step.
        step: &'static str,
    },
}

/// A member of a group in one round.
pub struct Member {
    group: Group,
    place: Place,
    secret: SecretKey,
    seed: Zeroizing<Scalar>,
    peers: BTreeMap<Place, Peer>,
    stage: Stage,
}

struct Peer {
    key: PublicKey,
    pair: PairSecret,
}

enum Stage {
    Announced,
    Dealt(Dealing),
    Masked {
        /// Everybody in the group that takes part.
        part: BTreeSet<Place>,
        /// Shares of the neighbours that do: of the key and of the seed.
        shares: BTreeMap<Place, Shares>,
        answered: Option<BTreeSet<Place>>,
    },
}

/// The key of the member that [`Member::new`] makes from the same randomness: it is announced before places are drawn.
pub fn key_of<R: RngCore + CryptoRng>(random: &mut R) -> PublicKey {
    let mut bytes = Zeroizing::new([0; 32]);
    random.fill_bytes(&mut *bytes);
    SecretKey::from_random(*bytes).public()
}

impl Member {
    /// A member at a place, with fresh randomness.
    ///
    /// # Errors
    /// [`MaskError::Group`] or [`MaskError::NoSuchPlace`].
    pub fn new<R: RngCore + CryptoRng>(
        group: &Group,
        place: Place,
        random: &mut R,
    ) -> Result<Self, MaskError> {
        group.check()?;
        check_place(group, place)?;
        let mut bytes = Zeroizing::new([0; 32]);
        random.fill_bytes(&mut *bytes);
        Ok(Self {
            group: group.clone(),
            place,
            secret: SecretKey::from_random(*bytes),
            seed: random_scalar(random),
            peers: BTreeMap::new(),
            stage: Stage::Announced,
        })
    }

    /// Step 1: what to announce.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        Announcement {
            from: self.place,
            key: self.secret.public(),
        }
    }

    /// Step 2: deals this member's secrets to the neighbours that announced a key.
    ///
    /// # Errors
    /// [`MaskError`].
    pub fn share<R: RngCore + CryptoRng>(
        &mut self,
        announced: &[Announcement],
        random: &mut R,
    ) -> Result<Dealing, MaskError> {
        if !matches!(self.stage, Stage::Announced) {
            return Err(MaskError::OutOfTurn { step: "sharing" });
        }
        let mut keys = BTreeMap::new();
        for Announcement { from, key } in announced {
            check_place(&self.group, *from)?;
            if keys.insert(*from, *key).is_some() {
                return Err(MaskError::OtherMessage { place: from.0 });
            }
        }
        if keys.get(&self.place) != Some(&self.secret.public()) {
            return Err(MaskError::OtherMessage { place: self.place.0 });
        }
        check_members(&self.group, keys.len())?;
        for place in self.group.neighbours(self.place) {
            let Some(key) = keys.get(&place).copied() else {
                continue;
            };
            let pair = self
                .secret
                .agree(&key)
                .ok_or(MaskError::WeakKey { place: place.0 })?;
            self.peers.insert(place, Peer { key, pair });
        }
        check_neighbours(&self.group, self.peers.len())?;
        let seat = |place: &Place| Some((*place, self.group.seat(self.place, *place)?));
        let to: Vec<_> = self.peers.keys().filter_map(seat).collect();
        let key = self.secret.to_scalar();
        let (sharing, shares) = deal(&self.group, self.place, [&key, &self.seed], &to, random);
        let encrypt = |((to, peer), [key, seed]): ((&Place, &Peer), &Shares)| {
            let mut message = [0; 64];
            message[..32].copy_from_slice(key.as_bytes());
            message[32..].copy_from_slice(seed.as_bytes());
            apply_channel(&mut message, &peer.pair.channel(&self.group, self.place, *to));
            (*to, message)
        };
        let dealing = Dealing {
            from: self.place,
            sharing,
            shares: self.peers.iter().zip(&shares).map(encrypt).collect(),
        };
        self.stage = Stage::Dealt(dealing.clone());
        Ok(dealing)
    }

    /// Step 3: the vector under its masks. Who dealt takes part; a wrong dealing stops the member, since it would not
    /// be able to help with that neighbour's masks, and names the neighbour.
    ///
    /// # Errors
    /// [`MaskError`].
    pub fn mask(&mut self, vector: &[i32], dealings: &[Dealing]) -> Result<Vec<u32>, MaskError> {
        let Stage::Dealt(own) = &self.stage else {
            return Err(MaskError::OutOfTurn { step: "masking" });
        };
        if vector.len() != self.group.coordinates {
            return Err(MaskError::ShapeMismatch {
                expected: self.group.coordinates,
                got: vector.len(),
            });
        }
        let mut part = BTreeSet::new();
        for dealing in dealings {
            check_place(&self.group, dealing.from)?;
            if !part.insert(dealing.from) {
                return Err(MaskError::OtherMessage {
                    place: dealing.from.0,
                });
            }
        }
        if !dealings.iter().any(|dealing| dealing == own) {
            return Err(MaskError::OtherMessage { place: self.place.0 });
        }
        check_members(&self.group, part.len())?;
        let mut shares = BTreeMap::new();
        let mut sharings = Vec::new();
        let wrong = |from: Place| MaskError::WrongDealing { place: from.0 };
        for dealing in dealings {
            if let Some(peer) = self.peers.get(&dealing.from) {
                let (checked, own) = self.open(peer, dealing).ok_or(wrong(dealing.from))?;
                sharings.push((dealing.from, checked));
                shares.insert(dealing.from, own);
            }
        }
        let check_seed = check_seed(&self.group, &self.seed);
        let all: Vec<_> = sharings.iter().map(|(_, checked)| checked).collect();
        if !all_open(&all, &check_seed) {
            let one = sharings.iter().find(|(_, one)| !all_open(&[one], &check_seed));
            return Err(wrong(one.map_or(self.place, |(from, _)| *from)));
        }
        check_neighbours(&self.group, shares.len())?;
        let mut masked: Vec<u32> = vector.iter().map(|value| *value as u32).collect();
        apply_mask(&mut masked, &self_seed(&self.group, &self.seed, self.place), true);
        for place in shares.keys() {
            let seed = self.peers[place].pair.mask_seed(&self.group, self.place, *place);
            apply_mask(&mut masked, &seed, self.place < *place);
        }
        self.stage = Stage::Masked {
            part,
            shares,
            answered: None,
        };
        Ok(masked)
    }

    /// The two shares dealt to this member, of the key and of the seed, if they are those that were published.
    fn open(&self, peer: &Peer, dealing: &Dealing) -> Option<(Checked, Shares)> {
        let checked = dealing.sharing.check(&self.group, dealing.from)?;
        // The key that is dealt is the one that was announced.
        if checked.key().to_montgomery().to_bytes() != peer.key.0 {
            return None;
        }
        let mut message = Zeroizing::new(*dealing.shares.get(&self.place)?);
        apply_channel(
            &mut *message,
            &peer.pair.channel(&self.group, dealing.from, self.place),
        );
        let (words, _) = message.as_chunks::<32>();
        let share = |word: &[u8; 32]| Some(Zeroizing::new(read_scalar(*word)?));
        let shares = [share(&words[0])?, share(&words[1])?];
        let own = (self.place, self.group.seat(dealing.from, self.place)?);
        checked
            .fits(&dealing.sharing, dealing.from, own, &shares)
            .then_some((checked, shares))
    }

    /// Step 4: one share for each neighbour that took part. The same survivors get the same answer again.
    ///
    /// # Errors
    /// [`MaskError`]; nothing is given away then.
    pub fn unmask(&mut self, survivors: &BTreeSet<Place>) -> Result<Unmasking, MaskError> {
        let Stage::Masked {
            part,
            shares,
            answered,
        } = &mut self.stage
        else {
            return Err(MaskError::OutOfTurn { step: "unmasking" });
        };
        if answered.as_ref().is_some_and(|before| before != survivors) {
            return Err(MaskError::AnsweredBefore);
        }
        if let Some(place) = survivors.difference(part).next() {
            return Err(MaskError::Survivors {
                place: place.0,
                took_part: false,
            });
        }
        // Whoever uploaded and is left out would have its key opened, and with it what it uploaded.
        if !survivors.contains(&self.place) {
            return Err(MaskError::Survivors {
                place: self.place.0,
                took_part: true,
            });
        }
        check_members(&self.group, survivors.len())?;
        let staying = shares.keys().filter(|place| survivors.contains(place)).count();
        check_neighbours(&self.group, staying)?;
        let mut unmasking = Unmasking {
            from: self.place,
            seeds: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        for (place, [key, seed]) in shares.iter() {
            if survivors.contains(place) {
                unmasking.seeds.insert(*place, seed.to_bytes());
            } else {
                unmasking.keys.insert(*place, key.to_bytes());
            }
        }
        *answered = Some(survivors.clone());
        Ok(unmasking)
    }
}

pub(super) fn check_place(group: &Group, place: Place) -> Result<(), MaskError> {
    if place.0 < group.size {
        return Ok(());
    }
    Err(MaskError::NoSuchPlace {
        place: place.0,
        size: group.size,
    })
}

fn check_members(group: &Group, got: usize) -> Result<(), MaskError> {
    let needed = group.fewest_survivors;
    if got >= usize::from(needed) {
        return Ok(());
    }
    Err(MaskError::TooFewMembers { needed, got })
}

fn check_neighbours(group: &Group, got: usize) -> Result<(), MaskError> {
    let needed = group.threshold;
    if got >= usize::from(needed) {
        return Ok(());
    }
    Err(MaskError::TooFewNeighbours { needed, got })
}

impl Announcement {
    /// Whether what is dealt is the announced key.
    #[must_use]
    pub fn is_dealt_by(&self, dealing: &Dealing) -> bool {
        let key = dealing.sharing.key();
        key.is_some_and(|point| point.to_montgomery().to_bytes() == self.key.0)
    }
}
