//! Phi-3, Phi-3.5, Phi-4, Phi-4-mini: q, k and v are one tensor, gate and up another; mini models turn a part of each head,
//! with LongRoPE.
//!
//! LongRoPE has factors for short and for long sequences, and transformers changes from one to the other where a sequence
//! outgrows the original context, and then reads all of it again. Ballast runs the short ones only, so that what is cached
//! stays true, and refuses a longer sequence.

use anyhow::{Context, Result, ensure};

use super::Family;
use super::llama::{Defaults, plain, windows};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{JointLinears, Rope, RopeScaling, Spec};

pub(super) const FAMILY: Family = Family { name: "phi3", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a phi3 model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("original_max_position_embeddings"),
        used("partial_rotary_factor"),
        used("sliding_window"),
        used("attention_bias"),
        used("mlp_bias"),
        used("lm_head_bias"),
        ("full_attn_mod", Harmless("1 in every published model, and read by none of transformers' own classes")),
        ("interpolate_factor", Harmless("1 in every published model, and read by none of transformers' own classes")),
        ("auto_map", Harmless("transformers has the family itself, and so has Ballast")),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    for key in ["attention_bias", "mlp_bias", "lm_head_bias"] {
        config.must_be(key, &serde_json::json!(false), "the family's linears have no biases")?;
    }
    let spec = plain("phi3", config, Defaults { eps: 1e-5, positions: 4096, ..Defaults::PLAIN })?;
    let slides = config.get("sliding_window").is_some();
    let (rope, max_positions) = rope(config, spec.head_dim, spec.max_positions)?;
    let beyond = (max_positions < spec.max_positions).then_some("the long factors of the model's LongRoPE");
    Ok(Spec {
        beyond,
        ropes: vec![rope],
        attention: windows(config, &vec![slides; spec.layers])?,
        joint: JointLinears { qkv: true, gate_up: true },
        max_positions,
        ..spec
    })
}

/// The rotary table, and how long sequences may be.
fn rope(config: &Config<'_>, head_dim: usize, positions: usize) -> Result<(Rope, usize)> {
    let reading = RopeDefaults { share: Some(1.0), ..RopeDefaults::of(10_000.0) };
    for key in ["rope_parameters", "rope_scaling"] {
        let place = format!("{}: {key}", config.place());
        let Some(part) = config.below(key, &place)? else { continue };
        let kind = part.text("rope_type")?.or(part.text("type")?).unwrap_or("default");
        // The family's older names of the same rule.
        if !matches!(kind, "longrope" | "su" | "yarn") {
            continue;
        }
        let plain = rope::plain(config, &part, reading)?;
        let turning = plain.turning(head_dim);
        let original =
            config.whole("original_max_position_embeddings")?.or(part.whole("original_max_position_embeddings")?).unwrap_or(positions);
        let factor = part.real("factor")?.unwrap_or(positions as f64 / original as f64);
        let amplitude = match part.real("attention_factor")? {
            Some(amplitude) => amplitude,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        let divisors = numbers(&part, "short_factor")?;
        ensure!(divisors.len() == turning / 2, "{place}: `short_factor` has {} numbers for {} pairs", divisors.len(), turning / 2);
        let rope = Rope { scaling: RopeScaling::Divisors(divisors), amplitude, ..plain };
        return Ok((rope, positions.min(original)));
    }
    Ok((rope::single(config, reading)?, positions))
}

fn numbers(part: &Config<'_>, key: &str) -> Result<Vec<f64>> {
    let bad = || format!("{}: `{key}` is not a list of numbers", part.place());
    let list = part.get(key).and_then(|value| value.as_array()).with_context(bad)?;
    list.iter().map(|value| value.as_f64().with_context(bad)).collect()
}
