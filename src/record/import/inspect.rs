//! Inspect's logs: the JSON document (`--log-format json`), and `.eval`, a zip of one document a sample.
//!
//! Read from inspect_ai 0.3.285, `log/_log.py` (EvalLog version 2), `log/_recorders/eval.py` and `scorer/_metric.py`.
//! That version packs `.eval` with Zstandard, earlier ones with Deflate.

use std::collections::BTreeSet;
use std::io::{Cursor, Read};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use flate2::Crc;
use ruzstd::decoding::StreamingDecoder;
use serde_json::Value;
use zip::{CompressionMethod, ZipArchive};

use super::json::{Line, answered, asked, check, constant, content, parse, plain};
use super::scored::{Scored, metric, right};
use super::tables::{INSPECT_SCORE, LOG, SAMPLE};
use super::{Choice, Log};
use crate::error::Invalid;
use crate::eval::score::Verdict;
use crate::files::ROWS;

/// Largest sample that is read: a log is no place to fill the memory from.
const LARGEST: u64 = 1 << 28;

/// Reads a JSON document.
pub(super) fn document(path: &Path, text: &str, choice: &Choice) -> Result<Log> {
    let mut value = parse(text).with_context(|| format!("{} is not JSON: was the log cut off?", path.display()))?;
    let samples = value.get_mut("samples").map(Value::take);
    let samples = samples.and_then(|samples| if let Value::Array(samples) = samples { Some(samples) } else { None });
    let samples = samples
        .with_context(|| format!("{} has no samples: it is not an Inspect log, or was written with --no-log-samples", path.display()))?;
    log(path, &Line::document(path, value), samples, choice)
}

/// Reads an `.eval` file.
pub(super) fn archive(path: &Path, bytes: &[u8], choice: &Choice) -> Result<Log> {
    let mut zip = ZipArchive::new(Cursor::new(bytes)).with_context(|| format!("{} is a damaged zip file", path.display()))?;
    let mut room = ROWS;
    let mut member = |name: &str| -> Result<Value> {
        let text = unpack(&mut zip, name).with_context(|| format!("{}: {name} cannot be unpacked", path.display()))?;
        let rest = room.checked_sub(text.len() as u64);
        room = rest.with_context(|| format!("{} unpacks to more than {} MiB: import its tasks one by one", path.display(), ROWS >> 20))?;
        parse(&text).with_context(|| format!("{}: {name} is not JSON", path.display()))
    };
    let listed = ZipArchive::new(Cursor::new(bytes))?;
    let names = listed.file_names().map(|name| Ok(name?.into_owned())).collect::<Result<Vec<String>>>()?;
    ensure!(
        names.iter().any(|name| name == "header.json"),
        "{} has no header.json: the evaluation did not finish, so its answers are not complete: run `inspect eval-retry` on the log",
        path.display()
    );
    let header = member("header.json")?;
    let samples = names.iter().filter(|name| name.starts_with("samples/") && !name.ends_with('/'));
    let samples = samples.map(|name| member(name)).collect::<Result<Vec<_>>>()?;
    log(path, &Line::document(path, header), samples, choice)
}

