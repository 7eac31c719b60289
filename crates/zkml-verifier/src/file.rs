//! Files that carry a model's public key and a proven answer: `docs/spec/proof-file.md`.
//!
//! Both are self-contained: whoever has them and the set-up's name checks them without asking anybody.

use counterweight_primitives::architecture::{Architecture, ArchitectureError};

use crate::curve::G1_BYTES;
use crate::field::Word;
use crate::model::{CommitmentError, Model, WeightCommitment};
use crate::plan::{PlanError, WeightPlan};
use crate::srs::{SrsId, VerifierSrs};
use crate::verify::{InputStatement, Statement, VerifyError, verify_inference, verify_registration};

/// Longest file that is read, in bytes: above it nothing that a checked plan allows.
pub const MOST_FILE_BYTES: usize = 1 << 23;

const KEY_MAGIC: &[u8; 4] = b"CWK1";
const PROOF_MAGIC: &[u8; 4] = b"CWP1";
const PUBLIC: u8 = 0;
const COMMITTED: u8 = 1;

/// Why bytes are no such file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// Another kind of file.
    #[error("the file does not start with \"{expected}\"")]
    Magic {
        /// What it would start with.
        expected: &'static str,
    },
    /// The file is longer than any of its kind.
    #[error("the file has {got} bytes: at most {MOST_FILE_BYTES} are read")]
    TooLong {
        /// Its length.
        got: usize,
    },
    /// The file ends early.
    #[error("the file ends within its {part}")]
    Truncated {
        /// The part that is cut short.
        part: &'static str,
    },
    /// Something follows the end.
    #[error("{got} bytes follow the end of the file")]
    Trailing {
        /// How many.
        got: usize,
    },
    /// The architecture is none.
    #[error("the architecture in the file is refused")]
    Architecture(#[from] ArchitectureError),
    /// The commitment is none.
    #[error("the commitment in the file is refused")]
    Commitment(#[from] CommitmentError),
    /// An input is neither public nor committed.
    #[error("input of kind {got}: known are 0 (public) and 1 (committed)")]
    InputKind {
        /// The number found.
        got: u8,
    },
    /// A committed input is not 32 bytes.
    #[error("the commitment to the input has {got} bytes, not 32")]
    InputCommitment {
        /// Its length.
        got: usize,
    },
}

/// A model's public key: what is needed to check its answers, and that its weights are int8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelKey {
    /// Architecture and commitment.
    pub model: Model,
    /// The set-up it was committed to under.
    pub srs: SrsId,
    /// The proof that all weights are int8.
    pub registration: Vec<u8>,
    /// What the model's numbers mean, as its publisher says; not proven. Empty if nothing is said.
    pub card: Vec<u8>,
}

impl ModelKey {
    /// Its name, on chain and in every proof.
    #[must_use]
    pub fn id(&self) -> Word {
        self.model.id(self.srs)
    }

    /// Checks that the committed weights are int8.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, srs: &VerifierSrs) -> Result<(), VerifyError> {
        verify_registration(srs, &self.model, &self.registration)
    }

    /// Its file.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = KEY_MAGIC.to_vec();
        file.extend(self.srs.0);
        for part in [
            &self.model.architecture.encode(),
            &self.model.commitment.encode(),
            &self.registration,
            &self.card,
        ] {
            push(&mut file, part);
        }
        file
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes and nothing else.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let mut file = Reader::new(bytes, KEY_MAGIC, "CWK1")?;
        let srs = SrsId(file.word("set-up")?);
        let architecture = Architecture::decode(file.part("architecture")?)?;
        let commitment = WeightCommitment::decode(&architecture, file.part("commitment")?)?;
        let registration = file.part("registration proof")?.to_vec();
        let card = file.part("card")?.to_vec();
        file.finish()?;
        Ok(Self {
            model: Model {
                architecture,
                commitment,
            },
            srs,
            registration,
            card,
        })
    }
}

/// What a proof says of the input, owned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProvenInput {
    /// It is this: row-major.
    Public(Vec<i8>),
    /// Its commitment's rows have this keccak256.
    Committed(Word),
}

