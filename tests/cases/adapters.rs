//! Adapters as PEFT, ms-swift and others save them: the update that PEFT would make, or a refusal that names key and remedy.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use ballast::model::adapter;
use ballast::model::spec::Spec;
use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::{Answers, Case, Ended, common, set, tiny};

const CONFIG: &str = "adapter_config.json";
const TENSORS: &str = "adapter_model.safetensors";

/// An adapter of the tiny qwen2 that changes its answers.
pub(super) fn saved(case: &Case, name: &str) -> PathBuf {
    let spec = Spec::from_config_json(&std::fs::read_to_string(tiny("qwen2").join("config.json")).unwrap()).unwrap();
    let folder = case.path(name);
    adapter::save(&common::random_adapter(&spec), &spec, "some/base", &folder).unwrap();
    folder
}

fn tensors(folder: &Path) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(folder.join(TENSORS), &Device::Cpu).unwrap()
}

fn put(folder: &Path, tensors: &HashMap<String, Tensor>) {
    candle_core::safetensors::save(tensors, folder.join(TENSORS)).unwrap();
}

fn asked(case: &Case, folder: &Path, more: &[&str]) -> (Ended, Vec<Value>) {
    let folder = folder.display().to_string();
    case.asked_of(&tiny("qwen2"), "suite", &[&["--adapter", &folder], more].concat())
}

fn answers(case: &Case, folder: &Path) -> Answers {
    let (ended, rows) = asked(case, folder, &[]);
    assert_eq!(ended.code, 0, "{}", ended.error);
    Answers::of(&rows)
}

fn refused(case: &Case, folder: &Path, words: &[&str]) {
    let (ended, _) = asked(case, folder, &[]);
    assert!(ended.code == 2 && words.iter().all(|word| ended.error.contains(word)), "{words:?}: {} {}", ended.code, ended.error);
}

#[test]
fn what_says_nothing_of_the_update_changes_nothing() {
    let case = Case::new();
    let plain = answers(&case, &saved(&case, "plain"));
    assert!(plain.from(&case.answers(&tiny("qwen2"))) > 0.1, "the adapter acts");
    let folder = saved(&case, "other");
    let unused = [
        "rank_pattern",
        "alpha_pattern",
        "use_dora",
        "lora_bias",
        "fan_in_fan_out",
        "modules_to_save",
        "layers_to_transform",
        "megatron_config",
    ];
    for key in unused {
        set(&folder.join(CONFIG), &json!({"keep": null}));
        let mut config: Value = serde_json::from_str(&std::fs::read_to_string(folder.join(CONFIG)).unwrap()).unwrap();
        config[key] = Value::Null;
        std::fs::write(folder.join(CONFIG), config.to_string()).unwrap();
    }
    set(
        &folder.join(CONFIG),
        &json!({"base_model_name_or_path": "Qwen/Qwen2.5-7B-Instruct", "peft_version": "0.21.2", "inference_mode": true, "revision": "abc",
            "auto_mapping": {"base_model_class": "Qwen2ForCausalLM", "unsloth_fixed": true}, "runtime_config": {"ephemeral_gpu_offload": false},
            "exclude_modules": ["lm_head"]}),
    );
    for (name, content) in
        [("args.json", "{\"train_type\": \"lora\"}"), ("additional_config.json", "{\"lora_dtype\": null}"), ("README.md", "x")]
    {
        std::fs::write(folder.join(name), content).unwrap();
    }
    assert!(answers(&case, &folder).from(&plain) < 1e-6);
    // All linears, by the word, by an expression as ms-swift writes it, and by one as Unsloth does.
    for targets in [
        "all-linear",
        "^(model)(?!.*(lm_head|output|emb|wte|shared)).*",
        r"(?:.*?(?:self_attn|mlp).*?(?:proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|mlp)\.(?:q_proj))",
    ] {
        set(&folder.join(CONFIG), &json!({"target_modules": targets}));
        assert!(answers(&case, &folder).from(&plain) < 1e-6, "{targets}");
    }
    // As a state dict names tensors, and in half precision.
    let named = tensors(&folder).into_iter().map(|(name, tensor)| (name.replace(".weight", ".default.weight"), tensor)).collect();
    put(&folder, &named);
    assert!(answers(&case, &folder).from(&plain) < 1e-6);
    let half = named.into_iter().map(|(name, tensor)| (name, tensor.to_dtype(DType::F16).unwrap())).collect();
    put(&folder, &half);
    assert!(answers(&case, &folder).from(&plain) < 0.05);
}

