//! `ballast recover`: the mildest change of an adapter that passes the gate and keeps the identity.

mod attempts;
mod write;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use self::attempts::Attempts;
use super::gate::{Measured, asked, measure_loaded};
use super::print;
use super::session::Session;
use crate::cli::RecoverArgs;
use crate::error::{Invalid, Regressed};
use crate::eval::suite::{Item, SuiteRole};
use crate::files::{read_text, remove_file};
use crate::gate::baseline::{Baseline, BaselineSuite};
use crate::gate::decision::{ALPHA, Decision};
use crate::gate::judge::{can_lose, judge};
use crate::gate::result::AdapterEvidence;
use crate::model::adapter;
use crate::model::lora::Adapter;
use crate::plan::PlannedSuite;
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;
use crate::recover::distance::relative_change;
use crate::recover::outlook::{Asked, identity_test, level};
use crate::recover::path::{Candidate, Path as Way, Source, paths};
use crate::recover::repair::Repair;
use crate::recover::result::{Given, HeldOut, KIND, RecoverResult, SCHEMA, Settings, verdict};
use crate::recover::search::{Searched, Trial, search};
use crate::recover::split::{Split, SplitIds};
use crate::recover::{outlook, soup};
use crate::report::recover as report;
use crate::stats::power::zero_flip_floor;

pub(super) fn recover(args: &RecoverArgs) -> Result<()> {
    check(args)?;
    let label = args.baseline.display().to_string();
    let baseline = Baseline::parse(&read_text(&args.baseline)?, &label)?;
    let identity = |suite: &BaselineSuite| suite.role == SuiteRole::Identity;
    ensure!(
        baseline.header.suites.iter().any(identity),
        "{label} has no suite that asks who the model is, so nobody can tell whether an adapter keeps its identity: bless it with --suite identity too"
    );
    let evidence = &baseline.header.evidence;
    let model = args.model.as_deref().unwrap_or(&evidence.model);
    let mut session =
        Session::open(model, args.device.device, &evidence.chat, asked(&baseline)?, &evidence.system, evidence.identity.clone())?;
    let mismatches = evidence.mismatches(&session.evidence()?);
    if !mismatches.is_empty() {
        let mismatches: Vec<String> = mismatches.iter().map(ToString::to_string).collect();
        bail!(Invalid(format!("{label} was blessed for something else: {}", mismatches.join("; "))));
    }
    let given = load(&args.adapters, &session)?;
    let split = Split::draw(&session.suites, args.development, args.seed)?;
    let held_out = part(&baseline, &mut session, &split.held_out)?;
    let development = part(&baseline, &mut session, &split.development)?;
    let margin = args.identity_margin / 100.0;
    let level = level(&passable(&held_out, margin)?);

    let search_file = beside(&args.out, "search.jsonl")?;
    let mut attempts = Attempts::new(&session, &given, (&development, &held_out), margin, &search_file)?;
    let found = {
        let mut inputs: Vec<Candidate> =
            (0..given.len()).map(|index| Candidate { source: Source::Adapter { index }, repair: Repair::NONE }).collect();
        inputs.extend((given.len() > 1).then_some(Candidate { source: Source::Mean, repair: Repair::NONE }));
        ensure!(args.candidates >= inputs.len(), "--candidates {} is less than the {} to begin with", args.candidates, inputs.len());
        search(&inputs, args.candidates, level, &|trials: &[Trial]| ways(trials, &given), &mut |candidates| attempts.of(candidates))?
    };
    let reference = attempts.reference()?;
    drop(attempts);

    session.suites.clone_from(&split.held_out);
    let partial = write::begin(&args.out)?;
    let context = Verdict { args, session: &session, given: &given, held_out: &held_out, baseline: &baseline, label: &label };
    let written = context.give(&partial, found, (reference, level), split.ids()).and_then(|(result, measured)| {
        write::finish(&partial, &args.out, &result, &measured)?;
        Ok(result)
    });
    let result = match written {
        Ok(result) => result,
        Err(error) => {
            write::remove(&partial)?;
            return Err(error);
        }
    };
    remove_file(&search_file)?;
    print(&report::terminal(&result, &args.out.display().to_string()))?;
    if result.verdict == Decision::Pass { Ok(()) } else { Err(Regressed(format!("nothing passes: {}", result.reasons.join("; "))).into()) }
}

