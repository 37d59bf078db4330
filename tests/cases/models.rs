//! Models as transformers, converters and quantizers save them: read as they are meant, or refused in words.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{DType, Device, Tensor};
use serde_json::{Value, json};

use super::{Case, edit, set, tiny};

type Tensors = HashMap<String, Tensor>;

fn weights(folder: &Path) -> Tensors {
    candle_core::safetensors::load(folder.join("model.safetensors"), &Device::Cpu).unwrap()
}

fn save(tensors: &Tensors, path: &Path) {
    candle_core::safetensors::save(tensors, path).unwrap();
}

#[test]
fn rope_is_where_either_version_of_transformers_writes_it() {
    let case = Case::new();
    let with = |kind: &str, name: &str, keys: &Value| {
        let model = case.model(kind, name);
        set(&model.join("config.json"), keys);
        case.answers(&model)
    };
    let plain = case.answers(&tiny("qwen2"));
    let new = json!({"rope_theta": null, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "dtype": "float32"});
    assert!(with("qwen2", "new", &new).from(&plain) < 1e-5);
    // The base of the frequencies does count.
    let other = json!({"rope_theta": null, "rope_parameters": {"rope_theta": 1e4, "rope_type": "default"}});
    assert!(with("qwen2", "other", &other).from(&plain) > 0.1);

    let scale = |more: Value| {
        let mut scale = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 64});
        scale.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        scale
    };
    let old = with("llama", "old", &json!({"rope_theta": 5e5, "rope_scaling": scale(json!({"rope_type": "llama3"}))}));
    assert!(old.from(&case.answers(&tiny("llama"))) > 0.1);
    for (name, keys) in [
        ("flat", json!({"rope_theta": null, "rope_parameters": scale(json!({"rope_type": "llama3", "rope_theta": 5e5}))})),
        ("twice", json!({"rope_theta": 5e5, "rope_scaling": scale(json!({"rope_type": "llama3", "type": "llama3"}))})),
        (
            "layers",
            json!({"rope_theta": null, "rope_parameters": {"full_attention": scale(json!({"rope_type": "llama3", "rope_theta": 5e5}))}}),
        ),
    ] {
        assert!(with("llama", name, &keys).from(&old) < 1e-5, "{name}");
    }
}

#[test]
fn contradictions_and_unknown_kinds_of_rope_name_the_key() {
    let case = Case::new();
    let model = case.model("llama", "model");
    let config = std::fs::read(model.join("config.json")).unwrap();
    for (keys, words) in [
        (json!({"rope_parameters": {"rope_theta": 7.0}}), ["config.json", "rope_theta"]),
        (json!({"rope_scaling": {"rope_type": "llama3", "type": "yarn", "factor": 8.0}}), ["config.json", "`type`"]),
        (json!({"rope_scaling": {"rope_type": "su", "factor": 8.0}}), ["config.json", "`su`"]),
        (json!({"rope_scaling": {"rope_type": "llama3", "factor": "NaN"}}), ["config.json", "factor"]),
        (json!({"rms_norm_eps": "1e-05"}), ["config.json", "rms_norm_eps"]),
        (json!({"attention_chunk_size": 8192}), ["config.json", "`attention_chunk_size`"]),
    ] {
        std::fs::write(model.join("config.json"), &config).unwrap();
        set(&model.join("config.json"), &keys);
        case.refused(&model, &words);
    }
}

#[test]
fn a_field_that_is_null_or_left_out_is_its_default() {
    let case = Case::new();
    let plain = case.answers(&tiny("llama"));
    let model = case.model("llama", "model");
    edit(&model.join("config.json"), |config| {
        for key in [
            "head_dim",
            "rope_scaling",
            "rope_parameters",
            "attention_bias",
            "mlp_bias",
            "sliding_window",
            "layer_types",
            "quantization_config",
        ] {
            config[key] = Value::Null;
        }
        config["transformers_version"] = "5.24.0".into();
        config["hidden_act"] = Value::Null;
        assert_eq!(config["rope_theta"].take(), 10000.0);
    });
    assert!(case.answers(&model).from(&plain) < 1e-5);
}

