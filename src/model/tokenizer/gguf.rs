//! The tokenizer that a GGUF header describes: of GPT-2's kind (byte-level BPE), or of the SentencePiece kind.

use anyhow::{Context, Result, anyhow, bail, ensure};
use candle_core::quantized::gguf_file::{Content, Value};
use serde_json::Map;
use tokenizers::decoders::byte_level::ByteLevel;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::{AddedToken, Tokenizer};

use super::pre::Pre;
use super::sentencepiece::{self, Pieces};
use super::{Parts, TextCodec};
use crate::keys::{Rule, Table};

/// Keys below `tokenizer.`
const HEADER: Table = Table {
    what: "the tokenizer of the GGUF header",
    remedy: "use the model's safetensors folder",
    rules: &[
        ("chat_template", Rule::Used),
        ("chat_templates", Rule::Harmless("names of templates beside the default one")),
        ("ggml.add_bos_token", Rule::Used),
        ("ggml.add_eos_token", Rule::Harmless("chat templates write special tokens themselves")),
        ("ggml.add_sep_token", Rule::Harmless("chat templates write special tokens themselves")),
        ("ggml.add_space_prefix", Rule::Used),
        ("ggml.bos_token_id", Rule::Used),
        ("ggml.cls_token_id", Rule::Harmless("not used by decoders")),
        ("ggml.eom_token_id", Rule::Used),
        ("ggml.eos_token_id", Rule::Used),
        ("ggml.eot_token_id", Rule::Used),
        ("ggml.fim_mid_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.fim_pad_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.fim_pre_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.fim_rep_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.fim_sep_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.fim_suf_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.mask_token_id", Rule::Harmless("not used by decoders")),
        ("ggml.merges", Rule::Used),
        ("ggml.middle_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.model", Rule::Used),
        ("ggml.padding_token_id", Rule::Harmless("nothing is padded")),
        ("ggml.pre", Rule::Used),
        ("ggml.prefix_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.remove_extra_whitespaces", Rule::Harmless("of unigram tokenizers, which are refused")),
        ("ggml.scores", Rule::Used),
        ("ggml.seperator_token_id", Rule::Harmless("not used by decoders")),
        ("ggml.suffix_token_id", Rule::Harmless("fills gaps in code, which chats have not")),
        ("ggml.token_type", Rule::Used),
        ("ggml.token_type_count", Rule::Harmless("of encoders")),
        ("ggml.tokens", Rule::Used),
        ("ggml.unknown_token_id", Rule::Used),
        ("huggingface.json", Rule::Harmless("the same tokenizer in another form")),
    ],
};

/// `llama_token_type`: tokens that stand for more than their text.
const UNKNOWN: u32 = 2;
const CONTROL: u32 = 3;
const USER_DEFINED: u32 = 4;

impl TextCodec {
    /// From a GGUF header.
    pub fn from_gguf(content: &Content) -> Result<Self> {
        let header = Header(content);
        header.check()?;
        let (tokenizer, begins) = header.tokenizer()?;
        // None for a base model.
        let template = header.text("chat_template")?.unwrap_or_default().to_owned();
        let mut specials = Vec::new();
        let mut stops = Vec::new();
        for (key, name) in [("bos", "bos_token"), ("eos", "eos_token"), ("unknown", "unk_token"), ("padding", "pad_token")] {
            if let Some(id) = header.id(&format!("ggml.{key}_token_id"))? {
                let text = tokenizer
                    .id_to_token(id)
                    .with_context(|| format!("GGUF key `tokenizer.ggml.{key}_token_id` is {id}, which is no token"))?;
                specials.push((name.to_owned(), text));
            }
        }
        for key in ["ggml.eos_token_id", "ggml.eot_token_id", "ggml.eom_token_id"] {
            stops.extend(header.id(key)?);
        }
        ensure!(specials.iter().any(|(name, _)| name == "eos_token"), "GGUF header has no tokenizer.ggml.eos_token_id");
        let mut codec = Self::of(tokenizer, Parts { template, specials, stops })?;
        if begins && !codec.bos_token.is_empty() {
            codec.beginning = codec.tokenizer.token_to_id(&codec.bos_token).into_iter().collect();
        }
        Ok(codec)
    }

