//! Everything a search says, as `recover.json` says it. Field names are the format; a change of meaning raises [`SCHEMA`].

use serde::{Deserialize, Serialize};

use super::search::{Certainty, Trial};
use super::split::SplitIds;
use crate::counted::counted;
use crate::gate::decision::{Decision, LossTest};
use crate::gate::judge::SuiteResult;
use crate::gate::result::GateResult;

/// Version of the format.
pub const SCHEMA: u32 = 1;
/// What the file says it is.
pub const KIND: &str = "ballast-recover";

/// The result of a search.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverResult {
    /// [`KIND`].
    pub kind: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of Ballast.
    pub ballast: String,
    /// On the held-out part: the worse of the gate's verdict and that on identity.
    pub verdict: Decision,
    /// Why it is not a pass, one sentence each; none on a pass.
    pub reasons: Vec<String>,
    /// The base model's name.
    pub model: String,
    /// sha256 of its weights.
    pub weights: String,
    /// The baseline's file as given.
    pub baseline: String,
    /// The baseline's own digest.
    pub baseline_digest: String,
    /// What was given.
    pub adapters: Vec<Given>,
    /// How it was searched.
    pub settings: Settings,
    /// Which items are in which part.
    pub split: SplitIds,
    /// Every candidate tried, in order.
    pub candidates: Vec<Trial>,
    /// Candidates that the budget did not reach.
    pub not_reached: usize,
    /// Place of the choice among the candidates.
    pub chosen: usize,
    /// How sure the development part was of it.
    pub certainty: Certainty,
    /// Place among the adapters of the one whose identity is to be kept: that with the most of it on the development part.
    pub reference: usize,
    /// What the held-out part says beside the gate's result.
    pub held_out: HeldOut,
}

/// An adapter that was given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Given {
    /// Its folder.
    pub folder: String,
    /// sha256 of its tensors and scale as they act.
    pub digest: String,
}

/// How it was searched.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Seed of the two parts.
    pub seed: u64,
    /// Share of the items that the search looked at.
    pub development: f64,
    /// Points of identity accuracy that may be lost.
    pub identity_margin_points: f64,
    /// Candidates tried at most.
    pub budget: usize,
    /// p-value that a candidate is chosen by.
    pub level: f64,
}

/// Accuracies on the held-out part.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldOut {
    /// Identity of the result against that of the reference.
    pub identity: LossTest,
    /// Accuracy of the base on identity: what is right without having learnt it.
    pub identity_base: Option<f64>,
    /// Accuracy of the reference on identity.
    pub identity_before: Option<f64>,
    /// Accuracy of the result on identity.
    pub identity_after: Option<f64>,
    /// The reference's suites against the baseline, in its order.
    pub before: Vec<SuiteResult>,
}

impl RecoverResult {
    /// The choice.
    pub fn choice(&self) -> &Trial {
        &self.candidates[self.chosen]
    }

    /// The choice in words.
    pub fn words(&self) -> String {
        self.choice().candidate.words(self.adapters.len())
    }

    /// The result in one sentence.
    pub fn sentence(&self) -> String {
        let percent = |share: Option<f64>| share.map_or("n/a".to_owned(), |share| format!("{:.1} %", 100.0 * share));
        let identity = format!(
            "{} of the held-out items on identity are right, {} before, {} without an adapter",
            percent(self.held_out.identity_after),
            percent(self.held_out.identity_before),
            percent(self.held_out.identity_base)
        );
        let tried = counted(self.candidates.len(), "candidate");
        let change = format!("a change of {:.1} % of the update", 100.0 * self.choice().change);
        let words = self.words();
        match (self.verdict, self.certainty) {
            (Decision::Pass, _) if self.choice().change == 0.0 => {
                format!("Nothing needs to change: an adapter that was given passes the gate on held-out items ({words}; {identity}).")
            }
            (Decision::Pass, Certainty::Nearest) => {
                format!(
                    "{words} passes the gate on held-out items and keeps the identity ({identity}): {change}, of {tried} the nearest to passing."
                )
            }
            (Decision::Pass, _) => format!(
                "{words} passes the gate on held-out items and keeps the identity ({identity}): {change}, of {tried} the mildest that was expected to pass."
            ),
            _ => format!("None of {tried} is shown to pass. The best found is {words}, {change} ({identity})."),
        }
    }
}

/// The verdict on both questions, and why it is no pass.
pub fn verdict(gate: &GateResult, identity: &LossTest) -> (Decision, Vec<String>) {
    let mut reasons = gate.reasons.clone();
    if identity.verdict != Decision::Pass {
        let points = |fraction: f64| format!("{:+.1}", 100.0 * fraction + 0.0);
        let range = identity.interval.map_or("n/a".to_owned(), |i| format!("[{}, {}]", points(i.low), points(i.high)));
        reasons.push(format!(
            "identity changed by {} points {range} from the adapter that was given, on {} not shown to stay within {:.1} points",
            identity.difference.map_or("n/a".to_owned(), points),
            counted(identity.n, "item"),
            100.0 * identity.margin
        ));
    }
    (Decision::all([gate.verdict, identity.verdict]), reasons)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::result::tests::result;

    #[test]
    fn both_the_gate_and_the_identity_must_pass() {
        let test = |kept: usize| {
            let pairs: Vec<(bool, bool)> = (0..100).map(|i| (true, i < kept)).collect();
            LossTest::guard(&pairs, &(0..100).collect::<Vec<_>>(), 0.1)
        };
        assert_eq!(verdict(&result(&[]), &test(100)), (Decision::Pass, Vec::new()));
        let (found, reasons) = verdict(&result(&[]), &test(70));
        assert!(
            found == Decision::Regress && reasons.len() == 1 && reasons[0].starts_with("identity changed by -30.0 points ["),
            "{reasons:?}"
        );
        let (found, reasons) = verdict(&result(&[(40, "w")]), &test(100));
        assert_eq!((found, reasons.len()), (Decision::Regress, 1));
    }
}
