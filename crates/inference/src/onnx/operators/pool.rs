//! Pools.

use counterweight_primitives::architecture::{MOST_POOLED, Padding, Window};

use super::{
    operand::{constant, tensor},
    plane::{plane, windowed},
};
use crate::{
    Operator,
    onnx::{
        OnnxError,
        attributes::Reader,
        graph::{Binding, Builder, View},
    },
};

pub(super) fn pool<'a>(
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

pub(super) fn global_pool<'a>(
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
pub(super) fn reduce_mean<'a>(
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