/// An answer with its proof, and all that it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProvenAnswer {
    /// The set-up.
    pub srs: SrsId,
    /// The model: its architecture, and the commitment that the proof carries.
    pub model: Model,
    /// What the proof is bound to.
    pub context: Word,
    /// The input.
    pub input: ProvenInput,
    /// The output, as `docs/spec/arithmetic.md` writes it.
    pub output: Vec<u8>,
    /// The proof.
    pub proof: Vec<u8>,
}

impl ProvenAnswer {
    /// The id of the model it is about.
    #[must_use]
    pub fn model_id(&self) -> Word {
        self.model.id(self.srs)
    }

    /// Checks the proof. It holds for the model in the file: whether that is the model meant is for the caller to compare.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn verify(&self, srs: &VerifierSrs) -> Result<(), VerifyError> {
        let input = match &self.input {
            ProvenInput::Public(values) => InputStatement::Public(values),
            ProvenInput::Committed(commitment) => InputStatement::Committed(*commitment),
        };
        let statement = Statement {
            context: self.context,
            input,
            output: &self.output,
        };
        verify_inference(srs, &self.model, &statement, &self.proof)
    }

    /// Its file. The weights' rows are in the proof and are not repeated.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut file = PROOF_MAGIC.to_vec();
        file.extend(self.srs.0);
        file.extend(self.context);
        push(&mut file, &self.model.architecture.encode());
        // A checked commitment has fewer than 256 bits.
        file.extend([
            self.model.commitment.row_bits as u8,
            self.model.commitment.scheme as u8,
        ]);
        match &self.input {
            ProvenInput::Public(values) => {
                file.push(PUBLIC);
                push(
                    &mut file,
                    &values
                        .iter()
                        .map(|value| value.cast_unsigned())
                        .collect::<Vec<u8>>(),
                );
            }
            ProvenInput::Committed(commitment) => {
                file.push(COMMITTED);
                push(&mut file, commitment);
            }
        }
        push(&mut file, &self.output);
        push(&mut file, &self.proof);
        file
    }

    /// Reads what [`to_bytes`](Self::to_bytes) writes and nothing else.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FileError> {
        let mut file = Reader::new(bytes, PROOF_MAGIC, "CWP1")?;
        let srs = SrsId(file.word("set-up")?);
        let context = file.word("context")?;
        let architecture = Architecture::decode(file.part("architecture")?)?;
        let header = file.take(2, "commitment")?.to_vec();
        let kind = file.take(1, "input")?.first().copied().unwrap_or_default();
        let input = file.part("input")?;
        let input = match kind {
            PUBLIC => ProvenInput::Public(input.iter().map(|value| value.cast_signed()).collect()),
            COMMITTED => ProvenInput::Committed(
                input
                    .try_into()
                    .map_err(|_| FileError::InputCommitment { got: input.len() })?,
            ),
            got => return Err(FileError::InputKind { got }),
        };
        let output = file.part("output")?.to_vec();
        let proof = file.part("proof")?;
        file.finish()?;
        let rows = match header.first() {
            Some(bits) => {
                WeightPlan::new(&architecture, usize::from(*bits))
                    .map_err(plan_error)?
                    .rows
            }
            None => 0,
        };
        let rows = proof
            .get(..rows * G1_BYTES)
            .ok_or(FileError::Truncated { part: "proof" })?;
        let commitment = WeightCommitment::decode(&architecture, &[&header, rows].concat())?;
        Ok(Self {
            srs,
            model: Model {
                architecture,
                commitment,
            },
            context,
            input,
            output,
            proof: proof.to_vec(),
        })
    }
}

fn plan_error(error: PlanError) -> FileError {
    FileError::Commitment(CommitmentError::Plan(error))
}

