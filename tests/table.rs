//! `ballast table`: answers of several models as one frame, by group and row by row.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;
use std::process::Command;

use assert_cmd::prelude::*;
use ballast::frame::read_parquet;

fn ballast(arguments: &[&str]) -> (bool, String) {
    let output = Command::cargo_bin("ballast").unwrap().args(arguments).output().unwrap();
    let text = String::from_utf8(if output.status.success() { output.stdout } else { output.stderr }).unwrap();
    (output.status.success(), text)
}

/// Two imported models, the second with one task of the first.
fn imported(folder: &Path) -> [String; 2] {
    let logs = |model: &str, task: &str| format!("tests/import/lm-eval/{model}/samples_{task}_2026-01-31T10-20-30.123456.jsonl");
    let (base, tuned) = (folder.join("base"), folder.join("tuned"));
    let out = |path: &Path| path.to_str().unwrap().to_owned();
    assert!(ballast(&["import", &logs("tiny-base", "gsm8k"), &logs("tiny-base", "arc_easy"), "--out", &out(&base)]).0);
    assert!(ballast(&["import", &logs("tiny-tuned", "gsm8k"), "--out", &out(&tuned)]).0);
    [out(&base), out(&tuned)]
}

#[test]
fn every_answer_is_a_row_and_groups_count_them() {
    let folder = tempfile::tempdir().unwrap();
    let [base, tuned] = imported(folder.path());
    let parquet = folder.path().join("rows.parquet");
    let (ok, told) = ballast(&["table", &base, &tuned, "--out", parquet.to_str().unwrap()]);
    assert!(ok, "{told}");
    let rows = read_parquet(&parquet, 1 << 28).unwrap();
    let of = |variant: &str, suite: &str| rows.iter().filter(|row| row["variant"] == variant && row["suite"] == suite).count();
    assert!(of("base", "gsm8k") > 0 && of("base", "arc_easy") > 0);
    assert_eq!((of("tuned", "gsm8k"), of("tuned", "arc_easy")), (of("base", "gsm8k"), 0));
    assert!(rows.iter().all(|row| (row["verdict"] == "correct") == (row["correct"] == true)));

    let csv = folder.path().join("groups.csv");
    assert!(ballast(&["table", &base, &tuned, "--by", "variant,suite", "--out", csv.to_str().unwrap()]).0);
    let mut reader = csv::Reader::from_path(&csv).unwrap();
    let groups: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    assert_eq!(groups.len(), 3);
    for group in &groups {
        let in_group = || rows.iter().filter(|row| row["variant"] == group[0] && row["suite"] == group[1]);
        let right = in_group().filter(|row| row["correct"] == true).count();
        assert_eq!(group[3].parse::<usize>().unwrap(), in_group().count());
        assert!((group[5].parse::<f64>().unwrap() - right as f64 / in_group().count() as f64).abs() < 1e-12);
    }
    let (ok, shown) = ballast(&["table", &base, &tuned]);
    assert!(ok && shown.contains("| `tuned` | `gsm8k` |"), "{shown}");
}

#[test]
fn what_would_count_twice_or_cannot_be_grouped_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [base, _] = imported(folder.path());
    let error = |arguments: &[&str]| {
        let (ok, text) = ballast(arguments);
        assert!(!ok, "{text}");
        text
    };
    assert!(error(&["table", &base, &format!("{base}/../base")]).contains("hold the same cell"));
    assert!(error(&["table", &base, "--by", "colour"]).contains("`colour`, which is no column to group by"));
    assert!(error(&["table", &base, "--out", "x.xlsx"]).contains(".parquet, .csv or .md"));
    assert!(error(&["table", "nowhere"]).contains("does not exist"));
}
