//! How llama.cpp's named pre-tokenizers cut a text before merges, as the published tokenizers of these families do. Each is
//! held against llama.cpp's own ids for its test texts by `tests/ggml_vocabularies.rs`.

use anyhow::{Result, anyhow, bail};
use tokenizers::NormalizerWrapper;
use tokenizers::SplitDelimiterBehavior::Isolated;
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};

/// What a name stands for.
pub(super) struct Pre {
    pub(super) normalizer: Option<NormalizerWrapper>,
    pub(super) cut: PreTokenizerWrapper,
    /// A piece that is a token as it stands is not put together from merges.
    pub(super) ignore_merges: bool,
    /// A text begins with the beginning-of-sequence token where the header does not say.
    pub(super) begins: bool,
}

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Letters of alphabets with two cases, as DeepSeek's tokenizer lists them; those that editors would compose are escaped.
const CASED: &str = "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u{1f7d}ᾀ-ᾴᾶ-ᾼ\u{1fbe}ῂ-ῄῆ-ῌῐ-\u{1fd3}ῖ-\u{1fdb}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u{2126}ℨ\u{212a}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+";

impl Pre {
    /// By its name in `tokenizer.ggml.pre`.
    pub(super) fn named(name: &str) -> Result<Self> {
        let plain = |cut: PreTokenizerWrapper| Self { normalizer: None, cut, ignore_merges: false, begins: false };
        Ok(match name {
            "gpt-2" | "mpt" | "olmo" | "phi-2" => plain(words()),
            "llama-bpe" | "llama3" | "llama-v3" => Self { ignore_merges: true, begins: true, ..plain(split(&[LLAMA3])?) },
            "qwen2" | "deepseek-r1-qwen" => Self { normalizer: Some(NFC.into()), ..plain(split(&[QWEN2])?) },
            "smollm" | "starcoder" | "refact" | "command-r" => plain(Sequence::new(vec![Digits::new(true).into(), words()]).into()),
            "deepseek-llm" => plain(split(&["[\r\n]", CASED, "\\s?[!-/:-~！-／：-～‘-‟　-。]+", "\\s+$", "[一-龥ࠀ-一가-퟿]+", "\\p{N}+"])?),
            "deepseek-coder" => plain(split(&["[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}"])?),
            other => bail!(
                "the GGUF header names the pre-tokenizer `{other}`, which Ballast does not know: use the model's safetensors folder, whose \
                 tokenizer.json says how it cuts text"
            ),
        })
    }
}

/// GPT-2's words.
fn words() -> PreTokenizerWrapper {
    ByteLevel::new(false, true, true).into()
}

/// Pieces by expressions, one after the other, as bytes.
fn split(patterns: &[&str]) -> Result<PreTokenizerWrapper> {
    let step = |pattern: &&str| {
        let split = Split::new(SplitPattern::Regex((*pattern).to_owned()), Isolated, false);
        split.map(PreTokenizerWrapper::from).map_err(|e| anyhow!("an expression of a pre-tokenizer: {e}"))
    };
    let mut steps: Vec<PreTokenizerWrapper> = patterns.iter().map(step).collect::<Result<_>>()?;
    steps.push(ByteLevel::new(false, true, false).into());
    Ok(Sequence::new(steps).into())
}
