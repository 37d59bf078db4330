//! The small logs under `tests/import/`, whose README says which versions wrote such files.

use super::*;
use crate::eval::suite::Language;

fn log(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

fn read_one(name: &str, choice: &Choice) -> Imported {
    read(&[log(name)], choice).unwrap()
}

fn message(files: &[PathBuf], choice: &Choice) -> String {
    format!("{:#}", read(files, choice).unwrap_err())
}

fn verdicts(imported: &Imported) -> Vec<(&str, Verdict, bool, bool)> {
    imported.rows.iter().map(|row| (row.item.as_str(), row.verdict, row.strict, row.lenient)).collect()
}

const BASE: &str = "lm-eval/tiny-base/samples_gsm8k_2026-01-31T10-20-30.123456.jsonl";
const TUNED: &str = "lm-eval/tiny-tuned/samples_gsm8k_2026-01-31T10-20-30.123456.jsonl";
const ARC: &str = "lm-eval/tiny-base/samples_arc_easy_2026-01-31T10-20-30.123456.jsonl";
const REVIEW: &str = "evalscope/reviews/tiny-base/gsm8k_main.jsonl";
const DOCUMENT: &str = "inspect/2026-01-31T10-20-30_arithmetic_abc.json";

#[test]
fn lm_evals_two_filters_are_the_strict_and_the_lenient_reading() {
    let base = read_one(BASE, &Choice::default());
    let expected = [("0", Verdict::Correct, true, true), ("1", Verdict::Unparsed, false, true), ("2", Verdict::Correct, true, true)];
    assert_eq!(verdicts(&base), expected);
    let row = &base.rows[0];
    assert_eq!((row.suite.as_str(), row.answer.as_str(), row.extracted.as_deref()), ("gsm8k", " She sold 24 in May.\n#### 72", Some("72")));
    assert_eq!((base.rows[2].language, base.meta.model.as_deref()), (Language::Zh, Some("tiny-base")));
    let source = &base.meta.sources[0];
    assert_eq!((source.metric.as_str(), source.filter.as_deref(), source.correct), ("exact_match", Some("strict-match"), 2));
    let flexible = read_one(BASE, &Choice { filter: Some("flexible-extract".to_owned()), ..Choice::default() });
    assert_eq!(verdicts(&flexible)[1], ("1", Verdict::Correct, false, true));
}

#[test]
fn the_same_item_has_the_same_hash_in_two_logs_whatever_their_order() {
    let (base, tuned) = (read_one(BASE, &Choice::default()), read_one(TUNED, &Choice::default()));
    let hashes = |imported: &Imported| imported.rows.iter().map(|row| row.hash.clone()).collect::<Vec<_>>();
    assert_eq!(hashes(&base), hashes(&tuned));
    assert_eq!(verdicts(&tuned)[0], ("0", Verdict::Unparsed, false, false));
}

#[test]
fn a_choice_of_lm_evals_is_the_most_likely_continuation() {
    let arc = read_one(ARC, &Choice::default());
    assert_eq!(arc.rows.iter().map(|row| row.answer.as_str()).collect::<Vec<_>>(), ["whale", "iron"]);
    assert_eq!((arc.rows[0].verdict, arc.rows[1].verdict), (Verdict::Correct, Verdict::Wrong));
    let normed = read_one(ARC, &Choice { metric: Some("acc_norm".to_owned()), ..Choice::default() });
    assert_eq!(normed.rows[1].verdict, Verdict::Correct);
    let both = read(&[log(BASE), log(ARC)], &Choice::default()).unwrap();
    assert_eq!((both.rows.len(), both.meta.sources.len()), (5, 2));
}

#[test]
fn evalscopes_reviews_keep_a_missing_score_apart() {
    let review = read_one(REVIEW, &Choice::default());
    let found: Vec<Verdict> = review.rows.iter().map(|row| row.verdict).collect();
    assert_eq!(found, [Verdict::Correct, Verdict::Unparsed, Verdict::Error]);
    assert_eq!(review.rows[2].detail.as_deref(), Some("no score: transport_error"));
    assert_eq!((review.rows[0].suite.as_str(), review.rows[0].subject.as_str()), ("gsm8k_main", "arithmetic"));
    assert_eq!(review.meta.model.as_deref(), Some("tiny-base"));
    let error = message(&[log("evalscope/predictions/tiny-base/gsm8k_main.jsonl")], &Choice::default());
    assert!(error.contains("use the file of the same name under reviews/"), "{error}");
}

#[test]
fn inspects_document_and_archive_say_the_same() {
    let document = read_one(DOCUMENT, &Choice::default());
    let found: Vec<Verdict> = document.rows.iter().map(|row| row.verdict).collect();
    let expected = [Verdict::Correct, Verdict::Truncated, Verdict::Wrong, Verdict::Error, Verdict::Unparsed, Verdict::Error];
    assert_eq!(found, expected);
    assert_eq!(document.rows[1].prompt.split(' ').next(), Some("Weng"));
    assert_eq!(document.rows[2].detail.as_deref(), Some("partly right, which counts as wrong here"));
    assert_eq!(document.rows[3].detail.as_deref(), Some("TimeoutError()"));
    assert_eq!((document.rows[0].answer_tokens, document.meta.sources[0].left_out), (5, 1));
    assert_eq!(document.meta.model.as_deref(), Some("mockllm/tiny"));
    let archive = read_one(&DOCUMENT.replace(".json", ".eval"), &Choice::default());
    assert_eq!(archive.rows, document.rows);
}

#[test]
fn a_log_that_inspect_packed_with_zstandard_is_read() {
    let name = "inspect/2026-11-25T07-00-00_sums_zstd.eval";
    let found = read_one(name, &Choice::default());
    let said: Vec<(&str, Verdict)> = found.rows.iter().map(|row| (row.answer.as_str(), row.verdict)).collect();
    let (right, wrong) = (Verdict::Correct, Verdict::Wrong);
    assert_eq!(said, [("The answer is 4", right), ("12", right), ("我不知道", wrong), ("9", right)]);
    assert_eq!((found.rows[2].prompt.as_str(), found.rows[2].prompt_tokens), ("5 + 6?", 7));
    assert_eq!((found.meta.sources[0].task.as_str(), found.meta.model.as_deref()), ("sums", Some("mockllm/model")));

    // Every byte of the first sample's packed text changed in turn: an error, never a panic or another text.
    let whole = std::fs::read(log(name)).unwrap();
    let start = whole.windows(25).position(|bytes| bytes == b"samples/1_epoch_1.json\x28\xb5\x2f").map_or(0, |at| at + 22);
    let folder = tempfile::tempdir().unwrap();
    for at in (start..start + 600).step_by(7) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let path = folder.path().join("damaged.eval");
        std::fs::write(&path, &bytes).unwrap();
        let error = message(&[path], &Choice::default());
        assert!(error.contains("damaged.eval"), "{error}");
    }
}

