//! A run directory read back: the experiment that it was planned as, with the records of its cells.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::config::file::Experiment;
use crate::files::{read_json, read_text};
use crate::record::evidence::Evidence;
use crate::record::rows::{RunMeta, SCHEMA};
use crate::record::run_dir::{Cell, RunDir};

/// A run read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The experiment as it was run.
    pub experiment: Experiment,
    /// Versions and digests.
    pub meta: RunMeta,
    /// What its answers are made of; None for a run of a version that did not write it down.
    pub evidence: Option<Evidence>,
    /// The base's cell.
    pub base: Cell,
    /// Finished variants' cells, in the experiment's order.
    pub cells: Vec<Cell>,
    /// `variant-sSEED` of cells that are not finished.
    pub missing: Vec<String>,
}

impl Run {
    /// Reads a run directory. The base's cell must be finished.
    pub fn read(folder: &Path) -> Result<Self> {
        let dir = RunDir(folder.to_owned());
        let meta: RunMeta = read_json(&dir.meta()).with_context(|| format!("{} is not a run directory", folder.display()))?;
        ensure!(meta.schema <= SCHEMA, "{} was written by a newer Ballast (schema {}): update this one", folder.display(), meta.schema);
        let plan = dir.plan();
        let experiment = Experiment::parse(&read_text(&plan)?, &plan.display().to_string())?;
        let order: Vec<&str> = experiment.suites.iter().map(|suite| suite.name.as_str()).collect();
        let base =
            Cell::read(&dir.base(), &order)?.with_context(|| format!("{}: the base has not been evaluated yet", folder.display()))?;
        let (mut cells, mut missing) = (Vec::new(), Vec::new());
        for (variant, seed) in experiment.cells() {
            match Cell::read(&dir.cell(&variant.name, seed), &order)? {
                Some(cell) => cells.push(cell),
                None => missing.push(format!("{}-s{seed}", variant.name)),
            }
        }
        let evidence = if dir.evidence().exists() { Some(read_json(&dir.evidence())?) } else { None };
        Ok(Self { experiment, meta, evidence, base, cells, missing })
    }
}
