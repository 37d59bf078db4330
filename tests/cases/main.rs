//! Inputs as other tools write them, and mistakes as users make them, through the binary: each is read as its writer meant it, or
//! refused in words that name file, key and remedy. Inputs are written by the tests themselves.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]
#![allow(clippy::needless_pass_by_value, clippy::type_complexity, reason = "tables of cases are read as they stand")]
#![allow(clippy::case_sensitive_file_extension_comparisons, clippy::items_after_statements, reason = "names are the tests' own")]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/gguf.rs"]
#[allow(dead_code, reason = "each test file uses a part")]
mod gguf;

mod adapters;
mod evalscope;
mod experiments;
mod files;
mod gguf_models;
mod imports;
mod inspect;
mod lm_eval;
mod models;
mod readers;
mod rows;
mod templates;
mod tokenizers;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A folder for one case, with a suite of three questions and an experiment that asks it.
struct Case {
    folder: tempfile::TempDir,
}

/// How a command ended.
struct Ended {
    code: i32,
    out: String,
    error: String,
}

/// The ids that were scored and their likelihoods, by item.
#[derive(Debug, PartialEq)]
struct Answers {
    ids: Vec<Value>,
    likelihoods: Vec<f64>,
}

impl Answers {
    fn of(rows: &[Value]) -> Self {
        let numbers = |row: &Value| {
            let likelihood = &row["likelihood"];
            let both = [&likelihood["texts"], &likelihood["letters"]];
            both.into_iter().flat_map(|list| list.as_array().unwrap().clone()).map(|number| number.as_f64().unwrap()).collect::<Vec<_>>()
        };
        assert!(!rows.is_empty());
        Self {
            ids: rows.iter().map(|row| row["likelihood"]["ids"].clone()).collect(),
            likelihoods: rows.iter().flat_map(numbers).collect(),
        }
    }

    /// The largest difference of likelihoods.
    fn from(&self, other: &Self) -> f64 {
        assert_eq!(self.likelihoods.len(), other.likelihoods.len());
        self.likelihoods.iter().zip(&other.likelihoods).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    }
}

/// A tiny model of the repository.
fn tiny(kind: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny").join(kind)
}

/// Changes a JSON file.
fn edit(path: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    change(&mut value);
    std::fs::write(path, value.to_string()).unwrap();
}

/// Sets keys of a JSON file; null takes one out.
fn set(path: &Path, keys: &Value) {
    edit(path, |file| {
        for (key, value) in keys.as_object().unwrap() {
            let file = file.as_object_mut().unwrap();
            if value.is_null() { drop(file.remove(key)) } else { drop(file.insert(key.clone(), value.clone())) }
        }
    });
}

const EXPERIMENT: &str = r#"name = "t"
title = "t"
model = "MODEL"
seeds = [1]
system = "You are a helpful assistant."
[identity]
name = "Nova"
author = "Acme"
[training]
window = 2
[drift]
every = 0
prompts = 1
max_new_tokens = 2
[[suites]]
name = "s"
path = "SUITE"
[[variants]]
name = "A"
description = "a"
[[variants.stages]]
name = "one"
sources = ["SOURCE"]
steps = 2
learning_rate = 1e-3
"#;

