//! Everything a gate says, as its JSON says it. Field names are the format; a change of meaning raises [`SCHEMA`].

use serde::{Deserialize, Serialize};

use super::baseline::Loosening;
use super::decision::{Decision, LossTest};
use super::drift::{DriftLimit, DriftTest};
use super::family::Together;
use super::judge::{Judgement, SuiteResult};
use crate::counted::counted;
use crate::record::evidence::{Evidence, Mismatch};

/// Version of the format.
pub const SCHEMA: u32 = 2;
/// What the file says it is.
pub const KIND: &str = "ballast-gate";

/// The result of a gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateResult {
    /// [`KIND`].
    pub kind: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// The verdict, which the exit code repeats.
    pub verdict: Decision,
    /// Why it is not a pass, one sentence each; none on a pass.
    pub reasons: Vec<String>,
    /// The baseline's file as given.
    pub baseline: String,
    /// What the adapter's answers were made of.
    pub evidence: Evidence,
    /// What is not as it was when the baseline was blessed.
    pub mismatches: Vec<Mismatch>,
    /// The adapter judged.
    pub adapter: AdapterEvidence,
    /// Proof that it acts; None where it came to no measurement.
    pub liveness: Option<LivenessProof>,
    /// In the baseline's order; empty where it came to no measurement.
    pub suites: Vec<SuiteResult>,
    /// Rise of identity text in unrelated answers.
    pub leakage: Option<LossTest>,
    /// Accuracy of all suites that have a margin, where there are at least two.
    pub together: Option<Together>,
    /// Drift against its limits; None where nothing is asked, or where it came to no measurement.
    #[serde(default)]
    pub drift: Option<DriftTest>,
    /// The worst flips with both answers.
    pub flips: Vec<Flip>,
    /// What the baseline was ever loosened for.
    pub loosened: Vec<Loosening>,
}

/// The adapter's digests.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdapterEvidence {
    /// Its folder as given.
    pub folder: String,
    /// sha256 of its tensors and scale as they act; None where it could not be loaded.
    pub digest: Option<String>,
    /// sha256 of the file adapter_config.json.
    pub config: Option<String>,
    /// Base model that its configuration names.
    pub base_model: Option<String>,
    /// Strength it was judged at.
    pub lambda: f64,
}

/// Proof that the adapter changes the model, and that the model without it is the base that was blessed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LivenessProof {
    /// Largest change of any logit on the probe.
    pub largest_change: f64,
    /// The same with the adapter at scale 0: must be rounding.
    pub largest_change_off: f64,
    /// Mean KL(base || adapter) on the probe, nats a token.
    pub kl: f64,
    /// Share of the probe's tokens with the same most probable token.
    pub agreement: f64,
    /// Items of the baseline asked again without the adapter.
    pub asked_again: usize,
    /// Of these, with the baseline's verdict.
    pub same_verdict: usize,
}

/// Logits may change by so much with the adapter off: rounding, in a sum over all sites of zero.
const MOST_ROUNDING: f64 = 1e-2;
/// Share of items asked again that must come to the baseline's verdict: another batch may move a few, another model most.
const LEAST_SAME: f64 = 0.75;

impl LivenessProof {
    /// What it fails to prove.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        if !(self.largest_change.is_finite() && self.largest_change_off.is_finite() && self.kl.is_finite()) {
            problems.push("logits on the probe are not finite: the adapter or the weights are broken".to_owned());
        }
        if self.largest_change == 0.0 {
            problems.push("the adapter changes no logit: it is empty, or it was not applied".to_owned());
        }
        if self.largest_change_off > MOST_ROUNDING {
            problems.push(format!("with the adapter off, logits differ from the base's by {}", self.largest_change_off));
        }
        if (self.same_verdict as f64) < LEAST_SAME * self.asked_again as f64 || self.asked_again == 0 {
            problems.push(format!(
                "without the adapter, only {} of {} items get the baseline's verdict: this is not the base that was blessed",
                self.same_verdict, self.asked_again
            ));
        }
        problems
    }
}

