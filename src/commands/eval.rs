//! `ballast eval`: a model, or a model with an adapter, on suites.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};

use super::rows::item_row;
use super::served::ServedSession;
use super::taught::with_rows;
use super::{asked, model, print, session};
use crate::cli::EvalArgs;
use crate::error::Invalid;
use crate::eval::budget::Budgets;
use crate::eval::drift::DriftProbe;
use crate::eval::run::{Answered, Evaluator};
use crate::eval::score::Verdict;
use crate::eval::suite::{EvalSettings, Item};
use crate::files::{read_json, write_json};
use crate::model::adapter::digest;
use crate::model::adapter_set::AdapterSet;
use crate::model::base::BaseModel;
use crate::model::lora::Adapter;
use crate::plan::PlannedSuite;
use crate::progress::Bar;
use crate::record::evidence::{Evidence, evidence_path};
use crate::record::lines::JsonLines;
use crate::record::rows::ItemRow;
use crate::sandbox::Sandbox;
use crate::stats::interval::wilson;

/// Questions of each suite on which an adapter is told from its base.
const PROBED: usize = 2;

pub(super) fn eval(args: &EvalArgs) -> Result<()> {
    let suites: Vec<PlannedSuite> =
        session::planned(&asked(&args.suites, args.asking)?, args.questions.items)?.into_iter().map(|(_, planned)| planned).collect();
    if args.endpoint.endpoint.is_some() {
        return eval_served(args, suites);
    }
    let mut rows = Rows::open(args.out.as_deref())?;
    let (base, template) = model::load(&args.adapted.model, args.device.device, &args.template.settings())?;
    let adapter = model::adapter(args.adapted.adapter.as_deref(), args.adapted.lambda, &base)?;
    let sandbox = Sandbox::default();
    let layers = session::layers(&sandbox, &suites)?;
    let names = session::terms(&args.questions.name, &args.questions.author);
    let identity = with_rows(names, &args.questions.rows, args.adapted.adapter.as_deref())?;
    let merged = model::merged(&base, adapter.as_ref())?;
    let decoder = merged.as_ref().unwrap_or(&base.decoder);
    let adapter_set = AdapterSet::one(decoder, adapter.as_ref().filter(|_| merged.is_none()))?;
    let evaluator = Evaluator {
        decoder,
        adapter_set: &adapter_set,
        template: &template,
        system: &args.questions.system,
        identity: &identity,
        sandbox: &sandbox,
        budgets: &Budgets::default(),
    };
    if let Some(adapter) = adapter.as_ref().filter(|_| args.adapted.lambda != 0.0) {
        let items = suites.iter().flat_map(|planned| planned.items.iter().take(PROBED));
        let prompts = items.map(|item| evaluator.prompt(item)).collect::<Result<Vec<_>>>()?;
        prove_alive(&base, adapter, &prompts)?;
    }
    if let Some(path) = &args.out {
        let asking = session::PromptContext { base: &base, template: &template, system: &args.questions.system, identity: &identity };
        let adapter = adapter.as_ref().map(digest).transpose()?;
        rows.made_of(path, &Evidence { adapter, ..session::evidence(&evaluator, &asking, &layers, args.device.device, &suites)? })?;
    }
    rows.answer(&suites, &|items, asking, done, sink| evaluator.answer(items, asking, done, sink))
}

/// The same of a served model.
fn eval_served(args: &EvalArgs, suites: Vec<PlannedSuite>) -> Result<()> {
    ensure!(
        args.adapted.adapter.is_none(),
        "--adapter cannot be put on a served model: have the server load it, and name it with --served-model"
    );
    let identity = session::terms(&args.questions.name, &args.questions.author);
    let session = ServedSession::open(&args.endpoint, args.template.settings(), suites, &args.questions.system, identity)?;
    let served = session.served()?;
    let compared = served.compare_prompts(&session.asked())?;
    let mut rows = Rows::open(args.out.as_deref())?;
    if let Some(path) = &args.out {
        rows.made_of(path, &session.evidence(&served, &compared)?)?;
    }
    print(&format!("prompts: {compared}\n"))?;
    rows.answer(&session.suites, &|items, asking, done, sink| served.answer(items, asking, done, sink)).with_context(|| {
        args.out.as_ref().map_or_else(
            || "the evaluation ended early; with --out FILE its answers would be kept, and the same command would go on".to_owned(),
            |path| format!("the evaluation ended early; its answers so far are in {}, and the same command goes on", path.display()),
        )
    })?;
    let counted = served.counted();
    if counted.differing > 0 {
        print(&format!("prompts: {counted}\n"))?;
    }
    Ok(())
}

