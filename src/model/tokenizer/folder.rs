//! The tokenizer of a Hugging Face folder: `tokenizer.json`, `tokenizer_config.json`, and beside them
//! `chat_template.jinja`, `special_tokens_map.json` and `generation_config.json` as transformers reads them.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use super::settings::{GENERATION, SPECIAL_TOKENS, TEMPLATE};
use super::{Parts, TextCodec, json};
use crate::files::read_text;
use crate::keys::{Rule, Table};

const FLAGS: &str = "read by Python's own tokenizers, not with tokenizer.json";

/// What transformers writes into `tokenizer_config.json`.
const CONFIG: Table = Table {
    what: "the tokenizer's configuration",
    remedy: "remove it if prompts do not depend on it",
    rules: &[
        ("add_bos_token", Rule::Harmless("chat templates write special tokens themselves")),
        ("add_eos_token", Rule::Harmless("chat templates write special tokens themselves")),
        ("add_prefix_space", Rule::Used),
        ("added_tokens_decoder", Rule::Used),
        ("additional_special_tokens", Rule::Used),
        ("audio_token", Rule::Harmless("names a token for other than text")),
        ("auto_map", Rule::Harmless("Python code that Ballast does not run; tokenizer.json is complete")),
        ("backend", Rule::Harmless("a library's name")),
        ("boa_token", Rule::Harmless("names a token for other than text")),
        ("boi_token", Rule::Harmless("names a token for other than text")),
        ("bos_token", Rule::Used),
        ("chat_template", Rule::Used),
        ("clean_up_tokenization_spaces", Rule::Harmless("spaces of decoded text; answers are graded as the model writes them")),
        ("cls_token", Rule::Used),
        ("device_map", Rule::Harmless("where a model goes")),
        ("do_lower_case", Rule::Harmless(FLAGS)),
        ("eoa_token", Rule::Harmless("names a token for other than text")),
        ("eoi_token", Rule::Harmless("names a token for other than text")),
        ("eos_token", Rule::Used),
        ("errors", Rule::Harmless("bytes that are no text, when decoding")),
        ("extra_special_tokens", Rule::Used),
        ("from_slow", Rule::Harmless(FLAGS)),
        ("image_token", Rule::Harmless("names a token for other than text")),
        ("is_local", Rule::Harmless("where it was loaded from")),
        ("legacy", Rule::Harmless(FLAGS)),
        ("local_files_only", Rule::Harmless("where it was loaded from")),
        ("mask_token", Rule::Used),
        ("max_length", Rule::Harmless("truncation, which apply_chat_template does not do")),
        ("model_input_names", Rule::Harmless("Python arguments")),
        ("model_max_length", Rule::Harmless("a warning's limit; the model's configuration says its context")),
        ("model_specific_special_tokens", Rule::Harmless("names tokens; tokenizer.json has them")),
        ("name_or_path", Rule::Harmless("where it was loaded from")),
        ("pad_to_multiple_of", Rule::Harmless("padding, which apply_chat_template does not do")),
        ("pad_token", Rule::Used),
        ("pad_token_type_id", Rule::Harmless("padding, which apply_chat_template does not do")),
        ("padding_side", Rule::Harmless("padding, which apply_chat_template does not do")),
        ("processor_class", Rule::Harmless("a Python class")),
        ("response_schema", Rule::Harmless("how answers are parsed into fields")),
        ("sep_token", Rule::Used),
        ("sp_model_kwargs", Rule::Harmless(FLAGS)),
        ("spaces_between_special_tokens", Rule::Harmless(FLAGS)),
        ("special_tokens_map_file", Rule::Harmless("where it was loaded from")),
        ("split_special_tokens", Rule::Refused("special tokens in a text would be cut into pieces: set it to false")),
        ("stride", Rule::Harmless("truncation, which apply_chat_template does not do")),
        ("tokenizer_class", Rule::Harmless("a Python class; tokenizer.json is complete")),
        ("tokenizer_file", Rule::Harmless("where it was loaded from")),
        ("truncation_side", Rule::Harmless("truncation, which apply_chat_template does not do")),
        ("truncation_strategy", Rule::Harmless("truncation, which apply_chat_template does not do")),
        ("unk_token", Rule::Used),
        ("use_default_system_prompt", Rule::Harmless("of a built-in template that transformers no longer has")),
        ("use_fast", Rule::Harmless("which of Python's tokenizers")),
        ("video_token", Rule::Harmless("names a token for other than text")),
        ("vision_bos_token", Rule::Harmless("names a token for other than text")),
        ("vision_eos_token", Rule::Harmless("names a token for other than text")),
    ],
};

