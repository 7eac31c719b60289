//! Attributes of a node: each is taken by name, and one that nobody took is refused, so that none is overlooked.

use counterweight_primitives::architecture::{Padding, Shape, Window};

use super::{
    OnnxError,
    file::{Attribute, NodeProto, Tensor},
};

/// A node being read.
pub(super) struct Reader<'a> {
    node: &'a NodeProto<'a>,
    label: String,
    taken: Vec<&'a str>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(node: &'a NodeProto<'a>, index: usize) -> Self {
        let label = if node.name.is_empty() {
            node.outputs
                .first()
                .map_or_else(|| format!("#{index}"), |output| (*output).to_owned())
        } else {
            node.name.to_owned()
        };
        Self {
            node,
            label,
            taken: Vec::new(),
        }
    }

    pub(super) fn label(&self) -> &str {
        &self.label
    }

    pub(super) fn refuse(&self, reason: impl Into<String>) -> OnnxError {
        OnnxError::Unsupported {
            node: self.label.clone(),
            operator: self.node.operator.to_owned(),
            reason: reason.into(),
        }
    }

    fn take(&mut self, name: &'static str) -> Option<&'a Attribute<'a>> {
        self.taken.push(name);
        self.node
            .attributes
            .iter()
            .find(|attribute| attribute.name == name)
    }

    /// Passes over attributes that change nothing here.
    pub(super) fn pass_over(&mut self, names: &[&'static str]) {
        self.taken.extend(names);
    }

    pub(super) fn integer(&mut self, name: &'static str, default: i64) -> i64 {
        self.take(name)
            .and_then(|attribute| attribute.integer)
            .unwrap_or(default)
    }

    pub(super) fn float(&mut self, name: &'static str, default: f32) -> f32 {
        self.take(name)
            .and_then(|attribute| attribute.float)
            .unwrap_or(default)
    }

    pub(super) fn integers(&mut self, name: &'static str) -> Option<&'a [i64]> {
        self.take(name).map(|attribute| attribute.integers.as_slice())
    }

    /// Refuses an attribute with another value than the one that is the same as not having it.
    pub(super) fn expect(&mut self, name: &'static str, only: i64) -> Result<(), OnnxError> {
        match self.integer(name, only) {
            value if value == only => Ok(()),
            value => Err(self.refuse(format!("attribute {name} is {value}, only {only} is supported"))),
        }
    }

    /// A constant's value, from whichever attribute holds it.
    pub(super) fn constant(&mut self) -> Result<Tensor<'a>, OnnxError> {
        for name in ["value", "value_float", "value_floats", "value_int", "value_ints"] {
            let Some(attribute) = self.take(name) else {
                continue;
            };
            let count = |list: usize| vec![list as i64];
            return Ok(match name {
                "value" => attribute.tensor.clone().ok_or(OnnxError::Malformed)?,
                "value_float" => Tensor::of_floats(vec![attribute.float.unwrap_or_default()], Vec::new()),
                "value_floats" => Tensor::of_floats(attribute.floats.clone(), count(attribute.floats.len())),
                "value_int" => Tensor::of_integers(vec![attribute.integer.unwrap_or_default()], Vec::new()),
                _ => Tensor::of_integers(attribute.integers.clone(), count(attribute.integers.len())),
            });
        }
        Err(self.refuse("its value is of a kind that is not supported"))
    }

    /// Whether all attributes were taken.
    pub(super) fn finish(&self) -> Result<(), OnnxError> {
        let left = self
            .node
            .attributes
            .iter()
            .find(|attribute| !self.taken.contains(&attribute.name));
        match left {
            None => Ok(()),
            Some(attribute) => Err(self.refuse(format!("attribute {} is not supported", attribute.name))),
        }
    }

    /// Window and padding of a convolution or pool over a plane. `kernel`: the weights' own sides, if there are weights.
    pub(super) fn window(
        &mut self,
        input: Shape,
        kernel: Option<[i64; 2]>,
    ) -> Result<([u8; 2], Window, Padding), OnnxError> {
        let sides = self.pair("kernel_shape", kernel)?;
        if kernel.is_some_and(|kernel| kernel != sides.map(i64::from)) {
            return Err(self.refuse("attribute kernel_shape differs from the weights' sides"));
        }
        let strides = self.pair("strides", Some([1, 1]))?;
        if self.pair("dilations", Some([1, 1]))? != [1, 1] {
            return Err(self.refuse("attribute dilations is not 1: dilated windows are not supported"));
        }
        let window = Window {
            height: sides[0],
            width: sides[1],
            stride_y: strides[0],
            stride_x: strides[1],
        };
        let padding = self.padding(input, window)?;
        if self.integer("ceil_mode", 0) != 0 {
            let uneven = |length: usize, ends: u8, side: u8, stride: u8| {
                (length + usize::from(ends)).saturating_sub(usize::from(side)) % usize::from(stride) != 0
            };
            let ends = [
                padding.top.saturating_add(padding.bottom),
                padding.left.saturating_add(padding.right),
            ];
            if uneven(input.height(), ends[0], sides[0], strides[0])
                || uneven(input.width(), ends[1], sides[1], strides[1])
            {
                return Err(self.refuse("attribute ceil_mode makes windows that reach over the edge"));
            }
        }
        Ok((sides, window, padding))
    }

    fn pair(&mut self, name: &'static str, default: Option<[i64; 2]>) -> Result<[u8; 2], OnnxError> {
        let found = match (self.integers(name), default) {
            (Some([y, x]), _) => [*y, *x],
            (None, Some(default)) => default,
            (None, None) => return Err(self.refuse(format!("attribute {name} is missing"))),
            (Some(other), _) => {
                return Err(self.refuse(format!("attribute {name} has {} sides, expected 2", other.len())));
            }
        };
        let byte = |value: i64| u8::try_from(value).ok().filter(|value| *value > 0);
        match found.map(byte) {
            [Some(y), Some(x)] => Ok([y, x]),
            _ => Err(self.refuse(format!(
                "attribute {name} is {found:?}, each must be from 1 to 255"
            ))),
        }
    }

    fn padding(&mut self, input: Shape, window: Window) -> Result<Padding, OnnxError> {
        let pads = self.integers("pads");
        let automatic = self
            .take("auto_pad")
            .and_then(|attribute| attribute.text)
            .unwrap_or(b"NOTSET");
        let same = |length: usize, side: u8, stride: u8| {
            let (side, stride) = (usize::from(side), usize::from(stride));
            ((length.div_ceil(stride) - 1) * stride + side).saturating_sub(length)
        };
        let total = [
            same(input.height(), window.height, window.stride_y),
            same(input.width(), window.width, window.stride_x),
        ];
        let found: [i64; 4] = match (automatic, pads) {
            (b"NOTSET", None) | (b"VALID", _) => [0; 4],
            (b"NOTSET", Some(pads)) => pads
                .try_into()
                .map_err(|_| self.refuse(format!("attribute pads has {} sides, expected 4", pads.len())))?,
            (b"SAME_UPPER", _) => [
                total[0] / 2,
                total[1] / 2,
                total[0].div_ceil(2),
                total[1].div_ceil(2),
            ]
            .map(|it| it as i64),
            (b"SAME_LOWER", _) => [
                total[0].div_ceil(2),
                total[1].div_ceil(2),
                total[0] / 2,
                total[1] / 2,
            ]
            .map(|it| it as i64),
            _ => return Err(self.refuse("attribute auto_pad has an unknown value")),
        };
        let byte = |value: i64| u8::try_from(value).ok();
        match found.map(byte) {
            [Some(top), Some(left), Some(bottom), Some(right)] => Ok(Padding {
                top,
                left,
                bottom,
                right,
            }),
            _ => Err(self.refuse(format!("attribute pads is {found:?}, each must be from 0 to 255"))),
        }
    }
}
