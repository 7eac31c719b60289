//! The messages of onnx.proto that matter here, read from the wire. Field numbers are those of ONNX 1.20; unknown fields are
//! passed over, as Protocol Buffers wants it.

use super::{
    OnnxError,
    protobuf::{Fields, Malformed, Value},
};

/// Most nodes, constants, inputs and outputs of a graph.
pub(super) const MOST_ITEMS: usize = 4096;
/// Most sides of a tensor, inputs, outputs and attributes of a node, and numbers in an attribute: a field of two bytes becomes
/// a value of hundreds, so a file must not choose how many.
pub(super) const MOST_SIDES: usize = 64;
/// Most elements of a constant.
const MOST_CONSTANT: usize = 1 << 26;

#[derive(Debug, Default)]
pub(super) struct File<'a> {
    /// Version of the standard operators; 0 if the file names none.
    pub(super) opset: i64,
    pub(super) graph: Graph<'a>,
}

#[derive(Debug, Default)]
pub(super) struct Graph<'a> {
    pub(super) nodes: Vec<NodeProto<'a>>,
    pub(super) constants: Vec<Tensor<'a>>,
    pub(super) inputs: Vec<TensorInfo<'a>>,
    pub(super) outputs: Vec<TensorInfo<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct NodeProto<'a> {
    pub(super) name: &'a str,
    pub(super) operator: &'a str,
    pub(super) domain: &'a str,
    pub(super) inputs: Vec<&'a str>,
    pub(super) outputs: Vec<&'a str>,
    pub(super) attributes: Vec<Attribute<'a>>,
}

#[derive(Debug, Default)]
pub(super) struct Attribute<'a> {
    pub(super) name: &'a str,
    pub(super) float: Option<f32>,
    pub(super) integer: Option<i64>,
    pub(super) text: Option<&'a [u8]>,
    pub(super) tensor: Option<Tensor<'a>>,
    pub(super) integers: Vec<i64>,
    pub(super) floats: Vec<f32>,
}

#[derive(Debug, Default, Clone)]
pub(super) struct Tensor<'a> {
    pub(super) name: &'a str,
    pub(super) sides: Vec<i64>,
    pub(super) data_type: i64,
    raw: Option<&'a [u8]>,
    floats: Vec<f32>,
    integers: Vec<i64>,
    doubles: Vec<&'a [u8]>,
    is_elsewhere: bool,
}

/// A graph's input or output.
#[derive(Debug, Default)]
pub(super) struct TensorInfo<'a> {
    pub(super) name: &'a str,
    /// 0 if unknown.
    pub(super) element_type: i64,
    /// Sides; nothing where a side has no number.
    pub(super) sides: Vec<Option<i64>>,
}

const FLOAT: i64 = 1;
const INT64: i64 = 7;
const DOUBLE: i64 = 11;

impl<'a> File<'a> {
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut file = Self::default();
        let mut graph = None;
        for field in Fields::of(bytes) {
            match field? {
                (7, value) => graph = Some(value.bytes()?),
                (8, value) => {
                    let (mut domain, mut version) = ("", 0);
                    for field in Fields::of(value.bytes()?) {
                        match field? {
                            (1, value) => domain = value.text()?,
                            (2, value) => version = value.integer()?,
                            _ => {}
                        }
                    }
                    if matches!(domain, "" | "ai.onnx") {
                        file.opset = version;
                    }
                }
                _ => {}
            }
        }
        file.graph = Graph::read(graph.ok_or(OnnxError::Malformed)?)?;
        Ok(file)
    }
}

impl<'a> Graph<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut graph = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, value) => push(&mut graph.nodes, "nodes", NodeProto::read(value.bytes()?)?)?,
                (5, value) => push(&mut graph.constants, "constants", Tensor::read(value.bytes()?)?)?,
                (11, value) => push(&mut graph.inputs, "inputs", TensorInfo::read(value.bytes()?)?)?,
                (12, value) => push(&mut graph.outputs, "outputs", TensorInfo::read(value.bytes()?)?)?,
                (15, _) => return Err(OnnxError::SparseConstant),
                _ => {}
            }
        }
        Ok(graph)
    }
}

fn push<T>(list: &mut Vec<T>, what: &'static str, item: T) -> Result<(), OnnxError> {
    push_up_to(MOST_ITEMS, list, what, item)
}

fn push_up_to<T>(limit: usize, list: &mut Vec<T>, what: &'static str, item: T) -> Result<(), OnnxError> {
    if list.len() >= limit {
        return Err(OnnxError::TooMany { what, limit });
    }
    list.push(item);
    Ok(())
}

impl<'a> NodeProto<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut node = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, value) => push_up_to(MOST_SIDES, &mut node.inputs, "inputs of a node", value.text()?)?,
                (2, value) => push_up_to(MOST_SIDES, &mut node.outputs, "outputs of a node", value.text()?)?,
                (3, value) => node.name = value.text()?,
                (4, value) => node.operator = value.text()?,
                (5, value) => {
                    let attribute = Attribute::read(value.bytes()?)?;
                    push_up_to(
                        MOST_SIDES,
                        &mut node.attributes,
                        "attributes of a node",
                        attribute,
                    )?;
                }
                (7, value) => node.domain = value.text()?,
                _ => {}
            }
        }
        Ok(node)
    }
}

impl<'a> Attribute<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut attribute = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, value) => attribute.name = value.text()?,
                (2, value) => attribute.float = Some(value.float()?),
                (3, value) => attribute.integer = Some(value.integer()?),
                (4, value) => attribute.text = Some(value.bytes()?),
                (5, value) => attribute.tensor = Some(Tensor::read(value.bytes()?)?),
                (7, value) => value.floats(&mut attribute.floats, MOST_SIDES)?,
                (8, value) => value.integers(&mut attribute.integers, MOST_SIDES)?,
                _ => {}
            }
        }
        Ok(attribute)
    }
}

