//! `tokenizer.json`, checked part by part before the library builds a tokenizer of it.

use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};
use tokenizers::Tokenizer;

use crate::files::read_text;
use crate::keys::{Rule, Table};

const REMEDY: &str = "save the tokenizer again with transformers";

const FILE: Table = Table {
    what: "the tokenizer",
    remedy: REMEDY,
    rules: &[
        ("added_tokens", Rule::Used),
        ("decoder", Rule::Used),
        ("model", Rule::Used),
        ("normalizer", Rule::Used),
        ("padding", Rule::Harmless("apply_chat_template pads nothing")),
        ("post_processor", Rule::Used),
        ("pre_tokenizer", Rule::Used),
        ("truncation", Rule::Harmless("apply_chat_template truncates nothing")),
        ("version", Rule::Harmless("the library reads one version")),
    ],
};

const MODEL: Table = Table {
    what: "the tokenizer's model",
    remedy: REMEDY,
    rules: &[
        ("byte_fallback", Rule::Used),
        ("continuing_subword_prefix", Rule::Used),
        ("dropout", Rule::Refused("merges left out at random: set it to null")),
        ("end_of_word_suffix", Rule::Used),
        ("fuse_unk", Rule::Used),
        ("ignore_merges", Rule::Used),
        ("merges", Rule::Used),
        ("type", Rule::Used),
        ("unk_token", Rule::Used),
        ("vocab", Rule::Used),
    ],
};

const ADDED: Table = Table {
    what: "an added token",
    remedy: REMEDY,
    rules: &[
        ("content", Rule::Used),
        ("id", Rule::Used),
        ("lstrip", Rule::Used),
        ("normalized", Rule::Used),
        ("rstrip", Rule::Used),
        ("single_word", Rule::Used),
        ("special", Rule::Used),
    ],
};

/// Keys of normalizers, pre-tokenizers, post-processors and decoders.
const STEP: Table = Table {
    what: "a step of the tokenizer",
    remedy: REMEDY,
    rules: &[
        ("add_prefix_space", Rule::Used),
        ("behavior", Rule::Used),
        ("cls", Rule::Used),
        ("content", Rule::Used),
        ("decoders", Rule::Used),
        ("individual_digits", Rule::Used),
        ("invert", Rule::Used),
        ("normalizers", Rule::Used),
        ("pair", Rule::Used),
        ("pattern", Rule::Used),
        ("prepend", Rule::Used),
        ("prepend_scheme", Rule::Used),
        ("pretokenizers", Rule::Used),
        ("processors", Rule::Used),
        ("replacement", Rule::Used),
        ("sep", Rule::Used),
        ("single", Rule::Used),
        ("special_tokens", Rule::Used),
        ("split", Rule::Used),
        ("start", Rule::Used),
        ("stop", Rule::Used),
        ("str_rep", Rule::Refused("a form of Metaspace from before tokenizers 0.15")),
        ("strip_left", Rule::Used),
        ("strip_right", Rule::Used),
        ("trim_offsets", Rule::Used),
        ("type", Rule::Used),
        ("use_regex", Rule::Used),
    ],
};

/// Steps that tokenizers of language models are made of.
const STEPS: [&str; 21] = [
    "BertProcessing",
    "ByteFallback",
    "ByteLevel",
    "Digits",
    "Fuse",
    "Lowercase",
    "Metaspace",
    "NFC",
    "NFD",
    "NFKC",
    "NFKD",
    "Prepend",
    "Punctuation",
    "Replace",
    "RobertaProcessing",
    "Sequence",
    "Split",
    "Strip",
    "TemplateProcessing",
    "Whitespace",
    "WhitespaceSplit",
];

/// Longest text that a step may put in place of another, or look for.
const LONGEST: usize = 4096;

/// Reads and checks the file.
pub(super) fn read(path: &Path) -> Result<Tokenizer> {
    let place = path.display();
    let mut file: Value = serde_json::from_str(&read_text(path)?).with_context(|| format!("{place} is not JSON"))?;
    check(path, &mut file)?;
    serde_json::from_value(file).map_err(|e| anyhow!("{place} cannot be read: {e}"))
}

