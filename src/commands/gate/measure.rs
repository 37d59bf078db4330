//! One gate from evidence to verdict. Whatever makes a measurement untrustworthy ends in an Invalid result that says why;
//! only what has nothing to do with the adapter (a full disk, a missing file) is an error.

use std::path::Path;

use anyhow::{Result, bail};

use super::flips;
use crate::commands::session::Session;
use crate::error::Invalid;
use crate::files::{read_text, sha256};
use crate::gate::baseline::Baseline;
use crate::gate::judge::judge;
use crate::gate::result::{AdapterEvidence, GateResult, LivenessProof};
use crate::model::adapter;
use crate::model::lora::Adapter;
use crate::plan::PlannedSuite;
use crate::random::{derive, shuffle};
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;

/// Items of the baseline asked again without the adapter, over all suites.
const ASKED_AGAIN: usize = 24;

/// The adapter to judge.
pub(in crate::commands) struct Candidate<'a> {
    pub(in crate::commands) folder: &'a Path,
    pub(in crate::commands) lambda: f64,
}

/// A gate's result with the answers behind it.
pub(in crate::commands) struct Measured {
    pub(in crate::commands) result: GateResult,
    /// The adapter's answers; empty where it came to none.
    pub(in crate::commands) rows: Vec<ItemRow>,
}

/// Judges an adapter's folder.
pub(in crate::commands) fn measure(session: &Session, baseline: &Baseline, label: &str, candidate: &Candidate) -> Result<Measured> {
    let mut known = describe(candidate);
    let loaded = adapter::load(candidate.folder, &session.base.decoder.spec, &session.base.device);
    let adapter = match loaded {
        Ok(adapter) => adapter.scaled(candidate.lambda),
        Err(error) => {
            let mut result = GateResult::invalid(label, session.evidence()?, known, vec![format!("{error:#}")]);
            result.mismatches = baseline.header.evidence.mismatches(&result.evidence);
            return Ok(Measured { result, rows: Vec::new() });
        }
    };
    known.digest = Some(adapter::digest(&adapter)?);
    let ask = |session: &Session| session.ask("gate", Some(&adapter));
    measure_loaded(session, baseline, label, known, &adapter, &ask)
}

/// Judges an adapter that is loaded; `ask` gives its answers, so that `calibrate` can damage them on the way.
pub(in crate::commands) fn measure_loaded(
    session: &Session,
    baseline: &Baseline,
    label: &str,
    known: AdapterEvidence,
    adapter: &Adapter,
    ask: &dyn Fn(&Session) -> Result<Vec<ItemRow>>,
) -> Result<Measured> {
    let evidence = session.evidence()?;
    let mismatches = baseline.header.evidence.mismatches(&evidence);
    let problems: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
    let mut result = GateResult::invalid(label, evidence, known, problems);
    result.mismatches = mismatches;
    result.loosened.clone_from(&baseline.header.loosened);
    if !result.mismatches.is_empty() {
        return Ok(Measured { result, rows: Vec::new() });
    }
    match prove_and_ask(session, baseline, result.clone(), adapter, ask) {
        Err(error) if error.chain().any(<dyn std::error::Error>::is::<Invalid>) => {
            result.reasons.push(format!("{error:#}"));
            Ok(Measured { result, rows: Vec::new() })
        }
        other => other,
    }
}

fn prove_and_ask(
    session: &Session,
    baseline: &Baseline,
    result: GateResult,
    adapter: &Adapter,
    ask: &dyn Fn(&Session) -> Result<Vec<ItemRow>>,
) -> Result<Measured> {
    let probe = session.probe()?;
    let decoder = &session.base.decoder;
    let (on, off) = (probe.measure(decoder, adapter)?, probe.measure(decoder, &adapter.scaled(0.0))?);
    let again = ask_again(session, baseline, &adapter::digest(adapter)?)?;
    let same = again.iter().filter(|row| expected(session, baseline, row).is_some_and(|mark| mark.verdict == row.verdict)).count();
    let proof = LivenessProof {
        largest_change: on.largest_change,
        largest_change_off: off.largest_change,
        kl: on.kl,
        agreement: on.agreement,
        asked_again: again.len(),
        same_verdict: same,
    };
    if !proof.problems().is_empty() {
        bail!(Invalid(proof.problems().join("; ")));
    }
    let rows = ask(session)?;
    let mut result = result.judged(proof, baseline.header.drift, judge(baseline, &rows));
    result.flips = flips::worst(session, baseline, &rows)?;
    Ok(Measured { result, rows })
}

/// A sample of the baseline's items, answered by the model without an adapter. Its seed is what the adapter and the baseline
/// are: whoever forges lines of a baseline cannot know which of them will be asked for the next adapter.
fn ask_again(session: &Session, baseline: &Baseline, adapter: &str) -> Result<Vec<ItemRow>> {
    let seed = derive(0, &["gate", "again", adapter, &baseline.header.digest]);
    let places = session.suites.iter().enumerate().flat_map(|(suite, planned)| (0..planned.items.len()).map(move |item| (suite, item)));
    let drawn: Vec<(usize, usize)> = shuffle(places.collect(), seed).into_iter().take(ASKED_AGAIN).collect();
    let sample = session.suites.iter().enumerate().map(|(suite, planned)| PlannedSuite {
        suite: planned.suite.clone(),
        items: drawn.iter().filter(|(of, _)| *of == suite).map(|(_, item)| planned.items[*item].clone()).collect(),
    });
    session.ask_in_groups("base again", None, &sample.collect::<Vec<_>>(), usize::MAX)
}

/// The baseline's mark of the item of a row.
fn expected<'a>(session: &Session, baseline: &'a Baseline, row: &ItemRow) -> Option<&'a Mark> {
    let suite = session.suites.iter().position(|planned| planned.suite.name == row.suite)?;
    baseline.marks.get(suite)?.get(&row.hash)
}

/// What can be said of an adapter's folder before it is loaded.
fn describe(candidate: &Candidate) -> AdapterEvidence {
    let text = read_text(&candidate.folder.join("adapter_config.json")).ok();
    let named =
        |text: &String| serde_json::from_str::<serde_json::Value>(text).ok()?["base_model_name_or_path"].as_str().map(str::to_owned);
    AdapterEvidence {
        folder: candidate.folder.display().to_string(),
        digest: None,
        config: text.as_ref().map(|text| sha256(text.as_bytes())),
        base_model: text.as_ref().and_then(named),
        lambda: candidate.lambda,
    }
}
