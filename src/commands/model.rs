//! A base model by name: fetched where needed, loaded, with its chat template.

use std::path::Path;

use anyhow::Result;

use super::fetched::files;
use crate::data::chat::{ChatSettings, ChatTemplate};
use crate::files::read_text;
use crate::model::adapter;
use crate::model::base::BaseModel;
use crate::model::catalogue;
use crate::model::decoder::Decoder;
use crate::model::device::DeviceChoice;
use crate::model::fetch::ModelFiles;
use crate::model::gguf::open_gguf;
use crate::model::lora::Adapter;
use crate::model::spec::Spec;
use crate::model::tokenizer::TextCodec;

/// Loads a model with its template.
pub(super) fn load(name: &str, device: DeviceChoice, chat: &ChatSettings) -> Result<(BaseModel, ChatTemplate)> {
    // Opened before the fetch: a device that is absent should not cost a download.
    device.open()?;
    let mut base = BaseModel::load(name, &files(name)?, device)?;
    let template = ChatTemplate::with(base.codec.clone(), &settled(name, chat))?;
    // What ends an answer depends on the template.
    base.codec = template.codec().clone();
    Ok((base, template))
}

/// Settings with the template that the catalogue has for a base model, where none is named.
pub(super) fn settled(name: &str, chat: &ChatSettings) -> ChatSettings {
    let template = chat.template.clone().or_else(|| catalogue::find(name)?.template.map(str::to_owned));
    ChatSettings { template, ..chat.clone() }
}

/// Only the tokenizer and template of a model.
pub(super) fn template(name: &str, chat: &ChatSettings) -> Result<ChatTemplate> {
    let codec = match files(name)? {
        ModelFiles::Gguf(path) => TextCodec::from_gguf(open_gguf(&path)?.header())?,
        ModelFiles::Folder(folder) => TextCodec::from_folder(&folder)?,
    };
    ChatTemplate::with(codec, &settled(name, chat))
}

/// Only the shape of a model.
pub(super) fn spec(name: &str) -> Result<Spec> {
    match files(name)? {
        ModelFiles::Gguf(path) => open_gguf(&path)?.spec(),
        ModelFiles::Folder(folder) => Spec::from_config_json(&read_text(&folder.join("config.json"))?),
    }
}

/// Loads an adapter at a strength. One that is not finite in f32 is Invalid.
pub(super) fn adapter(folder: Option<&Path>, lambda: f64, base: &BaseModel) -> Result<Option<Adapter>> {
    let Some(folder) = folder else { return Ok(None) };
    let adapter = adapter::load(folder, &base.decoder.spec, &base.device)?;
    let adapter = adapter.scaled(lambda);
    adapter.check_scale()?;
    Ok(Some(adapter))
}

/// What answers questions: the base itself, or a copy with the adapter folded in, which is as fast as the base. On a GPU
/// the adapter stays apart (None): weights are bf16 there, and an update folded into them would be rounded away.
pub(super) fn merged(base: &BaseModel, adapter: Option<&Adapter>) -> Result<Option<Decoder>> {
    match adapter {
        Some(adapter) if base.device.is_cpu() => Ok(Some(base.decoder.merged(adapter)?)),
        _ => Ok(None),
    }
}
