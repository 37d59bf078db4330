//! OLMo 2 and 3: norms after each block only, and of all heads of q and k as one vector. OLMo 3 slides three layers of four,
//! and scales the rotary embedding of the others.

use anyhow::{Result, ensure};

use super::Family;
use super::llama::{Defaults, plain, sliding_layers, windows};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Table;
use crate::model::spec::{Biases, LayerAttention, Norms, QueryKeyNorm, QueryKeyNorms, Spec};

pub(super) const OLMO2: Family = Family { name: "olmo2", keys: &OLMO2_KEYS, read: olmo2 };
pub(super) const OLMO3: Family = Family { name: "olmo3", keys: &OLMO3_KEYS, read: olmo3 };

const OLMO2_KEYS: Table =
    Table { what: "the configuration of an olmo2 model", remedy: "a newer Ballast may know it", rules: &[used("attention_bias")] };
const OLMO3_KEYS: Table = Table {
    what: "the configuration of an olmo3 model",
    remedy: "a newer Ballast may know it",
    rules: &[used("attention_bias"), used("sliding_window"), used("layer_types")],
};

fn common(family: &'static str, config: &Config<'_>) -> Result<Spec> {
    let bias = config.flag("attention_bias", false)?;
    Ok(Spec {
        norms: Norms::POST,
        query_key_norms: Some(QueryKeyNorms { place: QueryKeyNorm::FullWidth, query: "self_attn.q_norm", key: "self_attn.k_norm" }),
        biases: Biases { qkv: bias, o: bias, feed_forward: false },
        ..plain(family, config, Defaults { eps: 1e-5, ..Defaults::PLAIN })?
    })
}

fn olmo2(config: &Config<'_>) -> Result<Spec> {
    Ok(Spec { ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?], ..common("olmo2", config)? })
}

fn olmo3(config: &Config<'_>) -> Result<Spec> {
    const THETA: f64 = 500_000.0;
    let spec = common("olmo3", config)?;
    let sliding = sliding_layers(config, spec.layers, |layer| !(layer + 1).is_multiple_of(4))?;
    // Versions of transformers differ in the base of sliding layers where a flat configuration has another one.
    let theta = config.real("rope_theta")?.unwrap_or(THETA);
    ensure!(
        config.get("rope_parameters").is_some() || (theta - THETA).abs() < f64::EPSILON,
        "{}: `rope_theta` is {theta} and nothing says whether that is the base of sliding layers too: write `rope_parameters` by layer type",
        config.place()
    );
    let (full, local) = rope::full_and_sliding(config, RopeDefaults::of(THETA), RopeDefaults::of(THETA), "rope_theta")?;
    let attention = windows(config, &sliding)?
        .into_iter()
        .zip(sliding)
        .map(|(attention, sliding)| LayerAttention { rope: Some(usize::from(sliding)), ..attention })
        .collect();
    Ok(Spec { ropes: vec![full, local], attention, ..spec })
}
