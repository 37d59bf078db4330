//! Granite 3: llama with factors on embeddings, residuals, scores and logits.

use anyhow::Result;

use super::Family;
use super::llama::{Defaults, plain};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Table;
use crate::model::spec::{Biases, Spec};

pub(super) const FAMILY: Family = Family { name: "granite", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a granite model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("mlp_bias"),
        used("embedding_multiplier"),
        used("residual_multiplier"),
        used("attention_multiplier"),
        used("logits_scaling"),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    let bias = config.flag("attention_bias", false)?;
    let factor = |key: &str| -> Result<f64> { Ok(config.real(key)?.unwrap_or(1.0)) };
    Ok(Spec {
        ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?],
        biases: Biases { qkv: bias, o: bias, feed_forward: config.flag("mlp_bias", false)? },
        embedding_scale: factor("embedding_multiplier")?,
        residual_scale: factor("residual_multiplier")?,
        attention_scale: factor("attention_multiplier")?,
        logit_scale: factor("logits_scaling")?.recip(),
        ..plain("granite", config, Defaults::PLAIN)?
    })
}
