//! evalscope's reviews, as its versions write them.

use serde_json::{Value, json};

use super::imports::{read, refused};

const FILE: &str = "reviews/m/gsm8k_main.jsonl";

/// A review of question `id` with a score; `more` changes keys of the score, of `sample_score`, and of the row.
fn row(id: usize, value: Value, more: &Value) -> Value {
    let mut score = json!({"value": value, "extracted_prediction": "72", "prediction": "ANSWER: 72", "explanation": null, "metadata": {}});
    let mut sample = json!({"sample_id": id, "group_id": id, "sample_metadata": {}});
    let mut row = json!({"index": id, "input": format!("q{id}"), "target": "72",
        "messages": [{"role": "user", "content": format!("q{id}")}, {"role": "assistant", "content": "ANSWER: 72"}]});
    for (object, key) in [(&mut score, "score"), (&mut sample, "sample"), (&mut row, "row")] {
        for (key, value) in more[key].as_object().into_iter().flatten() {
            object[key] = value.clone();
        }
    }
    sample["score"] = score;
    row["sample_score"] = sample;
    row
}

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| row.to_string() + "\n").collect()
}

#[test]
fn scores_are_read_as_each_version_writes_them() {
    let none = json!({});
    let two = |right: Value, wrong: Value, more: &Value| lines(&[row(0, right, more), row(1, wrong, more)]);
    for scores in [
        two(json!({"acc": 1.0}), json!({"acc": 0.0}), &none),
        two(json!({"mean_acc": 1.0}), json!({"mean_acc": 0.0}), &none),
        two(json!({"acc": true}), json!({"acc": false}), &none),
        two(json!({"acc": 1}), json!({"acc": 0}), &json!({"sample": {"group_id": null}})),
        two(json!({"f1": 0.3, "em": 1.0}), json!({"f1": 0.3, "em": 0.0}), &json!({"score": {"main_score_name": "em"}})),
    ] {
        read(FILE, scores, &[], &["correct", "wrong"]);
    }
    let several = lines(&[row(0, json!({"strict": 1.0, "loose": 0.0}), &none)]);
    read(FILE, &several, &["--metric", "loose"], &["wrong"]);
    refused(FILE, &several, &[], &["line 1", "several metrics", "strict", "--metric"]);
    refused(FILE, lines(&[row(0, json!({"bleu-1": 0.37}), &none)]), &[], &["line 1", "bleu-1 is 0.37", "--metric"]);
}

#[test]
fn repeats_errors_and_missing_answers_are_told_apart() {
    let of = |group: usize, sample: usize, right: f64| row(sample, json!({"acc": right}), &json!({"sample": {"group_id": group}}));
    read(FILE, lines(&[of(0, 0, 1.0), of(0, 1, 0.0), of(1, 2, 0.0), of(1, 3, 1.0)]), &[], &["correct", "wrong"]);
    let failed = row(0, json!({}), &json!({"score": {"status": "transport_error"}}));
    let rows = read(FILE, lines(&[failed, row(1, json!({"acc": 1.0}), &json!({}))]), &[], &["error", "correct"]);
    assert!(rows[0]["detail"].as_str().unwrap().contains("transport_error"));
    let silent = row(0, json!({"acc": 0.0}), &json!({"score": {"prediction": null, "extracted_prediction": null}}));
    read(FILE, lines(&[silent]), &[], &["unparsed"]);
}

#[test]
fn what_is_not_a_review_is_refused() {
    refused(FILE, lines(&[row(0, json!(1.0), &json!({}))]), &[], &["line 1", "sample_score.score.value"]);
    let old = json!({"index": 0, "choices": [{"review": {"gold": "72", "pred": "72", "result": 1.0}}], "raw_input": {"question": "q"}, "reviewed": true});
    refused(FILE, lines(&[old]), &[], &["line 1", "evalscope's reviews"]);
    let predicted = json!({"index": 0, "model": "m", "model_output": {"choices": []}});
    refused(FILE, lines(&[predicted]), &[], &["predictions", "reviews/"]);
    let mut cut = row(1, json!({"acc": 1.0}), &json!({})).to_string();
    cut.truncate(99);
    refused(FILE, format!("{}{cut}\n", lines(&[row(0, json!({"acc": 1.0}), &json!({}))])), &[], &["line 2", "cut off"]);
    for (place, key) in [("row", "novel_row"), ("sample", "novel_sample"), ("score", "novel_score")] {
        let odd = row(0, json!({"acc": 1.0}), &json!({ place: { key: 1 } }));
        refused(FILE, lines(&[odd]), &[], &["line 1", &format!("`{key}`"), "version of the harness"]);
    }
}
