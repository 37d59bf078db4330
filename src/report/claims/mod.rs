//! What the article claims, and what this run says to each claim, by rule.
//!
//! The rules are fixed before any number is seen:
//! - a difference is "reproduced" if its interval excludes 0 on the claimed side and holds the claimed size; otherwise it
//!   is "same direction" with smaller or larger size, "not shown" where the interval holds 0, or "opposite";
//! - "stays within L points" is "reproduced" if the whole interval is above -L, "opposite" if all of it is below,
//!   otherwise "not shown";
//! - where the base itself is not shown to be above chance, neither is measured: there is nothing to lose;
//! - a level of identity is judged only after a gain over the base is shown;
//! - a norm falls to "near 0" if its median in epochs 4 to 10, where the article stopped, is at most 5 % of its early
//!   peak; it does so "later" if it only ends there.

mod beside;
mod gradient;
mod interference;

pub(super) use beside::beside;

use super::text::{or_none, percent, point_range, points, share_text};
use crate::analysis::comparison::{Comparison, Direction};
use crate::analysis::results::{ALONE, Results};
use crate::analysis::retention::suites_with_retention;
use crate::analysis::share::Share;
use crate::stats::Interval;

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Replication {
    /// Same direction, same size.
    Reproduced,
    /// Same direction, less of it.
    Smaller,
    /// Same direction, more of it.
    Larger,
    /// Same direction, but later than claimed.
    Later,
    /// No evidence either way.
    NotShown,
    /// Evidence against it.
    Opposite,
    /// The run lacks what it takes.
    NotMeasured,
}

impl Replication {
    /// In the table.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Reproduced => "reproduced",
            Self::Smaller => "same direction, smaller",
            Self::Larger => "same direction, larger",
            Self::Later => "same direction, later",
            Self::NotShown => "not shown",
            Self::Opposite => "opposite",
            Self::NotMeasured => "not measured",
        }
    }
}

/// A claim with its fate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Finding {
    /// What the article says.
    pub(super) claim: String,
    /// Its number.
    pub(super) theirs: String,
    /// Our number with its interval.
    pub(super) ours: String,
    /// Replication.
    pub(super) verdict: Replication,
}

/// The article's accuracies by suite: base, A, B, the three-stage recipe. Its suite of reasoning is Chinese; the
/// English twin is held against the same numbers.
const SUITES: [(&str, f64, f64, f64); 4] =
    [("fact-qa", 0.62, 0.89, 0.94), ("code", 0.41, 0.76, 0.73), ("reasoning-zh", 0.53, 0.84, 0.85), ("reasoning-en", 0.53, 0.84, 0.85)];
/// The article gives one number for the base, over all its questions.
const BASE: f64 = 0.96;
/// The article's accuracies on identity.
const IDENTITY: [(&str, f64); 3] = [(ALONE, 1.0), (MIXTURE, 0.98), (RECIPE, 0.98)];
/// The variant of one mixture.
const MIXTURE: &str = "B";
/// The variant of three stages.
const RECIPE: &str = "mixed";

/// Whether the experiment has all three of the article's variants.
fn is_the_articles(results: &Results) -> bool {
    let named = |name: &str| results.view.run.experiment.variants.iter().any(|variant| variant.name == name);
    [ALONE, MIXTURE, RECIPE].into_iter().all(named)
}

/// Every claim, in the article's order; none unless the experiment has all three of its variants.
pub(super) fn findings(results: &Results) -> Vec<Finding> {
    if !is_the_articles(results) {
        return Vec::new();
    }
    let suites: Vec<_> = SUITES.iter().filter(|(suite, ..)| results.view.suites.contains(suite)).collect();
    let mut findings = Vec::new();
    for (suite, alone, mixture, _) in &suites {
        findings.push(difference(results, (ALONE, MIXTURE), suite, alone - mixture));
    }
    for (suite, _, mixture, _) in &suites {
        findings.push(within(results, MIXTURE, suite, BASE - mixture));
    }
    for (suite, alone, _, recipe) in &suites {
        findings.push(difference(results, (RECIPE, ALONE), suite, recipe - alone));
    }
    for (suite, _, _, recipe) in &suites {
        findings.push(within(results, RECIPE, suite, BASE - recipe));
    }
    for (variant, level) in IDENTITY {
        findings.extend(results.view.identity().map(|suite| identity(results, variant, suite, level)));
    }
    findings.extend(gradient::findings(&results.view));
    findings.extend(interference::findings(&results.view));
    findings
}

fn difference(results: &Results, (variant, reference): (&str, &str), suite: &str, claimed: f64) -> Finding {
    let claim = format!("{variant} {} {reference} on {suite}", if claimed < 0.0 { "loses against" } else { "gains over" });
    let found = compare(results, variant, reference, suite);
    of_comparison(results, claim, points(claimed), suite, found.as_ref(), |found| judge_difference(found, claimed))
}

fn within(results: &Results, variant: &str, suite: &str, loss: f64) -> Finding {
    let claim = format!("{variant} stays within {} points of base on {suite}", percent(loss));
    let found = results.against_base(variant, suite);
    of_comparison(results, claim, format!("above {}", points(-loss)), suite, found, |found| judge_within(found.hull(), loss))
}

/// Judges what was compared, where the base is above chance.
fn of_comparison(
    results: &Results,
    claim: String,
    theirs: String,
    suite: &str,
    found: Option<&Comparison>,
    judge: impl FnOnce(&Comparison) -> Replication,
) -> Finding {
    let known = suites_with_retention(&results.view).contains(&suite);
    let verdict = found.filter(|_| known).map_or(Replication::NotMeasured, judge);
    Finding { claim, theirs, ours: or_none(found, |found| measured(found, known)), verdict }
}

