//! What each key of a training row, or of a turn in it, means to training: used, harmless for a reason, or refused.
//!
//! Trainers give a meaning to keys beside the text: a weight, a flag, a list of tools. A row whose key is passed over trains
//! on something else than its author meant, so every key is listed here, under the names of ms-swift, LLaMA-Factory,
//! axolotl, TRL and OpenAI.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::keys::Rule::{self, Harmless, Refused, Used};
use crate::keys::Table;

const NO_TOOLS: &str = "tool calls are not trained on; remove the key if the answers do not need the tools";
const NO_MEDIA: &str = "only text is trained on; remove rows that need it";
const NO_THINKING: &str = "write the reasoning into the answer's text as the model would write it, in <think> tags if it uses them";
const NO_PREFERENCE: &str = "training is on answers, not on preferences; keep the preferred answer and remove the key";
const NO_WEIGHTS: &str = "rows and turns count alike; use `loss` true or false in a turn";
const IDENTIFIES: Rule = Harmless("says which row it is");
const DESCRIBES: Rule = Harmless("describes the row, is no part of what is said");
const COUNTS: Rule = Harmless("measures the row");

/// Rules that hold in rows and turns alike.
macro_rules! table {
    ($what:literal, [$($key:literal => $rule:expr),* $(,)?]) => {
        Table {
            what: $what,
            remedy: "remove it, or rename it if it is the question or the answer",
            rules: &[
                $(($key, $rule),)*
                ("tools", Refused(NO_TOOLS)), ("tool", Refused(NO_TOOLS)), ("functions", Refused(NO_TOOLS)), ("tool_calls", Refused(NO_TOOLS)),
                ("function_call", Refused(NO_TOOLS)), ("tool_call_id", Refused(NO_TOOLS)), ("tool_choice", Refused(NO_TOOLS)),
                ("parallel_tool_calls", Refused(NO_TOOLS)), ("documents", Refused("write the documents into the question")),
                ("image", Refused(NO_MEDIA)), ("images", Refused(NO_MEDIA)), ("audio", Refused(NO_MEDIA)), ("audios", Refused(NO_MEDIA)),
                ("video", Refused(NO_MEDIA)), ("videos", Refused(NO_MEDIA)), ("objects", Refused(NO_MEDIA)), ("media", Refused(NO_MEDIA)),
                ("reasoning", Refused(NO_THINKING)), ("reasoning_content", Refused(NO_THINKING)), ("thinking", Refused(NO_THINKING)),
                ("thought", Refused(NO_THINKING)), ("cot", Refused(NO_THINKING)), ("chain_of_thought", Refused(NO_THINKING)),
                ("chat_template_kwargs", Refused("the chat template is rendered with its defaults; remove the key")),
                ("enable_thinking", Refused("the chat template is rendered with its defaults; remove the key")),
                ("loss_scale", Refused(NO_WEIGHTS)), ("train_detail", Refused(NO_WEIGHTS)), ("training_detail", Refused(NO_WEIGHTS)),
                ("weights", Refused(NO_WEIGHTS)), ("sample_weight", Refused(NO_WEIGHTS)), ("mask", Refused(NO_WEIGHTS)),
                ("chosen", Refused(NO_PREFERENCE)), ("rejected", Refused(NO_PREFERENCE)), ("chosen_response", Refused(NO_PREFERENCE)),
                ("rejected_response", Refused(NO_PREFERENCE)), ("rejected_responses", Refused(NO_PREFERENCE)),
                ("rejected_messages", Refused(NO_PREFERENCE)), ("preference", Refused(NO_PREFERENCE)), ("preferred", Refused(NO_PREFERENCE)),
                ("margin", Refused(NO_PREFERENCE)), ("reward", Refused(NO_PREFERENCE)), ("rewards", Refused(NO_PREFERENCE)),
                ("positive", Refused(NO_PREFERENCE)), ("negative", Refused(NO_PREFERENCE)),
                ("id", IDENTIFIES), ("_id", IDENTIFIES), ("idx", IDENTIFIES), ("index", IDENTIFIES), ("uid", IDENTIFIES), ("uuid", IDENTIFIES),
                ("hash", IDENTIFIES), ("md5", IDENTIFIES), ("sha256", IDENTIFIES), ("timestamp", DESCRIBES), ("created", DESCRIBES),
                ("created_at", DESCRIBES), ("updated_at", DESCRIBES), ("date", DESCRIBES), ("time", DESCRIBES), ("model", DESCRIBES),
                ("model_name", DESCRIBES), ("generator", DESCRIBES), ("source", DESCRIBES), ("lang", Used), ("language", Used), ("locale", DESCRIBES),
                ("tokens", COUNTS), ("n_tokens", COUNTS), ("num_tokens", COUNTS), ("token_count", COUNTS), ("length", COUNTS), ("len", COUNTS),
                ("meta", DESCRIBES), ("metadata", DESCRIBES), ("extra", DESCRIBES), ("extra_info", DESCRIBES), ("note", DESCRIBES),
                ("notes", DESCRIBES), ("comment", DESCRIBES), ("comments", DESCRIBES), ("category", DESCRIBES), ("tag", Used),
            ],
        }
    };
}

