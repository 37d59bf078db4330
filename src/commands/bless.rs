//! `ballast bless`: the base's answers, written down as the baseline that adapters are gated against.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::session::{Session, planned, terms};
use super::taught::with_rows;
use super::{fetched, print};
use crate::cli::{BlessArgs, PolicyArgs};
use crate::error::Invalid;
use crate::eval::score::IdentityTerms;
use crate::eval::suite::SuiteRole;
use crate::files::{read_text, write_atomic};
use crate::gate::baseline::{Baseline, BaselineSuite, Header, KIND, LEAK_POINTS, Loosening, MARGIN_POINTS, SCHEMA, loosened};
use crate::gate::decision::ALPHA;
use crate::gate::drift::DriftLimit;
use crate::gate::judge::can_lose;
use crate::library;
use crate::model::device::DeviceChoice;
use crate::plan::run::Run;
use crate::plan::{self, PlannedSuite};
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;
use crate::stats::power::zero_flip_floor;

pub(super) fn bless(args: &BlessArgs) -> Result<()> {
    // The file that is replaced, and the policy, are read before any model is asked.
    let old = if args.out.exists() { Some(old(&args.out)?) } else { None };
    let (session, rows) = if let Some(run) = &args.from {
        from_run(run, args.device.device, &args.policy)?
    } else {
        let asked = &args.questions;
        let suites = planned(&named(&args.suites)?, asked.items)?;
        policies(&suites, &args.policy)?;
        let identity = with_rows(terms(&asked.name, &asked.author), &asked.rows, None)?;
        let session = Session::open(&args.model, args.device.device, &args.template.settings(), suites, &asked.system, identity)?;
        let rows = session.ask("bless", None)?;
        (session, rows)
    };
    let (mut baseline, left_out) = baseline(&session, &rows, &args.policy)?;
    if let Some(old) = old {
        baseline.header.loosened.clone_from(&old.loosened);
        let changes = loosened(&old, &baseline.header);
        if !changes.is_empty() {
            let Some(reason) = args.reason.as_deref().map(str::trim).filter(|reason| !reason.is_empty()) else {
                bail!(
                    "this asks for less than {} did ({}): give the reason with --reason TEXT; it is kept in the header",
                    args.out.display(),
                    changes.join("; ")
                );
            };
            baseline.header.loosened.push(Loosening { changes, reason: reason.to_owned() });
        }
    }
    // The history belongs to what the digest covers.
    let baseline = Baseline::new(baseline.header, baseline.marks)?;
    write_atomic(&args.out, baseline.render()?.as_bytes())?;
    for (suite, marks) in baseline.header.suites.iter().zip(&baseline.marks) {
        let right = marks.values().filter(|mark| mark.correct()).count();
        print(&format!("{:<16} {right} of {} right, {}\n", suite.name, suite.items, asked_of(suite)))?;
    }
    for line in left_out {
        print(&line)?;
    }
    print(&format!("baseline: {}\n", args.out.display()))
}

/// The suites asked for; otherwise those that ship, but for those with too few items to ever pass at the default margin.
fn named(asked: &[String]) -> Result<Vec<String>> {
    if !asked.is_empty() {
        return Ok(asked.to_vec());
    }
    let floor = zero_flip_floor(MARGIN_POINTS / 100.0, ALPHA).unwrap_or(0);
    let mut large = Vec::new();
    for name in library::suite_names() {
        let items = library::suite(name)?.items.len();
        if items >= floor {
            large.push(name.to_owned());
        } else {
            print(&format!(
                "{name:<16} left out: its {items} items cannot show that a loss is smaller than {MARGIN_POINTS} points; {floor} could\n"
            ))?;
        }
    }
    Ok(large)
}

/// `margin 5 points, form margin 5 points`
fn asked_of(suite: &BaselineSuite) -> String {
    let parts = [
        suite.margin_points.map(|points| format!("margin {points} points")),
        suite.form_points.map(|points| format!("form margin {points} points")),
        suite.floor_percent.map(|percent| format!("floor {percent} %")),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "nothing asked".to_owned() } else { parts.join(", ") }
}

