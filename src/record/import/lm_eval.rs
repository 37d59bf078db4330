//! lm-evaluation-harness' `samples_TASK_DATE.jsonl`, written with `--log_samples`.
//!
//! Read from lm-eval 0.4.13, `loggers/evaluation_tracker.py` and `evaluator.py`; before 0.4.3 `arguments` was a list.
//! There is one line a document and filter. Where a task has both of gsm8k's filters, strict-match is the strict reading
//! and flexible-extract the lenient one; the verdict is that of strict-match, since form is part of such a task, unless
//! `--filter` says otherwise.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value};

use super::json::{Line, check, lines, plain};
use super::scored::{Scored, metric, right};
use super::tables::LM_EVAL;
use super::{Choice, Log};
use crate::eval::score::Verdict;

const STRICT: &str = "strict-match";
const FLEXIBLE: &str = "flexible-extract";
/// What lm-eval's regular expressions give where nothing matches.
const NOTHING: &str = "[invalid]";
/// Metrics of lm-eval's own registry (`api/metrics.py`): a score that the line does not list is one too many, and not read.
const REGISTERED: [&str; 17] = [
    "acc",
    "acc_norm",
    "acc_bytes",
    "acc_mutual_info",
    "acc_all",
    "exact_match",
    "perplexity",
    "likelihood",
    "word_perplexity",
    "byte_perplexity",
    "bits_per_byte",
    "brier_score",
    "f1",
    "mcc",
    "bleu",
    "chrf",
    "ter",
];

/// Reads a file.
pub(super) fn read(path: &Path, text: &str, choice: &Choice) -> Result<Log> {
    let lines = lines(path, text)?;
    // Of each document the line of each filter, documents in their own order.
    let mut documents: BTreeMap<u64, BTreeMap<String, &Line>> = BTreeMap::new();
    let mut repeated = 0;
    for line in &lines {
        let id = line.at(&["doc_id"])?.as_u64().with_context(|| format!("{}: doc_id is not a number", line.place()))?;
        let filter = line.value.get("filter").map_or_else(|| "none".to_owned(), plain);
        let of = documents.entry(id).or_default();
        repeated += usize::from(of.contains_key(&filter));
        of.entry(filter).or_insert(line);
    }
    let filters: Vec<&String> =
        documents.values().flat_map(BTreeMap::keys).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    let chosen = chosen(path, &filters, choice.filter.as_deref())?;
    let mut used = None;
    let mut items = Vec::new();
    for (id, by_filter) in &documents {
        let line = by_filter.get(&chosen).with_context(|| {
            format!("{}: document {id} has no answer under the filter {chosen}, though others have: was the log cut off?", path.display())
        })?;
        let (name, verdict_right) = is_right(line, choice)?;
        let under = |filter: &str| by_filter.get(filter).map(|line| is_right(line, choice)).transpose();
        let strict = under(STRICT)?.is_none_or(|(_, right)| right == Some(true));
        let flexible = under(FLEXIBLE)?.is_some_and(|(_, right)| right == Some(true));
        items.push(item(line, verdict_right, strict, flexible)?);
        used.get_or_insert(name);
    }
    let file = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let folder = path.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    Ok(Log {
        format: "lm-eval",
        task: task(&file),
        // lm-eval writes into a folder with the model's name.
        model: folder,
        metric: used.unwrap_or_default(),
        filter: (filters.len() > 1).then_some(chosen),
        left_out: repeated,
        items,
    })
}

/// `samples_gsm8k_2026-01-31T10-20-30.123456` is of gsm8k.
fn task(stem: &str) -> String {
    let name = stem.strip_prefix("samples_").unwrap_or(stem);
    let dated = |date: &str| date.len() >= 10 && date.starts_with(|c: char| c.is_ascii_digit()) && date.contains('T') && date.contains('-');
    match name.rsplit_once('_') {
        Some((task, date)) if dated(date) => task.to_owned(),
        _ => name.to_owned(),
    }
}

fn chosen(path: &Path, filters: &[&String], asked: Option<&str>) -> Result<String> {
    let names = || filters.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let has = |name: &str| filters.iter().any(|filter| *filter == name);
    if let Some(name) = asked {
        ensure!(has(name), "{} has no filter {name}; it has {}: choose one with --filter", path.display(), names());
        return Ok(name.to_owned());
    }
    if has(STRICT) {
        return Ok(STRICT.to_owned());
    }
    ensure!(filters.len() == 1, "{} has several filters: choose one of {} with --filter", path.display(), names());
    Ok(filters[0].clone())
}

