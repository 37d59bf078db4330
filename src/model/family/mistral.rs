//! Mistral: all layers slide where there is a window. Ministral: some do. Ministral 3: YaRN, and queries that grow with their
//! position.

use anyhow::Result;

use super::Family;
use super::llama::{Defaults, plain, sliding_layers, windows};
use super::reader::{Config, used};
use super::rope::{self, RopeDefaults};
use crate::keys::Table;
use crate::model::spec::Spec;

pub(super) const MISTRAL: Family = Family { name: "mistral", keys: &KEYS, read: mistral };
pub(super) const MINISTRAL: Family = Family { name: "ministral", keys: &KEYS_BY_LAYER, read: ministral };
pub(super) const MINISTRAL3: Family = Family { name: "ministral3", keys: &KEYS, read: ministral3 };

const KEYS: Table =
    Table { what: "the configuration of a mistral model", remedy: "a newer Ballast may know it", rules: &[used("sliding_window")] };

const KEYS_BY_LAYER: Table = Table {
    what: "the configuration of a ministral model",
    remedy: "a newer Ballast may know it",
    rules: &[used("sliding_window"), used("layer_types")],
};

const DEFAULTS: Defaults = Defaults { positions: 131_072, ..Defaults::PLAIN };

fn mistral(config: &Config<'_>) -> Result<Spec> {
    let spec = plain("mistral", config, DEFAULTS)?;
    let slides = config.get("sliding_window").is_some();
    let attention = windows(config, &vec![slides; spec.layers])?;
    Ok(Spec { ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?], attention, ..spec })
}

fn ministral(config: &Config<'_>) -> Result<Spec> {
    let spec = plain("ministral", config, DEFAULTS)?;
    let slides = config.get("sliding_window").is_some();
    let attention = windows(config, &sliding_layers(config, spec.layers, |_| slides)?)?;
    Ok(Spec { ropes: vec![rope::single(config, RopeDefaults::of(10_000.0))?], attention, ..spec })
}

fn ministral3(config: &Config<'_>) -> Result<Spec> {
    let spec = plain("ministral3", config, Defaults { positions: 262_144, head_dim: Some(128), eps: 1e-5, ..Defaults::PLAIN })?;
    anyhow::ensure!(config.get("rope_parameters").is_some(), "{} has no `rope_parameters`, which a ministral3 model needs", config.place());
    let slides = config.get("sliding_window").is_some();
    Ok(Spec {
        ropes: vec![rope::single(config, RopeDefaults { growing: true, ..RopeDefaults::of(1_000_000.0) })?],
        query_temperature: rope::temperature(config)?,
        attention: windows(config, &vec![slides; spec.layers])?,
        ..spec
    })
}