const GENERATION_CONFIG: &str = "generation_config.json";

/// Special tokens that a template may name.
const SPECIALS: [&str; 7] = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

impl TextCodec {
    /// From a Hugging Face folder.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let tokenizer = json::read(&folder.join("tokenizer.json"))?;
        let path = folder.join("tokenizer_config.json");
        let config = object(&path)?;
        CONFIG.check(path.display(), &without_false(&config))?;
        agrees(&config, &tokenizer).with_context(|| path.display().to_string())?;
        let template = template(folder, &config)?;
        let mut parts = Parts { template, specials: specials(folder, &config)?, stops: end_ids(folder)? };
        if parts.special("eos_token").is_none() {
            let by_id = parts.stops.first().and_then(|id| tokenizer.id_to_token(*id));
            let eos = by_id.with_context(|| {
                format!(
                    "{} names no eos_token in tokenizer_config.json, special_tokens_map.json or generation_config.json",
                    folder.display()
                )
            })?;
            parts.specials.push(("eos_token".to_owned(), eos));
        }
        Self::of(tokenizer, parts).with_context(|| format!("{} cannot be used", folder.display()))
    }
}

fn object(path: &Path) -> Result<Map<String, Value>> {
    let value: Value = serde_json::from_str(&read_text(path)?).with_context(|| format!("{} is not JSON", path.display()))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => bail!("{} is not a JSON object", path.display()),
    }
}

fn optional(path: &Path) -> Result<Map<String, Value>> {
    if path.exists() { object(path) } else { Ok(Map::new()) }
}

