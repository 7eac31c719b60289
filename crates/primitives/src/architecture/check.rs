//! The rules that make layers an architecture.

use super::{
    Architecture, ArchitectureError, Bias, Layer, MOST_BIAS_DIGITS, MOST_LAYERS, MOST_POOLED, MOST_SHIFT,
    MOST_SHIFTED, MOST_WEIGHTS, Node, Output, Padding, Problem, Requantise, Shape, Step, Window,
};

/// Largest magnitude of an int8.
const INT8: i64 = 128;

/// What one layer adds to the network.
struct Outline {
    output: Shape,
    terms: usize,
    bound: i64,
    weights: u64,
    biases: usize,
}

pub(super) fn check(input: Shape, layers: Vec<Layer>) -> Result<Architecture, ArchitectureError> {
    let count = layers.len();
    if !(1..=MOST_LAYERS).contains(&count) {
        return Err(ArchitectureError::Layers { got: count });
    }
    let mut shapes = vec![input];
    let mut is_read = vec![false; count + 1];
    let mut steps = Vec::with_capacity(count);
    let (mut weights, mut biases) = (0_u64, 0_usize);
    for (index, layer) in layers.into_iter().enumerate() {
        let at = |problem| ArchitectureError::Layer { index, problem };
        let mut inputs = [input; 2];
        for (slot, node) in inputs.iter_mut().zip(layer.inputs()) {
            *slot = read(&shapes, node).map_err(at)?;
            is_read[usize::from(node.0)] = true;
        }
        let is_last = index + 1 == count;
        let outline = outline(&layer, inputs, is_last).map_err(at)?;
        let first_weight = weights;
        weights += outline.weights;
        if weights > MOST_WEIGHTS as u64 {
            return Err(at(Problem::Weights { got: weights }));
        }
        steps.push(Step {
            index,
            layer,
            inputs,
            output: outline.output,
            terms: outline.terms,
            bound: outline.bound,
            weights: first_weight as usize..weights as usize,
            biases: biases..biases + outline.biases,
        });
        biases += outline.biases;
        shapes.push(outline.output);
    }
    if let Some(node) = is_read[..count].iter().position(|read| !read) {
        return Err(ArchitectureError::Unused { node });
    }
    if weights == 0 {
        return Err(ArchitectureError::NoWeights);
    }
    Ok(Architecture {
        input,
        steps,
        weights: weights as usize,
        biases,
    })
}

fn read(shapes: &[Shape], node: Node) -> Result<Shape, Problem> {
    shapes.get(usize::from(node.0)).copied().ok_or(Problem::Order {
        node: node.0,
        limit: shapes.len(),
    })
}

fn outline(layer: &Layer, [input, right]: [Shape; 2], is_last: bool) -> Result<Outline, Problem> {
    let outline = match *layer {
        Layer::Dense { outputs, bias, .. } => {
            let terms = input.elements();
            weighted(Shape::vector(usize::from(outputs))?, terms, bias)?
        }
        Layer::Conv {
            channels,
            window,
            padding,
            bias,
            ..
        } => {
            let (height, width) = slide(input, window, padding)?;
            let output = Shape::new(usize::from(channels), height, width)?;
            weighted(output, input.channels() * window.elements(), bias)?
        }
        Layer::AveragePool {
            window, multiplier, ..
        } => {
            let (height, width) = slide(input, window, Padding::default())?;
            unweighted(
                Shape::new(input.channels(), height, width)?,
                window.elements(),
                factor(multiplier)? * INT8 * window.elements() as i64,
            )
        }
        Layer::Add {
            left_multiplier,
            right_multiplier,
            ..
        } => {
            if input != right {
                return Err(Problem::Summands { left: input, right });
            }
            let sum = factor(left_multiplier)? + factor(right_multiplier)?;
            unweighted(input, 2, INT8 * sum)
        }
        Layer::MaxPool { window, .. } => {
            let (height, width) = slide(input, window, Padding::default())?;
            let got = window.elements();
            if got > MOST_POOLED {
                return Err(Problem::Pooled { got });
            }
            unweighted(Shape::new(input.channels(), height, width)?, got, INT8)
        }
    };
    if outline.bound >= 1 << 31 {
        return Err(Problem::Accumulator { bound: outline.bound });
    }
    match layer.output() {
        None => {}
        Some(Output::Raw) if is_last => {}
        Some(Output::Raw) => return Err(Problem::Raw),
        Some(Output::Requantise(requantise)) => check_shift(requantise, outline.bound)?,
    }
    Ok(outline)
}

fn weighted(output: Shape, terms: usize, bias: Bias) -> Result<Outline, Problem> {
    if bias.digits > MOST_BIAS_DIGITS || bias.shift > 30 || (bias.digits == 0 && bias.shift != 0) {
        return Err(Problem::Bias {
            digits: bias.digits,
            shift: bias.shift,
        });
    }
    // At most 2^20 elements or 2^16 channels of 2^16 window elements, so nothing here leaves 64 bits.
    Ok(Outline {
        output,
        terms,
        bound: terms as i64 * INT8 * INT8 + INT8 * bias.unit(),
        weights: output.channels() as u64 * terms as u64,
        biases: if bias.digits == 0 { 0 } else { output.channels() },
    })
}

fn unweighted(output: Shape, terms: usize, bound: i64) -> Outline {
    Outline {
        output,
        terms,
        bound,
        weights: 0,
        biases: 0,
    }
}

fn factor(multiplier: u8) -> Result<i64, Problem> {
    if multiplier == 0 {
        return Err(Problem::Multiplier);
    }
    Ok(i64::from(multiplier))
}

fn check_shift(requantise: Requantise, bound: i64) -> Result<(), Problem> {
    let shift = requantise.shift;
    if shift > MOST_SHIFT {
        return Err(Problem::Shift { got: shift });
    }
    let half = if shift == 0 { 0 } else { 1 << (shift - 1) };
    let shifted = (bound + half) >> shift;
    if shifted > MOST_SHIFTED {
        return Err(Problem::Shifted {
            bound,
            shifted,
            shift,
        });
    }
    Ok(())
}

/// Places of a window over a padded plane, in rows and columns.
fn slide(input: Shape, window: Window, padding: Padding) -> Result<(usize, usize), Problem> {
    if [window.height, window.width, window.stride_y, window.stride_x].contains(&0) {
        return Err(Problem::EmptyWindow);
    }
    // A window inside the padding alone would sum over nothing of the input.
    if padding.top.max(padding.bottom) >= window.height || padding.left.max(padding.right) >= window.width {
        return Err(Problem::Padding);
    }
    let rows = input.height() + usize::from(padding.top) + usize::from(padding.bottom);
    let columns = input.width() + usize::from(padding.left) + usize::from(padding.right);
    let places = |length: usize, window: u8, stride: u8| {
        Some(length.checked_sub(usize::from(window))? / usize::from(stride) + 1)
    };
    places(rows, window.height, window.stride_y)
        .zip(places(columns, window.width, window.stride_x))
        .ok_or(Problem::Window {
            height: window.height,
            width: window.width,
            rows,
            columns,
        })
}
