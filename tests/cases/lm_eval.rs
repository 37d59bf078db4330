//! lm-evaluation-harness' samples, as its versions write them.

use serde_json::{Value, json};

use super::imports::{read, refused};

fn file(task: &str) -> String {
    format!("m/samples_{task}_2026-01-31T10-20-30.123456.jsonl")
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| row.to_string() + "\n").collect()
}

/// A generated answer. Before 0.4.6 lines named neither filter nor metrics.
fn generated(id: usize, answer: &str, score: (&str, Value), filter: Option<&str>, read: &str) -> Value {
    let mut row = json!({"doc_id": id, "doc": {"question": format!("q{id}")}, "target": id.to_string(),
        "arguments": {"gen_args_0": {"arg_0": format!("q{id}"), "arg_1": {"until": ["\n"]}}}, "resps": [[answer]], "filtered_resps": [read],
        "doc_hash": "a", "prompt_hash": "b", "target_hash": "c"});
    if let Some(filter) = filter {
        row["filter"] = filter.into();
        row["metrics"] = json!([score.0]);
    }
    row[score.0] = score.1;
    row
}

/// A choice by likelihood, as lists of numbers before 0.4.3 and as named texts since.
fn chosen(id: usize, likelihoods: &[f64], gold: usize, old: bool) -> Value {
    let best = (0..likelihoods.len()).max_by(|a, b| likelihoods[*a].total_cmp(&likelihoods[*b])).unwrap();
    let texts = ["a", "b", "c", "d"];
    let mut row = json!({"doc_id": id, "doc": {}, "acc": f64::from(u8::from(best == gold)), "acc_norm": 0.0});
    let named = |(i, _): (usize, &f64)| (format!("gen_args_{i}"), json!({"arg_0": format!("q{id}"), "arg_1": format!(" {}", texts[i])}));
    if old {
        row["target"] = gold.into();
        row["arguments"] = texts[..likelihoods.len()].iter().map(|text| json!([format!("q{id}"), format!(" {text}")])).collect();
        row["resps"] = likelihoods.iter().map(|value| json!([[value, false]])).collect();
    } else {
        row["target"] = gold.to_string().into();
        row["arguments"] = Value::Object(likelihoods.iter().enumerate().map(named).collect());
        row["resps"] = likelihoods.iter().map(|value| json!([[value.to_string(), "False"]])).collect();
        row["filter"] = "none".into();
        row["metrics"] = json!(["acc", "acc_norm"]);
    }
    row["filtered_resps"] = row["resps"].as_array().unwrap().iter().map(|one| one[0].clone()).collect();
    row
}

#[test]
fn choices_and_answers_of_old_and_new_versions() {
    for old in [true, false] {
        let ranked = [-1.0, -2.0, -3.0, -4.0];
        let rows = read(&file("arc"), lines(&[chosen(0, &ranked, 0, old), chosen(1, &ranked, 2, old)]), &[], &["correct", "wrong"]);
        assert_eq!((&rows[0]["answer"], &rows[1]["prompt"]), (&json!("a"), &json!("q1")));
    }
    let strict = |id, right: f64, filter, read| generated(id, "it is 1", ("exact_match", right.into()), filter, read);
    let (first, second) = (Some("strict-match"), Some("flexible-extract"));
    let both =
        lines(&[strict(0, 1.0, first, "0"), strict(1, 0.0, first, "[invalid]"), strict(0, 1.0, second, "0"), strict(1, 1.0, second, "1")]);
    let rows = read(&file("gsm8k"), &both, &[], &["correct", "unparsed"]);
    assert_eq!((&rows[1]["strict"], &rows[1]["lenient"]), (&json!(false), &json!(true)));
    read(&file("gsm8k"), &both, &["--filter", "flexible-extract"], &["correct", "correct"]);
    // Without names of filters the first line of a document is the strict one.
    let unnamed =
        lines(&[strict(0, 1.0, None, "0"), strict(1, 0.0, None, "[invalid]"), strict(0, 1.0, None, "0"), strict(1, 1.0, None, "1")]);
    read(&file("gsm8k"), unnamed, &[], &["correct", "unparsed"]);
    let one = |row: Value| lines(&[row]);
    read(&file("humaneval"), one(generated(0, "x", ("pass@1", 1.0.into()), Some("create_test"), "x")), &[], &["correct"]);
    let mut repeats = generated(0, "x", ("exact_match", 1.0.into()), Some("none"), "x");
    repeats["resps"] = json!([["x", "y", "z"]]);
    assert_eq!(read(&file("t"), one(repeats), &[], &["correct"])[0]["answer"], "x");
}

#[test]
fn what_does_not_say_right_or_wrong_asks_for_a_metric_or_filter() {
    let one = |row: Value| lines(&[row]);
    let filters: Vec<Value> =
        ["score-first", "maj@64", "maj@8"].map(|filter| generated(0, "x", ("exact_match", 1.0.into()), Some(filter), "x")).to_vec();
    refused(&file("gsm8k"), lines(&filters), &[], &["several filters", "maj@64", "--filter"]);
    let mut part = chosen(0, &[-1.0, -2.0], 0, false);
    part["acc"] = 0.43.into();
    refused(&file("truthfulqa_mc2"), one(part), &[], &["line 1", "acc is 0.43", "--metric"]);
    let mut several = generated(0, "x", ("prompt_level_strict_acc", true.into()), Some("none"), "x");
    several["prompt_level_loose_acc"] = false.into();
    several["inst_level_strict_acc"] = json!([true, false]);
    several["metrics"] = json!(["prompt_level_strict_acc", "inst_level_strict_acc", "prompt_level_loose_acc"]);
    refused(&file("ifeval"), one(several.clone()), &[], &["line 1", "several metrics", "prompt_level_strict_acc", "--metric"]);
    read(&file("ifeval"), one(several), &["--metric", "prompt_level_strict_acc"], &["correct"]);
    refused(&file("t"), one(generated(0, "x", ("bypass", 999.into()), Some("none"), "x")), &[], &["line 1", "bypass is 999"]);
    let mut odd = generated(0, "x", ("exact_match", 1.0.into()), Some("none"), "x");
    odd["novel"] = 1.0.into();
    refused(&file("t"), one(odd), &[], &["line 1", "`novel`", "metrics"]);
    let number = chosen(0, &[-1.0, -2.0], 0, false).to_string().replace("\"-1\"", "NaN").replace("\"-2\"", "NaN");
    refused(&file("t"), number, &[], &["line 1", "likelihood"]);
}
