//! Rotary embedding as configurations spell it: `rope_parameters` (transformers 5), flat or by layer type, or `rope_theta`
//! with `rope_scaling` (before), where the kind is `rope_type` or `type` or both.

use anyhow::{Result, bail, ensure};

use super::reader::{Config, used};
use crate::keys::Table;
use crate::model::spec::{Rope, RopeScaling};

const KEYS: Table = Table {
    what: "the model's rotary embedding",
    remedy: "Ballast does not implement it",
    rules: &[
        used("rope_type"),
        used("type"),
        used("rope_theta"),
        used("factor"),
        used("low_freq_factor"),
        used("high_freq_factor"),
        used("original_max_position_embeddings"),
    ],
};

/// The one table of a model; `theta` is the family's own where the configuration says none.
pub(super) fn single(config: &Config<'_>, theta: f64) -> Result<Rope> {
    let at = |key: &str| format!("{}: {key}", config.place());
    let (new, old) = (at("rope_parameters"), at("rope_scaling"));
    let (new, old) = (config.below("rope_parameters", &new)?, config.below("rope_scaling", &old)?);
    // Flat, or one object a layer type; then they have to say the same.
    let by_type = new.filter(|new| new.get("full_attention").is_some() || new.get("sliding_attention").is_some());
    let mut found: Vec<Rope> = Vec::new();
    for part in match by_type {
        Some(by_type) => {
            let mut parts = Vec::new();
            for key in by_type.entries().keys() {
                parts.extend(by_type.below(key, by_type.place())?);
            }
            parts
        }
        None => new.into_iter().chain(old).collect(),
    } {
        let theta = part.real("rope_theta")?.or(config.real("rope_theta")?).unwrap_or(theta);
        found.push(Rope { theta, scaling: scaling(&part)? });
    }
    if let (Some(outside), Some(rope)) = (config.real("rope_theta")?, found.first()) {
        ensure!(
            (outside - rope.theta).abs() <= f64::EPSILON * outside.abs(),
            "{}: `rope_theta` is {outside} in one place and {} in another",
            config.place(),
            rope.theta
        );
    }
    let Some(first) = found.first().cloned() else {
        return Ok(Rope::new(config.real("rope_theta")?.unwrap_or(theta)));
    };
    ensure!(
        found.iter().all(|rope| *rope == first),
        "{}: the rotary embedding is described more than once, and not alike: the family has one for all layers",
        config.place()
    );
    Ok(first)
}

fn scaling(config: &Config<'_>) -> Result<RopeScaling> {
    KEYS.check(config.place(), config.entries())?;
    let (kind, old) = (config.text("rope_type")?, config.text("type")?);
    if let (Some(kind), Some(old)) = (kind, old) {
        ensure!(kind == old, "{}: `rope_type` is `{kind}` and `type` is `{old}`", config.place());
    }
    match kind.or(old).unwrap_or("default") {
        "default" => {
            let factor = config.real("factor")?.unwrap_or(1.0);
            ensure!((factor - 1.0).abs() < f64::EPSILON, "{}: `factor` is {factor}, but no `rope_type` says what it does", config.place());
            Ok(RopeScaling::Default)
        }
        "llama3" => Ok(RopeScaling::Llama3 {
            factor: config.number("factor")?,
            low_freq_factor: config.number("low_freq_factor")?,
            high_freq_factor: config.number("high_freq_factor")?,
            original_positions: config.number("original_max_position_embeddings")?,
        }),
        other => bail!("{}: the rope type `{other}` is not supported: Ballast implements default and llama3", config.place()),
    }
}
