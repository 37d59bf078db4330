//! `ballast import` as typed: what it prints, leaves behind and refuses.

use assert_cmd::Command;
use serde_json::Value;

fn import(arguments: &[&str]) -> std::process::Output {
    let mut command = Command::cargo_bin("ballast").expect("the binary is built");
    command.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import")).arg("import").args(arguments).output().expect("it runs")
}

#[test]
fn logs_of_one_model_become_one_folder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("base");
    let base = "lm-eval/tiny-base/samples_gsm8k_2026-01-31T10-20-30.123456.jsonl";
    let arc = "lm-eval/tiny-base/samples_arc_easy_2026-01-31T10-20-30.123456.jsonl";
    let done = import(&[base, arc, "--out", &out.display().to_string()]);
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert!(told.starts_with("gsm8k            2 of 3 right by exact_match, strict-match (lm-eval)\narc_easy         1 of 2"), "{told}");
    let items = std::fs::read_to_string(out.join("items.jsonl")).expect("items.jsonl");
    assert_eq!(items.lines().count(), 5);
    let meta: Value = serde_json::from_str(&std::fs::read_to_string(out.join("import.json")).expect("import.json")).expect("JSON");
    assert_eq!((&meta["model"], &meta["sources"][1]["task"]), (&Value::from("tiny-base"), &Value::from("arc_easy")));
}

#[test]
fn what_cannot_be_read_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("none");
    let failed = import(&["evalscope/predictions/tiny-base/gsm8k_main.jsonl", "--out", &out.display().to_string()]);
    assert_eq!(failed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("reviews/"));
    assert!(!out.exists());
}

#[test]
fn imported_logs_are_compared_and_judged_like_runs() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let rows = |of: &str| folder.path().join(of).join("items.jsonl");
    for of in ["tiny-base", "tiny-tuned"] {
        let log = format!("lm-eval/{of}/samples_gsm8k_2026-01-31T10-20-30.123456.jsonl");
        let done = import(&[&log, "--out", &folder.path().join(of).display().to_string()]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }
    let compare = |arguments: &[&str]| {
        let mut command = Command::cargo_bin("ballast").expect("the binary is built");
        command.arg("compare").arg(rows("tiny-base")).arg(rows("tiny-tuned")).args(arguments).output().expect("it runs")
    };
    let table = compare(&[]);
    assert!(table.status.success() && String::from_utf8_lossy(&table.stdout).contains("gsm8k"), "{table:?}");
    // Three items can show nothing.
    let judged = compare(&["--margin", "5"]);
    assert_eq!(judged.status.code(), Some(3), "{judged:?}");
    assert!(String::from_utf8_lossy(&judged.stdout).ends_with("INCONCLUSIVE\n"), "{judged:?}");
}
