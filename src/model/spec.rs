//! The shape of a model: what `config.json` or a GGUF header says, checked and with defaults filled in.

use anyhow::{Context, Result, bail, ensure};
use candle_core::quantized::gguf_file::{Content, Value};
use serde::Deserialize;

/// Decoder architectures with their differences: qwen2 has biases on q, k and v.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Architecture {
    /// Llama 2, 3, SmolLM, SmolLM2, and others of the same layout.
    Llama,
    /// Qwen2, Qwen2.5, Qwen2.5-Coder.
    Qwen2,
}

impl Architecture {
    fn parse(name: &str) -> Result<Self> {
        match name {
            "llama" => Ok(Self::Llama),
            "qwen2" => Ok(Self::Qwen2),
            other => bail!("architecture `{other}` is not supported: Ballast trains and evaluates `llama` and `qwen2` decoders"),
        }
    }

    /// The name used by `config.json` and GGUF.
    pub fn name(self) -> &'static str {
        match self {
            Self::Llama => "llama",
            Self::Qwen2 => "qwen2",
        }
    }
}

/// Llama 3's frequency scaling for long contexts.
#[derive(Debug, Clone, PartialEq)]
pub struct RopeScaling {
    /// Divisor of low frequencies.
    pub factor: f64,
    /// Fewer rotations than this over the original context: fully scaled.
    pub low_freq_factor: f64,
    /// More rotations than this: not scaled.
    pub high_freq_factor: f64,
    /// Context length before scaling.
    pub original_positions: f64,
}

/// Sizes and constants of one decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Which layout.
    pub architecture: Architecture,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Width of the feed-forward block.
    pub intermediate: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads.
    pub kv_heads: usize,
    /// Elements of one head.
    pub head_dim: usize,
    /// Rows of the embedding table.
    pub vocabulary: usize,
    /// Added to the mean square in RMS norm.
    pub rms_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
    /// Llama 3's scaling, where the model has it.
    pub rope_scaling: Option<RopeScaling>,
    /// Longest sequence the model was trained for.
    pub max_positions: usize,
    /// The output head is the embedding table.
    pub tied: bool,
}

#[derive(Deserialize)]
struct ConfigJson {
    model_type: String,
    hidden_size: usize,
    intermediate_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    num_key_value_heads: Option<usize>,
    head_dim: Option<usize>,
    vocab_size: usize,
    #[serde(default = "default_eps")]
    rms_norm_eps: f64,
    #[serde(default = "default_theta")]
    rope_theta: f64,
    rope_scaling: Option<RopeScalingJson>,
    #[serde(default = "default_positions")]
    max_position_embeddings: usize,
    #[serde(default)]
    tie_word_embeddings: bool,
    #[serde(default)]
    use_sliding_window: bool,
    #[serde(default)]
    attention_bias: bool,
    #[serde(default)]
    mlp_bias: bool,
    hidden_act: Option<String>,
}

#[derive(Deserialize)]
struct RopeScalingJson {
    #[serde(alias = "type")]
    rope_type: String,
    factor: Option<f64>,
    low_freq_factor: Option<f64>,
    high_freq_factor: Option<f64>,
    original_max_position_embeddings: Option<f64>,
}

fn default_eps() -> f64 {
    1e-6
}
fn default_theta() -> f64 {
    10_000.0
}
fn default_positions() -> usize {
    2048
}

impl Spec {
    /// Reads the text of a Hugging Face `config.json`.
    pub fn from_config_json(text: &str) -> Result<Self> {
        let c: ConfigJson = serde_json::from_str(text).context("config.json does not describe a decoder")?;
        let architecture = Architecture::parse(&c.model_type)?;
        ensure!(!c.use_sliding_window, "config.json asks for sliding-window attention, which Ballast does not implement");
        ensure!(
            !(c.mlp_bias || architecture == Architecture::Llama && c.attention_bias),
            "config.json asks for attention or MLP biases on a llama model, which Ballast does not implement"
        );
        if let Some(act) = &c.hidden_act {
            ensure!(act == "silu", "config.json asks for the activation `{act}`; Ballast implements `silu`");
        }
        let rope_scaling = match c.rope_scaling {
            None => None,
            Some(s) if s.rope_type == "default" => None,
            Some(s) if s.rope_type == "llama3" => Some(RopeScaling {
                factor: s.factor.context("config.json: rope_scaling has no factor")?,
                low_freq_factor: s.low_freq_factor.context("config.json: rope_scaling has no low_freq_factor")?,
                high_freq_factor: s.high_freq_factor.context("config.json: rope_scaling has no high_freq_factor")?,
                original_positions: s
                    .original_max_position_embeddings
                    .context("config.json: rope_scaling has no original_max_position_embeddings")?,
            }),
            Some(s) => bail!("config.json asks for rope_scaling `{}`; Ballast implements `default` and `llama3`", s.rope_type),
        };
        Self {
            architecture,
            hidden: c.hidden_size,
            intermediate: c.intermediate_size,
            layers: c.num_hidden_layers,
            heads: c.num_attention_heads,
            kv_heads: c.num_key_value_heads.unwrap_or(c.num_attention_heads),
            head_dim: c.head_dim.unwrap_or(c.hidden_size / c.num_attention_heads.max(1)),
            vocabulary: c.vocab_size,
            rms_eps: c.rms_norm_eps,
            rope_theta: c.rope_theta,
            rope_scaling,
            max_positions: c.max_position_embeddings,
            tied: c.tie_word_embeddings,
        }
        .checked()
    }

