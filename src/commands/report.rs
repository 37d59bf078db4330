//! `ballast report`: the report of a run, from its records alone.

use anyhow::Result;

use super::print;
use crate::cli::ReportArgs;
use crate::files::remove_partial_files;
use crate::plan::run::Run;
use crate::record::run_dir::RunDir;
use crate::report;

pub(super) fn report(args: &ReportArgs) -> Result<()> {
    let run = Run::read(&args.run)?;
    let folder = args.out.clone().unwrap_or_else(|| RunDir(args.run.clone()).report());
    remove_partial_files(&folder)?;
    report::write(&report::render(&run)?, &folder)?;
    print(&report::summary(&run))?;
    print(&format!("report: {}\n", folder.join("report.md").display()))
}
