//! Served models: an endpoint on this machine that answers well, late, not at all or nonsense, and keys that stay secret.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

#[path = "../common/mod.rs"]
mod common;
mod same;
mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use assert_cmd::Command;
use ballast::eval::score::Verdict;
use ballast::record::evidence::Evidence;
use ballast::record::rows::ItemRow;
use serde_json::json;
use tempfile::TempDir;

use server::{Play, Request, Server};

/// What the tests hold for a secret. It stands in no answer.
const SECRET: &str = "sk-test-4f9a0c27e1";

const FACTS: &str = "name = \"facts\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 6\nchance = 0.0\ndescription = \"d\"\n";
const FACT_ITEMS: &str = r#"{"id":"f1","cluster":"f1","lang":"en","subject":"s","prompt":"What is the capital of France?","answers":["Paris"]}
{"id":"f2","cluster":"f2","lang":"en","subject":"s","prompt":"What is the capital of Italy?","answers":["Rome"]}
{"id":"f3","cluster":"f3","lang":"en","subject":"s","prompt":"What is the capital of Spain?","answers":["Madrid"]}
{"id":"f4","cluster":"f4","lang":"en","subject":"s","prompt":"What is the capital of Egypt?","answers":["Cairo"]}
"#;
const TALKS: &str = "name = \"talks\"\nversion = 1\ngrader = \"identity\"\nmax_new_tokens = 6\nchance = 0.0\ndescription = \"d\"\n";
const TALK_ITEMS: &str = r#"{"id":"pair","cluster":"pair","lang":"en","subject":"maker","asked":"apart","forbid":[],"parts":[{"prompt":"Did {{AUTHOR}} make you?","require":[["yes"]]},{"prompt":"Did someone else make you?","require":[["no"]]}]}
{"id":"talk","cluster":"talk","lang":"en","subject":"talk","system":{"text":"You are {{NAME}}."},"asked":"in-turn","forbid":[],"parts":[{"prompt":"Say something.","graded":false,"require":[["x"]]},{"prompt":"Who are you?","require":[["{{NAME}}"]]}]}
"#;
const CHOICES: &str =
    "name = \"choices\"\nversion = 1\ngrader = \"choice\"\nmax_new_tokens = 4\npermute = true\nchance = 0.5\ndescription = \"d\"\n";
const CHOICE_ITEMS: &str =
    r#"{"id":"c1","cluster":"c1","lang":"en","subject":"s","prompt":"Which floats?","choices":["cork","lead"],"gold":0}"#;
const MMLU: &str =
    "Which of these floats?,lead,cork,iron,gold,B\nWhich is a knot?,oak,elm,bowline,ash,C\nWhich sails?,ship,rock,tree,hill,A\n";

struct Suites(TempDir);