fn identity(results: &Results, variant: &str, suite: &str, claimed: f64) -> Finding {
    let share = results.view.variant(variant).and_then(|subject| Share::accuracy(subject, suite));
    let gain = results.against_base(variant, suite);
    Finding {
        claim: format!("{variant} states the new identity ({suite})"),
        theirs: format!("{} %", percent(claimed)),
        ours: or_none(share, |share| share_text(&share)),
        verdict: match (share, gain) {
            (Some(share), Some(gain)) => judge_level(share, gain.direction(), claimed),
            _ => Replication::NotMeasured,
        },
    }
}

/// Compares two variants, whichever of the tables they stand in.
fn compare<'a>(results: &Results<'a>, variant: &str, reference: &str, suite: &str) -> Option<Comparison<'a>> {
    let view = &results.view;
    let suite = view.suites.iter().find(|name| **name == suite)?;
    Comparison::of(view, view.variant(reference)?, view.variant(variant)?, suite)
}

fn measured(found: &Comparison, known: bool) -> String {
    let items = found.items.map(|items| format!(", over items {}", point_range(items))).unwrap_or_default();
    let chance = if known { "" } else { ", the base at chance" };
    format!("{} {}{items} n={}{chance}", points(found.difference), point_range(found.interval), found.n)
}

fn judge_difference(found: &Comparison, claimed: f64) -> Replication {
    let hull = found.hull();
    match (found.direction(), claimed < 0.0) {
        (Direction::Unclear, _) => Replication::NotShown,
        (Direction::Worse, false) | (Direction::Better, true) => Replication::Opposite,
        _ if hull.contains(claimed) => Replication::Reproduced,
        _ if found.difference.abs() < claimed.abs() => Replication::Smaller,
        _ => Replication::Larger,
    }
}

fn judge_within(hull: Interval, loss: f64) -> Replication {
    match (hull.low > -loss, hull.high < -loss) {
        (true, _) => Replication::Reproduced,
        (_, true) => Replication::Opposite,
        _ => Replication::NotShown,
    }
}

fn judge_level(share: Share, gain: Direction, claimed: f64) -> Replication {
    match gain {
        Direction::Unclear => Replication::NotShown,
        Direction::Worse => Replication::Opposite,
        Direction::Better if share.interval.contains(claimed) => Replication::Reproduced,
        Direction::Better if share.value < claimed => Replication::Smaller,
        Direction::Better => Replication::Larger,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{cell, run};
    use crate::analysis::view::View;

    fn verdict(findings: &[Finding], claim: &str) -> Replication {
        findings.iter().find(|found| found.claim == claim).unwrap_or_else(|| panic!("{claim} in {findings:#?}")).verdict
    }

    #[test]
    fn each_verdict_follows_its_rule() {
        let sample = run();
        let found = findings(&Results::new(View::new(&sample)));
        // A .30 against B .75 on 60 items: -45.0 [-57.9, -30.1] excludes 0 and holds the article's -27 only if wide enough.
        assert_eq!(verdict(&found, "A loses against B on fact-qa"), Replication::Larger);
        assert_eq!(verdict(&found, "A loses against B on reasoning-zh"), Replication::Reproduced);
        assert_eq!(verdict(&found, "mixed stays within 11.0 points of base on reasoning-zh"), Replication::Reproduced);
        assert_eq!(verdict(&found, "mixed stays within 2.0 points of base on fact-qa"), Replication::NotShown);
        assert_eq!(verdict(&found, "mixed states the new identity (identity)"), Replication::Reproduced);
        assert!(found.iter().all(|found| !found.claim.contains("code")), "no suite of that name was asked");
    }

    #[test]
    fn no_difference_is_not_shown_and_a_gain_is_the_opposite_of_a_loss() {
        let mut sample = run();
        sample.cells[0] = cell("A", 42, 0.75, 0.0);
        let found = findings(&Results::new(View::new(&sample)));
        assert_eq!(verdict(&found, "A loses against B on fact-qa"), Replication::NotShown);
        assert_eq!(verdict(&found, "A states the new identity (identity)"), Replication::NotShown);
        sample.cells[1] = cell("B", 42, 0.3, 1.0);
        let found = findings(&Results::new(View::new(&sample)));
        assert_eq!(verdict(&found, "A loses against B on fact-qa"), Replication::Opposite);
        assert_eq!(verdict(&found, "B stays within 7.0 points of base on fact-qa"), Replication::Opposite);
    }

    #[test]
    fn where_the_base_is_at_chance_nothing_reproduces() {
        let mut sample = run();
        sample.meta.suites.get_mut("reasoning-zh").unwrap().chance = 0.75;
        let found = findings(&Results::new(View::new(&sample)));
        assert_eq!(verdict(&found, "mixed stays within 11.0 points of base on reasoning-zh"), Replication::NotMeasured);
        assert!(found.iter().any(|found| found.ours.ends_with("n=60, the base at chance")));
        assert_eq!(verdict(&found, "A loses against B on fact-qa"), Replication::Larger);
    }

    #[test]
    fn a_missing_variant_is_not_measured_and_another_experiment_has_no_claims() {
        let mut sample = run();
        sample.cells.remove(1);
        let found = findings(&Results::new(View::new(&sample)));
        assert_eq!(verdict(&found, "A loses against B on fact-qa"), Replication::NotMeasured);
        sample.experiment.variants[1].name = "other".to_owned();
        assert!(findings(&Results::new(View::new(&sample))).is_empty());
    }
}
