//! `ballast run`: an experiment from fetch to report, continued where it stopped.

mod cell;
mod group;
mod observer;
mod replay;
mod setup;
mod work;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::print;
use crate::cli::RunArgs;
use crate::files::remove_partial_files;
use crate::plan::groups;
use crate::plan::run::Run;
use crate::progress::note;
use crate::report;

pub(super) fn run(args: &RunArgs) -> Result<()> {
    let stop = stop_on_ctrl_c()?;
    let prepared = setup::prepare(args, stop)?;
    note(&format!("run: {}", prepared.dir.0.display()));
    work::plan(&prepared);
    let mut done = 0;
    for cells in groups(&prepared.experiment, prepared.together) {
        prepared.progress.cells(done + 1, done + cells.len());
        group::run(&prepared, &cells)?;
        done += cells.len();
    }
    prepared.progress.finish();
    let run = Run::read(&prepared.dir.0)?;
    let files = report::render(&run)?;
    for folder in [&prepared.dir.report(), &prepared.report] {
        remove_partial_files(folder)?;
        report::write(&files, folder)?;
    }
    print(&report::summary(&run))?;
    print(&format!("report: {}\n", prepared.report.join("report.md").display()))
}

/// The first Ctrl-C asks for a stop that keeps everything; a second one ends at once, which loses at most a few steps.
fn stop_on_ctrl_c() -> Result<Arc<AtomicBool>> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    ctrlc::set_handler(move || {
        if asked.swap(true, Ordering::SeqCst) {
            #[expect(clippy::exit, reason = "asked for twice")]
            std::process::exit(i32::from(crate::error::exit::INTERRUPTED));
        }
        note("stopping after the current step; press Ctrl-C again to stop at once");
    })
    .context("failed to listen for Ctrl-C")?;
    Ok(stop)
}