/// The header of the file that is replaced. A file that is damaged has no margins to compare with.
fn old(path: &Path) -> Result<Header> {
    let label = path.display().to_string();
    let old = Baseline::parse(&read_text(path)?, &label)
        .with_context(|| format!("{label} would be replaced, but cannot be read: move it away"))?;
    Ok(old.header)
}

/// The baseline of a session's rows, and a line for each suite of which nothing is asked because its base has nothing to lose.
pub(super) fn baseline(session: &Session, rows: &[ItemRow], policy: &PolicyArgs) -> Result<(Baseline, Vec<String>)> {
    let mut header = Header {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        evidence: session.evidence()?,
        suites: policies(&session.sources.iter().cloned().zip(session.suites.iter().cloned()).collect::<Vec<_>>(), policy)?,
        leak_points: points("--leak-margin", &policy.leak_margin)?,
        drift: drift(policy)?,
        loosened: Vec::new(),
        digest: String::new(),
    };
    let marks: Vec<BTreeMap<String, Mark>> = session.suites.iter().map(|planned| marks(planned, rows)).collect::<Result<_>>()?;
    let left_out = leave_out(&mut header.suites, &marks)?;
    Ok((Baseline::new(header, marks)?, left_out))
}

/// Asks nothing of suites whose base is not shown to be above chance, or by less than may be lost: whatever an adapter does
/// to it, it passes. A baseline without any other suite is none.
fn leave_out(suites: &mut [BaselineSuite], marks: &[BTreeMap<String, Mark>]) -> Result<Vec<String>> {
    let mut left_out = Vec::new();
    let mut carried = false;
    for (suite, marks) in suites.iter_mut().zip(marks) {
        let (right, n) = (marks.values().filter(|mark| mark.correct()).count(), marks.len());
        if can_lose(suite, right, n) {
            carried = true;
        } else if let Some(points) = suite.margin_points {
            (suite.margin_points, suite.form_points) = (None, None);
            left_out.push(format!(
                "{:<16} gates nothing: the base answers {right} of {n} correctly, chance gives {:.1} %, and {points} points may be lost, so there is nothing to lose\n",
                suite.name,
                100.0 * suite.chance
            ));
        }
    }
    if !carried {
        let lines: Vec<&str> = left_out.iter().map(|line| line.trim_end()).collect();
        bail!(Invalid(format!(
            "no suite can show a loss, so a gate with this baseline would pass anything: add a suite that the base answers above chance, with a margin\n{}",
            lines.join("\n")
        )));
    }
    Ok(left_out)
}

fn drift(policy: &PolicyArgs) -> Result<DriftLimit> {
    let limit = |option: &str, text: &str| match text {
        "none" => Ok(None),
        number => number.parse().map(Some).with_context(|| format!("{option} {number}: give a number, or none")),
    };
    let limit = DriftLimit {
        nats: limit("--drift-limit", &policy.drift_limit)?,
        agreement_percent: limit("--agreement-floor", &policy.agreement_floor)?,
    };
    ensure!(limit.fits(), "--drift-limit is a number above 0, --agreement-floor one above 0 and at most 100, or none");
    Ok(limit)
}

/// Each item's mark; an item without exactly one row is an error.
fn marks(planned: &PlannedSuite, rows: &[ItemRow]) -> Result<BTreeMap<String, Mark>> {
    let name = &planned.suite.name;
    let mut marks = BTreeMap::new();
    for row in rows.iter().filter(|row| row.suite == *name) {
        ensure!(marks.insert(row.hash.clone(), Mark::of(row)).is_none(), "suite {name}: item {} asks the same as another item", row.item);
    }
    let missing = planned.items.iter().filter(|item| !marks.contains_key(&item.content_hash())).count();
    if missing > 0 || marks.len() != planned.items.len() {
        bail!(Invalid(format!("suite {name}: {missing} of {} items have no answer", planned.items.len())));
    }
    Ok(marks)
}

