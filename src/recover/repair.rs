//! One change of an adapter. What comes out is an adapter again: the base plus the changed update, to rounding.

use std::collections::BTreeMap;
use std::fmt;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::factors::Factors;
use crate::model::lora::{Adapter, LoraConfig, LoraPair, Module, Site};

/// A change. Factors multiply the update of each linear: 1 keeps it, 0 takes it away.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Repair {
    /// The same factor everywhere (WiSE-FT along the low-rank update: Wortsman et al. 2022, "Robust fine-tuning").
    Lambda {
        /// The factor.
        lambda: f64,
    },
    /// A factor that goes from the first layer to the last in equal steps (LiNeS: Wang et al. 2024, arXiv 2410.17146, which
    /// weakens the first layers and keeps the last).
    Depth {
        /// At the first layer.
        first: f64,
        /// At the last.
        last: f64,
    },
    /// A factor for attention's linears and one for the feed-forward block's.
    Modules {
        /// On query, key, value and output projections.
        attention: f64,
        /// On gate, up and down projections.
        mlp: f64,
    },
    /// The best approximation of each update by one of lower rank: its largest singular values.
    Rank {
        /// Singular values kept in each linear.
        rank: usize,
    },
}

impl Repair {
    /// The adapter as it is.
    pub const NONE: Self = Self::Lambda { lambda: 1.0 };

    /// The changed adapter, of a model with so many layers.
    pub fn apply(self, adapter: &Adapter, layers: usize) -> Result<Adapter> {
        match self {
            Self::Lambda { lambda } => Ok(adapter.scaled(lambda)),
            Self::Depth { first, last } => {
                let steps = layers.saturating_sub(1).max(1) as f64;
                weighed(adapter, |site| first + (last - first) * site.layer as f64 / steps)
            }
            Self::Modules { attention, mlp } => weighed(adapter, |site| if in_attention(site.module) { attention } else { mlp }),
            Self::Rank { rank } => truncated(adapter, rank),
        }
        .with_context(|| format!("{self}"))
    }
}

impl fmt::Display for Repair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NONE => f.write_str("as it is"),
            Self::Lambda { lambda } => write!(f, "lambda {}", short(lambda)),
            Self::Depth { first, last } => write!(f, "lambda by depth, {} to {}", short(first), short(last)),
            Self::Modules { attention, mlp } => write!(f, "attention {}, MLP {}", short(attention), short(mlp)),
            Self::Rank { rank } => write!(f, "rank {rank}"),
        }
    }
}