/// What the verdict is given on.
struct Verdict<'a> {
    args: &'a RecoverArgs,
    /// It asks the held-out part.
    session: &'a Session,
    given: &'a [Adapter],
    held_out: &'a Baseline,
    /// The whole one.
    baseline: &'a Baseline,
    label: &'a str,
}

impl Verdict<'_> {
    /// Writes the chosen adapter into a folder, reads it back and judges that: what is judged is what is there.
    fn give(&self, folder: &Path, found: Searched, (reference, level): (usize, f64), split: SplitIds) -> Result<(RecoverResult, Measured)> {
        let (base, folder) = (&self.session.base, folder.join("adapter"));
        let candidate = found.trials[found.chosen].candidate;
        adapter::save(&make(&candidate, self.given, base.decoder.spec.layers)?, &base.decoder.spec, &base.name, &folder)?;
        let written = adapter::load(&folder, &base.decoder.spec, &base.device)?;
        let known = AdapterEvidence {
            folder: self.args.out.join("adapter").display().to_string(),
            digest: Some(adapter::digest(&written)?),
            base_model: Some(base.name.clone()),
            lambda: 1.0,
            ..AdapterEvidence::default()
        };
        let label = format!("{}, held-out part", self.label);
        let ask = |session: &Session| session.ask("verdict", Some(&written));
        let measured = measure_loaded(self.session, self.held_out, &label, known, &written, &ask)?;
        if measured.result.verdict == Decision::Invalid {
            bail!(Invalid(format!("{}: {}", candidate.words(self.given.len()), measured.result.reasons.join("; "))));
        }
        let before = self.session.ask("adapter as given", Some(&self.given[reference]))?;
        let margin = self.args.identity_margin;
        let identity = identity_test(&before, &measured.rows, margin / 100.0)?;
        let (verdict, reasons) = verdict(&measured.result, &identity);
        let given = self.args.adapters.iter().zip(self.given);
        let result = RecoverResult {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            ballast: env!("CARGO_PKG_VERSION").to_owned(),
            verdict,
            reasons,
            model: base.name.clone(),
            weights: base.digest.clone(),
            baseline: self.label.to_owned(),
            baseline_digest: self.baseline.header.digest.clone(),
            adapters: given
                .map(|(folder, adapter)| Ok(Given { folder: folder.display().to_string(), digest: adapter::digest(adapter)? }))
                .collect::<Result<_>>()?,
            settings: Settings {
                seed: self.args.seed,
                development: self.args.development,
                identity_margin_points: margin,
                budget: self.args.candidates,
                level,
            },
            split,
            candidates: found.trials,
            not_reached: found.not_reached,
            chosen: found.chosen,
            certainty: found.certainty,
            reference,
            held_out: HeldOut {
                identity,
                identity_base: identity_of_base(self.held_out),
                identity_before: identity_share(&before),
                identity_after: identity_share(&measured.rows),
                before: judge(self.held_out, &before).suites,
            },
        };
        Ok((result, measured))
    }
}

/// What can be refused before a model is loaded.
fn check(args: &RecoverArgs) -> Result<()> {
    ensure!(
        !args.out.exists(),
        "{} exists: a result is written whole into a new folder; name another with --out, or move it away",
        args.out.display()
    );
    ensure!(
        args.identity_margin > 0.0 && args.identity_margin < 100.0,
        "--identity-margin is {} points: it must lie between 0 and 100",
        args.identity_margin
    );
    ensure!(
        args.development > 0.0 && args.development < 1.0,
        "--development is {}: the search needs some of the items and the verdict the others, so give a share between 0 and 1",
        args.development
    );
    for (i, folder) in args.adapters.iter().enumerate() {
        ensure!(!args.adapters[..i].contains(folder), "--adapter {} is given twice", folder.display());
        read_text(&folder.join("adapter_config.json")).context("--adapter takes the folder that PEFT's save_pretrained writes")?;
    }
    Ok(())
}

/// `NAME.ending` beside a folder NAME.
fn beside(folder: &Path, ending: &str) -> Result<PathBuf> {
    let mut name = folder.file_name().with_context(|| format!("--out {} names no folder", folder.display()))?.to_owned();
    name.push(format!(".{ending}"));
    Ok(folder.with_file_name(name))
}

