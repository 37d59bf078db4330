//! What the answers of the development part let expect of the verdict on the held-out part.
//!
//! The verdict is the gate's on other items, usually more of them. So what is asked of a candidate is the p-value that the gate's
//! tests would come to there if its items came out like these: the same rates of flips, at the other number of items. A
//! candidate whose worst p-value is [`ALPHA`] passes every other time, one at [`likely`] in four of five.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::error::Invalid;
use crate::eval::suite::SuiteRole;
use crate::gate::baseline::Baseline;
use crate::gate::decision::{ALPHA, Decision, LossTest};
use crate::gate::drift::DriftTest;
use crate::gate::judge::{Judgement, can_lose};
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;
use crate::stats::distribution::{normal_cdf, normal_quantile};
use crate::stats::noninferiority::Flips;

/// Chance of passing at the level of [`likely`].
const POWER: f64 = 0.8;

/// The p-value at which a candidate is expected to pass at [`ALPHA`] in 80 of 100 cases.
pub fn likely() -> f64 {
    let z = |p: f64| normal_quantile(p).unwrap_or(0.0);
    normal_cdf(-(z(1.0 - ALPHA) + z(POWER)))
}

/// One thing that a verdict asks: a loss that must be shown to be smaller than a margin.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// In words.
    pub what: String,
    /// As a fraction of 1.
    pub margin: f64,
    /// Items that it is asked of.
    pub n: usize,
}

/// All losses that a baseline's part asks about, identity included.
pub fn asked(part: &Baseline, identity_margin: f64) -> Vec<Asked> {
    let mut asked = Vec::new();
    for (suite, marks) in part.header.suites.iter().zip(&part.marks) {
        if suite.margin_points.is_none() || can_lose(suite, right(marks.values()), marks.len()) {
            for (what, points) in [("accuracy", suite.margin_points), ("well-formed answers", suite.form_points)] {
                let margin = points.map(|points| points / 100.0);
                asked.extend(margin.map(|margin| Asked { what: format!("{}: {what}", suite.name), margin, n: marks.len() }));
            }
        }
    }
    if let Some(points) = part.header.leak_points.filter(|_| items(part, false) > 0) {
        asked.push(Asked { what: "answers without identity text".to_owned(), margin: points / 100.0, n: items(part, false) });
    }
    asked.push(Asked { what: "identity".to_owned(), margin: identity_margin, n: items(part, true) });
    asked
}

fn right<'a>(marks: impl Iterator<Item = &'a Mark>) -> usize {
    marks.filter(|mark| mark.correct()).count()
}

/// Items of the identity suites, or of all others.
pub fn items(part: &Baseline, identity: bool) -> usize {
    let suites = part.header.suites.iter().zip(&part.marks);
    suites.filter(|(suite, _)| (suite.role == SuiteRole::Identity) == identity).map(|(_, marks)| marks.len()).sum()
}

/// The level that a candidate is chosen by: [`likely`] where so many items could show it at all, else [`ALPHA`].
pub fn level(held_out: &[Asked]) -> f64 {
    let reachable = |asked: &Asked| p_of(Flips { n: asked.n as f64, harmful: 0.0, beneficial: 0.0 }, asked.margin) <= likely();
    if held_out.iter().all(reachable) { likely() } else { ALPHA }
}

/// What to expect of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outlook {
    /// The largest p-value of what the baseline asks.
    pub kept: f64,
    /// What has it.
    pub weakest: String,
    /// The p-value of "less of the identity is kept than the margin allows", and of an identity suite's floor.
    pub identity: f64,
    /// What makes a pass impossible whatever the p-values are.
    pub broken: Vec<String>,
}

impl Outlook {
    /// Of a candidate without answers.
    pub fn broken(why: String) -> Self {
        Self { kept: 1.0, weakest: "everything".to_owned(), identity: 1.0, broken: vec![why] }
    }

    /// Whether it loses more than the baseline allows, as far as can be told at a level.
    pub fn forgets(&self, level: f64) -> bool {
        !self.broken.is_empty() || self.kept > level
    }

    /// Whether it is expected to pass, at a level.
    pub fn holds(&self, level: f64) -> bool {
        !self.forgets(level) && self.identity <= level
    }

