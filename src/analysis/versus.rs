//! Sets of answers side by side, from any runs: every number by the same functions as a report's.

use std::collections::BTreeMap;

use anyhow::{Result, bail};
use serde::Serialize;

use super::answer_set::AnswerSet;
use super::comparison::{Comparison, Direction, Over, corrected, partners, suite_pairs};
use super::view::{CONFIDENCE, Subject, suite_rows};
use crate::error::Invalid;
use crate::random::derive;
use crate::record::mark::Mark;
use crate::stats::Interval;
use crate::stats::bootstrap::{Bootstrap, bootstrap_interval};
use crate::stats::retention::retention;

/// Resamples of a retention's interval.
const RESAMPLES: usize = 2000;

/// Everything that was compared. The field names are those of `ballast compare --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Versus {
    /// Version of these fields.
    pub schema: u32,
    /// What all others are compared with.
    pub reference: String,
    /// What a reader must know before the numbers.
    pub notes: Vec<String>,
    /// Suite by suite.
    pub comparisons: Vec<Compared>,
    /// What each was given and how far it moved.
    pub variants: Vec<TrainingSummary>,
}

/// One variant against the reference on one suite. Fractions of 1; None is undefined.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Compared {
    /// Suite.
    pub suite: String,
    /// What is compared.
    pub variant: String,
    /// Seeds compared.
    pub seeds: usize,
    /// Items of one seed.
    pub n: usize,
    /// Accuracy of the reference, mean over seeds.
    pub before: f64,
    /// Accuracy of the variant, mean over seeds.
    pub after: f64,
    /// Variant minus reference.
    pub difference: f64,
    /// Its 95 % interval.
    pub interval: Interval,
    /// What that is over: items, clusters, seeds.
    pub over: &'static str,
    /// With several seeds, the interval over items.
    pub interval_over_items: Option<Interval>,
    /// Right before, wrong after; all seeds together.
    pub harmful: usize,
    /// Wrong before, right after.
    pub beneficial: usize,
    /// Share of flips in either direction.
    pub churn: Option<f64>,
    /// Harmful flips that are well-formed and wrong.
    pub lost_knowledge: usize,
    /// Harmful flips that failed as text, or leaked the identity.
    pub lost_form: usize,
    /// McNemar's mid-p.
    pub p: Option<f64>,
    /// The same after Holm's correction over all comparisons here.
    pub holm_p: Option<f64>,
    /// Whether the difference is shown: worse, unclear, better.
    pub shown: &'static str,
    /// Share of what the reference knows above chance that is left.
    pub retention: Option<f64>,
    /// Its interval, by paired bootstrap over clusters.
    pub retention_interval: Option<Interval>,
}

/// Dose and drift of a variant; sums and rates of its first seed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrainingSummary {
    /// Name.
    pub variant: String,
    /// Seeds.
    pub seeds: usize,
    /// Optimizer steps; None where nothing is known of its training.
    pub steps: Option<usize>,
    /// Highest learning rate.
    pub learning_rate: Option<f64>,
    /// Label tokens trained on, repetitions counted.
    pub label_tokens: Option<usize>,
    /// Loss of the last step.
    pub last_loss: Option<f64>,
    /// Mean KL(base || variant), nats a token, mean over seeds.
    pub drift: Option<f64>,
    /// Another variant's adapter at this strength.
    pub derived: Option<(String, f64)>,
}

/// Compares everything with the first. Answers that may not be compared are an [`Invalid`] that says why.
pub fn versus(mut sources: Vec<AnswerSet>, chance: &dyn Fn(&str, &AnswerSet) -> Option<f64>) -> Result<Versus> {
    let Some(first) = sources.first() else { bail!("there is nothing to compare") };
    for other in &sources[1..] {
        let differences = first.differences(other);
        if !differences.is_empty() {
            bail!(Invalid(format!("{} cannot be compared with {}: {}", first.path, other.path, differences.join("; "))));
        }
    }
    let notes = notes(&sources);
    let names = names(&sources);
    let alone = names.iter().filter(|name| **name == names[0]).count() == 1;
    if alone {
        // One set of answers is the reference of every seed, as the base is.
        sources[0].cell.record.seed = None;
    }
    let mut subjects: Vec<Subject> = Vec::new();
    for (source, name) in sources.iter().zip(&names) {
        match subjects.iter_mut().find(|subject| subject.name == name) {
            Some(subject) => subject.cells.push(&source.cell),
            None => subjects.push(Subject { name, cells: vec![&source.cell] }),
        }
    }
    if subjects.len() < 2 {
        bail!("{} is the only set of answers: name another to compare it with", sources[0].path);
    }
    let mut suites: Vec<&str> = Vec::new();
    for row in &sources[0].cell.items {
        if !suites.contains(&row.suite.as_str()) {
            suites.push(&row.suite);
        }
    }
    let (reference, variants) = (&subjects[0], &subjects[1..]);
    let mut compared = Vec::new();
    for suite in &suites {
        let chance = chance(suite, &sources[0]);
        for variant in variants {
            let Some(found) = Comparison::between(reference, variant, suite, chance) else {
                bail!("{} and {} have no training seed in common", reference.name, variant.name);
            };
            compared.push((found, variant, chance));
        }
    }
    let (found, rest): (Vec<Comparison>, Vec<_>) = compared.into_iter().map(|(found, variant, chance)| (found, (variant, chance))).unzip();
    let comparisons = corrected(found).iter().zip(rest).map(|(found, (variant, chance))| row(found, reference, variant, chance)).collect();
    Ok(Versus {
        schema: 1,
        reference: reference.name.to_owned(),
        notes,
        comparisons,
        variants: subjects.iter().map(training_summary).collect(),
    })
}

