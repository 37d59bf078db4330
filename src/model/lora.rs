//! The trainable part of a variant: one low-rank pair per adapted linear of the decoder.
//!
//! Initialised as PEFT does: A uniform in ±1/sqrt(in) (kaiming_uniform with a = sqrt 5), B zero. Written and read in
//! PEFT's folder format by `adapter`.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

use super::ops::elementwise::add;
use super::ops::linear::{LowRank, LowRankGradient};
pub use super::site::{Module, Site};
use super::spec::Spec;
use crate::error::Invalid;
use crate::random::{stream, unit};

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
        ensure!(
            !self.targets.is_empty(),
            "lora.targets is empty: name some of q, k, v, o, gate, up, down (qkv and gate_up where the model holds them as one)"
        );
        for (i, module) in self.targets.iter().enumerate() {
            ensure!(!self.targets[..i].contains(module), "lora.targets names `{}` twice", module.name());
        }
        Ok(())
    }

    /// The targets as linears that the model's checkpoints hold, which are what PEFT adapts. Where several are held as one,
    /// naming all of its parts names it; some of them alone cannot be adapted.
    pub fn linears(&self, spec: &Spec) -> Result<Vec<Module>> {
        let mut linears = Vec::new();
        for module in &self.targets {
            let held = spec.held_as(*module);
            ensure!(
                !Module::JOINT.contains(module) || spec.holds(*module),
                "lora.targets names `{}`, and {} checkpoints hold its parts apart: name {}",
                module.name(),
                spec.family,
                names(module.parts())
            );
            ensure!(
                held == *module || !self.targets.contains(&held),
                "lora.targets names `{}`, and `{}`, which is a part of it",
                held.name(),
                module.name()
            );
            ensure!(
                held == *module || held.parts().iter().all(|part| self.targets.contains(part)),
                "lora.targets names `{}`, and {} checkpoints hold {} as one linear: name `{}`",
                module.name(),
                spec.family,
                names(held.parts()),
                held.name()
            );
            if !linears.contains(&held) {
                linears.push(held);
            }
        }
        Ok(linears)
    }

    /// Refuses what the model's linears cannot have: targets that it does not hold, and a rank above what they allow, as more
    /// rows than a linear's smaller width add nothing.
    pub fn fits(&self, spec: &Spec) -> Result<()> {
        for module in self.linears(spec)? {
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

fn names(modules: &[Module]) -> String {
    let names: Vec<String> = modules.iter().map(|module| format!("`{}`", module.name())).collect();
    names.join(", ")
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

/// Gradient of every pair, by site. Within the decoder, of every linear that it computes.
pub type Gradients = BTreeMap<Site, LowRankGradient>;

/// All pairs of one adapter and the factor that scales their product.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// Pairs by site: those of linears as the model's checkpoints hold them.
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
        let config = LoraConfig { targets: config.linears(spec)?, ..config.clone() };
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
        Ok(Self { pairs, scale: config.scale(), config })
    }

    /// The updates of the linears that the decoder computes. Those of a joint linear's parts share its A, and each has its own
    /// rows of B.
    pub fn updates(&self, spec: &Spec) -> Result<BTreeMap<Site, LowRank>> {
        let mut updates = BTreeMap::new();
        for (Site { layer, module }, LoraPair { a, b }) in &self.pairs {
            let mut start = 0;
            for part in module.parts() {
                let rows = if module.parts().len() == 1 { b.dim(0)? } else { part.widths(spec).1 };
                let low_rank = LowRank { a: a.clone(), b: b.narrow(0, start, rows)?, scale: self.scale };
                updates.insert(Site { layer: *layer, module: *part }, low_rank);
                start += rows;
            }
        }
        Ok(updates)
    }

    /// Gradients of the linears that the decoder computes, as those of the pairs: a joint linear's A sums what its parts give,
    /// its B has their rows.
    pub(crate) fn joined(&self, mut gradients: Gradients) -> Result<Gradients> {
        for site in self.pairs.keys().filter(|site| site.module.parts().len() > 1) {
            let parts = site.module.parts().iter().filter_map(|part| gradients.remove(&Site { module: *part, ..*site }));
            let parts: Vec<LowRankGradient> = parts.collect();
            // Rows of other adapters alone give none.
            let Some((first, rest)) = parts.split_first() else { continue };
            let a = rest.iter().try_fold(first.a.clone(), |sum, part| add(&sum, &part.a))?;
            let b = Tensor::cat(&parts.iter().map(|part| &part.b).collect::<Vec<_>>(), 0)?;
            gradients.insert(*site, LowRankGradient { a, b });
        }
        Ok(gradients)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::spec::{JointLinears, Sizes};

    fn spec(joint: JointLinears) -> Spec {
        let sizes = Sizes { hidden: 12, intermediate: 10, layers: 2, heads: 4, kv_heads: 2, head_dim: 4, vocabulary: 8 };
        Spec { joint, ..Spec::new("phi3", sizes) }
    }

    fn config(targets: &[Module]) -> LoraConfig {
        LoraConfig { rank: 2, alpha: 6.0, dropout: 0.0, targets: targets.to_vec(), rslora: false }
    }

    const JOINT: JointLinears = JointLinears { qkv: true, gate_up: true };

    #[test]
    fn targets_become_what_the_checkpoint_holds() {
        use Module::{Down, GateUp, K, O, Q, Qkv, V};
        let apart = spec(JointLinears::default());
        assert_eq!(config(&Module::ALL).linears(&apart).unwrap(), Module::ALL);
        assert_eq!(config(&Module::ALL).linears(&spec(JOINT)).unwrap(), [Qkv, O, GateUp, Down]);
        assert_eq!(config(&[Down, V, Q, K]).linears(&spec(JOINT)).unwrap(), [Down, Qkv]);
        assert_eq!(config(&[Qkv]).linears(&spec(JOINT)).unwrap(), [Qkv]);
        let error = |targets: &[Module], spec: &Spec| config(targets).fits(spec).unwrap_err().to_string();
        assert!(error(&[Q, V], &spec(JOINT)).contains("`q`, `k`, `v` as one linear: name `qkv`"));
        assert!(error(&[Qkv, Q, K, V], &spec(JOINT)).contains("`q`, which is a part of it"));
        assert!(error(&[GateUp], &apart).contains("name `gate`, `up`"));
        let parsed = |text: &str| toml::from_str::<LoraConfig>(&format!("rank = 2\nalpha = 6\ndropout = 0\ntargets = {text}"));
        assert_eq!(parsed(r#"["qkv_proj", "gate_up", "down_proj"]"#).unwrap().targets, [Qkv, GateUp, Down]);
        parsed(r#"["lm_head"]"#).unwrap_err();
    }

    /// PEFT's pair of a joint linear: one A, and B as tall as the parts together.
    #[test]
    fn a_joint_linear_has_one_pair_whose_parts_share_a() {
        let (spec, device) = (spec(JOINT), Device::Cpu);
        let adapter = Adapter::init(&spec, &config(&Module::ALL), 5, &device).unwrap();
        assert_eq!((adapter.pairs.len(), adapter.scale), (8, 3.0));
        let site = Site { layer: 1, module: Module::Qkv };
        assert_eq!((adapter.pairs[&site].a.dims(), adapter.pairs[&site].b.dims()), ([2, 12].as_slice(), [32, 2].as_slice()));
        let numbered = |rows: usize| Tensor::arange(0f32, (2 * rows) as f32, &device).unwrap().reshape((rows, 2)).unwrap();
        let mut adapter = adapter;
        adapter.pairs.get_mut(&site).unwrap().b = numbered(32);
        let updates = adapter.updates(&spec).unwrap();
        assert_eq!(updates.len(), 14);
        let first = |module: Module| updates[&Site { layer: 1, module }].b.to_vec2::<f32>().unwrap()[0][0] as usize;
        assert_eq!([Module::Q, Module::K, Module::V].map(first), [0, 32, 48]);

        // What is joined again: A's parts add up, B's stand below each other.
        let gradient = |(part, update): (&Site, &LowRank)| {
            let a = update.a.ones_like().unwrap();
            (*part, LowRankGradient { a, b: update.b.clone() })
        };
        let joined = adapter.joined(updates.iter().map(gradient).collect()).unwrap();
        assert!(joined.keys().eq(adapter.pairs.keys()));
        assert_eq!(joined[&site].b.to_vec2::<f32>().unwrap(), numbered(32).to_vec2::<f32>().unwrap());
        assert_eq!(joined[&site].a.to_vec2::<f32>().unwrap(), vec![vec![3f32; 12]; 2]);
    }

    /// A part's number is that of the linear it is held in, so that one mask of dropout is drawn for all of them.
    #[test]
    fn numbers_tell_sites_apart() {
        for joint in [JointLinears::default(), JOINT] {
            let spec = spec(joint);
            let sites = (0..3).flat_map(|layer| spec.linears().map(move |module| Site { layer, module }.index()));
            let numbers: Vec<u64> = sites.collect();
            let distinct: std::collections::BTreeSet<u64> = numbers.iter().copied().collect();
            assert_eq!(distinct.len(), numbers.len());
        }
    }
}
