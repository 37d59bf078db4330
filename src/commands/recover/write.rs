//! The output folder, whole or not at all: everything is written beside it and renamed.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::beside;
use crate::commands::gate::Measured;
use crate::files::{create_folder, place_folder, remove_folder, write_json};
use crate::record::lines::write_json_lines;
use crate::recover::result::RecoverResult;
use crate::report;

/// The folder that becomes the output; what a killed command left of it is removed.
pub(super) fn begin(out: &Path) -> Result<PathBuf> {
    let partial = beside(out, "partial")?;
    remove_folder(&partial)?;
    create_folder(&partial)?;
    Ok(partial)
}

/// Removes it again.
pub(super) fn remove(partial: &Path) -> Result<()> {
    remove_folder(partial)
}

/// Writes everything beside the adapter and puts the folder into its place.
pub(super) fn finish(partial: &Path, out: &Path, result: &RecoverResult, measured: &Measured) -> Result<()> {
    let gate = partial.join("gate");
    report::write(&report::gate::files(&measured.result)?, &gate)?;
    write_json_lines(&gate.join("items.jsonl"), &measured.rows)?;
    report::write(&report::recover::files(result, &measured.result)?, partial)?;
    write_json(&partial.join("recover.json"), result)?;
    place_folder(partial, out)
}
