//! What a node reads.

use crate::onnx::{
    OnnxError,
    attributes::Reader,
    file::{NodeProto, Tensor},
    graph::{Binding, Builder, View},
};

pub(super) fn operands<'a>(
    builder: &Builder<'a>,
    node: &'a NodeProto<'a>,
    reader: &Reader<'a>,
) -> Result<Vec<Binding<'a>>, OnnxError> {
    let mut names = node.inputs.as_slice();
    // An empty name stands for an optional input that is left out.
    while let [rest @ .., ""] = names {
        names = rest;
    }
    names.iter().map(|name| builder.value(name, reader)).collect()
}

pub(super) fn tensor(reader: &Reader<'_>, operands: &[Binding<'_>], at: usize) -> Result<View, OnnxError> {
    match operands.get(at) {
        Some(Binding::Tensor(view)) => Ok(view.clone()),
        Some(Binding::End(_)) => Err(reader.refuse("it follows an operator that may only stand at the end")),
        Some(Binding::Constant(_)) => {
            Err(reader.refuse(format!("input {at} is a constant, expected a computed tensor")))
        }
        None => Err(reader.refuse(format!("input {at} is missing"))),
    }
}

pub(super) fn constant<'b, 'a>(
    reader: &Reader<'_>,
    operands: &'b [Binding<'a>],
    at: usize,
) -> Result<&'b Tensor<'a>, OnnxError> {
    match operands.get(at) {
        Some(Binding::Constant(constant)) => Ok(constant),
        Some(_) => Err(reader.refuse(format!("input {at} is computed, expected a constant"))),
        None => Err(reader.refuse(format!("input {at} is missing"))),
    }
}

/// A constant as one number for each of `count` channels, which are the last side but `after`.
pub(super) fn per_channel(
    reader: &Reader<'_>,
    constant: &Tensor<'_>,
    count: usize,
    after: usize,
) -> Result<Vec<f32>, OnnxError> {
    let values = constant.floats()?;
    let sides = &constant.sides;
    let channel_at = sides.len().checked_sub(1 + after);
    let is_flat = sides
        .iter()
        .enumerate()
        .all(|(at, side)| *side == 1 || Some(at) == channel_at);
    match values[..] {
        [value] => Ok(vec![value; count]),
        _ if is_flat && values.len() == count => Ok(values),
        _ => Err(reader.refuse(format!(
            "a constant has sides {sides:?}, expected one number or one for each of {count} channels"
        ))),
    }
}