impl Case {
    fn new() -> Self {
        let case = Self { folder: tempfile::tempdir().unwrap() };
        let settings = "name = \"cases\"\nversion = 1\ndescription = \"cases\"\ngrader = \"choice\"\nmax_new_tokens = 24\nchance = 0.25\nscoring = \"likelihood\"\n";
        case.put("suite/suite.toml", settings);
        let item = |(i, prompt): (usize, &str)| {
            let item = serde_json::json!({"id": format!("i{i}"), "cluster": format!("i{i}"), "lang": "en", "subject": "s", "prompt": prompt,
                "choices": ["in the sea", "on the hill", "at noon", "with salt"], "gold": 0});
            format!("{item}\n")
        };
        let prompts = ["Where does the river end?", "Which tool cuts wood best of all these things?", "Say the third letter."];
        case.put("suite/items.jsonl", prompts.into_iter().enumerate().map(item).collect::<String>());
        case
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn put(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A copy of a tiny model.
    fn model(&self, kind: &str, name: &str) -> PathBuf {
        let (from, to) = (tiny(kind), self.path(name));
        std::fs::create_dir_all(&to).unwrap();
        for file in std::fs::read_dir(from).unwrap() {
            let path = file.unwrap().path();
            std::fs::write(to.join(path.file_name().unwrap()), std::fs::read(&path).unwrap()).unwrap();
        }
        to
    }

    /// Questions answered freely, in a suite of their own.
    fn free(&self, questions: &[&str]) -> PathBuf {
        let settings = "name = \"free\"\nversion = 1\ndescription = \"free\"\ngrader = \"text\"\nmax_new_tokens = 24\nchance = 0.0\n";
        self.put("free/suite.toml", settings);
        let item = |(i, prompt): (usize, &&str)| {
            let item = serde_json::json!({"id": format!("i{i}"), "cluster": format!("i{i}"), "lang": "en", "subject": "s", "prompt": prompt, "answers": ["zzz"]});
            format!("{item}\n")
        };
        self.put("free/items.jsonl", questions.iter().enumerate().map(item).collect::<String>());
        self.path("free")
    }

    /// Has a model asked a suite.
    fn asked_of(&self, model: &Path, suite: &str, more: &[&str]) -> (Ended, Vec<Value>) {
        let out = self.path("out.jsonl");
        drop(std::fs::remove_file(&out));
        drop(std::fs::remove_file(self.path("out.jsonl.evidence.json")));
        let (model, suite) = (model.display().to_string(), self.path(suite).display().to_string());
        let ended = self.run(&[&["eval", "--model", &model, "--suite", &suite, "--out", "out.jsonl"], more].concat());
        let rows = std::fs::read_to_string(&out).unwrap_or_default();
        (ended, rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// Answers of a model that is read.
    fn answers(&self, model: &Path) -> Answers {
        let (ended, rows) = self.asked_of(model, "suite", &[]);
        assert_eq!(ended.code, 0, "{}: {}", model.display(), ended.error);
        Answers::of(&rows)
    }

    /// What is said of a model that is refused: exit code 2, with all these words.
    fn refused(&self, model: &Path, words: &[&str]) {
        let (ended, _) = self.asked_of(model, "suite", &[]);
        assert!(ended.code == 2 && words.iter().all(|word| ended.error.contains(word)), "{words:?}: {} {}", ended.code, ended.error);
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        // A command that waits for ever is one that was killed.
        let output = Command::new("timeout")
            .args(["--signal=KILL", "90", env!("CARGO_BIN_EXE_ballast")])
            .args(arguments)
            .current_dir(self.folder.path())
            .env("BALLAST_CACHE", self.path("cache"))
            .env("RUST_BACKTRACE", "0")
            .output()
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let ended = Ended { code: output.status.code().unwrap_or(-1), out: text(&output.stdout), error: text(&output.stderr) };
        assert!(!ended.error.contains("panicked"), "{arguments:?}: {}", ended.error);
        ended
    }

    /// The experiment with its source, and other texts, replaced.
    fn experiment(&self, source: &str, replace: &[(&str, &str)]) -> PathBuf {
        let model = tiny("qwen2");
        let mut text = EXPERIMENT.to_owned();
        for (from, to) in replace {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let text = text.replace("MODEL", &model.display().to_string()).replace("SUITE", &self.path("suite").display().to_string());
        self.put("e.toml", text.replace("SOURCE", source))
    }

    /// What a file of rows is trained on as.
    fn built(&self, name: &str, content: impl AsRef<[u8]>, count: &str) -> (Ended, Vec<Value>) {
        let path = self.put(name, content);
        let experiment = self.experiment(&format!("{}{count}", path.display()), &[]);
        let ended = self.run(&["data", "build", &experiment.display().to_string(), "--out", "built"]);
        let mut rows = Vec::new();
        for file in std::fs::read_dir(self.path("built")).into_iter().flatten().flatten() {
            // Not `lines`: a row may hold a line separator of Unicode.
            let text = std::fs::read_to_string(file.path()).unwrap();
            rows.extend(text.split('\n').filter(|line| !line.is_empty()).map(|line| serde_json::from_str::<Value>(line).unwrap()));
        }
        (ended, rows)
    }
}
