//! PEFT and torch as the reference: an adapter that PEFT made gives PEFT's logits, and five steps of training give torch's
//! losses, gradient norms and weights. Values by `tests/golden/make_peft.py`, whose `--check` has PEFT read what we write.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::PathBuf;

use ballast::data::chat::Encoded;
use ballast::model::adapter::{load, to_safetensors};
use ballast::model::decoder::Saving;
use ballast::train::batch::TrainRow;
use ballast::train::optim::{AdamW, AdamWConfig};
use ballast::train::step::{StepSettings, train_step};
use candle_core::{Device, Tensor};
use common::{hidden, largest_difference, tiny};
use serde::Deserialize;

#[derive(Deserialize)]
struct Reference {
    ids: Vec<u32>,
    logits: Vec<Vec<f32>>,
    rows: Vec<(Vec<u32>, usize)>,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    grad_norm: f64,
    learning_rate: f64,
}

fn folder(kind: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft").join(kind)
}

fn reference(kind: &str) -> Reference {
    serde_json::from_str(&std::fs::read_to_string(folder(kind).join("reference.json")).unwrap()).unwrap()
}

#[test]
fn an_adapter_made_by_peft_gives_its_logits() {
    for kind in ["llama", "qwen2"] {
        let (decoder, reference) = (tiny(kind), reference(kind));
        let adapter = load(&folder(kind), &decoder.spec, &Device::Cpu).unwrap();
        let hidden = hidden(&decoder, &[&reference.ids], Some(&adapter));
        let expected = Tensor::new(reference.logits, &Device::Cpu).unwrap();
        let difference = largest_difference(&decoder.logits(&hidden).unwrap(), &expected);
        assert!(difference < 1e-4, "{kind}: {difference}");
    }
}

#[test]
fn five_steps_are_those_of_torch() {
    for kind in ["llama", "qwen2"] {
        let (decoder, reference) = (tiny(kind), reference(kind));
        let mut adapter = load(&folder(kind), &decoder.spec, &Device::Cpu).unwrap();
        let mut optimizer = AdamW::new(&adapter, AdamWConfig::default()).unwrap();
        let row = |(i, (ids, first)): (usize, &(Vec<u32>, usize))| {
            let mask = (0..ids.len()).map(|t| t >= *first).collect();
            TrainRow::plain(Encoded { ids: ids.clone(), mask }, format!("reference:{i}"))
        };
        let rows: Vec<TrainRow> = reference.rows.iter().enumerate().map(row).collect();
        let window: Vec<&TrainRow> = rows.iter().collect();
        let settings = StepSettings { max_tokens: 4096, saving: Saving::Activations };
        for (i, step) in reference.steps.iter().enumerate() {
            let outcome = train_step(&decoder, &mut adapter, &mut optimizer, &window, step.learning_rate, 0, settings).unwrap();
            let loss = outcome.loss.total / outcome.loss.labels as f64;
            assert!((loss - step.loss).abs() < 1e-4 * step.loss, "{kind} step {i}: loss {loss}, torch {}", step.loss);
            let norm = outcome.norms.total;
            assert!((norm - step.grad_norm).abs() < 1e-3 * step.grad_norm, "{kind} step {i}: norm {norm}, torch {}", step.grad_norm);
        }
        let ours = candle_core::safetensors::load_buffer(&to_safetensors(&adapter).unwrap(), &Device::Cpu).unwrap();
        let theirs = candle_core::safetensors::load(folder(kind).join("trained.safetensors"), &Device::Cpu).unwrap();
        assert_eq!(ours.len(), theirs.len());
        for (name, theirs) in &theirs {
            let difference = largest_difference(&ours[name], theirs);
            // Adam divides by the root of a squared gradient: where a gradient is nearly 0 its sign is rounding.
            assert!(difference < 2e-3, "{kind} {name}: {difference}");
        }
    }
}
