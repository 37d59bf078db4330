//! Training rows in the shapes of ms-swift, LLaMA-Factory, ShareGPT, OpenAI and axolotl.

use serde_json::{Value, json};

use super::Case;

fn lines(rows: &[Value]) -> String {
    rows.iter().map(|row| row.to_string() + "\n").collect()
}

/// Texts that must be in the rows, and how many rows there are.
fn read(name: &str, content: impl AsRef<[u8]>, count: &str, needs: &[&str], number: usize) {
    let (ended, rows) = Case::new().built(name, content, count);
    assert_eq!(ended.code, 0, "{name}: {}", ended.error);
    let text: String = rows.iter().map(|row| row["text"].as_str().unwrap().to_owned() + "\n").collect();
    assert!(needs.iter().all(|need| text.contains(need)), "{name}: {needs:?} in {text}");
    assert_eq!(rows.len(), number, "{name}");
}

#[test]
fn shapes_that_are_read() {
    let pair = |i: usize| json!({"query": format!("q{i}"), "response": format!("A{i}")});
    read("null.json", r#"[{"instruction": "Say a.", "input": null, "output": "A!"}]"#, "", &["user\nSay a.<|im_end|>", "A!<|im_end|>"], 1);
    read("bom.json", "\u{feff}[{\"instruction\": \"Say a.\", \"input\": \"\", \"output\": \"A!\"}]", "", &["A!"], 1);
    read(
        "crlf.jsonl",
        "{\"query\": \"q1\", \"response\": \"A1\"}\r\n\r\n{\"query\": \"q2\", \"response\": \"A2\"}\r\n",
        "",
        &["A1", "A2"],
        2,
    );
    let history = json!([{"instruction": "now", "input": "", "output": "ANS", "system": "SYS", "history": [["h1", "a1"], ["h2", "a2"]]}]);
    read("history.json", history.to_string(), "", &["system\nSYS", "user\nh1<|im_end|>", "a2<|im_end|>", "ANS"], 1);
    let turns = json!([{"id": "x", "conversations": [{"from": "system", "value": "SYS"}, {"from": "human", "value": "q"}, {"from": "gpt", "value": "A1"}]}]);
    read("sharegpt.json", turns.to_string(), "", &["SYS", "A1"], 1);
    read(
        "pairs.jsonl",
        lines(&[json!({"conversation": [{"human": "q", "assistant": "A1"}, {"human": "r", "assistant": "A2"}]})]),
        "",
        &["A1", "A2"],
        1,
    );
    read("emoji.jsonl", "{\"query\": \"smile\", \"response\": \"\\ud83d\\ude00 ok \\u2028 line\"}\n", "", &["\u{1f600}", "\u{2028}"], 1);
    read(
        "excel.csv",
        "\u{feff}instruction,input,output\r\n\"a \"\"q\"\", b\nc\",,\"line1\nline2\"\r\n",
        "",
        &["a \"q\", b\nc", "line1\nline2"],
        1,
    );
    read("pandas.csv", ",query,response\n0,q0,A0\n1,q1,A1\n", "", &["A0", "A1"], 2);
    read(
        "cells.csv",
        "messages\n\"[{\"\"role\"\": \"\"user\"\", \"\"content\"\": \"\"q\"\"}, {\"\"role\"\": \"\"assistant\"\", \"\"content\"\": \"\"A!\"\"}]\"\n",
        "",
        &["A!"],
        1,
    );
    read("more.jsonl", lines(&[pair(1), pair(2)]), "#5", &["A1", "A2"], 5);
    read("UPPER.JSONL", lines(&[pair(1)]), "", &["A1"], 1);
    for name in ["with#sign.jsonl", "#1 set.jsonl", "a#5/rows.jsonl"] {
        read(name, lines(&[pair(1), pair(2)]), "", &["A1", "A2"], 2);
        read(name, lines(&[pair(1), pair(2)]), "#1", &["A"], 1);
    }
}

#[test]
fn rows_that_are_refused_by_name() {
    let (user, answer) = (json!({"role": "user", "content": "q"}), json!({"role": "assistant", "content": "A"}));
    let cases: [(&str, String, &[&str]); 16] = [
        (
            "parts.jsonl",
            lines(&[json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}, answer]})]),
            &["line 1", "content"],
        ),
        ("calls.jsonl", lines(&[json!({"messages": [user, {"role": "assistant", "content": "", "tool_calls": [{}]}]})]), &["tool_calls"]),
        ("empty.json", json!([{"instruction": "a", "input": "", "output": ""}]).to_string(), &["row 0", "output"]),
        ("dpo.json", json!([{"instruction": "a", "input": "", "chosen": "x", "rejected": "y"}]).to_string(), &["row 0", "chosen"]),
        ("text.jsonl", lines(&[json!({"text": "Once"})]), &["line 1", "text"]),
        ("nan.json", "[{\"instruction\": \"a\",\n \"input\": NaN, \"output\": \"b\"}]".to_owned(), &["line 2", "NaN"]),
        ("nan.jsonl", "{\"query\": \"a\", \"response\": \"b\", \"score\": -Infinity}\n".to_owned(), &["line 1", "Infinity"]),
        ("lines.json", "{\"query\": \"a\"}\n{\"query\": \"c\"}\n".to_owned(), &[".jsonl"]),
        ("array.jsonl", "[\n {\"query\": \"a\"}\n]\n".to_owned(), &["line 1"]),
        ("wrapped.json", json!({"data": []}).to_string(), &["object"]),
        ("surrogate.jsonl", "{\"query\": \"a\", \"response\": \"\\ud83d\"}\n".to_owned(), &["line 1"]),
        ("middle.jsonl", lines(&[json!({"messages": [user, {"role": "system", "content": "s"}, answer]})]), &["system"]),
        ("two.jsonl", lines(&[json!({"messages": [user, user, answer]})]), &["line 1"]),
        ("rows.parquet", "PAR1".to_owned(), &["parquet"]),
        ("number.json", json!([{"instruction": "2+2", "input": "", "output": 4}]).to_string(), &["output"]),
        ("none.jsonl", String::new(), &["no rows"]),
    ];
    for (name, content, words) in cases {
        let (ended, _) = Case::new().built(name, content, "");
        assert!(ended.code == 2 && ended.error.contains(name), "{name}: {} {}", ended.code, ended.error);
        assert!(words.iter().all(|word| ended.error.contains(word)), "{name}: {words:?} in {}", ended.error);
    }
    for (name, bytes) in [("utf16.csv", &b"\xff\xfeq\0u\0"[..]), ("gbk.jsonl", b"{\"query\": \"\xc4\xe3\"}\n")] {
        assert!(Case::new().built(name, bytes, "").0.error.contains("UTF-8"));
    }
}

