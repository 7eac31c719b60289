//! What a study starts from: a registered model, numbers of a file, or neither.

use counterweight_federated::{
    architecture::{Activation, Architecture, Layered},
    parameters::{MODEL_BYTES_MAX, Parameters},
    study::ModelSection,
    tensor_file,
};
use counterweight_inference::{FloatNetwork, OnnxError, Operator, import_onnx, onnx_tensors};
use counterweight_primitives::{AssetId, ContentDigest};
use counterweight_provenance::ledger::AssetKind;

use crate::{
    error::{CliError, Code, with_causes},
    inference::read_file,
    project::Project,
    session::{Assets, Contracts, Session},
};

/// Longest file read: numbers in double precision, and room for what else is in it.
const MOST_FILE_BYTES: u64 = 4 * MODEL_BYTES_MAX;

/// What a study starts from, kept among the blobs.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Start {
    /// Its model file.
    pub(crate) digest: ContentDigest,
    /// Its asset, where it is a registered model.
    pub(crate) base: Option<AssetId>,
}

/// Reads the file that `model.start` names.
///
/// # Errors
/// [`Code::FileUnreadable`], [`Code::WrongShape`].
pub(crate) fn read_start(project: &Project) -> Result<Option<Parameters>, CliError> {
    let Some(path) = &project.config.study.model.start else {
        return Ok(None);
    };
    let bytes = read_file(&project.resolve(path), MOST_FILE_BYTES)?;
    let architecture = architecture(project)?;
    let is_onnx = path.extension().is_some_and(|extension| extension == "onnx");
    let read = if is_onnx {
        from_onnx(&bytes, &architecture)
    } else {
        tensor_file::read(&bytes, &architecture).map_err(|error| with_causes(&error))
    };
    read.map(Some)
        .map_err(|problem| unfit(&path.display().to_string(), &architecture, problem))
}

/// Keeps what a study starts from among the blobs, and finds its asset where `model.base` names one.
///
/// # Errors
/// [`Code::UnknownName`], [`Code::BytesMissing`] where the base model's file is not here, [`Code::WrongShape`], and those of
/// chain and files.
pub(crate) fn keep_start(
    session: &Session<'_>,
    contracts: &Contracts,
    file: Option<&Parameters>,
) -> Result<Option<Start>, CliError> {
    let kept = |file: &Parameters| session.blobs.put(&file.to_safetensors());
    let study = &session.project.config.study;
    let ModelSection { base: Some(name), .. } = &study.model else {
        let digest = file.map(kept).transpose()?;
        return Ok(digest.map(|digest| Start { digest, base: None }));
    };
    let assets = Assets::read(contracts, &session.blobs)?;
    let asset = assets.find(AssetKind::Model, name)?;
    let digest = asset.record.asset.content;
    if let Some(file) = file
        && kept(file)? != digest
    {
        return Err(CliError::new(
            Code::WrongShape,
            format!("model.start is not the file of the model {}", asset.full_name()),
        )
        .fact("digest of model.start", file.digest().to_string())
        .fact("digest of the model", digest.to_string())
        .why("the chain lets a study with a base model start from exactly that model")
        .fix("leave out one of base and start, or take the file that was published"));
    }
    let bytes = session.blobs.get(&digest, MODEL_BYTES_MAX).map_err(|error| {
        CliError::new(
            Code::BytesMissing,
            format!("the file of the model {} is not here", asset.full_name()),
        )
        .fact("digest", digest.to_string())
        .why(error.to_string())
        .fix("ask its owner for the file, and name it as start in [model]")
    })?;
    let architecture = architecture(session.project)?;
    let base = Some(asset.record.id);
    Parameters::from_safetensors(&bytes)
        .and_then(|model| model.check_architecture(&architecture))
        .map_err(|error| unfit(&asset.full_name(), &architecture, with_causes(&error)))?;
    Ok(Some(Start { digest, base }))
}

fn architecture(project: &Project) -> Result<Architecture, CliError> {
    project.config.study.architecture().map_err(|error| {
        CliError::new(Code::BadValue, "[model] and [data] describe no model").why(error.to_string())
    })
}

fn unfit(what: &str, architecture: &Architecture, problem: String) -> CliError {
    CliError::new(Code::WrongShape, format!("{what} is not a model of this study"))
        .fact("parameters of the study", architecture.parameters().to_string())
        .why(problem)
        .fix("correct [model] in counterweight.toml; docs/guides/first-study.md says what a study can start from")
}

/// A built-in model by what the network does, others by the names of their tensors.
fn from_onnx(bytes: &[u8], architecture: &Architecture) -> Result<Parameters, String> {
    let values = match architecture {
        Architecture::BuiltIn(layered) => import_onnx(bytes)
            .map_err(|error| with_causes(&error))
            .and_then(|imported| layers(&imported.network, layered))?,
        Architecture::Custom(wanted) => {
            let mut found = onnx_tensors(bytes).map_err(|error: OnnxError| with_causes(&error))?;
            let mut values = Vec::with_capacity(architecture.parameters());
            for tensor in &wanted.tensors {
                let place = found.iter().position(|one| one.name == tensor.name);
                let place = place.ok_or_else(|| format!("it has no constant \"{}\"", tensor.name))?;
                let one = found.swap_remove(place);
                if one.sides != tensor.shape {
                    return Err(format!(
                        "constant \"{}\" has the shape {:?}, the model's has {:?}",
                        tensor.name, one.sides, tensor.shape
                    ));
                }
                values.extend(one.values);
            }
            values
        }
    };
    Parameters::new(architecture.clone(), values).map_err(|error| error.to_string())
}