#[test]
fn keys_that_mean_another_update_are_refused_by_name() {
    let case = Case::new();
    let folder = saved(&case, "adapter");
    let config = std::fs::read(folder.join(CONFIG)).unwrap();
    for (key, value, remedy) in [
        ("use_dora", json!(true), "merge the adapter"),
        ("lora_bias", json!(true), "merge the adapter"),
        ("bias", json!("lora_only"), "bias"),
        ("modules_to_save", json!(["lm_head", "embed_tokens"]), "merge the adapter"),
        ("trainable_token_indices", json!({"embed_tokens": [5, 65]}), "merge the adapter"),
        ("target_parameters", json!(["q_proj.weight"]), "merge the adapter"),
        ("layer_replication", json!([[0, 1], [0, 1]]), "merge"),
        ("alora_invocation_tokens", json!([257, 97]), "aLoRA"),
        ("use_bdlora", json!({"nblocks": 2}), "BD-LoRA"),
        ("kasa_config", json!({"beta": 1e-4}), "KaSA"),
        ("velora_config", json!({"rank": 1}), "merge the adapter"),
        ("monteclora_config", json!({"samples": 4}), "MonteCLoRA"),
        ("arrow_config", json!({"top_k": 3}), "Arrow"),
        ("use_qalora", json!(true), "QA-LoRA"),
        ("megatron_config", json!({"a": 1}), "Hugging Face names"),
        ("loftq_config", json!({"loftq_bits": 4}), "LoftQ"),
        ("fan_in_fan_out", json!(true), "transposed"),
        ("init_lora_weights", json!("pissa"), "pissa"),
        ("init_lora_weights", json!("olora"), "olora"),
        ("init_lora_weights", json!("lora_ga"), "lora_ga"),
        ("peft_type", json!("ADALORA"), "ADALORA"),
        ("task_type", json!("SEQ_CLS"), "SEQ_CLS"),
        ("novel_switch", json!(1), "merge_and_unload"),
        ("target_modules", json!("("), "("),
        ("rank_pattern", json!({"q_proj": 0}), "rank of 0"),
        ("r", json!(-4), "PEFT configuration"),
        ("layers_to_transform", json!([0]), "layers_to_transform"),
        ("target_modules", json!([]), "name the adapted linears"),
    ] {
        std::fs::write(folder.join(CONFIG), &config).unwrap();
        set(&folder.join(CONFIG), &json!({ key: value }));
        let named = if key == "r" { CONFIG } else { key };
        refused(&case, &folder, &[CONFIG, named, remedy]);
    }
}

#[test]
fn a_strength_or_rank_of_its_own_acts() {
    let case = Case::new();
    let folder = saved(&case, "adapter");
    let plain = answers(&case, &folder);
    let config = std::fs::read(folder.join(CONFIG)).unwrap();
    let with = |keys: Value| {
        std::fs::write(folder.join(CONFIG), &config).unwrap();
        set(&folder.join(CONFIG), &keys);
        answers(&case, &folder)
    };
    // alpha / sqrt(r) is 4, where alpha / r is 2.
    assert!(with(json!({"use_rslora": true})).from(&with(json!({"lora_alpha": 16}))) < 1e-5);
    assert!(with(json!({"use_rslora": true})).from(&plain) > 0.01);
    // Every linear's own alpha is the same as another alpha.
    assert!(with(json!({"alpha_pattern": {".*_proj": 16}})).from(&with(json!({"lora_alpha": 16}))) < 1e-5);
    assert!(with(json!({"alpha_pattern": {"v_proj": 16}})).from(&plain) > 0.001);
    // A zero row of A and column of B are a rank more, at the same strength.
    std::fs::write(folder.join(CONFIG), &config).unwrap();
    let mut parts = tensors(&folder);
    for layer in 0..2 {
        let name = |half: &str| format!("base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{half}.weight");
        for (half, dim) in [("A", 0), ("B", 1)] {
            let padded = parts[&name(half)].pad_with_zeros(dim, 0, 1).unwrap();
            parts.insert(name(half), padded);
        }
    }
    put(&folder, &parts);
    refused(&case, &folder, &[CONFIG, "r is 4", "rank 5"]);
    set(&folder.join(CONFIG), &json!({"rank_pattern": {"q_proj": 5}, "alpha_pattern": {"q_proj": 10}}));
    assert!(answers(&case, &folder).from(&plain) < 1e-5);
}