impl<'a> Tensor<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut tensor = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, value) => value.integers(&mut tensor.sides, MOST_SIDES)?,
                (2, value) => tensor.data_type = value.integer()?,
                (4, value) => value.floats(&mut tensor.floats, MOST_CONSTANT)?,
                (7, value) => value.integers(&mut tensor.integers, MOST_ITEMS)?,
                (8, value) => tensor.name = value.text()?,
                (9, value) => tensor.raw = Some(value.bytes()?),
                (10, value) => push(&mut tensor.doubles, "pieces of a constant", double_bytes(&value)?)?,
                (13, _) => tensor.is_elsewhere = true,
                (14, value) => tensor.is_elsewhere |= value.integer()? != 0,
                _ => {}
            }
        }
        Ok(tensor)
    }

    /// A constant of floats that an attribute holds.
    pub(super) fn of_floats(floats: Vec<f32>, sides: Vec<i64>) -> Self {
        Self {
            sides,
            data_type: FLOAT,
            floats,
            ..Self::default()
        }
    }

    /// A constant of integers that an attribute holds.
    pub(super) fn of_integers(integers: Vec<i64>, sides: Vec<i64>) -> Self {
        Self {
            sides,
            data_type: INT64,
            integers,
            ..Self::default()
        }
    }

    /// How many elements its sides make, if they are sides and not too many.
    pub(super) fn elements(&self) -> Option<usize> {
        self.sides.iter().try_fold(1_usize, |product, side| {
            let side = usize::try_from(*side).ok()?;
            product
                .checked_mul(side)
                .filter(|product| *product <= MOST_CONSTANT)
        })
    }

    pub(super) fn holds_floats(&self) -> bool {
        matches!(self.data_type, FLOAT | DOUBLE)
    }

    /// Its elements in single precision.
    pub(super) fn floats(&self) -> Result<Vec<f32>, OnnxError> {
        let found: Vec<f32> = match (self.data_type, self.raw) {
            _ if self.is_elsewhere => return Err(self.elsewhere()),
            (FLOAT, Some(raw)) => raw
                .as_chunks::<4>()
                .0
                .iter()
                .map(|it| f32::from_le_bytes(*it))
                .collect(),
            (FLOAT, None) => self.floats.clone(),
            (DOUBLE, Some(raw)) => doubles(raw).collect(),
            (DOUBLE, None) => self.doubles.iter().flat_map(|bytes| doubles(bytes)).collect(),
            (got, _) => {
                return Err(OnnxError::ConstantType {
                    name: self.name.to_owned(),
                    got,
                });
            }
        };
        self.counted(found)
    }

    /// Its elements as integers, such as the sides a tensor is reshaped to.
    pub(super) fn integers(&self) -> Result<Vec<i64>, OnnxError> {
        let found: Vec<i64> = match (self.data_type, self.raw) {
            _ if self.is_elsewhere => return Err(self.elsewhere()),
            (INT64, Some(raw)) if raw.len() <= 8 * MOST_ITEMS => raw
                .as_chunks::<8>()
                .0
                .iter()
                .map(|it| i64::from_le_bytes(*it))
                .collect(),
            (INT64, None) => self.integers.clone(),
            (got, _) => {
                return Err(OnnxError::ConstantType {
                    name: self.name.to_owned(),
                    got,
                });
            }
        };
        self.counted(found)
    }

    fn elsewhere(&self) -> OnnxError {
        OnnxError::ExternalData {
            name: self.name.to_owned(),
        }
    }

    fn counted<T>(&self, found: Vec<T>) -> Result<Vec<T>, OnnxError> {
        if self.elements() == Some(found.len()) {
            Ok(found)
        } else {
            Err(OnnxError::ConstantLength {
                name: self.name.to_owned(),
                got: found.len(),
            })
        }
    }
}

fn double_bytes<'a>(value: &Value<'a>) -> Result<&'a [u8], Malformed> {
    // Exporters pack doubles; a lone one would be eight bytes of its own, which nobody writes.
    value.bytes()
}

fn doubles(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes
        .as_chunks::<8>()
        .0
        .iter()
        .map(|it| f64::from_le_bytes(*it) as f32)
}

impl<'a> TensorInfo<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, OnnxError> {
        let mut info = Self::default();
        for field in Fields::of(bytes) {
            match field? {
                (1, value) => info.name = value.text()?,
                (2, value) => info.read_type(value.bytes()?)?,
                _ => {}
            }
        }
        Ok(info)
    }

    fn read_type(&mut self, bytes: &'a [u8]) -> Result<(), OnnxError> {
        for field in Fields::of(bytes) {
            let (1, value) = field? else { continue };
            for field in Fields::of(value.bytes()?) {
                match field? {
                    (1, value) => self.element_type = value.integer()?,
                    (2, value) => self.read_sides(value.bytes()?)?,
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn read_sides(&mut self, bytes: &'a [u8]) -> Result<(), OnnxError> {
        for field in Fields::of(bytes) {
            let (1, value) = field? else { continue };
            let mut side = None;
            for field in Fields::of(value.bytes()?) {
                if let (1, value) = field? {
                    side = Some(value.integer()?);
                }
            }
            if self.sides.len() >= MOST_SIDES {
                return Err(OnnxError::Malformed);
            }
            self.sides.push(side);
        }
        Ok(())
    }
}

impl From<Malformed> for OnnxError {
    fn from(_: Malformed) -> Self {
        Self::Malformed
    }
}
