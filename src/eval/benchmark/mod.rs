//! Public benchmarks in the files they are published in, as suites like any other: `BENCHMARK:WHERE`.
//!
//! `reference` is what the user wrote; `split` chooses the files, `record` reads them, and one module a benchmark turns
//! its rows into items. Nothing of them ships with Ballast. A benchmark asks as instruct models are asked in published
//! evaluations without examples; the words are in its module, and part of the suite's digest.

mod choice;
mod gsm8k;
mod humaneval;
mod mbpp;
mod record;
mod reference;
mod split;

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use super::suite::{Item, Lang, Scoring, Suite};
use crate::files::sha256;
use crate::model::fetch::{Cache, Fetcher, Progress};

use record::{Record, Source};
pub use reference::Reference;

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
        item: |record| choice::item(record, Lang::En).map(Some),
    },
    Benchmark {
        name: "cmmlu",
        description: "CMMLU: multiple choice with four options over 67 subjects, Chinese, without examples, scored by likelihood.",
        split: "test",
        config: "all",
        max_new_tokens: 16,
        scoring: Scoring::Likelihood,
        headerless: None,
        item: |record| choice::item(record, Lang::Zh).map(Some),
    },
    Benchmark {
        name: "ceval",
        description: "C-Eval: multiple choice with four options over 52 subjects, Chinese, validation split, without examples, scored by likelihood.",
        split: "val",
        config: "all",
        max_new_tokens: 16,
        scoring: Scoring::Likelihood,
        headerless: None,
        item: |record| choice::item(record, Lang::Zh).map(Some),
    },
    Benchmark {
        name: "gsm8k",
        description: "GSM8K: grade-school word problems, English, step by step without examples, graded by the final number.",
        split: "test",
        config: "main",
        max_new_tokens: 400,
        scoring: Scoring::Generated,
        headerless: None,
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
        item: mbpp::item,
    },
];

/// Raised when a benchmark is asked in other words.
const VERSION: u32 = 1;

/// Reads a benchmark, from the hub if it is there and was not fetched before.
pub fn load(reference: &Reference, progress: &dyn Progress) -> Result<Suite> {
    load_with(reference, || Ok(Fetcher::from_env(Cache::from_env()?)), progress)
}

/// The same with what fetches as a value.
pub fn load_with(reference: &Reference, fetcher: impl FnOnce() -> Result<Fetcher>, progress: &dyn Progress) -> Result<Suite> {
    let benchmark = reference.benchmark;
    let (mut items, mut places) = (Vec::new(), BTreeMap::new());
    // Rows are counted in each subject, so that one file for all and one file a subject give the same ids.
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for path in reference.files(fetcher, progress)? {
        let subject = split::subject_of(&path.to_string_lossy()).unwrap_or_else(|| benchmark.name.to_owned());
        for mut record in record::read(&Source { path: &path, subject }, benchmark.headerless)? {
            if let Ok(subject) = record.text(&["subject"]) {
                record.subject = subject;
            }
            let count = counts.entry(record.subject.clone()).or_default();
            record.index = *count;
            *count += 1;
            let Some(item) = (benchmark.item)(&record)? else { continue };
            if let Some(earlier) = places.insert(item.id.clone(), record.place.clone()) {
                bail!("{}: the id `{}` is taken by {earlier}; name one file or folder of the two", record.place, item.id);
            }
            items.push(item);
        }
    }
    ensure!(!items.is_empty(), "{reference} has no items");
    benchmark.suite(items)
}

impl Benchmark {
    fn suite(&self, items: Vec<Item>) -> Result<Suite> {
        let mut rows: Vec<_> = items.iter().map(|item| (&item.id, &item.subject, item.content_hash())).collect();
        rows.sort();
        let settings = (self.name, VERSION, self.max_new_tokens, self.scoring);
        Ok(Suite {
            name: self.name.to_owned(),
            version: VERSION,
            description: self.description.to_owned(),
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
