//! Answers to compare, from wherever they lie: a run directory, a cell's folder in one, or a file of `ballast eval --out`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::evidence::{DECODING, Evidence, evidence_path};
use super::import::ImportMeta;
use super::lines::read_json_lines;
use super::rows::{CellRecord, ItemRow, RunMeta, SCHEMA};
use super::run_dir::{Cell, Run};
use crate::config::file::Experiment;
use crate::eval::score::IdentityTerms;
use crate::files::read_json;

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
    /// Accuracy of a random chooser by suite, where known.
    pub chance: BTreeMap<String, f64>,
}

/// Reads a path: one source of a file or a cell, the base and every finished cell of a run.
pub fn read_answer_sets(path: &Path) -> Result<Vec<AnswerSet>> {
    ensure!(
        path.exists(),
        "{} does not exist: name a run directory, a cell's folder in one, a file of `ballast eval --out`, or a folder of `ballast import`",
        path.display()
    );
    if path.is_file() {
        return Ok(vec![of_file(path)?]);
    }
    if path.join("meta.json").exists() {
        let run = Run::read(path)?;
        let cells = std::iter::once(run.base).chain(run.cells);
        return Ok(cells.map(|cell| of_cell(path, path, &run.experiment, &run.meta, cell)).collect());
    }
    if path.join("import.json").exists() {
        let meta: ImportMeta = read_json(&path.join("import.json"))?;
        let mut source = of_file(&path.join("items.jsonl"))?;
        source
            .cell
            .record
            .variant
            .clone_from(&path.file_name().map_or_else(|| source.path.clone(), |name| name.to_string_lossy().into_owned()));
        source.model = meta.model;
        return Ok(vec![source]);
    }
    // runs/NAME/cells/CELL
    let folder = path.canonicalize().with_context(|| format!("failed to open {}", path.display()))?;
    let run_folder = folder.parent().and_then(Path::parent).filter(|folder| folder.join("meta.json").exists());
    let Some(run_folder) = run_folder else {
        bail!("{} is neither a run directory nor the folder of a cell in one", path.display());
    };
    let run = Run::read(run_folder)?;
    let record: CellRecord = read_json(&folder.join("cell.json")).with_context(|| format!("{} is not finished", path.display()))?;
    let cell =
        std::iter::once(run.base).chain(run.cells).find(|cell| cell.record.variant == record.variant && cell.record.seed == record.seed);
    let cell = cell.with_context(|| format!("{} does not belong to the run's plan", path.display()))?;
    Ok(vec![of_cell(path, run_folder, &run.experiment, &run.meta, cell)])
}

fn of_cell(path: &Path, run: &Path, experiment: &Experiment, meta: &RunMeta, cell: Cell) -> AnswerSet {
    let terms = IdentityTerms::from(&experiment.identity).to_string();
    let mut facts = facts(&meta.ballast, &experiment.system, &terms, DECODING);
    facts.extend(meta.suites.iter().map(|(name, suite)| (suite_fact(name), suite.digest.clone())));
    AnswerSet {
        path: path.display().to_string(),
        run: run.display().to_string(),
        is_file: false,
        cell,
        model: Some(meta.model.clone()),
        weights: Some(meta.model_digest.clone()),
        facts,
        chance: meta.suites.iter().map(|(name, suite)| (name.clone(), suite.chance)).collect(),
    }
}

fn of_file(path: &Path) -> Result<AnswerSet> {
    let items: Vec<ItemRow> = read_json_lines(path)?;
    ensure!(!items.is_empty(), "{} holds no answers", path.display());
    let beside = evidence_path(path);
    let evidence: Option<Evidence> = if beside.exists() { Some(read_json(&beside)?) } else { None };
    let facts = evidence.as_ref().map_or_else(BTreeMap::new, |evidence| {
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
    Ok(AnswerSet {
        path: path.display().to_string(),
        run: path.display().to_string(),
        is_file: true,
        cell: Cell { record, items, probe: Vec::new(), train: Vec::new(), drift: Vec::new() },
        model: evidence.as_ref().map(|evidence| evidence.model.clone()),
        weights: evidence.map(|evidence| evidence.weights),
        facts,
        chance: BTreeMap::new(),
    })
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
        let (ours, theirs) = (by_item(&self.cell), by_item(&other.cell));
        let mut only: BTreeMap<&str, [Vec<&str>; 2]> = BTreeMap::new();
        for (place, (here, there)) in [(&ours, &theirs), (&theirs, &ours)].into_iter().enumerate() {
            for ((suite, _), row) in here.iter().filter(|(key, _)| !there.contains_key(*key)) {
                only.entry(suite).or_default()[place].push(&row.item);
            }
        }
        differences.extend(only.iter().map(|(suite, [here, there])| {
            let (ours, theirs) = (named(here), named(there));
            format!(
                "suite {suite}: {} items were asked only in {}{ours}, {} only in {}{theirs}",
                here.len(),
                self.path,
                there.len(),
                other.path
            )
        }));
        let same_model = self.weights.is_some() && self.weights == other.weights;
        let other_prompt = |key: &(&str, &str), row: &&ItemRow| {
            theirs.get(key).is_some_and(|found| found.prompt != row.prompt || (same_model && !same_tokens(found, row)))
        };
        let prompts: Vec<&str> = ours.iter().filter(|(key, row)| other_prompt(key, row)).map(|(_, row)| row.item.as_str()).collect();
        if !prompts.is_empty() {
            differences.push(format!(
                "{} items were asked with another prompt, or another system prompt{}",
                prompts.len(),
                named(&prompts)
            ));
        }
        for source in [self, other] {
            let rows = source.cell.items.len();
            let distinct = by_item(&source.cell).len();
            if rows != distinct {
                differences.push(format!("{} answers {} items twice", source.path, rows - distinct));
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

fn by_item(cell: &Cell) -> BTreeMap<(&str, &str), &ItemRow> {
    cell.items.iter().map(|row| ((row.suite.as_str(), row.hash.as_str()), row)).collect()
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