impl Suites {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, settings, items) in [("facts", FACTS, FACT_ITEMS), ("talks", TALKS, TALK_ITEMS), ("choices", CHOICES, CHOICE_ITEMS)] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("suite.toml"), settings).unwrap();
            fs::write(folder.path().join(name).join("items.jsonl"), items).unwrap();
        }
        fs::create_dir_all(folder.path().join("mmlu/test")).unwrap();
        fs::create_dir_all(folder.path().join("mmlu/dev")).unwrap();
        fs::write(folder.path().join("mmlu/test/boats_test.csv"), MMLU).unwrap();
        fs::write(folder.path().join("mmlu/dev/boats_dev.csv"), MMLU.replace("Which", "What")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn suite(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    fn mmlu(&self) -> String {
        format!("mmlu:{}", self.suite("mmlu"))
    }
}

fn ballast(arguments: &[&str]) -> Command {
    let mut command = Command::cargo_bin("ballast").unwrap();
    command.args(arguments).env_remove("HTTP_PROXY").env_remove("http_proxy").timeout(Duration::from_mins(5));
    command
}

fn eval(server: &Server, more: &[&str]) -> Output {
    let mut arguments = vec!["eval", "--endpoint", &server.url, "--served-model", "m"];
    arguments.extend(more);
    ballast(&arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The error of a command that failed as bad input fails.
fn error(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    text(&output.stderr)
}

fn rows(path: &Path) -> Vec<ItemRow> {
    fs::read_to_string(path).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn row<'a>(rows: &'a [ItemRow], item: &str) -> &'a ItemRow {
    rows.iter().find(|row| row.item == item).unwrap()
}

/// Knows two capitals, who made it and who it is.
fn answer(request: &Request) -> Play {
    if request.path != "/v1/chat/completions" {
        return Play::Answer(404, "", r#"{"error": {"message": "no such path"}}"#.to_owned());
    }
    let question = request.question();
    let said = match question {
        q if q.contains("France") => "Paris.",
        q if q.contains("Italy") => "It is Rome.",
        q if q.contains("Spain") => "Lisbon.",
        "Did Blue Harbor Lab make you?" => "Yes.",
        "Did someone else make you?" => "No.",
        "Say something." => "Something.",
        "Who are you?" => "I am Skiff.",
        q if q.contains("A. cork") => "A",
        q if q.contains("B. cork") => "B",
        _ => "I do not",
    };
    let reason = if said == "I do not" { "length" } else { "stop" };
    Play::json(&json!({
        "choices": [{"message": {"role": "assistant", "content": said}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 11, "completion_tokens": 3}
    }))
}

#[test]
fn answers_become_rows_with_where_they_came_from() {
    let (suites, server) = (Suites::new(), Server::start(answer));
    let out = suites.path("rows.jsonl");
    let output = eval(
        &server,
        &[
            "--name",
            "Skiff",
            "--author",
            "Blue Harbor Lab",
            "--system",
            "Be brief.",
            "--suite",
            &suites.suite("facts"),
            "--suite",
            &suites.suite("talks"),
            "--suite",
            &suites.suite("choices"),
            "--out",
            out.to_str().unwrap(),
        ],
    );
    assert!(output.status.success(), "{output:?}");
    let shown = text(&output.stdout);
    assert!(shown.contains("prompts: not compared with any base's") && shown.contains("facts") && shown.contains("n=4"), "{shown}");

    let rows = rows(&out);
    assert_eq!(rows.len(), 7);
    let verdict = |item: &str| row(&rows, item).verdict;
    assert_eq!(["f1", "f2", "f3", "f4"].map(verdict), [Verdict::Correct, Verdict::Correct, Verdict::Wrong, Verdict::Truncated]);
    assert_eq!(["pair", "talk", "c1"].map(verdict), [Verdict::Correct; 3]);
    assert_eq!(row(&rows, "c1").parts.iter().map(|part| part.answer.as_str()).collect::<Vec<_>>(), ["A", "B"]);
    assert_eq!((row(&rows, "f1").prompt_tokens, row(&rows, "f1").answer_tokens, row(&rows, "talk").prompt_tokens), (11, 3, 22));
    assert!(rows.iter().all(|row| row.prompt_digest.is_empty() && row.likelihood.is_none()));

    let asked = server.take("/v1/chat/completions");
    assert_eq!(asked.len(), 4 + 4 + 2);
    for request in &asked {
        let body = &request.body;
        assert_eq!((&body["model"], &body["temperature"], &body["stream"]), (&json!("m"), &json!(0), &json!(false)));
        assert_eq!(request.authorization, None);
    }
    assert!(asked.iter().any(|request| request.body["max_tokens"] == 6 && request.body["messages"][0]["content"] == "Be brief."));
    // The second turn is asked after the first and its answer.
    let second = asked.iter().find(|request| request.question() == "Who are you?").unwrap();
    let said: Vec<&str> = second.body["messages"].as_array().unwrap().iter().map(|message| message["content"].as_str().unwrap()).collect();
    assert_eq!(said, ["You are Skiff.", "Say something.", "Something.", "Who are you?"]);

    let evidence: Evidence = serde_json::from_str(&fs::read_to_string(suites.path("rows.jsonl.evidence.json")).unwrap()).unwrap();
    let served = evidence.served.unwrap();
    assert_eq!((served.endpoint, served.model, served.settings), (server.url.clone(), "m".to_owned(), "temperature 0, seed 0".to_owned()));
    assert!(served.determinism.contains("the server's own"));
    assert!(evidence.weights.contains("not known"));
}

#[test]
fn a_key_is_sent_in_one_header_and_shown_nowhere() {
    let suites = Suites::new();
    // A server that repeats the key wherever it can.
    let server = Server::start(|request| {
        let key = request.authorization.clone().unwrap_or_default();
        match request.question() {
            q if q.contains("Spain") => Play::Answer(400, "", json!({"error": {"message": format!("I got {key}")}}).to_string()),
            q if q.contains("Egypt") => Play::Answer(503, "", format!("<html>busy with {key}</html>")),
            _ => Play::says(&key),
        }
    });
    for items in ["1", "4"] {
        let facts = suites.suite("facts");
        let arguments = [
            "eval",
            "--endpoint",
            &server.url,
            "--served-model",
            "m",
            "--api-key-env",
            "TEST_KEY",
            "--suite",
            &facts,
            "--items",
            items,
            "--retries",
            "0",
            "--concurrency",
            "1",
            "--out",
        ];
        let file = suites.path(&format!("{items}.jsonl"));
        let output = ballast(&arguments).arg(&file).env("TEST_KEY", SECRET).env("RUST_LOG", "trace").output().unwrap();
        let shown = text(&output.stdout) + &text(&output.stderr);
        assert!(!shown.contains(SECRET), "{shown}");
        assert_eq!(output.status.success(), items == "1" && !shown.contains("error"), "{shown}");
    }
    let asked = server.take("/v1/chat/completions");
    assert!(asked.len() >= 2 && asked.iter().all(|request| request.authorization.as_deref() == Some(&format!("Bearer {SECRET}"))));
    assert!(asked.iter().all(|request| !request.body.to_string().contains(SECRET)));
    let mut files = 0;
    for entry in fs::read_dir(suites.0.path()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file()) {
        files += 1;
        assert!(!fs::read_to_string(&entry).unwrap().contains(SECRET), "{}", entry.display());
    }
    assert!(files >= 3, "rows and evidence were written");
}

#[test]
fn a_key_goes_nowhere_but_where_it_belongs() {
    let suites = Suites::new();
    let facts = suites.suite("facts");
    let elsewhere = Server::start(|_| Play::says("stolen"));
    let to = format!("Location: {}/chat/completions\r\n", elsewhere.url);
    let to: &'static str = Box::leak(to.into_boxed_str());
    let server = Server::start(move |_| Play::Answer(307, to, String::new()));
    let arguments = ["eval", "--endpoint", &server.url, "--served-model", "m", "--api-key-env", "TEST_KEY", "--suite", &facts];
    let output = ballast(&arguments).env("TEST_KEY", SECRET).output().unwrap();
    assert!(error(&output).contains("a redirect (status 307), which is not followed"), "{output:?}");
    assert_eq!(elsewhere.take("/v1/chat/completions").len(), 0);

    let refused = |endpoint: &str, variable: &str, value: Option<&str>, says: &str| {
        let mut command = ballast(&["eval", "--endpoint", endpoint, "--served-model", "m", "--suite", &facts, "--api-key-env", variable]);
        command.env_remove("TEST_KEY");
        if let Some(value) = value {
            command.env("TEST_KEY", value);
        }
        let said = error(&command.output().unwrap());
        assert!(said.contains(says) && !said.contains("sk-"), "{said}");
    };
    refused("http://example.com/v1", "TEST_KEY", Some(SECRET), "plain http on another machine");
    refused("http://127.0.0.1:9/v1", "TEST_KEY", None, "there is no environment variable TEST_KEY");
    refused("http://127.0.0.1:9/v1", "TEST_KEY", Some("sk-a\nb"), "no header can carry");
    refused("https://me:sk-pass@example.com/v1", "TEST_KEY", Some(SECRET), "holds a user name or password");
}

#[test]
fn busy_and_broken_servers_are_asked_again_and_a_no_is_a_no() {
    let suites = Suites::new();
    let facts = suites.suite("facts");
    let count = AtomicUsize::new(0);
    let server = Server::start(move |request| match count.fetch_add(1, Ordering::SeqCst) {
        0 => Play::Answer(404, "", "{}".to_owned()),
        1 => Play::Answer(429, "Retry-After: 0\r\n", r#"{"error": {"message": "slow down"}}"#.to_owned()),
        2 => Play::Answer(500, "Retry-After: 0\r\n", "oops".to_owned()),
        3 => Play::HangUp,
        4 => Play::CutOff,
        _ => answer(request),
    });
    let output = eval(&server, &["--suite", &facts, "--concurrency", "1"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(server.take("/v1/chat/completions").len(), 4 + 4, "four items, four tries that failed");

    for (status, says) in [(401, "--api-key-env"), (400, "context is full"), (404, "--served-model")] {
        let server = Server::start(move |request| match request.path.as_str() {
            "/v1/models" => answer(request),
            _ => Play::Answer(status, "", r#"{"error": {"message": "the context is full"}}"#.to_owned()),
        });
        let said = error(&eval(&server, &["--suite", &facts, "--concurrency", "1"]));
        assert!(said.contains(says) && said.contains(&format!("status {status}")) && said.contains("item f"), "{said}");
        assert_eq!(server.take("/v1/chat/completions").len(), 1, "it is not asked again");
    }
    // A server that wants to be left alone for an hour is.
    let server = Server::start(|_| Play::Answer(429, "Retry-After: 3600\r\n", "quota".to_owned()));
    let said = error(&eval(&server, &["--suite", &facts, "--concurrency", "1"]));
    assert!(said.contains("asks to be left alone for 3600 s"), "{said}");
}

#[test]
fn nonsense_is_bounded_and_named() {
    let suites = Suites::new();
    let facts = suites.suite("facts");
    let said = |play: fn() -> Play, more: &[&str]| {
        let server = Server::start(move |request| if request.path == "/v1/models" { answer(request) } else { play() });
        let mut arguments = vec!["--suite", facts.as_str(), "--concurrency", "1", "--retries", "1"];
        arguments.extend(more);
        error(&eval(&server, &arguments))
    };
    let html = said(|| Play::Answer(200, "", "<html>welcome</html>".to_owned()), &[]);
    assert!(html.contains("not JSON: <html>welcome</html>") && html.contains("/v1?"), "{html}");
    assert!(said(|| Play::Flood, &[]).contains("more than 16 MiB"));
    for play in [|| Play::Drip, || Play::Silence] {
        let late = said(play, &["--timeout", "0.3"]);
        assert!(late.contains("asked 2 times") && late.contains("no whole reply within 0.3 s"), "{late}");
    }
    let cut = said(|| Play::CutOff, &[]);
    assert!(cut.contains("asked 2 times"), "{cut}");
    assert!(said(|| Play::json(&json!({"choices": []})), &[]).contains("without choices"));
    assert!(said(|| Play::json(&json!({"error": {"message": "no memory left"}})), &[]).contains("no memory left"));
    let odd = said(|| Play::json(&json!({"choices": [{"message": {"content": "x"}, "finish_reason": "abort"}]})), &[]);
    assert!(odd.contains("finish_reason `abort`"), "{odd}");
    // Nobody there.
    let said = error(&ballast(&["eval", "--endpoint", "http://127.0.0.1:9/v1", "--suite", &facts, "--retries", "0"]).output().unwrap());
    assert!(said.contains("the endpoint cannot be asked") && said.contains("127.0.0.1:9"), "{said}");
}

#[test]
fn what_was_answered_before_an_endpoint_died_is_kept() {
    let suites = Suites::new();
    let (facts, out) = (suites.suite("facts"), suites.path("rows.jsonl"));
    let arguments = |url: &str| {
        let mut command =
            ballast(&["eval", "--endpoint", url, "--served-model", "m", "--suite", &facts, "--concurrency", "1", "--retries", "1"]);
        command.arg("--out").arg(&out);
        command
    };
    let left = AtomicUsize::new(3);
    let dying = Server::start(move |request| {
        let chat = request.path == "/v1/chat/completions";
        let alive = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(usize::from(chat))).is_ok();
        if alive { answer(request) } else { Play::HangUp }
    });
    let said = error(&arguments(&dying.url).output().unwrap());
    assert!(
        said.contains("its answers so far are in") && said.contains("the same command goes on") && said.contains("asked 2 times"),
        "{said}"
    );
    assert_eq!(said.lines().filter(|line| line.starts_with("error:")).count(), 1);
    let kept = fs::read_to_string(&out).unwrap();
    assert_eq!(kept.lines().count(), 3);
    drop(dying);

    // It is back, at another port; only what is missing is asked.
    let server = Server::start(answer);
    assert!(arguments(&server.url).output().unwrap().status.success());
    assert_eq!(server.take("/v1/chat/completions").len(), 1);
    let whole = fs::read_to_string(&out).unwrap();
    assert!(whole.starts_with(&kept) && whole.lines().count() == 4);
    // Another model's answers do not go into the same file.
    let other = ballast(&["eval", "--endpoint", &server.url, "--served-model", "other", "--suite", &facts, "--out", out.to_str().unwrap()]);
    let said = error(&{ other }.output().unwrap());
    assert!(said.contains("already holds rows that this command cannot continue"), "{said}");
}

#[test]
fn requests_are_spaced() {
    let (suites, server) = (Suites::new(), Server::start(answer));
    let output = eval(&server, &["--suite", &suites.suite("facts"), "--requests-per-minute", "300", "--concurrency", "4"]);
    assert!(output.status.success(), "{output:?}");
    let mut times: Vec<_> = server.take("/v1/chat/completions").iter().map(|request| request.at).collect();
    times.sort();
    // Four requests at 200 ms each; a busy machine only makes it longer.
    assert!(*times.last().unwrap() - times[0] >= Duration::from_millis(500));
}

#[test]
fn the_only_model_need_not_be_named() {
    let suites = Suites::new();
    let facts = suites.suite("facts");
    let list = |names: &'static [&'static str]| {
        Server::start(move |request| {
            let models: Vec<_> = names.iter().map(|name| json!({"id": name, "owned_by": "llamacpp"})).collect();
            if request.path == "/v1/models" { Play::json(&json!({"data": models})) } else { answer(request) }
        })
    };
    let run = |server: &Server| ballast(&["eval", "--endpoint", &server.url, "--suite", &facts]).output().unwrap();
    let one = list(&["tuned"]);
    assert!(run(&one).status.success());
    let asked = one.take("/v1/chat/completions");
    assert!(asked.iter().all(|request| request.body["model"] == "tuned" && request.body["repeat_penalty"] == 1.0));
    let said = error(&run(&list(&["base", "tuned"])));
    assert!(said.contains("serves 2 models") && said.contains("base, tuned"), "{said}");
    assert!(error(&run(&list(&[]))).contains("--served-model"));
}

#[test]
fn suites_that_need_log_probabilities_are_refused_by_name_before_any_item() {
    let (suites, server) = (Suites::new(), Server::start(answer));
    let (facts, mmlu) = (suites.suite("facts"), suites.mmlu());
    let out = suites.path("rows.jsonl");
    let said = error(&eval(&server, &["--suite", &facts, "--suite", &mmlu, "--out", out.to_str().unwrap()]));
    assert!(said.contains("suite mmlu cannot be asked of") && said.contains("gives none") && said.contains("Leave them out"), "{said}");
    assert!(server.take("/v1/chat/completions").iter().all(|request| request.body["max_tokens"] == 1), "no item was asked");
    assert!(!out.exists());
}

#[test]
fn letters_are_chosen_by_the_first_token_where_nothing_is_echoed() {
    let suites = Suites::new();
    let server = Server::start(|request| {
        if request.path != "/v1/chat/completions" {
            return answer(request);
        }
        let first = if request.question().contains("sails") {
            json!([{"token": "The", "logprob": -0.1}, {"token": "This", "logprob": -3.0}])
        } else {
            json!([{"token": "The", "logprob": -0.5}, {"token": "B", "logprob": -1.5}, {"token": "A", "logprob": -2.5}])
        };
        Play::json(&json!({
            "choices": [{"message": {"content": "The"}, "finish_reason": "length", "logprobs": {"content": [{"token": "The", "top_logprobs": first}]}}]
        }))
    });
    let out = suites.path("rows.jsonl");
    let output = eval(&server, &["--suite", &suites.mmlu(), "--out", out.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    let rows = rows(&out);
    let verdict = |item: &str| row(&rows, item).verdict;
    assert_eq!(["boats-0", "boats-1", "boats-2"].map(verdict), [Verdict::Correct, Verdict::Wrong, Verdict::Unparsed]);
    let detail = row(&rows, "boats-0").detail.clone().unwrap();
    assert_eq!(detail, "log-probabilities of the first token: A -2.5000, B -1.5000, C not listed, D not listed");
    // A text to continue is another matter.
    let said = error(&eval(&server, &["--suite", &suites.mmlu(), "--form", "cloze", "--shots", "1"]));
    assert!(said.contains("suite mmlu") && said.contains("texts to continue"), "{said}");
}
