//! `ballast suite` and suites of one's own, as a user runs them; and benchmarks from a hub on this machine.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use assert_cmd::Command;
use ballast::eval::mapping::{self, Reference, load_with};
use ballast::eval::suite::Suite;
use ballast::files::sha256;
use ballast::model::fetch::{Cache, Fetcher, Hub, Pip, Silent};

fn ballast(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ballast"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(args);
    command
}

fn stdout(args: &[&str]) -> String {
    let output = ballast(args).assert().success();
    String::from_utf8(output.get_output().stdout.clone()).unwrap()
}

fn stderr(args: &[&str], code: i32) -> String {
    let output = ballast(args).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(code), "{text}");
    text
}

#[test]
fn shipped_suites_hold() {
    let text = stdout(&["suite", "check"]);
    for suite in ["fact-qa", "code", "reasoning-en", "reasoning-zh", "identity", "limits", "leakage", "composite"] {
        assert!(text.contains(&format!("{suite} v")), "{text}");
    }
    assert!(text.contains("pass in the sandbox") && !text.contains("FAIL"), "{text}");
}

#[test]
fn the_example_can_be_checked_shown_and_asked() {
    let text = stdout(&["suite", "check", "examples/suite"]);
    assert!(text.starts_with("harbour v1  5 items (1 zh, 4 en), 4 subjects\n"), "{text}");
    assert_eq!(text.matches("  ok ").count(), 11, "{text}");

    let text = stdout(&["suite", "show", "examples/suite", "--items", "5"]);
    assert_eq!(text.lines().filter(|line| line.starts_with("--- ")).count(), 5, "{text}");
    assert!(text.contains("A. 右边") && text.contains("=> C. 左边") && text.contains("chance 0.050"), "{text}");
    let text = stdout(&["suite", "show", "examples/suite", "--item", "knots-to-kmh"]);
    assert!(text.contains("Answer with a single Python code block.\n=> to_kmh") && !text.contains("chance"), "{text}");
    let text = stdout(&["suite", "show", "examples/suite", "--language", "zh"]);
    assert!(text.contains("--- port-side (zh, boats; choice)") && !text.contains("--- keel"), "{text}");

    let text = stdout(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", "examples/suite"]);
    assert!(text.starts_with("harbour") && text.contains("n=5"), "{text}");
}

#[test]
fn a_check_that_fails_ends_with_4() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    for file in ["suite.toml", "items.jsonl"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/suite").join(file)).unwrap();
        fs::write(folder.path().join(file), text.replace("assert to_kmh(0) == 0", "assert to_kmh(0) == 1")).unwrap();
    }
    let output = ballast(&["suite", "check", path]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    let (out, error) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert!(out.contains("FAIL  references  knots-to-kmh: ") && out.contains("FAIL  perfect"), "{out}");
    assert!(error.contains("harbour: references, harbour: perfect"), "{error}");
}

#[test]
fn mistakes_get_one_clear_error() {
    let error = stderr(&["suite", "show", "examples/suite", "--item", "none"], 2);
    assert!(error.contains("harbour has no item `none`"), "{error}");
    let error = stderr(&["suite", "show", "mmlx:somewhere"], 2);
    assert!(
        error.contains("nor a mapping file ending in .toml nor BENCHMARK or BENCHMARK:WHERE with one of mmlu, cmmlu, ceval, gsm8k"),
        "{error}"
    );
    let error = stderr(&["suite", "show", "gsm8k:no/such/file.jsonl"], 2);
    assert!(error.contains("there is no file or folder no/such/file.jsonl"), "{error}");
    let error = stderr(&["suite", "show", "fact-qa", "--language", "fr"], 2);
    assert!(error.contains("use zh or en"), "{error}");
}

const GSM8K: &str = r#"{"question": "Ann ties 2 knots a day. How many in 6 days?", "answer": "2*6=12\n#### 12"}"#;

#[test]
fn a_benchmark_is_asked_like_any_suite() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("test.jsonl");
    let lines: Vec<String> = (6..30).map(|days| GSM8K.replace("in 6 days", &format!("in {days} days"))).collect();
    fs::write(&file, lines.join("\n")).unwrap();
    let reference = format!("gsm8k:{}", file.display());
    assert!(stdout(&["suite", "check", &reference]).contains("ok    perfect"));
    let rows = folder.path().join("rows.jsonl");
    let out = rows.to_str().unwrap();
    // The longest answer is that of the benchmark, which a model of random weights uses up: few items.
    let text = stdout(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", &reference, "--items", "2", "--out", out]);
    assert!(text.starts_with("gsm8k") && text.contains("n=2"), "{text}");
    let rows = fs::read_to_string(rows).unwrap();
    assert!(rows.lines().count() == 2 && rows.contains("\"gsm8k-") && rows.contains("word-problem"), "{rows}");
}

/// The worked example of docs/mappings.md, as it stands there.
#[test]
fn a_table_of_ones_own_is_asked_like_any_suite() {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/mappings.md")).unwrap();
    let block = |kind: &str| page.split_once(&format!("```{kind}\n")).unwrap().1.split_once("```").unwrap().0.to_owned();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("questions.csv"), block("csv")).unwrap();
    let mapping = folder.path().join("my.toml");
    fs::write(&mapping, block("toml")).unwrap();
    let mapping = mapping.to_str().unwrap();
    let shown = stdout(&["suite", "show", mapping]);
    assert!(shown.contains("left out: 1 row (marked as unused)") && shown.contains("=> bowline | bowline knot"), "{shown}");
    let checked = stdout(&["suite", "check", mapping]);
    assert!(checked.contains("ok    perfect") && !checked.contains("FAIL"), "{checked}");
    let text = stdout(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", mapping]);
    assert!(text.starts_with("seamanship") && text.contains("n=2"), "{text}");
    fs::write(folder.path().join("questions.csv"), block("csv").replace("reef knot,square knot", ",")).unwrap();
    let error = stderr(&["suite", "show", mapping], 2);
    assert!(error.contains("questions.csv:3: `answer` is missing: the cell is empty or null"), "{error}");
}

#[test]
fn multiple_choice_is_asked_with_examples() {
    let folder = tempfile::tempdir().unwrap();
    let header = "question,choice0,choice1,choice2,choice3,answer\n";
    for (split, count) in [("dev", 3), ("test", 8)] {
        let rows: Vec<String> = (0..count).map(|i| format!("{split} question {i}?,one,two,three,four,{}\n", i % 4)).collect();
        fs::create_dir(folder.path().join(split)).unwrap();
        fs::write(folder.path().join(split).join(format!("knots_{split}.csv")), format!("{header}{}", rows.concat())).unwrap();
    }
    let reference = format!("mmlu:{}", folder.path().display());
    let text = stdout(&["suite", "show", &reference, "--shots", "2", "--form", "plain", "--item", "knots-5"]);
    let whole = "The following are multiple choice questions (with answers) about knots.\n\ndev question 0?\nA. one\nB. two\nC. three\nD. four\nAnswer: A\n\n\
                 dev question 1?\nA. one\nB. two\nC. three\nD. four\nAnswer: B\n\ntest question 5?\nA. one\nB. two\nC. three\nD. four\nAnswer:\n=> B. two\n";
    assert!(text.ends_with(whole), "{text}");
    let text = stdout(&["suite", "show", &reference, "--shots", "1", "--item", "knots-5"]);
    assert!(text.contains("Answer with the letter only.\n-> A\n\ntest question 5?"), "{text}");
    assert!(stdout(&["suite", "check", &format!("{reference}#shots=3,form=plain")]).contains("ok    perfect"));

    let codec =
        ballast::model::tokenizer::TextCodec::from_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2")).unwrap();
    for (form, letters) in [("chat", 4), ("plain", 4), ("cloze", 0)] {
        let rows = folder.path().join(format!("{form}.jsonl"));
        let out = rows.to_str().unwrap();
        stdout(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", &reference, "--shots", "2", "--form", form, "--out", out]);
        let rows = fs::read_to_string(rows).unwrap();
        assert_eq!(rows.lines().count(), 8);
        let row: serde_json::Value = serde_json::from_str(rows.lines().next().unwrap()).unwrap();
        let scored = &row["likelihood"];
        let ids = |value: &serde_json::Value| -> Vec<u32> { serde_json::from_value(value.clone()).unwrap() };
        assert_eq!(scored["letters"].as_array().map_or(0, Vec::len), letters, "{form}");
        let continuations = scored["ids"]["continuations"].as_array().unwrap();
        assert_eq!(continuations.len(), 4 + letters);
        let prompt = codec.decode_all(&ids(&scored["ids"]["prompt"])).unwrap();
        assert_eq!(prompt.matches("dev question").count(), 2, "{prompt}");
        assert_eq!(prompt.contains("<|im_start|>"), form == "chat", "{prompt}");
        let gap = if form == "chat" { "" } else { " " };
        assert_eq!(codec.decode_all(&ids(&continuations[0])).unwrap(), format!("{gap}one"));
        assert_eq!(row["extracted"].as_str().map(str::len), Some(1), "the letter of the choice");
    }
    let error = stderr(&["eval", "--model", "fixtures/tiny/qwen2", "--suite", "fact-qa", "--shots", "5"], 2);
    assert!(error.contains("`fact-qa` cannot be asked with shots or form"), "{error}");
    let error = stderr(&["eval", "--model", "fixtures/tiny/qwen2", "--form", "plain"], 2);
    assert!(error.contains("name the suite that --shots and --form are for"), "{error}");
}

#[test]
fn an_experiment_names_a_suite_and_its_place() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("test.jsonl"), GSM8K).unwrap();
    let experiment = format!(
        "name = \"t\"\ntitle = \"t\"\nmodel = \"fixtures/tiny/llama\"\nseeds = [1]\nsystem = \"Be brief.\"\n\
         [identity]\nname = \"R\"\nauthor = \"C\"\n\
         [[suites]]\nname = \"arithmetic\"\npath = \"gsm8k:{}\"\n\
         [[variants]]\nname = \"A\"\ndescription = \"d\"\n\
         [[variants.stages]]\nname = \"identity\"\nsources = [\"ballast:identity-a\"]\nsteps = 1\nlearning_rate = 1e-3\n",
        folder.path().display()
    );
    let parsed = ballast::config::file::Experiment::parse(&experiment, "t.toml").unwrap();
    let planned = ballast::plan::suites(&parsed, &|source| mapping::load(&Reference::parse(source).unwrap()?, &Silent)).unwrap();
    assert_eq!((planned[0].suite.name.as_str(), planned[0].items.len()), ("arithmetic", 1));
}

