//! Fiat-Shamir over Keccak-256, the same in Solidity.
//!
//! The state is 32 bytes. What is absorbed waits, in order, until a challenge is drawn: the state becomes
//! `keccak256(state || absorbed)`, and the challenge is that hash as a big-endian number modulo `r`. Everything
//! absorbed is a sequence of 32-byte words; data of variable length enters as its length and its hash
//! ([`Transcript::absorb_data`]), so no two sequences of messages give the same bytes where the protocol fixes the
//! number of words between challenges. Specified in `docs/spec/opening.md`, "Transcript".

use sha3::{Digest as _, Keccak256};

use crate::curve::{G1Affine, encode_g1};
use crate::field::{Fr, Word, from_word_reduced, to_word, word_of_u64};

/// Keccak-256, as the EVM computes it.
#[must_use]
pub fn keccak256(bytes: &[u8]) -> Word {
    Keccak256::digest(bytes).into()
}

/// The verifier's side of the conversation, replayed by the prover.
#[derive(Debug, Clone)]
pub struct Transcript {
    state: Word,
    pending: Vec<u8>,
    /// Challenges that a simulator programmed the oracle to give, the next one last.
    #[cfg(feature = "simulation")]
    programmed: Vec<Fr>,
}

impl Transcript {
    /// Starts a conversation of the protocol that `label` names.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            state: keccak256(label.as_bytes()),
            pending: Vec::new(),
            #[cfg(feature = "simulation")]
            programmed: Vec::new(),
        }
    }

    /// Starts a conversation whose first challenges are these, whatever is said; the oracle answers the rest.
    #[cfg(feature = "simulation")]
    #[must_use]
    pub fn programmed(label: &str, challenges: &[Fr]) -> Self {
        Self {
            programmed: challenges.iter().rev().copied().collect(),
            ..Self::new(label)
        }
    }

    /// Absorbs bytes as they are. The protocol around it must fix their number, a multiple of 32.
    pub fn absorb_bytes(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Absorbs a word.
    pub fn absorb_word(&mut self, word: &Word) {
        self.absorb_bytes(word);
    }

    /// Absorbs a number as a word.
    pub fn absorb_u64(&mut self, number: u64) {
        self.absorb_bytes(&word_of_u64(number));
    }

    /// Absorbs a scalar as a word.
    pub fn absorb_scalar(&mut self, scalar: &Fr) {
        self.absorb_bytes(&to_word(scalar));
    }

    /// Absorbs a point as two words.
    pub fn absorb_point(&mut self, point: &G1Affine) {
        self.absorb_bytes(&encode_g1(point));
    }

    /// Absorbs data of variable length: a word with its length in bytes, then its Keccak-256.
    pub fn absorb_data(&mut self, data: &[u8]) {
        self.absorb_u64(data.len() as u64);
        self.absorb_bytes(&keccak256(data));
    }

    /// Absorbs the name of a part: the Keccak-256 of the label.
    pub fn absorb_label(&mut self, label: &str) {
        self.absorb_bytes(&keccak256(label.as_bytes()));
    }

    /// Draws a challenge that depends on everything absorbed so far.
    pub fn challenge(&mut self) -> Fr {
        #[cfg(feature = "simulation")]
        if let Some(challenge) = self.programmed.pop() {
            return challenge;
        }
        from_word_reduced(&self.challenge_word())
    }

    /// Draws the whole hash of a challenge: for what is not a scalar.
    pub fn challenge_word(&mut self) -> Word {
        let mut message = Vec::with_capacity(self.pending.len().saturating_add(32));
        message.extend_from_slice(&self.state);
        message.append(&mut self.pending);
        self.state = keccak256(&message);
        self.state
    }

    /// Draws `count` challenges, one after the other.
    pub fn challenges(&mut self, count: usize) -> Vec<Fr> {
        (0..count).map(|_| self.challenge()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_the_hash_of_state_and_words_modulo_the_order() {
        let mut transcript = Transcript::new("label");
        transcript.absorb_u64(7);
        transcript.absorb_scalar(&Fr::from(9));
        let mut message = keccak256(b"label").to_vec();
        message.extend(word_of_u64(7));
        message.extend(word_of_u64(9));
        let state = keccak256(&message);
        assert_eq!(transcript.challenge(), from_word_reduced(&state));
        assert_eq!(transcript.challenge_word(), keccak256(&state));
    }

    #[test]
    fn each_thing_absorbed_changes_what_follows() {
        let draw = |absorb: &dyn Fn(&mut Transcript)| {
            let mut transcript = Transcript::new("t");
            absorb(&mut transcript);
            transcript.challenge()
        };
        let plain = draw(&|_| {});
        assert_ne!(plain, draw(&|t| t.absorb_u64(0)));
        assert_ne!(draw(&|t| t.absorb_data(b"")), draw(&|t| t.absorb_data(b"\0")));
        assert_ne!(plain, Transcript::new("u").challenge());
    }
}
