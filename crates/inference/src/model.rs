//! A network with what its numbers mean, and its file: docs/spec/network-file.md.

use counterweight_primitives::{
    CanonicalError, ContentDigest,
    architecture::{Architecture, ArchitectureError},
    from_canonical_json, to_canonical_json,
};

use crate::{Metadata, MetadataError, Network, NetworkError, QuantisedRow, RowError};

/// Longest metadata read, in bytes.
pub const MOST_METADATA_BYTES: usize = 4 << 20;
/// Longest model file there can be: the architecture's limits on weights, a bias for each at most, and metadata.
pub const MOST_MODEL_BYTES: u64 = 5 * (1 << 26) + (1 << 23);

const MAGIC: &[u8; 4] = b"CWM1";
const LENGTHS: usize = 12;

/// A network with what its numbers mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    card: Card,
    network: Network,
}

/// What everyone may know of a model: all of it but the weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Card {
    architecture: Architecture,
    metadata: Metadata,
}

/// Why bytes or parts are not a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// Does not begin as a model file does.
    #[error("the bytes do not begin as a model file does")]
    Magic,
    /// Bytes are missing, or follow the end.
    #[error("the {part} has {expected} bytes, there are {got}")]
    Length {
        /// What ends too soon or goes on.
        part: &'static str,
        /// Bytes expected.
        expected: u64,
        /// Bytes found.
        got: u64,
    },
    /// The architecture is refused.
    #[error("the architecture is refused")]
    Architecture(#[source] ArchitectureError),
    /// The metadata is not the canonical form of a known document.
    #[error("the metadata cannot be read")]
    Json(#[source] CanonicalError),
    /// The metadata does not describe the architecture.
    #[error("the metadata does not fit the architecture")]
    Metadata(#[source] MetadataError),
    /// The weights do not fit the architecture.
    #[error("the weights do not fit the architecture")]
    Network(#[source] NetworkError),
}

impl Card {
    /// Holds metadata to an architecture.
    ///
    /// # Errors
    /// [`ModelError::Metadata`], or [`ModelError::Json`] if the metadata is too long.
    pub fn new(architecture: Architecture, metadata: Metadata) -> Result<Self, ModelError> {
        metadata.check(&architecture).map_err(ModelError::Metadata)?;
        let got = to_canonical_json(&metadata).map_err(ModelError::Json)?.len();
        if got > MOST_METADATA_BYTES {
            let limit = MOST_METADATA_BYTES;
            return Err(ModelError::Json(CanonicalError::TooLong { got, limit }));
        }
        Ok(Self {
            architecture,
            metadata,
        })
    }

    /// The network's architecture.
    #[must_use]
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// What its numbers mean.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.metadata
    }

    /// The int8 row that a row of real values becomes.
    ///
    /// # Errors
    /// [`RowError`].
    pub fn quantise(&self, row: &[f64]) -> Result<QuantisedRow, RowError> {
        self.metadata
            .input
            .quantise(row, self.architecture.input().elements())
    }

    /// Its bytes: the beginning of the model file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let architecture = self.architecture.encode();
        let metadata = to_canonical_json(&self.metadata).expect("checked when the card was made");
        let mut bytes = MAGIC.to_vec();
        for part in [&architecture, &metadata] {
            // At most 2,080 bytes and MOST_METADATA_BYTES.
            bytes.extend((part.len() as u32).to_be_bytes());
        }
        bytes.extend(architecture);
        bytes.extend(metadata);
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes and nothing else.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let (card, rest) = Self::read(bytes)?;
        if !rest.is_empty() {
            return Err(ModelError::Length {
                part: "card",
                expected: (bytes.len() - rest.len()) as u64,
                got: bytes.len() as u64,
            });
        }
        Ok(card)
    }

    /// BLAKE3 of its bytes.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest(blake3::hash(&self.to_bytes()).into())
    }

    /// Reads a card from the beginning of bytes, and gives what follows it.
    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), ModelError> {
        let (head, rest) = bytes.split_first_chunk::<LENGTHS>().ok_or(ModelError::Magic)?;
        if !head.starts_with(MAGIC) {
            return Err(ModelError::Magic);
        }
        let length =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
        let (architecture, rest) = split(rest, length(4), "architecture")?;
        let (metadata, rest) = split(rest, length(8), "metadata")?;
        let architecture = Architecture::decode(architecture).map_err(ModelError::Architecture)?;
        let metadata = from_canonical_json(metadata, MOST_METADATA_BYTES).map_err(ModelError::Json)?;
        Ok((Self::new(architecture, metadata)?, rest))
    }
}

fn split<'a>(bytes: &'a [u8], length: usize, part: &'static str) -> Result<(&'a [u8], &'a [u8]), ModelError> {
    bytes.split_at_checked(length).ok_or(ModelError::Length {
        part,
        expected: length as u64,
        got: bytes.len() as u64,
    })
}

impl Model {
    /// Puts a network and what its numbers mean together.
    ///
    /// # Errors
    /// As [`Card::new`].
    pub fn new(network: Network, metadata: Metadata) -> Result<Self, ModelError> {
        let card = Card::new(network.architecture().clone(), metadata)?;
        Ok(Self { card, network })
    }

