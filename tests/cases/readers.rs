//! Every reader, fed a key that nobody knows: refused by name, with the file, the key and what to do.

use std::path::Path;

use serde_json::{Map, Value, json};

use super::gguf::{Value as Header, converted};
use super::{Case, Ended, adapters, edit, tiny};

const KEY: &str = "novel_key";

/// What is read, words that the error has beside the key (the file, the remedy), and the command on a file with the key in it.
type Reader = (&'static str, [&'static str; 2], fn(&Case) -> Ended);

/// The object at a place in a JSON value, as JSON pointers name it.
fn add(value: &mut Value, place: &str) {
    value.pointer_mut(place).unwrap_or_else(|| panic!("{place}"))[KEY] = json!(1);
}

/// Asks a tiny model with the key in one of its files.
fn model(case: &Case, file: &str, place: &str, change: fn(&mut Value)) -> Ended {
    let folder = case.model("qwen2", "model");
    let path = folder.join(file);
    if !path.exists() {
        std::fs::write(&path, "{}").unwrap();
    }
    edit(&path, |value| {
        change(value);
        add(value, place);
    });
    case.asked_of(&folder, "suite", &[]).0
}

fn header(case: &Case, key: &str) -> Ended {
    let mut file = converted(&tiny("llama"), "gpt-2");
    file.set(key, Header::U32(1));
    case.asked_of(&case.put("model.gguf", file.bytes()), "suite", &[]).0
}

fn rows(case: &Case, name: &str, content: &str) -> Ended {
    case.put(name, content);
    case.experiment(name, &[]);
    case.run(&["data", "check", "e.toml"])
}

fn row(case: &Case, row: Value, place: &str) -> Ended {
    let mut row = row;
    add(&mut row, place);
    rows(case, "rows.jsonl", &format!("{row}\n"))
}

fn experiment(case: &Case, after: &str) -> Ended {
    case.put("rows.jsonl", "{\"query\": \"a b\", \"response\": \"c d\"}\n");
    case.experiment("rows.jsonl", &[(after, &format!("{after}\n{KEY} = 1"))]);
    case.run(&["data", "check", "e.toml"])
}

/// A mapping over a table of one question, with a key more after a line of it.
fn mapping(case: &Case, after: &str) -> Ended {
    let text = "name = \"knots\"\ndescription = \"Knots.\"\ngrader = \"text\"\nmax_new_tokens = 8\nlanguage = \"en\"\n\
                prompt = \"{question}\"\n[source]\nfiles = [\"questions.csv\"]\n[answers]\ncolumns = \"answer\"\n\
                [[filter]]\ncolumn = \"use\"\nis_not = [\"no\"]\nwhy = \"unused\"\n";
    assert!(text.contains(after));
    case.put("questions.csv", "question,answer,use\nWhich knot makes a loop?,bowline,yes\n");
    case.put("knots.toml", text.replacen(after, &format!("{after}\n{KEY} = 1"), 1));
    case.run(&["suite", "check", "knots.toml"])
}

/// A table that the experiment does not have.
fn table(case: &Case, table: &str) -> Ended {
    case.put("rows.jsonl", "{\"query\": \"a b\", \"response\": \"c d\"}\n");
    case.experiment("rows.jsonl", &[("window = 2", &format!("window = 2\n{table}\n{KEY} = 1"))]);
    case.run(&["data", "check", "e.toml"])
}

fn log(case: &Case, file: &str, place: &str) -> Ended {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = if file.ends_with(".json") {
        // Python writes numbers that JSON does not have.
        let mut value: Value = serde_json::from_str(&text.replace("NaN", "null")).unwrap();
        add(&mut value, place);
        value.to_string()
    } else {
        let mut value: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        add(&mut value, place);
        format!("{value}\n")
    };
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    case.put(&name, changed);
    case.run(&["import", &name, "--out", "out"])
}

