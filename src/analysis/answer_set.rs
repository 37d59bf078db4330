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
    /// How they came about; None for a file without evidence.
    pub conditions: Option<Conditions>,
    /// What an answer without the skill scores, by suite, where known.
    pub chance: BTreeMap<String, f64>,
}

/// How answers came about, as far as sets of answers must agree on it to be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// Version of Ballast, and so of its graders.
    pub ballast: String,
    /// System prompt for every question.
    pub system: String,
    /// Who the answers were to say they are.
    pub identity: IdentityTerms,
    /// How answers were decoded.
    pub decoding: String,
    /// Digests of the suites, by name.
    pub suites: BTreeMap<String, String>,
}

impl Conditions {
    /// In what others differ, each in a sentence. Suites that only one was asked are no difference here.
    fn differences(&self, other: &Self) -> Vec<String> {
        let common = self.suites.iter().filter_map(|(name, digest)| Some((name, digest.as_str(), other.suites.get(name)?.as_str())));
        let suites = common.map(|(name, here, there)| (format!("suite {name}: its questions or keys"), here, there));
        let (here, there) = (self.identity.to_string(), other.identity.to_string());
        let others = [
            ("the decoding", self.decoding.as_str(), other.decoding.as_str()),
            ("the identity looked for", &here, &there),
            ("the system prompt", &self.system, &other.system),
            ("the version of Ballast, and so its graders,", &self.ballast, &other.ballast),
        ];
        suites
            .chain(others.map(|(what, here, there)| (what.to_owned(), here, there)))
            .filter(|(_, here, there)| here != there)
            .map(|(what, here, there)| format!("{what} differs: `{}` and `{}`", short(here), short(there)))
            .collect()
    }
}

impl AnswerSet {
    /// A cell of the run in the folder `of`.
    pub fn of_cell(path: &Path, of: &Path, run: &Run, cell: Cell) -> Self {
        let meta = &run.meta;
        let conditions = Conditions {
            ballast: meta.ballast.clone(),
            system: run.experiment.system.clone(),
            identity: IdentityTerms::from(&run.experiment.identity),
            decoding: DECODING.to_owned(),
            suites: meta.suites.iter().map(|(name, suite)| (name.clone(), suite.digest.clone())).collect(),
        };
        Self {
            path: path.display().to_string(),
            run: of.display().to_string(),
            is_file: false,
            cell,
            model: Some(meta.model.clone()),
            weights: Some(meta.model_digest.clone()),
            conditions: Some(conditions),
            chance: meta.suites.iter().map(|(name, suite)| (name.clone(), suite.floor())).collect(),
        }
    }

    /// The rows of a file, with the evidence that lies beside it.
    pub fn of_rows(path: &Path, items: Vec<ItemRow>, evidence: Option<&Evidence>) -> Self {
        let conditions = evidence.map(|evidence| Conditions {
            ballast: evidence.ballast.clone(),
            system: evidence.system.clone(),
            identity: evidence.identity.clone(),
            decoding: evidence.decoding.clone(),
            suites: evidence.suites.iter().map(|(name, suite)| (name.clone(), suite.digest.clone())).collect(),
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
            conditions,
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
        let conditions = self.conditions.as_ref().zip(other.conditions.as_ref());
        let mut differences = conditions.map_or_else(Vec::new, |(ours, theirs)| ours.differences(theirs));
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