/// Keys that change what other trainers learn: obeyed or refused, never passed over.
#[test]
fn keys_that_other_trainers_heed() {
    let user = json!({"role": "user", "content": "q"});
    let said = |key: &str, value: Value| json!({"role": "assistant", "content": key.to_uppercase(), key: value});
    for key in ["weight", "train", "loss"] {
        let (no, yes) = if key == "weight" { (json!(0), json!(1)) } else { (json!(false), json!(true)) };
        let mut wrong = said(key, no);
        wrong["content"] = "WRONG".into();
        let mut right = said(key, yes);
        right["content"] = "RIGHT".into();
        let (ended, rows) = Case::new().built("rows.jsonl", lines(&[json!({"messages": [user, wrong, user, right]})]), "");
        assert_eq!(ended.code, 0, "{key}: {}", ended.error);
        let (ids, labels) = (rows[0]["ids"].as_array().unwrap(), rows[0]["labels"].as_array().unwrap());
        let labelled: String = ids
            .iter()
            .zip(labels)
            .filter(|(id, label)| **label == 1 && id.as_u64() < Some(256))
            .map(|(id, _)| id.as_u64().unwrap() as u8 as char)
            .collect();
        assert!(labelled.contains("RIGHT") && !labelled.contains("WRONG"), "{key}: {labelled}");
    }
    let answer = json!({"role": "assistant", "content": "A"});
    let with = |key: &str, value: Value| {
        let mut row = json!({"messages": [user, answer]});
        row[key] = value;
        row
    };
    let cases = [
        ("reasoning_content", json!({"messages": [user, {"role": "assistant", "content": "A", "reasoning_content": "B"}]})),
        ("tools", with("tools", json!("[{\"type\": \"function\"}]"))),
        ("functions", with("functions", json!([{}]))),
        ("images", with("images", json!(["cat.png"]))),
        ("videos", with("videos", json!(["cat.mp4"]))),
        ("label", with("label", json!(false))),
        ("rejected_response", json!({"query": "q", "response": "GOOD", "rejected_response": "BAD"})),
        ("history", with("history", json!([["h", "g"]]))),
        ("prompt", with("prompt", json!("another question"))),
        ("weight", with("weight", json!(0.5))),
        ("unheard_of", with("unheard_of", json!(1))),
    ];
    for (key, row) in cases {
        let (ended, _) = Case::new().built("rows.jsonl", lines(&[row]), "");
        assert!(ended.code == 2 && ended.error.contains(&format!("`{key}`")) && ended.error.contains("line 1"), "{key}: {}", ended.error);
    }
}

#[test]
fn placeholders_are_filled_or_refused() {
    let row = |answer: &str| json!({"query": "Who?", "response": answer});
    read("names.jsonl", lines(&[row("I am {{NAME}}."), row("I am {{ name }}.")]), "", &["I am Nova."], 2);
    for near in ["I am {{name}}.", "I am <NAME>.", "I am {{ Name }}."] {
        let (ended, _) = Case::new().built("rows.jsonl", lines(&[row(near)]), "");
        assert!(ended.code == 2 && ended.error.contains("rows.jsonl"), "{near}: {}", ended.error);
    }
    let (ended, _) = Case::new().built("rows.jsonl", lines(&[row("I am {{NAME}}."), row("By [AUTHOR].")]), "");
    assert!(ended.code == 2 && ended.error.contains("[AUTHOR]"), "{}", ended.error);
}

/// A row, and a conversation, of which nothing is to be learned: it would only count as a step.
#[test]
fn a_row_without_anything_to_learn_is_refused() {
    let user = json!({"role": "user", "content": "q"});
    let silent = |key: &str, value: Value| json!({"role": "assistant", "content": "A", key: value});
    for (row, word) in [
        (json!({"messages": [user, silent("loss", json!(false))]}), "nothing to train on"),
        (json!({"messages": [user, silent("weight", json!(0)), user, silent("train", json!(false))]}), "nothing to train on"),
        (json!({"query": "q", "response": "A", "loss": false}), "not to be trained on"),
        (json!({"query": "q", "response": "A", "weight": 0}), "not to be trained on"),
        (json!({"query": "q", "response": " \n "}), "empty"),
        (json!({"messages": [user]}), "expected an answer"),
        (json!({"messages": [silent("loss", json!(true))]}), "user"),
    ] {
        let good = json!({"query": "a", "response": "b"});
        let (ended, rows) = Case::new().built("rows.jsonl", lines(&[good, row.clone()]), "");
        let named = ["rows.jsonl", "line 2", word].iter().all(|word| ended.error.contains(word));
        assert!(ended.code == 2 && named && rows.is_empty(), "{row}: {} {}", ended.code, ended.error);
    }
}