/// What is asked of each suite.
fn policies(suites: &[(String, PlannedSuite)], policy: &PolicyArgs) -> Result<Vec<BaselineSuite>> {
    let margins = by_suite("--margin", &policy.margins, suites)?;
    let form_margins = by_suite("--form-margin", &policy.form_margins, suites)?;
    let mut asked = Vec::new();
    for (source, planned) in suites {
        let (name, role) = (&planned.suite.name, planned.suite.role);
        let default = (role != SuiteRole::Identity).then_some(MARGIN_POINTS);
        let margin = margins.get(name.as_str()).copied().unwrap_or(default);
        asked.push(BaselineSuite {
            name: name.clone(),
            source: source.clone(),
            role,
            items: planned.items.len(),
            // What one answer to everything scores is no more than chance.
            chance: planned.suite.floor_of(&planned.items),
            margin_points: margin,
            form_points: form_margins.get(name.as_str()).copied().unwrap_or(margin.or(default)),
            floor_percent: policy.identity_floor.filter(|_| role == SuiteRole::Identity),
        });
    }
    ensure!(
        policy.identity_floor.is_none() || asked.iter().any(|suite| suite.role == SuiteRole::Identity),
        "--identity-floor is given, but no suite asks who the model is"
    );
    ensure!(
        asked.iter().any(|suite| suite.margin_points.is_some() || suite.form_points.is_some() || suite.floor_percent.is_some()),
        "a baseline without any margin or floor gates nothing: set a margin or --identity-floor"
    );
    Ok(asked)
}

/// `SUITE=POINTS` for suites that are asked.
fn by_suite<'a>(option: &str, given: &'a [String], suites: &[(String, PlannedSuite)]) -> Result<BTreeMap<&'a str, Option<f64>>> {
    let mut found = BTreeMap::new();
    for text in given {
        let (name, value) = text.rsplit_once('=').with_context(|| format!("{option} {text}: write SUITE=POINTS, as in fact-qa=3"))?;
        let known: Vec<&str> = suites.iter().map(|(_, planned)| planned.suite.name.as_str()).collect();
        ensure!(known.contains(&name), "{option} {text}: no such suite here; the suites are {}", known.join(", "));
        found.insert(name, points(&format!("{option} {text}"), value)?);
    }
    Ok(found)
}

fn points(what: &str, text: &str) -> Result<Option<f64>> {
    if text == "none" {
        return Ok(None);
    }
    let points: Option<f64> = text.parse().ok().filter(|points| *points > 0.0 && *points < 100.0);
    Ok(Some(points.with_context(|| format!("{what}: points are a number between 0 and 100, as in {LEAK_POINTS}, or none"))?))
}

/// The answers of a run's base, once it is shown that this Ballast would ask the same of the same model.
fn from_run(folder: &Path, device: DeviceChoice, policy: &PolicyArgs) -> Result<(Session, Vec<ItemRow>)> {
    let run = Run::read(folder)?;
    let (experiment, meta) = (&run.experiment, &run.meta);
    // A run writes down what its rows teach.
    let recorded = run.evidence.as_ref().map(|evidence| evidence.identity.clone());
    let identity = recorded.unwrap_or_else(|| IdentityTerms::from(&experiment.identity));
    let sources = experiment.suites.iter().map(|suite| suite.name.clone());
    let suites: Vec<(String, PlannedSuite)> = sources.zip(plan::suites(experiment, &fetched::suite)?).collect();
    policies(&suites, policy)?;
    let session = Session::open(&experiment.model, device, &experiment.chat(), suites, &experiment.system, identity)?;
    let evidence = session.evidence()?;
    let same = [
        ("version of Ballast", &meta.ballast, &evidence.ballast),
        ("base model's weights", &meta.model_digest, &evidence.weights),
        ("chat template", &meta.template_digest, &evidence.template),
        ("sandbox's layers", &meta.sandbox.join(", "), &evidence.sandbox.join(", ")),
    ];
    for (what, then, now) in same {
        if then != now {
            bail!(Invalid(format!("{}: the {what} was {then} and is {now} here: answer again with --model", folder.display())));
        }
    }
    for planned in &session.suites {
        let name = &planned.suite.name;
        if meta.suites.get(name).is_none_or(|suite| suite.digest != planned.suite.digest) {
            bail!(Invalid(format!("{}: suite {name} has changed since: answer again with --model", folder.display())));
        }
    }
    Ok((session, run.base.items))
}
