//! PEFT and torch as the reference, on models whose linears checkpoints hold apart, joint, or inside a model of several
//! modalities: an adapter that PEFT made gives PEFT's logits, gradients and merged weights; five steps of training give
//! torch's losses, gradient norms and adapter, saved in PEFT's names; the linears that a configuration names are PEFT's.
//! Values by `tests/golden/make_peft.py`, whose `--check` has PEFT read what `tests/adapter.rs` writes.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use ballast::data::chat::Encoded;
use ballast::model::adapter::{load, save};
use ballast::model::decoder::{Decoder, Saving};
use ballast::model::lora::Adapter;
use ballast::model::site::Site;
use ballast::model::spec::Spec;
use ballast::train::batch::TrainRow;
use ballast::train::optim::{AdamW, AdamWConfig};
use ballast::train::step::{StepSettings, Window, train_step, window_gradients};
use candle_core::safetensors::load as tensors_of;
use candle_core::{DType, Device, Tensor};
use common::{decoder_of, family_folder, hidden, largest, largest_difference, tiny_folder};
use serde::Deserialize;
use serde_json::{Value, json};

const TRAINED: [&str; 9] = ["llama", "qwen2", "phi3", "phi4-mini", "glm4", "gemma3-vision", "mistral3-vision", "qwen2.5-vl", "qwen3-vl"];
const READ: [&str; 2] = ["phi3-patterns", "gemma3-vision-patterns"];
const SETTINGS: StepSettings = StepSettings { max_tokens: 4096, saving: Saving::Activations };

struct Reference {
    name: &'static str,
    folder: PathBuf,
    decoder: Decoder,
    tensors: HashMap<String, Tensor>,
    written: Written,
}

#[derive(Deserialize)]
struct Written {
    ids: Vec<u32>,
    #[serde(default)]
    rows: Vec<(Vec<u32>, usize)>,
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    loss: f64,
    grad_norm: f64,
    learning_rate: f64,
}

fn golden() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden/peft")
}

/// Where the base of an adapter is, by `folder_of` of the script.
fn base_folder(name: &str) -> PathBuf {
    let kind = name.trim_end_matches("-patterns");
    let tiny = tiny_folder(kind);
    if tiny.is_dir() { tiny } else { family_folder(kind) }
}

impl Reference {
    fn new(name: &'static str) -> Self {
        let folder = golden().join(name);
        let tensors = tensors_of(folder.join("reference.safetensors"), &Device::Cpu).unwrap();
        let written = serde_json::from_str(&std::fs::read_to_string(folder.join("reference.json")).unwrap()).unwrap();
        Self { name, decoder: decoder_of(&base_folder(name)), folder, tensors, written }
    }

    fn adapter(&self) -> Adapter {
        load(&self.folder, &self.decoder.spec, &Device::Cpu).unwrap()
    }

    fn rows(&self) -> Vec<TrainRow> {
        let row = |(i, (ids, first)): (usize, &(Vec<u32>, usize))| {
            let mask = (0..ids.len()).map(|t| t >= *first).collect();
            TrainRow::plain(Encoded { ids: ids.clone(), mask }, format!("reference:{i}"))
        };
        self.written.rows.iter().enumerate().map(row).collect()
    }

    fn check_logits(&self, found: &Tensor, kind: &str) {
        let expected = &self.tensors[kind];
        let difference = largest_difference(found, expected);
        assert!(difference < 1e-4 * largest(expected).max(1.0), "{} {kind}: {difference}", self.name);
    }
}

#[test]
fn an_adapter_made_by_peft_gives_its_logits_apart_and_merged() {
    for name in TRAINED.into_iter().chain(READ) {
        let (reference, adapter) = (Reference::new(name), Reference::new(name).adapter());
        let (decoder, ids) = (&reference.decoder, &[&reference.written.ids]);
        reference.check_logits(&decoder.logits(&hidden(decoder, ids, Some(&adapter))).unwrap(), "logits");
        let merged = decoder.merged(&adapter).unwrap();
        reference.check_logits(&decoder.logits(&hidden(&merged, ids, None)).unwrap(), "merged");
        let without = decoder.logits(&hidden(decoder, ids, None)).unwrap();
        let acts = largest_difference(&without, &reference.tensors["logits"]);
        assert!(acts > 1e-2, "{name}: the adapter changes logits by {acts} at most");
    }
}

