//! What each operator becomes.

mod arithmetic;
mod operand;
mod plane;
mod pool;
mod shape;
mod weighted;

use super::{
    OnnxError,
    attributes::Reader,
    file::NodeProto,
    graph::{Binding, Builder},
};
use crate::Task;
use arithmetic::{arithmetic, normalise};
use operand::{operands, tensor};
use pool::{global_pool, pool, reduce_mean};
use shape::{flatten, reshape};
use weighted::{conv, gemm, matmul};

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
