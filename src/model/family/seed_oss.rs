//! Seed-OSS: llama with biases on q, k and v, and one of its own choice on o.

use anyhow::Result;

use super::Family;
use super::llama::{Defaults, plain};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{Biases, Spec};

pub(super) const FAMILY: Family = Family { name: "seed_oss", keys: &KEYS, read };

const KEYS: Table = Table {
    what: "the configuration of a seed_oss model",
    remedy: "a newer Ballast may know it",
    rules: &[
        used("attention_bias"),
        used("attention_out_bias"),
        used("mlp_bias"),
        ("residual_dropout", Harmless("acts while the base itself is trained")),
    ],
};

fn read(config: &Config<'_>) -> Result<Spec> {
    Ok(Spec {
        ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?],
        biases: Biases {
            qkv: config.flag("attention_bias", true)?,
            o: config.flag("attention_out_bias", false)?,
            feed_forward: config.flag("mlp_bias", false)?,
        },
        ..plain("seed_oss", config, Defaults { head_dim: Some(128), positions: 524_288, ..Defaults::PLAIN })?
    })
}