#[test]
fn saved_again_by_the_next_version_nothing_changes() {
    let case = Case::new();
    let plain = case.answers(&tiny("qwen2"));
    let model = case.model("qwen2", "model");
    set(
        &model.join("config.json"),
        &json!({"rope_theta": null, "rope_parameters": {"rope_theta": 1e6, "rope_type": "default"}, "dtype": "float32", "torch_dtype": null,
            "layer_types": ["full_attention", "full_attention"], "sliding_window": null, "use_sliding_window": false, "use_cache": true}),
    );
    let settings = model.join("tokenizer_config.json");
    edit(&settings, |settings| {
        let template = settings["chat_template"].take();
        std::fs::write(model.join("chat_template.jinja"), template.as_str().unwrap()).unwrap();
        settings["backend"] = "tokenizers".into();
        settings["is_local"] = true.into();
        settings["extra_special_tokens"] = json!(["<|im_start|>", "<|im_end|>"]);
    });
    set(&settings, &json!({"chat_template": null}));
    std::fs::write(
        model.join("generation_config.json"),
        json!({"_from_model_config": true, "eos_token_id": 258, "transformers_version": "5.24.0"}).to_string(),
    )
    .unwrap();
    let again = case.answers(&model);
    assert!(again.ids == plain.ids && again.from(&plain) < 1e-5);
}

#[test]
fn quantized_checkpoints_are_refused_in_words() {
    let case = Case::new();
    let model = case.model("llama", "model");
    let full = weights(&model);
    // By the configuration, whatever the tensors are.
    for method in ["compressed-tensors", "fp8", "bitsandbytes", "gptq", "awq"] {
        set(&model.join("config.json"), &json!({"quantization_config": {"quant_method": method}}));
        case.refused(&model, &["config.json", "`quantization_config`", "quantized", "full-precision"]);
    }
    set(&model.join("config.json"), &json!({"quantization_config": null}));
    // By the tensors, where the configuration does not say.
    let name = "model.layers.0.self_attn.q_proj.weight";
    let shape = full[name].dims().to_vec();
    let count = shape.iter().product::<usize>();
    let scale = Tensor::new(&[0.01_f32], &Device::Cpu).unwrap();
    let bytes = Tensor::from_vec(vec![7_u8; count], shape.as_slice(), &Device::Cpu).unwrap();
    let eighths = full[name].to_dtype(DType::F8E4M3).unwrap();
    let cases: [(&str, &[(&str, Option<&Tensor>)]); 5] = [
        ("bytes of the full shape", &[(name, Some(&bytes)), ("model.layers.0.self_attn.q_proj.weight_scale", Some(&scale))]),
        ("float8", &[(name, Some(&eighths)), ("model.layers.0.self_attn.q_proj.weight_scale_inv", Some(&scale))]),
        ("scales beside full weights", &[("model.layers.0.self_attn.q_proj.weight_scale", Some(&scale))]),
        ("packed words", &[(name, None), ("model.layers.0.self_attn.q_proj.qweight", Some(&bytes))]),
        ("quant state", &[("model.layers.0.self_attn.q_proj.weight.absmax", Some(&scale))]),
    ];
    for (what, changes) in cases {
        let mut tensors = full.clone();
        for (name, tensor) in changes {
            match tensor {
                Some(tensor) => drop(tensors.insert((*name).to_owned(), (*tensor).clone())),
                None => drop(tensors.remove(*name)),
            }
        }
        save(&tensors, &model.join("model.safetensors"));
        let (ended, _) = case.asked_of(&model, "suite", &[]);
        assert!(
            ended.code == 2 && ended.error.contains("quantized") && ended.error.contains("model.safetensors"),
            "{what}: {}",
            ended.error
        );
    }
}