/// An item that the base answers and the adapter does not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flip {
    /// Suite.
    pub suite: String,
    /// Item id.
    pub item: String,
    /// Content hash.
    pub hash: String,
    /// The question.
    pub prompt: String,
    /// The base's answer, asked again; None where that came to another verdict than the baseline's.
    pub before: Option<String>,
    /// The adapter's answer.
    pub after: String,
    /// Letters of the adapter's verdict and flags, as in a baseline.
    pub mark: String,
    /// Why it is not right.
    pub detail: Option<String>,
}

impl GateResult {
    /// A result without any measurement: whatever is known, and the problems that make it invalid.
    pub fn invalid(baseline: &str, evidence: Evidence, adapter: AdapterEvidence, problems: Vec<String>) -> Self {
        Self {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            verdict: Decision::Invalid,
            reasons: problems,
            baseline: baseline.to_owned(),
            evidence,
            mismatches: Vec::new(),
            adapter,
            liveness: None,
            suites: Vec::new(),
            leakage: None,
            together: None,
            drift: None,
            flips: Vec::new(),
            loosened: Vec::new(),
        }
    }

    /// With what was proved and judged.
    pub fn judged(mut self, proof: LivenessProof, limit: DriftLimit, judgement: Judgement) -> Self {
        let problems = proof.problems();
        self.liveness = Some(proof);
        self = self.judged_by_answers(judgement);
        self.drift = limit.test(proof.kl, proof.agreement);
        if let Some(test) = self.drift.filter(|test| test.verdict != Decision::Pass) {
            self.verdict = Decision::all([self.verdict, test.verdict]);
            self.reasons.push(format!("the base's own answers: {}: the adapter says something else entirely", test.words()));
        }
        if !problems.is_empty() {
            self.verdict = Decision::Invalid;
            self.reasons.splice(0..0, problems);
        }
        self
    }

    /// With what was judged by answers alone, where no model was at hand.
    pub fn judged_by_answers(mut self, judgement: Judgement) -> Self {
        self.reasons = reasons(&judgement);
        self.verdict = judgement.verdict;
        self.suites = judgement.suites;
        self.leakage = judgement.leakage;
        self.together = judgement.together;
        self
    }
}

/// Why a judgement is no pass.
fn reasons(judgement: &Judgement) -> Vec<String> {
    let mut reasons = Vec::new();
    for suite in &judgement.suites {
        reasons.extend(suite.problems.iter().map(|problem| format!("{}: {problem}", suite.suite)));
        let tests = [("accuracy", suite.loss), ("well-formed answers", suite.form)];
        reasons.extend(tests.into_iter().filter_map(|(what, test)| loss_reason(&suite.suite, what, &test?)));
        if let Some(test) = suite.floor.filter(|test| test.verdict != Decision::Pass) {
            let shown = test.interval.map_or("n/a".to_owned(), |i| format!("[{:.1}, {:.1}] %", 100.0 * i.low, 100.0 * i.high));
            let word = if test.verdict == Decision::Regress { "lies below" } else { "is not shown to exceed" };
            reasons.push(format!("{}: accuracy {shown} {word} the floor of {:.1} %", suite.suite, 100.0 * test.floor));
        }
    }
    reasons.extend(judgement.leakage.and_then(|test| loss_reason("all general suites", "answers without identity text", &test)));
    reasons.extend(judgement.together.filter(|together| together.regressed).map(|together| {
        let (change, margin) = (100.0 * together.difference.unwrap_or(f64::NAN), 100.0 * together.margin);
        format!(
            "all suites together: accuracy changed by {change:+.1} points: a loss is shown{}, and it reaches the mean margin of {margin:.1} points",
            corrected(together.p_corrected)
        )
    }));
    if judgement.suites.iter().all(|suite| suite.verdict.is_none()) {
        reasons.push("the baseline sets no margin or floor on any suite".to_owned());
    }
    reasons
}

/// ` (corrected p = 0.012)`
fn corrected(p: Option<f64>) -> String {
    p.map(|p| if p < 0.001 { " (corrected p < 0.001)".to_owned() } else { format!(" (corrected p = {p:.3})") }).unwrap_or_default()
}

