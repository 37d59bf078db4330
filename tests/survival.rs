//! An evaluation outlives what happens to it: a kill at any moment, a full disk, a line that cannot be read, a model that
//! emits broken text, a suite without items. Each ends in the same rows or in one clear error.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use ballast::eval::score::{Answer, IdentityTerms, Verdict, grade};
use ballast::eval::suite::parse_suite;
use ballast::model::tokenizer::TextCodec;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn ballast(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.current_dir(ROOT).args(args);
    command
}

/// A small evaluation that writes to a file.
fn eval(out: &Path) -> Command {
    ballast(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", "fact-qa", "--items", "40", "--out", out.to_str().unwrap()])
}

/// The one line that a failure ends with.
fn error(output: &Output) -> String {
    let text = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(!text.contains("panicked"), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors[0].to_owned()
}

fn whole_lines(path: &Path) -> usize {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line is left");
    text.lines().inspect(|line| drop(serde_json::from_str::<serde_json::Value>(line).unwrap())).count()
}

#[test]
fn a_killed_evaluation_continues_to_the_same_rows() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole.jsonl");
    let first = eval(&whole).output().unwrap();
    assert!(first.status.success());
    let expected = fs::read(&whole).unwrap();

    // Cut anywhere, also within a line, as a kill leaves it.
    let cut = folder.path().join("cut.jsonl");
    fs::copy(folder.path().join("whole.jsonl.evidence.json"), folder.path().join("cut.jsonl.evidence.json")).unwrap();
    for share in [0, 1, 3, 7, 9] {
        fs::write(&cut, &expected[..expected.len() * share / 10]).unwrap();
        let again = eval(&cut).output().unwrap();
        assert!(again.status.success(), "{}", String::from_utf8_lossy(&again.stderr));
        assert!(fs::read(&cut).unwrap() == expected, "cut at {share} tenths");
        assert_eq!(again.stdout, first.stdout, "earlier answers count as well");
    }

    // Killed as soon as there is a row.
    let killed = folder.path().join("killed.jsonl");
    let mut child = eval(&killed).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while child.try_wait().unwrap().is_none() && fs::metadata(&killed).map_or(0, |file| file.len()) == 0 {
        std::thread::sleep(Duration::from_millis(1));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(eval(&killed).output().unwrap().status.success());
    assert!(fs::read(&killed).unwrap() == expected);
}

#[test]
fn rows_of_another_evaluation_are_not_continued() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rows.jsonl");
    assert!(eval(&out).output().unwrap().status.success());
    let before = fs::read(&out).unwrap();
    let other = error(&eval(&out).args(["--system", "Be brief."]).output().unwrap());
    assert!(other.contains("rows.jsonl already holds rows") && other.contains("the system prompt: "), "{other}");
    fs::remove_file(folder.path().join("rows.jsonl.evidence.json")).unwrap();
    let unknown = error(&eval(&out).output().unwrap());
    assert!(unknown.contains("there is no") && unknown.contains("rows.jsonl.evidence.json to say how they were made"), "{unknown}");
    assert!(fs::read(&out).unwrap() == before, "nothing of it is touched");
}

#[test]
fn a_full_disk_ends_in_one_error_and_whole_lines() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("rows.jsonl");
    // A limit on the size of files stands for the disk. Ignoring its signal makes the write itself fail, as there.
    let mut limited = Command::new("sh");
    limited.current_dir(ROOT).args(["-c", "trap '' XFSZ; ulimit -S -f 16; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ballast")]);
    limited.args(eval(&out).get_args());
    let full = error(&limited.output().unwrap());
    assert!(full.contains("failed to append to") && full.contains("rows.jsonl") && full.contains("the same command continues"), "{full}");
    let kept = whole_lines(&out);
    assert!((1..40).contains(&kept), "{kept}");

    // With room again the same command goes on to what an undisturbed one writes.
    assert!(eval(&out).output().unwrap().status.success());
    let undisturbed = folder.path().join("undisturbed.jsonl");
    assert!(eval(&undisturbed).output().unwrap().status.success());
    assert!(fs::read(&out).unwrap() == fs::read(&undisturbed).unwrap());
}

