//! Inspect's logs, as documents and as archives.

use std::io::Write;

use serde_json::{Value, json};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use super::imports::{read, refused};

fn sample(id: impl Into<Value>, epoch: usize, value: impl Into<Value>, more: &Value) -> Value {
    let id = id.into();
    let mut sample = json!({"id": id, "epoch": epoch, "input": format!("q{id}"), "target": "4", "messages": [], "metadata": {},
        "output": {"model": "m", "completion": "4", "choices": [{"stop_reason": "stop"}], "usage": {"input_tokens": 5, "output_tokens": 2}},
        "scores": {"match": {"value": value.into(), "answer": "4"}}});
    for (key, value) in more.as_object().into_iter().flatten() {
        sample[key] = value.clone();
    }
    sample
}

fn header(status: &str) -> Value {
    json!({"version": 2, "status": status, "eval": {"task": "t/sub task", "model": "openai/m", "config": {"epochs": 2}}})
}

/// Both forms of a log: the document, and the archive.
fn forms(status: &str, samples: &[Value]) -> [(&'static str, Vec<u8>); 2] {
    let mut document = header(status);
    document["samples"] = samples.into();
    [("log.json", document.to_string().into_bytes()), ("log.eval", archive(Some(status), samples))]
}

fn archive(status: Option<&str>, samples: &[Value]) -> Vec<u8> {
    let mut zip = ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let mut put = |name: &str, value: &Value| {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(value.to_string().as_bytes()).unwrap();
    };
    put("_journal/start.json", &json!({"version": 2}));
    for (i, sample) in samples.iter().enumerate() {
        put(&format!("samples/{i}_epoch_{}.json", sample["epoch"]), sample);
    }
    if let Some(status) = status {
        put("header.json", &header(status));
    }
    zip.finish().unwrap().into_inner()
}

const NONE: Value = Value::Null;

#[test]
fn verdicts_are_those_of_the_first_epoch() {
    let failed = json!({"scores": null, "error": {"message": "boom", "traceback": ""}});
    for (samples, verdicts) in [
        (vec![sample(1, 1, "C", &NONE), sample(2, 1, "I", &NONE)], ["correct", "wrong"]),
        (
            vec![sample(1, 2, "I", &NONE), sample(1, 1, "C", &NONE), sample(2, 2, "C", &NONE), sample(2, 1, "I", &NONE)],
            ["correct", "wrong"],
        ),
        (vec![sample(1, 1, "C", &NONE), sample(2, 1, Value::Null, &failed)], ["correct", "error"]),
        (vec![sample(1, 1, "P", &NONE), sample(2, 1, "N", &NONE)], ["wrong", "unparsed"]),
        (vec![sample(1, 1, 1, &NONE), sample(2, 1, 0.0, &NONE)], ["correct", "wrong"]),
        (vec![sample("b", 1, "C", &NONE), sample("a", 1, "I", &NONE)], ["wrong", "correct"]),
    ] {
        for (name, log) in forms("success", &samples) {
            read(name, log, &[], &verdicts);
        }
    }
    let cut = json!({"output": {"completion": "4", "choices": [{"stop_reason": "max_tokens"}]}});
    read("log.json", &forms("success", &[sample(1, 1, "I", &cut)])[0].1, &[], &["truncated"]);
    // What failed in the first epoch is not answered in the second.
    read("log.json", &forms("success", &[sample(1, 1, Value::Null, &failed), sample(1, 2, "C", &NONE)])[0].1, &[], &["error"]);
}

#[test]
fn logs_that_are_not_whole_are_refused() {
    for status in ["error", "cancelled", "started"] {
        for (name, log) in forms(status, &[sample(1, 1, "C", &NONE)]) {
            refused(name, log, &[], &[&format!("status {status}"), "run it again"]);
        }
    }
    refused("log.eval", archive(None, &[sample(1, 1, "C", &NONE)]), &[], &["header.json", "did not finish", "eval-retry"]);
    for (samples, words) in [
        (vec![sample(1, 2, "C", &NONE), sample(2, 1, "C", &NONE)], ["sample 1", "epoch 2", "run it again"]),
        (vec![sample(1, 1, "C", &json!({"scores": null}))], ["sample 1", "no scores", "inspect score"]),
        (vec![sample(1, 1, 0.5, &NONE)], ["sample 1", "0.5", "--metric"]),
        (vec![sample(1, 1, json!({"a": 1, "b": 0}), &NONE)], ["sample 1", "match", "--metric"]),
        (vec![sample(1, 1, "C", &json!({"novel": 1}))], ["sample 1", "`novel`", "version of the harness"]),
        (vec![sample(1, 1, "C", &json!({"model_fallbacks": ["other"]}))], ["sample 1", "`model_fallbacks`", "without fallbacks"]),
    ] {
        for (name, log) in forms("success", &samples) {
            refused(name, log, &[], &words);
        }
    }
    let twice = forms("success", &[sample(1, 1, "C", &NONE), sample(2, 1, "I", &json!({"id": 1}))]);
    refused("log.json", &twice[0].1, &[], &["sample 1", "epoch 1", "twice"]);
    let mut archive = archive(Some("success"), &[sample(1, 1, "C", &NONE)]);
    archive.truncate(archive.len() / 2);
    refused("log.eval", archive, &[], &["damaged zip"]);
}

#[test]
fn of_several_scorers_one_is_chosen() {
    let both = json!({"scores": {"match": {"value": "C"}, "model_graded": {"value": "I"}}});
    let [(name, log), _] = forms("success", &[sample(1, 1, "C", &both)]);
    refused(name, &log, &[], &["match", "model_graded", "--metric"]);
    read(name, &log, &["--metric", "model_graded"], &["wrong"]);
}
