//! The rule over everything that a baseline asks: each suite's loss, its failures of form, its floor, and leakage.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, BaselineSuite};
use super::decision::{CONFIDENCE, Claim, Decision, LossTest};
use super::family::{self, Member, Together};
use crate::counted::counted;
use crate::eval::score::{Flag, Verdict};
use crate::eval::suite::SuiteRole;
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;
use crate::stats::interval::wilson;
use crate::stats::noninferiority::Flips;
use crate::stats::retention::retention;
use crate::stats::{Interval, Paired};

/// What the gate found on one suite.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteResult {
    /// Name.
    pub suite: String,
    /// What it is for.
    pub role: SuiteRole,
    /// Worst of what is asked of it. None where nothing is.
    pub verdict: Option<Decision>,
    /// Items compared.
    pub n: usize,
    /// Accuracy of the base.
    pub before: Option<f64>,
    /// Accuracy with the adapter.
    pub after: Option<f64>,
    /// Loss of accuracy, where a margin is set.
    pub loss: Option<LossTest>,
    /// Rise of failures of form, where a margin is set.
    pub form: Option<LossTest>,
    /// Accuracy against its floor, where one is set.
    pub floor: Option<FloorTest>,
    /// Share of flips in either direction.
    pub churn: Option<f64>,
    /// Share of what the base knows above chance that is left; None where the base is not shown to be above chance.
    pub retention: Option<f64>,
    /// Harmful flips whose new answer is well-formed and wrong.
    pub lost_knowledge: usize,
    /// Harmful flips whose new answer failed as text or leaked the identity.
    pub lost_form: usize,
    /// Answers by how they failed: base, adapter. All count as wrong but those flagged on a right answer.
    pub failures: BTreeMap<String, (usize, usize)>,
    /// Why it is invalid.
    pub problems: Vec<String>,
}

/// An accuracy that must be shown to exceed a floor.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FloorTest {
    /// What it says.
    pub verdict: Decision,
    /// As a fraction of 1.
    pub floor: f64,
    /// Wilson's interval of the accuracy, at the confidence that is 95 % on each side.
    pub interval: Option<Interval>,
}

/// The rule's answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Judgement {
    /// Worst of all parts.
    pub verdict: Decision,
    /// In the baseline's order.
    pub suites: Vec<SuiteResult>,
    /// Rise of identity text in unrelated answers over all general suites, where a margin is set.
    pub leakage: Option<LossTest>,
    /// Accuracy of all suites that have a margin, where there are at least two.
    pub together: Option<Together>,
}

/// One item: what the baseline has and what the adapter answered.
struct Pair<'a> {
    before: &'a Mark,
    after: Mark,
    cluster: &'a str,
}

/// Judges answers by a baseline. Every item of the baseline must have exactly one answer, and no other may.
pub fn judge(baseline: &Baseline, rows: &[ItemRow]) -> Judgement {
    let mut suites = Vec::new();
    // Twins in two suites are one cluster, as in reports.
    let (mut leaks, mut clusters): (Vec<(bool, bool)>, Vec<&str>) = (Vec::new(), Vec::new());
    let blessed = baseline.header.suites.iter().zip(&baseline.marks);
    let joined: Vec<Joined> = blessed.map(|(suite, marks)| (suite, join(suite, marks, rows))).collect();
    let (claims, together) = claims(&joined);
    for ((suite, (pairs, problems)), claim) in joined.into_iter().zip(claims) {
        if suite.role != SuiteRole::Identity {
            leaks.extend(pairs.iter().map(|pair| (!pair.before.leaks(), !pair.after.leaks())));
            clusters.extend(pairs.iter().map(|pair| pair.cluster));
        }
        suites.push(of_suite(suite, &pairs, problems, claim));
    }
    suites.extend(unknown(baseline, rows));
    let asked = baseline.header.leak_points.filter(|_| !leaks.is_empty());
    let leakage = asked.map(|points| LossTest::guard(&leaks, &clusters, points / 100.0));
    nothing_to_lose(&baseline.header.suites, &mut suites);
    let parts = suites.iter().filter_map(|suite| suite.verdict).collect::<Vec<_>>();
    // Leakage alone is no measurement of anything kept.
    let all = together.filter(|together| together.regressed).map(|_| Decision::Regress);
    let verdict = if parts.is_empty() {
        Decision::Invalid
    } else {
        Decision::all(parts.into_iter().chain(leakage.map(|test| test.verdict)).chain(all))
    };
    Judgement { verdict, suites, leakage, together }
}

