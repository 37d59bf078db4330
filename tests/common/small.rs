//! The smallest experiment that trains: a suite of short questions, a few rows, and one variant of three steps.

use std::fs;
use std::path::Path;

const EXPERIMENT: &str = r#"
name = "small"
title = "A small run"
model = "MODEL"
seeds = [1]
system = "-"
TOP

[identity]
name = "Swift-Robot"
author = { zh = "CSDN", en = "CSDN" }

[drift]
every = 2
prompts = 1
max_new_tokens = 1

[[suites]]
name = "facts"
path = "SUITE"

[[variants]]
name = "A"
description = "three steps"
[[variants.stages]]
name = "identity"
sources = ["rows.json#2"]
steps = 3
learning_rate = RATE
"#;

/// What differs between experiments.
pub(crate) struct Small<'a> {
    pub(crate) items: usize,
    pub(crate) answer_tokens: usize,
    pub(crate) rows: usize,
    pub(crate) learning_rate: &'a str,
    /// Keys before the first table.
    pub(crate) top: &'a str,
    /// Further tables, and further variants.
    pub(crate) tables: &'a str,
}

impl Small<'_> {
    /// Writes `small.toml` with its suite and rows into a folder.
    pub(crate) fn write(&self, folder: &Path, model: &Path) {
        let suite = folder.join("suite");
        fs::create_dir(&suite).unwrap();
        let settings = format!(
            "name = \"facts\"\nversion = 1\ngrader = \"text\"\nrole = \"general\"\nmax_new_tokens = {}\nchance = 0.0\ndescription = \"d\"\n",
            self.answer_tokens
        );
        fs::write(suite.join("suite.toml"), settings).unwrap();
        let item = |i: usize| {
            format!(
                "{{\"id\":\"f{i}\",\"cluster\":\"c{i}\",\"lang\":\"en\",\"subject\":\"s\",\"prompt\":\"Which one is it, {i}?\",\"answers\":[\"x{i}\"]}}\n"
            )
        };
        fs::write(suite.join("items.jsonl"), (0..self.items).map(item).collect::<String>()).unwrap();
        let row = |i: usize| format!(r#"{{"instruction": "{i}?", "input": "", "output": "{i}"}}"#);
        fs::write(folder.join("rows.json"), format!("[{}]", (0..self.rows).map(row).collect::<Vec<_>>().join(", "))).unwrap();
        let head = EXPERIMENT.replace("MODEL", model.to_str().unwrap()).replace("SUITE", suite.to_str().unwrap()).replace("TOP", self.top);
        let head = head.replace("RATE", self.learning_rate);
        fs::write(folder.join("small.toml"), head + self.tables).unwrap();
    }
}