    /// Reads the header of a GGUF file.
    pub fn from_gguf(content: &Content) -> Result<Self> {
        let text = |key: &str| -> Result<&str> {
            let value = content.metadata.get(key).with_context(|| format!("GGUF header has no `{key}`"))?;
            Ok(value.to_string().with_context(|| format!("GGUF key `{key}` is not text"))?.as_str())
        };
        let architecture = Architecture::parse(text("general.architecture")?)?;
        let name = architecture.name();
        let whole = |key: &str| -> Result<Option<usize>> {
            let key = format!("{name}.{key}");
            content.metadata.get(&key).map(|v| gguf_usize(v).with_context(|| format!("GGUF key `{key}` is not a whole number"))).transpose()
        };
        let required = |key: &str| whole(key)?.with_context(|| format!("GGUF header has no `{name}.{key}`"));
        let real = |key: &str| -> Result<Option<f64>> {
            let key = format!("{name}.{key}");
            content
                .metadata
                .get(&key)
                .map(|v| Ok(f64::from(v.to_f32().with_context(|| format!("GGUF key `{key}` is not a number"))?)))
                .transpose()
        };
        if let Some(kind) = content.metadata.get(&format!("{name}.rope.scaling.type")) {
            let kind = kind.to_string().map_or("?", String::as_str);
            ensure!(kind == "none", "GGUF header asks for rope scaling `{kind}`, which Ballast does not implement for GGUF");
        }
        let heads = required("attention.head_count")?;
        let hidden = required("embedding_length")?;
        let embedding = content.tensor_infos.get("token_embd.weight").context("GGUF file has no tensor `token_embd.weight`")?;
        Self {
            architecture,
            hidden,
            intermediate: required("feed_forward_length")?,
            layers: required("block_count")?,
            heads,
            kv_heads: whole("attention.head_count_kv")?.unwrap_or(heads),
            head_dim: whole("attention.key_length")?.unwrap_or(hidden / heads.max(1)),
            vocabulary: embedding.shape.dims().first().copied().unwrap_or(0),
            rms_eps: real("attention.layer_norm_rms_epsilon")?.unwrap_or(1e-6),
            rope_theta: real("rope.freq_base")?.unwrap_or(10_000.0),
            rope_scaling: None,
            max_positions: required("context_length")?,
            tied: !content.tensor_infos.contains_key("output.weight"),
        }
        .checked()
    }

    fn checked(self) -> Result<Self> {
        for (what, value) in [
            ("hidden size", self.hidden),
            ("intermediate size", self.intermediate),
            ("layers", self.layers),
            ("attention heads", self.heads),
            ("key/value heads", self.kv_heads),
            ("head size", self.head_dim),
            ("vocabulary", self.vocabulary),
        ] {
            ensure!(value > 0, "the model's configuration says 0 for its {what}");
        }
        ensure!(
            self.heads.is_multiple_of(self.kv_heads),
            "{} attention heads cannot share {} key/value heads evenly",
            self.heads,
            self.kv_heads
        );
        ensure!(self.head_dim.is_multiple_of(2), "a head size of {} is odd: rotary embedding needs pairs", self.head_dim);
        Ok(self)
    }

    /// Frozen parameters, without the embedding table counted twice where it is tied.
    pub fn parameters(&self) -> usize {
        let (q, kv) = (self.heads * self.head_dim, self.kv_heads * self.head_dim);
        let bias = if self.architecture == Architecture::Qwen2 { q + 2 * kv } else { 0 };
        let layer = self.hidden * (2 * q + 2 * kv + 3 * self.intermediate) + 2 * self.hidden + bias;
        let tables = self.vocabulary * self.hidden * if self.tied { 1 } else { 2 };
        self.layers * layer + tables + self.hidden
    }
}

fn gguf_usize(value: &Value) -> Result<usize> {
    Ok(match value {
        Value::U8(v) => usize::from(*v),
        Value::U16(v) => usize::from(*v),
        Value::U32(v) => *v as usize,
        Value::U64(v) => usize::try_from(*v)?,
        Value::I32(v) => usize::try_from(*v)?,
        Value::I64(v) => usize::try_from(*v)?,
        other => bail!("{other:?} is not a whole number"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const QWEN: &str = r#"{"model_type":"qwen2","hidden_size":896,"intermediate_size":4864,"num_hidden_layers":24,
        "num_attention_heads":14,"num_key_value_heads":2,"vocab_size":151936,"rms_norm_eps":1e-6,"rope_theta":1000000.0,
        "max_position_embeddings":32768,"tie_word_embeddings":true,"use_sliding_window":false,"hidden_act":"silu"}"#;

    #[test]
    fn reads_qwen_and_counts_its_parameters() {
        let spec = Spec::from_config_json(QWEN).unwrap();
        assert_eq!((spec.head_dim, spec.kv_heads, spec.tied), (64, 2, true));
        // The published count of Qwen2.5-0.5B.
        assert_eq!(spec.parameters(), 494_032_768);
    }

    #[test]
    fn refuses_what_it_does_not_implement() {
        let error = |from: &str, to: &str| Spec::from_config_json(&QWEN.replace(from, to)).unwrap_err().to_string();
        assert!(error("\"qwen2\"", "\"gpt2\"").contains("`gpt2` is not supported"));
        assert!(error("\"use_sliding_window\":false", "\"use_sliding_window\":true").contains("sliding-window"));
        assert!(error("\"num_key_value_heads\":2", "\"num_key_value_heads\":3").contains("share"));
        assert!(error("\"silu\"", "\"gelu\"").contains("gelu"));
    }
}
