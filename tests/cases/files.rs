//! Pipes, devices, sockets, folders and files without end in place of every file that a user names: one clear error, before
//! anything is read.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::json;

use super::{Case, gguf, tiny};

/// Puts one kind of thing at a path; gives the words that name it.
type Kind = (&'static str, fn(&Path));

const KINDS: [Kind; 5] = [
    ("a pipe", |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success())),
    ("a device", |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
    ("a socket", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
    ("a folder", |path| std::fs::create_dir(path).unwrap()),
    ("is it the right one?", |path| std::fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
];

/// The file that is replaced, and the command that reads it.
type Reader = (&'static str, fn(&Case) -> (PathBuf, Vec<String>));

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn asked(case: &Case, file: &str) -> (PathBuf, Vec<String>) {
    (case.model("qwen2", "model").join(file), words(&["eval", "--model", "model", "--suite", "suite"]))
}

fn adapted(case: &Case, file: &str) -> (PathBuf, Vec<String>) {
    super::adapters::saved(case, "adapter");
    let model = tiny("qwen2").display().to_string();
    (case.path("adapter").join(file), words(&["eval", "--model", &model, "--suite", "suite", "--adapter", "adapter"]))
}

fn imported(case: &Case, file: &str) -> (PathBuf, Vec<String>) {
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/evalscope/reviews/tiny-base/gsm8k_main.jsonl");
    assert_eq!(case.run(&["import", &log.display().to_string(), "--out", "imported"]).code, 0);
    (case.path("imported").join(file), words(&["compare", "imported", "imported"]))
}

/// One line per file that is read.
const READERS: [Reader; 21] = [
    ("config.json", |case| asked(case, "config.json")),
    ("tokenizer.json", |case| asked(case, "tokenizer.json")),
    ("tokenizer_config.json", |case| asked(case, "tokenizer_config.json")),
    ("chat_template.jinja", |case| asked(case, "chat_template.jinja")),
    ("generation_config.json", |case| asked(case, "generation_config.json")),
    ("special_tokens_map.json", |case| asked(case, "special_tokens_map.json")),
    ("model.safetensors", |case| asked(case, "model.safetensors")),
    ("model.gguf", |case| {
        case.put("model.gguf", gguf::converted(&tiny("llama"), "gpt-2").bytes());
        (case.path("model.gguf"), words(&["eval", "--model", "model.gguf", "--suite", "suite"]))
    }),
    ("adapter_config.json", |case| adapted(case, "adapter_config.json")),
    ("adapter_model.safetensors", |case| adapted(case, "adapter_model.safetensors")),
    ("suite.toml", |case| (case.path("suite/suite.toml"), words(&["suite", "check", "suite"]))),
    ("items.jsonl", |case| (case.path("suite/items.jsonl"), words(&["suite", "check", "suite"]))),
    ("rows.jsonl", |case| {
        case.experiment("rows.jsonl", &[]);
        (case.path("rows.jsonl"), words(&["data", "check", "e.toml"]))
    }),
    ("rows.json", |case| {
        case.experiment("rows.json", &[]);
        (case.path("rows.json"), words(&["data", "check", "e.toml"]))
    }),
    ("rows.csv", |case| {
        case.experiment("rows.csv", &[]);
        (case.path("rows.csv"), words(&["data", "check", "e.toml"]))
    }),
    ("e.toml", |case| (case.path("e.toml"), words(&["data", "check", "e.toml"]))),
    ("baseline.jsonl", |case| {
        super::adapters::saved(case, "adapter");
        (case.path("baseline.jsonl"), words(&["gate", "--adapter", "adapter", "--baseline", "baseline.jsonl"]))
    }),
    ("log.json", |case| (case.path("log.json"), words(&["import", "log.json", "--out", "out"]))),
    ("answers.jsonl", |case| (case.path("answers.jsonl"), words(&["compare", "answers.jsonl", "answers.jsonl"]))),
    ("items.jsonl", |case| imported(case, "items.jsonl")),
    ("import.json", |case| imported(case, "import.json")),
];

#[test]
fn only_files_are_read() {
    std::thread::scope(|scope| {
        for (name, reader) in READERS {
            scope.spawn(move || {
                let case = Case::new();
                let (path, command) = reader(&case);
                let command: Vec<&str> = command.iter().map(String::as_str).collect();
                for (word, put) in KINDS {
                    if path.is_dir() {
                        std::fs::remove_dir(&path).unwrap();
                    } else {
                        drop(std::fs::remove_file(&path));
                    }
                    put(&path);
                    let started = Instant::now();
                    let ended = case.run(&command);
                    let expected = match (name, word) {
                        // Known by their first bytes, whatever their length.
                        ("model.gguf", "is it the right one?") => "start with GGUF",
                        ("model.safetensors", "is it the right one?") => "not a safetensors file",
                        // A folder may be meant.
                        ("model.gguf", "a folder") => "lacks config.json",
                        ("answers.jsonl", "a folder") => "neither a run directory",
                        _ => word,
                    };
                    let says = ended.code == 2 && ended.error.contains(name) && ended.error.contains(expected);
                    assert!(says, "{name}, {word}: {} {}", ended.code, ended.error);
                    assert!(started.elapsed() < Duration::from_secs(30), "{name}, {word}: {:?}", started.elapsed());
                }
            });
        }
    });
}

/// Nested deeper than a stack holds.
#[test]
fn nesting_without_end_is_an_error() {
    let case = Case::new();
    let deep = |open: &str, close: &str| open.repeat(200_000) + "1" + &close.repeat(200_000);
    let lists = deep("[", "]");
    let check = |file: &str, content: String, command: &[&str]| {
        case.put(file, content);
        let ended = case.run(command);
        let name = file.rsplit('/').next().unwrap();
        assert!(ended.code == 2 && ended.error.contains(name), "{file}: {} {}", ended.code, ended.error);
    };
    case.model("qwen2", "model");
    let asks = ["eval", "--model", "model", "--suite", "suite"];
    for file in ["config.json", "generation_config.json", "special_tokens_map.json", "tokenizer_config.json", "tokenizer.json"] {
        let kept = std::fs::read(case.path("model").join(file)).ok();
        check(&format!("model/{file}"), format!("{{\"eos_token_id\": {lists}}}"), &asks);
        match kept {
            Some(kept) => drop(case.put(&format!("model/{file}"), kept)),
            None => std::fs::remove_file(case.path("model").join(file)).unwrap(),
        }
    }
    case.experiment("rows.jsonl", &[]);
    check("rows.jsonl", format!("{{\"query\": {lists}, \"response\": \"a\"}}\n"), &["data", "check", "e.toml"]);
    check("log.json", format!("{{\"eval\": {lists}, \"samples\": []}}"), &["import", "log.json", "--out", "out"]);
    check("samples_t.jsonl", format!("{{\"doc_id\": 0, \"resps\": {lists}}}\n"), &["import", "samples_t.jsonl", "--out", "out"]);
    check("e.toml", format!("a = {lists}"), &["data", "check", "e.toml"]);
    check("e.toml", format!("a = {}", deep("{b = ", "}")), &["data", "check", "e.toml"]);
    check("e.toml", format!("[{}b]\n", "a.".repeat(200_000)), &["data", "check", "e.toml"]);
    let items = std::fs::read(case.path("suite/items.jsonl")).unwrap();
    check("suite/items.jsonl", format!("{{\"id\": {lists}}}\n"), &["suite", "check", "suite"]);
    case.put("suite/items.jsonl", items);
    super::adapters::saved(&case, "adapter");
    let model = tiny("qwen2").display().to_string();
    let adapted = ["eval", "--model", &model, "--suite", "suite", "--adapter", "adapter"];
    let config = |targets: &str| json!({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "target_modules": targets}).to_string();
    check("adapter/adapter_config.json", config(&deep("(", ")")[..].replacen('1', "q_proj", 1)), &adapted);
    check("adapter/adapter_config.json", config(&deep("(", ")")[150_000..250_000]), &adapted);
    check("adapter/adapter_config.json", config(&("(".repeat(4000) + &")".repeat(4000))), &adapted);
    check("adapter/adapter_config.json", config(&("a{9}".repeat(2000))), &adapted);
}
