//! Adapters in PEFT's folder format: names and configuration as PEFT writes them, read back to the same model, and a
//! reason for everything that is refused.
#![allow(clippy::unwrap_used, clippy::float_cmp, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use ballast::model::adapter_file::{digest, load, save, to_safetensors};
use ballast::model::lora::Adapter;
use candle_core::Device;
use common::{hidden, largest_difference, random_adapter, tiny};

fn saved(adapter: &Adapter) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    save(adapter, "some/base", folder.path()).unwrap();
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
    let folder = saved(&random_adapter(&decoder.spec));
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
    let folder = saved(&adapter);
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
    let folder = saved(&random_adapter(&decoder.spec));
    assert_eq!(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap().scale, 2.0);
    change_config(folder.path(), |config| config["use_rslora"] = true.into());
    assert_eq!(load(folder.path(), &decoder.spec, &Device::Cpu).unwrap().scale, 4.0);
}

#[test]
fn what_cannot_be_used_is_refused_with_a_reason() {
    let decoder = tiny("llama");
    let refused = |change: &dyn Fn(&Path)| {
        let folder = saved(&random_adapter(&decoder.spec));
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
    let other = saved(&random_adapter(&tiny("qwen2").spec));
    let error = format!("{:#}", load(other.path(), &decoder.spec, &Device::Cpu).unwrap_err());
    assert!(error.contains("another base model"), "{error}");
}

/// The folders that `tests/golden/make_peft.py --check` has PEFT read.
#[test]
fn an_adapter_with_its_logits_is_written_for_peft_to_check() {
    let kept = std::env::var_os("BALLAST_PEFT_OUT").map(std::path::PathBuf::from);
    let temporary = tempfile::tempdir().unwrap();
    let out = kept.unwrap_or_else(|| temporary.path().to_owned());
    for kind in ["llama", "qwen2"] {
        let decoder = tiny(kind);
        let adapter = random_adapter(&decoder.spec);
        save(&adapter, "some/base", &out.join(kind)).unwrap();
        let ids = [1u32, 2, 30, 4, 55, 6];
        let hidden = hidden(&decoder, &[ids], Some(&adapter));
        let logits = decoder.logits(&hidden).unwrap().to_vec2::<f32>().unwrap();
        let text = serde_json::json!({ "ids": ids, "logits": logits }).to_string();
        std::fs::write(out.join(kind).join("logits.json"), text).unwrap();
        assert!(logits.iter().flatten().all(|x| x.is_finite()));
    }
}