/// What each set of answers is called: a file by its name, a variant by its own, with its run's where there are several.
fn names(sources: &[AnswerSet]) -> Vec<String> {
    let last = |path: &str| path.trim_end_matches('/').rsplit('/').next().unwrap_or(path).to_owned();
    let name = |source: &AnswerSet| {
        let twins = sources.iter().any(|other| other.run != source.run && last(&other.run) == last(&source.run));
        let run = if twins { source.run.clone() } else { last(&source.run) };
        let several = sources.iter().any(|other| other.run != source.run);
        match (source.is_file, several) {
            (true, _) => run,
            (false, true) => format!("{run}/{}", source.cell.record.variant),
            (false, false) => source.cell.record.variant.clone(),
        }
    };
    sources.iter().map(name).collect()
}

fn notes(sources: &[AnswerSet]) -> Vec<String> {
    let mut notes = Vec::new();
    let mut weights: Vec<&String> = sources.iter().filter_map(|source| source.weights.as_ref()).collect();
    weights.dedup();
    if weights.windows(2).any(|pair| pair[0] != pair[1]) {
        notes.push("Not all answers are of the same base model.".to_owned());
    }
    let bare: Vec<&str> = sources.iter().filter(|source| source.conditions.is_none()).map(|source| source.path.as_str()).collect();
    if !bare.is_empty() {
        notes.push(format!("Without evidence beside it, only items and prompts could be checked: {}.", bare.join(", ")));
    }
    notes
}

fn row(found: &Comparison, reference: &Subject, variant: &Subject, chance: Option<f64>) -> Compared {
    let (lost_knowledge, lost_form) = losses(reference, variant, found.suite);
    let flips = found.harmful + found.beneficial;
    Compared {
        suite: found.suite.to_owned(),
        variant: found.variant.to_owned(),
        seeds: found.seeds,
        n: found.n,
        before: found.before,
        after: found.after,
        difference: found.difference,
        interval: found.interval,
        over: match found.over {
            Over::Items => "items",
            Over::Clusters => "clusters",
            Over::Seeds => "seeds",
        },
        interval_over_items: found.items,
        harmful: found.harmful,
        beneficial: found.beneficial,
        churn: (found.n > 0).then(|| flips as f64 / (found.n * found.seeds) as f64),
        lost_knowledge,
        lost_form,
        p: found.p,
        holm_p: found.adjusted,
        shown: match found.corrected_direction() {
            Direction::Worse => "worse",
            Direction::Unclear => "unclear",
            Direction::Better => "better",
        },
        retention: found.retention,
        retention_interval: found.retention.and(chance).and_then(|chance| retention_interval(reference, variant, found.suite, chance)),
    }
}

/// Harmful flips of all seeds: well-formed but wrong, and lost to form.
fn losses(reference: &Subject, variant: &Subject, suite: &str) -> (usize, usize) {
    let (mut knowledge, mut form) = (0, 0);
    for (before, after) in partners(reference, variant) {
        for pair in suite_pairs(before, after, suite) {
            if pair.is_harmful() {
                let after = Mark::of(pair.after);
                *(if after.form_failed() || after.leaks() { &mut form } else { &mut knowledge }) += 1;
            }
        }
    }
    (knowledge, form)
}

/// Scores are means over seeds, so that several seeds count no item twice.
fn retention_interval(reference: &Subject, variant: &Subject, suite: &str, chance: f64) -> Option<Interval> {
    let mut items: BTreeMap<&str, (&str, f64, f64, f64)> = BTreeMap::new();
    for (before, after) in partners(reference, variant) {
        for (cell, is_after) in [(before, false), (after, true)] {
            for row in suite_rows(cell, suite) {
                let item = items.entry(&row.hash).or_insert((&row.cluster, 0.0, 0.0, 0.0));
                let score = f64::from(u8::from(row.is_correct()));
                *(if is_after { &mut item.2 } else { &mut item.1 }) += score;
                item.3 += 0.5;
            }
        }
    }
    let base: Vec<f64> = items.values().map(|(_, before, _, seeds)| before / seeds).collect();
    let after: Vec<f64> = items.values().map(|(_, _, after, seeds)| after / seeds).collect();
    let clusters: Vec<&str> = items.values().map(|(cluster, ..)| *cluster).collect();
    let settings = Bootstrap { resamples: RESAMPLES, seed: derive(0, &["compare", suite, variant.name]), confidence: CONFIDENCE };
    bootstrap_interval(&base, &after, &clusters, &settings, |base, variant| retention(base, variant, chance))
}