#[test]
fn bad_input_is_named_with_its_line_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let whole = std::fs::read_to_string(log(BASE)).unwrap();
    let arc = std::fs::read_to_string(log(ARC)).unwrap();
    let cut = put("samples_cut.jsonl", &whole[..whole.len() - 40]);
    let lost = put("samples_lost.jsonl", &whole.lines().skip(1).collect::<Vec<_>>().join("\n"));
    let bare = put("samples_bare.jsonl", &arc.replacen("\"target\"", "\"goal\"", 1));
    let part = put("samples_part.jsonl", &arc.replace("\"acc\": 1.0", "\"acc\": 0.5"));
    let none = put("samples_none.jsonl", &arc.replace("\"acc", "\"f1"));
    let document = std::fs::read_to_string(log(DOCUMENT)).unwrap();
    let stopped = put("stopped.json", &document.replace("\"status\": \"success\"", "\"status\": \"cancelled\""));
    let metric = Choice { metric: Some("f1".to_owned()), ..Choice::default() };
    for (file, choice, parts) in [
        (&cut, Choice::default(), ["samples_cut.jsonl line 6", "was the log cut off?"]),
        (&lost, Choice::default(), ["document 0 has no answer under the filter strict-match", "cut off?"]),
        (&bare, Choice::default(), ["samples_bare.jsonl line 1", "`goal` in the line is not known"]),
        (&part, Choice::default(), ["samples_part.jsonl line 1: acc is 0.5", "--metric"]),
        (&none, Choice::default(), ["choose one of f1, f1_norm", "--metric"]),
        (&log(BASE), metric, ["has no metric f1; it has exact_match", "--metric"]),
        (&stopped, Choice::default(), ["status cancelled", "run it again"]),
        (&put("other.jsonl", "{\"a\": 1}\n"), Choice::default(), ["other.jsonl line 1", "samples_*.jsonl"]),
        (&put("broken.json", "{\"eval\": "), Choice::default(), ["broken.json is not JSON", "cut off?"]),
        (&put("empty.json", ""), Choice::default(), ["empty.json", "not JSON"]),
        (&put("bad.eval", "PK\u{3}\u{4}nothing"), Choice::default(), ["bad.eval", "damaged"]),
    ] {
        let error = message(std::slice::from_ref(file), &choice);
        assert!(parts.iter().all(|part| error.contains(part)), "{parts:?} in {error}");
    }
    assert!(message(&[log(BASE), log(TUNED)], &Choice::default()).contains("both hold the task gsm8k"));
    assert!(message(&[log(BASE), log(BASE)], &Choice::default()).contains("is the same file"));
    assert!(message(&[log(ARC), log(TUNED)], &Choice::default()).contains("tiny-base"));
}

