//! `cw model import`: an ONNX network, quantised and kept here.

use std::path::{Path, PathBuf};

use counterweight_inference::{Description, MOST_ONNX_BYTES, Table, compare, import_onnx};
use serde_json::json;

use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
    inference::{Store, quantised_model, read_file, report},
    output::Answer,
    project::Project,
};

/// Largest file of rows.
const MOST_ROWS_BYTES: u64 = 1 << 30;

/// What to import.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The network, an ONNX file
    file: PathBuf,
    /// Rows like those it will be asked about, as CSV; a column `label` with the class is used to say what quantising cost
    #[arg(long, value_name = "FILE")]
    calibrate: PathBuf,
    /// Labelled rows to compare answers on, as CSV [default: those of --calibrate]
    #[arg(long, value_name = "FILE")]
    test: Option<PathBuf>,
    /// What to call it [default: the file's name]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
}

/// Imports, quantises, compares, keeps.
///
/// # Errors
/// [`Code::NetworkUnusable`], [`Code::FileUnreadable`], [`Code::AlreadyThere`].
pub(crate) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let store = Store::of(&project);
    let stem = arguments.file.file_stem().and_then(|stem| stem.to_str());
    let name = arguments.name.as_deref().or(stem).unwrap_or("network");
    if store.has(name) && !context.global.yes {
        return Err(CliError::new(
            Code::AlreadyThere,
            format!("there is a network \"{name}\" already"),
        )
        .fix("choose another name with --name, or add --yes to replace it"));
    }
    let bytes = read_file(&arguments.file, MOST_ONNX_BYTES as u64)?;
    let imported = import_onnx(&bytes).map_err(|error| {
        CliError::new(
            Code::NetworkUnusable,
            format!("{} cannot be imported", arguments.file.display()),
        )
        .why(with_causes(&error))
        .fix("leave that node out of the export; docs/spec/arithmetic.md lists what integer networks have")
    })?;
    for left in &imported.left_off {
        context.console.note(format!(
            "{left} at the end is left off: it changes no answer and is not proven"
        ));
    }
    let calibration = rows(&arguments.calibrate)?;
    let elements = imported.network.outline().input().elements();
    let features = if calibration.columns.len() == elements {
        calibration.columns.clone()
    } else {
        Vec::new()
    };
    let description = Description {
        name: name.to_owned(),
        features,
        task: imported.task,
        labels: Vec::new(),
    };
    let (model, quantised) = quantised_model(&imported.network, &calibration.rows, description)?;
    let tested = match &arguments.test {
        Some(file) => rows(file)?,
        None => calibration,
    };
    let classes = tested.labels.as_deref().and_then(|labels| {
        labels
            .iter()
            .map(|label| label.parse().ok())
            .collect::<Option<Vec<usize>>>()
    });
    let comparison = classes.map(|classes| compare(&imported.network, &model, &tested.rows, &classes));
    if !context.global.dry_run {
        store.put(name, &model)?;
    }
    let architecture = model.network().architecture();
    let answer = Answer::new("model-import/1")
        .json("name", name)
        .json("input", architecture.input().to_string())
        .json("output", architecture.output().to_string())
        .json("weights", architecture.weights())
        .json("left_off", json!(imported.left_off))
        .json("digest", model.digest().to_string())
        .line(format!(
            "{name}: {} to {}, {} weights, all integers now.",
            architecture.input(),
            architecture.output(),
            architecture.weights()
        ));
    Ok(report(answer, &quantised, comparison.as_ref())
        .id(name)
        .next(format!("cw infer {name} --input row.json"))
        .next(format!("cw model publish {name}")))
}

fn rows(file: &Path) -> Result<Table, CliError> {
    let bytes = read_file(file, MOST_ROWS_BYTES)?;
    Table::read(bytes.as_slice(), None).map_err(|error| {
        CliError::new(
            Code::InputUnfit,
            format!("the rows of {} cannot be read", file.display()),
        )
        .why(with_causes(&error))
        .fix("write numbers separated by commas, one row a line, with or without a line of names")
    })
}
