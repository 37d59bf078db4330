//! Models as llama.cpp converts, splits and quantizes them.

use std::path::PathBuf;

use serde_json::json;

use super::gguf::{Gguf, Tensor, Value, converted};
use super::{Case, set, tiny};

fn put(case: &Case, name: &str, file: &Gguf) -> PathBuf {
    case.put(name, file.bytes())
}

#[test]
fn a_converted_model_is_the_folder_it_came_from() {
    let case = Case::new();
    for (kind, pre) in [("llama", "gpt-2"), ("qwen2", "gpt-2")] {
        let folder = case.answers(&tiny(kind));
        let file = put(&case, "model.gguf", &converted(&tiny(kind), pre));
        let found = case.answers(&file);
        assert!(found.ids == folder.ids && found.from(&folder) < 1e-4, "{kind}: {}", found.from(&folder));
    }
}

/// No key of the header says that the frequencies are divided: a tensor does.
#[test]
fn factors_of_rope_act_as_in_the_folder() {
    let case = Case::new();
    let model = case.model("llama", "model");
    let (low, high, original, factor, theta) = (1.0, 4.0, 64.0, 8.0, 5e5_f64);
    set(
        &model.join("config.json"),
        &json!({"rope_theta": theta, "rope_scaling": {"rope_type": "llama3", "factor": factor, "low_freq_factor": low, "high_freq_factor": high,
            "original_max_position_embeddings": original}}),
    );
    let folder = case.answers(&model);
    let mut file = converted(&model, "gpt-2");
    let without = case.answers(&put(&case, "model.gguf", &file));
    assert!(without.from(&folder) > 0.1);
    // convert_hf_to_gguf.py, LlamaModel.generate_extra_tensors.
    let divisor = |i: usize| {
        let wavelength = 2.0 * std::f64::consts::PI * theta.powf(2.0 * i as f64 / 8.0);
        if wavelength < original / high {
            1.0
        } else if wavelength > original / low {
            factor
        } else {
            let smooth = (original / wavelength - low) / (high - low);
            1.0 / ((1.0 - smooth) / factor + smooth)
        }
    };
    let divisors: Vec<f32> = (0..4).map(|i| divisor(i) as f32).collect();
    file.tensors.push(Tensor::f32("rope_freqs.weight", &[4], &divisors));
    assert!(case.answers(&put(&case, "model.gguf", &file)).from(&folder) < 1e-3);
}

#[test]
fn biases_are_used_and_tensors_without_a_place_named() {
    let case = Case::new();
    let mut file = converted(&tiny("llama"), "gpt-2");
    let plain = case.answers(&put(&case, "model.gguf", &file));
    for layer in 0..2 {
        for (name, rows) in [("attn_q", 48), ("attn_k", 16), ("attn_v", 16)] {
            file.tensors.push(Tensor::f32(&format!("blk.{layer}.{name}.bias"), &[rows], &vec![0.5; rows]));
        }
    }
    assert!(case.answers(&put(&case, "model.gguf", &file)).from(&plain) > 0.01);
    file.tensors.push(Tensor::f32("blk.0.attn_sinks.weight", &[6], &[0.5; 6]));
    case.refused(&put(&case, "model.gguf", &file), &["`blk.0.attn_sinks.weight`", "no place"]);
}

#[test]
fn the_parts_of_a_split_file_are_one_model() {
    let case = Case::new();
    let whole = converted(&tiny("llama"), "gpt-2");
    let plain = case.answers(&put(&case, "model.gguf", &whole));
    let (mut first, mut second) = (whole.clone(), Gguf::new(Vec::new(), Vec::new()));
    second.tensors = first.tensors.split_off(first.tensors.len() / 2);
    for (number, part) in [&mut first, &mut second].into_iter().enumerate() {
        part.set("split.no", Value::U32(number as u32));
        part.set("split.count", Value::U32(2));
        part.set("split.tensors.count", Value::I32(whole.tensors.len() as i32));
    }
    let one = put(&case, "part-00001-of-00002.gguf", &first);
    case.refused(&one, &["part 1 of 2", "part-00002-of-00002.gguf", "missing"]);
    let two = put(&case, "part-00002-of-00002.gguf", &second);
    assert!(case.answers(&one).from(&plain) < 1e-6);
    case.refused(&two, &["part 2 of 2", "give part 1", "part-00001-of-00002.gguf"]);
}

/// llama.cpp keeps tokens that a user defined in the text of an answer, and leaves control tokens out.
#[test]
fn user_defined_tokens_stay_in_answers() {
    let case = Case::new();
    case.free(&["Count.", "Spell.", "Name it.", "Why?", "Who?", "Where is it now?"]);
    let answers = |file: &Gguf| {
        let (ended, rows) = case.asked_of(&put(&case, "model.gguf", file), "free", &[]);
        assert_eq!(ended.code, 0, "{}", ended.error);
        rows.iter().map(|row| row["answer"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let mut file = converted(&tiny("llama"), "gpt-2");
    let plain = answers(&file);
    let used: Vec<char> = plain.concat().chars().filter(char::is_ascii_alphanumeric).take(4).collect();
    assert!(used.len() == 4, "{plain:?}");
    let Some((_, Value::Texts(tokens))) = file.keys.iter().find(|(key, _)| key == "tokenizer.ggml.tokens") else { panic!() };
    let kind = |as_kind: i32| {
        let kind = |token: &String| {
            if token.starts_with("<|") {
                3
            } else if used.iter().any(|c| *token == c.to_string()) {
                as_kind
            } else {
                1
            }
        };
        Value::Numbers(tokens.iter().map(kind).collect())
    };
    let (defined, control) = (kind(4), kind(3));
    file.set("tokenizer.ggml.token_type", defined);
    assert_eq!(answers(&file), plain);
    file.set("tokenizer.ggml.token_type", control);
    assert!(answers(&file).concat().chars().all(|c| !used.contains(&c)));
}

#[test]
fn keys_and_kinds_that_are_not_known_are_named() {
    let case = Case::new();
    let refused = |key: &str, value: Value, words: &[&str]| {
        let mut file = converted(&tiny("llama"), "gpt-2");
        file.set(key, value);
        case.refused(&put(&case, "model.gguf", &file), words);
    };
    refused("llama.attention.scale", Value::F32(2.0), &["GGUF header", "`attention.scale`", "Hugging Face folder"]);
    refused("general.novelty", Value::U32(1), &["GGUF header", "`novelty`", "Hugging Face folder"]);
    refused("novel.key", Value::U32(1), &["GGUF header", "`novel`", "Hugging Face folder"]);
    refused("adapter.type", Value::Text("lora".to_owned()), &["GGUF header", "`adapter`", "PEFT folder"]);
    refused(
        "tokenizer.ggml.precompiled_charsmap",
        Value::Text("x".to_owned()),
        &["GGUF header", "`ggml.precompiled_charsmap`", "safetensors folder"],
    );
    refused("tokenizer.ggml.pre", Value::Text("novel".to_owned()), &["pre-tokenizer `novel`", "safetensors folder"]);
    refused("tokenizer.ggml.model", Value::Text("rwkv".to_owned()), &["`rwkv`", "safetensors folder"]);
    refused("general.architecture", Value::Text("mamba".to_owned()), &["`mamba` is not supported", "llama, qwen2"]);
    refused("general.type", Value::Text("adapter".to_owned()), &["`adapter`", "general.type"]);
    refused("llama.rope.scaling.type", Value::Text("yarn".to_owned()), &["rope scaling `yarn`", "folder"]);
    refused("llama.expert_count", Value::U32(4), &["`expert_count`"]);
}
