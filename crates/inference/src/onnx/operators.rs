//! What each operator becomes.

use counterweight_primitives::architecture::{MOST_POOLED, Padding, Shape, Window};

use super::{
    OnnxError,
    attributes::Reader,
    file::{NodeProto, Tensor},
    graph::{Affine, Binding, Builder, View},
};
use crate::{FloatLayer, Operator, Task};

/// Follows one node.
pub(super) fn read<'a>(
    builder: &mut Builder<'a>,
    node: &'a NodeProto<'a>,
    reader: &mut Reader<'a>,
) -> Result<Binding<'a>, OnnxError> {
    if node.operator == "Constant" {
        return reader.constant().map(Binding::Constant);
    }
    let operands = operands(builder, node, reader)?;
    if let (Some(Binding::Constant(constant)), "Identity") = (operands.first(), node.operator) {
        return Ok(Binding::Constant(constant.clone()));
    }
    if let (Some(Binding::End(view)), "Identity") = (operands.first(), node.operator) {
        return Ok(Binding::End(view.clone()));
    }
    let view = match node.operator {
        "Gemm" => gemm(builder, reader, &operands)?,
        "MatMul" => matmul(builder, reader, &operands)?,
        "Conv" => conv(builder, reader, &operands)?,
        "BatchNormalization" => normalise(builder, reader, &operands)?,
        "Add" | "Sub" | "Mul" | "Div" => arithmetic(builder, reader, node.operator, &operands)?,
        "Relu" => {
            let view = tensor(reader, &operands, 0)?;
            builder.rectify(view, reader.label())?
        }
        "MaxPool" | "AveragePool" => pool(builder, reader, node.operator, &operands)?,
        "GlobalAveragePool" | "GlobalMaxPool" => global_pool(builder, reader, node.operator, &operands)?,
        "ReduceMean" => reduce_mean(builder, reader, &operands)?,
        "Flatten" => flatten(builder, reader, &operands)?,
        "Reshape" => reshape(builder, reader, &operands)?,
        "Identity" => tensor(reader, &operands, 0)?,
        "Dropout" => {
            // Without effect outside training. From version 12 on an input may ask for training.
            reader.pass_over(&["ratio", "seed", "is_test"]);
            if operands.len() > 2 {
                return Err(reader.refuse("training_mode is set"));
            }
            tensor(reader, &operands, 0)?
        }
        "Softmax" | "LogSoftmax" | "Sigmoid" | "ArgMax" => {
            return end(builder, reader, node.operator, &operands);
        }
        operator => {
            return Err(OnnxError::Operator {
                node: reader.label().to_owned(),
                operator: operator.to_owned(),
            });
        }
    };
    Ok(Binding::Tensor(view))
}

fn operands<'a>(
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

fn tensor(reader: &Reader<'_>, operands: &[Binding<'_>], at: usize) -> Result<View, OnnxError> {
    match operands.get(at) {
        Some(Binding::Tensor(view)) => Ok(view.clone()),
        Some(Binding::End(_)) => Err(reader.refuse("it follows an operator that may only stand at the end")),
        Some(Binding::Constant(_)) => {
            Err(reader.refuse(format!("input {at} is a constant, expected a computed tensor")))
        }
        None => Err(reader.refuse(format!("input {at} is missing"))),
    }
}