#[test]
fn merged_weights_are_those_of_peft() {
    for name in TRAINED.into_iter().chain(READ) {
        let reference = Reference::new(name);
        let base = tensors_of(base_folder(name).join("model.safetensors"), &Device::Cpu).unwrap();
        let mut compared = 0;
        for (site, pair) in reference.adapter().pairs.iter().filter(|(site, _)| site.layer == 0) {
            let expected = &reference.tensors[&format!("merged.{}", reference.decoder.spec.name_of(*site))];
            let of_base = |key: &&String| key.ends_with(&format!("{site}.weight")) && !key.contains("vision") && !key.contains("visual");
            let weight = base[base.keys().find(of_base).unwrap()].to_dtype(DType::F32).unwrap();
            let ours = (weight + (pair.b.matmul(&pair.a).unwrap() * reference.adapter().scale).unwrap()).unwrap();
            let difference = largest_difference(&ours, expected);
            assert!(difference < 1e-6 * largest(expected).max(1.0), "{name} {site}: {difference}");
            compared += 1;
        }
        let merged = reference.tensors.keys().filter(|key| key.starts_with("merged.")).count();
        assert_eq!(compared, merged, "{name}");
        assert!(compared > 0 || name == "gemma3-vision-patterns", "its adapter is of layer 1");
    }
}

#[test]
fn every_gradient_is_that_of_torch() {
    for name in TRAINED {
        let (reference, adapter) = (Reference::new(name), Reference::new(name).adapter());
        let rows = reference.rows();
        let window: Vec<&TrainRow> = rows.iter().collect();
        let window = Window { adapter: &adapter, rows: &window, dropout_seed: 0, kl: 0.0 };
        for saving in [Saving::Activations, Saving::Inputs] {
            let (_, gradients) = window_gradients(&reference.decoder, &[window], StepSettings { saving, ..SETTINGS }).unwrap().remove(0);
            let expected = reference.tensors.keys().filter(|key| key.starts_with("gradient.")).count();
            assert_eq!((gradients.len(), 2 * gradients.len()), (adapter.pairs.len(), expected), "{name}");
            for (site, gradient) in &gradients {
                for (half, ours) in [("lora_A", &gradient.a), ("lora_B", &gradient.b)] {
                    let key = format!("gradient.base_model.model.{}.{half}.weight", reference.decoder.spec.name_of(*site));
                    let (difference, size) = (largest_difference(ours, &reference.tensors[&key]), largest(&reference.tensors[&key]));
                    assert!(difference < 1e-3 * size && size > 1e-6, "{name} {key}: {difference} of {size}");
                }
            }
        }
    }
}

#[test]
fn five_steps_are_those_of_torch_and_the_adapter_is_saved_as_peft_names_it() {
    for name in TRAINED {
        let reference = Reference::new(name);
        let spec = &reference.decoder.spec;
        let mut adapter = reference.adapter();
        let mut optimizer = AdamW::new(&adapter, AdamWConfig::default()).unwrap();
        let rows = reference.rows();
        let window: Vec<&TrainRow> = rows.iter().collect();
        for (i, step) in reference.written.steps.iter().enumerate() {
            let outcome = train_step(&reference.decoder, &mut adapter, &mut optimizer, &window, step.learning_rate, 0, SETTINGS).unwrap();
            let loss = outcome.loss.total / outcome.loss.labels as f64;
            assert!((loss - step.loss).abs() < 1e-4 * step.loss, "{name} step {i}: loss {loss}, torch {}", step.loss);
            let norm = outcome.norms.total;
            assert!((norm - step.grad_norm).abs() < 1e-3 * step.grad_norm, "{name} step {i}: norm {norm}, torch {}", step.grad_norm);
        }
        assert_eq!(reference.written.steps.len(), 5);
        let folder = tempfile::tempdir().unwrap();
        save(&adapter, spec, "some/base", folder.path()).unwrap();
        let ours = tensors_of(folder.path().join("adapter_model.safetensors"), &Device::Cpu).unwrap();
        let theirs = tensors_of(reference.folder.join("trained.safetensors"), &Device::Cpu).unwrap();
        assert_eq!(ours.keys().collect::<BTreeSet<_>>(), theirs.keys().collect::<BTreeSet<_>>(), "{name}");
        for (key, theirs) in &theirs {
            let difference = largest_difference(&ours[key], theirs);
            // Adam divides by the root of a squared gradient: where a gradient is nearly 0 its sign is rounding.
            assert!(difference < 2e-3, "{name} {key}: {difference}");
        }
        let again = load(folder.path(), spec, &Device::Cpu).unwrap();
        assert_eq!((again.pairs.len(), again.scale), (adapter.pairs.len(), adapter.scale), "{name}");
    }
}