/// A part: its length in four bytes, big endian, then the part. Parts of checked things are far below 4 GiB.
fn push(file: &mut Vec<u8>, part: &[u8]) {
    file.extend((part.len() as u32).to_be_bytes());
    file.extend(part);
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn new(bytes: &'a [u8], magic: &[u8; 4], expected: &'static str) -> Result<Self, FileError> {
        if bytes.len() > MOST_FILE_BYTES {
            return Err(FileError::TooLong { got: bytes.len() });
        }
        let rest = bytes.strip_prefix(magic).ok_or(FileError::Magic { expected })?;
        Ok(Self { rest })
    }

    fn take(&mut self, count: usize, part: &'static str) -> Result<&'a [u8], FileError> {
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(FileError::Truncated { part })?;
        self.rest = rest;
        Ok(taken)
    }

    fn word(&mut self, part: &'static str) -> Result<Word, FileError> {
        self.take(32, part)?
            .try_into()
            .map_err(|_| FileError::Truncated { part })
    }

    fn part(&mut self, part: &'static str) -> Result<&'a [u8], FileError> {
        let length = self
            .take(4, part)?
            .try_into()
            .map_err(|_| FileError::Truncated { part })?;
        self.take(u32::from_be_bytes(length) as usize, part)
    }

    fn finish(self) -> Result<(), FileError> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(FileError::Trailing { got: self.rest.len() })
        }
    }
}

#[cfg(test)]
mod tests {
    use counterweight_primitives::architecture::{Bias, Layer, Node, Output, Shape};
    use proptest::prelude::*;

    use super::*;
    use crate::G1Affine;
    use crate::opening::Scheme;

    fn model() -> Model {
        let bias = Bias { digits: 1, shift: 0 };
        let layers = vec![Layer::Dense {
            input: Node(0),
            outputs: 3,
            bias,
            output: Output::Raw,
        }];
        let architecture = Architecture::new(Shape::vector(5).unwrap(), layers).unwrap();
        let rows = vec![G1Affine::generator(); WeightPlan::new(&architecture, 11).unwrap().rows];
        Model {
            architecture,
            commitment: WeightCommitment {
                row_bits: 11,
                scheme: Scheme::Mercury,
                rows,
            },
        }
    }

    fn answer() -> ProvenAnswer {
        let model = model();
        let mut proof: Vec<u8> = model.commitment.encode().split_off(2);
        proof.extend([1, 2, 3]);
        let input = ProvenInput::Public(vec![-128, 0, 1, 2, 127]);
        ProvenAnswer {
            srs: SrsId([4; 32]),
            model,
            context: [5; 32],
            input,
            output: vec![0; 12],
            proof,
        }
    }

    #[test]
    fn files_are_read_as_they_were_written() {
        let key = ModelKey {
            model: model(),
            srs: SrsId([1; 32]),
            registration: vec![9; 70],
            card: b"{}".to_vec(),
        };
        assert_eq!(ModelKey::from_bytes(&key.to_bytes()), Ok(key));
        let committed = ProvenAnswer {
            input: ProvenInput::Committed([7; 32]),
            ..answer()
        };
        for answer in [answer(), committed] {
            assert_eq!(ProvenAnswer::from_bytes(&answer.to_bytes()), Ok(answer));
        }
    }

    #[test]
    fn cut_and_padded_files_are_refused() {
        let bytes = answer().to_bytes();
        for length in 0..bytes.len() {
            ProvenAnswer::from_bytes(&bytes[..length]).unwrap_err();
        }
        let padded = [bytes.as_slice(), &[0]].concat();
        assert_eq!(
            ProvenAnswer::from_bytes(&padded),
            Err(FileError::Trailing { got: 1 })
        );
        assert_eq!(
            ModelKey::from_bytes(&bytes),
            Err(FileError::Magic { expected: "CWK1" })
        );
        let long = vec![0; MOST_FILE_BYTES + 1];
        assert_eq!(
            ModelKey::from_bytes(&long),
            Err(FileError::TooLong {
                got: MOST_FILE_BYTES + 1
            })
        );
    }

    #[test]
    fn one_answer_has_one_file() {
        let bytes = answer().to_bytes();
        for at in 0..bytes.len() {
            let mut other = bytes.clone();
            other[at] ^= 1;
            if let Ok(read) = ProvenAnswer::from_bytes(&other) {
                assert_ne!(read, answer(), "byte {at}");
                assert_eq!(read.to_bytes(), other, "byte {at}");
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_files_are_refused_not_followed(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            for magic in [KEY_MAGIC, PROOF_MAGIC] {
                let file = [magic.as_slice(), &bytes].concat();
                prop_assert!(ModelKey::from_bytes(&file).is_err());
                prop_assert!(ProvenAnswer::from_bytes(&file).is_err());
            }
        }
    }
}
