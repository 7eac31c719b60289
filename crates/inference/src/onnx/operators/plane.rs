//! Windows that move over planes.

use counterweight_primitives::architecture::{Padding, Shape, Window};

use crate::{
    FloatLayer, Operator,
    onnx::{
        OnnxError,
        attributes::Reader,
        graph::{Builder, View},
    },
};

pub(super) fn plane(builder: &mut Builder<'_>, reader: &Reader<'_>, view: &View) -> Result<(), OnnxError> {
    if view.is_vector {
        return Err(reader.refuse("its input is a vector, expected [batch, channels, height, width]"));
    }
    builder.look_as_plane(view, reader)
}

/// Appends a layer whose window moves over a plane.
pub(super) fn windowed(
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
