//! Logs of other harnesses as item rows, so that what they measured can be compared and gated like a run.
//!
//! One file a format, each read from its writer's source and not from its documentation. A log says less than a run:
//! there is no adapter, no drift and no proof that the adapter acts, and a count of tokens that it lacks is 0.
//!
//! ```text
//! OUT/
//!   items.jsonl     one ItemRow an item, the task's name as the suite
//!   import.json     where the rows came from
//! ```

mod evalscope;
mod inspect;
mod json;
mod lm_eval;
mod scored;
mod tables;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rows::{ItemRow, SCHEMA};
use crate::eval::score::Verdict;
use crate::files::{self, create_folder, sha256, write_atomic, write_json};
use scored::Scored;

/// What the user decides about a log.
#[derive(Debug, Clone, Default)]
pub struct Choice {
    /// Metric that says what is right; the format's own default if None.
    pub metric: Option<String>,
    /// lm-eval's filter that the verdict is taken from.
    pub filter: Option<String>,
    /// Name of the model, where the log has none or another.
    pub model: Option<String>,
}

/// Rows with where they came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// In the order of files and items.
    pub rows: Vec<ItemRow>,
    /// `import.json`.
    pub meta: ImportMeta,
}

/// Where the rows of an import came from: `import.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportMeta {
    /// Version of the files, as in a run directory.
    pub schema: u32,
    /// Version of Ballast.
    pub ballast: String,
    /// The model as the logs name it; None where they do not.
    pub model: Option<String>,
    /// sha256 of `items.jsonl`.
    pub items_digest: String,
    /// One a file.
    pub sources: Vec<ImportedFile>,
}

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedFile {
    /// As given.
    pub file: String,
    /// Of its bytes.
    pub sha256: String,
    /// `lm-eval`, `evalscope` or `inspect`.
    pub format: String,
    /// Task, which is the rows' suite.
    pub task: String,
    /// Model, where the log names one.
    pub model: Option<String>,
    /// Metric that said what is right.
    pub metric: String,
    /// lm-eval's filter, where there are several.
    pub filter: Option<String>,
    /// Items.
    pub items: usize,
    /// Those right.
    pub correct: usize,
    /// Further answers to the same items (epochs, repeats): the first one counts.
    pub left_out: usize,
}

/// What a format's reader makes of a file.
struct Log {
    format: &'static str,
    task: String,
    model: Option<String>,
    metric: String,
    filter: Option<String>,
    left_out: usize,
    items: Vec<Scored>,
}

/// Reads logs of one model.
pub fn read(files: &[PathBuf], choice: &Choice) -> Result<Imported> {
    let mut rows = Vec::new();
    let mut sources: Vec<ImportedFile> = Vec::new();
    for path in files {
        let bytes = files::read(path, files::ROWS)?;
        let digest = sha256(&bytes);
        if let Some(same) = sources.iter().find(|source| source.sha256 == digest) {
            bail!("{} is the same file as {}: name it once", path.display(), same.file);
        }
        let log = log(path, &bytes, choice)?;
        ensure!(!log.items.is_empty(), "{} holds no answers", path.display());
        if let Some(same) = sources.iter().find(|source| source.task == log.task) {
            bail!("{} and {} both hold the task {}: import each model or run into its own folder", same.file, path.display(), log.task);
        }
        let made = scored::rows(&log.task, &log.items);
        sources.push(ImportedFile {
            file: path.display().to_string(),
            sha256: digest,
            format: log.format.to_owned(),
            task: log.task,
            model: log.model,
            metric: log.metric,
            filter: log.filter,
            items: made.len(),
            correct: made.iter().filter(|row| row.verdict == Verdict::Correct).count(),
            left_out: log.left_out,
        });
        rows.extend(made);
    }
    let meta = ImportMeta {
        schema: SCHEMA,
        ballast: env!("CARGO_PKG_VERSION").to_owned(),
        model: one_model(&sources, choice)?,
        items_digest: sha256(lines(&rows)?.as_bytes()),
        sources,
    };
    Ok(Imported { rows, meta })
}

/// Writes an import into its folder. `import.json` comes last: with it the import is whole.
pub fn write(imported: &Imported, folder: &Path) -> Result<()> {
    let (items, meta) = (folder.join("items.jsonl"), folder.join("import.json"));
    ensure!(!items.exists() || meta.exists(), "{} already holds rows that were not imported: name another folder", items.display());
    create_folder(folder)?;
    if meta.exists() {
        std::fs::remove_file(&meta).with_context(|| format!("failed to replace {}", meta.display()))?;
    }
    write_atomic(&items, lines(&imported.rows)?.as_bytes())?;
    write_json(&meta, &imported.meta)
}

fn lines(rows: &[ItemRow]) -> Result<String> {
    rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n")).collect()
}

/// The one model that all logs are of.
fn one_model(sources: &[ImportedFile], choice: &Choice) -> Result<Option<String>> {
    if choice.model.is_some() {
        return Ok(choice.model.clone());
    }
    let named: BTreeMap<&str, &str> = sources.iter().filter_map(|s| Some((s.model.as_deref()?, s.file.as_str()))).collect();
    let mut named = named.into_iter();
    let first = named.next();
    if let (Some((model, file)), Some((other, elsewhere))) = (first, named.next()) {
        bail!(
            "{file} is from the model {model}, {elsewhere} from {other}: import each into its own folder, or give --model if they are the same"
        );
    }
    Ok(first.map(|(model, _)| model.to_owned()))
}

/// Reads a file in the format that its contents show.
fn log(path: &Path, bytes: &[u8], choice: &Choice) -> Result<Log> {
    if bytes.starts_with(b"PK\x03\x04") {
        return inspect::archive(path, bytes, choice);
    }
    let text = std::str::from_utf8(bytes).with_context(|| format!("{} is not UTF-8 text", path.display()))?;
    // An indented document's first line alone is no JSON; that of a log of lines is.
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let has = |value: &Value, key: &str| value.get(key).is_some();
    match json::parse(first) {
        Ok(row) if has(&row, "doc_id") && has(&row, "resps") => lm_eval::read(path, text, choice),
        Ok(row) if has(&row, "sample_score") => evalscope::read(path, text, choice),
        Ok(row) if has(&row, "model_output") && has(&row, "index") => bail!(
            "{} holds evalscope's predictions, which have no score: use the file of the same name under reviews/ instead",
            path.display()
        ),
        Ok(row) if !has(&row, "eval") => bail!(
            "{} line 1 is not an answer that Ballast can read: it reads lm-eval's samples_*.jsonl (doc_id, resps), evalscope's reviews (sample_score) and Inspect's logs (eval, samples)",
            path.display()
        ),
        _ => inspect::document(path, text, choice),
    }
}

#[cfg(test)]
mod tests;
