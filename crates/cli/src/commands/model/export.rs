//! `cw model export`: a model's parameters or graph, or what the ledger knows about it in a format of others.

use std::path::PathBuf;

use counterweight_federated::{
    onnx_file::to_onnx,
    parameters::{MODEL_BYTES_MAX, Parameters},
};
use counterweight_provenance::ledger::AssetKind;
use counterweight_standards::export::{
    BomVersion, annex_iv, ipfs_address, lineage_picture, ml_bom, model_card, prov, spdx, token_metadata,
};
use serde::Serialize;

use crate::{
    arguments::ThingName,
    commands::{Context, export},
    error::{CliError, Code, with_causes},
    output::Answer,
    project::Project,
    session::{Asset, Assets, Session},
};

/// What to write.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The model, `name` or `name@2`
    name: ThingName,
    /// In which format
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// The file to write; `-` for standard output [default: NAME-VERSION and the format's ending]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Formats of models.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// Its parameters, checked against the published digest
    #[default]
    Safetensors,
    /// An ONNX graph that gives probabilities, to run elsewhere; built-in models only
    Onnx,
    /// Hugging Face model card: Markdown with front matter
    Card,
    /// CycloneDX 1.6 bill of materials
    MlBom,
    /// CycloneDX 1.7 bill of materials
    #[value(name = "ml-bom-1.7")]
    MlBom17,
    /// SPDX 3.0.1 with its profiles for AI and datasets
    Spdx,
    /// Its lineage and its run as PROV-JSON
    Prov,
    /// Metadata of its token as wallets and galleries read it, the picture of its lineage inside
    Nft,
    /// The picture of its lineage alone
    Svg,
    /// EU AI Act, Annex IV: technical documentation with its gaps, Markdown
    AnnexIv,
    /// The same as JSON
    AnnexIvJson,
}

impl Format {
    fn ending(self) -> &'static str {
        match self {
            Self::Safetensors => ".safetensors",
            Self::Onnx => ".onnx",
            Self::Card => ".card.md",
            Self::MlBom | Self::MlBom17 => ".cdx.json",
            Self::Spdx => ".spdx.json",
            Self::Prov => ".prov.json",
            Self::Nft => ".nft.json",
            Self::Svg => ".svg",
            Self::AnnexIv => ".annex-iv.md",
            Self::AnnexIvJson => ".annex-iv.json",
        }
    }
}

/// Gathers, writes.
///
/// # Errors
/// [`crate::error::Code::UnknownName`], those of chain and files.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Result<Answer, CliError> {
    let project = Project::open(&context.global)?;
    let session = Session::open(&project, context)?;
    let contracts = session.contracts()?;
    let assets = Assets::read(&contracts, &session.blobs)?;
    let asset = assets.find(AssetKind::Model, &arguments.name.0)?;
    let parameters = || session.blobs.get(&asset.record.asset.content, MODEL_BYTES_MAX);
    let bytes = if arguments.format == Format::Safetensors {
        parameters()?
    } else if arguments.format == Format::Onnx {
        as_onnx(&parameters()?, asset)?
    } else {
        let graph = assets.lineage()?;
        let dossier = export::dossier(&session, &contracts, &graph, asset, context)?;
        match arguments.format {
            Format::Card => model_card(&dossier)?.into_bytes(),
            Format::MlBom => pretty(&ml_bom(&dossier, BomVersion::V1_6)?)?,
            Format::MlBom17 => pretty(&ml_bom(&dossier, BomVersion::V1_7)?)?,
            Format::Spdx => pretty(&spdx(&dossier)?)?,
            Format::Prov => pretty(&prov(&dossier))?,
            Format::Nft => pretty(&token_metadata(&dossier, &graph)?)?,
            Format::Svg => lineage_picture(&graph, asset.record.id)?.into_bytes(),
            Format::AnnexIvJson => pretty(&annex_iv(&dossier)?)?,
            Format::AnnexIv | Format::Safetensors | Format::Onnx => {
                annex_iv(&dossier)?.to_markdown().into_bytes()
            }
        }
    };
    let ending = arguments.format.ending();
    let name = format!("{}-{}{ending}", asset.name(), asset.record.asset.version);
    let path = arguments.output.clone().unwrap_or_else(|| PathBuf::from(name));
    let is_text = !matches!(arguments.format, Format::Safetensors | Format::Onnx);
    let answer = export::write("model-export/1", &bytes, &path, is_text, context)?;
    if answer.is_empty() {
        return Ok(answer);
    }
    let answer = if arguments.format == Format::Nft {
        told_where(answer, "model", asset, &bytes)
    } else {
        answer
    };
    Ok(answer
        .json("model", asset.full_name())
        .json("content", asset.record.asset.content.to_string()))
}

/// The graph of a model that is built in.
fn as_onnx(bytes: &[u8], asset: &Asset) -> Result<Vec<u8>, CliError> {
    let name = asset.full_name();
    let refused = |error: &dyn std::error::Error| {
        CliError::new(Code::NetworkUnusable, format!("{name} cannot be written as ONNX"))
            .why(with_causes(error))
            .fix(format!("cw model export {name} for its tensors as safetensors"))
    };
    let model = Parameters::from_safetensors(bytes).map_err(|error| refused(&error))?;
    to_onnx(&model, &name).map_err(|error| refused(&error))
}

/// Says what to do with a token's metadata.
pub(crate) fn told_where(answer: Answer, noun: &str, asset: &Asset, bytes: &[u8]) -> Answer {
    let link = format!("cw {noun} link {}", asset.full_name());
    match ipfs_address(bytes) {
        Some(address) => answer
            .json("ipfs", address.as_str())
            .next("serve the file over HTTPS, or pin it: ipfs add --cid-version 1 FILE")
            .next(format!("{link} {address}")),
        None => answer
            .json("ipfs", serde_json::Value::Null)
            .next(format!("{link} URI")),
    }
}

/// JSON for people and programs, with a newline at the end.
pub(crate) fn pretty(document: &impl Serialize) -> Result<Vec<u8>, CliError> {
    let mut bytes = serde_json::to_vec_pretty(document)
        .map_err(|error| CliError::fault(format!("a document cannot be written: {error}")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use counterweight_federated::architecture::{Activation, Architecture, Layered};
    use counterweight_inference::{import_model_file, import_onnx};

    use super::*;

    /// Both files of a model are read by our own readers, which know nothing of one another.
    #[test]
    fn a_model_as_onnx_is_the_model_of_its_own_file() {
        let shape = |hidden: &[u32], outputs| {
            Architecture::BuiltIn(Layered {
                inputs: 5,
                hidden: hidden.to_vec(),
                activation: Activation::Relu,
                outputs,
            })
        };
        for (shape, last) in [
            (shape(&[], 1), "Sigmoid"),
            (shape(&[], 3), "Softmax"),
            (shape(&[7, 4], 1), "Sigmoid"),
            (shape(&[7], 3), "Softmax"),
        ] {
            let model = Parameters::initial(&shape, 3);
            let plain = import_model_file(&model.to_safetensors()).unwrap();
            let graph = import_onnx(&to_onnx(&model, "tumour@1").unwrap()).unwrap();
            assert_eq!(graph.left_off, [last]);
            assert_eq!(graph.network, plain.network);
            assert_eq!(graph.task, plain.task);
        }
    }
}
