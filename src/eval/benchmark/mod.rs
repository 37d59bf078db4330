//! Public benchmarks in the files they are published in, as suites like any other: `BENCHMARK:WHERE`.
//!
//! `reference` is what the user wrote; `split` chooses the files, `record` reads them, and one module a benchmark turns
//! its rows into items. Nothing of them ships with Ballast. A benchmark asks as instruct models are asked in published
//! evaluations without examples; `lead` puts examples before the questions of multiple choice. The words are in a
//! benchmark's module, and part of the suite's digest.

mod choice;
mod gsm8k;
mod humaneval;
mod lead;
mod mbpp;
mod record;
mod reference;
mod split;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use super::suite::{Item, Language, PromptFormat, Scoring, Suite, SuiteRole};
use crate::files::sha256;
use crate::model::fetch::{Cache, Fetcher, Progress};

use lead::Published;
use record::{Record, Source};
pub use reference::{Asking, Reference};

/// A public benchmark: how its files are laid out and read, and how it is asked.
#[derive(Debug)]
pub struct Benchmark {
    /// Name, as in tables and before the colon.
    pub name: &'static str,
    /// One sentence for reports.
    pub description: &'static str,
    /// The split that is asked where a folder holds several.
    split: &'static str,
    /// The configuration that is asked where a repository holds the same questions in several.
    config: &'static str,
    /// Longest answer.
    max_new_tokens: usize,
    scoring: Scoring,
    /// Columns of a csv file without a header.
    headerless: Option<&'static [&'static str]>,
    /// How it is asked with examples; None where that is not offered.
    published: Option<&'static Published>,
    /// The item of a row; None for one that cannot be asked here.
    item: fn(&Record) -> Result<Option<Item>>,
}

/// All benchmarks.
pub static BENCHMARKS: [Benchmark; 6] = [
    Benchmark {
        name: "mmlu",
        description: "MMLU: multiple choice with four options over 57 subjects, English, without examples, scored by likelihood.",
        split: "test",
        config: "all",
        max_new_tokens: 16,
        scoring: Scoring::Likelihood,
        headerless: Some(&["question", "A", "B", "C", "D", "answer"]),
        published: Some(&choice::MMLU),
        item: |record| choice::item(record, Language::En).map(Some),
    },
    Benchmark {
        name: "cmmlu",
        description: "CMMLU: multiple choice with four options over 67 subjects, Chinese, without examples, scored by likelihood.",
        split: "test",
        config: "all",
        max_new_tokens: 16,
        scoring: Scoring::Likelihood,
        headerless: None,
        published: Some(&choice::CMMLU),
        item: |record| choice::item(record, Language::Zh).map(Some),
    },
    Benchmark {
        name: "ceval",
        description: "C-Eval: multiple choice with four options over 52 subjects, Chinese, validation split, without examples, scored by likelihood.",
        split: "val",
        config: "all",
        max_new_tokens: 16,
        scoring: Scoring::Likelihood,
        headerless: None,
        published: Some(&choice::CEVAL),
        item: |record| choice::item(record, Language::Zh).map(Some),
    },
    Benchmark {
        name: "gsm8k",
        description: "GSM8K: grade-school word problems, English, step by step without examples, graded by the final number.",
        split: "test",
        config: "main",
        max_new_tokens: 400,
        scoring: Scoring::Generated,
        headerless: None,
        published: None,
        item: |record| gsm8k::item(record).map(Some),
    },
    Benchmark {
        name: "humaneval",
        description: "HumanEval: Python functions to complete from their docstrings, graded by running the published tests.",
        split: "test",
        config: "openai_humaneval",
        max_new_tokens: 512,
        scoring: Scoring::Generated,
        headerless: None,
        published: None,
        item: |record| humaneval::item(record).map(Some),
    },
    Benchmark {
        name: "mbpp",
        description: "MBPP: short Python tasks in words with the tests they must pass, graded by running these; without two tasks on tree objects.",
        split: "test",
        config: "full",
        max_new_tokens: 512,
        scoring: Scoring::Generated,
        headerless: None,
        published: None,
        item: mbpp::item,
    },
];

