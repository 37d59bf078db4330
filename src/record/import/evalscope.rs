//! evalscope's `reviews/MODEL/BENCHMARK_SUBSET.jsonl`.
//!
//! Read from evalscope 1.14.1, `api/evaluator/cache.py` (ReviewResult) and `api/metric/scorer.py`; rows before 1.0's
//! messages have `input` instead. A score that its judge could not give has a status that is not usable: that is an error,
//! not a zero, and counts as wrong apart from the wrong ones.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use super::json::{Line, answered, asked, check, lines, plain};
use super::scored::{Scored, metric, right};
use super::tables::{REVIEW, SAMPLE_SCORE, SCORE};
use super::{Choice, Log};
use crate::eval::score::Verdict;

/// Statuses of a score that may be used.
const USABLE: [&str; 3] = ["success", "fallback", "degraded"];

/// Reads a file.
pub(super) fn read(path: &Path, text: &str, choice: &Choice) -> Result<Log> {
    let mut used = None;
    let mut seen = BTreeSet::new();
    let (mut items, mut left_out) = (Vec::new(), 0);
    for line in lines(path, text)? {
        check(&REVIEW, &line, &line.value)?;
        check(&SAMPLE_SCORE, &line, line.at(&["sample_score"])?)?;
        check(&SCORE, &line, line.at(&["sample_score", "score"])?)?;
        // Repeats of an item share its group.
        let score = line.at(&["sample_score"])?;
        let group = score.get("group_id").filter(|group| !group.is_null());
        let id = plain(group.or_else(|| score.get("sample_id").filter(|id| !id.is_null())).unwrap_or(line.at(&["index"])?));
        if !seen.insert(id.clone()) {
            left_out += 1;
            continue;
        }
        let (item, name) = item(&line, id, choice)?;
        items.push(item);
        if used.is_none() {
            used = name;
        }
    }
    let name = |path: Option<&std::ffi::OsStr>| path.map(|name| name.to_string_lossy().into_owned());
    Ok(Log {
        format: "evalscope",
        task: name(path.file_stem()).unwrap_or_default(),
        model: name(path.parent().and_then(Path::file_name)),
        metric: used.unwrap_or_default(),
        filter: None,
        left_out,
        items,
    })
}

fn item(line: &Line, id: String, choice: &Choice) -> Result<(Scored, Option<String>)> {
    let score = line.at(&["sample_score", "score"])?;
    let values = score.get("value").and_then(Value::as_object);
    let values = values.with_context(|| format!("{} has no sample_score.score.value: it is not an evalscope review", line.place()))?;
    let status = score.get("status").and_then(Value::as_str).unwrap_or(USABLE[0]);
    let (name, found) = if USABLE.contains(&status) {
        let own = score.get("main_score_name").and_then(Value::as_str);
        let name = metric(line, values, own, choice.metric.as_deref())?;
        let found = right(line, &name, &values[&name])?;
        (Some(name), found)
    } else {
        (None, None)
    };
    let messages = line.value.get("messages").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let prompt = match line.value.get("input").and_then(Value::as_str) {
        Some(input) if messages.is_empty() => input.to_owned(),
        _ => asked(messages),
    };
    anyhow::ensure!(!prompt.trim().is_empty(), "{} has neither messages nor input: the question is unknown", line.place());
    let text = |key: &str| score.get(key).and_then(Value::as_str).map(str::to_owned);
    let answer = text("prediction").or_else(|| answered(messages));
    let answer = answer.with_context(|| format!("{} has no answer: neither sample_score.score.prediction nor a message", line.place()))?;
    let target = match line.value.get("target") {
        Some(Value::Array(accepted)) => accepted.iter().map(plain).collect::<Vec<_>>().join("\n"),
        Some(Value::Null) | None => String::new(),
        Some(one) => plain(one),
    };
    let extracted = text("extracted_prediction").filter(|read| !read.trim().is_empty());
    let correct = found == Some(true);
    let verdict = match found {
        Some(true) => Verdict::Correct,
        Some(false) if extracted.is_none() => Verdict::Unparsed,
        Some(false) => Verdict::Wrong,
        None => Verdict::Error,
    };
    let detail = if found.is_none() { Some(format!("no score: {status}")) } else { text("explanation").filter(|_| !correct) };
    let metadata = line.value.get("sample_score").and_then(|score| score.get("sample_metadata"));
    let subject = ["subject", "category"].into_iter().find_map(|key| metadata?.get(key)?.as_str().map(str::to_owned));
    let scored = Scored {
        id,
        subject,
        prompt,
        target,
        answer,
        extracted,
        verdict,
        strict: correct,
        lenient: correct,
        detail,
        prompt_tokens: 0,
        answer_tokens: 0,
    };
    Ok((scored, name))
}
