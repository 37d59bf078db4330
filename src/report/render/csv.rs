//! A table for programs.

use anyhow::{Context, Result};

use crate::report::ReportFile;
use crate::report::table::{Cell, Table};

/// The table as a file.
pub(in crate::report) fn file(name: &str, table: &Table) -> Result<ReportFile> {
    let header: Vec<String> = table.header.iter().map(|heading| heading.words.letters()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(Cell::value));
    let bytes = crate::shown::csv(&header, rows).with_context(|| format!("failed to write {name}"))?;
    Ok(ReportFile::new(name, bytes))
}
