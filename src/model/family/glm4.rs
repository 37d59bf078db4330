//! GLM-4 of April 2025 and Z1: norms on both sides of each block, half of each head turned in neighbouring pairs, gate and up
//! in one tensor.

use anyhow::Result;

use super::Family;
use super::llama::{Defaults, plain};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Table;
use crate::model::spec::{Biases, JointLinears, Norms, Rope, Spec};

pub(super) const FAMILY: Family = Family { name: "glm4", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a glm4 model",
    remedy: "a newer Ballast may know it",
    rules: &[used("attention_bias"), used("partial_rotary_factor")],
};

const NORMS: Norms = Norms {
    before_attention: Some("input_layernorm"),
    after_attention: Some("post_self_attn_layernorm"),
    before_feed_forward: Some("post_attention_layernorm"),
    after_feed_forward: Some("post_mlp_layernorm"),
    plus_one: false,
};

fn read(config: &Config<'_>) -> Result<Spec> {
    let rope = rope::single(config, RopeDefaults { share: Some(0.5), ..RopeDefaults::of(10_000.0) })?;
    Ok(Spec {
        ropes: vec![Rope { interleaved: true, ..rope }],
        norms: NORMS,
        biases: Biases { qkv: config.flag("attention_bias", true)?, ..Biases::default() },
        joint: JointLinears { gate_up: true, ..JointLinears::default() },
        ..plain("glm4", config, Defaults { head_dim: Some(128), eps: 1.5625e-7, positions: 131_072, ..Defaults::PLAIN })?
    })
}
