//! `cw model inspect`: what is in a model of anybody, and what its card claims.

use std::{
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
};

use counterweight_standards::{
    card::{CARD_BYTES, CardClaims, CardError, read_card},
    safetensors::{SafetensorsError, TensorFile, read_tensors},
};
use serde_json::{Value, json};

use crate::{
    commands::Context,
    error::{CliError, Code, with_causes},
    inference::read_file,
    output::{Answer, Cell, Table},
};

/// Most safetensors files in a folder.
const MOST_FILES: usize = 10_000;

/// What to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// A safetensors file, or a folder with some and a card (README.md) as the Hugging Face hub has them
    #[arg(value_name = "PATH")]
    path: PathBuf,
}

/// Reads and shows. Nothing a card says is checked.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::ModelUnreadable`].
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let path = &arguments.path;
    let files = if path.is_dir() {
        weights(path)?
    } else {
        vec![path.clone()]
    };
    let card = if path.is_dir() {
        card(&path.join("README.md"), context)?
    } else {
        None
    };
    let mut answer = Answer::new("model-inspect/1");
    if let Some(card) = &card {
        let claim = |texts: &[String]| {
            Cell::text(if texts.is_empty() {
                "-".to_owned()
            } else {
                texts.join(", ")
            })
        };
        answer = answer.heading("Its card says, and nothing here checks").fields([
            ("licence", claim(&card.licence)),
            ("made from", claim(&card.base_model)),
            ("datasets", claim(&card.datasets)),
            ("languages", claim(&card.language)),
        ]);
    }
    let mut table = Table::new(["tensor", "type", "shape", "bytes", "identity"]);
    let mut documents = Vec::new();
    for file in &files {
        let found = read(file)?;
        for tensor in &found.tensors {
            table.push([
                Cell::text(shown(&tensor.name)),
                Cell::text(tensor.data_type.to_string()),
                Cell::text(dimensions(&tensor.shape)),
                Cell::number(tensor.size),
                Cell::Digest(tensor.identity),
            ]);
            answer = answer.id(tensor.identity.to_string());
        }
        documents.push(document(file, &found));
    }
    let card = serde_json::to_value(&card).unwrap_or(Value::Null);
    Ok(answer
        .json("claims", card)
        .json("files", documents)
        .heading("Its tensors are")
        .table(table))
}

fn dimensions(shape: &[u64]) -> String {
    let texts: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("[{}]", texts.join(", "))
}

/// A stranger's name on a terminal: nothing that moves the cursor.
fn shown(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

fn document(file: &Path, found: &TensorFile) -> Value {
    let tensors: Vec<Value> = found
        .tensors
        .iter()
        .map(|tensor| {
            json!({
                "name": tensor.name,
                "type": tensor.data_type.to_string(),
                "shape": tensor.shape,
                "bytes": tensor.size,
                "identity": tensor.identity.to_string(),
            })
        })
        .collect();
    json!({
        "file": file.display().to_string(),
        "bytes": found.size,
        "content": found.content.to_string(),
        "metadata": found.metadata,
        "tensors": tensors,
    })
}

fn weights(folder: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = fs::read_dir(folder).map_err(|error| unreadable(folder, &error))?;
    let mut files: Vec<PathBuf> = entries
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "safetensors")
                && path.is_file()
        })
        .take(MOST_FILES)
        .collect();
    files.sort();
    Ok(files)
}

fn card(file: &Path, context: &Context) -> Result<Option<CardClaims>, CliError> {
    if !file.is_file() {
        context.console.note("there is no README.md, so no card");
        return Ok(None);
    }
    let bytes = read_file(file, CARD_BYTES as u64)?;
    Ok(Some(
        read_card(&String::from_utf8_lossy(&bytes)).map_err(|error| of_card(file, &error))?,
    ))
}

fn read(file: &Path) -> Result<TensorFile, CliError> {
    let opened = File::open(file).map_err(|error| unreadable(file, &error))?;
    let size = opened.metadata().map_err(|error| unreadable(file, &error))?.len();
    read_tensors(&mut BufReader::new(opened), size).map_err(|error| match error {
        SafetensorsError::Io(error) => unreadable(file, &error),
        error => CliError::new(
            Code::ModelUnreadable,
            format!("{} is no safetensors file", file.display()),
        )
        .why(with_causes(&error))
        .fix("get the file again from where it came from"),
    })
}

fn of_card(file: &Path, error: &CardError) -> CliError {
    CliError::new(
        Code::ModelUnreadable,
        format!("the card {} cannot be read", file.display()),
    )
    .why(with_causes(error))
    .fix("correct its front matter, or move the card away")
}

fn unreadable(path: &Path, error: &std::io::Error) -> CliError {
    CliError::new(Code::FileUnreadable, format!("{} cannot be read", path.display()))
        .fact("system", error.to_string())
        .fix("check the name, and that the file is there and belongs to you")
}
