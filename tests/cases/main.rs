//! Inputs as other tools write them, and mistakes as users make them, through the binary: each is read as its writer meant it, or
//! refused in words that name file, key and remedy. Inputs are written by the tests themselves.
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod experiments;
mod imports;
mod rows;

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

    fn run(&self, arguments: &[&str]) -> Ended {
        let output = Command::new(env!("CARGO_BIN_EXE_ballast"))
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
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2");
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