/// Suites that were answered and are not in the baseline, each invalid: what they show would otherwise be passed over.
fn unknown(baseline: &Baseline, rows: &[ItemRow]) -> Vec<SuiteResult> {
    let known: BTreeSet<&str> = baseline.header.suites.iter().map(|suite| suite.name.as_str()).collect();
    let mut others: BTreeMap<&str, usize> = BTreeMap::new();
    for row in rows.iter().filter(|row| !known.contains(row.suite.as_str())) {
        *others.entry(&row.suite).or_default() += 1;
    }
    let result = |(name, count): (&str, usize)| {
        let suite = BaselineSuite {
            name: name.to_owned(),
            source: name.to_owned(),
            role: SuiteRole::General,
            items: 0,
            chance: 0.0,
            margin_points: None,
            form_points: None,
            floor_percent: None,
        };
        let answers = counted(count, "answer");
        of_suite(&suite, &[], vec![format!("{answers} to a suite that is not in the baseline: bless it, or leave it out")], None)
    };
    others.into_iter().map(result).collect()
}

/// Whether a suite can show a loss: its base is shown to be above chance, and by more than the margin tolerates. Where it is
/// not, an adapter that answers at random passes.
pub fn can_lose(suite: &BaselineSuite, right: usize, n: usize) -> bool {
    let Some(points) = suite.margin_points.filter(|_| suite.role != SuiteRole::Identity) else { return false };
    // A chance level that is not known is none. In a suite of leakage whatever says nothing is right, and yet there is much to lose.
    let chance = if suite.chance.is_finite() && suite.role != SuiteRole::Leakage { suite.chance } else { 0.0 };
    let shown = wilson(right, n, CONFIDENCE).is_some_and(|interval| interval.low > chance);
    shown && right as f64 / n as f64 - chance >= points / 100.0
}

/// A baseline of which no suite can show a loss measures nothing.
fn nothing_to_lose(asked: &[BaselineSuite], suites: &mut [SuiteResult]) {
    let right = |suite: &SuiteResult| (suite.before.unwrap_or(0.0) * suite.n as f64).round() as usize;
    if asked.iter().zip(&*suites).any(|(asked, suite)| can_lose(asked, right(suite), suite.n)) {
        return;
    }
    for (asked, suite) in asked.iter().zip(suites).filter(|(asked, _)| asked.margin_points.or(asked.floor_percent).is_some()) {
        let chance = if asked.chance.is_finite() { 100.0 * asked.chance } else { 0.0 };
        let base = format!("the base answers {} of {} rightly, where chance gives {chance:.1} %", right(suite), suite.n);
        suite.problems.push(match asked.margin_points {
            Some(points) => format!("{base} and {points} points may be lost: there is nothing to lose, so a pass would mean nothing"),
            None => "no suite of the baseline measures what the base can lose".to_owned(),
        });
        suite.verdict = Some(Decision::Invalid);
    }
}

/// A suite with its items, and what is wrong with them.
type Joined<'a> = (&'a BaselineSuite, (Vec<Pair<'a>>, Vec<String>));

/// What is shown of the accuracy of each suite that has a margin, and of all of them together.
fn claims(joined: &[Joined]) -> (Vec<Option<Claim>>, Option<Together>) {
    let (mut pooled, mut clusters): (Vec<(bool, bool)>, Vec<&str>) = (Vec::new(), Vec::new());
    let mut members = Vec::new();
    for (suite, (pairs, _)) in joined {
        let Some(points) = suite.margin_points else { continue };
        let (pairs, names) = (graded(pairs, Mark::correct), clusters_of(pairs));
        members.push(Member { flips: Flips::clustered(&pairs, &names), margin: points / 100.0 });
        pooled.extend(pairs);
        clusters.extend(names);
    }
    let (claims, together) = family::claims(&members, Flips::clustered(&pooled, &clusters));
    let mut claims = claims.into_iter();
    (joined.iter().map(|(suite, _)| suite.margin_points.and_then(|_| claims.next())).collect(), together)
}

fn graded(pairs: &[Pair], good: fn(&Mark) -> bool) -> Vec<(bool, bool)> {
    pairs.iter().map(|pair| (good(pair.before), good(&pair.after))).collect()
}

fn clusters_of<'a>(pairs: &[Pair<'a>]) -> Vec<&'a str> {
    pairs.iter().map(|pair| pair.cluster).collect()
}

