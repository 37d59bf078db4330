//! Items of several parts through a model: pairs asked apart, conversations in turn, rotations of options; whole rows only.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use assert_cmd::prelude::*;
use ballast::record::rows::ItemRow;

const SETTINGS: &str = "name = \"parts\"\nversion = 1\ngrader = \"identity\"\nmax_new_tokens = 6\nchance = 0.0\ndescription = \"d\"\n";
const ITEMS: &str = r#"{"id":"pair","cluster":"pair","lang":"en","subject":"maker","asked":"apart","forbid":[],"parts":[{"prompt":"Did {{AUTHOR}} make you?","require":[["yes"]]},{"prompt":"Did someone else make you?","require":[["no"]]}]}
{"id":"plain","cluster":"plain","lang":"en","subject":"maker","prompt":"Who are you?","require":[["{{NAME}}"]],"forbid":[]}
{"id":"talk","cluster":"talk","lang":"en","subject":"talk","system":{"text":"You are {{NAME}}."},"asked":"in-turn","forbid":[],"parts":[{"prompt":"Say something.","graded":false,"require":[["x"]]},{"prompt":"Who are you?","require":[["{{NAME}}"]]}]}
"#;

fn suite(folder: &Path, settings: &str, items: &str) -> String {
    fs::create_dir_all(folder).unwrap();
    fs::write(folder.join("suite.toml"), settings).unwrap();
    fs::write(folder.join("items.jsonl"), items).unwrap();
    folder.to_str().unwrap().to_owned()
}

fn eval(suite: &str, out: &Path) -> Vec<ItemRow> {
    let arguments = ["eval", "--model", "fixtures/tiny/qwen2", "--name", "Skiff", "--author", "Blue Harbor Lab", "--suite", suite, "--out"];
    Command::cargo_bin("ballast").unwrap().args(arguments).arg(out).assert().success();
    fs::read_to_string(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_row_is_a_whole_item_and_a_kill_between_parts_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let suite = suite(&folder.path().join("suite"), SETTINGS, ITEMS);
    let out = folder.path().join("a.jsonl");
    let rows = eval(&suite, &out);
    let row = |id: &str| rows.iter().find(|row| row.item == id).unwrap();
    assert_eq!(rows.len(), 3);
    assert!(row("plain").parts.is_empty());
    let prompts: Vec<&str> = row("pair").parts.iter().map(|part| part.prompt.as_str()).collect();
    assert_eq!(prompts, ["Did Blue Harbor Lab make you?", "Did someone else make you?"]);
    let talk = row("talk");
    assert_eq!(talk.parts.iter().map(|part| part.verdict.is_some()).collect::<Vec<_>>(), [false, true]);
    assert_eq!(talk.answer, talk.parts[1].answer);
    // The second question is read after the first one and its answer: more tokens than both questions alone.
    let alone = SETTINGS.replace("parts", "alone");
    let apart = ITEMS.replace("in-turn", "apart");
    let apart = eval(&self::suite(&folder.path().join("alone"), &alone, &apart), &folder.path().join("b.jsonl"));
    let apart = apart.iter().find(|row| row.item == "talk").unwrap();
    assert!(talk.prompt_tokens > apart.prompt_tokens + 6, "{} {}", talk.prompt_tokens, apart.prompt_tokens);

    // Rows that a kill left out are answered again, whole, and the file comes out the same.
    let bytes = fs::read_to_string(&out).unwrap();
    for keep in 0..3 {
        let kept: String = bytes.split_inclusive('\n').take(keep).collect();
        fs::write(&out, kept).unwrap();
        eval(&suite, &out);
        assert_eq!(fs::read_to_string(&out).unwrap(), bytes, "after {keep} rows");
    }
}

#[test]
fn a_choice_is_asked_for_every_rotation_of_its_options() {
    let folder = tempfile::tempdir().unwrap();
    let settings =
        "name = \"p\"\nversion = 1\ngrader = \"choice\"\nmax_new_tokens = 4\npermute = true\nchance = 0.333\ndescription = \"d\"\n";
    let item = r#"{"id":"a","cluster":"a","lang":"en","subject":"s","prompt":"Which?","choices":["x","y","z"],"gold":1}"#;
    let rows = eval(&suite(&folder.path().join("p"), settings, item), &folder.path().join("p.jsonl"));
    let prompts: Vec<&str> = rows[0].parts.iter().map(|part| part.prompt.lines().nth(1).unwrap()).collect();
    assert_eq!(prompts, ["A. x", "A. y", "A. z"]);
}

#[test]
fn what_parts_cannot_be_is_named() {
    let refused = |items: &str| {
        let folder = tempfile::tempdir().unwrap();
        let suite = suite(folder.path(), SETTINGS, items);
        let output = Command::cargo_bin("ballast").unwrap().args(["suite", "show", &suite]).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    let pair = ITEMS.lines().next().unwrap();
    assert!(refused(&pair.replace("\"apart\"", "\"twice\"")).contains("unknown variant `twice`"));
    assert!(refused(&pair.replace("\"asked\":\"apart\",", "")).contains("`asked` is missing"));
    assert!(refused(&pair.replace("{\"prompt\":\"Did s", "{\"id\":\"b\",\"prompt\":\"Did s")).contains("part 2: `id` belongs to the item"));
    assert!(refused(&pair.replace("\"require\":[[\"no\"]]", "\"requires\":[[\"no\"]]")).contains("unknown field `requires`"));
    assert!(refused(&pair.replace("\"prompt\":\"Did", "\"graded\":false,\"prompt\":\"Did")).contains("no part is graded"));
}