/// The text of one member. The zip library leaves Zstandard to C code, so that one is unpacked here and its checksum compared.
fn unpack(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<String> {
    let place = zip.index_for_name(name).context("there is no such member")?;
    let packed = zip.by_index_raw(place)?;
    let mut text = Vec::new();
    if packed.compression() == CompressionMethod::ZSTD {
        let sum = packed.crc32();
        StreamingDecoder::new(packed)?.take(LARGEST).read_to_end(&mut text)?;
        let mut found = Crc::new();
        found.update(&text);
        ensure!(found.sum() == sum, "its checksum is wrong");
    } else {
        drop(packed);
        zip.by_index(place)?.take(LARGEST).read_to_end(&mut text)?;
    }
    ensure!((text.len() as u64) < LARGEST, "it is larger than {LARGEST} bytes");
    Ok(String::from_utf8(text)?)
}

fn log(path: &Path, header: &Line, mut samples: Vec<Value>, choice: &Choice) -> Result<Log> {
    check(&LOG, header, &header.value)?;
    let status = header.text(&["status"])?;
    ensure!(
        status == "success",
        "{}: the evaluation ended with status {status}, so its answers are not complete: run it again",
        path.display()
    );
    if header.value.get("invalidated") == Some(&Value::Bool(true)) {
        bail!(Invalid(format!("{}: the log was marked as invalid in Inspect", path.display())));
    }
    let epoch = |sample: &Value| sample.get("epoch").and_then(Value::as_u64).unwrap_or(1);
    samples.sort_by_cached_key(|sample| (epoch(sample), natural(sample.get("id"))));
    let (mut items, mut used, mut left_out, mut first) = (Vec::new(), None, 0, BTreeSet::new());
    for sample in samples {
        let (epoch, id) = (epoch(&sample), natural(sample.get("id")));
        if epoch > 1 {
            ensure!(
                first.contains(&id),
                "{} sample {}: it was answered in epoch {epoch} but not in epoch 1, so the log is not complete: run it again",
                path.display(),
                id.1
            );
            left_out += 1;
            continue;
        }
        ensure!(first.insert(id.clone()), "{} sample {}: epoch 1 is there twice", path.display(), id.1);
        let (item, name) = item(&Line::document(path, sample), choice)?;
        items.push(item);
        if used.is_none() {
            used = name;
        }
    }
    Ok(Log {
        format: "inspect",
        task: header.text(&["eval", "task"])?,
        model: Some(header.text(&["eval", "model"])?),
        metric: used.unwrap_or_default(),
        filter: None,
        left_out,
        items,
    })
}

/// Numbers in their order, before names.
fn natural(id: Option<&Value>) -> (u64, String) {
    id.map_or((u64::MAX, String::new()), |id| (id.as_u64().unwrap_or(u64::MAX), plain(id)))
}

fn item(sample: &Line, choice: &Choice) -> Result<(Scored, Option<String>)> {
    let id = plain(sample.at(&["id"])?);
    let at = || format!("{} sample {id}", sample.place());
    check(&SAMPLE, sample, &sample.value).with_context(at)?;
    if sample.value.get("invalidation").is_some_and(|mark| !mark.is_null()) {
        bail!(Invalid(format!("{}: it was marked as invalid in Inspect", at())));
    }
    // Inspect moves long texts aside.
    let attached =
        |text: String| match text.strip_prefix("attachment://").and_then(|key| sample.value.get("attachments")?.get(key)?.as_str()) {
            Some(whole) => whole.to_owned(),
            None => text,
        };
    let mut prompt = match sample.at(&["input"])? {
        Value::Array(messages) => asked(messages),
        other => content(other),
    };
    prompt = attached(prompt);
    for choice in sample.value.get("choices").and_then(Value::as_array).into_iter().flatten() {
        prompt.push_str("\n- ");
        prompt.push_str(&plain(choice));
    }
    let target = match sample.at(&["target"])? {
        Value::Array(accepted) => accepted.iter().map(plain).collect::<Vec<_>>().join("\n"),
        one => plain(one),
    };
    let output = sample.value.get("output");
    let completion = output.and_then(|output| output.get("completion")?.as_str()).map(str::to_owned);
    let said = completion.or_else(|| answered(sample.value.get("messages")?.as_array()?)).map(attached);
    let failed = sample.value.get("error").filter(|error| !error.is_null());
    let failed = failed.map(|error| error.get("message").map_or_else(|| plain(error), plain));
    let answer = said.or_else(|| failed.as_ref().map(|_| String::new())).with_context(|| format!("{} has no output.completion", at()))?;
    let scores = sample.value.get("scores").and_then(Value::as_object);
    let (name, score, found) = match scores {
        Some(scores) => {
            let name = metric(sample, scores, None, choice.metric.as_deref()).with_context(at)?;
            let score = &scores[&name];
            check(&INSPECT_SCORE, sample, score).with_context(at)?;
            let value = score.get("value").with_context(|| format!("{}: scores.{name} has no value", at()))?;
            // `Score.unscored` is Inspect's own word for an answer that its scorer could not judge.
            let unscored = constant(value).is_some() && score.get("reason").is_some_and(|reason| !reason.is_null());
            let found = if unscored { Score::Missing } else { reading(sample, &name, value).with_context(at)? };
            (Some(name), Some(score), found)
        }
        None if failed.is_some() => (None, None, Score::Missing),
        None => bail!("{} has no scores: run inspect score on the log first", at()),
    };
    let stop = output.and_then(|output| output.get("choices")?.get(0)?.get("stop_reason")?.as_str());
    let limited = sample.value.get("limit").is_some_and(|limit| !limit.is_null());
    let verdict = match found {
        Score::Right => Verdict::Correct,
        _ if failed.is_some() => Verdict::Error,
        Score::Missing => Verdict::Error,
        _ if matches!(stop, Some("max_tokens" | "model_length")) || limited => Verdict::Truncated,
        Score::NoAnswer => Verdict::Unparsed,
        Score::Wrong | Score::Partial => Verdict::Wrong,
    };
    let correct = verdict == Verdict::Correct;
    let text = |key: &str| score.and_then(|score| score.get(key)?.as_str()).map(str::to_owned);
    let detail = match found {
        Score::Partial => Some("partly right, which counts as wrong here".to_owned()),
        Score::Missing => failed.clone().or_else(|| text("reason")).or_else(|| Some("the scorer gave no score".to_owned())),
        _ => failed.clone().or_else(|| text("explanation")),
    };
    let usage =
        |key: &str| output.and_then(|output| output.get("usage")?.get(key)?.as_u64()).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
    let metadata = sample.value.get("metadata");
    let scored = Scored {
        subject: ["subject", "category"].into_iter().find_map(|key| metadata?.get(key)?.as_str().map(str::to_owned)),
        prompt,
        target,
        answer,
        extracted: text("answer"),
        verdict,
        strict: correct,
        lenient: correct,
        detail: detail.filter(|_| !correct),
        prompt_tokens: usage("input_tokens"),
        answer_tokens: usage("output_tokens"),
        id,
    };
    Ok((scored, name))
}

/// What a scorer said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Score {
    Right,
    Partial,
    NoAnswer,
    Wrong,
    Missing,
}

/// Inspect's letters, and what its `value_to_float` takes for yes and no.
fn reading(sample: &Line, name: &str, value: &Value) -> Result<Score> {
    Ok(match value.as_str() {
        Some("C" | "yes" | "true" | "True") => Score::Right,
        Some("I" | "no" | "false" | "False") => Score::Wrong,
        Some("P") => Score::Partial,
        Some("N") => Score::NoAnswer,
        _ => match right(sample, name, value)? {
            Some(true) => Score::Right,
            Some(false) => Score::Wrong,
            None => Score::Missing,
        },
    })
}