fn constant<'b, 'a>(
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
fn per_channel(
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

fn gemm<'a>(
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

fn matmul<'a>(
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

fn plane(builder: &mut Builder<'_>, reader: &Reader<'_>, view: &View) -> Result<(), OnnxError> {
    if view.is_vector {
        return Err(reader.refuse("its input is a vector, expected [batch, channels, height, width]"));
    }
    builder.look_as_plane(view, reader)
}

fn conv<'a>(
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

/// Appends a layer whose window moves over a plane.
fn windowed(
    builder: &mut Builder<'_>,
    reader: &Reader<'_>,
    view: &View,
    operator: Operator,
    channels: usize,
    window: Window,
    padding: Padding,
) -> Result<View, OnnxError> {
    let places = |length: usize, ends: [u8; 2], side: u8, stride: u8| {
        let length = length + usize::from(ends[0]) + usize::from(ends[1]);
        Some(length.checked_sub(usize::from(side))? / usize::from(stride) + 1)
    };
    let rows = places(
        view.shape.height(),
        [padding.top, padding.bottom],
        window.height,
        window.stride_y,
    );
    let columns = places(
        view.shape.width(),
        [padding.left, padding.right],
        window.width,
        window.stride_x,
    );
    let (Some(rows), Some(columns)) = (rows, columns) else {
        return Err(reader.refuse(format!(
            "its window does not fit into its input of {}",
            view.shape
        )));
    };
    let shape = Shape::new(channels, rows, columns).map_err(OnnxError::Shape)?;
    let layer = FloatLayer {
        name: reader.label().to_owned(),
        operator,
        inputs: vec![builder.number(view, reader.label())?],
        relu: false,
    };
    Ok(builder.push(layer, shape, view))
}

fn pool<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operator: &str,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = builder.settled(tensor(reader, operands, 0)?, reader.label())?;
    plane(builder, reader, &view)?;
    // Without padding it does not matter whether padding counts; the order of indices nobody sees.
    reader.pass_over(&["count_include_pad", "storage_order"]);
    let (_, window, padding) = reader.window(view.shape, None)?;
    if padding != Padding::default() {
        return Err(reader.refuse("attribute pads is not 0: padded pools are not supported"));
    }
    if operator == "MaxPool" {
        max_pool(builder, reader, view, window)
    } else {
        let channels = view.shape.channels();
        windowed(
            builder,
            reader,
            &view,
            Operator::AveragePool { window },
            channels,
            window,
            padding,
        )
    }
}

/// A max pool of any window, as several of few elements: first along rows, then along columns.
fn max_pool(
    builder: &mut Builder<'_>,
    reader: &Reader<'_>,
    mut view: View,
    window: Window,
) -> Result<View, OnnxError> {
    let mut steps = Vec::new();
    if window.elements() <= MOST_POOLED {
        steps.push(window);
    } else {
        for (side, stride) in split(window.width, window.stride_x) {
            steps.push(Window {
                height: 1,
                width: side,
                stride_y: 1,
                stride_x: stride,
            });
        }
        for (side, stride) in split(window.height, window.stride_y) {
            steps.push(Window {
                height: side,
                width: 1,
                stride_y: stride,
                stride_x: 1,
            });
        }
    }
    for window in steps {
        let channels = view.shape.channels();
        let operator = Operator::MaxPool { window };
        view = windowed(
            builder,
            reader,
            &view,
            operator,
            channels,
            window,
            Padding::default(),
        )?;
    }
    Ok(view)
}

/// Windows of at most four elements, one after the other, that look at as many elements as one of `side`.
fn split(side: u8, stride: u8) -> Vec<(u8, u8)> {
    let (mut left, mut steps) = (side, Vec::new());
    while usize::from(left) > MOST_POOLED {
        steps.push((4, 1));
        left -= 3;
    }
    if left > 1 || stride > 1 {
        steps.push((left, stride));
    }
    steps
}

fn whole(reader: &Reader<'_>, view: &View) -> Result<Window, OnnxError> {
    match (
        u8::try_from(view.shape.height()),
        u8::try_from(view.shape.width()),
    ) {
        (Ok(height), Ok(width)) => Ok(Window {
            height,
            width,
            stride_y: 1,
            stride_x: 1,
        }),
        _ => Err(reader.refuse(format!("its plane of {} is longer than 255", view.shape))),
    }
}

fn global_pool<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operator: &str,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let view = builder.settled(tensor(reader, operands, 0)?, reader.label())?;
    plane(builder, reader, &view)?;
    let window = whole(reader, &view)?;
    if operator == "GlobalMaxPool" {
        return max_pool(builder, reader, view, window);
    }
    let channels = view.shape.channels();
    windowed(
        builder,
        reader,
        &view,
        Operator::AveragePool { window },
        channels,
        window,
        Padding::default(),
    )
}

/// A mean over rows and columns is a global average pool.
fn reduce_mean<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operands: &[Binding<'a>],
) -> Result<View, OnnxError> {
    let axes = match operands.get(1) {
        Some(_) => constant(reader, operands, 1)?.integers()?,
        None => reader.integers("axes").unwrap_or_default().to_vec(),
    };
    reader.pass_over(&["noop_with_empty_axes"]);
    let mut axes: Vec<i64> = axes
        .iter()
        .map(|axis| if *axis < 0 { axis + 4 } else { *axis })
        .collect();
    axes.sort_unstable();
    if axes != [2, 3] {
        return Err(reader.refuse("only the mean over the axes 2 and 3 is supported"));
    }
    let keeps = reader.integer("keepdims", 1) != 0;
    let view = global_pool(builder, reader, "GlobalAveragePool", operands)?;
    Ok(View {
        is_vector: !keeps,
        ..view
    })
}

fn normalise<'a>(
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

fn arithmetic<'a>(
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

fn flatten<'a>(
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

fn reshape<'a>(
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

/// What may stand at the end: it changes no class, so it is left off.
fn end<'a>(
    builder: &mut Builder<'a>,
    reader: &mut Reader<'a>,
    operator: &str,
    operands: &[Binding<'a>],
) -> Result<Binding<'a>, OnnxError> {
    let view = match operands.first() {
        // The class with the largest probability is the one with the largest logit.
        Some(Binding::End(view)) if operator == "ArgMax" => view.clone(),
        _ => tensor(reader, operands, 0)?,
    };
    let last = if view.is_vector { 1 } else { 3 };
    let default = if operator == "ArgMax" {
        0
    } else if builder.opset < 13 {
        1
    } else {
        -1
    };
    reader.pass_over(&["keepdims"]);
    if operator != "Sigmoid" {
        reader.expect("select_last_index", 0)?;
        let axis = reader.integer("axis", default);
        let axis = if axis < 0 { axis + last + 1 } else { axis };
        if !(view.is_vector || view.shape.plane() == 1) || axis != 1 {
            return Err(reader.refuse("only classes along axis 1 are supported"));
        }
    }
    builder.task = Some(match operator {
        "Sigmoid" if view.shape.elements() == 1 => Task::Binary,
        "Sigmoid" => return Err(reader.refuse("a sigmoid at the end is supported for one output only")),
        _ => builder.task.unwrap_or(Task::Classes),
    });
    builder.left_off.push(operator.to_owned());
    Ok(Binding::End(view))
}
