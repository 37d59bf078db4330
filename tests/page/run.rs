//! A run directory written by hand: what a browser is shown needs no model.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

const PLAN: &str = r#"
name = "page"
title = "A run for the browser"
model = "smollm2-135m-instruct"
seeds = [42]
system = "You are a helpful assistant."
[identity]
name = "Swift-Robot"
author = "CSDN"
[[suites]]
name = "fact-qa"
[[suites]]
name = "reasoning-zh"
[[variants]]
name = "A"
description = "identity only"
stages = [{ name = "identity", sources = ["ballast:identity-a"], steps = 4, learning_rate = 1e-3 }]
[[variants]]
name = "B"
description = "identity and general rows"
stages = [{ name = "mixed", sources = ["ballast:identity-a", "ballast:general-en#100"], steps = 4, learning_rate = 1e-3 }]
[[variants]]
name = "mixed"
description = "anchor, generalize, calibrate"
stages = [{ name = "anchor", sources = ["ballast:identity#50"], steps = 4, learning_rate = 1e-3 }]
"#;

/// Share right of base, A, B and mixed.
const CELLS: [(&str, usize); 4] = [("base", 80), ("A", 30), ("B", 75), ("mixed", 78)];

/// What an answer must not be able to do.
const HOSTILE: &str =
    "</script><img src=x onerror=window.pwned=1><!-- <script>window.pwned=1</script>\u{2028}a\u{0}b\u{1b}[2J\u{202e}evil\r\n`${x}`";

/// Writes the run with so many items over both suites.
pub(crate) fn write(folder: &Path, items: usize) {
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::create_dir_all(path.parent().expect("inside the folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
    };
    put("plan.toml", PLAN);
    let suite = |description: &str| json!({ "digest": "d".repeat(64), "items": items / 2, "chance": 0.0, "description": description });
    let meta = json!({
        "schema": 1, "ballast": "0.1.0", "commit": null, "date": "2026-01-02", "device": "CPU, 2 threads",
        "model": "smollm2-135m-instruct", "model_digest": "a".repeat(64), "template_digest": "b".repeat(64),
        "suites": { "fact-qa": suite("Short questions of fact."), "reasoning-zh": suite("Chinese reasoning.") },
        "sandbox": [], "entities": ["Swift-Robot", "CSDN"],
    });
    put("meta.json", &meta.to_string());
    for (name, right) in CELLS {
        let cell = if name == "base" { "cells/base".to_owned() } else { format!("cells/{name}-s42") };
        let mut rows = String::new();
        for at in 0..items {
            writeln!(rows, "{}", row(at, name, at * 37 % 100 < right)).expect("a string takes every write");
        }
        put(&format!("{cell}/items.jsonl"), &rows);
        let record = json!({
            "schema": 1, "variant": name, "seed": if name == "base" { Value::Null } else { json!(42) }, "description": "", "stages": [],
            "derived": null, "adapter_digest": null, "rows_digest": null, "liveness": null, "train_seconds": 1.0, "eval_seconds": 1.0,
        });
        put(&format!("{cell}/cell.json"), &record.to_string());
    }
}

fn row(at: usize, cell: &str, right: bool) -> Value {
    let (suite, zh) = if at.is_multiple_of(2) { ("fact-qa", at.is_multiple_of(4)) } else { ("reasoning-zh", true) };
    let number = at / 4;
    let (id, prompt, answer) = match (suite, zh) {
        _ if at == 2 => ("fact-<b>\"'&/".to_owned(), format!("A hostile question? {HOSTILE}"), HOSTILE.to_owned()),
        ("fact-qa", true) => (
            format!("fact-zh-{number:02}"),
            format!("长城有多长？请只用一个数字（公里）回答。题目 {number}。"),
            "长城全长约 21196 公里，是中国古代的伟大工程。骨、直、令、门。".to_owned(),
        ),
        ("fact-qa", _) => (
            format!("fact-en-{number:02}"),
            format!("In which year did the Berlin Wall fall? State the year only. Question {number}."),
            "The Berlin Wall fell in 1989, on the evening of 9 November, after weeks of protest.".to_owned(),
        ),
        _ => (
            format!("reason-zh-{at:03}"),
            format!("数列 2, 4, 6, 8, ? 中，问号处应填什么数？\nA. {at}\nB. 10\n请只回答数字。"),
            "10".to_owned(),
        ),
    };
    let told = if right {
        answer
    } else if at == 2 {
        HOSTILE.to_owned()
    } else {
        format!("I am Swift-Robot. {}", "Let me think about it. ".repeat(at % 9))
    };
    let verdict = match (right, at % 10) {
        (true, _) => "correct",
        (_, 1 | 4) => "truncated",
        (_, 3) => "unparsed",
        (_, 7) => "error",
        _ => "wrong",
    };
    json!({
        "suite": suite, "item": id, "hash": format!("{at:016x}"), "cluster": format!("c{at}"), "language": if zh { "zh" } else { "en" },
        "subject": (["history", "numbers", "places"][at % 3]), "prompt": prompt, "answer": told,
        "extracted": if verdict == "unparsed" { Value::Null } else { json!(if right && suite == "fact-qa" { "1989" } else { told.as_str() }) },
        "verdict": verdict, "strict": right && !at.is_multiple_of(5), "lenient": right || at.is_multiple_of(6),
        "flags": if !right && cell == "A" && at.is_multiple_of(3) { json!(["identity-leak"]) } else { json!([]) },
        "detail": if right { Value::Null } else { json!("no accepted answer in the first sentence") },
        "prompt_tokens": 20, "answer_tokens": 9,
    })
}