fn check(path: &Path, file: &mut Value) -> Result<()> {
    let place = path.display();
    let Value::Object(parts) = file else { bail!("{place} is not a JSON object") };
    FILE.check(place.to_string(), parts)?;
    // Both are cleared where a prompt is made, and some of their values end the library in a panic.
    parts.insert("truncation".to_owned(), Value::Null);
    parts.insert("padding".to_owned(), Value::Null);
    let Some(Value::Object(model)) = parts.get("model") else { bail!("{place} has no model") };
    let model_type = model.get("type").and_then(Value::as_str).unwrap_or("BPE");
    ensure!(model_type == "BPE", "{place}: a tokenizer of the type {model_type} is not supported: Ballast reads BPE, as decoders have it");
    MODEL.check(place.to_string(), model)?;
    for key in ["normalizer", "pre_tokenizer", "post_processor", "decoder"] {
        if let Some(step) = parts.get(key) {
            steps(step, 0).with_context(|| format!("{place}: {key}"))?;
        }
    }
    for token in parts.get("added_tokens").and_then(Value::as_array).into_iter().flatten() {
        let Value::Object(token) = token else { bail!("{place}: an added token is not an object: {token}") };
        ADDED.check(place.to_string(), token)?;
    }
    Ok(())
}

fn steps(step: &Value, depth: usize) -> Result<()> {
    ensure!(depth < 8, "steps within steps within steps");
    let object: &Map<String, Value> = match step {
        Value::Null => return Ok(()),
        Value::Object(object) => object,
        other => bail!("a step is not an object: {other}"),
    };
    let kind = object.get("type").and_then(Value::as_str).context("a step has no type")?;
    ensure!(STEPS.contains(&kind), "a step of the type {kind} is not supported: {REMEDY}");
    STEP.check(kind, object)?;
    let short = |text: &str, what: &str| {
        ensure!(text.len() <= LONGEST, "{kind} has a {what} of {} bytes", text.len());
        Ok(())
    };
    for key in ["content", "prepend", "replacement"] {
        if let Some(text) = object.get(key).and_then(Value::as_str) {
            short(text, key)?;
        }
    }
    if let Some(pattern) = object.get("pattern") {
        let text = pattern
            .get("String")
            .or_else(|| pattern.get("Regex"))
            .and_then(Value::as_str)
            .with_context(|| format!("{kind} has no pattern"))?;
        ensure!(!text.is_empty(), "{kind} has an empty pattern, which fits everywhere");
        short(text, "pattern")?;
    }
    for key in ["normalizers", "pretokenizers", "processors", "decoders"] {
        for part in object.get(key).and_then(Value::as_array).into_iter().flatten() {
            steps(part, depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(change: impl FnOnce(&mut Value)) -> Result<()> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2/tokenizer.json");
        let mut file: Value = serde_json::from_str(&read_text(&path)?)?;
        change(&mut file);
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("tokenizer.json");
        std::fs::write(&path, file.to_string())?;
        read(&path).map(|_| ())
    }

    #[test]
    fn truncation_and_padding_are_cleared_whatever_they_say() {
        with(|file| {
            file["truncation"] = serde_json::json!({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 9});
            file["padding"] = serde_json::json!({"strategy": {"Fixed": 1_000_000_000}, "direction": "Left", "pad_to_multiple_of": 0});
        })
        .unwrap();
    }

    #[test]
    fn parts_that_are_not_known_are_named() {
        let refused = |change: &dyn Fn(&mut Value), word: &str| {
            let error = format!("{:#}", with(|file| change(file)).unwrap_err());
            assert!(error.contains(word) && error.contains("tokenizer.json"), "{error}");
        };
        refused(&|file| file["postscript"] = 1.into(), "`postscript`");
        refused(&|file| file["model"]["dropout"] = 0.1.into(), "`dropout`");
        refused(&|file| file["model"]["noise"] = 0.1.into(), "`noise`");
        refused(&|file| file["model"]["type"] = "Unigram".into(), "Unigram");
        refused(&|file| file["added_tokens"][0]["weight"] = 1.into(), "`weight`");
        refused(&|file| file["normalizer"] = serde_json::json!({"type": "Precompiled", "precompiled_charsmap": "x"}), "Precompiled");
        refused(&|file| file["normalizer"] = serde_json::json!({"type": "NFC", "twice": true}), "`twice`");
        refused(
            &|file| file["normalizer"] = serde_json::json!({"type": "Replace", "pattern": {"String": ""}, "content": "x"}),
            "empty pattern",
        );
        refused(&|file| file["pre_tokenizer"] = serde_json::json!({"type": "Sequence", "pretokenizers": [{"type": "Magic"}]}), "Magic");
    }
}
