//! `ballast suite check`: proves that a suite measures what it says. A suite with a wrong key, a grader that takes silence
//! for an answer or a reference solution that fails gives numbers as smooth as those of a sound one.

use std::fmt::Write;

use anyhow::Result;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use super::findings::{self, CONFIDENCE, Finding, Outcome};
use super::{constant, scripted, size};
use crate::cli::SuiteCheckArgs;
use crate::commands::{asked, fetched, print};
use crate::data::identity::{Bilingual, Identity};
use crate::data::overlap::{OverlapIndex, find_overlaps};
use crate::data::placeholder::Placeholders;
use crate::error::Invalid;
use crate::eval::budget::Budgets;
use crate::eval::mapping::Reference;
use crate::eval::program::check_program;
use crate::eval::score::{Answer, CodeRun, IdentityTerms, Verdict, extract_code, grade, grade_composite};
use crate::eval::suite::{Item, Suite};
use crate::library;
use crate::plan;
use crate::progress::Bar;
use crate::random::derive;
use crate::sandbox::Sandbox;
use crate::stats::interval::wilson;

pub(in crate::commands) fn check(args: &SuiteCheckArgs) -> Result<()> {
    let mut names = asked(&args.suites, args.asking)?;
    if names.is_empty() {
        names.extend(library::suite_names().map(str::to_owned));
    }
    let answers = constant::stored(&args.answers, &args.rows)?;
    let suites = names.iter().map(|name| Ok((name, fetched::suite(name)?))).collect::<Result<Vec<_>>>()?;
    let sandbox = Sandbox::default();
    if suites.iter().any(|(_, suite)| suite.items.iter().any(Item::runs_programs)) {
        sandbox.effective_layers()?;
    }
    let mut failed = Vec::new();
    for (name, suite) in &suites {
        let published = Reference::parse(name).is_some();
        let findings = findings(suite, published, &sandbox, &answers);
        let mut text = format!("{} v{}  {}\n", suite.name, suite.version, size(suite));
        for Finding { check, outcome, text: found } in &findings {
            let mark = match outcome {
                Outcome::Holds => "ok",
                Outcome::Noted => "note",
                Outcome::Fails => "FAIL",
                Outcome::NotApplicable => "n/a",
            };
            writeln!(text, "  {mark:<5} {check:<11} {found}")?;
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

fn findings(suite: &Suite, published: bool, sandbox: &Sandbox, stored: &[String]) -> Vec<Finding> {
    let judge = Judge { sandbox, budgets: Budgets::default(), identity: scripted::identity() };
    let [references, perfect] = judge.perfect(suite);
    vec![
        findings::ids(suite),
        findings::answers(suite),
        findings::prompts(suite).noted_if(published),
        findings::chance(suite),
        findings::positions(suite).noted_if(published),
        held_out(suite).noted_if(published),
        references,
        perfect,
        judge.wrong(suite).noted_if(published),
        judge.empty(suite),
        judge.random(suite),
        constant::best(suite, stored).noted_if(published),
    ]
}

/// Whether no row that ships for training repeats what the suite asks.
fn held_out(suite: &Suite) -> Finding {
    let terms = scripted::identity();
    let identity = Identity {
        name: Bilingual { zh: terms.name_zh, en: terms.name_en },
        author: Bilingual { zh: terms.author_zh, en: terms.author_en },
    };
    let index = OverlapIndex::of(suite.items.iter().flat_map(|item| plan::asked(&suite.name, item, &identity)));
    let (mut rows, mut bad) = (0, Vec::new());
    for source in library::source_names() {
        let filled = library::examples(&source).and_then(|examples| {
            let placeholders = Placeholders::of(&examples)?;
            examples.into_iter().map(|example| placeholders.fill(example, &identity)).collect::<Result<Vec<_>>>()
        });
        match filled {
            Ok(examples) => {
                rows += examples.len();
                bad.extend(find_overlaps(&index, &examples).iter().map(ToString::to_string));
            }
            Err(error) => bad.push(format!("{source}: {error:#}")),
        }
    }
    Finding::of("held out", &bad, format!("none of {rows} shipped rows repeats an item"))
}

/// Grades scripted answers as those of a model are graded.
struct Judge<'a> {
    sandbox: &'a Sandbox,
    budgets: Budgets,
    identity: IdentityTerms,
}

impl Judge<'_> {
    /// Whether an answer is right, and if not, why.
    fn grade(&self, item: &Item, answer: &str) -> Result<(), String> {
        let spoken = Answer { text: answer, truncated: false };
        let graded = match item.program() {
            None => grade(item, &spoken, &self.identity),
            Some(program) => {
                let code = extract_code(answer, program.entry_point).ok_or("no program was found")?;
                // Broken tests are a finding about the suite, not an end of the check.
                let limits = self.budgets.limits(self.sandbox, item).map_err(|error| format!("{error:#}"))?;
                let checked = check_program(self.sandbox, program, &code, &limits).map_err(|error| format!("{error:#}"))?;
                let run = CodeRun { code, outcome: checked.outcome, detail: Some(checked.detail) };
                grade_composite(item, &spoken, &self.identity, Some(run))
            }
        };
        let why = || format!("`{answer}`: {}", graded.detail.as_deref().unwrap_or("not right"));
        if graded.verdict == Verdict::Correct { Ok(()) } else { Err(why()) }
    }

    /// Every item with the grade of its scripted answer, but those for which there is none.
    fn grade_all<'i>(
        &self,
        suite: &'i Suite,
        what: &str,
        answer: fn(&Item, &IdentityTerms) -> Option<String>,
    ) -> Vec<(&'i Item, Result<(), String>)> {
        // Only programs take long.
        let leaves: Vec<&Item> = suite.items.iter().flat_map(Item::graded_leaves).collect();
        let programs = leaves.iter().filter(|item| is_code(item)).count();
        let bar = (programs > 0).then(|| Bar::new(&format!("{} {what}", suite.name), programs));
        let grade = |item: &'i Item| {
            let grade = self.grade(item, &answer(item, &self.identity)?);
            if let Some(bar) = bar.as_ref().filter(|_| is_code(item)) {
                bar.advance(1);
            }
            Some((item, grade))
        };
        let grades = leaves.into_par_iter().filter_map(grade).collect();
        if let Some(bar) = &bar {
            bar.finish();
        }
        grades
    }

    /// The reference solutions pass, and the model that answers with the key is right everywhere: one run of each program.
    fn perfect(&self, suite: &Suite) -> [Finding; 2] {
        let grades = self.grade_all(suite, "solutions", scripted::perfect);
        let fault = |(item, grade): &(&Item, Result<(), String>)| Some(format!("{}: {}", item.id, grade.as_ref().err()?));
        let programs: Vec<_> = grades.iter().filter(|(item, _)| is_code(item)).collect();
        let failing: Vec<String> = programs.iter().filter_map(|grade| fault(grade)).collect();
        let references = if programs.is_empty() {
            Finding::not_applicable("references", "no programs")
        } else {
            Finding::of("references", &failing, format!("{} pass in the sandbox", programs.len()))
        };
        let faults: Vec<String> = grades.iter().filter_map(fault).collect();
        let items: usize = suite.items.iter().map(|item| item.graded_leaves().len()).sum();
        let perfect = match (grades.len(), items - grades.len()) {
            (0, _) => Finding::not_applicable("perfect", "the keys hold no answer"),
            (_, 0) => Finding::of("perfect", &faults, "answers from the key score 1.000".to_owned()),
            (known, _) => Finding::of("perfect", &faults, format!("the {known} answers that keys hold score 1.000; the others hold none")),
        };
        [references, perfect]
    }

    /// A model that is wrong everywhere, its programs stubs, is nowhere right.
    fn wrong(&self, suite: &Suite) -> Finding {
        let grades = self.grade_all(suite, "stubs", |item, identity| Some(scripted::wrong(item, identity)));
        let right = |(item, grade): (&Item, Result<(), String>)| grade.is_ok().then(|| format!("{}: a wrong answer is right", item.id));
        Finding::of("wrong", &grades.into_iter().filter_map(right).collect::<Vec<_>>(), "wrong answers and stubs score 0.000".to_owned())
    }

    fn empty(&self, suite: &Suite) -> Finding {
        let right = |item: &&Item| self.grade(item, "").is_ok();
        let bad: Vec<String> =
            suite.items.iter().flat_map(Item::graded_leaves).filter(right).map(|item| format!("{}: silence is right", item.id)).collect();
        Finding::of("empty", &bad, "no answer at all scores 0.000".to_owned())
    }

    fn random(&self, suite: &Suite) -> Finding {
        let mut rng = ChaCha8Rng::seed_from_u64(derive(0, &["random chooser", &suite.name]));
        let (mut n, mut right, mut chance) = (0, 0, 0.0);
        for item in suite.items.iter().flat_map(Item::graded_leaves) {
            let Some(answer) = scripted::random(item, &mut rng) else { continue };
            n += 1;
            chance += item.chance();
            right += usize::from(self.grade(item, &answer).is_ok());
        }
        let Some(interval) = wilson(right, n, CONFIDENCE) else { return Finding::not_applicable("random", "nothing to choose from") };
        let (share, chance) = (right as f64 / n as f64, chance / n as f64);
        let text = format!("{share:.3} [{:.3}, {:.3}] of {n} choices at chance {chance:.3}", interval.low, interval.high);
        let bad = if interval.contains(chance) { Vec::new() } else { vec![format!("chance is outside: {text}")] };
        Finding::of("random", &bad, text)
    }
}

fn is_code(item: &Item) -> bool {
    item.program().is_some()
}
