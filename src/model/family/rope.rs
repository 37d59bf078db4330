//! Rotary embedding as configurations spell it: `rope_parameters` (transformers 5), flat or by layer type, or `rope_theta`
//! with `rope_scaling` (before), where the kind is `rope_type` or `type` or both.

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use super::reader::{Config, used};
use crate::keys::Rule::Harmless;
use crate::keys::Table;
use crate::model::spec::{QueryTemperature, Rope, RopeScaling};

const KEYS: Table = Table {
    what: "the model's rotary embedding",
    remedy: "Ballast does not implement it",
    rules: &[
        used("rope_type"),
        used("type"),
        used("rope_theta"),
        used("factor"),
        used("partial_rotary_factor"),
        used("low_freq_factor"),
        used("high_freq_factor"),
        used("original_max_position_embeddings"),
        used("attention_factor"),
        used("beta_fast"),
        used("beta_slow"),
        used("mscale"),
        used("mscale_all_dim"),
        used("truncate"),
        used("short_factor"),
        used("long_factor"),
        used("alpha"),
        used("llama_4_scaling_beta"),
        ("max_position_embeddings", Harmless("said by the configuration around it too")),
        ("mrope_section", Harmless("the three positions of a token of text are one and the same")),
        ("mrope_interleaved", Harmless("the three positions of a token of text are one and the same")),
    ],
};

/// What a family reads, and what it takes where nothing is said.
#[derive(Clone, Copy)]
pub(super) struct RopeDefaults {
    /// The base where none is said.
    pub(super) theta: f64,
    /// The share of a head that turns where none is said; None where the family always turns all of it.
    pub(super) share: Option<f64>,
    /// Kinds of scaling.
    pub(super) kinds: &'static [&'static str],
    /// Queries may grow with their position.
    pub(super) growing: bool,
}

/// Kinds that most families may have.
pub(super) const KINDS: &[&str] = &["default", "linear", "llama3", "yarn", "dynamic"];

impl RopeDefaults {
    /// Of a base and the usual kinds.
    pub(super) const fn of(theta: f64) -> Self {
        Self { theta, share: None, kinds: KINDS, growing: false }
    }
}

/// Configurations of layer types, where `rope_parameters` is by them.
fn by_type(new: Option<Config<'_>>) -> Option<Config<'_>> {
    new.filter(|new| ["full_attention", "sliding_attention"].iter().any(|key| new.entries().contains_key(*key)))
}

/// The one table of a model.
pub(super) fn single(config: &Config<'_>, reading: RopeDefaults) -> Result<Rope> {
    let at = |key: &str| format!("{}: {key}", config.place());
    let (new_place, old_place) = (at("rope_parameters"), at("rope_scaling"));
    let (new, old) = (config.below("rope_parameters", &new_place)?, config.below("rope_scaling", &old_place)?);
    // Flat, or one object per layer type; then they have to say the same.
    let parts: Vec<Config<'_>> = match by_type(new) {
        Some(by_type) => {
            let keys = by_type.entries().keys();
            keys.map(|key| by_type.below(key, by_type.place())).collect::<Result<Vec<_>>>()?.into_iter().flatten().collect()
        }
        None => new.into_iter().chain(old).collect(),
    };
    let Some((first, others)) = parts.split_first() else { return table(config, None, reading, "rope_theta") };
    let rope = table(config, Some(first), reading, "rope_theta")?;
    for other in others {
        ensure!(
            table(config, Some(other), reading, "rope_theta")? == rope,
            "{}: the rotary embedding is described more than once, and not alike: the family has one for all layers",
            config.place()
        );
    }
    Ok(rope)
}

/// The tables of full and of sliding layers. In the old spelling `rope_theta` and `rope_scaling` are of full layers, and
/// `local_key` names the base of sliding ones.
pub(super) fn full_and_sliding(config: &Config<'_>, full: RopeDefaults, sliding: RopeDefaults, local_key: &str) -> Result<(Rope, Rope)> {
    let at = |key: &str| format!("{}: {key}", config.place());
    let (new_place, old_place) = (at("rope_parameters"), at("rope_scaling"));
    let (new, old) = (config.below("rope_parameters", &new_place)?, config.below("rope_scaling", &old_place)?);
    let Some(new) = new else {
        return Ok((table(config, old.as_ref(), full, "rope_theta")?, table(config, None, sliding, local_key)?));
    };
    ensure!(old.is_none(), "{}: both `rope_parameters` and `rope_scaling` describe the rotary embedding", config.place());
    let types = by_type(Some(new)).with_context(|| format!("{} is not by layer type, as this family's is", new.place()))?;
    for key in types.entries().keys() {
        ensure!(
            matches!(key.as_str(), "full_attention" | "sliding_attention"),
            "{}: `{key}` is no layer type of this family",
            types.place()
        );
    }
    let (of_full, of_sliding) = (types.below("full_attention", types.place())?, types.below("sliding_attention", types.place())?);
    Ok((table(config, of_full.as_ref(), full, "rope_theta")?, table(config, of_sliding.as_ref(), sliding, local_key)?))
}

/// How queries grow with their position.
pub(super) fn temperature(config: &Config<'_>) -> Result<Option<QueryTemperature>> {
    let place = format!("{}: rope_parameters", config.place());
    let Some(rope) = config.below("rope_parameters", &place)? else { return Ok(None) };
    let Some(beta) = rope.real("llama_4_scaling_beta")? else { return Ok(None) };
    ensure!(beta.is_finite() && beta >= 0.0, "{place}: `llama_4_scaling_beta` is {beta}");
    Ok(Some(QueryTemperature { beta, original_positions: rope.number("original_max_position_embeddings")? }))
}

