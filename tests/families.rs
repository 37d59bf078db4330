//! Every family against transformers: tiny random models, their logits, loss, gradients and answers
//! (`tests/golden/families/make.py`), and against itself: cached, batched, merged, composed.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;

use ballast::model::adapter_set::AdapterSet;
use ballast::model::decoder::{Decoder, Label, Saving};
use ballast::model::lora::{Adapter, LoraConfig, LoraPair};
use ballast::model::packed::Packed;
use ballast::model::site::{Module, Site};
use ballast::model::spec::Spec;
use ballast::model::weights::{Weights, safetensors_files};
use candle_core::{DType, Device, Tensor};
use common::{cache, hidden, largest_difference};
use serde_json::Value;

struct Golden {
    name: String,
    decoder: Decoder,
    tensors: HashMap<String, Tensor>,
    loss: f64,
    config: Value,
    older: Vec<Value>,
}

/// Two rows of tokens.
type Rows = Vec<Vec<u32>>;

impl Golden {
    fn rows(&self) -> Rows {
        (0..2).map(|n| self.ids(&format!("ids.{n}"))).collect()
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.tensors[name].to_dtype(DType::U32).unwrap().to_vec1().unwrap()
    }

    fn adapter(&self) -> Adapter {
        let mut pairs = BTreeMap::new();
        for layer in 0..self.decoder.spec.layers {
            for module in Module::ALL {
                let site = Site { layer, module };
                let half = |half: &str| self.tensors[&format!("{site}.{half}")].clone();
                pairs.insert(site, LoraPair { a: half("A"), b: half("B") });
            }
        }
        Adapter {
            pairs,
            scale: 2.0,
            config: LoraConfig { rank: 2, alpha: 4.0, dropout: 0.0, targets: Module::ALL.to_vec(), rslora: false },
        }
    }
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/families")
}

