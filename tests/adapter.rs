//! Adapters in PEFT's folder format: names and configuration as PEFT writes them, read back to the same model, and a
//! reason for everything that is refused.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::HashMap;
use std::path::Path;

use ballast::error::Invalid;
use ballast::model::adapter::{digest, load, save, to_safetensors};
use ballast::model::adapter_set::AdapterSet;
use ballast::model::decoder::Decoder;
use ballast::model::lora::{Adapter, LoraPair};
use ballast::model::site::Module;
use ballast::model::spec::Spec;
use candle_core::{Device, Tensor};
use common::{decoder_of, family_folder, hidden, largest_difference, random_adapter, tiny};

fn saved(adapter: &Adapter, spec: &Spec) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(adapter, spec, "some/base", folder.path()).unwrap();
    folder
}

fn change_config(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn the_folder_is_what_peft_writes() {
    let decoder = tiny("llama");
    let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
    let config: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap()).unwrap();
    assert_eq!(config["peft_type"], "LORA");
    assert_eq!(config["task_type"], "CAUSAL_LM");
    assert_eq!(config["r"], 4);
    assert_eq!(config["lora_alpha"], 8, "a whole number, as vLLM's reader wants it");
    assert_eq!(config["base_model_name_or_path"], "some/base");
    assert_eq!(config["target_modules"].as_array().unwrap().len(), 7);
    let tensors = candle_core::safetensors::load(folder.path().join("adapter_model.safetensors"), &Device::Cpu).unwrap();
    assert_eq!(tensors.len(), 2 * 2 * 7);
    // PEFT's names: base_model.model. + the module's path in the model + .lora_A.weight, A [r, in], B [out, r].
    let a = &tensors["base_model.model.model.layers.1.mlp.down_proj.lora_A.weight"];
    let b = &tensors["base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight"];
    assert_eq!((a.dims(), b.dims()), ([4, decoder.spec.intermediate].as_slice(), [16, 4].as_slice()));
}

#[test]
fn an_adapter_is_read_back_as_it_was() {
    let decoder = tiny("qwen2");
    let adapter = random_adapter(&decoder.spec);
    let folder = saved(&adapter, &decoder.spec);
    let again = load(folder.path(), &decoder.spec, &Device::Cpu).unwrap();
    assert_eq!(digest(&again).unwrap(), digest(&adapter).unwrap());
    let hidden = |adapter: &Adapter| hidden(&decoder, &[[1u32, 2, 3, 4, 5]], Some(adapter));
    assert_eq!(largest_difference(&hidden(&again), &hidden(&adapter)), 0.0);
    assert!(to_safetensors(&again).unwrap() == to_safetensors(&adapter).unwrap());
    assert_ne!(digest(&adapter.scaled(0.5)).unwrap(), digest(&adapter).unwrap(), "strength is part of the identity");
}

#[test]
fn scales_are_alpha_over_rank_or_over_its_root() {
    let decoder = tiny("llama");
    let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
    assert_eq!(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap().scale, 2.0);
    change_config(folder.path(), |config| config["use_rslora"] = true.into());
    assert_eq!(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap().scale, 4.0);
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    let decoder = tiny("llama");
    let refused = |change: &dyn Fn(&Path)| {
        let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
        change(folder.path());
        let error = format!("{:#}", load(folder.path(), &decoder.spec, &Device::Cpu).unwrap_err());
        assert!(error.contains(&folder.path().display().to_string()), "names the file: {error}");
        error
    };
    let config =
        |key: &'static str, value: serde_json::Value| refused(&move |folder| change_config(folder, |config| config[key] = value.clone()));
    assert!(config("use_dora", true.into()).contains("use_dora"));
    assert!(config("peft_type", "IA3".into()).contains("IA3"));
    assert!(config("modules_to_save", serde_json::json!(["lm_head"])).contains("modules_to_save"));
    assert!(config("init_lora_weights", "pissa".into()).contains("pissa"));
    assert!(config("r", 9.into()).contains("r is 9"));
    let pickle = refused(&|folder| {
        std::fs::rename(folder.join("adapter_model.safetensors"), folder.join("adapter_model.bin")).unwrap();
    });
    assert!(pickle.contains("pickle"), "{pickle}");
    let other = tiny("qwen2").spec;
    let other = saved(&random_adapter(&other), &other);
    let error = format!("{:#}", load(other.path(), &decoder.spec, &Device::Cpu).unwrap_err());
    assert!(error.contains("another base model"), "{error}");
}

fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap()
}

fn put(folder: &Path, tensors: &HashMap<String, Tensor>) {
    candle_core::safetensors::save(tensors, folder.join("adapter_model.safetensors")).unwrap();
}

const A: &str = "base_model.model.model.layers.1.mlp.down_proj.lora_A.weight";

/// PEFT's rule: each linear's update is alpha / rank of its own patterns, times B A.
#[test]
fn ranks_and_strengths_may_differ_by_linear() {
    let decoder = tiny("llama");
    let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
    let mut parts = tensors(folder.path());
    let b = A.replace("lora_A", "lora_B");
    parts.insert(A.to_owned(), parts[A].narrow(0, 0, 3).unwrap().contiguous().unwrap());
    parts.insert(b.clone(), parts[&b].narrow(1, 0, 3).unwrap().contiguous().unwrap());
    put(folder.path(), &parts);
    let error = format!("{:#}", load(folder.path(), &decoder.spec, &Device::Cpu).unwrap_err());
    assert!(error.contains("r is 4") && error.contains("rank 3"), "{error}");
    change_config(folder.path(), |config| {
        config["rank_pattern"] = serde_json::json!({"layers.1.mlp.down_proj": 3});
        config["alpha_pattern"] = serde_json::json!({"v_proj": 32, ".*1.mlp.down_proj": 3});
    });
    let adapter = load(folder.path(), &decoder.spec, &Device::Cpu).unwrap();
    let again = tempfile::tempdir().unwrap();
    save(&adapter, &decoder.spec, "some/base", again.path()).unwrap();
    let again = load(again.path(), &decoder.spec, &Device::Cpu).unwrap();
    for (site, pair) in &adapter.pairs {
        let scale = match site.module {
            Module::V => 8.0,
            Module::Down if site.layer == 1 => 1.0,
            _ => 2.0,
        };
        let part = |half: &str| &parts[&format!("base_model.model.model.{site}.{half}.weight")];
        let expected = (part("lora_B").matmul(part("lora_A")).unwrap() * scale).unwrap();
        let product = |pair: &LoraPair, scale: f64| (pair.b.matmul(&pair.a).unwrap() * scale).unwrap();
        assert!(largest_difference(&product(pair, adapter.scale), &expected) < 1e-6, "{site}");
        assert!(largest_difference(&product(&again.pairs[site], again.scale), &expected) < 1e-6, "{site} written and read again");
    }
}

#[test]
fn a_site_and_half_that_occurs_twice_is_an_error_however_it_is_spelled() {
    let decoder = tiny("llama");
    for other in [A.replace("base_model.model.", ""), A.replace("lora_A.weight", "lora_A.default.weight")] {
        let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
        let mut parts = tensors(folder.path());
        parts.insert(other.clone(), parts[A].ones_like().unwrap());
        put(folder.path(), &parts);
        let error = format!("{:#}", load(folder.path(), &decoder.spec, &Device::Cpu).unwrap_err());
        assert!(error.contains("layers.1.mlp.down_proj has lora_A twice"), "{error}");
    }
}

#[test]
fn configuration_and_tensors_speak_of_the_same_linears() {
    let decoder = tiny("llama");
    let error = |targets: &[&str], drop: Option<&str>| {
        let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
        change_config(folder.path(), |config| config["target_modules"] = serde_json::json!(targets));
        let mut parts = tensors(folder.path());
        parts.retain(|name, _| drop.is_none_or(|drop| !name.contains(drop)));
        put(folder.path(), &parts);
        format!("{:#}", load(folder.path(), &decoder.spec, &Device::Cpu).unwrap_err())
    };
    assert!(error(&["q_proj"], None).contains("leave it out"));
    let all = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];
    assert!(error(&all, Some("layers.1.mlp.up_proj")).contains("layers.1.mlp.up_proj is adapted"));
}

