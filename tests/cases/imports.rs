//! Logs of other harnesses: what is not a measurement is invalid, what is not whole is said to be so.

use serde_json::{Value, json};

use super::{Case, Ended};

/// Imports a log; gives its rows.
pub(super) fn rows(name: &str, content: impl AsRef<[u8]>, more: &[&str]) -> (Ended, Vec<Value>) {
    let case = Case::new();
    let log = case.put(name, content);
    let ended = case.run(&[&["import", &log.display().to_string(), "--out", "out"], more].concat());
    let items = std::fs::read_to_string(case.path("out/items.jsonl")).unwrap_or_default();
    (ended, items.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// Imports a log that is read, to these verdicts.
pub(super) fn read(name: &str, content: impl AsRef<[u8]>, more: &[&str], verdicts: &[&str]) -> Vec<Value> {
    let (ended, rows) = rows(name, content, more);
    assert_eq!(ended.code, 0, "{name}: {}", ended.error);
    assert_eq!(rows.iter().map(|row| row["verdict"].as_str().unwrap()).collect::<Vec<_>>(), verdicts, "{name}");
    rows
}

/// Imports a log that is refused, with its name and these words.
pub(super) fn refused(name: &str, content: impl AsRef<[u8]>, more: &[&str], words: &[&str]) {
    let (ended, rows) = rows(name, content, more);
    let file = name.rsplit('/').next().unwrap();
    let named = ended.error.contains(file) && words.iter().all(|word| ended.error.contains(word));
    assert!(ended.code == 2 && named && rows.is_empty(), "{name} {words:?}: {} {}", ended.code, ended.error);
}

fn imported(name: &str, content: &str) -> (Ended, Vec<String>) {
    let (ended, rows) = rows(name, content, &[]);
    (ended, rows.iter().map(|row| row["verdict"].as_str().unwrap().to_owned()).collect())
}

fn lm_eval(id: usize, right: f64) -> Value {
    json!({"doc_id": id, "doc": {}, "target": "4", "arguments": {"gen_args_0": {"arg_0": format!("q{id}"), "arg_1": {}}}, "resps": [["4"]],
        "filtered_resps": ["4"], "filter": "none", "metrics": ["exact_match"], "exact_match": right})
}

fn inspect(samples: &[Value]) -> Value {
    json!({"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}, "samples": samples})
}

fn sample(id: usize, epoch: usize, value: &str) -> Value {
    json!({"id": id, "epoch": epoch, "input": format!("q{id}"), "target": "4", "output": {"completion": "4"}, "scores": {"match": {"value": value}}})
}

#[test]
fn verdicts_are_read() {
    let (ended, verdicts) = imported("m/samples_t.jsonl", &format!("{}\n{}\n", lm_eval(0, 1.0), lm_eval(1, 0.0)));
    assert_eq!((ended.code, verdicts), (0, vec!["correct".to_owned(), "wrong".to_owned()]), "{}", ended.error);
    let (ended, verdicts) = imported("log.json", &inspect(&[sample(1, 2, "I"), sample(1, 1, "C"), sample(2, 1, "I")]).to_string());
    assert_eq!((ended.code, verdicts), (0, vec!["correct".to_owned(), "wrong".to_owned()]), "{}", ended.error);
}

#[test]
fn a_metric_that_is_no_number_is_invalid() {
    let line = lm_eval(0, 1.0).to_string();
    for number in ["NaN", "Infinity", "-Infinity"] {
        let (ended, verdicts) = imported("m/samples_t.jsonl", &line.replace("\"exact_match\":1.0", &format!("\"exact_match\":{number}")));
        assert!(ended.code == 4 && ended.error.contains("exact_match") && verdicts.is_empty(), "{number}: {} {}", ended.code, ended.error);
    }
}

#[test]
fn logs_that_are_not_whole_are_refused() {
    let (ended, _) = imported("log.json", &inspect(&[sample(1, 2, "C"), sample(2, 1, "C")]).to_string());
    assert!(ended.code == 2 && ended.error.contains("epoch"), "{}", ended.error);
    let mut cut = lm_eval(1, 1.0).to_string();
    cut.truncate(60);
    let (ended, _) = imported("m/samples_t.jsonl", &format!("{}\n{cut}\n", lm_eval(0, 1.0)));
    assert!(ended.code == 2 && ended.error.contains("line 2") && ended.error.contains("cut off"), "{}", ended.error);
    let mut odd = inspect(&[sample(1, 1, "C")]);
    odd["samples"][0]["novel"] = 1.into();
    let (ended, _) = imported("log.json", &odd.to_string());
    assert!(ended.code == 2 && ended.error.contains("`novel`"), "{}", ended.error);
}
