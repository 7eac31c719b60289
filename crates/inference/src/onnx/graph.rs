//! Follows a graph from its input to its output.

use std::collections::BTreeMap;

use counterweight_primitives::architecture::{MOST_LAYERS, Padding, Shape, Window};

use super::{
    Imported, OnnxError,
    attributes::Reader,
    file::{Graph, Tensor, TensorInfo},
    operators,
};
use crate::{FloatLayer, FloatNetwork, Operator, Task};

/// A tensor of the graph: a node of the network, looked at in some shape.
#[derive(Debug, Clone)]
pub(super) struct View {
    /// Node of the network: 0 is the input, `i + 1` the output of layer `i`.
    pub(super) node: usize,
    /// Its sides here; a vector stands as channels.
    pub(super) shape: Shape,
    /// Whether it is `[batch, features]` rather than `[batch, channels, height, width]`.
    pub(super) is_vector: bool,
    /// Whether nothing else reads the node, under whatever name: then its layer may still be changed.
    pub(super) is_sole: bool,
    /// What each channel is yet to be multiplied by and what is to be added then.
    pub(super) affine: Option<Affine>,
}

/// Channel by channel: `x * factor + term`.
#[derive(Debug, Clone)]
pub(super) struct Affine {
    pub(super) factors: Vec<f32>,
    pub(super) terms: Vec<f32>,
}

/// What a name in the graph stands for.
#[derive(Debug, Clone)]
pub(super) enum Binding<'a> {
    Tensor(View),
    Constant(Tensor<'a>),
    /// After what was left off at the end.
    End(View),
}

pub(super) struct Builder<'a> {
    pub(super) opset: i64,
    layers: Vec<FloatLayer>,
    /// Of the nodes.
    shapes: Vec<Shape>,
    /// Whether a layer is the only one that reads its input.
    reads_alone: Vec<bool>,
    /// Whether a layer looked at the input as a plane: its shape is settled then.
    input_is_settled: bool,
    values: BTreeMap<&'a str, Binding<'a>>,
    uses: BTreeMap<&'a str, usize>,
    pub(super) task: Option<Task>,
    pub(super) left_off: Vec<String>,
}

pub(super) fn import<'a>(graph: &'a Graph<'a>, opset: i64) -> Result<Imported, OnnxError> {
    let mut builder = Builder::new(graph, opset)?;
    for (index, node) in graph.nodes.iter().enumerate() {
        let mut reader = Reader::new(node, index);
        if !matches!(node.domain, "" | "ai.onnx") {
            return Err(OnnxError::Operator {
                node: reader.label().to_owned(),
                operator: format!("{}.{}", node.domain, node.operator),
            });
        }
        let made = operators::read(&mut builder, node, &mut reader)?;
        reader.finish()?;
        // A second output, such as a dropout's mask, is not made: whoever reads it is told so.
        if let Some(name) = node.outputs.first() {
            builder.bind(name, made);
        }
    }
    let [output] = graph.outputs.as_slice() else {
        return Err(OnnxError::Outputs {
            got: graph.outputs.len(),
        });
    };
    match builder.values.remove(output.name) {
        Some(Binding::Tensor(view) | Binding::End(view)) => {
            let view = builder.settled(view, "output")?;
            builder.finish(&view)
        }
        _ => Err(OnnxError::Missing {
            node: "output".to_owned(),
            value: output.name.to_owned(),
        }),
    }
}

