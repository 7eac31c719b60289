//! Other shapes of the same elements.

use counterweight_primitives::architecture::Shape;

use super::operand::{constant, tensor};
use crate::onnx::{
    OnnxError,
    attributes::Reader,
    graph::{Binding, Builder, View},
};

pub(super) fn flatten<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = builder.settled(tensor(reader, operands, 0)?, reader.label())?;
    let sides = if view.is_vector { 2 } else { 4 };
    let axis = reader.integer("axis", 1);
    if axis != 1 && axis != 1 - sides {
        return Err(reader.refuse(format!("attribute axis is {axis}, only 1 is supported")));
    }
    let shape = Shape::vector(view.shape.elements()).map_err(OnnxError::Shape)?;
    Ok(View {
        shape,
        is_vector: true,
        ..view
    })
}

pub(super) fn reshape<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = builder.settled(tensor(reader, operands, 0)?, reader.label())?;
    let wished = constant(reader, operands, 1)?.integers()?;
    let copies = reader.integer("allowzero", 0) == 0;
    let own: &[usize] = if view.is_vector {
        &[1, view.shape.channels()]
    } else {
        &[1, view.shape.channels(), view.shape.height(), view.shape.width()]
    };
    let refused = || reader.refuse(format!("it reshapes a tensor of {} to {wished:?}", view.shape));
    let elements = view.shape.elements();
    let mut sides = Vec::new();
    for (at, side) in wished.iter().enumerate() {
        sides.push(match *side {
            0 if copies => Some(*own.get(at).ok_or_else(refused)?),
            -1 => None,
            side => Some(usize::try_from(side).map_err(|_| refused())?),
        });
    }
    // A batch of one, whichever way it is written; what is left open takes the rest.
    let known = sides
        .iter()
        .flatten()
        .try_fold(1_usize, |product, side| product.checked_mul(*side));
    let known = known
        .filter(|known| *known > 0 && elements % known == 0)
        .ok_or_else(refused)?;
    let open = sides.iter().filter(|side| side.is_none()).count();
    let sides: Vec<usize> = sides
        .into_iter()
        .map(|side| side.unwrap_or(elements / known))
        .collect();
    if open > 1 || sides.first() != Some(&1) || sides.iter().product::<usize>() != elements {
        return Err(refused());
    }
    let shape = match sides[..] {
        [_, features] => Shape::vector(features),
        [_, channels, height, width] => Shape::new(channels, height, width),
        _ => return Err(refused()),
    };
    Ok(View {
        shape: shape.map_err(OnnxError::Shape)?,
        is_vector: sides.len() == 2,
        ..view
    })
}