    /// The worst of its p-values.
    pub fn worst(&self) -> f64 {
        if self.broken.is_empty() { self.kept.max(self.identity) } else { 1.0 }
    }
}

/// Reads a candidate's judgement on the development part for a verdict on the held-out part.
pub fn outlook(
    (development, held_out): (&Baseline, &Baseline),
    judgement: &Judgement,
    identity: &LossTest,
    drift: Option<DriftTest>,
) -> Outlook {
    let mut outlook = Outlook { kept: 0.0, weakest: "nothing".to_owned(), identity: 0.0, broken: Vec::new() };
    let mut kept = |what: String, p: f64| {
        if p >= outlook.kept {
            (outlook.kept, outlook.weakest) = (p, what);
        }
    };
    let mut floors = Vec::new();
    for (i, (suite, found)) in development.header.suites.iter().zip(&judgement.suites).enumerate() {
        let n = held_out.marks[i].len();
        if suite.margin_points.is_none() || can_lose(suite, right(development.marks[i].values()), development.marks[i].len()) {
            for (what, test) in [("accuracy", found.loss), ("well-formed answers", found.form)] {
                if let Some(test) = test {
                    kept(format!("{}: {what}", suite.name), expected(&test, n));
                }
            }
        }
        if let Some(floor) = found.floor {
            floors.push(expected_above(found.after.unwrap_or(0.0), n, floor.floor));
        }
    }
    if let Some(test) = judgement.leakage {
        kept("answers without identity text".to_owned(), expected(&test, items(held_out, false)));
    }
    outlook.identity = floors.into_iter().fold(expected(identity, items(held_out, true)), f64::max);
    outlook.broken.extend(judgement.suites.iter().flat_map(|suite| suite.problems.iter().map(|why| format!("{}: {why}", suite.suite))));
    if judgement.together.is_some_and(|together| together.regressed) {
        outlook.broken.push("a loss over all suites together is shown, and reaches their mean margin".to_owned());
    }
    if let Some(test) = drift.filter(|test| test.verdict != Decision::Pass) {
        outlook.broken.push(test.words());
    }
    outlook
}

/// Whether less of the identity is right than with the adapter it came from, item by item. Both have answered the same items.
pub fn identity_test(before: &[ItemRow], after: &[ItemRow], margin: f64) -> Result<LossTest> {
    let of = |rows: &[ItemRow]| rows.iter().filter(|row| row.role() == SuiteRole::Identity).count();
    let (mut pairs, mut clusters) = (Vec::new(), Vec::new());
    for row in after.iter().filter(|row| row.role() == SuiteRole::Identity) {
        if let Some(other) = before.iter().find(|other| other.suite == row.suite && other.hash == row.hash) {
            pairs.push((other.is_correct(), row.is_correct()));
            clusters.push(row.cluster.as_str());
        }
    }
    if pairs.len() != of(before) || pairs.len() != of(after) {
        return Err(Invalid(format!("{} and {} answers on identity are of different items", of(before), of(after))).into());
    }
    Ok(LossTest::guard(&pairs, &clusters, margin))
}

/// The p-value of a test if so many items came out like its own.
fn expected(test: &LossTest, n: usize) -> f64 {
    if test.n == 0 {
        return 1.0;
    }
    // Clustered items are worth the same part of independent ones there.
    let each = test.effective_n / test.n as f64 * n as f64 / test.n as f64;
    let flips = Flips { n: test.n as f64 * each, harmful: test.harmful as f64 * each, beneficial: test.beneficial as f64 * each };
    p_of(flips, test.margin)
}

fn p_of(flips: Flips, margin: f64) -> f64 {
    flips.noninferiority(margin).map_or(1.0, |test| test.p_within)
}