/// Words of a description that no longer hold once there are examples.
const WITHOUT: &str = "without examples";

/// Raised when a benchmark is asked in other words.
const VERSION: u32 = 1;

/// Reads a benchmark, from the hub if it is there and was not fetched before.
pub fn load(reference: &Reference, progress: &dyn Progress) -> Result<Suite> {
    load_with(reference, || Ok(Fetcher::from_env(Cache::from_env()?)), progress)
}

/// The same with what fetches as a value.
pub fn load_with(reference: &Reference, fetcher: impl Fn() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Suite> {
    let (benchmark, asking) = (reference.benchmark, reference.asking);
    let files = reference.files(&fetcher, progress)?;
    let mut items = benchmark.items(&files)?;
    ensure!(!items.is_empty(), "{reference} has no items");
    if asking != Asking::default() {
        let Some(published) = benchmark.published else {
            bail!("{reference} cannot be asked with shots or form: they are of the benchmarks {}", Benchmark::with_examples());
        };
        let mut examples = Vec::new();
        if asking.shots > 0 {
            let beside = reference.files_beside(published.split, &fetcher, progress)?;
            let same = |path: &PathBuf| files.iter().any(|file| file.canonicalize().ok() == path.canonicalize().ok());
            ensure!(!beside.iter().any(same), "{reference}: asks the very {} split that its examples would come from", published.split);
            examples = benchmark.items(&beside)?;
        }
        published.lead(&mut items, examples, asking)?;
    }
    benchmark.suite(items, asking)
}

impl Benchmark {
    /// Names of those that can be asked with examples.
    fn with_examples() -> String {
        let names: Vec<&str> = BENCHMARKS.iter().filter(|benchmark| benchmark.published.is_some()).map(|b| b.name).collect();
        names.join(", ")
    }

    /// The items of its files, in order.
    fn items(&self, files: &[PathBuf]) -> Result<Vec<Item>> {
        let (mut items, mut places) = (Vec::new(), BTreeMap::new());
        // Rows are counted in each subject, so that one file for all and one file a subject give the same ids.
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for path in files {
            let subject = split::subject_of(&path.to_string_lossy()).unwrap_or_else(|| self.name.to_owned());
            for mut record in record::read(&Source { path, subject }, self.headerless)? {
                if let Ok(subject) = record.text(&["subject"]) {
                    record.subject = subject;
                }
                let count = counts.entry(record.subject.clone()).or_default();
                record.index = *count;
                *count += 1;
                let Some(item) = (self.item)(&record)? else { continue };
                if let Some(earlier) = places.insert(item.id.clone(), record.place.clone()) {
                    bail!("{}: the id `{}` is taken by {earlier}; name one file or folder of the two", record.place, item.id);
                }
                items.push(item);
            }
        }
        Ok(items)
    }

    fn suite(&self, items: Vec<Item>, asking: Asking) -> Result<Suite> {
        let mut rows: Vec<_> = items.iter().map(|item| (&item.id, &item.subject, item.content_hash())).collect();
        rows.sort();
        let settings = (self.name, VERSION, self.max_new_tokens, self.scoring);
        Ok(Suite {
            name: self.name.to_owned(),
            version: VERSION,
            description: match asking {
                Asking { shots: 0, form: PromptFormat::Chat } => self.description.to_owned(),
                Asking { shots, form } => self.description.replace(WITHOUT, &format!("{shots} examples as {form}")),
            },
            role: SuiteRole::General,
            max_new_tokens: self.max_new_tokens,
            chance: items.iter().map(Item::chance).sum::<f64>() / items.len() as f64,
            scoring: self.scoring,
            digest: sha256(&serde_json::to_vec(&(settings, rows))?),
            items,
        })
    }
}

#[cfg(test)]
mod tests;