#[test]
fn tensors_are_used_or_named() {
    let case = Case::new();
    let plain = case.answers(&tiny("llama"));
    let model = case.model("llama", "model");
    let full = weights(&model);
    let with = |name: &str, tensor: Tensor| {
        let mut tensors = full.clone();
        tensors.insert(name.to_owned(), tensor);
        save(&tensors, &model.join("model.safetensors"));
    };
    // The tied table twice, and a buffer that is computed again.
    let table = full["model.embed_tokens.weight"].clone();
    let mut twice = full.clone();
    twice.insert("lm_head.weight".to_owned(), table.clone());
    twice.insert("model.layers.0.self_attn.rotary_emb.inv_freq".to_owned(), Tensor::new(&[1_f32, 2.0, 3.0, 4.0], &Device::Cpu).unwrap());
    save(&twice, &model.join("model.safetensors"));
    assert!(case.answers(&model).from(&plain) < 1e-6);
    // A head that was trained apart is what the answers come from.
    with("lm_head.weight", (&table * 1.5).unwrap());
    assert!(case.answers(&model).from(&plain) > 0.1);
    for name in [
        "model.layers.0.self_attn.q_norm.weight",
        "model.layers.0.self_attn.q_proj.bias",
        "model.layers.7.input_layernorm.weight",
        "score.weight",
    ] {
        with(name, Tensor::new(&[1_f32], &Device::Cpu).unwrap());
        case.refused(&model, &[name, "no place", "configuration"]);
    }
    let mut lacking = full.clone();
    lacking.remove("model.layers.1.mlp.up_proj.weight");
    save(&lacking, &model.join("model.safetensors"));
    case.refused(&model, &["`model.layers.1.mlp.up_proj.weight`", "no tensor"]);
    // As AutoModel saves a body: without the word `model`.
    let bare: Tensors = full.iter().map(|(name, tensor)| (name.trim_start_matches("model.").to_owned(), tensor.clone())).collect();
    save(&bare, &model.join("model.safetensors"));
    assert!(case.answers(&model).from(&plain) < 1e-6);
    // A number that is not finite is no measurement.
    let broken = (full["model.norm.weight"].clone() / 0.0).unwrap();
    with("model.norm.weight", broken);
    let (ended, _) = case.asked_of(&model, "suite", &[]);
    assert!(
        ended.code == 4 && ended.error.contains("`model.norm.weight`") && ended.error.contains("not finite"),
        "{} {}",
        ended.code,
        ended.error
    );
}

#[test]
fn shards_of_several_types_are_one_model() {
    let case = Case::new();
    let (model, one) = (case.model("qwen2", "model"), case.model("qwen2", "one"));
    let mut names: Vec<(String, Tensor)> = weights(&model).into_iter().collect();
    names.sort_by(|(a, _), (b, _)| a.cmp(b));
    std::fs::remove_file(model.join("model.safetensors")).unwrap();
    let (mut shards, mut whole, mut places) = (vec![Tensors::new(); 3], Tensors::new(), serde_json::Map::new());
    for (i, (name, tensor)) in names.into_iter().enumerate() {
        let stored = tensor.to_dtype([DType::BF16, DType::F16, DType::F32][i % 3]).unwrap();
        whole.insert(name.clone(), stored.to_dtype(DType::F32).unwrap());
        places.insert(name.clone(), format!("model-0000{}-of-00003.safetensors", i % 3 + 1).into());
        shards[i % 3].insert(name, stored);
    }
    for (i, shard) in shards.iter().enumerate() {
        save(shard, &model.join(format!("model-0000{}-of-00003.safetensors", i + 1)));
    }
    // Left over from an earlier save: the index does not name it.
    save(
        &HashMap::from([("model.norm.weight".to_owned(), Tensor::zeros(64, DType::F32, &Device::Cpu).unwrap())]),
        &model.join("model-00009-of-00009.safetensors"),
    );
    let index = model.join("model.safetensors.index.json");
    std::fs::write(&index, json!({"metadata": {"total_size": 1}, "weight_map": places}).to_string()).unwrap();
    save(&whole, &one.join("model.safetensors"));
    assert!(case.answers(&model).from(&case.answers(&one)) < 1e-6);
    set(&index, &json!({"shards": 3}));
    case.refused(&model, &["model.safetensors.index.json", "`shards`"]);
    set(&index, &json!({"shards": null}));
    std::fs::remove_file(model.join("model-00002-of-00003.safetensors")).unwrap();
    case.refused(&model, &["model-00002-of-00003.safetensors"]);
}

