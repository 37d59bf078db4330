//! Reports: from a run's records to tables, figures, Markdown and one HTML page.
//!
//! Everything is a pure function of the records: the same records give the same bytes, on any day. `analysis` finds the
//! numbers; `sections`, `tables`, `summary`, `versus` and `gate` put them into the blocks of `document`, all tables into the one
//! type of `table`; `render` writes blocks as Markdown, HTML, csv or for a terminal. What cannot be shown is not claimed:
//! `headline` and `claims` choose their words by rules over intervals.

pub mod gate;
pub mod plot;

pub mod across;
pub mod calibration;
mod claims;
mod document;
mod figures;
mod headline;
mod page;
pub mod recover;
mod render;
mod sections;
mod summary;
mod table;
mod tables;
#[cfg(test)]
mod tests;
pub(crate) mod text;
pub mod versus;
mod warnings;

use std::path::Path;

use anyhow::{Context, Result};

use crate::analysis::results::Results;
use crate::analysis::view::View;
use crate::files::{create_folder, write_atomic};
use crate::plan::run::Run;
use render::{markdown, terminal};
use sections::Medium;

/// Pixels a unit of a PNG: sharp on dense screens.
const SCALE: f32 = 2.0;

/// One file of a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Name in the report's folder.
    pub name: String,
    /// Contents.
    pub bytes: Vec<u8>,
}

impl ReportFile {
    fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into() }
    }

    /// A figure as PNG and as SVG.
    fn pictures(name: &str, svg: String) -> Result<[Self; 2]> {
        let png = plot::raster::png(&svg, SCALE).with_context(|| format!("failed to draw {name}.png"))?;
        Ok([Self::new(format!("{name}.png"), png), Self::new(format!("{name}.svg"), svg)])
    }
}

/// The report of a run: `report.md`, `report.html`, each figure as SVG and PNG, each table as CSV.
pub fn render(run: &Run) -> Result<Vec<ReportFile>> {
    let results = Results::new(View::new(run));
    let figures = figures::all(&results.view)?;
    let mut files = vec![
        ReportFile::new("report.md", markdown::document(&sections::page(&results, &figures, Medium::Markdown))),
        ReportFile::new("report.html", page::page(&results, &figures)?),
    ];
    for figure in figures {
        files.extend(ReportFile::pictures(&figure.name, figure.svg)?);
    }
    files.extend(tables::all(&results)?);
    Ok(files)
}

/// Writes a report's files into a folder, which is created if it is absent.
pub fn write(files: &[ReportFile], folder: &Path) -> Result<()> {
    create_folder(folder)?;
    for file in files {
        write_atomic(&folder.join(&file.name), &file.bytes)?;
    }
    Ok(())
}

/// A short table for the end of a run, as plain text.
pub fn summary(run: &Run) -> String {
    terminal::document(&summary::summary(&Results::new(View::new(run))))
}