impl<'a> Builder<'a> {
    fn new(graph: &'a Graph<'a>, opset: i64) -> Result<Self, OnnxError> {
        let mut values = BTreeMap::new();
        for constant in &graph.constants {
            values.insert(constant.name, Binding::Constant(constant.clone()));
        }
        let mut uses: BTreeMap<&str, usize> = BTreeMap::new();
        let read = graph.nodes.iter().flat_map(|node| node.inputs.iter().copied());
        for name in read.chain(graph.outputs.iter().map(|output| output.name)) {
            *uses.entry(name).or_default() += 1;
        }
        // Old files list constants among the inputs.
        let inputs: Vec<&TensorInfo<'_>> = graph
            .inputs
            .iter()
            .filter(|input| !values.contains_key(input.name))
            .collect();
        let [input] = inputs[..] else {
            return Err(OnnxError::Inputs {
                got: format!("{} inputs", inputs.len()),
            });
        };
        if input.element_type != 1 {
            return Err(OnnxError::Inputs {
                got: format!("elements of ONNX type {}", input.element_type),
            });
        }
        let refused = || OnnxError::InputShape {
            name: input.name.to_owned(),
            sides: describe(&input.sides),
        };
        let side = |at: usize| {
            let known = input.sides.get(at).copied().flatten();
            known
                .and_then(|side| usize::try_from(side).ok())
                .ok_or_else(refused)
        };
        if !matches!(input.sides.first(), Some(None | Some(1))) {
            return Err(refused());
        }
        let shape = match input.sides.len() {
            2 => Shape::vector(side(1)?),
            4 => Shape::new(side(1)?, side(2)?, side(3)?),
            _ => return Err(refused()),
        }
        .map_err(OnnxError::Shape)?;
        let view = View {
            node: 0,
            shape,
            is_vector: input.sides.len() == 2,
            is_sole: false,
            affine: None,
        };
        values.insert(input.name, Binding::Tensor(view));
        Ok(Self {
            opset,
            layers: Vec::new(),
            shapes: vec![shape],
            reads_alone: Vec::new(),
            input_is_settled: false,
            values,
            uses,
            task: None,
            left_off: Vec::new(),
        })
    }

