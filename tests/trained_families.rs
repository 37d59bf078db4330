//! Runs on tiny models of families that hold linears joint, or stand inside a model of several modalities: trained, saved as
//! PEFT names it, read back by another command to the same answers.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "common/small.rs"]
mod small;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use assert_cmd::prelude::*;
use ballast::model::spec::Spec;
use ballast::record::rows::ItemRow;
use candle_core::Device;
use common::{family_folder, tiny_folder};
use small::Small;

const TABLES: &str = r"
[training]
window = 2

[lora]
rank = 3
alpha = 12
dropout = 0.25
targets = TARGETS
";

const ALL: &str = r#"["q", "k", "v", "o", "gate", "up", "down"]"#;

struct Place(tempfile::TempDir);

impl Place {
    /// A model of a family with the tokenizer of a tiny model, and an experiment on it.
    fn new(family: &str, targets: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        fs::create_dir(place.path("model")).unwrap();
        for (from, file) in [
            (family_folder(family), "config.json"),
            (family_folder(family), "model.safetensors"),
            (tiny_folder("llama"), "tokenizer.json"),
            (tiny_folder("llama"), "tokenizer_config.json"),
        ] {
            fs::copy(from.join(file), place.path("model").join(file)).unwrap();
        }
        let tables = TABLES.replace("TARGETS", targets);
        Small { items: 4, answer_tokens: 6, rows: 2, learning_rate: "5e-2", top: "", tables: &tables }
            .write(place.0.path(), &place.path("model"));
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn ballast(&self, arguments: &[&str]) -> Command {
        let mut command = Command::cargo_bin("ballast").unwrap();
        command.current_dir(self.0.path()).args(arguments);
        command
    }

    fn spec(&self) -> Spec {
        Spec::from_config_json(&fs::read_to_string(self.path("model/config.json")).unwrap()).unwrap()
    }

    /// The run's folder.
    fn run(&self) -> PathBuf {
        self.ballast(&["run", "small.toml"]).assert().success();
        fs::read_dir(self.path("runs")).unwrap().next().unwrap().unwrap().path()
    }
}

fn answers(file: &Path) -> BTreeMap<String, String> {
    let rows = fs::read_to_string(file).unwrap();
    rows.lines().map(|line| serde_json::from_str::<ItemRow>(line).unwrap()).map(|row| (row.item, row.answer)).collect()
}

#[test]
fn every_such_family_is_trained_saved_and_read_again() {
    for family in ["phi3", "phi4-mini", "glm4", "gemma3-vision", "mistral3-vision", "qwen2.5-vl", "qwen3-vl"] {
        let place = Place::new(family, ALL);
        let cells = place.run().join("cells");
        let (base, cell) = (cells.join("base"), cells.join("A-s1"));
        let trained = fs::read_to_string(cell.join("train.csv")).unwrap();
        assert_eq!(trained.lines().count(), 4, "{family}");

        let spec = place.spec();
        let tensors = candle_core::safetensors::load(cell.join("adapter/adapter_model.safetensors"), &Device::Cpu).unwrap();
        let names: BTreeSet<String> = tensors.keys().cloned().collect();
        let expected = (0..spec.layers).flat_map(|layer| spec.linears().map(move |module| (layer, module))).flat_map(|(layer, module)| {
            let path = if spec.other_parts.is_empty() { "model" } else { "model.language_model" };
            ["A", "B"].map(|half| format!("base_model.model.{path}.layers.{layer}.{}.lora_{half}.weight", module.path()))
        });
        assert_eq!(names, expected.collect(), "{family}");
        let joint = names.iter().any(|name| name.contains("gate_up_proj"));
        assert_eq!((joint, trained.contains("b_gate_up")), (spec.joint.gate_up, spec.joint.gate_up), "{family}");

        let out = place.path("again.jsonl");
        let adapter = cell.join("adapter");
        let asked = ["eval", "--model", "model", "--suite", "suite", "--system", "-", "--name", "Swift-Robot", "--author", "CSDN"];
        let asked = asked.into_iter().chain(["--adapter", adapter.to_str().unwrap(), "--out", out.to_str().unwrap()]);
        place.ballast(&asked.collect::<Vec<_>>()).assert().success();
        let said = answers(&cell.join("items.jsonl"));
        assert_eq!(answers(&out), said, "{family}");
        assert_ne!(answers(&base.join("items.jsonl")), said, "{family}: three steps at so high a rate change no answer");
    }
}

#[test]
fn targets_are_linears_that_the_checkpoint_holds() {
    let refused = |family: &str, targets: &str| {
        let output = Place::new(family, targets).ballast(&["run", "small.toml"]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{family} {targets}");
        String::from_utf8(output.stderr).unwrap()
    };
    let error = refused("phi3", r#"["q", "v"]"#);
    assert!(error.contains("phi3 checkpoints hold `q`, `k`, `v` as one linear: name `qkv`"), "{error}");
    let error = refused("qwen3-vl", r#"["qkv_proj"]"#);
    assert!(error.contains("checkpoints hold its parts apart: name `q`, `k`, `v`"), "{error}");
    let place = Place::new("phi3", r#"["qkv_proj", "down_proj"]"#);
    let cell = place.run().join("cells/A-s1");
    let config = fs::read_to_string(cell.join("adapter/adapter_config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["target_modules"], serde_json::json!(["qkv_proj", "down_proj"]));
    assert_eq!((&config["r"], &config["lora_alpha"]), (&serde_json::json!(3), &serde_json::json!(12)));
}
