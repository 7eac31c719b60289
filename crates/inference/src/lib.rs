//! Run a network bit for bit the same everywhere.
//!
//! A [`Network`] is an [`Architecture`](counterweight_primitives::architecture::Architecture) with its weights: int8, exact
//! sums, requantised by shifts, as docs/spec/arithmetic.md says. [`Network::run`] gives the [`Answer`], [`Network::trace`]
//! every number on the way, which provers and disputes need. [`reference`] is the same written plainly.
//!
//! A [`FloatNetwork`] is what was trained; [`quantise()`] makes integers of it and says what that cost.
//!
//! A [`Model`] adds what the numbers mean, and has a file; its [`Card`] is what of it is public.
//!
//! [`dispute`] shows which layer of a claimed run is wrong, to a contract that recomputes one element.

#![deny(unsafe_code)]

mod answer;
mod decimal;
pub mod dispute;
mod execute;
mod float;
mod metadata;
mod model;
mod model_file;
mod network;
mod onnx;
mod quantise;
pub mod reference;
mod rows;

pub use answer::{Answer, AnswerError};
pub use decimal::Decimal;
pub use execute::{InputError, Trace};
pub use float::{FloatError, FloatLayer, FloatNetwork, Operator};
pub use metadata::{FORMAT, LONGEST_NAME, Metadata, MetadataError, QuantisedRow, RowError, Scaling, Task};
pub use model::{Card, MOST_METADATA_BYTES, MOST_MODEL_BYTES, Model, ModelError};
pub use model_file::{ModelFileError, import_model_file};
pub use network::{Network, NetworkError};
pub use onnx::{Imported, MOST_ONNX_BYTES, OPSETS, OnnxError, OnnxTensor, import_onnx, onnx_tensors};
pub use quantise::{
    Comparison, Description, InputScaling, LayerReport, QuantiseError, QuantiseOptions, Quantised, compare,
    quantise,
};
pub use rows::{MOST_ROWS, MOST_VALUES, Table, TableError};
