//! The trainable part of a variant: one low-rank pair per adapted linear of the decoder.
//!
//! Initialised as PEFT does: A uniform in ±1/sqrt(in) (kaiming_uniform with a = sqrt 5), B zero. Written and read in
//! PEFT's folder format by `adapter`.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::ops::linear::LowRank;
use super::spec::Spec;
use crate::error::Invalid;
use crate::random::{stream, unit};

/// The linears of a decoder layer, in the order of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Module {
    /// Query projection.
    Q,
    /// Key projection.
    K,
    /// Value projection.
    V,
    /// Output projection of attention.
    O,
    /// Gate of the feed-forward block.
    Gate,
    /// Up projection.
    Up,
    /// Down projection.
    Down,
}

impl Module {
    /// All seven.
    pub const ALL: [Self; 7] = [Self::Q, Self::K, Self::V, Self::O, Self::Gate, Self::Up, Self::Down];

    /// Short name: `q`, ..., `down`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Q => "q",
            Self::K => "k",
            Self::V => "v",
            Self::O => "o",
            Self::Gate => "gate",
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// Path below a layer in Hugging Face checkpoints: `self_attn.q_proj`, ...
    pub fn path(self) -> &'static str {
        match self {
            Self::Q => "self_attn.q_proj",
            Self::K => "self_attn.k_proj",
            Self::V => "self_attn.v_proj",
            Self::O => "self_attn.o_proj",
            Self::Gate => "mlp.gate_proj",
            Self::Up => "mlp.up_proj",
            Self::Down => "mlp.down_proj",
        }
    }

    /// (in, out) widths.
    pub fn widths(self, spec: &Spec) -> (usize, usize) {
        let (q, kv) = (spec.heads * spec.head_dim, spec.kv_heads * spec.head_dim);
        match self {
            Self::Q => (spec.hidden, q),
            Self::K | Self::V => (spec.hidden, kv),
            Self::O => (q, spec.hidden),
            Self::Gate | Self::Up => (spec.hidden, spec.intermediate),
            Self::Down => (spec.intermediate, spec.hidden),
        }
    }
}

impl FromStr for Module {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let name = text.strip_suffix("_proj").unwrap_or(text);
        Self::ALL.into_iter().find(|m| m.name() == name).ok_or_else(|| format!("`{text}` is not one of q, k, v, o, gate, up, down"))
    }
}

/// One adapted linear: a layer's module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site {
    /// Decoder layer, from 0.
    pub layer: usize,
    /// Linear in it.
    pub module: Module,
}

impl Site {
    /// A number that tells sites of one model apart.
    pub fn index(self) -> u64 {
        (self.layer * Module::ALL.len() + self.module as usize) as u64
    }
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "layers.{}.{}", self.layer, self.module.path())
    }
}

/// How an adapter is made. The defaults of ms-swift: rank 8, alpha 32, dropout 0.05, all linears.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LoraConfig {
    /// Rows of A.
    pub rank: usize,
    /// Scale times rank.
    pub alpha: f64,
    /// Dropout on the update's input, in training.
    pub dropout: f64,
    /// Adapted linears.
    pub targets: Vec<Module>,
    /// The product's scale is alpha / sqrt(rank) instead of alpha / rank (Kalajdzievski 2023).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub rslora: bool,
}

impl LoraConfig {
    /// What the product of B and A is multiplied by.
    pub fn scale(&self) -> f64 {
        let rank = self.rank as f64;
        self.alpha / if self.rslora { rank.sqrt() } else { rank }
    }

    /// Refuses what cannot be trained.
    pub fn check(&self) -> Result<()> {
        ensure!(self.rank > 0, "lora.rank is 0: use 1 or more (8 is usual)");
        let factor = self.alpha as f32;
        ensure!(factor.is_finite() && factor > 0.0, "lora.alpha is {}: use a positive number (4 x rank is usual)", self.alpha);
        ensure!((0.0..1.0).contains(&self.dropout), "lora.dropout is {}: use 0 up to less than 1", self.dropout);
        ensure!(!self.targets.is_empty(), "lora.targets is empty: name some of q, k, v, o, gate, up, down");
        for (i, module) in self.targets.iter().enumerate() {
            ensure!(!self.targets[..i].contains(module), "lora.targets names `{}` twice", module.name());
        }
        Ok(())
    }