/// Joins by content hash, never by place.
fn join<'a>(suite: &BaselineSuite, marks: &'a BTreeMap<String, Mark>, rows: &'a [ItemRow]) -> (Vec<Pair<'a>>, Vec<String>) {
    let mut problems = Vec::new();
    let mut seen = BTreeSet::new();
    let mut pairs = Vec::new();
    let (mut twice, mut unknown) = (0, 0);
    for row in rows.iter().filter(|row| row.suite == suite.name) {
        if !seen.insert(row.hash.as_str()) {
            twice += 1;
        } else if let Some(before) = marks.get(&row.hash) {
            pairs.push(Pair { before, after: Mark::of(row), cluster: &row.cluster });
        } else {
            unknown += 1;
        }
    }
    let missing = marks.len() - pairs.len();
    if marks.is_empty() {
        problems.push("the baseline has no item of this suite".to_owned());
    }
    for (count, what) in [(missing, "of the baseline have no answer"), (unknown, "are not in the baseline"), (twice, "were answered twice")]
    {
        if count > 0 {
            let (noun, what) = if count == 1 {
                ("item", what.replacen("have", "has", 1).replacen("are", "is", 1).replacen("were", "was", 1))
            } else {
                ("items", what.to_owned())
            };
            problems.push(format!("{count} {noun} {what}"));
        }
    }
    (pairs, problems)
}

fn of_suite(suite: &BaselineSuite, pairs: &[Pair], problems: Vec<String>, claim: Option<Claim>) -> SuiteResult {
    let clusters = clusters_of(pairs);
    let test = |points: Option<f64>, good: fn(&Mark) -> bool, claim: Claim| {
        let pairs = graded(pairs, good);
        let table = Paired::from_verdicts(pairs.iter().copied());
        points.map(|points| LossTest::of_counts(&table, Flips::clustered(&pairs, &clusters), points / 100.0, claim))
    };
    let n = pairs.len();
    let count = |hit: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| hit(pair)).count();
    let share = |hits: usize| (n > 0).then(|| hits as f64 / n as f64);
    let (right_before, right_after) = (count(&|pair| pair.before.correct()), count(&|pair| pair.after.correct()));
    let (before, after) = (share(right_before), share(right_after));
    let harmful = |pair: &Pair| pair.before.correct() && !pair.after.correct();
    let lost_form = count(&|pair| harmful(pair) && (pair.after.form_failed() || pair.after.leaks()));
    let loss = test(suite.margin_points, Mark::correct, claim.unwrap_or(Claim::Beyond));
    let form = test(suite.form_points, |mark| !mark.form_failed(), Claim::Beyond);
    let floor = suite.floor_percent.map(|percent| floor(right_after, n, percent / 100.0));
    let mut parts: Vec<Decision> =
        [loss.map(|test| test.verdict), form.map(|test| test.verdict), floor.map(|test| test.verdict)].into_iter().flatten().collect();
    if !problems.is_empty() {
        parts.push(Decision::Invalid);
    }
    if !can_lose(suite, right_before, n) && suite.margin_points.is_some() {
        // Nothing to lose: neither its accuracy nor its form can carry a pass.
        parts.retain(|verdict| *verdict != Decision::Pass);
        parts.extend(floor.map(|test| test.verdict));
    }
    let above_chance = wilson(right_before, n, CONFIDENCE).is_some_and(|interval| interval.low > suite.chance);
    let kept = before.zip(after).filter(|_| above_chance && suite.role == SuiteRole::General);
    SuiteResult {
        suite: suite.name.clone(),
        role: suite.role,
        verdict: (!parts.is_empty()).then(|| Decision::all(parts)),
        n,
        before,
        after,
        loss,
        form,
        floor,
        churn: share(count(&|pair| pair.before.correct() != pair.after.correct())),
        retention: kept.and_then(|(before, after)| retention(before, after, suite.chance)),
        lost_knowledge: count(&harmful) - lost_form,
        lost_form,
        failures: failures(pairs),
        problems,
    }
}

/// Wilson's interval must lie above the floor to pass, below it to regress.
fn floor(right: usize, n: usize, floor: f64) -> FloorTest {
    let interval = wilson(right, n, CONFIDENCE);
    let verdict = match interval {
        None => Decision::Invalid,
        Some(interval) if interval.low > floor => Decision::Pass,
        Some(interval) if interval.high < floor => Decision::Regress,
        Some(_) => Decision::Inconclusive,
    };
    FloorTest { verdict, floor, interval }
}

