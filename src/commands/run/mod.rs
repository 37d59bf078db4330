//! `ballast run`: an experiment from fetch to report, continued where it stopped.

mod cell;
mod observer;
mod setup;
mod together;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use super::print;
use crate::cli::RunArgs;
use crate::progress::note;
use crate::record::run_dir::Run;
use crate::report;

pub(super) fn run(args: &RunArgs) -> Result<()> {
    let stop = stop_on_ctrl_c()?;
    let prepared = setup::prepare(args, stop)?;
    note(&format!("run: {}", prepared.dir.0.display()));
    if prepared.base.device.is_cpu() && !args.side_by_side {
        // A CPU gains nothing from larger batches, and a cell at a time shows results early.
        cell::base(&prepared)?;
        for (variant, seed) in prepared.experiment.cells() {
            cell::variant(&prepared, variant, seed)?;
        }
    } else {
        together::run(&prepared)?;
    }
    let run = Run::read(&prepared.dir.0)?;
    let files = report::render(&run)?;
    report::write(&files, &prepared.dir.report())?;
    report::write(&files, &prepared.report)?;
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
        note("stopping after the step in progress; Ctrl-C again to stop at once");
    })
    .context("failed to listen for Ctrl-C")?;
    Ok(stop)
}
