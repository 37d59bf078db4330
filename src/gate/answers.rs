//! Answers judged by other answers: the rule without a model, for logs of other harnesses and for what was answered before.
//!
//! Nothing proves here that an adapter acts, and of the evidence only items and prompts are known. What can be seen is
//! seen: answers that are the base's letter for letter are no measurement of an adapter.

use std::collections::BTreeMap;

use super::baseline::{Baseline, BaselineSuite, Header, KIND, LEAK_POINTS, SCHEMA};
use super::drift::DriftLimit;
use super::judge::judge;
use super::result::{AdapterEvidence, GateResult};
use crate::data::chat::ChatSettings;
use crate::eval::score::IdentityTerms;
use crate::eval::suite::SuiteRole;
use crate::record::evidence::{Evidence, NOT_KNOWN};
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;

/// One set of answers.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// What it is called.
    pub label: &'a str,
    /// sha256 of the model's weights, where known.
    pub weights: Option<&'a str>,
    /// Its rows.
    pub rows: &'a [ItemRow],
}

/// Judges `after` by `before`, with a margin in points on every general suite; `chance` is the accuracy of a random chooser.
pub fn judge_answers(before: Answers, after: Answers, points: f64, chance: &dyn Fn(&str) -> Option<f64>) -> GateResult {
    let evidence = evidence(before);
    let baseline = baseline(before.rows, &evidence, points, chance);
    let adapter = AdapterEvidence { folder: after.label.to_owned(), lambda: 1.0, ..AdapterEvidence::default() };
    let mut result = GateResult::invalid(before.label, evidence, adapter, Vec::new());
    let said: BTreeMap<(&str, &str), &str> = texts(before.rows).collect();
    if !after.rows.is_empty() && texts(after.rows).all(|(item, answer)| said.get(&item) == Some(&answer)) {
        result.reasons.push(format!("{} answers every item letter for letter as {}: was the adapter applied?", after.label, before.label));
        return result;
    }
    let judgement = judge(&baseline, after.rows);
    result.judged_by_answers(judgement)
}

fn texts(rows: &[ItemRow]) -> impl Iterator<Item = ((&str, &str), &str)> {
    rows.iter().map(|row| ((row.suite.as_str(), row.hash.as_str()), row.answer.as_str()))
}

fn evidence(before: Answers) -> Evidence {
    let unknown = || NOT_KNOWN.to_owned();
    Evidence {
        ballast: env!("CARGO_PKG_VERSION").to_owned(),
        commit: None,
        numbers: "as answered".to_owned(),
        model: before.label.to_owned(),
        weights: before.weights.unwrap_or(NOT_KNOWN).to_owned(),
        adapter: None,
        tokenizer: unknown(),
        template: unknown(),
        chat: ChatSettings::default(),
        system: unknown(),
        identity: IdentityTerms::default(),
        decoding: unknown(),
        sandbox: Vec::new(),
        suites: BTreeMap::new(),
        served: None,
    }
}

fn baseline(rows: &[ItemRow], evidence: &Evidence, points: f64, chance: &dyn Fn(&str) -> Option<f64>) -> Baseline {
    let (mut suites, mut marks): (Vec<BaselineSuite>, Vec<BTreeMap<String, Mark>>) = (Vec::new(), Vec::new());
    for row in rows {
        let place = suites.iter().position(|suite| suite.name == row.suite).unwrap_or_else(|| {
            let role = row.role();
            let kept = role != SuiteRole::Identity;
            suites.push(BaselineSuite {
                name: row.suite.clone(),
                source: NOT_KNOWN.to_owned(),
                role,
                items: 0,
                // Not a number is below nothing: without a chance level there is no retention.
                chance: chance(&row.suite).unwrap_or(f64::NAN),
                margin_points: kept.then_some(points),
                form_points: kept.then_some(points),
                floor_percent: None,
            });
            marks.push(BTreeMap::new());
            suites.len() - 1
        });
        suites[place].items += 1;
        marks[place].insert(row.hash.clone(), Mark::of(row));
    }
    // Only Ballast's own graders look for identity text.
    let leaks = rows.iter().any(|row| !row.prompt_digest.is_empty());
    let header = Header {
        kind: KIND.to_owned(),
        schema: SCHEMA,
        evidence: evidence.clone(),
        suites,
        leak_points: leaks.then_some(LEAK_POINTS),
        // There is no model, so there is no probe.
        drift: DriftLimit { nats: None, agreement_percent: None },
        loosened: Vec::new(),
        digest: String::new(),
    };
    Baseline { header, marks }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::decision::Decision;
    use crate::gate::judge::tests::rows;

    fn judged(before: &[ItemRow], after: &[ItemRow]) -> GateResult {
        judge_answers(Answers { label: "a", weights: None, rows: before }, Answers { label: "b", weights: None, rows: after }, 5.0, &|_| {
            None
        })
    }

    #[test]
    fn answers_are_judged_by_the_same_rule() {
        let before = rows("gsm8k", &["c"; 200]);
        let mut after = before.clone();
        after[0].answer.push('!');
        let kept = judged(&before, &after);
        assert_eq!((kept.verdict, kept.suites[0].retention, kept.leakage), (Decision::Pass, None, None), "{:?}", kept.reasons);
        let mut letters = vec!["c"; 200];
        letters[..30].fill("w");
        let lost: Vec<ItemRow> = rows("gsm8k", &letters).into_iter().map(|row| ItemRow { answer: "other".to_owned(), ..row }).collect();
        let lost = judged(&before, &lost);
        assert_eq!((lost.verdict, lost.liveness), (Decision::Regress, None));
        assert!(lost.reasons[0].starts_with("gsm8k: accuracy changed by -15.0 points"), "{:?}", lost.reasons);
    }

    #[test]
    fn a_base_that_answers_nothing_rightly_has_nothing_to_keep() {
        let before = rows("gsm8k", &["w"; 200]);
        let mut after = before.clone();
        after[0].answer.push('!');
        let found = judged(&before, &after);
        assert_eq!(found.verdict, Decision::Invalid);
        assert!(found.reasons[0].contains("nothing to lose"), "{:?}", found.reasons);
    }

    #[test]
    fn the_same_answers_and_missing_ones_are_invalid() {
        let before = rows("gsm8k", &["c"; 200]);
        let same = judged(&before, &before);
        assert_eq!(same.verdict, Decision::Invalid);
        assert!(same.reasons[0].contains("letter for letter"), "{:?}", same.reasons);
        assert_eq!(judged(&before, &before[1..]).verdict, Decision::Invalid);
        let mut fewer = before[1..].to_vec();
        fewer[0].answer.push('!');
        assert!(judged(&before, &fewer).reasons[0].contains("1 item of the baseline has no answer"));
        assert_eq!(judged(&[], &[]).verdict, Decision::Invalid);
    }
}