fn baseline(case: &Case, place: &str) -> Ended {
    let mut header = json!({"kind": "ballast-baseline", "schema": 2, "evidence": {"ballast": "0.1.0", "commit": null, "numbers": "f32", "model": "m",
        "weights": "w", "adapter": null, "tokenizer": "t", "template": "c", "system": "s", "identity": {"name_zh": "a", "name_en": "a", "author_zh": "b",
        "author_en": "b"}, "decoding": "greedy", "sandbox": [], "suites": {"s": {"digest": "d", "items": 5, "asked": "a", "prompts": "p", "max_new_tokens": 4}}},
        "suites": [{"name": "s", "source": "s", "role": "general", "items": 0, "chance": 0.25, "margin_points": 5.0, "form_points": null, "floor_percent": null}],
        "leak_points": 2.0, "drift": {"nats": 2.0, "agreement_percent": 50.0}, "loosened": [{"changes": ["x"], "reason": "y"}], "digest": ""});
    add(&mut header, place);
    case.put("baseline.jsonl", format!("{header}\n"));
    adapters::saved(case, "adapter");
    case.run(&["gate", "--adapter", "adapter", "--baseline", "baseline.jsonl"])
}

fn imported(case: &Case, file: &str, place: &str) -> Ended {
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/evalscope/reviews/tiny-base/gsm8k_main.jsonl");
    assert_eq!(case.run(&["import", &log.display().to_string(), "--out", "imported"]).code, 0);
    let path = case.path("imported").join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let (first, rest) = if file.ends_with(".jsonl") { text.split_once('\n').unwrap() } else { (text.as_str(), "") };
    let mut value: Value = serde_json::from_str(first).unwrap();
    add(&mut value, place);
    std::fs::write(&path, format!("{value}\n{rest}")).unwrap();
    case.run(&["compare", "imported", "imported"])
}

fn evidence(case: &Case, place: &str) -> Ended {
    assert_eq!(case.asked_of(&tiny("qwen2"), "suite", &[]).0.code, 0);
    edit(&case.path("out.jsonl.evidence.json"), |value| add(value, place));
    case.run(&["compare", "out.jsonl", "out.jsonl"])
}

const GPT: [&str; 2] = ["rows.jsonl", "remove it, or rename it"];
const OURS: [&str; 2] = ["e.toml", "expected"];
const FOLDER: [&str; 2] = ["GGUF header", "folder"];
const HARNESS: &str = "version of the harness";
const SAVE: &str = "save the tokenizer again with transformers";