// ---------------------------------------------------------------------------------------------------------- the hub

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with one data set, `owner/data`; counts what it is asked.
struct FakeHub {
    endpoint: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl FakeHub {
    fn start(files: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&asked);
        let files: BTreeMap<String, String> = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that goes away is no fault of the hub.
                let _ = answer(&stream, &files, &log);
            }
        });
        Self { endpoint, asked }
    }

    fn take_log(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

fn answer(mut stream: &TcpStream, files: &BTreeMap<String, String>, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let request = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut range = String::new();
    for line in lines {
        let line = line?;
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("range: bytes=") {
            value.clone_into(&mut range);
        }
    }
    log.lock().unwrap().push(path.clone());
    let head = |status: &str, length: usize, more: &str| {
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n")
    };
    if path.starts_with("/api/datasets/owner/data/revision/") {
        let siblings: Vec<_> = files.keys().map(|name| serde_json::json!({ "rfilename": name })).collect();
        let body = serde_json::json!({ "sha": COMMIT, "siblings": siblings, "private": false }).to_string();
        return stream.write_all((head("200 OK", body.len(), "") + &body).as_bytes());
    }
    let file = path.strip_prefix(&format!("/datasets/owner/data/resolve/{COMMIT}/")).and_then(|name| files.get(name));
    let Some(text) = file else { return stream.write_all(head("404 No", 0, "").as_bytes()) };
    let (start, end) = range.split_once('-').unwrap_or_default();
    let start: usize = start.parse().unwrap_or(0);
    let end = end.parse().map_or(text.len(), |end: usize| (end + 1).min(text.len()));
    let more = format!(
        "Content-Range: bytes {start}-{}/{}\r\nETag: \"{}\"\r\nX-Repo-Commit: {COMMIT}\r\n",
        end - 1,
        text.len(),
        &sha256(text.as_bytes())[..40]
    );
    let body = &text.as_bytes()[start..end];
    stream.write_all(head("206 Partial Content", body.len(), &more).as_bytes())?;
    stream.write_all(body)
}

fn load(reference: &str, cache: &Path, endpoint: &str) -> anyhow::Result<Suite> {
    let fetcher = || {
        Ok(Fetcher {
            cache: Cache::at(cache)?,
            pip: Pip { python: "/nonexistent/python3".into() },
            hub: Hub { endpoint: endpoint.to_owned(), token: None, attempts: 1 },
        })
    };
    load_with(&Reference::parse(reference).unwrap()?, fetcher, &Silent)
}

#[test]
fn a_benchmark_comes_from_the_hub_once() {
    let boats = "question,A,B,C,D,answer\nWhich floats?,lead,cork,iron,gold,B\n";
    let hub = FakeHub::start(&[
        ("README.md", "not needed"),
        ("../../escape_test.csv", boats),
        ("test/boats_test.csv", boats),
        ("test/knots_test.csv", &boats.replace("floats", "sinks")),
        ("dev/boats_dev.csv", boats),
        ("main/test.jsonl", GSM8K),
    ]);
    let cache = tempfile::tempdir().unwrap();
    let get = |reference: &str| load(reference, cache.path(), &hub.endpoint);
    let suite = get("mmlu:hf:datasets/owner/data/test").unwrap();
    assert_eq!(suite.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["boats-0", "knots-0"]);
    assert!(hub.take_log().iter().all(|path| !path.contains("README") && !path.contains("dev/") && !path.contains("escape")));
    assert!(cache.path().join("hub/datasets--owner--data").is_dir(), "in the hub's own layout");

    // What was fetched once is found without the hub; another part of the repository is asked for.
    assert_eq!(get("mmlu:hf:datasets/owner/data/test").unwrap().digest, suite.digest);
    assert_eq!(hub.take_log(), Vec::<String>::new());
    assert_eq!(get("gsm8k:hf:datasets/owner/data/main/test.jsonl").unwrap().items.len(), 1);
    assert_eq!(get("mmlu:hf:datasets/owner/data/dev").unwrap().items.len(), 1);
    assert!(!hub.take_log().is_empty());
    let offline = load("mmlu:hf:datasets/owner/data/test", cache.path(), "http://127.0.0.1:9").unwrap();
    assert_eq!(offline.items, suite.items);
}

#[test]
fn what_the_hub_lacks_is_said() {
    let hub = FakeHub::start(&[("data.zip", "PK"), ("dev/boats_dev.csv", "q")]);
    let cache = tempfile::tempdir().unwrap();
    let error = |reference: &str, endpoint: &str| format!("{:#}", load(reference, cache.path(), endpoint).unwrap_err());
    let text = error("mmlu:hf:datasets/owner/data", &hub.endpoint);
    assert!(
        text.starts_with("failed to fetch hf:datasets/owner/data") && text.contains("no file of the test split, only of dev"),
        "{text}"
    );
    let text = error("mmlu:hf:datasets/owner/data/all", &hub.endpoint);
    assert!(text.contains("the repository has no file or folder all"), "{text}");
    let text = error("mmlu:hf:datasets/owner/other", &hub.endpoint);
    assert!(text.contains("has no repository hf:datasets/owner/other"), "{text}");
    let text = error("mmlu:hf:datasets/owner/data", "http://127.0.0.1:9");
    assert!(text.contains("cannot be reached") && text.contains("HF_ENDPOINT") && text.contains("by their path instead"), "{text}");
}
