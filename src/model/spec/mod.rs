//! The shape of a model as switches that do not know each other: what a family's configuration comes to, with defaults
//! filled in and checked. Families differ in `family/` alone; everything else reads these switches.

mod norms;
mod rope;

use anyhow::{Result, ensure};

use super::site::{Module, Site};
pub use norms::{Norms, QueryKeyNorm, QueryKeyNorms};
pub use rope::{Rope, RopeScaling};

/// What one layer's attention sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LayerAttention {
    /// Keys that a query sees, itself among them; None is all.
    pub window: Option<usize>,
    /// Index of its table in [`Spec::ropes`]; None is no rotary embedding.
    pub rope: Option<usize>,
}

impl LayerAttention {
    /// All keys, the first table.
    pub const FULL: Self = Self { window: None, rope: Some(0) };
}

/// A factor of queries that grows with their position: `1 + beta · ln(1 + floor(position / original_positions))`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct QueryTemperature {
    /// How fast it grows.
    pub beta: f64,
    /// Positions up to which it is 1.
    pub original_positions: f64,
}

impl Module {
    /// (in, out) widths of a linear in a model of the given shape.
    pub fn widths(self, spec: &Spec) -> (usize, usize) {
        let (q, kv) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        match self {
            Self::Q => (spec.hidden, q),
            Self::K | Self::V => (spec.hidden, kv),
            Self::O => (q, spec.hidden),
            Self::Gate | Self::Up => (spec.hidden, spec.intermediate),
            Self::Down => (spec.intermediate, spec.hidden),
            Self::Qkv => (spec.hidden, q + 2 * kv),
            Self::GateUp => (spec.hidden, 2 * spec.intermediate),
        }
    }
}

/// Linears that a checkpoint holds as one tensor. Split when they are loaded; an adapter has one pair for them, as PEFT has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JointLinears {
    /// Query, key and value.
    pub qkv: bool,
    /// Gate and up.
    pub gate_up: bool,
}

impl JointLinears {
    /// The linear that a checkpoint holds one of the seven in.
    pub fn held_as(self, module: Module) -> Module {
        match module {
            Module::Q | Module::K | Module::V if self.qkv => Module::Qkv,
            Module::Gate | Module::Up if self.gate_up => Module::GateUp,
            _ => module,
        }
    }
}

/// The function of the feed-forward block's gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// x / (1 + e^-x)
    Silu,
    /// GELU in its tanh form.
    GeluTanh,
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
            Module::Q | Module::K | Module::V | Module::Qkv => self.qkv,
            Module::O => self.o,
            Module::Gate | Module::Up | Module::Down | Module::GateUp => self.feed_forward,
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
    /// Tables of rotary embedding.
    pub ropes: Vec<Rope>,
    /// Attention of each layer.
    pub attention: Vec<LayerAttention>,
    /// Growth of queries with their position.
    pub query_temperature: Option<QueryTemperature>,
    /// Norms of queries and keys.
    pub query_key_norms: Option<QueryKeyNorms>,
    /// Norms of a layer.
    pub norms: Norms,
    /// Linears with a bias.
    pub biases: Biases,
    /// Linears that are one tensor in checkpoints.
    pub joint: JointLinears,
    /// The gate's function.
    pub activation: Activation,
    /// Factor of embeddings.
    pub embedding_scale: f64,
    /// Factor of what a block adds to the residual stream.
    pub residual_scale: f64,
    /// Factor of attention's scores.
    pub attention_scale: f64,
    /// Attention's scores are kept between minus this and this.
    pub attention_softcap: Option<f64>,
    /// Factor of logits.
    pub logit_scale: f64,
    /// Logits are kept between minus this and this.
    pub logit_softcap: Option<f64>,
    /// What names of tensors begin with that belong to other parts of a model of several modalities.
    pub other_parts: &'static [&'static str],
    /// Path of the language model within the class that transformers loads the model as.
    pub path: &'static str,
    /// Longest sequence the model was trained for, as far as it is computed here.
    pub max_positions: usize,
    /// What a longer sequence would need of the model, where it was trained for longer ones.
    pub beyond: Option<&'static str>,
    /// The output head is the embedding table.
    pub tied: bool,
}