/// Keys of a row.
const ROW: Table = table!("the row", [
    "messages" => Used, "conversations" => Used, "conversation" => Used, "system" => Used, "history" => Used,
    "query" => Used, "prompt" => Used, "input" => Used, "instruction" => Used, "question" => Used, "problem" => Used,
    "response" => Used, "answer" => Used, "output" => Used, "targets" => Used, "target" => Used, "answer_key" => Used,
    "answers" => Used, "solution" => Used, "text" => Used, "completion" => Used, "content" => Used,
    "weight" => Used, "loss" => Used, "train" => Used, "training" => Used, "label" => Used, "kto_tag" => Used,
    "origin" => Harmless("written by Ballast itself: where the row was read"),
    "channel" => Refused("losses are not kept apart by channel; remove the key"),
    "prompt_id" => IDENTIFIES, "question_id" => IDENTIFIES, "qid" => IDENTIFIES, "conversation_id" => IDENTIFIES, "dialogue_id" => IDENTIFIES,
    "conv_id" => IDENTIFIES, "row" => IDENTIFIES, "row_id" => IDENTIFIES, "item_id" => IDENTIFIES, "sample_id" => IDENTIFIES,
    "message_id" => IDENTIFIES, "unique_id" => IDENTIFIES, "task_id" => IDENTIFIES, "unnamed: 0" => IDENTIFIES, "__index_level_0__" => IDENTIFIES,
    "no" => IDENTIFIES, "number" => IDENTIFIES, "src" => DESCRIBES, "data_source" => DESCRIBES, "dataset" => DESCRIBES, "dataset_name" => DESCRIBES,
    "dataset_source" => DESCRIBES, "origin_dataset" => DESCRIBES, "subset" => DESCRIBES, "split" => DESCRIBES, "config" => DESCRIBES,
    "categories" => DESCRIBES, "class" => DESCRIBES, "cluster" => DESCRIBES, "topic" => DESCRIBES, "topics" => DESCRIBES, "subtopic" => DESCRIBES,
    "subject" => DESCRIBES, "subjects" => DESCRIBES, "domain" => DESCRIBES, "field" => DESCRIBES, "task" => DESCRIBES, "task_type" => DESCRIBES,
    "task_name" => DESCRIBES, "type" => DESCRIBES, "kind" => DESCRIBES, "tags" => DESCRIBES, "keywords" => DESCRIBES, "skill" => DESCRIBES,
    "skills" => DESCRIBES, "difficulty" => DESCRIBES, "level" => DESCRIBES, "grade" => DESCRIBES, "stage" => DESCRIBES, "intent" => DESCRIBES,
    "programming_language" => DESCRIBES, "url" => DESCRIBES, "link" => DESCRIBES, "title" => DESCRIBES, "author" => DESCRIBES,
    "annotator" => DESCRIBES, "license" => DESCRIBES, "licence" => DESCRIBES, "version" => DESCRIBES, "engine" => DESCRIBES,
    "quality" => DESCRIBES, "score" => DESCRIBES, "scores" => DESCRIBES, "rating" => DESCRIBES, "toxic" => DESCRIBES, "redacted" => DESCRIBES,
    "openai_moderation" => DESCRIBES, "turn" => COUNTS, "turns" => COUNTS, "num_turns" => COUNTS, "n_turns" => COUNTS,
    "prompt_tokens" => COUNTS, "completion_tokens" => COUNTS, "total_tokens" => COUNTS,
]);

/// Keys of a turn with a role.
const TURN: Table = table!("the turn", [
    "role" => Used, "from" => Used, "content" => Used, "value" => Used, "loss" => Used, "train" => Used, "training" => Used, "weight" => Used,
    "label" => Used, "kto_tag" => Used,
    "name" => Refused("chat templates differ in whether they show it; write it into the text"),
    "message_id" => IDENTIFIES, "turn" => COUNTS, "turn_id" => IDENTIFIES, "parent_id" => IDENTIFIES,
]);

/// Keys of a question and answer in one object.
const PAIR: Table = table!("the turn", [
    "user" => Used, "human" => Used, "assistant" => Used, "gpt" => Used, "bot" => Used, "turn" => COUNTS, "turn_id" => IDENTIFIES,
]);

/// Checks the keys of a row.
pub(super) fn row(object: &Map<String, Value>) -> Result<()> {
    check(&ROW, object)?;
    match loss(object)? {
        None | Some(true) => Ok(()),
        Some(false) => bail!("the row says that it is not to be trained on; remove it"),
    }
}

