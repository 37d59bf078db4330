//! Families of models: one file a family that turns its configuration into the switches of [`Spec`]. Nothing outside this
//! folder asks which family a model is of.
//!
//! Every key of a configuration is used, harmless for a stated reason, or refused by name.

mod gemma;
mod gguf;
mod glm4;
mod granite;
mod hunyuan;
mod llama;
mod mistral;
mod olmo;
mod phi3;
mod qwen;
mod reader;
mod rope;
mod seed_oss;
mod smollm3;
mod wrapper;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::spec::Spec;
use crate::keys::Table;
pub(super) use gguf::reorders_pairs as gguf_reorders_pairs;
use reader::Config;

/// One family as Hugging Face configurations name it.
struct Family {
    /// `model_type`.
    name: &'static str,
    /// Its keys beside those that every family has.
    keys: &'static Table,
    read: fn(&Config<'_>) -> Result<Spec>,
}

const FAMILIES: &[Family] = &[
    llama::FAMILY,
    qwen::QWEN2,
    qwen::QWEN3,
    mistral::MISTRAL,
    mistral::MINISTRAL,
    mistral::MINISTRAL3,
    smollm3::FAMILY,
    gemma::GEMMA2,
    gemma::GEMMA3,
    granite::FAMILY,
    phi3::FAMILY,
    olmo::OLMO2,
    olmo::OLMO3,
    glm4::FAMILY,
    hunyuan::FAMILY,
    seed_oss::FAMILY,
    qwen::QWEN2_VL_TEXT,
    qwen::QWEN2_5_VL_TEXT,
    qwen::QWEN3_VL_TEXT,
];

/// Names of the families that work, those of wrappers among them.
fn names() -> String {
    let inside = FAMILIES.iter().map(|family| family.name).filter(|name| !name.ends_with("_vl_text"));
    let names: Vec<&str> = inside.chain(wrapper::WRAPPERS.iter().map(|wrapper| wrapper.name)).collect();
    names.join(", ")
}

impl Spec {
    /// Reads the text of a Hugging Face `config.json`.
    pub fn from_config_json(text: &str) -> Result<Self> {
        from_config_json(text)?.checked()
    }