#[test]
fn a_result_that_cannot_be_printed_is_an_error() {
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let message =
        error(&ballast(&["suite", "show", "fact-qa"]).stdout(full).stderr(Stdio::piped()).spawn().unwrap().wait_with_output().unwrap());
    assert!(message.contains("failed to write the result to standard output") && message.contains("No space left"), "{message}");
}

/// The example suite with its items changed.
fn suite(items: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_owned();
    fs::copy(Path::new(ROOT).join("examples/suite/suite.toml"), path.join("suite.toml")).unwrap();
    fs::write(path.join("items.jsonl"), items).unwrap();
    (folder, path)
}

#[test]
fn items_that_cannot_be_read_are_named() {
    let good = fs::read(Path::new(ROOT).join("examples/suite/items.jsonl")).unwrap();
    let with = |line: &[u8]| [good.as_slice(), line, b"\n"].concat();
    let cases: [(Vec<u8>, &str); 5] = [
        (with(b"{\"id\": \"x\", \"clus"), "items.jsonl:6: EOF while parsing a string (column 17)"),
        (with(b"not JSON"), "items.jsonl:6: expected ident"),
        (with(b"{\"id\": \"\xff\"}"), "items.jsonl line 6 is not UTF-8 text"),
        (with(b"[]"), "items.jsonl:6: "),
        (Vec::new(), "items.jsonl: there are no items"),
    ];
    for (items, expected) in cases {
        let (_folder, path) = suite(&items);
        let path = path.to_str().unwrap();
        for command in
            [&["eval", "--model", "fixtures/tiny/qwen2", "--suite", path][..], &["suite", "check", path], &["suite", "show", path]]
        {
            let output = ballast(command).output().unwrap();
            let message = error(&output);
            assert!(message.contains(expected) && output.stdout.is_empty(), "{message}\nshould say\n{expected}");
        }
    }
}

#[test]
fn asking_nothing_is_an_error() {
    let message = error(&ballast(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", "fact-qa", "--items", "0"]).output().unwrap());
    assert!(message.contains("--items 0 would ask nothing"), "{message}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.csv");
    fs::write(&file, "question,A,B,C,D,answer\n").unwrap();
    let reference = format!("mmlu:{}", file.display());
    let message = error(&ballast(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", &reference]).output().unwrap());
    assert!(message.contains("test.csv: there is no row"), "{message}");
}

#[test]
fn broken_bytes_of_a_model_are_an_answer_like_any() {
    let codec = TextCodec::from_folder(&Path::new(ROOT).join("fixtures/tiny/qwen2")).unwrap();
    // One token a byte, of which the last of three is missing: no UTF-8 that any tokenizer could write back.
    let ids = codec.encode("巴黎").unwrap();
    let broken = (1..ids.len()).find(|end| codec.decode(&ids[..*end]).unwrap().contains('\u{fffd}'));
    let answers = [ids[..broken.expect("this tokenizer splits characters")].to_vec(), ids[1..].to_vec()];
    let settings = "name = \"t\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";
    let item = r#"{"id":"a","cluster":"c","lang":"zh","subject":"s","prompt":"法国的首都是哪里？","answers":["巴黎"]}"#;
    let suite = parse_suite(settings, item, "t").unwrap();
    for ids in answers {
        let text = codec.decode(&ids).unwrap();
        assert!(text.contains('\u{fffd}'), "{text:?}");
        let graded = grade(&suite.items[0], &Answer { text: &text, truncated: false }, &IdentityTerms::default());
        assert_ne!(graded.verdict, Verdict::Correct, "{text:?}");
        // Rows are JSON, which takes it and gives it back.
        assert_eq!(serde_json::from_str::<String>(&serde_json::to_string(&text).unwrap()).unwrap(), text);
    }
}