/// At most four digits after the point.
fn short(value: f64) -> String {
    let text = format!("{value:.4}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Whether a linear belongs to attention; the others are the feed-forward block's.
pub(super) fn in_attention(module: Module) -> bool {
    match module {
        Module::Q | Module::K | Module::V | Module::O | Module::Qkv => true,
        Module::Gate | Module::Up | Module::Down | Module::GateUp => false,
    }
}

/// A factor for each linear, carried by its B. A linear whose factor is 0 is no longer adapted.
fn weighed(adapter: &Adapter, factor: impl Fn(Site) -> f64) -> Result<Adapter> {
    let mut pairs = BTreeMap::new();
    for (site, pair) in &adapter.pairs {
        let factor = factor(*site);
        if factor != 0.0 {
            pairs.insert(*site, LoraPair { a: pair.a.clone(), b: (&pair.b * factor)? });
        }
    }
    of_pairs(pairs, adapter.scale, adapter.config.dropout)
}

fn truncated(adapter: &Adapter, rank: usize) -> Result<Adapter> {
    let mut pairs = BTreeMap::new();
    for (site, pair) in &adapter.pairs {
        let svd = Factors::of(pair, 1.0)?.svd().with_context(|| site.to_string())?;
        pairs.insert(*site, svd.pair(rank, pair.a.device())?);
    }
    of_pairs(pairs, adapter.scale, adapter.config.dropout)
}

/// An adapter of pairs, its configuration made to fit them.
pub(super) fn of_pairs(pairs: BTreeMap<Site, LoraPair>, scale: f64, dropout: f64) -> Result<Adapter> {
    let ranks = pairs.values().map(LoraPair::rank).collect::<Result<Vec<_>>>()?;
    let rank = ranks.into_iter().max().context("nothing of the adapter is left")?;
    let modules = Module::ALL.into_iter().chain(Module::JOINT);
    let targets = modules.filter(|module| pairs.keys().any(|site| site.module == *module)).collect();
    Ok(Adapter { pairs, scale, config: LoraConfig { rank, alpha: scale * rank as f64, dropout, targets, rslora: false } })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::adapter::{load, save};
    use crate::model::spec::{JointLinears, Sizes, Spec};
    use crate::recover::factors::tests::{dense, pair};
    use candle_core::Device;
    use nalgebra::DMatrix;

    const LAYERS: usize = 3;

    fn spec(joint: JointLinears) -> Spec {
        let sizes = Sizes { hidden: 12, intermediate: 10, layers: LAYERS, heads: 4, kv_heads: 2, head_dim: 4, vocabulary: 8 };
        Spec { joint, ..Spec::new("phi3", sizes) }
    }

    /// Every linear of a three-layer model with pairs of a rank.
    pub(in crate::recover) fn adapter_of(seed: u64, rank: usize, scale: f64) -> Adapter {
        on(&spec(JointLinears::default()), seed, rank, scale)
    }

    fn on(spec: &Spec, seed: u64, rank: usize, scale: f64) -> Adapter {
        let sites = (0..LAYERS).flat_map(|layer| spec.linears().map(move |module| Site { layer, module }));
        let pairs = sites.map(|site| {
            let (input, output) = site.module.widths(spec);
            (site, pair(output, rank, input, seed + 100 * site.index()))
        });
        of_pairs(pairs.collect(), scale, 0.05).unwrap()
    }

    pub(in crate::recover) fn adapter() -> Adapter {
        adapter_of(1, 2, 3.0)
    }

    /// The dense update of a linear.
    pub(in crate::recover) fn update(adapter: &Adapter, site: Site) -> Option<DMatrix<f64>> {
        adapter.pairs.get(&site).map(|pair| dense(pair, adapter.scale))
    }

    /// Each linear's update is the old one times the expected factor.
    fn assert_factors(repair: Repair, expected: impl Fn(Site) -> f64) {
        let before = adapter();
        let after = repair.apply(&before, LAYERS).unwrap();
        for site in before.pairs.keys() {
            let wanted = update(&before, *site).unwrap() * expected(*site);
            match update(&after, *site) {
                None => assert!(wanted.norm() < f64::MIN_POSITIVE, "{repair}: {site}"),
                Some(found) => assert!((found - &wanted).norm() < 1e-5 * wanted.norm().max(1.0), "{repair}: {site}"),
            }
        }
    }

    #[test]
    fn factors_multiply_the_updates() {
        assert_factors(Repair::NONE, |_| 1.0);
        assert_factors(Repair::Lambda { lambda: 0.3 }, |_| 0.3);
        assert_factors(Repair::Depth { first: 0.2, last: 1.0 }, |site| [0.2, 0.6, 1.0][site.layer]);
        assert_factors(Repair::Depth { first: 0.0, last: 0.5 }, |site| [0.0, 0.25, 0.5][site.layer]);
        let attention = |site: Site| site.module.path().starts_with("self_attn");
        assert_factors(Repair::Modules { attention: 0.5, mlp: 1.0 }, |site| if attention(site) { 0.5 } else { 1.0 });
        assert_factors(Repair::Modules { attention: 1.0, mlp: 0.0 }, |site| if attention(site) { 1.0 } else { 0.0 });
    }

    #[test]
    fn what_is_taken_away_is_no_longer_adapted_and_something_must_stay() {
        let attention = Repair::Modules { attention: 1.0, mlp: 0.0 }.apply(&adapter(), LAYERS).unwrap();
        assert_eq!((attention.config.targets.as_slice(), attention.pairs.len()), (&Module::ALL[..4], 4 * LAYERS));
        let error = format!("{:#}", Repair::Modules { attention: 0.0, mlp: 1.0 }.apply(&attention, LAYERS).unwrap_err());
        assert!(error.contains("nothing of the adapter is left"), "{error}");
        // One layer is the first and the last.
        let first = Repair::Depth { first: 0.5, last: 1.0 }.apply(&adapter(), 1).unwrap();
        let site = *first.pairs.keys().next().unwrap();
        assert!((update(&first, site).unwrap() - update(&adapter(), site).unwrap() * 0.5).norm() < 1e-5);
    }

    #[test]
    fn a_truncation_is_that_of_the_dense_update() {
        let before = adapter_of(9, 4, 0.7);
        let after = Repair::Rank { rank: 2 }.apply(&before, LAYERS).unwrap();
        assert_eq!(after.config.rank, 2);
        for site in before.pairs.keys() {
            let whole = update(&before, *site).unwrap();
            let svd = whole.clone().svd(false, false);
            let lost = svd.singular_values.iter().skip(2).map(|value| value * value).sum::<f64>().sqrt();
            let found = update(&after, *site).unwrap();
            // Eckart and Young: no matrix of that rank is nearer.
            assert!(((whole - &found).norm() - lost).abs() < 1e-5, "{site}");
            assert!(found.svd(false, false).singular_values[2] < 1e-5, "{site}");
        }
        // More than there is changes nothing.
        let same = Repair::Rank { rank: 99 }.apply(&before, LAYERS).unwrap();
        for site in before.pairs.keys() {
            assert!((update(&before, *site).unwrap() - update(&same, *site).unwrap()).norm() < 1e-5);
        }
    }

    /// Through PEFT's folder and back: ranks and strengths by linear, linears that are no longer adapted, joint ones.
    #[test]
    fn a_changed_adapter_is_a_peft_folder_with_the_same_updates() {
        let repairs = [
            Repair::NONE,
            Repair::Lambda { lambda: 0.3 },
            Repair::Depth { first: 0.0, last: 0.75 },
            Repair::Modules { attention: 0.0, mlp: 0.5 },
            Repair::Rank { rank: 1 },
        ];
        for joint in [JointLinears::default(), JointLinears { qkv: true, gate_up: true }] {
            let spec = spec(joint);
            for repair in repairs {
                let folder = tempfile::tempdir().unwrap();
                let after = repair.apply(&on(&spec, 3, 3, -1.7), LAYERS).unwrap();
                save(&after, &spec, "base", folder.path()).unwrap();
                let read = load(folder.path(), &spec, &Device::Cpu).unwrap();
                assert!(read.pairs.keys().eq(after.pairs.keys()), "{repair}");
                for site in after.pairs.keys() {
                    let (wanted, found) = (update(&after, *site).unwrap(), update(&read, *site).unwrap());
                    assert!((found - &wanted).norm() < 1e-6 * wanted.norm(), "{repair}: {site}");
                }
            }
        }
    }

    #[test]
    fn repairs_say_what_they_are() {
        let words = [Repair::NONE, Repair::Lambda { lambda: 0.5 }, Repair::Depth { first: 0.0, last: 0.375 }, Repair::Rank { rank: 4 }];
        assert_eq!(words.map(|repair| repair.to_string()), ["as it is", "lambda 0.5", "lambda by depth, 0 to 0.375", "rank 4"]);
        assert_eq!(Repair::Modules { attention: 1.0, mlp: 0.5 }.to_string(), "attention 1, MLP 0.5");
    }
}
