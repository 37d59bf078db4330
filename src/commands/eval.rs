//! `ballast eval`: a model, or a model with an adapter, on suites.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use anyhow::Result;

use super::{model, print};
use crate::cli::EvalArgs;
use crate::config::builtin;
use crate::eval::budget::Budgets;
use crate::eval::run::Evaluator;
use crate::eval::score::{IdentityTerms, Verdict};
use crate::eval::suite::Item;
use crate::progress::Bar;
use crate::record::lines::JsonLines;
use crate::record::rows::ItemRow;
use crate::sandbox::Sandbox;
use crate::seeds::derive;
use crate::stats::interval::wilson;

pub(super) fn eval(args: &EvalArgs) -> Result<()> {
    let names = if args.suites.is_empty() { builtin::suite_names().map(str::to_owned).collect() } else { args.suites.clone() };
    let suites = names.iter().map(|name| builtin::suite(name)).collect::<Result<Vec<_>>>()?;
    let mut out = args.out.as_deref().map(JsonLines::open::<ItemRow>).transpose()?;
    if let Some((_, rows)) = &out
        && !rows.is_empty()
    {
        anyhow::bail!("{} already holds {} rows: name a new file", args.out.as_deref().unwrap_or("".as_ref()).display(), rows.len());
    }
    let (base, template) = model::load(&args.model, args.device.device)?;
    let adapter = model::adapter(args.adapter.as_deref(), args.lambda, &base)?;
    let sandbox = Sandbox::default();
    sandbox.effective_layers()?;
    let identity = IdentityTerms {
        name_zh: args.name.clone(),
        name_en: args.name.clone(),
        author_zh: args.author.clone(),
        author_en: args.author.clone(),
    };
    let merged = model::merged(&base, adapter.as_ref())?;
    let evaluator = Evaluator {
        decoder: merged.as_ref().unwrap_or(&base.decoder),
        adapter: adapter.as_ref().filter(|_| merged.is_none()),
        template: &template,
        system: &args.system,
        identity: &identity,
        sandbox: &sandbox,
        budgets: &Budgets::default(),
    };
    for suite in &suites {
        let items: Vec<Item> = suite.select(None, args.items, derive(0, &["items", &suite.name])).into_iter().cloned().collect();
        let bar = Bar::new(&suite.name, items.len());
        let mut verdicts: BTreeMap<Verdict, usize> = BTreeMap::new();
        evaluator.answer(&items, suite.asking(), &HashSet::new(), &mut |answered| {
            *verdicts.entry(answered.graded.verdict).or_default() += 1;
            if let Some((out, _)) = &mut out {
                out.append(&ItemRow::of(&suite.name, None, answered))?;
            }
            bar.advance(1);
            Ok(())
        })?;
        bar.finish();
        print(&line(&suite.name, &verdicts, items.len())?)?;
    }
    Ok(())
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