    /// Ids of texts by the tokenizer of a GGUF header, which need not have a chat template.
    #[doc(hidden)]
    pub fn gguf_ids(content: &Content, texts: &[&str]) -> Result<Vec<Vec<u32>>> {
        let (tokenizer, _) = Header(content).tokenizer()?;
        let ids = |text: &&str| tokenizer.encode(*text, false).map(|encoding| encoding.get_ids().to_vec()).map_err(|e| anyhow!("{e}"));
        texts.iter().map(ids).collect()
    }
}

/// What a header says below `tokenizer.`
struct Header<'a>(&'a Content);

impl Header<'_> {
    fn check(&self) -> Result<()> {
        let below = self.0.metadata.keys().filter_map(|key| key.strip_prefix("tokenizer."));
        let keys: Map<String, serde_json::Value> =
            below.filter(|key| !key.starts_with("chat_template.")).map(|key| (key.to_owned(), true.into())).collect();
        HEADER.check("GGUF header", &keys)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.0.metadata.get(&format!("tokenizer.{key}"))
    }

    fn text(&self, key: &str) -> Result<Option<&str>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => bail!("GGUF key `tokenizer.{key}` is not text: {other:?}"),
        }
    }

    fn id(&self, key: &str) -> Result<Option<u32>> {
        self.get(key).map(|value| whole(value).with_context(|| format!("GGUF key `tokenizer.{key}` is not a token id"))).transpose()
    }

    fn list(&self, key: &str) -> Result<Option<&Vec<Value>>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Array(list)) => Ok(Some(list)),
            Some(_) => bail!("GGUF key `tokenizer.{key}` is not a list"),
        }
    }

    fn texts(&self, key: &str) -> Result<Vec<&str>> {
        let list = self.list(key)?.with_context(|| format!("GGUF header has no `tokenizer.{key}`"))?;
        let mut texts = Vec::with_capacity(list.len());
        for (i, value) in list.iter().enumerate() {
            match value {
                Value::String(text) => texts.push(text.as_str()),
                other => bail!("GGUF key `tokenizer.{key}`: entry {i} is not text: {other:?}"),
            }
        }
        Ok(texts)
    }

    /// The tokenizer, and whether texts begin with the beginning-of-sequence token.
    fn tokenizer(&self) -> Result<(Tokenizer, bool)> {
        let model = self.text("ggml.model")?.context("GGUF header has no `tokenizer.ggml.model`")?;
        let tokens = self.texts("ggml.tokens")?;
        let types: Vec<u32> = match self.list("ggml.token_type")? {
            None => vec![1; tokens.len()],
            Some(types) => types.iter().map(|kind| whole(kind).context("GGUF key `tokenizer.ggml.token_type`")).collect::<Result<_>>()?,
        };
        ensure!(types.len() == tokens.len(), "the GGUF header has {} tokens and {} token types", tokens.len(), types.len());
        let pieces = if model == "llama" { sentencepiece::pieces(&tokens, &types) } else { Vec::new() };
        let tokens = if model == "llama" { pieces.iter().map(String::as_str).collect() } else { tokens };
        let vocabulary: Vocab = tokens.iter().enumerate().map(|(id, token)| ((*token).to_owned(), id as u32)).collect();
        ensure!(vocabulary.len() == tokens.len(), "the GGUF header has {} tokens, of which only {} differ", tokens.len(), vocabulary.len());
        let (mut tokenizer, begins) = match model {
            "gpt2" => self.byte_level(vocabulary)?,
            "llama" => (self.pieces(&tokens, &types)?, true),
            other => bail!(
                "the GGUF header has a tokenizer of the kind `{other}`; Ballast reads `gpt2` (byte-level BPE) and `llama` (SentencePiece's BPE) \
                 from GGUF: use the model's safetensors folder with its tokenizer.json"
            ),
        };
        let added = |special: bool, kinds: &[u32]| -> Vec<AddedToken> {
            let of_kind = tokens.iter().zip(&types).filter(|(token, kind)| kinds.contains(kind) && !token.is_empty());
            of_kind.map(|(token, _)| AddedToken::from((*token).to_owned(), special).normalized(false)).collect()
        };
        // A user's tokens are text that is never cut; control tokens are no text.
        tokenizer.add_tokens(added(false, &[USER_DEFINED])).map_err(|e| anyhow!("{e}"))?;
        tokenizer.add_special_tokens(added(true, &[UNKNOWN, CONTROL])).map_err(|e| anyhow!("{e}"))?;
        Ok((tokenizer, self.flag("ggml.add_bos_token")?.unwrap_or(begins)))
    }

    fn flag(&self, key: &str) -> Result<Option<bool>> {
        match self.get(key) {
            None => Ok(None),
            Some(Value::Bool(on)) => Ok(Some(*on)),
            Some(other) => bail!("GGUF key `tokenizer.{key}` is not true or false: {other:?}"),
        }
    }

    /// A tokenizer of the SentencePiece kind.
    fn pieces(&self, tokens: &[&str], types: &[u32]) -> Result<Tokenizer> {
        let pre = self.text("ggml.pre")?.unwrap_or("default");
        ensure!(
            pre == "default",
            "the GGUF header names the pre-tokenizer `{pre}` for SentencePiece's pieces: use the model's safetensors folder"
        );
        let score = |(id, value): (usize, &Value)| match value {
            Value::F32(score) => Ok(*score),
            other => bail!("GGUF key `tokenizer.ggml.scores`: entry {id} is not a number: {other:?}"),
        };
        let scores = self.list("ggml.scores")?.context("GGUF header has no `tokenizer.ggml.scores`")?;
        let scores = scores.iter().enumerate().map(score).collect::<Result<Vec<_>>>()?;
        let unknown = self.id("ggml.unknown_token_id")?.and_then(|id| tokens.get(id as usize)).copied();
        let prefix = self.flag("ggml.add_space_prefix")?.unwrap_or(true);
        Pieces { texts: tokens, scores: &scores, types, unknown, prefix }.tokenizer()
    }

    /// A tokenizer of GPT-2's kind, and whether texts begin with the beginning-of-sequence token where the header does not say.
    fn byte_level(&self, vocabulary: Vocab) -> Result<(Tokenizer, bool)> {
        let pre = self.text("ggml.pre")?.context(
            "the GGUF header names no pre-tokenizer (tokenizer.ggml.pre), so it is not known how text is cut: convert the model again with a \
             present llama.cpp, or use its safetensors folder",
        )?;
        let pre = Pre::named(pre)?;
        let pair = |merge: &str| match merge.split_once(' ') {
            Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
            None => bail!("GGUF key `tokenizer.ggml.merges`: `{merge}` is not two tokens"),
        };
        let merges = self.texts("ggml.merges")?.into_iter().map(pair).collect::<Result<Vec<_>>>()?;
        let bpe = BPE::builder().vocab_and_merges(vocabulary, merges).ignore_merges(pre.ignore_merges).build();
        let mut tokenizer = Tokenizer::new(bpe.map_err(|e| anyhow!("the GGUF header's merges do not fit its tokens: {e}"))?);
        tokenizer.with_normalizer(pre.normalizer).map_err(|e| anyhow!("{e}"))?;
        tokenizer.with_pre_tokenizer(Some(pre.cut));
        tokenizer.with_decoder(Some(ByteLevel::default()));
        Ok((tokenizer, pre.begins))
    }
}

fn whole(value: &Value) -> Result<u32> {
    Ok(match value {
        Value::U8(v) => u32::from(*v),
        Value::I8(v) => u32::try_from(*v)?,
        Value::U16(v) => u32::from(*v),
        Value::I16(v) => u32::try_from(*v)?,
        Value::U32(v) => *v,
        Value::I32(v) => u32::try_from(*v)?,
        Value::U64(v) => u32::try_from(*v)?,
        Value::I64(v) => u32::try_from(*v)?,
        other => bail!("{other:?} is not a whole number"),
    })
}
