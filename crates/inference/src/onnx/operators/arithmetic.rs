//! Additions, and what multiplies or adds constants.

use super::operand::{constant, per_channel, tensor};
use crate::{
    FloatLayer, Operator,
    onnx::{
        OnnxError,
        attributes::Reader,
        graph::{Affine, Binding, Builder, View},
    },
};

pub(super) fn normalise<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = tensor(reader, operands, 0)?;
    reader.expect("training_mode", 0)?;
    reader.expect("spatial", 1)?;
    reader.pass_over(&["momentum", "is_test"]);
    let epsilon = reader.float("epsilon", 1e-5);
    let channels = view.shape.channels();
    let list = |at| per_channel(reader, constant(reader, operands, at)?, channels, 0);
    let (scale, bias, mean, variance) = (list(1)?, list(2)?, list(3)?, list(4)?);
    let factors: Vec<f32> = scale
        .iter()
        .zip(&variance)
        .map(|(scale, variance)| scale / (variance + epsilon).sqrt())
        .collect();
    let terms = bias
        .iter()
        .zip(&mean)
        .zip(&factors)
        .map(|((bias, mean), factor)| bias - mean * factor)
        .collect();
    Ok(builder.apply(view, Affine { factors, terms }))
}

pub(super) fn arithmetic<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operator: &str,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let (view, other) = match operands {
        [Binding::Tensor(left), Binding::Tensor(right)] if operator == "Add" => {
            return add(builder, reader, left.clone(), right.clone());
        }
        [Binding::Tensor(view), Binding::Constant(other)] => (view.clone(), other),
        [Binding::Constant(other), Binding::Tensor(view)] if matches!(operator, "Add" | "Mul") => {
            (view.clone(), other)
        }
        _ => {
            return Err(
                reader.refuse("its inputs must be a computed tensor and a constant, or two tensors to add")
            );
        }
    };
    let after = if view.is_vector { 0 } else { 2 };
    let channels = view.shape.channels();
    let values = per_channel(reader, other, channels, after)?;
    let (ones, zeros) = (vec![1.0; channels], vec![0.0; channels]);
    let affine = match operator {
        "Add" => Affine {
            factors: ones,
            terms: values,
        },
        "Sub" => Affine {
            factors: ones,
            terms: values.iter().map(|value| -value).collect(),
        },
        "Mul" => Affine {
            factors: values,
            terms: zeros,
        },
        _ => Affine {
            factors: values.iter().map(|value| 1.0 / value).collect(),
            terms: zeros,
        },
    };
    Ok(builder.apply(view, affine))
}

fn add(builder: &mut Builder<'_>, reader: &Reader<'_>, left: View, right: View) -> Result<View, OnnxError> {
    let left = builder.settled(left, reader.label())?;
    let right = builder.settled(right, reader.label())?;
    let shapes = [builder.shape_of(left.node), builder.shape_of(right.node)];
    if left.shape != right.shape || left.is_vector != right.is_vector || shapes[0] != shapes[1] {
        return Err(reader.refuse(format!(
            "it adds {} to {}; tensors of one shape can be added",
            left.shape, right.shape
        )));
    }
    let layer = FloatLayer {
        name: reader.label().to_owned(),
        operator: Operator::Add,
        inputs: vec![
            builder.number(&left, reader.label())?,
            builder.number(&right, reader.label())?,
        ],
        relu: false,
    };
    let own = shapes[0].unwrap_or(left.shape);
    let pushed = builder.push(layer, own, &left);
    Ok(View {
        shape: left.shape,
        ..pushed
    })
}