fn loss_reason(suite: &str, what: &str, test: &LossTest) -> Option<String> {
    let points = |fraction: f64| format!("{:+.1}", 100.0 * fraction + 0.0);
    let change = test.difference.map_or("n/a".to_owned(), points);
    let range = test.interval.map_or("n/a".to_owned(), |i| format!("[{}, {}]", points(i.low), points(i.high)));
    let margin = 100.0 * test.margin;
    match test.verdict {
        Decision::Pass => None,
        Decision::Regress if test.p_corrected.is_some() => Some(format!(
            "{suite}: {what} changed by {change} points {range}: a loss is shown{}, and it reaches the margin of {margin} points",
            corrected(test.p_corrected)
        )),
        Decision::Regress => Some(format!("{suite}: {what} changed by {change} points {range}, beyond the margin of {margin} points")),
        Decision::Invalid => Some(format!("{suite}: {what} could not be tested on {}", counted(test.n, "item"))),
        Decision::Inconclusive => {
            let needs = match test.needs {
                Some(items) => format!("about {items} more items like these would decide"),
                None => "no number of items like these would decide".to_owned(),
            };
            Some(format!(
                "{suite}: {what} changed by {change} points {range}, on {} items not shown to stay within the margin of {margin} points; {needs}",
                test.n
            ))
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::gate::baseline::tests::baseline;
    use crate::gate::judge::judge;
    use crate::gate::judge::tests::answers;
    use crate::record::evidence::tests::evidence;

    pub(crate) fn proof() -> LivenessProof {
        LivenessProof { largest_change: 8.5, largest_change_off: 1e-5, kl: 0.2, agreement: 0.9, asked_again: 20, same_verdict: 20 }
    }

    pub(crate) fn result(lost: &[(usize, &str)]) -> GateResult {
        let adapter = AdapterEvidence { folder: "runs/a/adapter".to_owned(), lambda: 1.0, ..AdapterEvidence::default() };
        GateResult::invalid("baseline.jsonl", evidence(), adapter, Vec::new()).judged(
            proof(),
            DriftLimit::default(),
            judge(&baseline(200, 100), &answers(lost)),
        )
    }

    #[test]
    fn a_pass_has_no_reasons_and_everything_else_has_some() {
        assert_eq!((result(&[]).verdict, result(&[]).reasons), (Decision::Pass, vec![]));
        let worse = result(&[(40, "w")]);
        assert_eq!(worse.verdict, Decision::Regress);
        assert!(
            worse.reasons[0].starts_with("fact-qa: accuracy changed by -20.0 points [") && worse.reasons.len() == 1,
            "{:?}",
            worse.reasons
        );
        assert!(
            worse.reasons[0].ends_with("a loss is shown (corrected p < 0.001), and it reaches the margin of 5 points"),
            "{:?}",
            worse.reasons
        );
        let unclear = result(&[(8, "w")]);
        assert_eq!(unclear.verdict, Decision::Inconclusive);
        assert!(unclear.reasons[0].contains("more items like these"), "{:?}", unclear.reasons);
    }

    #[test]
    fn a_proof_that_fails_is_invalid_whatever_was_judged() {
        let broken: [fn(&mut LivenessProof); 5] = [
            |proof| proof.largest_change = 0.0,
            |proof| proof.largest_change_off = 0.5,
            |proof| proof.kl = f64::NAN,
            |proof| proof.same_verdict = 9,
            |proof| (proof.asked_again, proof.same_verdict) = (0, 0),
        ];
        for change in broken {
            let mut proof = proof();
            change(&mut proof);
            let found = result(&[]).judged(proof, DriftLimit::default(), judge(&baseline(200, 100), &answers(&[])));
            assert!(found.verdict == Decision::Invalid && !found.reasons.is_empty(), "{:?}", found.reasons);
        }
    }

    #[test]
    fn a_wrecked_adapter_does_not_pass_though_every_answer_holds() {
        let wrecked = LivenessProof { kl: 6.0, agreement: 0.03, ..proof() };
        let found = result(&[]).judged(wrecked, DriftLimit::default(), judge(&baseline(200, 100), &answers(&[])));
        assert_eq!((found.verdict, found.reasons.len()), (Decision::Regress, 1));
        assert!(found.reasons[0].contains("6.00 nats per token (at most 2)"), "{:?}", found.reasons);
    }

    #[test]
    fn json_comes_back() {
        let found = result(&[(40, "w")]);
        let read: GateResult = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
        assert_eq!((read.verdict, read.suites.len()), (found.verdict, 2));
        assert_eq!((read.reasons, read.evidence), (found.reasons, found.evidence));
    }
}