/// The numbers of dense layers, one after the other, as the model file has them.
fn layers(network: &FloatNetwork, wanted: &Layered) -> Result<Vec<f32>, String> {
    if wanted.activation == Activation::Tanh && !wanted.hidden.is_empty() && network.layers().len() > 1 {
        return Err("the model's activation is tanh, the network's ReLU".to_owned());
    }
    let wanted = wanted.layers();
    let found = network.layers();
    if found.len() != wanted.len() {
        return Err(format!(
            "the network has {} layers, the model {}",
            found.len(),
            wanted.len()
        ));
    }
    let mut values = Vec::new();
    for (place, (layer, wanted)) in found.iter().zip(&wanted).enumerate() {
        let name = &layer.name;
        let Operator::Dense { weights, biases } = &layer.operator else {
            return Err(format!("layer \"{name}\" is not dense"));
        };
        if usize::from(layer.inputs[0]) != place {
            return Err(format!("layer \"{name}\" does not read the one before it"));
        }
        let got = (weights.len() / biases.len().max(1), biases.len());
        if got != (wanted.inputs, wanted.outputs) {
            return Err(format!(
                "layer \"{name}\" has {} inputs and {} outputs, the model's has {} and {}",
                got.0, got.1, wanted.inputs, wanted.outputs
            ));
        }
        let last = place + 1 == found.len();
        if layer.relu == last {
            let problem = if last { "a" } else { "no" };
            return Err(format!("layer \"{name}\" has {problem} ReLU behind it"));
        }
        values.extend_from_slice(biases);
        values.extend_from_slice(weights);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use counterweight_federated::{architecture::Tensor, onnx_file::to_onnx};

    use super::*;

    fn shape(hidden: &[u32], activation: Activation, outputs: u32) -> Architecture {
        Architecture::BuiltIn(Layered {
            inputs: 3,
            hidden: hidden.to_vec(),
            activation,
            outputs,
        })
    }

    fn exported(shape: &Architecture) -> (Parameters, Vec<u8>) {
        let model = Parameters::initial(shape, 5);
        let bytes = to_onnx(&model, "net").unwrap();
        (model, bytes)
    }

    #[test]
    fn what_was_exported_comes_back_bit_for_bit() {
        for (hidden, outputs) in [(&[][..], 1), (&[], 4), (&[5], 1), (&[3, 3], 3)] {
            let shape = shape(hidden, Activation::Relu, outputs);
            let (model, bytes) = exported(&shape);
            assert_eq!(from_onnx(&bytes, &shape), Ok(model), "{hidden:?} {outputs}");
        }
    }

    #[test]
    fn another_network_is_refused_with_the_layer() {
        let (_, bytes) = exported(&shape(&[5], Activation::Relu, 2));
        for (other, why) in [
            (shape(&[], Activation::Relu, 2), "has 2 layers, the model 1"),
            (
                shape(&[6], Activation::Relu, 2),
                "3 inputs and 5 outputs, the model's has 3 and 6",
            ),
            (
                shape(&[5], Activation::Relu, 1),
                "5 inputs and 2 outputs, the model's has 5 and 1",
            ),
            (shape(&[5], Activation::Tanh, 2), "the model's activation is tanh"),
        ] {
            let refused = from_onnx(&bytes, &other).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let tanh = shape(&[5], Activation::Tanh, 2);
        let refused = from_onnx(&exported(&tanh).1, &tanh).unwrap_err();
        assert!(refused.contains("Tanh"), "{refused}");
    }

    #[test]
    fn custom_models_are_read_by_name_and_shape() {
        // The names that our own exports have are as good as any.
        let (model, bytes) = exported(&shape(&[], Activation::Relu, 2));
        let tensor = |name: &str, shape: &[u32]| Tensor {
            name: name.to_owned(),
            shape: shape.to_vec(),
        };
        let (bias, weight) = (tensor("layers.0.bias", &[2]), tensor("layers.0.weight", &[2, 3]));
        let read = from_onnx(&bytes, &Architecture::custom([bias.clone(), weight.clone()])).unwrap();
        assert_eq!(read.values(), model.values());
        let read = from_onnx(&bytes, &Architecture::custom([weight.clone()])).unwrap();
        assert_eq!(read.values(), &model.values()[2..]);
        let turned = tensor("layers.0.weight", &[3, 2]);
        for (tensors, why) in [
            (
                vec![bias.clone(), turned],
                "has the shape [2, 3], the model's has [3, 2]",
            ),
            (vec![weight, tensor("head", &[2])], "no constant \"head\""),
        ] {
            let refused = from_onnx(&bytes, &Architecture::custom(tensors)).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