/// The same tensors under another rotary base answer otherwise: what was answered before is not theirs.
#[test]
fn answers_are_not_continued_under_another_configuration() {
    let case = Case::new();
    let model = case.model("llama", "model");
    case.answers(&model);
    let again = || case.run(&["eval", "--model", "model", "--suite", "suite", "--out", "out.jsonl"]);
    let first = again();
    assert_eq!(first.code, 0, "{}", first.error);
    set(&model.join("config.json"), &json!({"transformers_version": "9.9.9"}));
    assert_eq!(again().code, 0);
    set(&model.join("config.json"), &json!({"rope_theta": 500.0}));
    let other = again();
    assert!(other.code == 2 && other.error.contains("out.jsonl"), "{} {}", other.code, other.error);
}

#[test]
fn other_architectures_are_refused_by_their_names() {
    let case = Case::new();
    let model = case.model("llama", "model");
    let config = std::fs::read(model.join("config.json")).unwrap();
    for other in ["qwen2_moe", "llama4", "gpt2", "mixtral", "deepseek_v3", "mamba", "t5"] {
        std::fs::write(model.join("config.json"), &config).unwrap();
        set(&model.join("config.json"), &json!({"model_type": other}));
        case.refused(&model, &["config.json", &format!("`{other}` is not supported"), "llama, qwen2"]);
        // With nothing else in it.
        std::fs::write(model.join("config.json"), json!({"model_type": other}).to_string()).unwrap();
        case.refused(&model, &["config.json", &format!("`{other}` is not supported")]);
    }
    std::fs::write(model.join("config.json"), &config).unwrap();
    set(&model.join("config.json"), &json!({"model_type": null}));
    case.refused(&model, &["config.json", "`model_type`"]);
    set(&model.join("config.json"), &json!({"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}));
    case.refused(&model, &["config.json", "`LlamaForSequenceClassification`"]);
}

#[test]
fn rows_without_tokens_are_padding_and_tokens_without_rows_are_errors() {
    let case = Case::new();
    let model = case.model("qwen2", "padded");
    set(&model.join("config.json"), &json!({"vocab_size": 320}));
    let mut tensors = weights(&model);
    for name in ["model.embed_tokens.weight", "lm_head.weight"] {
        let table = &tensors[name];
        let more = table.narrow(0, 0, 61).unwrap();
        tensors.insert(name.to_owned(), Tensor::cat(&[table, &more], 0).unwrap());
    }
    // A row that no token has wins every time.
    let head = &tensors["lm_head.weight"];
    let strong = (head.narrow(0, 97, 1).unwrap() * 3.0).unwrap();
    let head = Tensor::cat(&[&head.narrow(0, 0, 300).unwrap(), &strong, &head.narrow(0, 301, 19).unwrap()], 0).unwrap();
    tensors.insert("lm_head.weight".to_owned(), head);
    save(&tensors, &model.join("model.safetensors"));
    case.free(&["Count."]);
    let (ended, rows) = case.asked_of(&model, "free", &[]);
    assert!(ended.code == 0 && rows.len() == 1, "{}", ended.error);

    let model = case.model("qwen2", "pad");
    edit(&model.join("tokenizer.json"), |file| {
        let token = json!({"id": 259, "content": "<pad>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true});
        file["added_tokens"].as_array_mut().unwrap().push(token);
    });
    case.free(&["Is <pad> a word?"]);
    let (ended, _) = case.asked_of(&model, "free", &[]);
    let words = ["`<pad>`", "259", "Resize the model's embeddings"];
    assert!(ended.code == 2 && words.iter().all(|word| ended.error.contains(word)), "{} {}", ended.code, ended.error);
}
