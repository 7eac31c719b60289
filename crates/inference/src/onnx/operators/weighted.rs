//! Layers with weights.

use counterweight_primitives::architecture::{Padding, Shape};

use super::{
    operand::{constant, per_channel, tensor},
    plane::{plane, windowed},
};
use crate::{
    FloatLayer, Operator,
    onnx::{
        OnnxError,
        attributes::Reader,
        file::Tensor,
        graph::{Binding, Builder, View},
    },
};

fn transpose(weights: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| weights[row * columns + column]))
        .collect()
}

/// Folds what is yet to be multiplied and added into weights that read it, each channel of `each` terms.
fn fold(view: &mut View, weights: &mut [f32], biases: &mut [f32], each: usize) {
    let Some(affine) = view.affine.take() else { return };
    let terms = each * affine.factors.len();
    for (row, bias) in weights.chunks_exact_mut(terms.max(1)).zip(biases) {
        for ((column, factor), term) in row
            .chunks_exact_mut(each.max(1))
            .zip(&affine.factors)
            .zip(&affine.terms)
        {
            for weight in column {
                *bias += *weight * term;
                *weight *= factor;
            }
        }
    }
}

fn dense<'a>(
    builder: &mut Builder<'a>,
    reader: &Reader<'_>,
    mut view: View,
    mut weights: Vec<f32>,
    mut biases: Vec<f32>,
) -> Result<View, OnnxError> {
    if !view.is_vector {
        return Err(reader.refuse("its input is a plane; it must be flattened first"));
    }
    let shape = Shape::vector(biases.len()).map_err(OnnxError::Shape)?;
    fold(&mut view, &mut weights, &mut biases, 1);
    let layer = FloatLayer {
        name: reader.label().to_owned(),
        operator: Operator::Dense { weights, biases },
        inputs: vec![builder.number(&view, reader.label())?],
        relu: false,
    };
    let pushed = builder.push(layer, shape, &view);
    Ok(View {
        is_vector: true,
        ..pushed
    })
}

/// Sides of a matrix, if its rows or columns are as many as a vector has elements.
fn matrix(
    reader: &Reader<'_>,
    constant: &Tensor<'_>,
    view: &View,
    is_transposed: bool,
) -> Result<usize, OnnxError> {
    let inputs = view.shape.elements();
    let sides = match constant.sides[..] {
        [a, b] if is_transposed => [b, a],
        [a, b] => [a, b],
        _ => {
            return Err(reader.refuse(format!(
                "its weights have sides {:?}, expected a matrix",
                constant.sides
            )));
        }
    };
    match sides.map(usize::try_from) {
        [Ok(rows), Ok(columns)] if rows == inputs && columns > 0 => Ok(columns),
        _ => Err(reader.refuse(format!(
            "its weights have sides {:?}, its input {inputs} elements",
            constant.sides
        ))),
    }
}

pub(super) fn gemm<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = tensor(reader, operands, 0)?;
    reader.expect("transA", 0)?;
    let (alpha, beta) = (reader.float("alpha", 1.0), reader.float("beta", 1.0));
    let is_transposed = reader.integer("transB", 0) != 0;
    let matrix_constant = constant(reader, operands, 1)?;
    let outputs = matrix(reader, matrix_constant, &view, is_transposed)?;
    let mut weights = matrix_constant.floats()?;
    if !is_transposed {
        weights = transpose(&weights, view.shape.elements(), outputs);
    }
    weights.iter_mut().for_each(|weight| *weight *= alpha);
    let mut biases = match operands.get(2) {
        None => vec![0.0; outputs],
        Some(_) => per_channel(reader, constant(reader, operands, 2)?, outputs, 0)?,
    };
    biases.iter_mut().for_each(|bias| *bias *= beta);
    dense(builder, reader, view, weights, biases)
}

pub(super) fn matmul<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = tensor(reader, operands, 0)?;
    let matrix_constant = constant(reader, operands, 1)?;
    let outputs = matrix(reader, matrix_constant, &view, false)?;
    let weights = transpose(&matrix_constant.floats()?, view.shape.elements(), outputs);
    dense(builder, reader, view, weights, vec![0.0; outputs])
}

pub(super) fn conv<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let mut view = tensor(reader, operands, 0)?;
    plane(builder, reader, &view)?;
    reader.expect("group", 1)?;
    let kernel = constant(reader, operands, 1)?;
    let [outputs, inputs, height, width] = kernel.sides[..] else {
        return Err(reader.refuse(format!(
            "its weights have sides {:?}, expected four",
            kernel.sides
        )));
    };
    if usize::try_from(inputs) != Ok(view.shape.channels()) {
        return Err(reader.refuse(format!(
            "its weights read {inputs} channels, its input has {}",
            view.shape.channels()
        )));
    }
    let mut weights = kernel.floats()?;
    let outputs = usize::try_from(outputs).unwrap_or_default();
    let (_, window, padding) = reader.window(view.shape, Some([height, width]))?;
    let mut biases = match operands.get(2) {
        None => vec![0.0; outputs],
        Some(_) => per_channel(reader, constant(reader, operands, 2)?, outputs, 0)?,
    };
    // Zeros of the padding come after what is yet to be added, so that cannot be folded past them.
    if padding != Padding::default()
        && view
            .affine
            .as_ref()
            .is_some_and(|it| it.terms.iter().any(|term| *term != 0.0))
    {
        view = builder.settled(view, reader.label())?;
    }
    fold(&mut view, &mut weights, &mut biases, window.elements());
    let operator = Operator::Conv {
        window,
        padding,
        weights,
        biases,
    };
    windowed(builder, reader, &view, operator, outputs, window, padding)
}