/// The metric's name, and whether it says right.
fn is_right(line: &Line, choice: &Choice) -> Result<(String, Option<bool>)> {
    let row = line.value.as_object().with_context(|| format!("{} is not an object", line.place()))?;
    let named = |key: &str| row.get("metrics").and_then(Value::as_array).is_none_or(|names| names.iter().any(|name| name == key));
    let scores: Map<String, Value> = row
        .iter()
        .filter(|(key, value)| LM_EVAL.rule(key).is_none() && named(key) && !value.is_object())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // A line that does not list its metrics has no other way to tell them from keys.
    let unknown = |key: &str| row.contains_key("metrics") && !named(key) && !REGISTERED.contains(&key);
    let others = row.iter().filter(|(key, _)| unknown(key)).map(|(key, value)| (key.clone(), value.clone()));
    check(&LM_EVAL, line, &Value::Object(others.collect()))?;
    let name = metric(line, &scores, None, choice.metric.as_deref())?;
    let found = right(line, &name, &scores[&name])?;
    Ok((name, found))
}

fn item(line: &Line, right: Option<bool>, strict: bool, flexible: bool) -> Result<Scored> {
    let requests = requests(line)?;
    let resps = line.at(&["resps"])?;
    let is_choice = requests.len() > 1 && requests.iter().all(|request| request.get(1).is_some_and(Value::is_string));
    let context = |request: &Vec<Value>| request.first().map(plain).unwrap_or_default();
    let first = requests.first().with_context(|| format!("{} asked nothing: arguments is empty", line.place()))?;
    let (prompt, answer, extracted) = if is_choice {
        let one = requests.iter().all(|request| context(request) == context(first));
        let prompt = if one { context(first) } else { requests.iter().map(context).collect::<Vec<_>>().join("\n") };
        let picked = most_likely(line, resps)?;
        let request = requests.get(picked).with_context(|| format!("{}: more answers than questions", line.place()))?;
        let continuation = request.get(1).map(plain).unwrap_or_default();
        let shown = if one { continuation } else { context(request) + &continuation };
        (prompt, shown.trim_start().to_owned(), Some(shown.trim().to_owned()))
    } else {
        let answer = leaf(resps).with_context(|| format!("{} has no answer: resps is empty", line.place()))?;
        let read = line.value.get("filtered_resps").and_then(leaf).filter(|read| read != NOTHING);
        (context(first), answer, read)
    };
    let correct = right == Some(true);
    let verdict = match right {
        Some(true) => Verdict::Correct,
        Some(false) if extracted.is_none() => Verdict::Unparsed,
        Some(false) => Verdict::Wrong,
        None => Verdict::Error,
    };
    let subject = ["subject", "category"].into_iter().find_map(|key| line.value.get("doc")?.get(key)?.as_str().map(str::to_owned));
    Ok(Scored {
        id: plain(line.at(&["doc_id"])?),
        subject,
        prompt,
        target: plain(line.at(&["target"])?),
        answer,
        extracted,
        verdict,
        strict: correct && strict,
        lenient: correct || flexible,
        detail: right.is_none().then(|| "the harness gave no score".to_owned()),
        prompt_tokens: 0,
        answer_tokens: 0,
    })
}

/// The arguments of each request.
fn requests(line: &Line) -> Result<Vec<Vec<Value>>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
    Ok(match line.at(&["arguments"])? {
        Value::Object(numbered) => {
            let of = |request: &Value| (0..).map_while(|at| request.get(format!("arg_{at}")).cloned()).collect();
            (0..).map_while(|at| numbered.get(&format!("gen_args_{at}"))).map(of).collect()
        }
        Value::Array(requests) => requests.iter().map(list).collect(),
        _ => Vec::new(),
    })
}

/// The first text inside nested lists.
fn leaf(value: &Value) -> Option<String> {
    match value {
        Value::Array(parts) => parts.first().and_then(leaf),
        Value::Null => None,
        _ => Some(plain(value)),
    }
}

/// Which continuation has the highest likelihood; each is a pair of likelihood and whether it is the greedy one.
fn most_likely(line: &Line, resps: &Value) -> Result<usize> {
    let values = resps.as_array().into_iter().flatten().map(|one| leaf(one)?.parse::<f64>().ok().filter(|value| !value.is_nan()));
    let values: Option<Vec<f64>> = values.collect();
    let values = values.filter(|values| !values.is_empty());
    let values = values.with_context(|| format!("{}: resps holds no likelihood of each choice", line.place()))?;
    // The first of equals, as numpy's argmax.
    let best = values.iter().enumerate().rev().max_by(|a, b| a.1.total_cmp(b.1));
    Ok(best.map_or(0, |(at, _)| at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_task_is_in_the_files_name() {
        assert_eq!(task("samples_mmlu_high_school_physics_2026-01-31T10-20-30.123456"), "mmlu_high_school_physics");
        assert_eq!(task("samples_gsm8k"), "gsm8k");
    }
}
