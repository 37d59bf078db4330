//! Where things lie in a run directory, and a finished cell read back.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};

use super::lines::{read_csv, read_json_lines};
use super::rows::{CellRecord, DriftRow, ItemRow};
use crate::error::Invalid;
use crate::files::{create_folder, file_sha256, read_json, remove_partial_files};
use crate::train::interference::InterferenceRow;
use crate::train::telemetry::StepRow;

/// A run's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunDir(pub PathBuf);

/// A cell's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellDir(pub PathBuf);

impl RunDir {
    /// `plan.toml`
    pub fn plan(&self) -> PathBuf {
        self.0.join("plan.toml")
    }
    /// `meta.json`
    pub fn meta(&self) -> PathBuf {
        self.0.join("meta.json")
    }
    /// `evidence.json`
    pub fn evidence(&self) -> PathBuf {
        self.0.join("evidence.json")
    }
    /// `lock`
    pub fn lock(&self) -> PathBuf {
        self.0.join("lock")
    }
    /// `checkpoint.safetensors`
    pub fn checkpoint(&self) -> PathBuf {
        self.0.join("checkpoint.safetensors")
    }
    /// `report/`
    pub fn report(&self) -> PathBuf {
        self.0.join("report")
    }
    /// The base's cell.
    pub fn base(&self) -> CellDir {
        CellDir(self.0.join("cells/base"))
    }
    /// A variant's cell.
    pub fn cell(&self, variant: &str, seed: u64) -> CellDir {
        CellDir(self.0.join("cells").join(format!("{variant}-s{seed}")))
    }
}

impl CellDir {
    /// Creates the folder, or removes what a kill left half-written in it.
    pub fn create(&self) -> Result<()> {
        create_folder(&self.0)?;
        remove_partial_files(&self.0)?;
        remove_partial_files(&self.adapter())
    }
    /// `cell.json`
    pub fn record(&self) -> PathBuf {
        self.0.join("cell.json")
    }
    /// `items.jsonl`
    pub fn items(&self) -> PathBuf {
        self.0.join("items.jsonl")
    }
    /// `probe.jsonl`
    pub fn probe(&self) -> PathBuf {
        self.0.join("probe.jsonl")
    }
    /// `train.csv`
    pub fn train(&self) -> PathBuf {
        self.0.join("train.csv")
    }
    /// `drift.csv`
    pub fn drift(&self) -> PathBuf {
        self.0.join("drift.csv")
    }
    /// `interference.csv`
    pub fn interference(&self) -> PathBuf {
        self.0.join("interference.csv")
    }
    /// `adapter/`
    pub fn adapter(&self) -> PathBuf {
        self.0.join("adapter")
    }
    /// `state.json`
    pub fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }

    /// sha256 of every file that a finished cell is made of, by its path in the cell.
    pub fn digests(&self) -> Result<Digests> {
        let there = FILES.iter().filter(|name| self.0.join(name).exists());
        there.map(|name| Ok(((*name).to_owned(), file_sha256(&self.0.join(name))?))).collect()
    }

    /// Digests of the adapter alone.
    pub fn adapter_digests(&self) -> Result<Digests> {
        Ok(self.digests()?.into_iter().filter(|(name, _)| name.starts_with("adapter/")).collect())
    }

    /// As [`Self::verify`], for the adapter alone.
    pub fn verify_adapter(&self, written: &Digests) -> Result<()> {
        self.verify(written, &self.adapter_digests()?)
    }

    /// An error that names the first of these files that is not as it was written.
    pub fn verify(&self, written: &Digests, found: &Digests) -> Result<()> {
        for name in FILES {
            let (written, found) = (written.get(name), found.get(name));
            if written == found {
                continue;
            }
            let what = match (written, found) {
                (Some(_), None) => "is gone",
                (None, _) => "is there, though the run did not write it",
                _ => "has changed since the run wrote it",
            };
            bail!(Invalid(format!(
                "{} {what}: put it back as it was, or delete the folder {} and run again",
                self.0.join(name).display(),
                self.0.display()
            )));
        }
        Ok(())
    }
}

/// sha256 by path.
pub type Digests = BTreeMap<String, String>;

/// What a finished cell is made of.
const FILES: [&str; 7] = [
    "adapter/adapter_config.json",
    "adapter/adapter_model.safetensors",
    "train.csv",
    "drift.csv",
    "interference.csv",
    "probe.jsonl",
    "items.jsonl",
];

/// A finished cell read back.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// Its description of itself.
    pub record: CellRecord,
    /// Final evaluation, in the order of suites and items.
    pub items: Vec<ItemRow>,
    /// Probes during training.
    pub probe: Vec<ItemRow>,
    /// Training steps.
    pub train: Vec<StepRow>,
    /// Drift during training.
    pub drift: Vec<DriftRow>,
    /// How identity rows and general rows pull at each linear, during training.
    pub interference: Vec<InterferenceRow>,
}

impl Cell {
    /// Reads a cell's folder, its items in the order of `suites`; None for a cell that is not finished.
    pub fn read(dir: &CellDir, suites: &[&str]) -> Result<Option<Self>> {
        if !dir.record().exists() {
            return Ok(None);
        }
        let mut items: Vec<ItemRow> = read_json_lines(&dir.items())?;
        // Items are written as they finish; reports want them in one order.
        items.sort_by_key(|row| (suites.iter().position(|suite| *suite == row.suite), row.item.clone()));
        let probe = if dir.probe().exists() { read_json_lines(&dir.probe())? } else { Vec::new() };
        Ok(Some(Self {
            record: read_json(&dir.record())?,
            items,
            probe,
            train: read_csv(&dir.train())?,
            drift: read_csv(&dir.drift())?,
            interference: read_csv(&dir.interference())?,
        }))
    }
}