/// More than any model has; keeps what is computed from a configuration small until its tensors are seen.
pub(super) const MOST_LAYERS: usize = 1024;
/// Rotary tables for a model's whole context cost megabytes at 32 k positions; no suite or row is that long.
const MOST_POSITIONS: usize = 8192;
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
            ropes: vec![Rope::new(10_000.0)],
            attention: vec![LayerAttention::FULL; layers.min(MOST_LAYERS)],
            query_temperature: None,
            query_key_norms: None,
            norms: Norms::PRE,
            biases: Biases::default(),
            joint: JointLinears::default(),
            activation: Activation::Silu,
            embedding_scale: 1.0,
            residual_scale: 1.0,
            attention_scale: 1.0 / (head_dim as f64).sqrt(),
            attention_softcap: None,
            logit_scale: 1.0,
            logit_softcap: None,
            other_parts: &[],
            path: "model",
            max_positions: 2048,
            beyond: None,
            tied: false,
        }
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
        for rope in &self.ropes {
            rope.check(self.head_dim)?;
        }
        ensure!(!self.ropes.is_empty(), "the model's configuration describes no rotary embedding");
        ensure!(self.attention.len() == self.layers, "attention of {} layers is described, of {}", self.attention.len(), self.layers);
        for attention in &self.attention {
            ensure!(attention.window != Some(0), "a sliding window of 0 keys sees nothing");
            ensure!(attention.rope.is_none_or(|rope| rope < self.ropes.len()), "a layer's rotary embedding is not described");
        }
        for (what, value) in [
            ("factor of embeddings", Some(self.embedding_scale)),
            ("factor of residuals", Some(self.residual_scale)),
            ("factor of attention's scores", Some(self.attention_scale)),
            ("cap of attention's scores", self.attention_softcap),
            ("factor of logits", Some(self.logit_scale)),
            ("cap of logits", self.logit_softcap),
            ("growth of queries", self.query_temperature.map(|t| t.original_positions)),
        ] {
            let good = value.is_none_or(|value| value.is_finite() && value > 0.0);
            ensure!(good, "the model's configuration comes to {} as {what}: it needs a positive number", value.unwrap_or_default());
        }
        Ok(self)
    }

    /// Longest sequence that is run.
    pub fn longest(&self) -> usize {
        self.max_positions.min(MOST_POSITIONS)
    }

    /// [`Self::longest`] in words, with what sets it.
    pub fn limit(&self) -> String {
        match self.beyond {
            _ if self.max_positions > MOST_POSITIONS => format!("{MOST_POSITIONS} positions, the most that Ballast runs"),
            Some(needed) => format!("{} positions: longer sequences need {needed}, which Ballast does not run", self.max_positions),
            None => format!("the model's {} positions", self.max_positions),
        }
    }

    /// Whether the fused kernels of a GPU compute this decoder; another one runs there operation by operation.
    pub fn fits_fused_kernels(&self) -> bool {
        let sizes = Sizes {
            hidden: self.hidden,
            intermediate: self.intermediate,
            layers: self.layers,
            heads: self.heads,
            kv_heads: self.kv_heads,
            head_dim: self.head_dim,
            vocabulary: self.vocabulary,
        };
        let plain = Self::new(self.family, sizes);
        let same_rope = self.ropes.len() == 1 && (self.ropes[0].share - 1.0).abs() < f64::EPSILON && !self.ropes[0].interleaved;
        // What the kernels read from the spec may be anything; the rest has to be plain.
        let reduced = Self {
            rms_eps: plain.rms_eps,
            ropes: plain.ropes.clone(),
            max_positions: plain.max_positions,
            beyond: plain.beyond,
            tied: plain.tied,
            biases: Biases { qkv: false, ..self.biases },
            joint: plain.joint,
            norms: Norms { plus_one: false, ..self.norms },
            other_parts: plain.other_parts,
            path: plain.path,
            ..self.clone()
        };
        same_rope && reduced == plain
    }

    /// The linear that checkpoints hold one of the seven in: itself, or a joint one.
    pub fn held_as(&self, module: Module) -> Module {
        self.joint.held_as(module)
    }

    /// Whether checkpoints hold such a linear.
    pub fn holds(&self, module: Module) -> bool {
        module.parts().iter().all(|part| self.held_as(*part) == module)
    }

    /// The linears of a layer as checkpoints hold them, which are what PEFT adapts.
    pub fn linears(&self) -> impl Iterator<Item = Module> {
        Module::ALL.into_iter().chain(Module::JOINT).filter(|module| self.holds(*module))
    }

    /// The name of a linear in the class that transformers loads the model as.
    pub fn name_of(&self, site: Site) -> String {
        format!("{}.{site}", self.path)
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
        let query_key = self.query_key_norms.map_or(0, |norms| match norms.place {
            QueryKeyNorm::FullWidth => (self.heads + self.kv_heads) * self.head_dim,
            QueryKeyNorm::BeforeRope | QueryKeyNorm::AfterRope => 2 * self.head_dim,
        });
        let layer = linears + self.norms.count() * self.hidden + query_key;
        let tables = self.vocabulary * self.hidden * if self.tied { 1 } else { 2 };
        self.layers * layer + tables + self.hidden
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
            format!("{:#}", Spec::from_config_json(&QWEN.replace(from, to)).unwrap_err())
        };
        assert!(error("\"num_key_value_heads\":2", "\"num_key_value_heads\":3").contains("share"));
        assert!(error("\"num_hidden_layers\":24", "\"num_hidden_layers\":1000000000000").contains("layers"));
        assert!(error("\"hidden_size\":896", "\"hidden_size\":18446744073709551615").contains("hidden size"));
        assert!(error("\"num_attention_heads\":14", "\"num_attention_heads\":0").contains("0 for its attention heads"));
        assert!(error("\"rope_theta\":1000000.0", "\"rope_theta\":0").contains("rotary"));
        assert!(error("\"rms_norm_eps\":1e-6", "\"rms_norm_eps\":-1").contains("epsilon"));
    }
}