    /// Refuses a rank above what the model's linears can have: more rows than their smaller width add nothing.
    pub fn fits(&self, spec: &Spec) -> Result<()> {
        for module in &self.targets {
            let (input, output) = module.widths(spec);
            ensure!(
                self.rank <= input.min(output),
                "lora.rank is {}: `{}` is {output} x {input} here, so use at most {}",
                self.rank,
                module.name(),
                input.min(output)
            );
        }
        Ok(())
    }
}

/// A low-rank pair, both f32.
#[derive(Debug, Clone)]
pub struct LoraPair {
    /// [rank, in]
    pub a: Tensor,
    /// [out, rank]
    pub b: Tensor,
}

impl LoraPair {
    /// Rows of A.
    pub fn rank(&self) -> Result<usize> {
        Ok(self.a.dim(0)?)
    }

    /// Whether all numbers are.
    pub fn finite(&self) -> Result<bool> {
        for tensor in [&self.a, &self.b] {
            // 0 times a number is 0 unless that is not finite.
            if (tensor * 0.0)?.sum_all()?.to_dtype(DType::F32)?.to_scalar::<f32>()? != 0.0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// All pairs of one adapter and the factor that scales their product.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Pairs by site, in the order of the forward pass.
    pub pairs: BTreeMap<Site, LoraPair>,
    /// alpha / rank (or alpha / sqrt(rank) for an rsLoRA adapter), times lambda.
    pub scale: f64,
    /// How it was made.
    pub config: LoraConfig,
}

impl Adapter {
    /// A fresh adapter: it changes nothing until B is trained.
    pub fn init(spec: &Spec, config: &LoraConfig, seed: u64, device: &Device) -> Result<Self> {
        config.check()?;
        config.fits(spec)?;
        let mut pairs = BTreeMap::new();
        for layer in 0..spec.layers {
            for module in &config.targets {
                let site = Site { layer, module: *module };
                let (input, output) = module.widths(spec);
                let mut random = stream(seed, site.index());
                let bound = 1.0 / (input as f64).sqrt();
                let a: Vec<f32> = (0..config.rank * input).map(|_| ((2.0 * unit(&mut random) - 1.0) * bound) as f32).collect();
                let pair = LoraPair {
                    a: Tensor::from_vec(a, (config.rank, input), device)?,
                    b: Tensor::zeros((output, config.rank), DType::F32, device)?,
                };
                pairs.insert(site, pair);
            }
        }
        Ok(Self { pairs, scale: config.scale(), config: config.clone() })
    }

    /// The update of one linear, if it is adapted.
    pub fn at(&self, layer: usize, module: Module) -> Option<LowRank<'_>> {
        self.pairs.get(&Site { layer, module }).map(|pair| LowRank { a: &pair.a, b: &pair.b, scale: self.scale })
    }

    /// The same adapter acting lambda times as strongly (WiSE-FT along the low-rank update): 0 is the base, 1 itself.
    pub fn scaled(&self, lambda: f64) -> Self {
        Self { scale: self.scale * lambda, ..self.clone() }
    }

    /// Fails as [`Invalid`] where the scale is not finite in f32, which kernels compute in.
    pub fn check_scale(&self) -> Result<()> {
        if !(self.scale as f32).is_finite() {
            bail!(Invalid(format!("the adapter's scale (alpha over rank, times lambda) is {}, which is not finite in f32", self.scale)));
        }
        Ok(())
    }

    /// Trainable numbers.
    pub fn parameters(&self) -> usize {
        self.pairs.values().map(|pair| pair.a.elem_count() + pair.b.elem_count()).sum()
    }
}
