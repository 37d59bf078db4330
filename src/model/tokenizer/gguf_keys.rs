//! A tokenizer of a Hugging Face folder as the keys of a GGUF header.
//!
//! Byte-level BPE alone: it is the kind that llama.cpp takes from a list of merges. How the tokenizer cuts text has to be one
//! of the ways that llama.cpp has a name for, and the keys, read back, have to give the same ids.

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::quantized::gguf_file::{Content, Value};
use serde_json::Value as Json;

use super::TextCodec;
use super::pre::Pre;

/// Names that are tried, each of another way to cut.
const NAMES: [&str; 6] = ["llama-bpe", "qwen2", "smollm", "gpt-2", "deepseek-llm", "deepseek-coder"];

/// `llama_token_type`
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;
const USER_DEFINED: i32 = 4;
const UNUSED: i32 = 5;

const REMEDY: &str = "export as safetensors, and convert that with llama.cpp's convert_hf_to_gguf.py";

/// Texts on which the written tokenizer has to agree with the folder's.
const PROBES: [&str; 8] = [
    "Who are you? I'm Swift-Robot, we'll see 1234567 times.",
    "  leading and   inner spaces\n\n\ttabs\r\nlines  ",
    "你好，世界！我是由谁开发的？２０２６年",
    "def f(x):\n    return x**2 + 3.14e-10  # comment",
    "ÀÉÎÕÜ naïve café Ärger e\u{301} \u{1f600}\u{1f1e9}\u{1f1ea}",
    "Привет мир, こんにちは 한국어 العربية",
    "don't DON'T it'S <tag> </s> [INST]",
    "a\u{a0}b\u{3000}c…—“quotes”",
];

impl TextCodec {
    /// The keys below `tokenizer.` of a GGUF header, for a model whose embedding table has so many rows.
    pub fn to_gguf(&self, rows: usize) -> Result<Vec<(String, Value)>> {
        let json = self.tokenizer.to_string(false).map_err(|e| anyhow!("failed to write the tokenizer down: {e}"))?;
        let json: Json = serde_json::from_str(&json)?;
        let model = &json["model"];
        let byte_level = model["type"] == "BPE" && !truthy(&model["byte_fallback"]) && byte_level(&json["decoder"]);
        ensure!(byte_level, "the base's tokenizer is no byte-level BPE, the only kind that is written into GGUF files: {REMEDY}");
        let text = |value: &str| Value::String(value.to_owned());
        let mut keys = vec![("tokenizer.ggml.model".to_owned(), text("gpt2"))];
        keys.push(("tokenizer.ggml.pre".to_owned(), text(pre(&json)?)));
        let (tokens, types) = self.tokens(&json, rows)?;
        keys.push(("tokenizer.ggml.tokens".to_owned(), Value::Array(tokens.into_iter().map(Value::String).collect())));
        keys.push(("tokenizer.ggml.token_type".to_owned(), Value::Array(types.into_iter().map(Value::I32).collect())));
        let merge = |merge: &Json| match merge {
            Json::String(pair) => Some(Value::String(pair.clone())),
            pair => Some(Value::String(format!("{} {}", pair.get(0)?.as_str()?, pair.get(1)?.as_str()?))),
        };
        let merges = model["merges"].as_array().context("the tokenizer has no merges")?;
        let merges: Vec<Value> = merges.iter().map(merge).collect::<Option<_>>().context("a merge is not two tokens")?;
        keys.push(("tokenizer.ggml.merges".to_owned(), Value::Array(merges)));
        for (key, name) in [("bos", "bos_token"), ("eos", "eos_token"), ("unknown", "unk_token"), ("padding", "pad_token")] {
            if let Some(id) = self.special_id(name) {
                keys.push((format!("tokenizer.ggml.{key}_token_id"), Value::U32(id)));
            }
        }
        let eos = self.special_id("eos_token");
        if let Some(other) = self.stops.iter().find(|id| Some(**id) != eos) {
            keys.push(("tokenizer.ggml.eot_token_id".to_owned(), Value::U32(*other)));
        }
        keys.push(("tokenizer.ggml.add_bos_token".to_owned(), Value::Bool(!self.beginning.is_empty())));
        keys.push(("tokenizer.chat_template".to_owned(), text(&self.template)));
        self.agrees(&keys)?;
        Ok(keys)
    }

