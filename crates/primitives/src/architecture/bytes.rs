//! The one encoding of an architecture, docs/spec/arithmetic.md: records of 32 bytes, so that a contract reads each with one
//! load and shifts.

use std::fmt;

use sha3::{Digest as _, Keccak256};

use super::{
    Architecture, ArchitectureError, Bias, Layer, MOST_LAYERS, Node, Output, Padding, Problem, Requantise,
    Shape, Step, Window,
};

/// Bytes of the header and of each layer's record.
pub const RECORD_BYTES: usize = 32;

const MAGIC: &[u8; 4] = b"CWA1";

/// keccak256 of an architecture's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchitectureHash(pub [u8; 32]);

impl fmt::Display for ArchitectureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "0x{}", hex::encode(self.0))
    }
}

impl fmt::Debug for ArchitectureHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Architecture {
    /// Its bytes: [`RECORD_BYTES`] for the header and for each layer.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(RECORD_BYTES * (1 + self.steps.len()));
        bytes.extend_from_slice(&header(self.input, self.steps.len()));
        for step in &self.steps {
            bytes.extend_from_slice(&record(step));
        }
        bytes
    }

    /// Reads what [`encode`](Self::encode) writes, and nothing else: there is one encoding of each architecture.
    ///
    /// # Errors
    /// [`ArchitectureError`]: the bytes are no architecture's, or the architecture breaks a rule.
    pub fn decode(bytes: &[u8]) -> Result<Self, ArchitectureError> {
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        let (head, records) = records.split_first().ok_or(ArchitectureError::Header)?;
        let count = usize::from(head[4]);
        if !head.starts_with(MAGIC) || head[5..26].iter().any(|byte| *byte != 0) {
            return Err(ArchitectureError::Header);
        }
        if !(1..=MOST_LAYERS).contains(&count) {
            return Err(ArchitectureError::Layers { got: count });
        }
        if records.len() != count || !rest.is_empty() {
            return Err(ArchitectureError::Length {
                layers: count,
                expected: RECORD_BYTES * (1 + count),
                got: bytes.len(),
            });
        }
        let input = read_shape(head).map_err(ArchitectureError::Input)?;
        let at = |index: usize| move |problem| ArchitectureError::Layer { index, problem };
        let layers = records
            .iter()
            .enumerate()
            .map(|(index, record)| read_layer(record).map_err(at(index)))
            .collect::<Result<Vec<_>, _>>()?;
        let architecture = Self::new(input, layers)?;
        for (step, record) in architecture.steps.iter().zip(records) {
            check_record(step, record).map_err(at(step.index))?;
        }
        Ok(architecture)
    }

    /// keccak256 of its bytes.
    #[must_use]
    pub fn hash(&self) -> ArchitectureHash {
        ArchitectureHash(Keccak256::digest(self.encode()).into())
    }
}

fn header(input: Shape, layers: usize) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    bytes[..4].copy_from_slice(MAGIC);
    // The check allowed at most 64.
    bytes[4] = layers as u8;
    write_shape(&mut bytes, input);
    bytes
}

fn record(step: &Step) -> [u8; RECORD_BYTES] {
    let mut bytes = [0; RECORD_BYTES];
    let kind = match step.layer {
        Layer::Dense { .. } => 1,
        Layer::Conv { .. } => 2,
        Layer::AveragePool { .. } => 3,
        Layer::Add { .. } => 4,
        Layer::MaxPool { .. } => 5,
    };
    bytes[0] = kind;
    for (byte, node) in bytes[1..3].iter_mut().zip(step.layer.inputs()) {
        *byte = node.0;
    }
    (bytes[3], bytes[4]) = match step.layer.output() {
        None => (0, 0),
        Some(Output::Raw) => (1, 0),
        Some(Output::Requantise(Requantise { shift, relu })) => (if relu { 3 } else { 2 }, shift),
    };
    let bias = step.layer.bias().unwrap_or_default();
    (bytes[5], bytes[6]) = (bias.shift, bias.digits);
    match step.layer {
        Layer::AveragePool { multiplier, .. } => bytes[7] = multiplier,
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => (bytes[7], bytes[8]) = (left_multiplier, right_multiplier),
        _ => {}
    }
    if let Layer::Conv { window, .. } | Layer::AveragePool { window, .. } | Layer::MaxPool { window, .. } =
        step.layer
    {
        bytes[9..13].copy_from_slice(&[window.height, window.width, window.stride_y, window.stride_x]);
    }
    if let Layer::Conv { padding, .. } = step.layer {
        bytes[13..17].copy_from_slice(&[padding.top, padding.left, padding.bottom, padding.right]);
    }
    write_shape(&mut bytes, step.output);
    bytes
}

fn write_shape(bytes: &mut [u8; RECORD_BYTES], shape: Shape) {
    for (place, side) in bytes[26..].chunks_exact_mut(2).zip(shape.sides()) {
        place.copy_from_slice(&side.to_be_bytes());
    }
}

fn read_shape(bytes: &[u8; RECORD_BYTES]) -> Result<Shape, Problem> {
    let side = |at: usize| usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
    Shape::new(side(26), side(28), side(30))
}

fn read_layer(bytes: &[u8; RECORD_BYTES]) -> Result<Layer, Problem> {
    let input = Node(bytes[1]);
    let window = Window {
        height: bytes[9],
        width: bytes[10],
        stride_y: bytes[11],
        stride_x: bytes[12],
    };
    let requantise = |relu| Requantise {
        shift: bytes[4],
        relu,
    };
    let output = || match bytes[3] {
        1 => Ok(Output::Raw),
        2 => Ok(Output::Requantise(requantise(false))),
        3 => Ok(Output::Requantise(requantise(true))),
        got => Err(Problem::Byte { at: 3, got }),
    };
    let requantised = || match output()? {
        Output::Requantise(requantise) => Ok(requantise),
        Output::Raw => Err(Problem::Byte { at: 3, got: bytes[3] }),
    };
    let bias = Bias {
        shift: bytes[5],
        digits: bytes[6],
    };
    let channels = u16::from_be_bytes([bytes[26], bytes[27]]);
    Ok(match bytes[0] {
        1 => Layer::Dense {
            input,
            outputs: channels,
            bias,
            output: output()?,
        },
        2 => Layer::Conv {
            input,
            channels,
            window,
            padding: Padding {
                top: bytes[13],
                left: bytes[14],
                bottom: bytes[15],
                right: bytes[16],
            },
            bias,
            output: output()?,
        },
        3 => Layer::AveragePool {
            input,
            window,
            multiplier: bytes[7],
            output: requantised()?,
        },
        4 => Layer::Add {
            left: input,
            right: Node(bytes[2]),
            left_multiplier: bytes[7],
            right_multiplier: bytes[8],
            output: requantised()?,
        },
        5 => Layer::MaxPool { input, window },
        got => return Err(Problem::Byte { at: 0, got }),
    })
}

/// Writes the layer again: a byte that the layer does not use, or a shape that it does not have, shows as a difference.
fn check_record(step: &Step, found: &[u8; RECORD_BYTES]) -> Result<(), Problem> {
    let expected = record(step);
    let got = read_shape(found)?;
    if got != step.output {
        return Err(Problem::RecordedShape {
            expected: step.output,
            got,
        });
    }
    match expected
        .iter()
        .zip(found)
        .position(|(expected, found)| expected != found)
    {
        None => Ok(()),
        Some(at) => Err(Problem::Byte { at, got: found[at] }),
    }
}
