//! Checkpoints as others write them: read as they are meant, or refused in words.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::HashMap;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Result;
use ballast::error::Invalid;
use ballast::model::decoder::Decoder;
use ballast::model::gguf::open_gguf;
use ballast::model::spec::Spec;
use ballast::model::weights::Weights;
use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Tensor};
use common::{hidden, largest_difference, tiny, tiny_folder};

const ROW: [u32; 5] = [72, 105, 33, 10, 65];

/// The tiny models of the tests, or one of those that are held against transformers.
fn folder_of(kind: &str) -> PathBuf {
    let tiny = tiny_folder(kind);
    if tiny.is_dir() { tiny } else { PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families").join(kind) }
}

fn tensors(kind: &str) -> HashMap<String, Tensor> {
    let all = candle_core::safetensors::load(folder_of(kind).join("model.safetensors"), &Device::Cpu).unwrap();
    all.into_iter().map(|(name, tensor)| (name, tensor.to_dtype(DType::F32).unwrap())).collect()
}

fn spec(kind: &str) -> Spec {
    Spec::from_config_json(&std::fs::read_to_string(folder_of(kind).join("config.json")).unwrap()).unwrap()
}

/// Written to a file and read again.
fn load(kind: &str, tensors: &HashMap<String, Tensor>) -> Result<Decoder> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("model.safetensors");
    candle_core::safetensors::save(tensors, &path)?;
    let weights = Weights::from_safetensors(&[path], &spec(kind), &Device::Cpu, DType::F32)?;
    Decoder::new(spec(kind), weights)
}

fn logits(decoder: &Decoder) -> Tensor {
    decoder.logits(&hidden(decoder, &[&ROW[..]], None)).unwrap()
}

#[test]
fn a_tensor_without_a_place_is_refused_by_name() {
    let mut all = tensors("llama");
    all.insert("model.layers.0.self_attn.q_norm.weight".to_owned(), Tensor::ones(8, DType::F32, &Device::Cpu).unwrap());
    let error = load("llama", &all).unwrap_err().to_string();
    assert!(error.contains("`model.layers.0.self_attn.q_norm.weight`"), "{error}");
}

#[test]
fn numbers_that_are_not_finite_are_invalid_and_named() {
    for bad in [f32::NAN, f32::INFINITY] {
        let mut all = tensors("qwen2");
        let name = "model.layers.1.mlp.up_proj.weight";
        let mut values = all[name].flatten_all().unwrap().to_vec1::<f32>().unwrap();
        *values.last_mut().unwrap() = bad;
        let broken = Tensor::from_vec(values, all[name].shape(), &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::BF16, DType::F16] {
            all.insert(name.to_owned(), broken.to_dtype(dtype).unwrap());
            let error = load("qwen2", &all).unwrap_err();
            assert!(error.is::<Invalid>() && error.to_string().contains(name), "{error:#}");
        }
    }
}

#[test]
fn a_head_that_differs_from_a_tied_table_is_kept() {
    let plain = logits(&tiny("llama"));
    let mut all = tensors("llama");
    let table = all["model.embed_tokens.weight"].clone();
    all.insert("lm_head.weight".to_owned(), table.clone());
    let same = load("llama", &all).unwrap();
    assert!(same.spec.tied);
    assert!(largest_difference(&logits(&same), &plain) < 1e-6);
    all.insert("lm_head.weight".to_owned(), (table * 2.0).unwrap());
    let kept = load("llama", &all).unwrap();
    assert!(!kept.spec.tied);
    assert!(largest_difference(&logits(&kept), &(plain * 2.0).unwrap()) < 1e-4);
}

#[test]
fn names_without_their_prefix_are_the_same_model() {
    let all: HashMap<String, Tensor> =
        tensors("llama").into_iter().map(|(name, tensor)| (name.trim_start_matches("model.").to_owned(), tensor)).collect();
    assert!(largest_difference(&logits(&load("llama", &all).unwrap()), &logits(&tiny("llama"))) < 1e-6);
}

#[test]
fn a_token_beyond_the_table_is_an_error_in_words() {
    let adapter_set = ballast::model::adapter_set::AdapterSet::base();
    let batch = ballast::model::packed::Packed::from_rows(&[[427_u32]], None);
    let error = tiny("llama").hidden(&batch, &adapter_set, None).unwrap_err().to_string();
    assert!(error.contains("token 427 is outside the vocabulary of 259"), "{error}");
}