/// Answers items but those done, each handed on as it is finished.
type Answer<'a> = dyn for<'i> Fn(&'i [Item], EvalSettings, &HashSet<String>, &mut dyn FnMut(Answered<'i>) -> Result<()>) -> Result<()> + 'a;

/// The rows of an evaluation: those of an earlier one that is continued, and where they go.
struct Rows {
    out: Option<JsonLines>,
    earlier: Vec<ItemRow>,
}

impl Rows {
    fn open(path: Option<&Path>) -> Result<Self> {
        let (out, earlier) = path.map(JsonLines::open).transpose()?.unzip();
        Ok(Self { out, earlier: earlier.unwrap_or_default() })
    }

    /// Writes down what the rows are made of, or proves that it is what the earlier ones were made of.
    fn made_of(&self, path: &Path, evidence: &Evidence) -> Result<()> {
        if self.earlier.is_empty() { write_json(&evidence_path(path), evidence) } else { continues(path, evidence) }
    }

    /// Has every item without a row answered, and prints a line for each suite.
    fn answer(&mut self, suites: &[PlannedSuite], answer: &Answer<'_>) -> Result<()> {
        for PlannedSuite { suite, items } in suites {
            let bar = Bar::new(&suite.name, items.len());
            let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
            let mut done = HashSet::new();
            for row in self.earlier.iter().filter(|row| row.suite == suite.name) {
                *verdicts.entry(row.verdict).or_default() += 1;
                done.insert(row.item.clone());
                bar.skip(1);
            }
            answer(items, suite.asking(), &done, &mut |answered| {
                *verdicts.entry(answered.graded.verdict).or_default() += 1;
                if let Some(out) = &mut self.out {
                    out.append(&item_row(suite, None, answered))?;
                }
                bar.advance(1);
                Ok(())
            })?;
            bar.finish();
            print(&line(&suite.name, &verdicts, items.len())?)?;
        }
        Ok(())
    }
}

/// Fails as [`Invalid`] where the adapter changes no logit: the base's answers would pass for its own.
fn prove_alive(base: &BaseModel, adapter: &Adapter, prompts: &[Vec<u32>]) -> Result<()> {
    let probe = DriftProbe::new(&base.decoder, prompts, 4, &base.codec.stops)?;
    if probe.measure(&base.decoder, adapter)?.largest_change == 0.0 {
        bail!(Invalid("the adapter changes no logit: its low-rank products are all zero, or too small to matter".to_owned()));
    }
    Ok(())
}

/// Whether the rows in a file may be continued: made of the same, as what lies beside it says.
fn continues(path: &Path, now: &Evidence) -> Result<()> {
    let beside = evidence_path(path);
    ensure!(
        beside.exists(),
        "{} already holds rows, but there is no {} to say how they were made: name a new file",
        path.display(),
        beside.display()
    );
    let then: Evidence = read_json(&beside)?;
    match then.interruption(now) {
        None => Ok(()),
        Some(why) => bail!("{} already holds rows that this command cannot continue: {why}; name a new file", path.display()),
    }
}

/// `fact-qa   62.5 % [51.5, 72.3]  n=80  correct 50  wrong 30`
fn line(suite: &str, verdicts: &BTreeMap<Verdict, usize>, n: usize) -> Result<String> {
    let correct = verdicts.get(&Verdict::Correct).copied().unwrap_or(0);
    let mut text = match wilson(correct, n, 0.95) {
        Some(interval) => {
            format!(
                "{suite:<16} {:5.1} % [{:.1}, {:.1}]  n={n}",
                100.0 * correct as f64 / n as f64,
                100.0 * interval.low,
                100.0 * interval.high
            )
        }
        None => format!("{suite:<16} n/a  n={n}"),
    };
    for (verdict, count) in verdicts {
        write!(text, "  {} {count}", format!("{verdict:?}").to_lowercase())?;
    }
    text.push('\n');
    Ok(text)
}
