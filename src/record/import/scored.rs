//! What every format comes down to, and the row it becomes.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::json::{Line, constant};
use crate::error::Invalid;
use crate::eval::score::{Flag, Verdict};
use crate::eval::suite::Language;
use crate::files::sha256;
use crate::record::rows::ItemRow;

/// Metrics that say right or wrong of one answer, in the order they are looked for.
const METRICS: [&str; 3] = ["exact_match", "pass@1", "acc"];

/// One answer with its score.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scored {
    pub(super) id: String,
    pub(super) subject: Option<String>,
    pub(super) prompt: String,
    /// What makes two items with one prompt different.
    pub(super) target: String,
    pub(super) answer: String,
    pub(super) extracted: Option<String>,
    pub(super) verdict: Verdict,
    pub(super) strict: bool,
    pub(super) lenient: bool,
    pub(super) detail: Option<String>,
    pub(super) prompt_tokens: usize,
    pub(super) answer_tokens: usize,
}

/// The rows of a task.
///
/// The hash is of prompt and target, so that the same item in two logs has the same one. Data sets hold a question
/// twice now and then; the second asking hashes its number too, or both would be joined with the first.
pub(super) fn rows(task: &str, items: &[Scored]) -> Vec<ItemRow> {
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    items
        .iter()
        .map(|item| {
            let cluster = digest(&[item.prompt.trim(), item.target.trim()]);
            let time = times.entry(cluster.clone()).or_default();
            *time += 1;
            let hash = if *time == 1 { cluster.clone() } else { digest(&[&cluster, &time.to_string()]) };
            let empty = !item.answer.chars().any(char::is_alphanumeric);
            ItemRow {
                parts: Vec::new(),
                step: None,
                suite: task.to_owned(),
                role: None,
                item: item.id.clone(),
                hash,
                cluster,
                language: Language::of_most(&item.prompt),
                subject: item.subject.clone().unwrap_or_else(|| task.to_owned()),
                prompt: item.prompt.clone(),
                answer: item.answer.clone(),
                extracted: item.extracted.clone(),
                verdict: item.verdict,
                strict: item.strict,
                lenient: item.lenient,
                flags: if empty { vec![Flag::Empty] } else { Vec::new() },
                detail: item.detail.clone(),
                likelihood: None,
                prompt_digest: String::new(),
                prompt_tokens: item.prompt_tokens,
                answer_tokens: item.answer_tokens,
                thought: None,
            }
        })
        .collect()
}

fn digest(parts: &[&str]) -> String {
    // JSON keeps the border between two parts.
    sha256(Value::from(parts.to_vec()).to_string().as_bytes())[..16].to_owned()
}

/// The metric to read: the one asked for, else the first known one, else the only one.
pub(super) fn metric(line: &Line, scores: &Map<String, Value>, own: Option<&str>, asked: Option<&str>) -> Result<String> {
    let names = || scores.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let found = match asked {
        Some(name) => Some(name).filter(|name| scores.contains_key(*name)),
        None => own
            .into_iter()
            .chain(METRICS)
            .find(|name| scores.contains_key(*name))
            .or_else(|| scores.keys().next().filter(|_| scores.len() == 1).map(String::as_str)),
    };
    found.map(str::to_owned).with_context(|| match asked {
        Some(name) => format!("{} has no metric {name}; it has {}: choose one with --metric", line.place(), names()),
        None if scores.is_empty() => format!("{} has no metric: nothing says whether the answer is right", line.place()),
        None => format!("{} has several metrics: choose one of {} with --metric", line.place(), names()),
    })
}

/// Whether a score means right; None where there is no score. A part of a point is neither, and refused; a number that is
/// not finite is no measurement.
pub(super) fn right(line: &Line, metric: &str, score: &Value) -> Result<Option<bool>> {
    if let Some(name) = constant(score) {
        bail!(Invalid(format!("{}: {metric} is {name}, which is neither right nor wrong: score the answers again", line.place())));
    }
    let value = match score {
        Value::Null => return Ok(None),
        Value::Bool(right) => return Ok(Some(*right)),
        Value::Number(number) => number.as_f64(),
        _ => None,
    };
    match value {
        Some(1.0) => Ok(Some(true)),
        Some(0.0) => Ok(Some(false)),
        _ => bail!("{}: {metric} is {score}, neither right (1) nor wrong (0): choose a metric that is, with --metric", line.place()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_asked_twice_is_two_items_and_the_order_of_others_does_not_matter() {
        let item = |id: &str, prompt: &str| Scored {
            id: id.to_owned(),
            subject: None,
            prompt: prompt.to_owned(),
            target: "4".to_owned(),
            answer: String::new(),
            extracted: None,
            verdict: Verdict::Wrong,
            strict: false,
            lenient: false,
            detail: None,
            prompt_tokens: 0,
            answer_tokens: 0,
        };
        let one = rows("t", &[item("0", "2+2"), item("1", "长城"), item("2", " 2+2\n")]);
        assert!(one[0].hash != one[2].hash && one[0].cluster == one[2].cluster);
        assert_eq!((one[0].language, one[1].language, &one[1].flags), (Language::En, Language::Zh, &vec![Flag::Empty]));
        let other = rows("t", &[item("0", "长城"), item("1", "2+2")]);
        assert_eq!((&other[0].hash, &other[1].hash), (&one[1].hash, &one[0].hash));
    }
}