/// Checks the keys of a turn that has a role, and says whether it is trained on where it says so itself.
pub(super) fn turn(object: &Map<String, Value>, answer: bool) -> Result<Option<bool>> {
    check(&TURN, object)?;
    let loss = loss(object)?;
    let weighed = object.keys().any(|key| key.eq_ignore_ascii_case("weight"));
    // A weight is given to answers alone, so that a question's says nothing.
    ensure!(answer || !weighed || loss != Some(true), "`weight` is for turns of the assistant; use `loss`: true to train on another");
    Ok(loss)
}

/// Checks the keys of a question and answer in one object.
pub(super) fn pair(object: &Map<String, Value>) -> Result<()> {
    check(&PAIR, object)
}

/// Keys are compared in lower case; one that is empty asks for nothing.
fn check(table: &Table, object: &Map<String, Value>) -> Result<()> {
    let mut keys = Map::new();
    for (key, value) in object {
        let lower = key.trim().to_lowercase();
        if matches!(table.rule(&lower), Some(Refused(_))) && empty(value) {
            continue;
        }
        ensure!(keys.insert(lower.clone(), value.clone()).is_none(), "`{lower}` is there twice, in different letter case");
    }
    table.fault(&keys).map_or(Ok(()), |fault| bail!(fault))
}

/// Whether a value says nothing: also a CSV cell that holds an empty list.
fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => matches!(text.trim(), "" | "[]" | "{}" | "null" | "None"),
        Value::Array(values) => values.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// Whether the object is trained on, where it says so: `loss`, axolotl's `train` and `training`, OpenAI's `weight` of 0 or
/// 1, and the label of a liked answer.
fn loss(object: &Map<String, Value>) -> Result<Option<bool>> {
    let mut found: Option<(&str, bool)> = None;
    for (key, value) in object.iter().filter(|(_, value)| !empty(value)) {
        let said = match key.trim().to_lowercase().as_str() {
            "loss" | "train" | "training" => flag(value).with_context(|| format!("key `{key}`"))?,
            "weight" => match number(value) {
                Some(0.0) => false,
                Some(1.0) => true,
                _ => bail!("key `{key}`: expected 0 or 1, found {value}: {NO_WEIGHTS}"),
            },
            "label" | "kto_tag" => {
                let liked = flag(value).unwrap_or(false);
                ensure!(liked, "key `{key}`: {value} does not say that the answer is wanted: {NO_PREFERENCE}");
                continue;
            }
            _ => continue,
        };
        match found {
            Some((other, loss)) if loss != said => bail!("`{other}` and `{key}` differ in whether it is trained on; keep one of them"),
            _ => found = Some((key, said)),
        }
    }
    Ok(found.map(|(_, loss)| loss))
}

/// True or false; in CSV cells as text.
fn flag(value: &Value) -> Result<bool> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(false),
        other => bail!("expected true or false, found {}", super::kind(other)),
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).expect("an object")
    }

    #[test]
    fn what_other_trainers_heed_is_refused_by_name() {
        let cases = [
            json!({"tools": "[{}]"}),
            json!({"Images": ["a.png"]}),
            json!({"rejected_response": "x"}),
            json!({"label": false}),
            json!({"kto_tag": 0}),
            json!({"weight": 0.5}),
            json!({"train": false}),
            json!({"reasoning_content": "x"}),
            json!({"thinking": "x"}),
            json!({"loss_scale": [1, 2]}),
            json!({"a_new_key": 1}),
        ];
        for case in cases {
            let case = object(case);
            let (key, _) = case.iter().next().expect("a key");
            let error = format!("{:#}", row(&case).expect_err(key));
            assert!(error.contains(&format!("`{}`", key.to_lowercase())) || error.contains("not to be trained on"), "{error}");
        }
    }

    #[test]
    fn what_says_nothing_is_passed_over() {
        let empty =
            json!({"tools": "[]", "images": [], "rejected_response": "", "reasoning": null, "label": true, "weight": 1, "Difficulty": 3});
        row(&object(empty)).expect("nothing is asked for");
    }

    #[test]
    fn every_spelling_of_the_loss_is_heeded() {
        for (given, loss) in [
            (json!({"weight": 0}), Some(false)),
            (json!({"weight": 1.0}), Some(true)),
            (json!({"train": false}), Some(false)),
            (json!({"training": true}), Some(true)),
            (json!({"loss": true, "weight": 1}), Some(true)),
            (json!({"role": "assistant"}), None),
        ] {
            assert_eq!(turn(&object(given), true).expect("good"), loss);
        }
        let differ = turn(&object(json!({"loss": true, "weight": 0})), true).expect_err("they differ");
        assert!(differ.to_string().contains("differ in whether it is trained on"), "{differ}");
        assert!(turn(&object(json!({"weight": 1})), false).is_err());
    }

    #[test]
    fn one_key_in_two_letter_cases_is_an_error() {
        let error = row(&object(json!({"Query": "a", "query": "b"}))).expect_err("two");
        assert_eq!(error.to_string(), "`query` is there twice, in different letter case");
    }
}
