//! `adapter_config.json` as PEFT 0.3 to 0.21 and ms-swift write it, key by key.

use std::collections::BTreeSet;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use super::scope::{Scope, matches};
use crate::files::read_text;
use crate::keys::{Rule, Table};

/// Switches that are off (null, false, empty) count as absent: PEFT writes them into every file.
const TABLE: Table = Table {
    what: "the adapter configuration",
    remedy: "merge the adapter into its base with PEFT's merge_and_unload, or save it as a plain LoRA",
    rules: &[
        ("alpha_pattern", Rule::Used),
        ("alora_invocation_tokens", Rule::Refused("the adapter acts only after certain tokens (aLoRA), Ballast's act on all")),
        ("arrow_config", Rule::Refused("a router over several adapters (Arrow) is not one adapter")),
        ("auto_mapping", Rule::Harmless("names the Python class of the base")),
        ("base_model_name_or_path", Rule::Harmless("a name; the shapes of the tensors are held against the model")),
        ("bias", Rule::Used),
        ("corda_config", Rule::Harmless("read by init_lora_weights = corda alone, which is refused")),
        ("enable_lora", Rule::Refused("a joint projection with some parts left out: merge the adapter into its base first")),
        ("ensure_weight_tying", Rule::Harmless("concerns saved modules and embeddings, which are refused")),
        ("eva_config", Rule::Harmless("how EVA drew ranks; what it drew is in rank_pattern and alpha_pattern")),
        ("exclude_modules", Rule::Used),
        ("fan_in_fan_out", Rule::Refused("no supported base model stores its weights transposed")),
        ("inference_mode", Rule::Harmless("whether the pairs are frozen")),
        ("init_lora_weights", Rule::Used),
        ("kasa_config", Rule::Refused("KaSA changes the base weights: merge the adapter into its base first")),
        ("layer_replication", Rule::Refused("the adapter belongs to a model with some layers repeated: merge it into that model first")),
        ("layers_pattern", Rule::Used),
        ("layers_to_transform", Rule::Used),
        ("loftq_config", Rule::Refused("LoftQ changes the base weights: merge the adapter into its base first")),
        ("lora_alpha", Rule::Used),
        ("lora_bias", Rule::Refused("trained biases: merge the adapter into its base first")),
        ("lora_dropout", Rule::Used),
        ("lora_dtype", Rule::Harmless("ms-swift: the type it trained in; the tensors say their own")),
        ("lora_ga_config", Rule::Harmless("read by init_lora_weights = lora_ga alone, which is refused")),
        ("lorap_emb_lr", Rule::Harmless("ms-swift: a learning rate")),
        ("lorap_lr_ratio", Rule::Harmless("ms-swift: a learning rate")),
        ("megatron_config", Rule::Refused("linears of Megatron: convert the adapter to Hugging Face names first")),
        ("megatron_core", Rule::Harmless("a Python module's name, used with megatron_config alone")),
        ("merge_weights", Rule::Harmless("whether an old PEFT merged while evaluating")),
        ("modules_to_save", Rule::Refused("whole trained modules: merge the adapter into its base first")),
        ("monteclora_config", Rule::Refused("MonteCLoRA draws its updates at random: merge the adapter into its base first")),
        ("peft_type", Rule::Used),
        ("peft_version", Rule::Harmless("who wrote the file")),
        ("qalora_group_size", Rule::Harmless("read with use_qalora alone, which is refused")),
        ("r", Rule::Used),
        ("rank_pattern", Rule::Used),
        ("revision", Rule::Harmless("a commit of the base; the shapes of the tensors are held against the model")),
        ("runtime_config", Rule::Harmless("where PEFT puts tensors while it loads them")),
        ("target_modules", Rule::Used),
        ("target_parameters", Rule::Refused("adapted parameters instead of linears: merge the adapter into its base first")),
        ("task_type", Rule::Used),
        ("trainable_token_indices", Rule::Refused("trained embeddings: merge the adapter into its base first")),
        ("use_bdlora", Rule::Refused("block-diagonal pairs (BD-LoRA): merge the adapter into its base first")),
        ("use_dora", Rule::Refused("DoRA scales the base weights: merge the adapter into its base first")),
        ("use_qalora", Rule::Refused("pooled inputs (QA-LoRA): merge the adapter into its base first")),
        ("use_rslora", Rule::Used),
        ("velora_config", Rule::Refused("VeLoRA keeps compressed activations and trains otherwise: merge the adapter into its base first")),
    ],
};