fn training_summary(subject: &Subject) -> TrainingSummary {
    let first = subject.cells[0];
    let stages = &first.record.stages;
    let trained = !stages.is_empty();
    let drift: Vec<f64> = subject.cells.iter().filter_map(|cell| cell.record.liveness.map(|proof| proof.kl)).collect();
    TrainingSummary {
        variant: subject.name.to_owned(),
        seeds: subject.cells.len(),
        steps: trained.then(|| stages.iter().map(|stage| stage.steps).sum()),
        learning_rate: stages.iter().map(|stage| stage.learning_rate).reduce(f64::max),
        label_tokens: (!first.train.is_empty()).then(|| first.train.iter().map(|row| row.label_tokens).sum()),
        last_loss: first.train.last().and_then(|row| row.loss),
        drift: (!drift.is_empty()).then(|| drift.iter().sum::<f64>() / drift.len() as f64),
        derived: first.record.derived.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::answer_set::Conditions;
    use crate::analysis::sample::{run, with_seeds};
    use crate::eval::score::IdentityTerms;
    use crate::record::run_dir::Cell;
    use crate::report::versus::markdown;

    fn source(name: &str, cell: &Cell) -> AnswerSet {
        AnswerSet {
            model: None,
            path: name.to_owned(),
            run: "runs/sample".to_owned(),
            is_file: false,
            cell: cell.clone(),
            weights: Some("w".to_owned()),
            conditions: Some(Conditions {
                ballast: "0".to_owned(),
                system: "Be brief.".to_owned(),
                identity: IdentityTerms::default(),
                decoding: "greedy".to_owned(),
                suites: BTreeMap::new(),
            }),
            chance: BTreeMap::new(),
        }
    }

    #[test]
    fn a_run_is_compared_as_its_report_compares_it() {
        let run = run();
        let sources = std::iter::once(&run.base).chain(&run.cells).map(|cell| source(&cell.record.variant, cell)).collect();
        let found = versus(sources, &|_, _| Some(0.0)).unwrap();
        assert_eq!((found.reference.as_str(), found.comparisons.len(), found.variants.len()), ("base", 9, 4));
        let a = &found.comparisons[0];
        assert_eq!((a.suite.as_str(), a.variant.as_str(), a.harmful, a.beneficial, a.shown), ("fact-qa", "A", 30, 0, "worse"));
        assert_eq!(a.lost_knowledge + a.lost_form, 30);
        assert!(a.lost_form > 5 && a.lost_knowledge > 5, "{a:?}");
        assert!(a.retention_interval.unwrap().contains(a.retention.unwrap()));
        assert_eq!(found.variants[1].steps, Some(40));
        assert_eq!(found.variants[0].steps, None);
        let text = markdown(&found);
        assert!(text.contains("| `fact-qa` | `A` | 60 |") && text.contains("**-50.0**"), "{text}");
    }

    #[test]
    fn several_seeds_are_an_interval_over_seeds() {
        let run = with_seeds();
        let sources = std::iter::once(&run.base).chain(&run.cells).map(|cell| source(&cell.record.variant, cell)).collect();
        let found = versus(sources, &|_, _| None).unwrap();
        assert_eq!((found.comparisons[0].seeds, found.comparisons[0].over), (3, "seeds"));
        assert_eq!(found.comparisons[0].retention, None);
    }

    #[test]
    fn other_items_prompts_or_decodings_are_refused() {
        let run = run();
        let (base, other) = (source("a", &run.base), source("b", &run.cells[0]));
        let refused = |change: fn(&mut AnswerSet), named: &str| {
            let mut other = other.clone();
            change(&mut other);
            let error = versus(vec![base.clone(), other], &|_, _| None).unwrap_err();
            assert!(error.is::<Invalid>() && error.to_string().contains(named), "{error}");
        };
        refused(|s| s.cell.items.truncate(100), "suite reasoning-zh: 20 items asked only in a");
        refused(|s| s.cell.items[0].hash = "other".to_owned(), "1 only in b");
        refused(|s| s.cell.items[0].prompt.push('!'), "1 item asked with a different prompt");
        refused(|s| s.cell.items[0].prompt_tokens += 3, "different prompt or system prompt");
        let digest = |digest: &str| {
            let with = |mut source: AnswerSet, digest: &str| {
                source.cell.items[0].prompt_digest = digest.to_owned();
                source.cell.items[0].prompt_tokens += digest.len();
                source
            };
            versus(vec![with(base.clone(), "ab"), with(other.clone(), digest)], &|_, _| None)
        };
        // A conversation is longer where the answers in it are; what both were given is the digest's.
        assert!(digest("ab").is_ok());
        assert!(digest("xyz").unwrap_err().to_string().contains("different prompt or system prompt"));
        refused(|s| s.conditions.as_mut().unwrap().system = "x".to_owned(), "the system prompt differs: `Be brief.` and `x`");
        refused(|s| s.cell.items.push(s.cell.items[0].clone()), "answers 1 item twice");
        assert!(versus(vec![base], &|_, _| None).is_err());
    }
}
