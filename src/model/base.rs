//! A base model as loaded: decoder, text codec, and the digest that names its weights in records.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use candle_core::{DType, Device};
use sha2::{Digest, Sha256};

use super::decoder::Decoder;
use super::device::DeviceChoice;
use super::fetch::ModelFiles;
use super::gguf::open_gguf;
use super::spec::Spec;
use super::tokenizer::TextCodec;
use super::weights::{Weights, safetensors_files};
use crate::files::{self, hex, read_text};

/// A base model.
pub struct BaseModel {
    /// The name it was asked for by.
    pub name: String,
    /// Shape and weights.
    pub decoder: Decoder,
    /// Tokenizer and chat template.
    pub codec: TextCodec,
    /// sha256 over the weight files and, of a folder, over what its configuration says of them: the same weights under
    /// another rotary base are another model. A GGUF file holds both.
    pub digest: String,
    /// Where it runs.
    pub device: Device,
}

impl BaseModel {
    /// Loads fetched files onto a device.
    pub fn load(name: &str, files: &ModelFiles, choice: DeviceChoice) -> Result<Self> {
        Self::load_as(name, files, &choice.open()?, choice.weight_type())
    }

    /// Loads fetched files onto a device, with weights of a given type.
    pub fn load_as(name: &str, files: &ModelFiles, device: &Device, dtype: DType) -> Result<Self> {
        let context = || format!("failed to load the model `{name}`");
        let (spec, weights, codec, digested, configuration) = match files {
            ModelFiles::Gguf(path) => {
                let mut file = open_gguf(path)?;
                let spec = file.spec().with_context(context)?;
                let weights = Weights::from_gguf(&mut file, &spec, device, dtype).with_context(context)?;
                (spec, weights, TextCodec::from_gguf(file.header()).with_context(context)?, file.paths(), String::new())
            }
            ModelFiles::Folder(folder) => {
                let configuration = read_text(&folder.join("config.json"))?;
                let spec = Spec::from_config_json(&configuration).with_context(context)?;
                let files = safetensors_files(folder).with_context(context)?;
                let weights = Weights::from_safetensors(&files, &spec, device, dtype).with_context(context)?;
                (spec, weights, TextCodec::from_folder(folder).with_context(context)?, files, Spec::canonical(&configuration)?)
            }
        };
        let codec = codec.within(spec.vocabulary);
        Ok(Self {
            name: name.to_owned(),
            decoder: Decoder::new(spec, weights)?,
            codec,
            digest: digest(&digested, &configuration)?,
            device: device.clone(),
        })
    }
}

/// The digest that a base loaded from these files has, without loading it.
pub fn weights_digest(files: &ModelFiles) -> Result<String> {
    match files {
        ModelFiles::Gguf(path) => digest(&open_gguf(path)?.paths(), ""),
        ModelFiles::Folder(folder) => digest(&safetensors_files(folder)?, &Spec::canonical(&read_text(&folder.join("config.json"))?)?),
    }
}

/// sha256 over the files' contents, in order, and a text.
fn digest(files: &[PathBuf], text: &str) -> Result<String> {
    let mut hash = Sha256::new();
    for file in files {
        hash_file(&mut hash, file).with_context(|| format!("failed to read {}", file.display()))?;
    }
    hash.update(text);
    Ok(hex(&hash.finalize()))
}

fn hash_file(hash: &mut Sha256, path: &Path) -> Result<()> {
    let mut file = files::open(path)?;
    std::io::copy(&mut file, hash)?;
    Ok(())
}
