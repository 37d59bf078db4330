//! The model's own tokenizer and chat template, from `tokenizer.json` or a GGUF header.

use std::path::Path;

use anyhow::{Context, Result, anyhow};
use candle_core::quantized::gguf_file::Content;
use candle_core::quantized::tokenizer::TokenizerFromGguf;
use tokenizers::Tokenizer;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;

use crate::files::{read_json, read_text, sha256};

/// Text to token ids and back, and the Jinja source of the chat template.
#[derive(Debug, Clone)]
pub struct TextCodec {
    tokenizer: Tokenizer,
    /// The chat template as the model ships it.
    pub template: String,
    /// Text of the token that ends a turn.
    pub eos_token: String,
    /// Text of the token that begins a sequence, empty where the model has none.
    pub bos_token: String,
    /// Ids that end an answer.
    pub stops: Vec<u32>,
}

impl TextCodec {
    /// From a GGUF header.
    pub fn from_gguf(content: &Content) -> Result<Self> {
        let mut tokenizer = Tokenizer::from_gguf(content)?;
        let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok()).cloned();
        // candle gives every pre-tokenizer it does not know GPT-2's rule with a leading space; SmolLM's splits digits
        // one by one and adds no space.
        if text("tokenizer.ggml.pre").as_deref() == Some("smollm") {
            let steps = vec![Digits::new(true).into(), ByteLevel::new(false, true, true).into()];
            tokenizer.with_pre_tokenizer(Some(Sequence::new(steps)));
            tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
            tokenizer.with_post_processor(Some(ByteLevel::new(false, true, true)));
        }
        let token_at = |key: &str| -> Result<Option<String>> {
            let Some(id) = content.metadata.get(key) else { return Ok(None) };
            let id = id.to_u32().with_context(|| format!("GGUF key `{key}` is not a token id"))?;
            Ok(tokenizer.id_to_token(id))
        };
        let eos = token_at("tokenizer.ggml.eos_token_id")?.context("GGUF header has no tokenizer.ggml.eos_token_id")?;
        let bos = token_at("tokenizer.ggml.bos_token_id")?.unwrap_or_default();
        let template =
            text("tokenizer.chat_template").context("GGUF header has no tokenizer.chat_template: Ballast needs an instruct model")?;
        Self::new(tokenizer, template, eos, bos)
    }

    /// From a Hugging Face folder.
    pub fn from_folder(folder: &Path) -> Result<Self> {
        let path = folder.join("tokenizer.json");
        let tokenizer = Tokenizer::from_file(&path).map_err(|e| anyhow!("{} cannot be read: {e}", path.display()))?;
        let config: serde_json::Value = read_json(&folder.join("tokenizer_config.json"))?;
        let token = |key: &str| config[key].as_str().or_else(|| config[key]["content"].as_str()).unwrap_or_default().to_owned();
        let jinja = folder.join("chat_template.jinja");
        let template = match config["chat_template"].as_str() {
            Some(template) => template.to_owned(),
            None if jinja.exists() => read_text(&jinja)?,
            None => anyhow::bail!(
                "{} has no chat template in tokenizer_config.json or chat_template.jinja: Ballast needs an instruct model",
                folder.display()
            ),
        };
        let eos = token("eos_token");
        anyhow::ensure!(!eos.is_empty(), "{} names no eos_token in tokenizer_config.json", folder.display());
        Self::new(tokenizer, template, eos, token("bos_token"))
    }

    /// From its parts. Every known end token ends an answer, whichever of them the model prefers.
    pub fn new(tokenizer: Tokenizer, template: String, eos_token: String, bos_token: String) -> Result<Self> {
        let stops: Vec<u32> = [eos_token.as_str(), "<|im_end|>", "<|endoftext|>", "<|eot_id|>"]
            .iter()
            .filter_map(|token| tokenizer.token_to_id(token))
            .collect::<std::collections::BTreeSet<u32>>()
            .into_iter()
            .collect();
        anyhow::ensure!(!stops.is_empty(), "the tokenizer does not know its own end token `{eos_token}`");
        Ok(Self { tokenizer, template, eos_token, bos_token, stops })
    }

    /// sha256 of everything that turns text into ids and back.
    pub fn digest(&self) -> Result<String> {
        let tokenizer = self.tokenizer.to_string(false).map_err(|e| anyhow!("failed to write the tokenizer down: {e}"))?;
        Ok(sha256(format!("{tokenizer}\n{}\n{}\n{:?}", self.eos_token, self.bos_token, self.stops).as_bytes()))
    }

    /// Token ids of a text as it stands: special tokens written in it become their ids, none are added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode(text, false).map_err(|e| anyhow!("failed to tokenize: {e}"))?;
        Ok(encoding.get_ids().to_vec())
    }

    /// Ids that the tokenizer puts before any text of its own accord: the beginning-of-sequence token or nothing.
    pub fn beginning(&self) -> Result<Vec<u32>> {
        let encoding = self.tokenizer.encode("", true).map_err(|e| anyhow!("failed to tokenize: {e}"))?;
        let begins = |id: &&u32| !self.bos_token.is_empty() && self.tokenizer.id_to_token(**id).as_deref() == Some(self.bos_token.as_str());
        Ok(encoding.get_ids().iter().take_while(begins).copied().collect())
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, true).map_err(|e| anyhow!("failed to decode tokens: {e}"))
    }

    /// Text of token ids, special tokens written out.
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, false).map_err(|e| anyhow!("failed to decode tokens: {e}"))
    }
}
