//! The file in which a model's owner keeps it: weights, and what hides them in the commitment.
//!
//! **Whoever has the file has the model.** `CWS1`, then parts of a length in four bytes, big endian, and as many bytes: the
//! public key (docs/spec/proof-file.md), the weights, the biases (four bytes each), the blindings of the rows and the four
//! cells that mask the registration (32 bytes each).

use counterweight_inference::{Network, NetworkError};
use counterweight_zkml_verifier::Fr;
use counterweight_zkml_verifier::encoding::{EncodingError, ProofReader};
use counterweight_zkml_verifier::field::to_word;
use counterweight_zkml_verifier::file::{FileError, ModelKey};
use counterweight_zkml_verifier::plan::{PlanError, REGISTRATION_MASKS, WeightPlan};

use crate::model::SecretModel;
use crate::witness::PackedWeights;

const MAGIC: &[u8; 4] = b"CWS1";

/// Why bytes are not a secret model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretError {
    /// They do not begin as such a file does.
    #[error("the bytes do not begin as a secret model does")]
    Magic,
    /// A part has another length than the public key gives it.
    #[error("the {part} have {got} bytes, the public key gives them {expected}")]
    Length {
        /// Which part.
        part: &'static str,
        /// Bytes it must have.
        expected: usize,
        /// Bytes it has, or that are left.
        got: usize,
    },
    /// The public key is refused.
    #[error("the public key is refused")]
    Key(#[from] FileError),
    /// The weights cannot be laid out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The weights do not fit the architecture.
    #[error("the weights are refused")]
    Network(#[from] NetworkError),
    /// A blinding is no scalar.
    #[error("a blinding is refused")]
    Scalar(#[from] EncodingError),
}

impl SecretModel {
    /// Its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let network = self.network();
        let weights = network
            .weights()
            .iter()
            .map(|weight| weight.cast_unsigned())
            .collect();
        let biases = network
            .biases()
            .iter()
            .flat_map(|bias| bias.to_be_bytes())
            .collect();
        let words = |scalars: &[Fr]| scalars.iter().flat_map(to_word).collect::<Vec<u8>>();
        let parts: [Vec<u8>; 5] = [
            self.key.to_bytes(),
            weights,
            biases,
            words(&self.blindings),
            words(&self.weights.masks),
        ];
        let mut file = MAGIC.to_vec();
        for part in parts {
            // The architecture's limits keep each part far below 4 GiB.
            file.extend((part.len() as u32).to_be_bytes());
            file.extend(part);
        }
        file
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes. Memory grows with the bytes given, whatever they say. That the commitment
    /// is to these weights is not checked: with others, proofs come out that nobody accepts.
    ///
    /// # Errors
    /// [`SecretError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SecretError> {
        let mut rest = bytes.strip_prefix(MAGIC).ok_or(SecretError::Magic)?;
        let mut part = |name: &'static str, expected: Option<usize>| {
            let (length, after) = rest.split_first_chunk::<4>().ok_or(SecretError::Magic)?;
            let length = u32::from_be_bytes(*length) as usize;
            let expected = expected.unwrap_or(length);
            match after.split_at_checked(length).filter(|_| length == expected) {
                Some((part, after)) => {
                    rest = after;
                    Ok(part)
                }
                None => {
                    let got = if length == expected { after.len() } else { length };
                    Err(SecretError::Length {
                        part: name,
                        expected,
                        got,
                    })
                }
            }
        };
        let key = ModelKey::from_bytes(part("bytes of the public key", None)?)?;
        let architecture = key.model.architecture.clone();
        let plan = WeightPlan::new(&architecture, key.model.commitment.row_bits)?;
        let weights = part("weights", Some(architecture.weights()))?;
        let biases = part("biases", Some(4 * architecture.biases()))?;
        let blindings = part("blindings", Some(32 * plan.rows))?;
        let masks = part("mask cells", Some(32 * REGISTRATION_MASKS))?;
        if !rest.is_empty() {
            return Err(SecretError::Length {
                part: "bytes after the end",
                expected: 0,
                got: rest.len(),
            });
        }
        let weights = weights.iter().map(|weight| weight.cast_signed()).collect();
        let biases = biases
            .as_chunks()
            .0
            .iter()
            .map(|bias| i32::from_be_bytes(*bias))
            .collect();
        let network = Network::new(architecture, weights, biases)?;
        let mut reader = ProofReader::new(blindings);
        let blindings = (0..plan.rows)
            .map(|_| reader.scalar())
            .collect::<Result<_, _>>()?;
        let masks = ProofReader::new(masks).scalars()?;
        let weights = PackedWeights::with_masks(&plan, &network, masks);
        Ok(Self {
            network,
            weights,
            blindings,
            key,
        })
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::architecture::{Architecture, Bias, Layer, Node, Output, Shape};
    use counterweight_zkml_verifier::Scheme;
    use rand_chacha::ChaCha20Rng;
    use rand_chacha::rand_core::SeedableRng as _;

    use super::*;
    use crate::srs::Srs;
    use crate::{Input, ModelKey};

    fn secret() -> (Srs, SecretModel) {
        let bias = Bias { digits: 1, shift: 0 };
        let layers = vec![Layer::Dense {
            input: Node(0),
            outputs: 2,
            bias,
            output: Output::Raw,
        }];
        let architecture = Architecture::new(Shape::vector(3).unwrap(), layers).unwrap();
        let network = Network::new(architecture, vec![1, -2, 3, 127, -128, 0], vec![-100, 8]).unwrap();
        let srs = Srs::development(11).unwrap();
        let mut random = ChaCha20Rng::seed_from_u64(1);
        let secret = SecretModel::commit(network, &srs, Scheme::Mercury, &mut random).unwrap();
        (srs, secret)
    }

    #[test]
    fn a_model_read_back_proves_as_before() {
        let (srs, secret) = secret();
        let read = SecretModel::from_bytes(&secret.to_bytes()).unwrap();
        assert_eq!(read.key(), secret.key());
        let prove = |model: &SecretModel| {
            let mut random = ChaCha20Rng::seed_from_u64(2);
            model
                .prove(&srs, Input::Public(&[5, 6, 7]), [9; 32], &mut random)
                .unwrap()
        };
        assert_eq!(prove(&read), prove(&secret));
    }

    #[test]
    fn cut_padded_and_mixed_files_are_refused() {
        let bytes = secret().1.to_bytes();
        for length in (0..bytes.len()).step_by(7) {
            assert!(SecretModel::from_bytes(&bytes[..length]).is_err());
        }
        assert!(SecretModel::from_bytes(&[bytes.as_slice(), &[0]].concat()).is_err());
        assert!(ModelKey::from_bytes(&bytes).is_err());
    }
}