/// The p-value of "the accuracy is at most the floor" at so many items: the score test that Wilson's interval inverts.
fn expected_above(accuracy: f64, n: usize, floor: f64) -> f64 {
    let error = (floor * (1.0 - floor) / n.max(1) as f64).sqrt();
    if error > 0.0 { normal_cdf((floor - accuracy) / error) } else { f64::from(u8::from(accuracy <= floor)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::baseline::tests::baseline;
    use crate::gate::drift::DriftLimit;
    use crate::gate::judge::judge;
    use crate::gate::judge::tests::{answers, rows};

    fn of(lost: &[(usize, &str)], held_out: usize) -> Outlook {
        let (development, held_out) = (baseline(200, 100), baseline(held_out, held_out / 2));
        let identity = identity_test(&answers(&[]), &answers(lost), 0.1).unwrap();
        outlook((&development, &held_out), &judge(&development, &answers(lost)), &identity, DriftLimit::default().test(0.1, 0.9))
    }

    #[test]
    fn as_many_items_come_to_the_gates_own_p_values() {
        let found = of(&[(6, "w")], 200);
        let own = judge(&baseline(200, 100), &answers(&[(6, "w")])).suites[0].loss.unwrap();
        assert!((found.kept - own.p_within.unwrap()).abs() < 1e-12, "{found:?}");
        assert_eq!((found.weakest.as_str(), found.holds(ALPHA)), ("fact-qa: accuracy", own.verdict == Decision::Pass));
    }

    #[test]
    fn more_held_out_items_make_the_same_rates_surer() {
        let (few, many) = (of(&[(5, "w")], 200), of(&[(5, "w")], 800));
        assert!(many.kept < few.kept && few.kept > ALPHA && many.holds(likely()), "{few:?} {many:?}");
    }

    #[test]
    fn what_the_gate_would_refuse_is_not_expected_to_pass() {
        assert!(of(&[(30, "w")], 200).forgets(ALPHA));
        assert_eq!(of(&[(30, "cI")], 200).weakest, "answers without identity text");
        assert_eq!(of(&[(30, "cL")], 200).weakest, "fact-qa: well-formed answers");
        let development = baseline(200, 100);
        let identity = identity_test(&answers(&[]), &answers(&[]), 0.1).unwrap();
        let noise = DriftLimit::default().test(9.0, 0.1);
        let found = outlook((&development, &development), &judge(&development, &answers(&[])), &identity, noise);
        assert!(found.forgets(ALPHA) && found.broken[0].contains("9.00 nats"), "{found:?}");
    }

    #[test]
    fn a_lost_identity_is_seen_and_items_must_be_the_same() {
        let kept = answers(&[]);
        let mut lost = kept.clone();
        for row in lost.iter_mut().filter(|row| row.suite == "identity").take(30) {
            row.verdict = crate::eval::score::Verdict::Wrong;
        }
        assert!(identity_test(&kept, &kept, 0.1).unwrap().verdict == Decision::Pass);
        assert!(identity_test(&kept, &lost, 0.1).unwrap().verdict == Decision::Regress);
        assert!(identity_test(&kept, &rows("identity", &["c"; 99]), 0.1).unwrap_err().is::<Invalid>());
    }

    #[test]
    fn a_level_can_be_reached_by_the_items_there_are() {
        let asked = |n| vec![Asked { what: "a".to_owned(), margin: 0.05, n }];
        assert!((likely() - 0.0056).abs() < 1e-4);
        // Without flips z is -sqrt(n margin / (1 - margin)): 2.537^2 x 19 = 122.3 items.
        assert_eq!((level(&asked(122)), level(&asked(123))), (ALPHA, likely()));
        let all = super::asked(&baseline(200, 100), 0.1);
        let words: Vec<(&str, usize)> = all.iter().map(|asked| (asked.what.as_str(), asked.n)).collect();
        assert_eq!(
            words,
            [("fact-qa: accuracy", 200), ("fact-qa: well-formed answers", 200), ("answers without identity text", 200), ("identity", 100)]
        );
    }

    #[test]
    fn a_floor_is_held_against_the_score_test() {
        assert!((expected_above(0.5, 100, 0.5) - 0.5).abs() < 1e-12);
        // (0.9 - 0.8) / sqrt(0.16 / 100) = 2.5 standard errors.
        assert!((expected_above(0.9, 100, 0.8) - 0.006_209_7).abs() < 1e-6);
        assert_eq!((expected_above(0.1, 10, 0.0), expected_above(0.0, 10, 0.0)), (0.0, 1.0));
    }
}
