//! The model's own tokenizer and chat template, from a Hugging Face folder (`folder`) or a GGUF header (`gguf`).
//!
//! Ids are those of transformers' `apply_chat_template`: the whole text is tokenized at once, special tokens written in it
//! become their ids, none are added, and what the file says of truncation and padding is not heeded.

mod folder;
mod gguf;
mod gguf_keys;
mod json;
mod pre;
mod save;
mod sentencepiece;
mod settings;

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow, bail, ensure};
use tokenizers::{PostProcessorWrapper, Tokenizer};

use super::template::{Rendering, Template};
use crate::files::sha256;

/// Tokens that end an answer wherever a model has them, whichever of them it prefers.
const KNOWN_ENDS: [&str; 3] = ["<|im_end|>", "<|endoftext|>", "<|eot_id|>"];

/// Text to token ids and back, and the Jinja source of the chat template.
#[derive(Debug, Clone)]
pub struct TextCodec {
    tokenizer: Tokenizer,
    /// The chat template as the model ships it.
    pub template: String,
    /// Text of the token that ends a sequence.
    pub eos_token: String,
    /// Text of the token that begins a sequence, empty where the model has none.
    pub bos_token: String,
    /// Ids that end an answer: those that the tokenizer, its template and the model's generation settings name.
    pub stops: Vec<u32>,
    /// Texts of special tokens by their names, as a template sees them.
    specials: Vec<(String, String)>,
    /// What the tokenizer puts before any text of its own accord.
    beginning: Vec<u32>,
    /// A text that the tokenizer does not join with what follows; empty where a text alone has the ids it has after others.
    border: String,
    /// Rows of the model's embedding table, once it is known.
    rows: Option<usize>,
}

/// What a model's files say beside the tokenizer itself.
#[derive(Debug, Default)]
struct Parts {
    template: String,
    /// Texts of special tokens by their names.
    specials: Vec<(String, String)>,
    /// Further ids that end an answer.
    stops: Vec<u32>,
}

impl Parts {
    fn special(&self, name: &str) -> Option<&str> {
        self.specials.iter().find(|(key, _)| key == name).map(|(_, text)| text.as_str())
    }
}

impl TextCodec {
    /// From a tokenizer, a template and the texts of the tokens that end and begin a sequence.
    pub fn new(tokenizer: Tokenizer, template: String, eos_token: String, bos_token: String) -> Result<Self> {
        let mut specials = vec![("eos_token".to_owned(), eos_token)];
        if !bos_token.is_empty() {
            specials.push(("bos_token".to_owned(), bos_token));
        }
        Self::of(tokenizer, Parts { template, specials, stops: Vec::new() })
    }

    fn of(mut tokenizer: Tokenizer, parts: Parts) -> Result<Self> {
        let eos_token = parts.special("eos_token").context("no end token is named")?.to_owned();
        let bos_token = parts.special("bos_token").unwrap_or_default().to_owned();
        ensure!(tokenizer.token_to_id(&eos_token).is_some(), "the tokenizer does not know its own end token `{eos_token}`");
        tokenizer.with_truncation(None).map_err(|e| anyhow!("the tokenizer's truncation cannot be cleared: {e}"))?;
        tokenizer.with_padding(None);
        let written = tokenizer.encode("", true).map_err(|e| anyhow!("failed to tokenize: {e}"))?;
        let begins = |id: &&u32| !bos_token.is_empty() && tokenizer.id_to_token(**id).as_deref() == Some(bos_token.as_str());
        let beginning = written.get_ids().iter().take_while(begins).copied().collect();
        // It adds nothing where no special tokens are added, and moves offsets.
        tokenizer.with_post_processor(None::<PostProcessorWrapper>);
        let mut codec = Self {
            tokenizer,
            template: parts.template,
            eos_token,
            bos_token,
            stops: Vec::new(),
            specials: parts.specials,
            beginning,
            border: String::new(),
            rows: None,
        };
        codec.border = codec.find_border()?;
        let named = KNOWN_ENDS.iter().copied().chain([codec.eos_token.as_str()]).filter_map(|token| codec.tokenizer.token_to_id(token));
        let stops: BTreeSet<u32> = named.chain(parts.stops).chain(codec.end_by_template()).collect();
        codec.stops = stops.into_iter().collect();
        Ok(codec)
    }

    /// The same for a model whose embedding table has so many rows: a token without a row becomes an error.
    pub fn within(self, rows: usize) -> Self {
        Self { rows: Some(rows), ..self }
    }