/// Initialisations that leave the base as it was, so that A and B are the whole update.
const PLAIN_STARTS: [&str; 4] = ["gaussian", "eva", "orthogonal", "mica"];

/// What the configuration says of the pairs.
pub(super) struct Config {
    rank: usize,
    alpha: f64,
    rank_pattern: Entries<usize>,
    alpha_pattern: Entries<f64>,
    rank_stabilised: bool,
    /// Dropout in training.
    pub(super) dropout: f64,
    /// Which linears are adapted.
    pub(super) scope: Scope,
}

#[derive(Deserialize)]
struct Raw {
    peft_type: String,
    task_type: Option<String>,
    r: usize,
    lora_alpha: f64,
    lora_dropout: Option<f64>,
    use_rslora: Option<bool>,
    bias: Option<String>,
    alpha_pattern: Option<Entries<f64>>,
    rank_pattern: Option<Entries<usize>>,
    init_lora_weights: Option<Value>,
    #[serde(flatten)]
    scope: Scope,
}

impl Config {
    pub(super) fn read(path: &Path) -> Result<Self> {
        Self::parse(&read_text(path)?, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let context = || format!("{} cannot be used", path.display());
        let object: Entries<Value> =
            serde_json::from_str(text).with_context(|| format!("{} is not a PEFT configuration", path.display()))?;
        let object: Map<String, Value> = object.0.into_iter().collect();
        TABLE.check(path.display(), &without_switches_that_are_off(&object))?;
        // From the text again, where patterns stand in their order: the first that fits a linear counts.
        let raw: Raw = serde_json::from_str(text).with_context(|| format!("{} is not a PEFT configuration", path.display()))?;
        raw.checked().with_context(context)
    }

    /// Rank of the pair of a linear of the given name, by PEFT's rule.
    pub(super) fn rank(&self, name: &str) -> Result<usize> {
        Ok(*self.rank_pattern.at("rank_pattern", name)?.unwrap_or(&self.rank))
    }

    /// Scale of its product, by PEFT's rule.
    pub(super) fn scale(&self, name: &str) -> Result<f64> {
        let (rank, alpha) = (self.rank(name)? as f64, *self.alpha_pattern.at("alpha_pattern", name)?.unwrap_or(&self.alpha));
        Ok(if self.rank_stabilised { alpha / rank.sqrt() } else { alpha / rank })
    }
}

impl Raw {
    fn checked(self) -> Result<Config> {
        ensure!(self.peft_type == "LORA", "peft_type is `{}`: only LORA adapters can be evaluated", self.peft_type);
        if let Some(task) = &self.task_type {
            ensure!(task == "CAUSAL_LM", "task_type is `{task}`: Ballast evaluates language models (CAUSAL_LM)");
        }
        if let Some(bias) = &self.bias {
            ensure!(bias == "none", "bias is `{bias}`: trained biases are not supported, merge the adapter into its base first");
        }
        match &self.init_lora_weights {
            None | Some(Value::Null | Value::Bool(_)) => {}
            Some(Value::String(kind)) if PLAIN_STARTS.contains(&kind.as_str()) => {}
            Some(kind) => bail!(
                "init_lora_weights is {kind}, which changes the base weights too or is not known: convert the adapter to a plain LoRA first \
                 (PEFT: save_pretrained with path_initial_model_for_weight_conversion)"
            ),
        }
        let (rank_pattern, alpha_pattern) = (self.rank_pattern.unwrap_or_default(), self.alpha_pattern.unwrap_or_default());
        ensure!(self.r > 0 && rank_pattern.0.iter().all(|(_, rank)| *rank > 0), "a rank of 0: r and rank_pattern begin at 1");
        let dropout = self.lora_dropout.unwrap_or(0.0);
        ensure!((0.0..=1.0).contains(&dropout), "lora_dropout is {dropout}: it is a probability");
        Ok(Config {
            rank: self.r,
            alpha: self.lora_alpha,
            rank_pattern,
            alpha_pattern,
            rank_stabilised: self.use_rslora.unwrap_or(false),
            dropout,
            scope: self.scope.checked()?,
        })
    }
}

fn without_switches_that_are_off(object: &Map<String, Value>) -> Map<String, Value> {
    let off = |value: &Value| match value {
        Value::Bool(on) => !on,
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    };
    let kept = object.iter().filter(|(key, value)| !(off(value) && TABLE.rule(key).is_some()));
    kept.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// A JSON object in its own order; a key that occurs twice is an error.
#[derive(Debug)]
pub(super) struct Entries<T>(pub(super) Vec<(String, T)>);

impl<T> Default for Entries<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Entries<T> {
    /// The value of the first pattern that fits a linear's name.
    fn at(&self, key: &str, name: &str) -> Result<Option<&T>> {
        for (pattern, value) in &self.0 {
            if matches(&format!("(?:.*\\.)?(?:{pattern})"), name).with_context(|| format!("`{pattern}` in {key}"))? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Entries<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Reader<T> {
            type Value = Entries<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Entries<T>, M::Error> {
                let (mut entries, mut seen) = (Vec::new(), BTreeSet::new());
                while let Some((key, value)) = map.next_entry::<String, T>()? {
                    if !seen.insert(key.clone()) {
                        return Err(M::Error::custom(format!("`{key}` occurs twice")));
                    }
                    entries.push((key, value));
                }
                Ok(Entries(entries))
            }
        }
        deserializer.deserialize_map(Reader(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::site::{Module, Site};

    fn parse(more: &str) -> Result<Config> {
        let text = format!(r#"{{"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"]{more}}}"#);
        Config::parse(&text, Path::new("adapter_config.json"))
    }

    #[test]
    fn every_key_is_known_or_named() {
        let refused = |more: &str| format!("{:#}", parse(more).map(|_| ()).unwrap_err());
        assert!(refused(r#", "new_switch": true"#).contains("`new_switch`"));
        for (key, rule) in TABLE.rules {
            if let Rule::Refused(remedy) = rule {
                let error = refused(&format!(r#", "{key}": {{"a": 1}}"#));
                assert!(error.contains(key) && error.contains(remedy), "{error}");
                for off in ["null", "false", "[]", "{}"] {
                    parse(&format!(r#", "{key}": {off}"#)).unwrap();
                }
            }
        }
        assert!(refused(r#", "bias": "all""#).contains("bias"));
        assert!(refused(r#", "r": 8"#).contains("occurs twice"));
        assert!(refused(r#", "rank_pattern": {"q_proj": 0}"#).contains("rank of 0"));
        for kind in ["pissa", "pissa_niter_4", "olora", "corda", "loftq", "lora_ga", "something"] {
            assert!(refused(&format!(r#", "init_lora_weights": "{kind}""#)).contains(kind));
        }
    }

    /// PEFT: `re.match(rf"(.*\.)?({key})$", name)`, the first key that fits.
    #[test]
    fn the_first_pattern_that_fits_a_site_counts() {
        let site = |layer, module| format!("model.{}", Site { layer, module });
        let config = parse(
            r#", "rank_pattern": {"layers.1.self_attn.q_proj": 2, "q_proj": 6, "_proj": 9}, "alpha_pattern": {".*v_proj": 32}, "use_rslora": true"#,
        )
        .unwrap();
        assert_eq!(config.rank(&site(1, Module::Q)).unwrap(), 2);
        assert_eq!(config.rank(&site(11, Module::Q)).unwrap(), 6);
        assert_eq!(config.rank(&site(0, Module::V)).unwrap(), 4);
        assert!((config.scale(&site(0, Module::V)).unwrap() - 16.0).abs() < 1e-12);
        assert!((config.scale(&site(1, Module::Q)).unwrap() - 8.0 / 2f64.sqrt()).abs() < 1e-12);
        let error = format!("{:#}", parse(r#", "rank_pattern": {"(": 2}"#).unwrap().rank(&site(0, Module::Q)).unwrap_err());
        assert!(error.contains("`(` in rank_pattern"), "{error}");
    }
}