/// One line per reader.
const READERS: [Reader; 58] = [
    ("configuration", ["config.json", "remove it"], |case| model(case, "config.json", "", |_| ())),
    ("rotary scaling", ["config.json", "rope"], |case| {
        model(case, "config.json", "/rope_scaling", |file| file["rope_scaling"] = json!({"rope_type": "linear", "factor": 2.0}))
    }),
    ("rotary parameters", ["config.json", "rope"], |case| {
        model(case, "config.json", "/rope_parameters", |file| file["rope_parameters"] = json!({"rope_type": "default", "rope_theta": 1e6}))
    }),
    ("generation settings", ["generation_config.json", "remove it if answers"], |case| model(case, "generation_config.json", "", |_| ())),
    ("special tokens", ["special_tokens_map.json", "remove it if prompts"], |case| model(case, "special_tokens_map.json", "", |_| ())),
    ("tokenizer settings", ["tokenizer_config.json", "remove it if prompts"], |case| model(case, "tokenizer_config.json", "", |_| ())),
    ("template list", ["tokenizer_config.json", "a name and a template"], |case| {
        model(case, "tokenizer_config.json", "/chat_template/0", |file| {
            file["chat_template"] = json!([{"name": "default", "template": file["chat_template"]}]);
        })
    }),
    ("tokenizer", ["tokenizer.json", SAVE], |case| model(case, "tokenizer.json", "", |_| ())),
    ("tokenizer model", ["tokenizer.json", SAVE], |case| model(case, "tokenizer.json", "/model", |_| ())),
    ("added token", ["tokenizer.json", SAVE], |case| model(case, "tokenizer.json", "/added_tokens/0", |_| ())),
    ("pre-tokenizer", ["tokenizer.json", SAVE], |case| model(case, "tokenizer.json", "/pre_tokenizer", |_| ())),
    ("normalizer", ["tokenizer.json", SAVE], |case| {
        model(case, "tokenizer.json", "/normalizer", |file| file["normalizer"] = json!({"type": "NFC"}))
    }),
    ("decoder", ["tokenizer.json", SAVE], |case| model(case, "tokenizer.json", "/decoder", |_| ())),
    ("post-processor", ["tokenizer.json", SAVE], |case| model(case, "tokenizer.json", "/post_processor", |_| ())),
    ("index of shards", ["model.safetensors.index.json", "save the model again"], |case| {
        let folder = case.model("qwen2", "model");
        std::fs::rename(folder.join("model.safetensors"), folder.join("model-00001-of-00001.safetensors")).unwrap();
        let index = json!({"weight_map": {"model.norm.weight": "model-00001-of-00001.safetensors"}, KEY: 1});
        std::fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
        case.asked_of(&folder, "suite", &[]).0
    }),
    ("adapter", ["adapter_config.json", "merge_and_unload"], |case| {
        edit(&adapters::saved(case, "adapter").join("adapter_config.json"), |file| add(file, ""));
        case.asked_of(&tiny("qwen2"), "suite", &["--adapter", "adapter"]).0
    }),
    ("GGUF architecture", FOLDER, |case| header(case, "llama.novel_key")),
    ("GGUF tokenizer", FOLDER, |case| header(case, "tokenizer.ggml.novel_key")),
    ("GGUF general", FOLDER, |case| header(case, "general.novel_key")),
    ("GGUF others", FOLDER, |case| header(case, "novel_key.x")),
    ("rows: instruction", ["rows.json", GPT[1]], |case| {
        rows(case, "rows.json", &json!([{"instruction": "a", "input": "", "output": "b", KEY: 1}]).to_string())
    }),
    ("rows: history", ["rows.json", GPT[1]], |case| {
        rows(case, "rows.json", &json!([{"instruction": "a", "input": "", "output": "b", "history": [["c", "d"]], KEY: 1}]).to_string())
    }),
    ("rows: query", GPT, |case| row(case, json!({"query": "a", "response": "b"}), "")),
    ("rows: messages", GPT, |case| {
        row(case, json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}), "")
    }),
    ("rows: message", GPT, |case| {
        row(case, json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}), "/messages/1")
    }),
    ("rows: turns", GPT, |case| row(case, json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}), "")),
    ("rows: turn", GPT, |case| {
        row(case, json!({"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}), "/conversations/0")
    }),
    ("rows: pair", GPT, |case| row(case, json!({"conversation": [{"human": "a", "assistant": "b"}]}), "/conversation/0")),
    ("rows: column", ["rows.csv", GPT[1]], |case| rows(case, "rows.csv", "query,response,novel_key\na,b,c\n")),
    ("experiment", OURS, |case| experiment(case, "seeds = [1]")),
    ("experiment: identity", OURS, |case| experiment(case, "author = \"Acme\"")),
    ("experiment: training", OURS, |case| experiment(case, "window = 2")),
    ("experiment: drift", OURS, |case| experiment(case, "prompts = 1")),
    ("experiment: suite", OURS, |case| experiment(case, "name = \"s\"")),
    ("experiment: variant", OURS, |case| experiment(case, "description = \"a\"")),
    ("experiment: stage", OURS, |case| experiment(case, "steps = 2")),
    ("experiment: probe", OURS, |case| table(case, "[probe]")),
    ("experiment: lora", OURS, |case| table(case, "[lora]\nrank = 4\nalpha = 8\ndropout = 0\ntargets = [\"q\"]")),
    ("experiment: optimizer", OURS, |case| table(case, "[training.optimizer]")),
    ("suite", ["suite.toml", "expected"], |case| {
        let text = std::fs::read_to_string(case.path("suite/suite.toml")).unwrap();
        case.put("suite/suite.toml", format!("{text}{KEY} = 1\n"));
        case.run(&["suite", "check", "suite"])
    }),
    ("item", ["items.jsonl:1", "expected"], |case| {
        let text = std::fs::read_to_string(case.path("suite/items.jsonl")).unwrap();
        case.put("suite/items.jsonl", text.replacen('{', "{\"novel_key\": 1, ", 1));
        case.run(&["suite", "check", "suite"])
    }),
    ("mapping", ["knots.toml", "expected"], |case| mapping(case, "language = \"en\"")),
    ("mapping: source", ["knots.toml", "expected"], |case| mapping(case, "[source]")),
    ("mapping: answers", ["knots.toml", "expected"], |case| mapping(case, "[answers]")),
    ("mapping: filter", ["knots.toml", "expected"], |case| mapping(case, "[[filter]]")),
    ("lm-eval", ["samples_arc_easy", "metrics"], |case| {
        log(case, "lm-eval/tiny-base/samples_arc_easy_2026-01-31T10-20-30.123456.jsonl", "")
    }),
    ("evalscope", ["gsm8k_main.jsonl", HARNESS], |case| log(case, "evalscope/reviews/tiny-base/gsm8k_main.jsonl", "")),
    ("evalscope: sample", ["gsm8k_main.jsonl", HARNESS], |case| log(case, "evalscope/reviews/tiny-base/gsm8k_main.jsonl", "/sample_score")),
    ("evalscope: score", ["gsm8k_main.jsonl", HARNESS], |case| {
        log(case, "evalscope/reviews/tiny-base/gsm8k_main.jsonl", "/sample_score/score")
    }),
    ("Inspect", ["arithmetic_abc.json", HARNESS], |case| log(case, "inspect/2026-01-31T10-20-30_arithmetic_abc.json", "")),
    ("Inspect: sample", ["arithmetic_abc.json", HARNESS], |case| {
        log(case, "inspect/2026-01-31T10-20-30_arithmetic_abc.json", "/samples/0")
    }),
    ("Inspect: score", ["arithmetic_abc.json", HARNESS], |case| {
        log(case, "inspect/2026-01-31T10-20-30_arithmetic_abc.json", "/samples/0/scores/match")
    }),
    ("baseline", ["baseline.jsonl", "ballast bless"], |case| baseline(case, "")),
    ("baseline: suite", ["baseline.jsonl", "ballast bless"], |case| baseline(case, "/suites/0")),
    ("baseline: evidence", ["baseline.jsonl", "ballast bless"], |case| baseline(case, "/evidence")),
    ("import", ["import.json", "expected"], |case| imported(case, "import.json", "")),
    ("answers", ["items.jsonl line 1", "expected"], |case| imported(case, "items.jsonl", "")),
    ("evidence", ["out.jsonl.evidence.json", "expected"], |case| evidence(case, "")),
];

#[test]
fn a_key_that_nobody_knows_is_refused_by_every_reader() {
    let faults = std::sync::Mutex::new(Vec::new());
    let next = std::sync::atomic::AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some((what, words, read)) = READERS.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                    let ended = read(&Case::new());
                    let named = [KEY, words[0], words[1]].iter().all(|word| ended.error.contains(word));
                    if ended.code != 2 || !named {
                        faults.lock().unwrap().push(format!("{what}: {} {}", ended.code, ended.error));
                    }
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// A key that others write and that says nothing passes.
#[test]
fn a_null_is_no_key() {
    let case = Case::new();
    let folder = case.model("qwen2", "model");
    for file in ["config.json", "tokenizer_config.json", "generation_config.json"] {
        let path = folder.join(file);
        let mut value: Map<String, Value> = serde_json::from_str(&std::fs::read_to_string(&path).unwrap_or("{}".to_owned())).unwrap();
        value.insert(KEY.to_owned(), Value::Null);
        std::fs::write(path, Value::Object(value).to_string()).unwrap();
    }
    case.answers(&folder);
}
