//! `ballast suite check`: proves that a suite measures what it says. A suite with a wrong key, a grader that takes silence
//! for an answer or a reference solution that fails gives numbers as smooth as those of a sound one.

use anyhow::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::findings::{self, CONFIDENCE, Finding, Outcome};
use super::{scripted, size};
use crate::cli::SuiteCheckArgs;
use crate::commands::print;
use crate::config::builtin;
use crate::error::Invalid;
use crate::eval::benchmark::Reference;
use crate::eval::program::check_program;
use crate::eval::score::{Answer, Verdict, extract_code, grade};
use crate::eval::suite::{Item, Suite, Task};
use crate::progress::Bar;
use crate::sandbox::{CodeVerdict, Sandbox};
use crate::seeds::derive;
use crate::stats::interval::wilson;

pub(in crate::commands) fn check(args: &SuiteCheckArgs) -> Result<()> {
    let names = if args.suites.is_empty() { builtin::suite_names().map(str::to_owned).collect() } else { args.suites.clone() };
    let suites = names.iter().map(|name| Ok((name, builtin::suite(name)?))).collect::<Result<Vec<_>>>()?;
    let sandbox = Sandbox::default();
    if suites.iter().any(|(_, suite)| suite.items.iter().any(is_code)) {
        sandbox.effective_layers()?;
    }
    let mut failed = Vec::new();
    for (name, suite) in &suites {
        let published = Reference::parse(name).is_some();
        let findings = findings(suite, published, &sandbox)?;
        let mut text = format!("{} v{}  {}\n", suite.name, suite.version, size(suite));
        for Finding { check, outcome, text: found } in &findings {
            let mark = match outcome {
                Outcome::Holds => "ok",
                Outcome::Noted => "note",
                Outcome::Fails => "FAIL",
                Outcome::NotApplicable => "n/a",
            };
            text.push_str(&format!("  {mark:<5} {check:<11} {found}\n"));
        }
        print(&text)?;
        failed.extend(findings.iter().filter(|f| f.outcome == Outcome::Fails).map(|f| format!("{}: {}", suite.name, f.check)));
    }
    if !failed.is_empty() {
        let what = failed.join(", ");
        return Err(Invalid(format!("what these suites measure cannot be trusted until the failed checks hold: {what}")).into());
    }
    Ok(())
}

fn findings(suite: &Suite, published: bool, sandbox: &Sandbox) -> Result<Vec<Finding>> {
    let perfect = perfect(suite, sandbox)?;
    Ok(vec![
        findings::ids(suite),
        findings::answers(suite),
        findings::prompts(suite).noted_if(published),
        findings::chance(suite),
        findings::positions(suite).noted_if(published),
        perfect.0,
        perfect.1,
        empty(suite),
        random(suite),
    ])
}

/// The reference solutions pass, and the model that answers with the key is right everywhere: one run of each program.
fn perfect(suite: &Suite, sandbox: &Sandbox) -> Result<(Finding, Finding)> {
    let identity = scripted::identity();
    let programs = suite.items.iter().filter(|item| is_code(item)).count();
    let bar = (programs > 0).then(|| Bar::new(&format!("{} solutions", suite.name), programs));
    // Why the perfect answer is not right, if it is not.
    let fault = |item: &Item| -> Result<Option<String>> {
        let answer = scripted::perfect(item, &identity);
        if !is_code(item) {
            let graded = grade(item, &Answer { text: &answer, truncated: false }, &identity);
            let why = graded.detail.unwrap_or_else(|| "not right".to_owned());
            return Ok((graded.verdict != Verdict::Correct).then(|| format!("{}: `{answer}`: {why}", item.id)));
        }
        let fault = program_fault(item, &answer, sandbox);
        if let Some(bar) = &bar {
            bar.advance(1);
        }
        fault
    };
    let faults = suite.items.par_iter().map(|item| Ok((is_code(item), fault(item)?))).collect::<Result<Vec<_>>>()?;
    if let Some(bar) = &bar {
        bar.finish();
    }
    let all: Vec<String> = faults.iter().filter_map(|(_, fault)| fault.clone()).collect();
    let failing: Vec<String> = faults.into_iter().filter_map(|(code, fault)| fault.filter(|_| code)).collect();
    let references = if programs == 0 {
        Finding::not_applicable("references", "no programs")
    } else {
        Finding::of("references", &failing, format!("{programs} pass in the sandbox"))
    };
    Ok((references, Finding::of("perfect", &all, "answers from the key score 1.000".to_owned())))
}

fn program_fault(item: &Item, answer: &str, sandbox: &Sandbox) -> Result<Option<String>> {
    let Task::Code { entry_point, .. } = &item.task else { return Ok(None) };
    let Some(program) = extract_code(answer, entry_point) else { return Ok(Some(format!("{}: no program was found", item.id))) };
    // Broken tests are a finding about the suite, not an end of the check.
    Ok(match check_program(sandbox, &item.task, &program) {
        Ok(checked) if checked.verdict == CodeVerdict::Passed => None,
        Ok(checked) => Some(format!("{}: {}", item.id, checked.detail)),
        Err(error) => Some(format!("{}: {error:#}", item.id)),
    })
}

fn empty(suite: &Suite) -> Finding {
    let identity = scripted::identity();
    let right = |item: &&Item| grade(item, &Answer { text: "", truncated: false }, &identity).verdict == Verdict::Correct;
    let bad: Vec<String> = suite.items.iter().filter(right).map(|item| format!("{}: silence is right", item.id)).collect();
    Finding::of("empty", &bad, "no answer at all scores 0.000".to_owned())
}

fn random(suite: &Suite) -> Finding {
    let identity = scripted::identity();
    let mut rng = ChaCha8Rng::seed_from_u64(derive(0, &["random chooser", &suite.name]));
    let (mut n, mut right, mut chance) = (0, 0, 0.0);
    for item in &suite.items {
        let Some(answer) = scripted::random(item, &mut rng) else { continue };
        n += 1;
        chance += item.chance();
        right += usize::from(grade(item, &Answer { text: &answer, truncated: false }, &identity).verdict == Verdict::Correct);
    }
    let Some(interval) = wilson(right, n, CONFIDENCE) else { return Finding::not_applicable("random", "nothing to choose from") };
    let (share, chance) = (right as f64 / n as f64, chance / n as f64);
    let text = format!("{share:.3} [{:.3}, {:.3}] of {n} choices at chance {chance:.3}", interval.low, interval.high);
    let bad = if interval.contains(chance) { Vec::new() } else { vec![format!("chance is outside: {text}")] };
    Finding::of("random", &bad, text)
}

fn is_code(item: &Item) -> bool {
    matches!(item.task, Task::Code { .. })
}
