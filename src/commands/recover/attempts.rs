//! Candidates answer the development part, several side by side in one batch. What they answered is kept beside the output, a
//! line each, so that the same command after a stop asks nobody twice.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::{identity_share, make};
use crate::commands::session::Session;
use crate::counted::counted;
use crate::error::Invalid;
use crate::eval::drift::DriftProbe;
use crate::files::{create_folder, sha256};
use crate::gate::baseline::Baseline;
use crate::gate::judge::{SuiteResult, judge};
use crate::model::adapter;
use crate::model::lora::Adapter;
use crate::record::lines::JsonLines;
use crate::record::rows::ItemRow;
use crate::recover::distance::relative_change;
use crate::recover::outlook::{Outlook, identity_test, outlook};
use crate::recover::path::{Candidate, Source};
use crate::recover::search::{SuiteShare, Trial};

/// Candidates of one batch: the rows of a batch are bounded, so more of them would only wait.
const SIDE_BY_SIDE: usize = 8;

/// What one adapter answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answers {
    /// Of the adapter and of all that was asked.
    key: String,
    /// Mean KL(base || candidate) and agreement on the probe.
    drift: Option<(f64, f64)>,
    rows: Vec<ItemRow>,
    /// Why there are none.
    broken: Option<String>,
}

/// Who asks.
pub(super) struct Attempts<'a> {
    session: &'a Session,
    given: &'a [Adapter],
    development: &'a Baseline,
    held_out: &'a Baseline,
    margin: f64,
    file: JsonLines,
    known: BTreeMap<String, Answers>,
    /// Reads the base's words; made when the first candidate is asked.
    probe: Option<DriftProbe>,
    /// The adapter whose identity is to be kept, with its answers.
    reference: Option<(usize, Vec<ItemRow>)>,
}

