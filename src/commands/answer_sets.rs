//! Answers to compare, from wherever they are: a run directory, the folder of a cell in one, a file of `ballast eval --out`, or
//! a folder of `ballast import`.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use crate::analysis::answer_set::AnswerSet;
use crate::files::read_json;
use crate::plan::run::Run;
use crate::record::evidence::{Evidence, evidence_path};
use crate::record::import::ImportMeta;
use crate::record::lines::read_json_lines;
use crate::record::rows::{CellRecord, ItemRow};

/// Reads a path: one source of a file or a cell, the base and every finished cell of a run.
pub(super) fn read_answer_sets(path: &Path) -> Result<Vec<AnswerSet>> {
    ensure!(
        path.exists(),
        "{} does not exist: name a run directory, a cell's folder in one, a file of `ballast eval --out`, or a folder of `ballast import`",
        path.display()
    );
    if !path.is_dir() {
        return Ok(vec![of_file(path)?]);
    }
    if path.join("meta.json").exists() {
        let run = Run::read(path)?;
        let cells = std::iter::once(&run.base).chain(&run.cells);
        return Ok(cells.map(|cell| AnswerSet::of_cell(path, path, &run, cell.clone())).collect());
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
        std::iter::once(&run.base).chain(&run.cells).find(|cell| cell.record.variant == record.variant && cell.record.seed == record.seed);
    let cell = cell.with_context(|| format!("{} does not belong to the run's plan", path.display()))?;
    Ok(vec![AnswerSet::of_cell(path, run_folder, &run, cell.clone())])
}

fn of_file(path: &Path) -> Result<AnswerSet> {
    let items: Vec<ItemRow> = read_json_lines(path)?;
    ensure!(!items.is_empty(), "{} holds no answers", path.display());
    let beside = evidence_path(path);
    let evidence: Option<Evidence> = if beside.exists() { Some(read_json(&beside)?) } else { None };
    Ok(AnswerSet::of_rows(path, items, evidence.as_ref()))
}