/// `transformers` before 4.52 had the language model of most wrappers elsewhere, and its own classes have it at `model`.
#[test]
fn other_spellings_of_a_language_model_inside_another_are_the_same_adapter() {
    for name in ["gemma3-vision", "qwen2.5-vl", "gemma3-vision-patterns"] {
        let reference = Reference::new(name);
        let read = |folder: &Path| load(folder, &reference.decoder.spec, &Device::Cpu);
        let known = reference.adapter();
        let stored = tensors_of(reference.folder.join("adapter_model.safetensors"), &Device::Cpu).unwrap();
        for path in ["language_model.model", "model"] {
            let folder = tempfile::tempdir().unwrap();
            let spelled = |text: &str| text.replace("model.language_model", path);
            // A regular expression holds the path too.
            let config = std::fs::read_to_string(reference.folder.join("adapter_config.json")).unwrap();
            let config = spelled(&config).replace("model\\\\.language_model", &path.replace('.', "\\\\."));
            let config = config.replace("language_model.layers.1", "layers.1");
            std::fs::write(folder.path().join("adapter_config.json"), config).unwrap();
            let tensors: HashMap<String, Tensor> = stored.iter().map(|(key, tensor)| (spelled(key), tensor.clone())).collect();
            candle_core::safetensors::save(&tensors, folder.path().join("adapter_model.safetensors")).unwrap();
            let again = read(folder.path()).unwrap_or_else(|error| panic!("{name} at {path}: {error:#}"));
            assert_eq!(
                ballast::model::adapter::digest(&again).unwrap(),
                ballast::model::adapter::digest(&known).unwrap(),
                "{name} at {path}"
            );

            let mut mixed = tensors;
            mixed.extend(stored.iter().filter(|(key, _)| key.contains("language_model.layers.1")).map(|(key, t)| (key.clone(), t.clone())));
            candle_core::safetensors::save(&mixed, folder.path().join("adapter_model.safetensors")).unwrap();
            let error = format!("{:#}", read(folder.path()).unwrap_err());
            assert!(error.contains("they are of two models"), "{error}");
        }
    }
}

#[derive(Deserialize)]
struct Targets {
    form: Value,
    linears: BTreeSet<String>,
}

/// Tensors of rank 1 for the given linears, and a configuration that names linears in one of PEFT's forms.
fn written(spec: &Spec, form: &Value, linears: &BTreeSet<String>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = HashMap::new();
    for site in sites(spec).filter(|site| linears.contains(&spec.name_of(*site))) {
        let (input, output) = site.module.widths(spec);
        for (half, shape) in [("A", (1, input)), ("B", (output, 1))] {
            let ones = Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap();
            tensors.insert(format!("base_model.model.{}.lora_{half}.weight", spec.name_of(site)), ones);
        }
    }
    assert_eq!(tensors.len(), 2 * linears.len());
    candle_core::safetensors::save(&tensors, folder.path().join("adapter_model.safetensors")).unwrap();
    let mut config = json!({"peft_type": "LORA", "r": 1, "lora_alpha": 1});
    config.as_object_mut().unwrap().extend(form.as_object().unwrap().clone());
    std::fs::write(folder.path().join("adapter_config.json"), config.to_string()).unwrap();
    folder
}

fn sites(spec: &Spec) -> impl Iterator<Item = Site> {
    (0..spec.layers).flat_map(|layer| spec.linears().map(move |module| Site { layer, module }))
}

#[test]
fn linears_are_named_as_peft_reads_them() {
    let models: HashMap<String, Vec<Targets>> =
        serde_json::from_str(&std::fs::read_to_string(golden().join("targets.json")).unwrap()).unwrap();
    assert_eq!(models.len(), 7);
    for (name, entries) in models {
        let spec = decoder_of(&base_folder(&name)).spec;
        for Targets { form, linears } in entries {
            let read = |linears: &BTreeSet<String>| load(written(&spec, &form, linears).path(), &spec, &Device::Cpu);
            let (named, others): (Vec<String>, Vec<String>) =
                sites(&spec).map(|site| spec.name_of(site)).partition(|n| linears.contains(n));
            assert_eq!(named.len(), linears.len(), "{name}: a linear of PEFT's that the model lacks");
            if !linears.is_empty() {
                let adapter = read(&linears).unwrap_or_else(|error| panic!("{name} {form}: {error:#}"));
                let found: BTreeSet<String> = adapter.pairs.keys().map(|site| spec.name_of(*site)).collect();
                assert_eq!(found, linears, "{name} {form}");
            }
            if let Some(other) = others.first() {
                let more = linears.iter().chain([other]).cloned().collect();
                let error = format!("{:#}", read(&more).unwrap_err());
                assert!(error.contains("leave it out"), "{name} {form}: {error}");
            }
            if linears.len() > 1 {
                let error = format!("{:#}", read(&linears.iter().skip(1).cloned().collect()).unwrap_err());
                assert!(error.contains("its tensors are missing"), "{name} {form}: {error}");
            }
        }
    }
}
