//! The shape of a model as switches that do not know each other: what a family's configuration comes to, with defaults
//! filled in and checked. Families differ in `family/` alone; everything else reads these switches.

use anyhow::{Result, ensure};

use super::family;
use super::gguf::GgufFile;
use super::lora::Module;

/// How the frequencies of rotary embedding are changed for long contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// As they are.
    Default,
    /// Llama 3's rule.
    Llama3 {
        /// Divisor of low frequencies.
        factor: f64,
        /// Fewer rotations than this over the original context: fully scaled.
        low_freq_factor: f64,
        /// More rotations than this: not scaled.
        high_freq_factor: f64,
        /// Context length before scaling.
        original_positions: f64,
    },
    /// A divisor for each pair, as GGUF files hold them.
    Divisors(Vec<f64>),
}

/// One table of rotary embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// What is done to them for long contexts.
    pub scaling: RopeScaling,
}

impl Rope {
    /// Frequencies of the given base.
    pub fn new(theta: f64) -> Self {
        Self { theta, scaling: RopeScaling::Default }
    }
}

/// Which linears add a bias.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Biases {
    /// Query, key and value projections.
    pub qkv: bool,
    /// Attention's output.
    pub o: bool,
    /// Gate, up and down.
    pub feed_forward: bool,
}

impl Biases {
    /// Whether a linear has one.
    pub fn on(self, module: Module) -> bool {
        match module {
            Module::Q | Module::K | Module::V => self.qkv,
            Module::O => self.o,
            Module::Gate | Module::Up | Module::Down => self.feed_forward,
        }
    }
}

/// The sizes that every model has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
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
}

/// Sizes, constants and switches of one decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// The family's name, as `model_type` has it. For words only: what the family does stands in the other fields.
    pub family: &'static str,
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
    /// Rotary embedding.
    pub rope: Rope,
    /// Linears with a bias.
    pub biases: Biases,
    /// Longest sequence the model was trained for.
    pub max_positions: usize,
    /// The output head is the embedding table.
    pub tied: bool,
}

/// More than any model has; keeps what is computed from a configuration small until its tensors are seen.
const MOST_LAYERS: usize = 1024;
const WIDEST: usize = 1 << 24;

impl Spec {
    /// A decoder of the plainest kind: pre-norm, no biases, one rotary table of base 10,000, head of its own.
    pub fn new(family: &'static str, sizes: Sizes) -> Self {
        let Sizes { hidden, intermediate, layers, heads, kv_heads, head_dim, vocabulary } = sizes;
        Self {
            family,
            hidden,
            intermediate,
            layers,
            heads,
            kv_heads,
            head_dim,
            vocabulary,
            rms_eps: 1e-6,
            rope: Rope::new(10_000.0),
            biases: Biases::default(),
            max_positions: 2048,
            tied: false,
        }
    }

    /// Reads the text of a Hugging Face `config.json`.
    pub fn from_config_json(text: &str) -> Result<Self> {
        family::from_config_json(text)?.checked()
    }

    /// Reads the header of a GGUF file. [`GgufFile::spec`] reads the rotary factors among its tensors too.
    pub fn from_gguf(file: &GgufFile) -> Result<Self> {
        family::from_gguf(file)?.checked()
    }

    pub(super) fn checked(self) -> Result<Self> {
        for (what, value, most) in [
            ("layers", self.layers, MOST_LAYERS),
            ("hidden size", self.hidden, WIDEST),
            ("intermediate size", self.intermediate, WIDEST),
            ("attention heads", self.heads, WIDEST),
            ("key/value heads", self.kv_heads, WIDEST),
            ("head size", self.head_dim, WIDEST),
            ("vocabulary", self.vocabulary, 1 << 31),
            ("longest sequence", self.max_positions, 1 << 40),
        ] {
            ensure!(value > 0, "the model's configuration says 0 for its {what}");
            ensure!(value <= most, "the model's configuration says {value} for its {what}: no model has more than {most}");
        }
        ensure!(self.heads * self.head_dim <= WIDEST, "{} attention heads of {} are wider than any model", self.heads, self.head_dim);
        ensure!(
            self.heads.is_multiple_of(self.kv_heads),
            "{} attention heads cannot share {} key/value heads evenly",
            self.heads,
            self.kv_heads
        );
        ensure!(self.head_dim.is_multiple_of(2), "a head size of {} is odd: rotary embedding needs pairs", self.head_dim);
        ensure!(
            self.rms_eps.is_finite() && self.rms_eps >= 0.0 && self.rms_eps < 1.0,
            "the model's configuration says {} for the epsilon of its norms: it lies between 0 and 1",
            self.rms_eps
        );
        self.rope.check(self.head_dim)?;
        Ok(self)
    }

    /// Whether the fused kernels of a GPU compute this decoder; another one runs there operation by operation.
    pub fn fits_fused_kernels(&self) -> bool {
        !self.biases.o && !self.biases.feed_forward
    }

    /// Frozen parameters, without the embedding table counted twice where it is tied.
    pub fn parameters(&self) -> usize {
        let linears: usize = Module::ALL
            .into_iter()
            .map(|module| {
                let (input, output) = module.widths(self);
                output * (input + usize::from(self.biases.on(module)))
            })
            .sum();
        let layer = linears + 2 * self.hidden;
        let tables = self.vocabulary * self.hidden * if self.tied { 1 } else { 2 };
        self.layers * layer + tables + self.hidden
    }
}

impl Rope {
    fn check(&self, head_dim: usize) -> Result<()> {
        ensure!(
            self.theta.is_finite() && self.theta > 0.0,
            "the model's configuration says {} for the base of its rotary embedding",
            self.theta
        );
        match &self.scaling {
            RopeScaling::Default => {}
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
                for (key, value) in [
                    ("factor", factor),
                    ("low_freq_factor", low_freq_factor),
                    ("high_freq_factor", high_freq_factor),
                    ("original_max_position_embeddings", original_positions),
                ] {
                    ensure!(
                        value.is_finite() && *value > 0.0,
                        "the model's rope scaling says {value} for `{key}`: it needs a positive number"
                    );
                }
                ensure!(
                    low_freq_factor < high_freq_factor,
                    "the model's rope scaling has low_freq_factor {low_freq_factor}, not less than high_freq_factor {high_freq_factor}"
                );
            }
            RopeScaling::Divisors(divisors) => {
                ensure!(divisors.len() == head_dim / 2, "{} rope factors for {} pairs of a head", divisors.len(), head_dim / 2);
                ensure!(divisors.iter().all(|d| d.is_finite() && *d > 0.0), "the model's rope factors are not all positive numbers");
            }
        }
        Ok(())
    }
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
    fn refuses_sizes_that_no_model_has() {
        let error = |from: &str, to: &str| {
            assert!(QWEN.contains(from));
            Spec::from_config_json(&QWEN.replace(from, to)).unwrap_err().to_string()
        };
        assert!(error("\"num_key_value_heads\":2", "\"num_key_value_heads\":3").contains("share"));
        assert!(error("\"num_hidden_layers\":24", "\"num_hidden_layers\":1000000000000").contains("layers"));
        assert!(error("\"hidden_size\":896", "\"hidden_size\":18446744073709551615").contains("hidden size"));
        assert!(error("\"num_attention_heads\":14", "\"num_attention_heads\":0").contains("0 for its attention heads"));
        assert!(error("\"rope_theta\":1000000.0", "\"rope_theta\":0").contains("rotary"));
        assert!(error("\"rms_norm_eps\":1e-6", "\"rms_norm_eps\":-1").contains("epsilon"));
    }
}