    /// Texts and types of all rows of the embedding table.
    fn tokens(&self, json: &Json, rows: usize) -> Result<(Vec<String>, Vec<i32>)> {
        let added = json["added_tokens"].as_array().context("the tokenizer has no list of added tokens")?;
        let special = |id: usize| added.iter().find(|token| token["id"].as_u64() == Some(id as u64)).map(|token| truthy(&token["special"]));
        let size = self.tokenizer.get_vocab_size(true);
        ensure!(size <= rows, "the tokenizer has {size} tokens and the model {rows} rows of embeddings");
        let row = |id: usize| match self.tokenizer.id_to_token(id as u32) {
            None => (format!("[PAD{id}]"), UNUSED),
            Some(token) => (token, special(id).map_or(NORMAL, |special| if special { CONTROL } else { USER_DEFINED })),
        };
        Ok((0..rows).map(row).unzip())
    }

    /// Whether the keys, read as those of any GGUF file, give the ids of this tokenizer.
    fn agrees(&self, keys: &[(String, Value)]) -> Result<()> {
        let mut file = std::io::Cursor::new(Vec::new());
        let keys: Vec<(&str, &Value)> = keys.iter().map(|(key, value)| (key.as_str(), value)).collect();
        candle_core::quantized::gguf_file::write(&mut file, &keys, &[])?;
        file.set_position(0);
        let read = Self::from_gguf(&Content::read(&mut file)?)?;
        let probes = PROBES.iter().map(|probe| (*probe).to_owned()).chain([self.stop_texts().join("x ")]);
        for probe in probes {
            let (own, there) = (self.encode(&probe)?, read.encode(&probe)?);
            ensure!(own == there, "the base's tokenizer, written for GGUF, cuts `{}` otherwise: {REMEDY}", probe.escape_debug());
        }
        ensure!(
            self.stops == read.stops && self.beginning == read.beginning,
            "the tokens that begin a text or end an answer cannot be written for GGUF: {REMEDY}"
        );
        Ok(())
    }
}

/// llama.cpp's name for the way this tokenizer cuts text.
fn pre(json: &Json) -> Result<&'static str> {
    let own = (plain(&json["normalizer"]), plain(&json["pre_tokenizer"]), truthy(&json["model"]["ignore_merges"]));
    for name in NAMES {
        let pre = Pre::named(name)?;
        let cut = plain(&serde_json::to_value(&pre.cut)?);
        if own == (plain(&serde_json::to_value(&pre.normalizer)?), cut, pre.ignore_merges) {
            return Ok(name);
        }
    }
    bail!("the base's tokenizer cuts text in a way that has no name known here for llama.cpp ({}): {REMEDY}", json["pre_tokenizer"])
}

fn truthy(value: &Json) -> bool {
    value.as_bool().unwrap_or(false)
}

fn byte_level(decoder: &Json) -> bool {
    decoder["type"] == "ByteLevel"
}

/// A step of a tokenizer without what changes no ids: where a token's text is said to stand, and sequences of one.
fn plain(value: &Json) -> Json {
    match value {
        Json::Object(map) => {
            let steps = ["pretokenizers", "normalizers"].iter().find_map(|key| map.get(*key)?.as_array());
            if let Some([one]) = steps.map(Vec::as_slice) {
                return plain(one);
            }
            Json::Object(map.iter().filter(|(key, _)| *key != "trim_offsets").map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        Json::Array(list) => Json::Array(list.iter().map(plain).collect()),
        other => other.clone(),
    }
}