/// A tiny model as llama.cpp's converter lays it out; `keep` says which tensors this file has.
fn gguf(path: &Path, kind: &str, more: &[(&str, Value)], keep: impl Fn(&str) -> bool) {
    let spec = spec(kind);
    let number = |value: usize| Value::U32(u32::try_from(value).unwrap());
    let mut keys = vec![
        ("general.architecture".to_owned(), Value::String(kind.to_owned())),
        (format!("{kind}.context_length"), number(spec.max_positions)),
        (format!("{kind}.embedding_length"), number(spec.hidden)),
        (format!("{kind}.block_count"), number(spec.layers)),
        (format!("{kind}.feed_forward_length"), number(spec.intermediate)),
        (format!("{kind}.attention.head_count"), number(spec.heads)),
        (format!("{kind}.attention.head_count_kv"), number(spec.kv_heads)),
        (format!("{kind}.attention.key_length"), number(spec.head_dim)),
        (format!("{kind}.attention.value_length"), number(spec.head_dim)),
        (format!("{kind}.attention.layer_norm_rms_epsilon"), Value::F32(spec.rms_eps as f32)),
        (format!("{kind}.rope.freq_base"), Value::F32(spec.ropes[0].theta as f32)),
    ];
    keys.retain(|(key, _)| more.iter().all(|(other, _)| key != other));
    keys.extend(more.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    let named: Vec<(String, QTensor)> = tensors(kind)
        .into_iter()
        .map(|(name, tensor)| (gguf_name(&name), if kind == "llama" { interleaved(&name, &tensor, &spec) } else { tensor }))
        .filter(|(name, _)| keep(name))
        .map(|(name, tensor)| (name, QTensor::quantize(&tensor, GgmlDType::F32).unwrap()))
        .collect();
    let mut bytes = Cursor::new(Vec::new());
    let keys: Vec<(&str, &Value)> = keys.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let named: Vec<(&str, &QTensor)> = named.iter().map(|(name, tensor)| (name.as_str(), tensor)).collect();
    write(&mut bytes, &keys, &named).unwrap();
    std::fs::write(path, bytes.into_inner()).unwrap();
}

fn gguf_name(name: &str) -> String {
    let mut name = name.trim_start_matches("model.").replace("layers.", "blk.");
    for (from, to) in [
        ("embed_tokens", "token_embd"),
        ("lm_head", "output"),
        ("input_layernorm", "attn_norm"),
        ("post_attention_layernorm", "ffn_norm"),
        ("self_attn.o_proj", "attn_output"),
        ("self_attn.", "attn_"),
        ("mlp.", "ffn_"),
        ("_proj", ""),
    ] {
        name = name.replace(from, to);
    }
    if name == "norm.weight" { "output_norm.weight".to_owned() } else { name }
}

fn interleaved(name: &str, tensor: &Tensor, spec: &Spec) -> Tensor {
    if !name.contains("q_proj") && !name.contains("k_proj") {
        return tensor.clone();
    }
    let (out, input) = tensor.dims2().unwrap();
    let pairs = tensor.reshape((out / spec.head_dim, 2, spec.head_dim / 2, input)).unwrap();
    pairs.transpose(1, 2).unwrap().contiguous().unwrap().reshape((out, input)).unwrap()
}

fn open(path: &Path) -> Result<Decoder> {
    let mut file = open_gguf(path)?;
    let spec = file.spec()?;
    let weights = Weights::from_gguf(&mut file, &spec, &Device::Cpu, DType::F32)?;
    Decoder::new(spec, weights)
}

#[test]
fn gguf_files_are_the_same_models_whole_and_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    for kind in ["llama", "qwen2", "qwen3"] {
        let whole = folder.path().join("whole.gguf");
        gguf(&whole, kind, &[], |_| true);
        let expected = logits(&load(kind, &tensors(kind)).unwrap());
        assert!(largest_difference(&logits(&open(&whole).unwrap()), &expected) < 1e-5, "{kind}");
        let part = |n: u16| [("split.no", Value::U16(n)), ("split.count", Value::U16(2))];
        let paths = [1, 2].map(|n| folder.path().join(format!("{kind}-0000{n}-of-00002.gguf")));
        gguf(&paths[0], kind, &part(0), |name| !name.starts_with("blk.1."));
        let error = format!("{:#}", open(&paths[0]).unwrap_err());
        assert!(error.contains("part 1 of 2, and part 2 is missing"), "{error}");
        gguf(&paths[1], kind, &part(1), |name| name.starts_with("blk.1."));
        assert!(largest_difference(&logits(&open(&paths[0]).unwrap()), &expected) < 1e-5, "{kind}");
        let error = format!("{:#}", open(&paths[1]).unwrap_err());
        assert!(error.contains("is part 2 of 2: give part 1"), "{error}");
    }
}

#[test]
fn gguf_headers_that_mean_something_else_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.gguf");
    let error = |more: &[(&str, Value)]| {
        gguf(&path, "llama", more, |_| true);
        format!("{:#}", open(&path).unwrap_err())
    };
    let text = |text: &str| Value::String(text.to_owned());
    assert!(error(&[("general.architecture", text("gemma4"))]).contains("`gemma4` is not supported"));
    assert!(error(&[("general.type", text("adapter"))]).contains("`adapter`"));
    assert!(error(&[("llama.rope.scaling.type", text("yarn"))]).contains("`yarn`"));
    assert!(error(&[("llama.logit_scale", Value::F32(2.0))]).contains("`logit_scale`"));
    assert!(error(&[("llama.expert_count", Value::U32(8))]).contains("expert_count"));
    assert!(error(&[("llama.block_count", Value::U32(u32::MAX))]).contains("layers"));
    assert!(error(&[("llama.rope.dimension_count", Value::U32(4))]).contains("rope.dimension_count"));
    assert!(error(&[("llama.rope.freq_base", Value::F32(f32::NAN))]).contains("rope.freq_base"));
    assert!(error(&[("general.alignment", Value::U32(0))]).contains("alignment of 0"));
    gguf(&path, "llama", &[], |_| true);
    let bytes = std::fs::read(&path).unwrap();
    for end in [bytes.len() / 2, bytes.len() - 64] {
        std::fs::write(&path, &bytes[..end]).unwrap();
        let error = format!("{:#}", open(&path).unwrap_err());
        assert!(error.contains("cut short") || error.contains("begins at"), "{error}");
    }
}
