//! What the prover says, written down and absorbed at once.

use counterweight_zkml_verifier::curve::encode_g1;
use counterweight_zkml_verifier::field::to_word;
use counterweight_zkml_verifier::{Fr, G1Affine, Transcript};

/// A transcript with the bytes sent so far.
pub(crate) struct Conversation {
    transcript: Transcript,
    bytes: Vec<u8>,
    /// Scalars until the one that is sent as one more than it is.
    #[cfg(test)]
    pub(crate) until_lie: Option<usize>,
}

impl Conversation {
    /// Goes on from a transcript, with bytes that it has absorbed in another form.
    pub(crate) fn new(transcript: Transcript, bytes: Vec<u8>) -> Self {
        Self {
            transcript,
            bytes,
            #[cfg(test)]
            until_lie: None,
        }
    }

    /// Sends a commitment.
    pub(crate) fn point(&mut self, point: &G1Affine) {
        self.transcript.absorb_point(point);
        self.bytes.extend(encode_g1(point));
    }

    /// Sends a scalar.
    pub(crate) fn scalar(&mut self, scalar: &Fr) {
        #[cfg(test)]
        let scalar = &self.lie(*scalar);
        self.transcript.absorb_scalar(scalar);
        self.bytes.extend(to_word(scalar));
    }

    #[cfg(test)]
    fn lie(&mut self, scalar: Fr) -> Fr {
        let lies = self.until_lie == Some(0);
        self.until_lie = self.until_lie.and_then(|left| left.checked_sub(1));
        if lies { scalar + Fr::from(1) } else { scalar }
    }

    /// Sends an opening, whose words are absorbed where it is made.
    pub(crate) fn opening(&mut self, proof: &[u8]) {
        self.bytes.extend(proof);
    }

    /// Draws a challenge.
    pub(crate) fn challenge(&mut self) -> Fr {
        self.transcript.challenge()
    }

    /// Draws challenges.
    pub(crate) fn challenges(&mut self, count: usize) -> Vec<Fr> {
        self.transcript.challenges(count)
    }

    /// The transcript, for the opening.
    pub(crate) fn transcript(&mut self) -> &mut Transcript {
        &mut self.transcript
    }

    /// Everything sent.
    pub(crate) fn finish(self) -> Vec<u8> {
        self.bytes
    }
}
