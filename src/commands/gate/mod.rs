//! `ballast gate`: an adapter against a blessed baseline, and the exit code.

mod calibrate;
mod flips;
mod measure;

use anyhow::{Context, Result};

pub(super) use calibrate::calibrate;

use measure::{Candidate, measure};
pub(super) use measure::{Measured, measure_loaded};

use super::session::Session;
use super::{fetched, print};
use crate::cli::{GateArgs, OnInconclusive};
use crate::error::{Inconclusive, Invalid, Regressed};
use crate::files::{Growing, create_folder, read_text, write_atomic};
use crate::gate::baseline::Baseline;
use crate::gate::decision::Decision;
use crate::gate::result::GateResult;
use crate::plan::PlannedSuite;
use crate::record::rows::ItemRow;
use crate::report;

pub(super) fn gate(args: &GateArgs) -> Result<()> {
    let label = args.baseline.display().to_string();
    let baseline = Baseline::parse(&read_text(&args.baseline)?, &label)?;
    // A folder that is not there is a mistake of the caller; one that holds a broken adapter is an invalid measurement.
    read_text(&args.adapter.join("adapter_config.json")).context("--adapter takes the folder that PEFT's save_pretrained writes")?;
    let evidence = &baseline.header.evidence;
    let model = args.model.as_deref().unwrap_or(&evidence.model);
    let session = Session::open(model, args.device.device, &evidence.chat, asked(&baseline)?, &evidence.system, evidence.identity.clone())?;
    let candidate = Candidate { folder: &args.adapter, lambda: args.lambda };
    let measured = measure(&session, &baseline, &label, &candidate)?;
    write(args, &measured)?;
    print(&if args.json { report::gate::json(&measured.result)? } else { report::gate::terminal(&measured.result) })?;
    finish(&measured.result, args.on_inconclusive)
}

/// The baseline's suites with its items. An item that the suite no longer has is left out here and missed by the evidence.
pub(super) fn asked(baseline: &Baseline) -> Result<Vec<(String, PlannedSuite)>> {
    let suites = baseline.header.suites.iter().zip(&baseline.marks).map(|(blessed, marks)| {
        let suite = fetched::suite(&blessed.source).with_context(|| format!("suite {} of the baseline", blessed.name))?;
        let items = suite.items.iter().filter(|item| marks.contains_key(&item.content_hash())).cloned().collect();
        Ok((blessed.source.clone(), PlannedSuite { suite, items }))
    });
    suites.collect()
}

fn write(args: &GateArgs, measured: &Measured) -> Result<()> {
    if let Some(folder) = &args.out {
        create_folder(folder)?;
        report::write(&report::gate::files(&measured.result)?, folder)?;
        write_atomic(&folder.join("items.jsonl"), lines(&measured.rows)?.as_bytes())?;
    }
    if let Some(path) = &args.junit {
        write_atomic(path, report::gate::junit(&measured.result)?.as_bytes())?;
    }
    if let Some(path) = &args.summary {
        // GitHub gives one file for the summaries of all steps, so it is added to.
        Growing::open(path)?.append(report::gate::summary(&measured.result).as_bytes())?;
    }
    Ok(())
}

fn lines(rows: &[ItemRow]) -> Result<String> {
    let lines = rows.iter().map(|row| Ok(serde_json::to_string(row)? + "\n"));
    lines.collect()
}

/// The exit code of a verdict.
pub(super) fn finish(result: &GateResult, on_inconclusive: OnInconclusive) -> Result<()> {
    let message = format!("{}: {}", result.verdict.word(), result.reasons.join("; "));
    match result.verdict {
        Decision::Pass => Ok(()),
        Decision::Regress => Err(Regressed(message).into()),
        Decision::Inconclusive if on_inconclusive == OnInconclusive::Neutral => Ok(()),
        Decision::Inconclusive => Err(Inconclusive(message).into()),
        Decision::Invalid => Err(Invalid(message).into()),
    }
}