/// One table: what its own object says, or the configuration around it.
fn table(config: &Config<'_>, part: Option<&Config<'_>>, reading: RopeDefaults, theta_key: &str) -> Result<Rope> {
    let plain = base_and_share(config, part, reading, theta_key)?;
    part.map_or(Ok(plain.clone()), |part| scaled(config, part, reading, plain))
}

fn base_and_share(config: &Config<'_>, part: Option<&Config<'_>>, reading: RopeDefaults, theta_key: &str) -> Result<Rope> {
    let outside = config.real(theta_key)?;
    let inside = part.map(|part| part.real("rope_theta")).transpose()?.flatten();
    if let (Some(outside), Some(inside)) = (outside, inside) {
        ensure!(
            (outside - inside).abs() <= f64::EPSILON * outside.abs(),
            "{}: `{theta_key}` is {outside} in one place and {inside} in another",
            config.place()
        );
    }
    let theta = inside.or(outside).unwrap_or(reading.theta);
    let said = match part.map(|part| part.real("partial_rotary_factor")).transpose()?.flatten() {
        Some(share) => Some(share),
        None if reading.share.is_some() => config.real("partial_rotary_factor")?,
        None => None,
    };
    let share = said.or(reading.share).unwrap_or(1.0);
    ensure!(
        reading.share.is_some() || (share - 1.0).abs() < f64::EPSILON,
        "{}: `partial_rotary_factor` is {share}, and this family turns whole heads",
        config.place()
    );
    Ok(Rope { share, ..Rope::new(theta) })
}

/// Base and share of a table whose scaling the family itself reads.
pub(super) fn plain(config: &Config<'_>, part: &Config<'_>, reading: RopeDefaults) -> Result<Rope> {
    KEYS.check(part.place(), part.entries())?;
    base_and_share(config, Some(part), reading, "rope_theta")
}

fn scaled(config: &Config<'_>, part: &Config<'_>, reading: RopeDefaults, plain: Rope) -> Result<Rope> {
    KEYS.check(part.place(), part.entries())?;
    ensure!(
        reading.growing || part.get("llama_4_scaling_beta").is_none(),
        "{}: `llama_4_scaling_beta` lets queries grow with their position, which this family's do not",
        part.place()
    );
    let (kind, old) = (part.text("rope_type")?, part.text("type")?);
    if let (Some(kind), Some(old)) = (kind, old) {
        ensure!(kind == old, "{}: `rope_type` is `{kind}` and `type` is `{old}`", part.place());
    }
    let kind = match kind.or(old).unwrap_or("default") {
        // Three positions per token, which are one for text.
        "mrope" => "default",
        kind => kind,
    };
    ensure!(
        reading.kinds.contains(&kind),
        "{}: the rope type `{kind}` is not supported here: this family may have {}",
        part.place(),
        reading.kinds.join(", ")
    );
    // Saved beside the parameters by some, read from the configuration by all.
    let positions = config.real("max_position_embeddings")?;
    let original = config.real("original_max_position_embeddings")?.or(part.real("original_max_position_embeddings")?).or(positions);
    let original = || original.with_context(|| format!("{} has no `original_max_position_embeddings`", part.place()));
    match kind {
        "default" => {
            part.must_be("alpha", &json!(1.0), "no `rope_type` says what it does")?;
            let factor = part.real("factor")?.unwrap_or(1.0);
            ensure!((factor - 1.0).abs() < f64::EPSILON, "{}: `factor` is {factor}, but no `rope_type` says what it does", part.place());
            Ok(plain)
        }
        // Nothing changes up to `max_position_embeddings`, beyond which nothing is run.
        "dynamic" if part.get("alpha").is_none() => Ok(plain),
        "linear" => Ok(Rope { scaling: RopeScaling::Linear { factor: part.number("factor")? }, ..plain }),
        "llama3" => {
            let scaling = RopeScaling::Llama3 {
                factor: part.number("factor")?,
                low_freq_factor: part.number("low_freq_factor")?,
                high_freq_factor: part.number("high_freq_factor")?,
                original_positions: original()?,
            };
            Ok(Rope { scaling, ..plain })
        }
        "yarn" => yarn(part, original()?, positions, &plain),
        other => bail!("{}: the rope type `{other}` is not supported with these parameters", part.place()),
    }
}

/// As transformers computes it: the amplitude from `attention_factor`, or from the two `mscale`, or from the factor.
fn yarn(part: &Config<'_>, original_positions: f64, positions: Option<f64>, plain: &Rope) -> Result<Rope> {
    let factor = match (part.real("factor")?, positions) {
        (Some(factor), _) => factor,
        (None, Some(positions)) => positions / original_positions,
        (None, None) => bail!("{} has no `factor`", part.place()),
    };
    let mscale = |weight: f64| if factor <= 1.0 { 1.0 } else { (0.1 * weight).mul_add(factor.ln(), 1.0) };
    let not_zero = |key: &str| -> Result<Option<f64>> { Ok(part.real(key)?.filter(|value| *value != 0.0)) };
    let amplitude = match (part.real("attention_factor")?, not_zero("mscale")?, not_zero("mscale_all_dim")?) {
        (Some(amplitude), ..) => amplitude,
        (None, Some(weight), Some(all)) => mscale(weight) / mscale(all),
        _ => mscale(1.0),
    };
    let scaling = RopeScaling::Yarn {
        factor,
        fast: not_zero("beta_fast")?.unwrap_or(32.0),
        slow: not_zero("beta_slow")?.unwrap_or(1.0),
        original_positions,
        truncate: part.flag("truncate", true)?,
    };
    Ok(Rope { scaling, amplitude, ..plain.clone() })
}