    /// What of a `config.json` changes what the model computes, in one spelling: sorted keys, without those that are null or
    /// harmless. Two folders with the same weights are the same base only where this is the same.
    pub fn canonical(text: &str) -> Result<String> {
        let value: Value = serde_json::from_str(text).context("config.json is not JSON")?;
        Ok(meaningful(value).to_string())
    }
}

fn from_config_json(text: &str) -> Result<Spec> {
    let value: Value = serde_json::from_str(text).context("config.json is not JSON")?;
    let object = value.as_object().context("config.json is not a JSON object")?;
    let config = Config::new("config.json", object);
    let Some(name) = config.text("model_type")? else {
        bail!("config.json has no `model_type`, which names the model's family; Ballast trains and evaluates {}", names());
    };
    if let Some(found) = wrapper::WRAPPERS.iter().find(|wrapper| wrapper.name == name) {
        return wrapper::read(found, &config).with_context(|| format!("the configuration of a {name} model cannot be used"));
    }
    let Some(family) = FAMILIES.iter().find(|family| family.name == name) else {
        bail!("config.json: the architecture `{name}` is not supported: Ballast trains and evaluates {}", names());
    };
    let read = || {
        config.check(family.keys)?;
        (family.read)(&config)
    };
    read().with_context(|| format!("the configuration of a {name} model cannot be used"))
}

fn meaningful(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    let kept: BTreeMap<String, Value> = object
        .into_iter()
        .filter(|(key, value)| !value.is_null() && !reader::is_harmless(key))
        .map(|(key, value)| (key, meaningful(value)))
        .collect();
    Value::Object(kept.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::spec::{RopeScaling, Spec};

    pub(super) fn llama() -> Value {
        json!({"model_type": "llama", "hidden_size": 48, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 6,
               "num_key_value_heads": 2, "vocab_size": 259, "rope_theta": 500_000.0})
    }

    fn read(mut config: Value, changes: &Value) -> anyhow::Result<Spec> {
        for (key, value) in changes.as_object().unwrap() {
            config[key] = value.clone();
        }
        Spec::from_config_json(&config.to_string())
    }

    fn error(changes: &Value) -> String {
        format!("{:#}", read(llama(), changes).unwrap_err())
    }

    #[test]
    fn null_counts_as_absent() {
        let all = json!({"head_dim": null, "rope_scaling": null, "rope_parameters": null, "attention_bias": null,
            "tie_word_embeddings": null, "hidden_act": null, "rms_norm_eps": null, "max_position_embeddings": null, "unheard_of": null});
        assert_eq!(read(llama(), &all).unwrap(), read(llama(), &json!({})).unwrap());
    }

    #[test]
    fn unknown_keys_and_contradictions_are_refused_by_name() {
        assert!(error(&json!({"rope_ratio": 2.0})).contains("`rope_ratio`"));
        assert!(error(&json!({"quantization_config": {"quant_method": "gptq"}})).contains("quantized"));
        assert!(error(&json!({"auto_map": {"AutoModel": "x.Y"}})).contains("`auto_map`"));
        assert!(error(&json!({"rope_parameters": {"rope_theta": 7.0}})).contains("rope_theta"));
        assert!(error(&json!({"rope_scaling": {"rope_type": "llama3", "type": "yarn", "factor": 8.0}})).contains("`type`"));
        assert!(error(&json!({"rope_scaling": {"rope_type": "su", "factor": 8.0}})).contains("`su`"));
        assert!(error(&json!({"rope_scaling": {"rope_type": "llama3", "spin": 8.0}})).contains("`spin`"));
        assert!(error(&json!({"hidden_act": "relu2"})).contains("`relu2`"));
        assert!(error(&json!({"hidden_size": "48"})).contains("hidden_size"));
        assert!(error(&json!({"is_encoder_decoder": true})).contains("is_encoder_decoder"));
        assert!(error(&json!({"architectures": ["LlamaForSequenceClassification"]})).contains("LlamaForSequenceClassification"));
        assert!(
            error(&json!({"model_type": "gpt2"})).contains("`gpt2` is not supported: Ballast trains and evaluates llama, qwen2, qwen3")
        );
        assert!(error(&json!({"model_type": null})).contains("model_type"));
    }

    #[test]
    fn keys_that_only_describe_leave_the_canonical_form_alone() {
        let of = |changes: Value| {
            let mut config = llama();
            config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
            Spec::canonical(&config.to_string()).unwrap()
        };
        assert_eq!(of(json!({"transformers_version": "5.24.0", "head_dim": null, "use_cache": true})), of(json!({})));
        assert_ne!(of(json!({"rope_theta": 10_000.0})), of(json!({})));
        assert_ne!(
            of(json!({"rope_scaling": {"type": "linear", "factor": 2.0}})),
            of(json!({"rope_scaling": {"type": "linear", "factor": 4.0}}))
        );
    }

    #[test]
    fn rope_is_read_in_every_spelling() {
        let scale = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
        let with = |more: Value| {
            let mut scale = scale.clone();
            scale.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            scale
        };
        let old = read(llama(), &json!({"rope_scaling": with(json!({"rope_type": "llama3"}))})).unwrap();
        assert!(matches!(old.ropes[0].scaling, RopeScaling::Llama3 { factor: 8.0, original_positions: 64.0, .. }));
        for new in [
            json!({"rope_scaling": with(json!({"rope_type": "llama3", "type": "llama3"}))}),
            json!({"rope_scaling": with(json!({"type": "llama3"}))}),
            json!({"rope_theta": null, "rope_parameters": with(json!({"rope_type": "llama3", "rope_theta": 5e5}))}),
            json!({"rope_theta": null, "rope_parameters": {"full_attention": with(json!({"rope_type": "llama3", "rope_theta": 5e5}))}}),
        ] {
            assert_eq!(read(llama(), &new).unwrap(), old);
        }
    }
}