    pub(super) fn value(&self, name: &str, reader: &Reader<'_>) -> Result<Binding<'a>, OnnxError> {
        self.values.get(name).cloned().ok_or_else(|| OnnxError::Missing {
            node: reader.label().to_owned(),
            value: name.to_owned(),
        })
    }

    fn bind(&mut self, name: &'a str, mut binding: Binding<'a>) {
        if let Binding::Tensor(view) = &mut binding {
            view.is_sole &= self.uses.get(name) == Some(&1);
        }
        self.values.insert(name, binding);
    }

    pub(super) fn shape_of(&self, node: usize) -> Option<Shape> {
        self.shapes.get(node).copied()
    }

    /// Appends a layer that gives `shape`.
    pub(super) fn push(&mut self, layer: FloatLayer, shape: Shape, read: &View) -> View {
        self.layers.push(layer);
        self.shapes.push(shape);
        self.reads_alone.push(read.is_sole);
        View {
            node: self.layers.len(),
            shape,
            is_vector: read.is_vector,
            is_sole: true,
            affine: None,
        }
    }

    /// A node's number as layers hold it. Graphs that grow deeper than a network can be end here.
    pub(super) fn number(&self, view: &View, reader_label: &str) -> Result<u8, OnnxError> {
        let number = u8::try_from(view.node)
            .ok()
            .filter(|_| self.layers.len() < MOST_LAYERS);
        number.ok_or_else(|| OnnxError::Unsupported {
            node: reader_label.to_owned(),
            operator: "graph".to_owned(),
            reason: format!("there are {MOST_LAYERS} layers before it, as many as a network has"),
        })
    }

    /// Sees to it that a node has the shape in which a plane's operator looks at it. Only the input can still take another.
    pub(super) fn look_as_plane(&mut self, view: &View, reader: &Reader<'_>) -> Result<(), OnnxError> {
        let own = self.shapes.get_mut(view.node);
        match own {
            Some(own) if *own == view.shape => {}
            Some(own) if view.node == 0 && !self.input_is_settled => *own = view.shape,
            _ => {
                return Err(reader.refuse(format!(
                    "it reads a tensor reshaped to {} after a layer; only the input may be reshaped to a plane",
                    view.shape
                )));
            }
        }
        if view.node == 0 {
            self.input_is_settled = true;
        }
        Ok(())
    }

    /// The layer that made a view, if it may still be changed and has weights and no relu.
    pub(super) fn changeable(&mut self, view: &View) -> Option<&mut FloatLayer> {
        let layer = self.layers.get_mut(view.node.checked_sub(1)?)?;
        (view.is_sole && !layer.relu && layer.operator.parameters().is_some()).then_some(layer)
    }

    /// Multiplies and adds channel by channel: into the layer before, else into the one that comes.
    pub(super) fn apply(&mut self, mut view: View, affine: Affine) -> View {
        if view.affine.is_none()
            && let Some((weights, biases)) =
                self.changeable(&view).and_then(|it| it.operator.parameters_mut())
            && biases.len() == affine.factors.len()
        {
            let terms = weights.len() / biases.len().max(1);
            for (((row, bias), factor), term) in weights
                .chunks_exact_mut(terms.max(1))
                .zip(biases)
                .zip(&affine.factors)
                .zip(&affine.terms)
            {
                row.iter_mut().for_each(|weight| *weight *= factor);
                *bias = *bias * factor + term;
            }
            return view;
        }
        view.affine = Some(match view.affine.take() {
            None => affine,
            Some(first) => Affine {
                terms: first
                    .terms
                    .iter()
                    .zip(&affine.factors)
                    .zip(&affine.terms)
                    .map(|((first, factor), term)| first * factor + term)
                    .collect(),
                factors: first
                    .factors
                    .iter()
                    .zip(&affine.factors)
                    .map(|(a, b)| a * b)
                    .collect(),
            },
        });
        view
    }

    /// The view without anything left to multiply or add: a convolution of 1x1 does it where nothing else can.
    pub(super) fn settled(&mut self, mut view: View, label: &str) -> Result<View, OnnxError> {
        let Some(affine) = view.affine.take() else {
            return Ok(view);
        };
        let input = self.number(&view, label)?;
        let channels = affine.factors.len();
        if channels > 1024 || self.shapes.get(view.node).map(|shape| shape.channels()) != Some(channels) {
            return Err(OnnxError::Unsupported {
                node: label.to_owned(),
                operator: "graph".to_owned(),
                reason: "a multiplication or addition before it cannot be folded into a layer".to_owned(),
            });
        }
        let mut weights = vec![0.0; channels * channels];
        for (channel, factor) in affine.factors.iter().enumerate() {
            weights[channel * (channels + 1)] = *factor;
        }
        let operator = Operator::Conv {
            window: ONE,
            padding: Padding::default(),
            weights,
            biases: affine.terms,
        };
        let layer = FloatLayer {
            name: format!("{label} (scaled)"),
            operator,
            inputs: vec![input],
            relu: false,
        };
        let shape = self.shapes[view.node];
        let pushed = self.push(layer, shape, &view);
        Ok(View {
            shape: view.shape,
            ..pushed
        })
    }

    /// Cuts negative results off: in the layer that made them, before max pools that may stand between, or in a layer of its own.
    pub(super) fn rectify(&mut self, view: View, label: &str) -> Result<View, OnnxError> {
        let view = self.settled(view, label)?;
        let mut node = view.node;
        let mut may_change = view.is_sole;
        while may_change && node > 0 {
            let layer = &mut self.layers[node - 1];
            if matches!(layer.operator, Operator::MaxPool { .. }) {
                // The largest of rectified values is the largest value rectified.
                may_change = self.reads_alone[node - 1];
                node = usize::from(layer.inputs[0]);
            } else {
                layer.relu = true;
                return Ok(view);
            }
        }
        let layer = FloatLayer {
            name: label.to_owned(),
            operator: Operator::AveragePool { window: ONE },
            inputs: vec![self.number(&view, label)?],
            relu: true,
        };
        let pushed = self.push(layer, self.shapes[view.node], &view);
        Ok(View {
            shape: view.shape,
            ..pushed
        })
    }

    fn finish(self, output: &View) -> Result<Imported, OnnxError> {
        let elements = output.shape.elements();
        if output.node != self.layers.len() {
            return Err(OnnxError::DeadEnd {
                node: self
                    .layers
                    .last()
                    .map(|layer| layer.name.clone())
                    .unwrap_or_default(),
            });
        }
        let network = FloatNetwork::new(self.shapes[0], self.layers).map_err(OnnxError::Network)?;
        let task = self
            .task
            .unwrap_or(if elements > 1 { Task::Classes } else { Task::Values });
        Ok(Imported {
            network,
            task,
            left_off: self.left_off,
        })
    }
}

/// A window of one element.
pub(super) const ONE: Window = Window {
    height: 1,
    width: 1,
    stride_y: 1,
    stride_x: 1,
};

fn describe(sides: &[Option<i64>]) -> String {
    let sides: Vec<String> = sides
        .iter()
        .map(|side| side.map_or("?".to_owned(), |it| it.to_string()))
        .collect();
    format!("[{}]", sides.join(", "))
}