impl<'a> Attempts<'a> {
    /// The session asks the development part; earlier answers are read from `file`.
    pub(super) fn new(
        session: &'a Session,
        given: &'a [Adapter],
        (development, held_out): (&'a Baseline, &'a Baseline),
        margin: f64,
        file: &Path,
    ) -> Result<Self> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            create_folder(folder)?;
        }
        let (file, known) = JsonLines::open::<Answers>(file)?;
        let known = known.into_iter().map(|answers| (answers.key.clone(), answers)).collect();
        Ok(Self { session, given, development, held_out, margin, file, known, probe: None, reference: None })
    }

    /// The adapter whose identity is to be kept.
    pub(super) fn reference(&self) -> Result<usize> {
        Ok(self.reference.as_ref().context("no adapter was tried")?.0)
    }

    /// Tries candidates. The first call tries the adapters that were given, and finds whose identity is to be kept.
    pub(super) fn of(&mut self, candidates: &[Candidate]) -> Result<Vec<Trial>> {
        let layers = self.session.base.decoder.spec.layers;
        let adapters = candidates.iter().map(|candidate| make(candidate, self.given, layers)).collect::<Result<Vec<_>>>()?;
        let digests = adapters.iter().map(adapter::digest).collect::<Result<Vec<_>>>()?;
        let keys: Vec<String> =
            digests.iter().map(|digest| sha256(format!("{digest} {}", self.development.header.digest).as_bytes())).collect();
        let mut missing: Vec<usize> = Vec::new();
        for (i, key) in keys.iter().enumerate() {
            // Two candidates may be one adapter.
            if !self.known.contains_key(key) && !keys[..i].contains(key) {
                missing.push(i);
            }
        }
        for batch in missing.chunks(SIDE_BY_SIDE) {
            let asked: Vec<(&str, &Adapter)> = batch.iter().map(|i| (keys[*i].as_str(), &adapters[*i])).collect();
            for answers in self.ask(&asked)? {
                self.file.append(&answers)?;
                self.known.insert(answers.key.clone(), answers);
            }
            self.file.flush()?;
        }
        let answers: Vec<Answers> = keys.iter().filter_map(|key| self.known.get(key).cloned()).collect();
        if self.reference.is_none() {
            self.reference = Some(whose_identity(candidates, &answers)?);
        }
        let parts = candidates.iter().zip(&adapters).zip(digests).zip(&answers);
        parts.map(|(((candidate, adapter), digest), answers)| self.trial(*candidate, adapter, digest, answers)).collect()
    }

    /// One batch. An adapter whose numbers are not finite would end it for all, so then each is asked alone.
    fn ask(&mut self, asked: &[(&str, &Adapter)]) -> Result<Vec<Answers>> {
        let adapters: Vec<&Adapter> = asked.iter().map(|(_, adapter)| *adapter).collect();
        let found = self.session.ask_each(&format!("{} side by side", counted(adapters.len(), "candidate")), &adapters);
        match found {
            Ok(rows) => asked.iter().zip(rows).map(|((key, adapter), rows)| self.with_drift(key, adapter, rows)).collect(),
            Err(error) if !is_invalid(&error) => Err(error),
            Err(error) if asked.len() == 1 => {
                Ok(vec![Answers { key: asked[0].0.to_owned(), drift: None, rows: Vec::new(), broken: Some(format!("{error:#}")) }])
            }
            Err(_) => {
                let mut all = Vec::new();
                for one in asked {
                    all.extend(self.ask(std::slice::from_ref(one))?);
                }
                Ok(all)
            }
        }
    }

    fn with_drift(&mut self, key: &str, adapter: &Adapter, rows: Vec<ItemRow>) -> Result<Answers> {
        if self.probe.is_none() {
            self.probe = Some(self.session.probe()?);
        }
        let probe = self.probe.as_ref().context("no probe")?;
        let key = key.to_owned();
        match probe.measure(&self.session.base.decoder, adapter) {
            Ok(drift) => Ok(Answers { key, drift: Some((drift.kl, drift.agreement)), rows, broken: None }),
            Err(error) if is_invalid(&error) => Ok(Answers { key, drift: None, rows, broken: Some(format!("{error:#}")) }),
            Err(error) => Err(error),
        }
    }

    fn trial(&self, candidate: Candidate, adapter: &Adapter, digest: String, answers: &Answers) -> Result<Trial> {
        let mut change = f64::INFINITY;
        for given in self.given {
            change = change.min(relative_change(given, adapter)?.unwrap_or(f64::INFINITY));
        }
        let mut trial = Trial {
            candidate,
            change,
            digest,
            identity: None,
            retention: None,
            suites: Vec::new(),
            kl: None,
            agreement: None,
            outlook: Outlook::broken(answers.broken.clone().unwrap_or_default()),
        };
        let Some((_, reference)) = self.reference.as_ref().filter(|_| answers.broken.is_none()) else { return Ok(trial) };
        let judgement = judge(self.development, &answers.rows);
        let identity = identity_test(reference, &answers.rows, self.margin)?;
        let drift = answers.drift.and_then(|(kl, agreement)| self.development.header.drift.test(kl, agreement));
        trial.outlook = outlook((self.development, self.held_out), &judgement, &identity, drift);
        trial.identity = identity_share(&answers.rows);
        let kept: Vec<f64> = judgement.suites.iter().filter_map(|suite| suite.retention).collect();
        trial.retention = (!kept.is_empty()).then(|| kept.iter().sum::<f64>() / kept.len() as f64);
        let share = |suite: &SuiteResult| SuiteShare { suite: suite.suite.clone(), n: suite.n, before: suite.before, after: suite.after };
        trial.suites = judgement.suites.iter().map(share).collect();
        (trial.kl, trial.agreement) = answers.drift.unzip();
        Ok(trial)
    }
}

fn is_invalid(error: &anyhow::Error) -> bool {
    error.chain().any(<dyn std::error::Error>::is::<Invalid>)
}

/// Of the adapters that were given the one with most of the identity, and its answers.
fn whose_identity(candidates: &[Candidate], answers: &[Answers]) -> Result<(usize, Vec<ItemRow>)> {
    let mut best: Option<(f64, usize, &Answers)> = None;
    for (candidate, answers) in candidates.iter().zip(answers) {
        let Source::Adapter { index } = candidate.source else { continue };
        let share = identity_share(&answers.rows).filter(|_| answers.broken.is_none());
        if let Some(share) = share.filter(|share| best.is_none_or(|(most, ..)| *share > most)) {
            best = Some((share, index, answers));
        }
    }
    let Some((_, index, answers)) = best else {
        let why: Vec<&str> = answers.iter().filter_map(|answers| answers.broken.as_deref()).collect();
        bail!(Invalid(format!("no adapter that was given can be asked who it is, so there is no identity to keep: {}", why.join("; "))));
    };
    Ok((index, answers.rows.clone()))
}

/// The same, read from trials.
pub(super) fn reference(trials: &[Trial], given: usize) -> Option<usize> {
    let mut best: Option<(f64, usize)> = None;
    for trial in trials.iter().take(given) {
        let Source::Adapter { index } = trial.candidate.source else { continue };
        if let Some(share) = trial.identity.filter(|share| best.is_none_or(|(most, _)| *share > most)) {
            best = Some((share, index));
        }
    }
    best.map(|(_, index)| index)
}