    /// The same with another chat template: what it writes after an answer ends answers too.
    pub fn with_template(mut self, template: &str) -> Self {
        template.clone_into(&mut self.template);
        let stops: BTreeSet<u32> = self.stops.iter().copied().chain(self.end_by_template()).collect();
        self.stops = stops.into_iter().collect();
        self
    }

    /// The id of a text that is one token.
    pub fn id(&self, token: &str) -> Option<u32> {
        self.tokenizer.token_to_id(token)
    }

    /// Texts of special tokens by their names: `bos_token`, `eos_token`, ...
    pub fn specials(&self) -> &[(String, String)] {
        &self.specials
    }

    /// Texts of the tokens that end an answer.
    pub fn stop_texts(&self) -> Vec<String> {
        self.stops.iter().filter_map(|id| self.tokenizer.id_to_token(*id)).collect()
    }

    /// sha256 of everything that turns text into ids and back.
    pub fn digest(&self) -> Result<String> {
        let tokenizer = self.tokenizer.to_string(false).map_err(|e| anyhow!("failed to write the tokenizer down: {e}"))?;
        let rest = (&self.specials, &self.beginning, &self.stops);
        Ok(sha256(format!("{tokenizer}\n{rest:?}").as_bytes()))
    }

    /// Token ids of a text as it stands: special tokens written in it become their ids, none are added.
    pub fn encode(&self, text: &str) -> Result<Vec<u32>> {
        Ok(self.encode_with_places(text)?.into_iter().map(|(id, _)| id).collect())
    }

    /// Token ids of a text, each with the bytes of the text that it stands for.
    pub fn encode_with_places(&self, text: &str) -> Result<Vec<(u32, std::ops::Range<usize>)>> {
        let encoding = self.tokenizer.encode(text, false).map_err(|e| anyhow!("failed to tokenize: {e}"))?;
        if let Some(rows) = self.rows
            && let Some(id) = encoding.get_ids().iter().find(|id| **id as usize >= rows)
        {
            let token = self.tokenizer.id_to_token(*id).unwrap_or_default();
            bail!(
                "the text has the token `{token}` (id {id}), which the tokenizer knows and the model does not: its vocabulary has {rows} \
                 rows. Resize the model's embeddings, or take the token out of the tokenizer's files"
            );
        }
        let places = encoding.get_offsets().iter().map(|(start, end)| *start..*end);
        Ok(encoding.get_ids().iter().copied().zip(places).collect())
    }

    /// Token ids of a text that goes on after another: what [`Self::encode`] gives, without the space that tokenizers of
    /// the SentencePiece kind put before a text's beginning.
    pub fn encode_on(&self, text: &str) -> Result<Vec<u32>> {
        if self.border.is_empty() {
            return self.encode(text);
        }
        let (before, whole) = (self.encode(&self.border)?, self.encode(&format!("{}{text}", self.border))?);
        let on = whole.strip_prefix(before.as_slice());
        Ok(on.with_context(|| format!("the tokenizer joins `{}` with what follows it", self.border.escape_debug()))?.to_vec())
    }

    /// Ids that the tokenizer puts before any text of its own accord: the beginning-of-sequence token or nothing.
    pub fn beginning(&self) -> Result<Vec<u32>> {
        Ok(self.beginning.clone())
    }

    /// Text of token ids, special tokens left out.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, true).map_err(|e| anyhow!("failed to decode tokens: {e}"))
    }

    /// Text of token ids, special tokens written out.
    pub fn decode_all(&self, ids: &[u32]) -> Result<String> {
        self.tokenizer.decode(ids, false).map_err(|e| anyhow!("failed to decode tokens: {e}"))
    }

    /// See [`Self::border`]: a line break in every tokenizer of the SentencePiece kind, which have no token that begins
    /// with one.
    fn find_border(&self) -> Result<String> {
        let alone = self.encode("a")?;
        if self.encode("\na")?.ends_with(&alone) {
            return Ok(String::new());
        }
        Ok("\n".to_owned())
    }

    /// The special token that the template writes after an answer.
    fn end_by_template(&self) -> Option<u32> {
        const ANSWER: &str = "An answer.";
        let messages = [("user", "A question?"), ("assistant", ANSWER)];
        let text = Template::compile(&self.template)
            .ok()?
            .render(Rendering { messages: &messages, ask: false, specials: &self.specials, thinking: None })
            .ok()?;
        let after = text[text.rfind(ANSWER)? + ANSWER.len()..].trim_start();
        let added = self.tokenizer.get_added_tokens_decoder();
        let mut first = added.iter().filter(|(_, token)| token.special && after.starts_with(&token.content)).collect::<Vec<_>>();
        first.sort_by_key(|(_, token)| token.content.len());
        first.last().map(|(id, _)| **id)
    }
}