/// Switches that are off count as absent.
fn without_false(object: &Map<String, Value>) -> Map<String, Value> {
    let kept = object.iter().filter(|(key, value)| *value != &Value::Bool(false) || CONFIG.rule(key).is_none());
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A token as text, or as an object with its content.
fn token(object: &Map<String, Value>, key: &str) -> Result<Option<String>> {
    match object.get(key) {
        None | Some(Value::Null | Value::Bool(false)) => Ok(None),
        Some(Value::String(text)) => Ok((!text.is_empty()).then(|| text.clone())),
        Some(Value::Object(token)) if token.get("content").is_some_and(Value::is_string) => {
            Ok(token["content"].as_str().map(str::to_owned))
        }
        Some(other) => bail!("`{key}` is neither a text nor an object with a content: {other}"),
    }
}

fn specials(folder: &Path, config: &Map<String, Value>) -> Result<Vec<(String, String)>> {
    let path = folder.join("special_tokens_map.json");
    let map = optional(&path)?;
    SPECIAL_TOKENS.check(path.display(), &map)?;
    let mut specials = Vec::new();
    for key in SPECIALS {
        let named = token(config, key).with_context(|| folder.join("tokenizer_config.json").display().to_string())?;
        let named = match named {
            None => token(&map, key).with_context(|| path.display().to_string())?,
            named => named,
        };
        specials.extend(named.map(|text| (key.to_owned(), text)));
    }
    Ok(specials)
}

/// Ids that end generation, one or a list, by the generation settings or, where there are none, the model's configuration.
fn end_ids(folder: &Path) -> Result<Vec<u32>> {
    let mut ids = Vec::new();
    for name in [GENERATION_CONFIG, "config.json"] {
        let path = folder.join(name);
        let object = optional(&path)?;
        // The model's own configuration is checked where the model is read.
        if name == GENERATION_CONFIG {
            GENERATION.check(path.display(), &object)?;
        }
        let id = |value: &Value| {
            value
                .as_u64()
                .and_then(|id| u32::try_from(id).ok())
                .ok_or_else(|| anyhow!("{}: eos_token_id {value} is not a token id", path.display()))
        };
        match object.get("eos_token_id") {
            None | Some(Value::Null) => {}
            Some(Value::Array(list)) => ids.extend(list.iter().map(id).collect::<Result<Vec<_>>>()?),
            Some(one) => ids.push(id(one)?),
        }
    }
    Ok(ids)
}

/// Empty for a base model. transformers takes `chat_template.jinja` before what `tokenizer_config.json` says, and of a list the one named `default`.
fn template(folder: &Path, config: &Map<String, Value>) -> Result<String> {
    let jinja = folder.join("chat_template.jinja");
    if jinja.exists() {
        return read_text(&jinja);
    }
    match config.get("chat_template") {
        Some(Value::String(template)) => Ok(template.clone()),
        Some(Value::Array(list)) => {
            let place = folder.join("tokenizer_config.json").display().to_string();
            let mut named = Vec::with_capacity(list.len());
            for entry in list {
                let entry = entry.as_object().with_context(|| format!("{place}: a chat template of the list is not an object: {entry}"))?;
                TEMPLATE.check(&place, entry)?;
                let text = |key: &str| entry.get(key).and_then(Value::as_str);
                let both = text("name").zip(text("template"));
                named.push(both.with_context(|| format!("{place}: a chat template of the list lacks `name` or `template`"))?);
            }
            let mut default = named.iter().filter(|(name, _)| *name == "default");
            let names: Vec<&str> = named.iter().map(|(name, _)| *name).collect();
            let (_, template) =
                default.next().with_context(|| format!("{place}: of the chat templates {names:?} none is named `default`"))?;
            ensure!(default.next().is_none(), "{place}: two chat templates are named `default`: keep one");
            Ok((*template).to_owned())
        }
        None | Some(Value::Null) => Ok(String::new()),
        Some(_) => bail!("{}: the chat template in tokenizer_config.json is neither a text nor a list", folder.display()),
    }
}

/// Whether `tokenizer.json` alone says what the configuration says too: transformers would change the tokenizer by it.
fn agrees(config: &Map<String, Value>, tokenizer: &Tokenizer) -> Result<()> {
    if config.get("add_prefix_space") == Some(&Value::Bool(true)) {
        let ids = |text: &str| tokenizer.encode(text, false).map(|encoding| encoding.get_ids().to_vec());
        let (bare, spaced) = (ids("a").map_err(|e| anyhow!("{e}"))?, ids(" a").map_err(|e| anyhow!("{e}"))?);
        ensure!(bare == spaced, "add_prefix_space is true, but tokenizer.json adds none: save the tokenizer again with transformers");
    }
    if let Some(added) = config.get("added_tokens_decoder").filter(|added| !added.is_null()) {
        let added = added.as_object().context("added_tokens_decoder is not an object")?;
        for (id, token) in added {
            let content = token["content"].as_str().with_context(|| format!("added_tokens_decoder: token {id} has no content"))?;
            ensure!(
                tokenizer.token_to_id(content).map(|known| known.to_string()).as_ref() == Some(id),
                "added_tokens_decoder gives `{content}` the id {id}, tokenizer.json does not: save the tokenizer again with transformers"
            );
        }
    }
    for key in ["additional_special_tokens", "extra_special_tokens"] {
        let named: Vec<&Value> = match config.get(key) {
            Some(Value::Array(list)) => list.iter().collect(),
            Some(Value::Object(map)) => map.values().collect(),
            None | Some(Value::Null) => continue,
            Some(_) => bail!("{key} is neither a list nor an object"),
        };
        for token in named {
            let content = token.as_str().or_else(|| token["content"].as_str()).with_context(|| format!("{key} names {token}"))?;
            ensure!(
                tokenizer.token_to_id(content).is_some(),
                "{key} names `{content}`, which tokenizer.json does not know: save the tokenizer again with transformers"
            );
        }
    }
    Ok(())
}
