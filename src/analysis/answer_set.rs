//! A set of answers to compare: a cell of a run, or a file of rows, with what is known of how they were made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::pair::Index;
use crate::counted::counted;
use crate::eval::score::IdentityTerms;
use crate::plan::run::Run;
use crate::record::evidence::{DECODING, Evidence};
use crate::record::rows::{CellRecord, ItemRow, SCHEMA};
use crate::record::run_dir::Cell;

/// One set of answers: a cell, or a file.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerSet {
    /// The path it was read from.
    pub path: String,
    /// Which run it belongs to: cells of one run and variant are seeds of each other.
    pub run: String,
    /// Whether that is a single file of answers.
    pub is_file: bool,
    /// Answers with what is known of them.
    pub cell: Cell,
    /// Base model by the name it was asked for, or that an imported log gives it, where known.
    pub model: Option<String>,
    /// Base model's digest, where known.
    pub weights: Option<String>,
    /// What has to be equal, by name; empty for a file without evidence.
    pub facts: BTreeMap<String, String>,
    /// Who the answers were to say they are, where known.
    pub identity: Option<IdentityTerms>,
    /// What an answer without the skill scores, by suite, where known.
    pub chance: BTreeMap<String, f64>,
}

fn facts(ballast: &str, system: &str, identity: &str, decoding: &str) -> BTreeMap<String, String> {
    let facts = [
        ("the version of Ballast, and so its graders,", ballast),
        ("the system prompt", system),
        ("the identity looked for", identity),
        ("the decoding", decoding),
    ];
    facts.map(|(what, value)| (what.to_owned(), value.to_owned())).into()
}

fn suite_fact(name: &str) -> String {
    format!("suite {name}: its questions or keys")
}

impl AnswerSet {
    /// A cell of the run in the folder `of`.
    pub fn of_cell(path: &Path, of: &Path, run: &Run, cell: Cell) -> Self {
        let meta = &run.meta;
        let terms = IdentityTerms::from(&run.experiment.identity).to_string();
        let mut facts = facts(&meta.ballast, &run.experiment.system, &terms, DECODING);
        facts.extend(meta.suites.iter().map(|(name, suite)| (suite_fact(name), suite.digest.clone())));
        Self {
            path: path.display().to_string(),
            run: of.display().to_string(),
            is_file: false,
            cell,
            model: Some(meta.model.clone()),
            weights: Some(meta.model_digest.clone()),
            facts,
            chance: meta.suites.iter().map(|(name, suite)| (name.clone(), suite.floor())).collect(),
            identity: Some(IdentityTerms::from(&run.experiment.identity)),
        }
    }

    /// The rows of a file, with the evidence that lies beside it.
    pub fn of_rows(path: &Path, items: Vec<ItemRow>, evidence: Option<&Evidence>) -> Self {
        let facts = evidence.map_or_else(BTreeMap::new, |evidence| {
            let mut facts = facts(&evidence.ballast, &evidence.system, &evidence.identity.to_string(), &evidence.decoding);
            facts.extend(evidence.suites.iter().map(|(name, suite)| (suite_fact(name), suite.digest.clone())));
            facts
        });
        let record = CellRecord {
            schema: SCHEMA,
            variant: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            seed: None,
            description: String::new(),
            stages: Vec::new(),
            derived: None,
            adapter_digest: None,
            rows_digest: None,
            liveness: None,
            train_seconds: 0.0,
            eval_seconds: 0.0,
            files: BTreeMap::new(),
        };
        Self {
            path: path.display().to_string(),
            run: path.display().to_string(),
            is_file: true,
            cell: Cell { record, items, probe: Vec::new(), train: Vec::new(), drift: Vec::new(), interference: Vec::new() },
            model: evidence.map(|evidence| evidence.model.clone()),
            weights: evidence.map(|evidence| evidence.weights.clone()),
            facts,
            identity: evidence.map(|evidence| evidence.identity.clone()),
            chance: BTreeMap::new(),
        }
    }

    /// The run's path with links and `..` resolved, so that two ways to one folder are seen to be one.
    pub fn canonical_run(&self) -> PathBuf {
        Path::new(&self.run).canonicalize().unwrap_or_else(|_| PathBuf::from(&self.run))
    }

    /// Why these answers may not be compared with another's, each in a sentence: facts that differ, items that only one
    /// has, prompts that are not the same.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let facts = self.facts.iter().filter_map(|(what, value)| {
            let found = other.facts.get(what).filter(|found| *found != value)?;
            Some(format!("{what} differs: `{}` and `{}`", short(value), short(found)))
        });
        let mut differences: Vec<String> = facts.collect();
        let (ours, theirs) = (Index::new(&self.cell.items), Index::new(&other.cell.items));
        let mut only: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
        for (place, (here, there)) in [(&ours, &theirs), (&theirs, &ours)].into_iter().enumerate() {
            for row in here.rows().filter(|row| there.get(row).is_none()) {
                only.entry(&row.suite).or_default()[place].push(&row.item);
            }
        }
        differences.extend(only.iter().map(|(suite, [here, there])| {
            let (ours, theirs) = (named(here), named(there));
            format!(
                "suite {suite}: {} asked only in {}{ours}, {} only in {}{theirs}",
                counted(here.len(), "item"),
                self.path,
                there.len(),
                other.path
            )
        }));
        let same_model = self.weights.is_some() && self.weights == other.weights;
        let other_prompt =
            |row: &&ItemRow| theirs.get(row).is_some_and(|found| found.prompt != row.prompt || (same_model && !same_tokens(found, row)));
        let prompts: Vec<&str> = ours.rows().filter(other_prompt).map(|row| row.item.as_str()).collect();
        if !prompts.is_empty() {
            differences.push(format!(
                "{} asked with a different prompt or system prompt{}",
                counted(prompts.len(), "item"),
                named(&prompts)
            ));
        }
        for source in [self, other] {
            let rows = source.cell.items.len();
            let distinct = Index::new(&source.cell.items).len();
            if rows != distinct {
                differences.push(format!("{} answers {} twice", source.path, counted(rows - distinct, "item")));
            }
        }
        differences
    }
}

/// Whether both were given the same tokens. Rows without a digest have no conversations, whose lengths depend on the answers.
fn same_tokens(a: &ItemRow, b: &ItemRow) -> bool {
    if a.prompt_digest.is_empty() || b.prompt_digest.is_empty() {
        a.prompt_tokens == b.prompt_tokens
    } else {
        a.prompt_digest == b.prompt_digest
    }
}

/// ` (fact-001, fact-002, fact-003 ...)`
fn named(items: &[&str]) -> String {
    const SHOWN: usize = 3;
    let more = if items.len() > SHOWN { " ..." } else { "" };
    let shown = items.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if items.is_empty() { String::new() } else { format!(" ({shown}{more})") }
}

/// A text that fits a message.
fn short(text: &str) -> String {
    if text.chars().count() > 60 { text.chars().take(12).collect() } else { text.to_owned() }
}