    /// What everyone may know of it.
    #[must_use]
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// What its numbers mean.
    #[must_use]
    pub fn metadata(&self) -> &Metadata {
        &self.card.metadata
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Its file: the card, then the weights, then the biases.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.card.to_bytes();
        bytes.extend(self.network.weights().iter().map(|weight| *weight as u8));
        bytes.extend(self.network.biases().iter().flat_map(|bias| bias.to_be_bytes()));
        bytes
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes and nothing else. Memory grows with the bytes given, whatever they say.
    ///
    /// # Errors
    /// [`ModelError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ModelError> {
        let (card, rest) = Card::read(bytes)?;
        let (weights, biases) = (card.architecture.weights(), card.architecture.biases());
        let expected = weights + 4 * biases;
        if rest.len() != expected {
            return Err(ModelError::Length {
                part: "list of weights and biases",
                expected: expected as u64,
                got: rest.len() as u64,
            });
        }
        let (weights, biases) = rest.split_at(weights);
        let weights = weights.iter().map(|byte| *byte as i8).collect();
        let (words, _) = biases.as_chunks::<4>();
        let biases = words.iter().map(|word| i32::from_be_bytes(*word)).collect();
        let network =
            Network::new(card.architecture.clone(), weights, biases).map_err(ModelError::Network)?;
        Ok(Self { card, network })
    }

    /// BLAKE3 of its file. It does not hide the weights: who guesses them all can tell.
    #[must_use]
    pub fn digest(&self) -> ContentDigest {
        ContentDigest(blake3::hash(&self.to_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::architecture::{Bias, Layer, Node, Output, Shape};

    use super::*;
    use crate::{Decimal, FORMAT, Scaling, Task};

    fn model() -> Model {
        let layer = Layer::Dense {
            input: Node(0),
            outputs: 2,
            bias: Bias { digits: 1, shift: 3 },
            output: Output::Raw,
        };
        let architecture = Architecture::new(Shape::vector(3).unwrap(), vec![layer]).unwrap();
        let network = Network::new(architecture, vec![1, -2, 3, 127, -128, 0], vec![-1024, 8]).unwrap();
        let metadata = Metadata {
            format: FORMAT.to_owned(),
            name: "example".to_owned(),
            input: Scaling {
                offset: [0.5, -1.0, 0.0]
                    .map(|value| Decimal::new(value).unwrap())
                    .to_vec(),
                factor: [10.0, 0.1, 1.0]
                    .map(|value| Decimal::new(value).unwrap())
                    .to_vec(),
            },
            features: ["a", "b", "c"].map(str::to_owned).to_vec(),
            task: Task::Classes,
            output_unit: Decimal::new(0.001).unwrap(),
            labels: vec!["no".to_owned(), "yes".to_owned()],
        };
        Model::new(network, metadata).unwrap()
    }

    #[test]
    fn reads_back_what_it_writes() {
        let bytes = model().to_bytes();
        assert_eq!(Model::from_bytes(&bytes).unwrap(), model());
        let card = model().card().to_bytes();
        assert!(bytes.starts_with(&card));
        assert_eq!(Card::from_bytes(&card).unwrap(), *model().card());
        assert!(Card::from_bytes(&bytes).is_err());
    }

    #[test]
    fn its_bytes_are_pinned() {
        assert_eq!(
            model().digest().to_string(),
            "blake3:25ae4b19a10aea46ef1ac9e2cde89fd903179a3e66ee400f8a3a069a88b2e62b"
        );
    }

    #[test]
    fn truncated_padded_and_spoilt_files_are_refused_or_other_models() {
        let bytes = model().to_bytes();
        for length in 0..bytes.len() {
            assert!(Model::from_bytes(&bytes[..length]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert_eq!(
            Model::from_bytes(&longer).unwrap_err().to_string(),
            "the list of weights and biases has 14 bytes, there are 15"
        );
        for at in 0..bytes.len() {
            for change in [1, 0x20, 0x80] {
                let mut spoilt = bytes.clone();
                spoilt[at] ^= change;
                if let Ok(read) = Model::from_bytes(&spoilt) {
                    assert_ne!(read, model());
                    assert_eq!(read.to_bytes(), spoilt);
                }
            }
        }
        let mut huge = bytes;
        huge[8..12].fill(0xff);
        assert!(matches!(
            Model::from_bytes(&huge),
            Err(ModelError::Length { part: "metadata", .. })
        ));
    }

    #[test]
    fn metadata_that_does_not_fit_is_refused() {
        let refused = |change: fn(&mut Metadata)| {
            let mut metadata = model().metadata().clone();
            change(&mut metadata);
            Model::new(model().network().clone(), metadata).unwrap_err()
        };
        for change in [
            (|it| it.format = "another".to_owned()) as fn(&mut Metadata),
            |it| _ = it.features.pop(),
            |it| _ = it.labels.pop(),
            |it| _ = it.input.offset.pop(),
            |it| _ = it.input.factor.pop(),
            |it| it.input.offset.clear(),
            |it| it.task = Task::Binary,
            |it| it.name = "x".repeat(257),
            |it| it.output_unit = Decimal::default(),
            |it| it.input.factor[1] = Decimal::default(),
        ] {
            assert!(matches!(refused(change), ModelError::Metadata(_)));
        }
    }

    #[test]
    fn real_rows_become_int8() {
        let card = model().card().clone();
        let row = card.quantise(&[0.75, 14.0, -300.0]).unwrap();
        // 2.5 and 1.5 are both rounded to 2.
        assert_eq!((row.values, row.clamped), (vec![2, 2, -128], 1));
        assert_eq!(
            card.quantise(&[0.0, f64::NAN, 0.0]),
            Err(RowError::NotFinite { index: 1 })
        );
        assert_eq!(
            card.quantise(&[0.0]),
            Err(RowError::Length { expected: 3, got: 1 })
        );
        let answer = model().network().run(&[2, 2, -128]).unwrap();
        assert_eq!(model().metadata().values(&answer), [-1.41, 0.006]);
        assert_eq!(model().metadata().label(&answer).unwrap(), "yes");
        let probabilities = model().metadata().probabilities(&answer).unwrap();
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    }
}