#[test]
fn an_import_is_written_whole_and_over_an_import_alone() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("imported/base");
    let imported = read_one(BASE, &Choice::default());
    write(&imported, &out).unwrap();
    write(&imported, &out).unwrap();
    let rows: Vec<ItemRow> = crate::record::lines::read_json_lines(&out.join("items.jsonl")).unwrap();
    assert_eq!(rows, imported.rows);
    let meta: ImportMeta = crate::files::read_json(&out.join("import.json")).unwrap();
    assert_eq!(meta.items_digest, sha256(&std::fs::read(out.join("items.jsonl")).unwrap()));
    std::fs::remove_file(out.join("import.json")).unwrap();
    assert!(format!("{:#}", write(&imported, &out).unwrap_err()).contains("were not imported"));
}

/// A log of one line or document, as a file of its own.
fn written(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    (folder, path)
}

/// The error of reading `text`, and whether it says that the measurement is invalid.
fn refused(name: &str, text: &str) -> (String, bool) {
    let (_folder, path) = written(name, text);
    let error = read(&[path], &Choice::default()).unwrap_err();
    (format!("{error:#}"), error.chain().any(<dyn std::error::Error>::is::<crate::error::Invalid>))
}

const LM_EVAL: &str = r#"{"doc_id": 0, "doc": {}, "target": "4", "arguments": {"gen_args_0": {"arg_0": "q"}}, "resps": [["4"]],
    "filtered_resps": ["4"], "filter": "none", "metrics": ["exact_match"], "exact_match": 1.0}"#;
const EVALSCOPE: &str = r#"{"index": 0, "input": "q", "target": "4", "sample_score": {"sample_id": 0,
    "score": {"value": {"acc": 1.0}, "prediction": "4"}}}"#;
const INSPECT: &str = r#"{"version": 2, "status": "success", "eval": {"task": "t", "model": "m"}, "samples": [{"id": 1, "epoch": 1,
    "input": "q", "target": "4", "output": {"completion": "4"}, "scores": {"match": {"value": 1.0}}}]}"#;

#[test]
fn a_metric_that_is_not_finite_is_no_measurement() {
    for (name, log) in [("samples_a.jsonl", LM_EVAL), ("b.jsonl", EVALSCOPE), ("c.json", INSPECT)] {
        let log = log.replace('\n', " ");
        let (_folder, path) = written(name, &log);
        assert_eq!(read(&[path], &Choice::default()).unwrap().rows[0].verdict, Verdict::Correct);
        for number in ["NaN", "Infinity", "-Infinity", "\"nan\""] {
            let (error, invalid) = refused(name, &log.replace("1.0", number));
            assert!(invalid && error.contains(number.trim_matches('"')), "{error}");
        }
    }
    let unscored = INSPECT.replace("\"value\": 1.0", "\"value\": NaN, \"reason\": \"grader_failed\"");
    let (_folder, path) = written("d.json", &unscored);
    assert_eq!(read(&[path], &Choice::default()).unwrap().rows[0].verdict, Verdict::Error);
}

#[test]
fn an_unknown_key_of_a_log_is_named() {
    for (name, log, before, place) in [
        ("samples_a.jsonl", LM_EVAL, "\"doc_id\"", "the line"),
        ("b.jsonl", EVALSCOPE, "\"index\"", "the review"),
        ("b.jsonl", EVALSCOPE, "\"sample_id\"", "sample_score"),
        ("b.jsonl", EVALSCOPE, "\"prediction\"", "sample_score.score"),
        ("c.json", INSPECT, "\"version\"", "the log"),
        ("c.json", INSPECT, "\"epoch\"", "the sample"),
        ("c.json", INSPECT, "\"value\"", "the score"),
    ] {
        let (error, _) = refused(name, &log.replace('\n', " ").replacen(before, &format!("\"novel\": 1, {before}"), 1));
        assert!(error.contains(&format!("`novel` in {place} is not known")), "{error}");
    }
}

#[test]
fn what_inspect_marks_as_invalid_is_invalid() {
    let (error, invalid) = refused("c.json", &INSPECT.replace("\"version\"", "\"invalidated\": true, \"version\""));
    assert!(invalid && error.contains("marked as invalid"), "{error}");
    let (error, invalid) = refused("c.json", &INSPECT.replace("\"epoch\"", "\"invalidation\": {\"author\": \"x\"}, \"epoch\""));
    assert!(invalid && error.contains("sample 1: it was marked as invalid"), "{error}");
}

#[test]
fn an_answer_of_a_later_epoch_alone_is_not_left_out_in_silence() {
    let (error, _) = refused("c.json", &INSPECT.replace("\"epoch\": 1", "\"epoch\": 2"));
    assert!(error.contains("sample 1: it was answered in epoch 2 but not in epoch 1"), "{error}");
}

#[test]
fn a_limit_that_stopped_an_answer_is_truncation() {
    let log = INSPECT.replace("1.0", "0").replace("\"epoch\"", "\"limit\": {\"type\": \"token\", \"limit\": 5}, \"epoch\"");
    let (_folder, path) = written("d.json", &log);
    assert_eq!(read(&[path], &Choice::default()).unwrap().rows[0].verdict, Verdict::Truncated);
}