fn all() -> Vec<Golden> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let folder = entry.unwrap().path();
        if !folder.is_dir() {
            continue;
        }
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let read = |file: &str| -> Value { serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap() };
        let (config, about) = (read("config.json"), read("golden.json"));
        let spec = Spec::from_config_json(&config.to_string()).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        let files = safetensors_files(&folder).unwrap();
        let weights =
            Weights::from_safetensors(&files, &spec, &Device::Cpu, DType::F32).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        found.push(Golden {
            decoder: Decoder::new(spec, weights).unwrap(),
            tensors: candle_core::safetensors::load(folder.join("golden.safetensors"), &Device::Cpu).unwrap(),
            loss: about["loss"].as_f64().unwrap(),
            older: about["older"].as_array().unwrap().clone(),
            config,
            name,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    assert!(found.len() >= 20, "{} models", found.len());
    found
}

fn size(tensor: &Tensor) -> f32 {
    tensor.abs().unwrap().max_all().unwrap().to_scalar().unwrap()
}

fn logits(decoder: &Decoder, rows: &[Vec<u32>], adapter: Option<&Adapter>) -> Tensor {
    decoder.logits(&hidden(decoder, rows, adapter)).unwrap()
}

#[test]
fn logits_equal_transformers() {
    for golden in all() {
        let adapter = golden.adapter();
        for (n, row) in golden.rows().into_iter().enumerate() {
            for (kind, adapter) in [("logits", None), ("adapted", Some(&adapter))] {
                let expected = &golden.tensors[&format!("{kind}.{n}")];
                let difference = largest_difference(&logits(&golden.decoder, std::slice::from_ref(&row), adapter), expected);
                assert!(difference < 1e-4 * size(expected).max(1.0), "{} {kind}.{n}: {difference} of {}", golden.name, size(expected));
            }
        }
    }
}

#[test]
fn a_batch_and_a_merged_adapter_give_what_single_rows_give() {
    for golden in all() {
        let (adapter, rows) = (golden.adapter(), golden.rows());
        let merged = golden.decoder.merged(&adapter).unwrap();
        for together in [logits(&golden.decoder, &rows, Some(&adapter)), logits(&merged, &rows, None)] {
            let mut start = 0;
            for (n, row) in rows.iter().enumerate() {
                let expected = &golden.tensors[&format!("adapted.{n}")];
                let difference = largest_difference(&together.narrow(0, start, row.len()).unwrap(), expected);
                assert!(difference < 1e-4 * size(expected).max(1.0), "{}: {difference}", golden.name);
                start += row.len();
            }
        }
    }
}

fn backward(golden: &Golden, saving: Saving) -> (f64, ballast::model::lora::Gradients) {
    let (adapter, rows) = (golden.adapter(), golden.rows());
    let adapter_set = AdapterSet::one(&golden.decoder, Some(&adapter)).unwrap();
    let batch = Packed::from_rows(&rows, Some(0));
    let mut labels = Vec::new();
    for (segment, row) in batch.rows.iter().zip(&rows) {
        labels.extend(row.iter().skip(1).enumerate().map(|(i, target)| Label::from(((segment.start + i) as u32, *target))));
    }
    let tape = golden.decoder.forward_training(&batch, &adapter_set, None, saving).unwrap();
    let (loss, gradients) = golden.decoder.backward(tape, &batch, &adapter_set, &labels, &[1.0.into()]).unwrap().remove(0);
    (loss.total, gradients)
}

#[test]
fn loss_and_every_gradient_equal_transformers() {
    for golden in all() {
        for saving in [Saving::Activations, Saving::Inputs] {
            let (loss, gradients) = backward(&golden, saving);
            assert!((loss - golden.loss).abs() < 1e-4 * golden.loss, "{}: loss {loss}, transformers {}", golden.name, golden.loss);
            assert_eq!(gradients.len(), golden.decoder.spec.layers * Module::ALL.len());
            for (site, gradient) in gradients {
                for (half, ours) in [("dA", &gradient.a), ("dB", &gradient.b)] {
                    let expected = &golden.tensors[&format!("{site}.{half}")];
                    let (difference, size) = (largest_difference(ours, expected), size(expected));
                    assert!(size > 1e-5, "{} {site} {half}: the reference gradient is {size}", golden.name);
                    assert!(difference < 1e-3 * size, "{} {site} {half}: {difference} of {size}", golden.name);
                }
            }
        }
    }
}

#[test]
fn answers_through_the_cache_equal_transformers_for_200_tokens() {
    for golden in all() {
        let expected = golden.ids("greedy");
        let (decoder, adapter_set) = (&golden.decoder, AdapterSet::base());
        let prompt = golden.rows().remove(0);
        let mut cache = cache(decoder, 1);
        let (mut said, mut next, mut at) = (Vec::new(), prompt, 0);
        while said.len() < expected.len() {
            let mut batch = Packed::default();
            batch.push(&next, at, None);
            at += next.len();
            let states = decoder.hidden_at(&batch, &batch.last_tokens(), &adapter_set, Some(&mut cache)).unwrap();
            let token = decoder.logits(&states).unwrap().argmax(1).unwrap().to_vec1::<u32>().unwrap()[0];
            said.push(token);
            next = vec![token];
        }
        assert_eq!(said, expected, "{}", golden.name);
    }
}

#[test]
fn older_spellings_mean_the_same_model() {
    let mut tried = 0;
    for golden in all() {
        for older in &golden.older {
            let mut config = golden.config.clone();
            for (key, value) in older.as_object().unwrap() {
                config[key] = value.clone();
            }
            let spec = Spec::from_config_json(&config.to_string()).unwrap_or_else(|error| panic!("{}: {error:#}", golden.name));
            let now = Spec::from_config_json(&golden.config.to_string()).unwrap();
            assert_eq!(spec, now, "{}: {older}", golden.name);
            tried += 1;
        }
    }
    assert!(tried >= 12, "{tried} spellings");
}

#[test]
fn an_unknown_key_is_refused_by_every_family() {
    for golden in all() {
        let mut config = golden.config.clone();
        let object = if config["text_config"].is_object() { &mut config["text_config"] } else { &mut config };
        object["key_of_tomorrow"] = Value::from(1);
        let error = format!("{:#}", Spec::from_config_json(&config.to_string()).unwrap_err());
        assert!(error.contains("config.json") && error.contains("`key_of_tomorrow`"), "{}: {error}", golden.name);
    }
}

/// transformers takes the long factors as soon as a sequence outgrows the original context.
#[test]
fn a_sequence_that_needs_longrope_s_long_factors_is_refused_by_name() {
    let all = all();
    let golden = all.iter().find(|golden| golden.name == "phi4-mini").unwrap();
    let run = |decoder: &Decoder, tokens: usize| {
        let ids = vec![5; tokens];
        let mut batch = Packed::default();
        batch.push(&ids, 0, None);
        decoder.hidden(&batch, &AdapterSet::base(), None).map(|_| ()).map_err(|error| error.to_string())
    };
    run(&golden.decoder, 256).unwrap();
    assert_eq!(
        run(&golden.decoder, 257).unwrap_err(),
        "a sequence of more than 256 tokens does not fit 256 positions: longer sequences need the long factors of the model's LongRoPE, \
         which Ballast does not run: shorten the prompt or the answer"
    );
    // Of a model that was trained for nothing longer.
    let mut config = golden.config.clone();
    config["max_position_embeddings"] = Value::from(256);
    let spec = Spec::from_config_json(&config.to_string()).unwrap();
    assert_eq!((spec.longest(), spec.limit()), (256, "the model's 256 positions".to_owned()));
}

/// A golden value proves a switch only where the switch changes it.
#[test]
fn every_switch_acts_on_the_golden_logits() {
    let changes = [
        ("llama3-rope", "/rope_parameters/factor", Value::from(16.0)),
        ("qwen2-yarn-sliding", "/rope_parameters/factor", Value::from(8.0)),
        ("qwen2-yarn-sliding", "/rope_parameters/beta_fast", Value::from(2.0)),
        ("qwen2-yarn-sliding", "/sliding_window", Value::from(7)),
        ("mistral", "/sliding_window", Value::from(8)),
        ("ministral3", "/rope_parameters/llama_4_scaling_beta", Value::from(0.2)),
        ("ministral3", "/rope_parameters/mscale", Value::from(2.0)),
        ("smollm3", "/no_rope_layers/3", Value::from(1)),
        ("gemma2", "/attn_logit_softcapping", Value::from(6.0)),
        ("gemma2", "/final_logit_softcapping", Value::from(4.0)),
        ("gemma2", "/query_pre_attn_scalar", Value::from(16)),
        ("gemma3", "/rope_parameters/full_attention/factor", Value::from(4.0)),
        ("gemma3", "/rope_parameters/sliding_attention/rope_theta", Value::from(1e5)),
        ("granite", "/embedding_multiplier", Value::from(2.0)),
        ("granite", "/residual_multiplier", Value::from(0.5)),
        ("granite", "/attention_multiplier", Value::from(0.2)),
        ("granite", "/logits_scaling", Value::from(5.0)),
        ("phi3", "/sliding_window", Value::from(8)),
        ("phi4-mini", "/rope_parameters/short_factor/1", Value::from(2.0)),
        ("phi4-mini", "/original_max_position_embeddings", Value::from(128)),
        ("olmo3", "/layer_types/0", Value::from("full_attention")),
        ("glm4", "/rope_parameters/rope_theta", Value::from(1e5)),
        ("hunyuan", "/rope_parameters/alpha", Value::from(10.0)),
        ("seed-oss", "/rms_norm_eps", Value::from(1e-2)),
    ];
    let all = all();
    for (name, pointer, value) in changes {
        let golden = all.iter().find(|golden| golden.name == name).unwrap();
        let mut config = golden.config.clone();
        *config.pointer_mut(pointer).unwrap_or_else(|| panic!("{name} has no {pointer}")) = value;
        let spec = Spec::from_config_json(&config.to_string()).unwrap_or_else(|error| panic!("{name} {pointer}: {error:#}"));
        let weights =
            Weights::from_safetensors(&safetensors_files(&folder().join(name)).unwrap(), &spec, &Device::Cpu, DType::F32).unwrap();
        let changed = logits(&Decoder::new(spec, weights).unwrap(), &golden.rows()[..1], None);
        let expected = &golden.tensors["logits.0"];
        let difference = largest_difference(&changed, expected);
        assert!(difference > 1e-3 * size(expected), "{name} {pointer}: {difference} of {}", size(expected));
    }
}