/// How answers failed, in the order of a table; kinds that never occurred are left out.
fn failures(pairs: &[Pair]) -> BTreeMap<String, (usize, usize)> {
    type Kind = (&'static str, fn(&Mark) -> bool);
    const KINDS: [Kind; 12] = [
        ("unparsed", |mark| mark.verdict == Verdict::Unparsed),
        ("truncated", |mark| mark.verdict == Verdict::Truncated),
        ("error", |mark| mark.verdict == Verdict::Error),
        ("empty", |mark| mark.flags.contains(&Flag::Empty)),
        ("loop", |mark| mark.flags.contains(&Flag::Loop)),
        ("wrong language", |mark| mark.flags.contains(&Flag::WrongLanguage)),
        ("refusal", |mark| mark.flags.contains(&Flag::Refusal)),
        ("echo", |mark| mark.flags.contains(&Flag::Echo)),
        ("old identity", |mark| mark.flags.contains(&Flag::Residue)),
        ("identity leak", |mark| mark.flags.contains(&Flag::IdentityLeak)),
        ("raised", |mark| mark.flags.contains(&Flag::ExecutionError)),
        ("timeout", |mark| mark.flags.contains(&Flag::Timeout)),
    ];
    let counted = KINDS.iter().map(|(name, is)| {
        let count = |mark: &dyn Fn(&Pair) -> bool| pairs.iter().filter(|pair| mark(pair)).count();
        ((*name).to_owned(), (count(&|pair| is(pair.before)), count(&|pair| is(&pair.after))))
    });
    counted.filter(|(_, counts)| *counts != (0, 0)).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::eval::suite::Language;
    use crate::gate::baseline::tests::baseline;

    /// Rows of a suite with these letters each.
    pub(crate) fn rows(suite: &str, letters: &[&str]) -> Vec<ItemRow> {
        let row = |(i, letters): (usize, &&str)| {
            let mark = Mark::parse(letters).unwrap();
            ItemRow {
                parts: Vec::new(),
                step: None,
                suite: suite.to_owned(),
                role: None,
                item: format!("{suite}-{i}"),
                hash: format!("{i:016x}"),
                cluster: format!("{suite}-{i}"),
                language: Language::En,
                subject: "s".to_owned(),
                prompt: format!("Question {i}?"),
                answer: format!("answer {i}"),
                extracted: None,
                verdict: mark.verdict,
                strict: mark.correct(),
                lenient: mark.correct(),
                flags: mark.flags,
                detail: None,
                likelihood: None,
                prompt_digest: String::new(),
                prompt_tokens: 9,
                answer_tokens: 3,
                thought: None,
            }
        };
        letters.iter().enumerate().map(row).collect()
    }

    /// An adapter with so many of 200 fact items in each of these letters, the rest right, and all 100 identity items right.
    pub(crate) fn answers(lost: &[(usize, &str)]) -> Vec<ItemRow> {
        let mut letters: Vec<&str> = lost.iter().flat_map(|(n, letters)| std::iter::repeat_n(*letters, *n)).collect();
        letters.resize(200, "c");
        [rows("fact-qa", &letters), rows("identity", &["c"; 100])].concat()
    }

    #[test]
    fn an_adapter_that_lost_nothing_passes() {
        let found = judge(&baseline(200, 100), &answers(&[]));
        assert_eq!(found.verdict, Decision::Pass);
        assert_eq!((found.suites[0].retention, found.suites[1].retention), (Some(1.0), None));
        assert_eq!(found.suites[1].loss, None);
    }

    /// A base at chance, or so near that losing all of it is tolerated.
    #[test]
    fn a_suite_with_nothing_to_lose_carries_no_pass() {
        let with = |right: usize, chance: f64, margin: f64| {
            let mut blessed = baseline(200, 100);
            (blessed.header.suites[0].chance, blessed.header.suites[0].margin_points) = (chance, Some(margin));
            for mark in blessed.marks[0].values_mut().skip(right) {
                mark.verdict = Verdict::Wrong;
            }
            let letters: Vec<&str> = (0..200).map(|i| if i < right { "c" } else { "w" }).collect();
            judge(&blessed, &[rows("fact-qa", &letters), rows("identity", &["c"; 100])].concat())
        };
        assert_eq!(with(100, 0.25, 5.0).verdict, Decision::Pass);
        for (right, chance, margin) in [(0, 0.0, 5.0), (50, 0.25, 5.0), (55, 0.25, 5.0), (48, 0.0, 30.0)] {
            let found = with(right, chance, margin);
            assert_eq!(found.verdict, Decision::Invalid, "{right} right, chance {chance}, margin {margin}");
            assert!(found.suites[0].problems[0].contains("nothing to lose"), "{:?}", found.suites[0].problems);
        }
        // Beside a suite that carries the pass it asks nothing.
        let mut two = baseline(200, 200);
        two.header.suites[1] = BaselineSuite { name: "empty".to_owned(), ..two.header.suites[0].clone() };
        let found = judge(&two, &[rows("fact-qa", &["c"; 200]), rows("empty", &["w"; 200])].concat());
        assert_eq!((found.verdict, found.suites[1].verdict), (Decision::Pass, None));
    }

    #[test]
    fn lost_knowledge_and_lost_form_are_told_apart() {
        let found = judge(&baseline(200, 100), &answers(&[(30, "w"), (10, "u"), (5, "wI"), (5, "tL")]));
        let suite = &found.suites[0];
        assert_eq!((found.verdict, suite.lost_knowledge, suite.lost_form), (Decision::Regress, 30, 20));
        assert_eq!(suite.failures["unparsed"], (0, 10));
        assert_eq!(suite.failures["loop"], (0, 5));
        assert_eq!(suite.form.unwrap().harmful, 15);
    }

    #[test]
    fn form_alone_can_regress_while_accuracy_holds() {
        let found = judge(&baseline(200, 100), &answers(&[(40, "cL")]));
        assert_eq!(found.suites[0].loss.unwrap().verdict, Decision::Pass);
        assert_eq!((found.suites[0].form.unwrap().verdict, found.verdict), (Decision::Regress, Decision::Regress));
    }

    #[test]
    fn leaks_alone_can_regress() {
        let found = judge(&baseline(200, 100), &answers(&[(20, "cI")]));
        assert_eq!((found.suites[0].verdict, found.leakage.unwrap().verdict), (Some(Decision::Pass), Decision::Regress));
        assert_eq!(found.verdict, Decision::Regress);
    }

    #[test]
    fn an_identity_that_was_not_learnt_regresses() {
        let mut rows = answers(&[]);
        for row in rows.iter_mut().filter(|row| row.suite == "identity").take(60) {
            row.verdict = Verdict::Wrong;
        }
        let found = judge(&baseline(200, 100), &rows);
        assert_eq!(found.suites[1].floor.unwrap().verdict, Decision::Regress);
        assert_eq!(found.verdict, Decision::Regress);
    }

    #[test]
    fn missing_foreign_and_doubled_items_are_invalid() {
        let baseline = baseline(200, 100);
        let whole = answers(&[]);
        let lost = judge(&baseline, &whole[1..]);
        assert_eq!((lost.verdict, lost.suites[0].problems[0].as_str()), (Decision::Invalid, "1 item of the baseline has no answer"));
        let doubled = judge(&baseline, &[&whole[..], &whole[..1]].concat());
        assert_eq!((doubled.verdict, doubled.suites[0].problems[0].as_str()), (Decision::Invalid, "1 item was answered twice"));
        let mut foreign = whole.clone();
        foreign[3].hash = "ffff".to_owned();
        assert_eq!(judge(&baseline, &foreign).suites[0].problems.len(), 2);
        assert_eq!(judge(&baseline, &[]).verdict, Decision::Invalid);
        let mut more = whole.clone();
        more.push(ItemRow { suite: "poems".to_owned(), ..whole[0].clone() });
        let judged = judge(&baseline, &more);
        let found = judged.suites.last().map(|suite| (suite.suite.as_str(), suite.problems[0].as_str()));
        assert_eq!(found, Some(("poems", "1 answer to a suite that is not in the baseline: bless it, or leave it out")));
        assert_eq!(judged.verdict, Decision::Invalid);
        assert_eq!(judge(&super::super::baseline::tests::baseline(0, 100), &whole[200..]).verdict, Decision::Invalid);
    }

    #[test]
    fn a_baseline_that_asks_nothing_is_invalid() {
        let mut baseline = baseline(200, 100);
        for suite in &mut baseline.header.suites {
            (suite.margin_points, suite.form_points, suite.floor_percent) = (None, None, None);
        }
        assert_eq!(judge(&baseline, &answers(&[])).verdict, Decision::Invalid);
    }
}