#[test]
fn numbers_that_are_not_finite_are_invalid() {
    let decoder = tiny("llama");
    let invalid = |error: anyhow::Error| assert!(error.chain().any(<dyn std::error::Error>::is::<Invalid>), "{error:#}");
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
        let mut parts = tensors(folder.path());
        let mut numbers = parts[A].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        numbers[7] = value;
        parts.insert(A.to_owned(), Tensor::from_vec(numbers, parts[A].dims(), &Device::Cpu).unwrap());
        put(folder.path(), &parts);
        invalid(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap_err());
    }
    let folder = saved(&random_adapter(&decoder.spec), &decoder.spec);
    change_config(folder.path(), |config| config["lora_alpha"] = 1e300.into());
    invalid(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap_err());
    let strong = random_adapter(&decoder.spec).scaled(1e39);
    invalid(strong.check_scale().unwrap_err());
    invalid(decoder.merged(&strong).map(|_| ()).unwrap_err());
    invalid(AdapterSet::new(&decoder, vec![&strong]).map(|_| ()).unwrap_err());
    invalid(save(&strong, &decoder.spec, "some/base", folder.path()).unwrap_err());
}

#[test]
fn a_folder_that_is_none_gets_words() {
    let decoder = tiny("llama");
    let error = |path: &Path| format!("{:#}", load(path, &decoder.spec, &Device::Cpu).unwrap_err());
    let folder = tempfile::tempdir().unwrap();
    assert!(error(folder.path()).contains("adapter_config.json is missing"));
    assert!(error(&folder.path().join("nowhere")).contains("does not exist"));
    save(&random_adapter(&decoder.spec), &decoder.spec, "some/base", &folder.path().join("checkpoint-7")).unwrap();
    assert!(error(folder.path()).contains("did you mean") && error(folder.path()).contains("checkpoint-7"));
    assert!(error(&folder.path().join("checkpoint-7/adapter_model.safetensors")).contains("is a file"));
}

/// The tiny models and one of every family, with the names by which `tests/golden/make_peft.py` knows them.
fn all() -> Vec<(String, Decoder)> {
    let mut all: Vec<(String, Decoder)> = ["llama", "qwen2"].map(|kind| (kind.to_owned(), tiny(kind))).into();
    for entry in std::fs::read_dir(family_folder("")).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        all.push((format!("family-{}", entry.file_name().to_str().unwrap()), decoder_of(&entry.path())));
    }
    assert!(all.len() >= 22, "{} models", all.len());
    all
}

#[test]
fn adapters_of_every_family_are_read_back_as_they_were() {
    for (name, decoder) in all() {
        let (adapter, spec) = (random_adapter(&decoder.spec), &decoder.spec);
        let folder = saved(&adapter, spec);
        let again = load(folder.path(), spec, &Device::Cpu).unwrap();
        assert_eq!(digest(&again).unwrap(), digest(&adapter).unwrap(), "{name}");
        let config: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(folder.path().join("adapter_config.json")).unwrap()).unwrap();
        let targets: Vec<&str> = config["target_modules"].as_array().unwrap().iter().map(|target| target.as_str().unwrap()).collect();
        // What reads images has linears of the same last names, so there the language model's are named in full.
        let first = if spec.other_parts.is_empty() { "q_proj" } else { "model.language_model.layers.0.self_attn.q_proj" };
        let expected = if spec.joint.qkv { "qkv_proj" } else { first };
        assert!(
            targets.contains(&expected) && targets.contains(&"up_proj") != (spec.joint.gate_up || first != "q_proj"),
            "{name}: {targets:?}"
        );
    }
}

/// An adapter of a few layers is not written as one of all.
#[test]
fn layers_without_an_adapter_stay_without() {
    let decoder = tiny("llama");
    let mut adapter = random_adapter(&decoder.spec);
    adapter.pairs.retain(|site, _| site.layer == 0);
    let folder = saved(&adapter, &decoder.spec);
    assert_eq!(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap().pairs.len(), 7);
}

/// The folders that `tests/golden/make_peft.py --check` has PEFT and transformers read.
#[test]
fn an_adapter_with_its_logits_is_written_for_peft_to_check() {
    let kept = std::env::var_os("BALLAST_PEFT_OUT").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let out = kept.unwrap_or_else(|| temporary.path().to_owned());
    for (name, decoder) in all() {
        let adapter = random_adapter(&decoder.spec);
        save(&adapter, &decoder.spec, "some/base", &out.join(&name)).unwrap();
        let ids = [1u32, 2, 30, 4, 55, 6];
        let hidden = hidden(&decoder, &[ids], Some(&adapter));
        let logits = decoder.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
        let text = serde_json::json!({ "ids": ids, "logits": logits }).to_string();
        std::fs::write(out.join(&name).join("logits.json"), text).unwrap();
        assert!(logits.iter().flatten().all(|x| x.is_finite()));
    }
}