fn load(folders: &[PathBuf], session: &Session) -> Result<Vec<Adapter>> {
    let load = |folder: &PathBuf| -> Result<Adapter> {
        let adapter = adapter::load(folder, &session.base.decoder.spec, &session.base.device)?;
        ensure!(relative_change(&adapter, &adapter)?.is_some(), "{}: the adapter changes nothing: its update is zero", folder.display());
        Ok(adapter)
    };
    folders.iter().map(load).collect()
}

/// The baseline of a part of its items. The session is left with that part's suites.
fn part(baseline: &Baseline, session: &mut Session, suites: &[PlannedSuite]) -> Result<Baseline> {
    session.suites = suites.to_vec();
    let mut marks = baseline.marks.clone();
    for (marks, planned) in marks.iter_mut().zip(suites) {
        let hashes: HashSet<String> = planned.items.iter().map(Item::content_hash).collect();
        marks.retain(|hash, _| hashes.contains(hash));
    }
    let mut header = baseline.header.clone();
    header.evidence = session.evidence()?;
    let part = Baseline::new(header, marks)?;
    let can_lose = part.header.suites.iter().zip(&part.marks).any(|(suite, marks)| {
        let right = marks.values().filter(|mark| mark.correct()).count();
        can_lose(suite, right, marks.len())
    });
    if !can_lose {
        bail!(Invalid(
            "on a part of its items the baseline's base has nothing to lose on any suite, so a pass would mean nothing: bless it with more items".to_owned()
        ));
    }
    Ok(part)
}

/// What the verdict will ask; an error where its items could not show a pass even if not one of them flipped.
fn passable(held_out: &Baseline, identity_margin: f64) -> Result<Vec<Asked>> {
    let asked = outlook::asked(held_out, identity_margin);
    for part in &asked {
        let floor = zero_flip_floor(part.margin, ALPHA).unwrap_or(usize::MAX);
        ensure!(
            part.n >= floor,
            "{}: the verdict's {} items cannot show a loss of less than {} points, whatever the answers are; that takes {floor}. Give the search fewer with --development, bless the baseline with more items, or allow more points",
            part.what,
            part.n,
            100.0 * part.margin
        );
    }
    Ok(asked)
}

/// Every adapter weaker, and their mean; the other ways from the one whose identity is to be kept.
fn ways(trials: &[Trial], given: &[Adapter]) -> Vec<Way> {
    let reference = attempts::reference(trials, given.len()).unwrap_or(0);
    let mut ways = paths(Source::Adapter { index: reference }, &given[reference]);
    let weaker = |source, adapter: &Adapter| paths(source, adapter).into_iter().next();
    for (index, adapter) in given.iter().enumerate().filter(|(index, _)| *index != reference) {
        ways.extend(weaker(Source::Adapter { index }, adapter));
    }
    if given.len() > 1 {
        ways.extend(weaker(Source::Mean, &given[reference]));
    }
    ways
}

/// A candidate's adapter.
fn make(candidate: &Candidate, given: &[Adapter], layers: usize) -> Result<Adapter> {
    match candidate.source {
        Source::Adapter { index } => candidate.repair.apply(&given[index], layers),
        Source::Mean => candidate.repair.apply(&soup::mean(&given.iter().collect::<Vec<_>>())?, layers),
    }
}

/// Accuracy on identity.
fn identity_share(rows: &[ItemRow]) -> Option<f64> {
    let rows: Vec<&ItemRow> = rows.iter().filter(|row| row.role() == SuiteRole::Identity).collect();
    (!rows.is_empty()).then(|| rows.iter().filter(|row| row.is_correct()).count() as f64 / rows.len() as f64)
}

/// The base's accuracy on identity.
fn identity_of_base(part: &Baseline) -> Option<f64> {
    let suites = part.header.suites.iter().zip(&part.marks).filter(|(suite, _)| suite.role == SuiteRole::Identity);
    let marks: Vec<bool> = suites.flat_map(|(_, marks)| marks.values().map(Mark::correct)).collect();
    (!marks.is_empty()).then(|| marks.iter().filter(|right| **right).count() as f64 / marks.len() as f64)
}