#[test]
fn folders_and_tensors_that_are_not_an_adapter_are_named() {
    let case = Case::new();
    let folder = saved(&case, "adapter");
    let full = tensors(&folder);
    let renamed = |from: &str, to: &str| -> HashMap<String, Tensor> {
        full.iter().map(|(name, tensor)| (name.replace(from, to), tensor.clone())).collect()
    };
    for (from, to) in [
        (".weight", ".sft.weight"),
        ("base_model.model.", "base_model.model.base_model.model."),
        ("base_model.model.", "base_model.model._orig_mod."),
        ("mlp.down_proj", "mlp.experts"),
        ("self_attn.q_proj.lora_A", "self_attn.q_proj.lora_magnitude_vector"),
        ("layers.1.", "layers.7."),
    ] {
        put(&folder, &renamed(from, to));
        refused(&case, &folder, &[TENSORS, "tensor `", to.trim_matches('.')]);
    }
    let mut half = full.clone();
    half.retain(|name, _| !name.contains("layers.1.mlp.up_proj.lora_B"));
    put(&folder, &half);
    refused(&case, &folder, &[TENSORS, "layers.1.mlp.up_proj", "only one of lora_A and lora_B"]);
    put(&folder, &HashMap::new());
    refused(&case, &folder, &[TENSORS, "no low-rank tensors"]);
    std::fs::write(folder.join(TENSORS), "version https://git-lfs.github.com/spec/v1\n").unwrap();
    refused(&case, &folder, &[TENSORS]);
    std::fs::rename(folder.join(TENSORS), folder.join("adapter_model.bin")).unwrap();
    refused(&case, &folder, &["adapter_model.bin", "pickle", "safe_serialization"]);
    refused(&case, &case.path("suite"), &["suite", CONFIG, "missing"]);
    saved(&case, "checkpoints/checkpoint-7");
    refused(&case, &case.path("checkpoints"), &["did you mean", "checkpoint-7"]);
    refused(&case, &case.path("checkpoints/checkpoint-7").join(TENSORS), &["is a file", "give the folder"]);
}

#[test]
fn adapters_that_are_no_measurement_are_invalid() {
    let case = Case::new();
    let folder = saved(&case, "adapter");
    let full = tensors(&folder);
    let changed = |change: &dyn Fn(&Tensor) -> Tensor| {
        let change =
            |(name, tensor): (&String, &Tensor)| (name.clone(), if name.contains("lora_B") { change(tensor) } else { tensor.clone() });
        put(&folder, &full.iter().map(change).collect());
        let (ended, rows) = asked(&case, &folder, &[]);
        assert!(ended.code == 4 && rows.is_empty(), "{} {}", ended.code, ended.error);
        ended.error
    };
    assert!(changed(&|b| b.zeros_like().unwrap()).contains("the adapter changes no logit"));
    let broken = changed(&|b| (b / 0.0).unwrap());
    assert!(broken.contains(TENSORS) && broken.contains("not finite"), "{broken}");
    // Finite in the file, not in the product.
    assert!(changed(&|b| (b.ones_like().unwrap() * 3e38).unwrap()).contains("finite"));
    put(&folder, &full);
    for (lambda, code, word) in [("nan", 2, "lambda"), ("inf", 2, "lambda"), ("abc", 2, "lambda"), ("1e39", 4, "finite")] {
        let (ended, rows) = asked(&case, &folder, &[&format!("--lambda={lambda}")]);
        assert!(ended.code == code && ended.error.contains(word) && rows.is_empty(), "{lambda}: {} {}", ended.code, ended.error);
    }
    let (ended, rows) = asked(&case, &folder, &["--lambda=0"]);
    assert!(ended.code == 0 && Answers::of(&rows).from(&case.answers(&tiny("qwen2"))) < 1e-4, "{}", ended.error);
    let (ended, _) = case.asked_of(&tiny("qwen2"), "suite", &["--lambda=0.5"]);
    assert!(ended.code == 2 && ended.error.contains("--adapter"), "{}", ended.error);
}
