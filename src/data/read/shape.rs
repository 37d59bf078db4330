//! The keys of a row decide how it becomes messages.
//!
//! Three shapes, tried in this order, with the key names that ms-swift accepts:
//! 1. a list of turns in `messages`, `conversations` or `conversation`: objects with `role` and `content`, or `from`
//!    and `value`, or ShareGPT pairs such as `{"human": .., "assistant": ..}`;
//! 2. alpaca: `instruction` and `input` make the question, `output` the answer;
//! 3. one question and one answer under any of the usual names.
//!
//! The last two also take `system` and `history` (a list of earlier question and answer pairs). Where ms-swift would
//! guess between two columns or skip the row, this is an error instead. What every other key means is in `columns`.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use super::fields::{Alias, Fields, list};
use super::{columns, kind};
use crate::data::example::{Message, Role};

const TURNS: [&str; 3] = ["messages", "conversations", "conversation"];
const QUERY: Alias =
    Alias { what: "question", preferred: "query", others: &["prompt", "input", "instruction", "question", "problem"], last: &[] };
const RESPONSE: Alias = Alias {
    what: "answer",
    preferred: "response",
    others: &["answer", "output", "targets", "target", "answer_key", "answers", "solution"],
    last: &["text", "completion", "content"],
};
const ALPACA_RESPONSE: Alias = Alias { preferred: "output", ..RESPONSE };
/// Some rows of the Chinese alpaca set repeat the field's own name in its text.
const ALPACA_INPUT_PREFIX: &str = "输入：";

/// The messages of one row, checked: each role known, turns alternating, an answer last and none empty.
pub(super) fn messages(fields: &Fields) -> Result<Vec<Message>> {
    columns::row(&fields.0)?;
    let mut turns = TURNS.iter().filter_map(|key| fields.get(key));
    let mut messages = match turns.next() {
        Some((key, value)) => {
            if let Some((other, _)) = turns.find(|(_, other)| *other != value) {
                bail!("`{key}` and `{other}` are two conversations; keep one of them");
            }
            let messages = from_turns(key, value)?;
            beside_turns(key, fields, &messages)?;
            messages
        }
        None => from_columns(fields)?,
    };
    if let Some(system) = fields.text("system")?.filter(|system| !system.is_empty()) {
        match messages.first() {
            Some(Message { role: Role::System, content, .. }) => {
                ensure!(content == system, "`system` and the system message differ; keep one of them");
            }
            _ => messages.insert(0, Message::new(Role::System, system)),
        }
    }
    check(&messages)?;
    Ok(messages)
}

fn from_turns(key: &str, value: &Value) -> Result<Vec<Message>> {
    let turns = list(value).with_context(|| format!("key `{key}`"))?;
    let mut messages = Vec::with_capacity(turns.len() + 1);
    for (index, turn) in turns.iter().enumerate() {
        let Value::Object(turn) = turn else {
            bail!("`{key}[{index}]`: expected an object, found {}", kind(turn));
        };
        let turn = Fields(turn.clone());
        messages.extend(from_turn(&turn).with_context(|| format!("`{key}[{index}]`"))?);
    }
    Ok(messages)
}

/// Questions, answers and earlier turns beside a list of turns must be said in it too: only the list is trained on.
fn beside_turns(turns: &str, fields: &Fields, messages: &[Message]) -> Result<()> {
    if let Some((key, value)) = fields.get("history")
        && !matches!(value, Value::Array(values) if values.is_empty())
        && !matches!(value, Value::String(text) if matches!(text.trim(), "" | "[]"))
    {
        bail!("`{key}` beside `{turns}`: write the earlier turns into `{turns}`");
    }
    let names = |alias: &Alias| alias.others.iter().chain(alias.last).chain([&alias.preferred]).copied().collect::<Vec<_>>();
    for name in names(&QUERY).into_iter().chain(names(&RESPONSE)) {
        let Some((key, value)) = fields.get(name) else { continue };
        let said = value.as_str().is_some_and(|text| text.trim().is_empty() || messages.iter().any(|m| m.content.trim() == text.trim()));
        ensure!(said || name == "text", "`{key}` beside `{turns}` is not one of its turns; remove it, or write it into `{turns}`");
    }
    Ok(())
}

fn from_turn(turn: &Fields) -> Result<Vec<Message>> {
    if let Some(name) = turn.either("role", "from")? {
        let role = role(name)?;
        let loss = columns::turn(&turn.0, role == Role::Assistant)?;
        let Some(content) = turn.either("content", "value")? else {
            bail!("expected text in `content` or `value`, found the keys {}", turn.keys());
        };
        return Ok(vec![Message { role, content: content.to_owned(), loss }]);
    }
    let speaks = |wanted| turn.0.keys().filter(|key| role(key).is_ok_and(|role| role == wanted)).collect::<Vec<_>>();
    let (&[user], &[assistant]) = (speaks(Role::User).as_slice(), speaks(Role::Assistant).as_slice()) else {
        bail!("expected `role` and `content`, or `from` and `value`; found the keys {}", turn.keys());
    };
    columns::pair(&turn.0)?;
    let message = |role, key: &str| {
        let text = turn.text(key)?.with_context(|| format!("key `{key}`: expected text, found null"))?;
        anyhow::Ok(Message::new(role, text))
    };
    Ok(vec![message(Role::User, user)?, message(Role::Assistant, assistant)?])
}

fn role(name: &str) -> Result<Role> {
    match name.to_lowercase().as_str() {
        "system" => Ok(Role::System),
        "user" | "human" => Ok(Role::User),
        "assistant" | "gpt" | "bot" | "model" => Ok(Role::Assistant),
        "tool" | "function" | "function_call" | "function_response" | "tool_call" | "tool_response" | "observation" => {
            bail!("role `{name}`: tool calls are not supported")
        }
        _ => bail!("unknown role `{name}`; expected system, user (human) or assistant (gpt, bot, model)"),
    }
}

fn from_columns(fields: &Fields) -> Result<Vec<Message>> {
    let instruction = fields.get("instruction").and(fields.get("input"));
    let (query, response) = if instruction.is_some() {
        (alpaca_query(fields)?, ALPACA_RESPONSE.find(fields)?)
    } else {
        (QUERY.find(fields)?.to_owned(), RESPONSE.find(fields)?)
    };
    let mut messages = history(fields)?;
    messages.push(Message::new(Role::User, query));
    messages.push(Message::new(Role::Assistant, response));
    Ok(messages)
}

fn alpaca_query(fields: &Fields) -> Result<String> {
    let instruction = fields.text("instruction")?.unwrap_or_default();
    let input = fields.text("input")?.unwrap_or_default();
    let input = input.strip_prefix(ALPACA_INPUT_PREFIX).unwrap_or(input);
    ensure!(!instruction.trim().is_empty() || !input.trim().is_empty(), "no user turn: `instruction` and `input` are both empty");
    let both = !instruction.is_empty() && !input.is_empty();
    Ok(if both { format!("{instruction}\n{input}") } else { format!("{instruction}{input}") })
}

/// Earlier turns: `[["question", "answer"], ..]`.
fn history(fields: &Fields) -> Result<Vec<Message>> {
    let Some((key, value)) = fields.get("history").filter(|(_, value)| *value != "") else {
        return Ok(Vec::new());
    };
    let pairs = list(value).with_context(|| format!("key `{key}`"))?;
    let mut messages = Vec::with_capacity(2 * pairs.len());
    for (index, pair) in pairs.iter().enumerate() {
        let Some([Value::String(query), Value::String(response)]) = pair.as_array().map(Vec::as_slice) else {
            bail!("`{key}[{index}]`: expected a question and an answer, both text");
        };
        messages.push(Message::new(Role::User, query));
        messages.push(Message::new(Role::Assistant, response));
    }
    Ok(messages)
}

/// The rules every conversation keeps, whatever its shape.
fn check(messages: &[Message]) -> Result<()> {
    let system = messages.first().is_some_and(|message| message.role == Role::System);
    let turns = &messages[usize::from(system)..];
    ensure!(turns.iter().any(|message| message.role == Role::User), "no user turn");
    for (index, message) in turns.iter().enumerate() {
        let expected = if index % 2 == 0 { Role::User } else { Role::Assistant };
        ensure!(
            message.role == expected,
            "turn {index} (the first is turn 0) is from the {}, expected the {expected}: after an optional system \
             message, user and assistant take turns",
            message.role
        );
        ensure!(!message.content.trim().is_empty(), "turn {index} (the first is turn 0), from the {expected}, is empty");
    }
    ensure!(turns.len().is_multiple_of(2), "the last turn is from the user, expected an answer");
    ensure!(
        turns.iter().any(|message| message.role == Role::Assistant && message.loss != Some(false)),
        "nothing to train on: every answer has `loss` false"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(row: Value) -> Result<Vec<Message>> {
        let Value::Object(fields) = row else { bail!("a row is an object") };
        messages(&Fields(fields))
    }

    /// Roles by their first letter, so that a test reads as the conversation: `u:hi a:hello`.
    fn check_row(row: Value, expected: &[&str]) {
        let messages = read(row).expect("the row is good");
        let lines: Vec<String> = messages.iter().map(|m| format!("{}:{}", &m.role.as_str()[..1], m.content)).collect();
        assert_eq!(lines, expected);
    }

    fn check_error(row: Value, expected: &str) {
        let error = format!("{:#}", read(row).expect_err("the row is bad"));
        assert!(error.contains(expected), "{error:?} should hold {expected:?}");
    }

    #[test]
    fn turns_under_every_accepted_name() {
        let expected = ["s:S", "u:Q", "a:A"];
        check_row(
            json!({"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"},
                {"role": "assistant", "content": "A"}]}),
            &expected,
        );
        check_row(json!({"conversations": [{"from": "human", "value": "Q"}, {"from": "gpt", "value": "A"}], "system": "S"}), &expected);
        check_row(json!({"conversation": [{"human": "Q", "assistant": "A"}], "system": "S"}), &expected);
        check_row(
            json!({"messages": [{"role": "User", "content": "Q"}, {"role": "model", "content": "A"},
                {"role": "human", "content": "R"}, {"role": "bot", "content": "B"}]}),
            &["u:Q", "a:A", "u:R", "a:B"],
        );
    }

    #[test]
    fn turns_in_a_csv_cell_are_json() {
        check_row(json!({"messages": r#"[{"role": "user", "content": "Q"}, {"role": "bot", "content": "A"}]"#}), &["u:Q", "a:A"]);
        check_error(json!({"messages": "hello"}), "key `messages`: expected a list, written as JSON");
    }

    #[test]
    fn loss_is_kept_per_message() {
        let row = json!({"messages": [
            {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "loss": false},
            {"role": "user", "content": "Q"}, {"role": "assistant", "content": "A", "loss": true}]});
        let loss: Vec<_> = read(row).expect("the row is good").iter().map(|message| message.loss).collect();
        assert_eq!(loss, [None, Some(false), None, Some(true)]);
        let row = |loss: Value| {
            json!({"messages": [{"role": "user", "content": "Q"},
                {"role": "assistant", "content": "A", "loss": loss}]})
        };
        check_error(row(json!(1)), "`messages[1]`: key `loss`: expected true or false, found a number");
        check_error(row(json!(false)), "nothing to train on");
    }

    #[test]
    fn alpaca_joins_instruction_and_input() {
        check_row(json!({"instruction": "I", "input": "N", "output": "O"}), &["u:I\nN", "a:O"]);
        check_row(json!({"instruction": "I", "input": "", "output": "O"}), &["u:I", "a:O"]);
        check_row(json!({"instruction": "I", "input": null, "output": "O"}), &["u:I", "a:O"]);
        check_row(json!({"instruction": "I", "output": "O"}), &["u:I", "a:O"]);
        check_row(json!({"instruction": "", "input": "N", "output": "O"}), &["u:N", "a:O"]);
        check_row(json!({"instruction": "I", "input": "输入：一\n输入：二", "output": "O"}), &["u:I\n一\n输入：二", "a:O"]);
        check_row(json!({"instruction": "I", "input": "", "output": "O", "text": "all of it"}), &["u:I", "a:O"]);
    }

    #[test]
    fn history_and_system_come_first() {
        let expected = ["s:S", "u:q", "a:a", "u:Q", "a:A"];
        check_row(json!({"query": "Q", "response": "A", "system": "S", "history": [["q", "a"]]}), &expected);
        check_row(json!({"instruction": "Q", "input": "", "output": "A", "system": "S", "history": "[[\"q\", \"a\"]]"}), &expected);
        check_row(json!({"query": "Q", "response": "A", "system": "", "history": ""}), &["u:Q", "a:A"]);
        check_error(json!({"query": "Q", "response": "A", "history": [["q"]]}), "`history[0]`: expected a question and an answer");
    }

    #[test]
    fn questions_and_answers_under_other_names() {
        check_row(json!({"Question": "Q", "Answer": "A", "difficulty": 3}), &["u:Q", "a:A"]);
        check_row(json!({"prompt": "Q", "completion": "A"}), &["u:Q", "a:A"]);
        check_row(json!({"problem": "Q", "solution": "A", "text": "T"}), &["u:Q", "a:A"]);
        check_row(json!({"query": "Q", "prompt": "P", "response": "A", "answer": "B"}), &["u:Q", "a:A"]);
        check_row(json!({"prompt": "Q", "question": "", "answer": "A", "output": null}), &["u:Q", "a:A"]);
    }

    #[test]
    fn doubtful_columns_are_not_guessed() {
        check_error(
            json!({"question": "Q", "prompt": "P", "answer": "A"}),
            "`prompt` and `question` could both be the question; rename the right one to `query`",
        );
        check_error(json!({"question": "Q", "answers": ["A", "B"]}), "the answer in `answers`: expected text, found a list");
        check_error(json!({"question": "Q"}), "no answer: expected `response` or one of `answer`, ");
        check_error(json!({"text": "T"}), "no question: expected `query` or one of `prompt`, ");
        check_error(json!({"query": 3, "response": "A"}), "key `query`: expected text, found a number");
    }

    #[test]
    fn empty_turns_are_errors() {
        check_error(json!({"instruction": "I", "input": "", "output": ""}), "the answer in `output` is empty");
        check_error(json!({"instruction": "", "input": "", "output": "O"}), "no user turn: `instruction` and `input`");
        check_error(json!({"prompt": " ", "response": "A"}), "the question in `prompt` is empty");
        check_error(json!({"messages": []}), "no user turn");
        check_error(
            json!({"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "\n"}]}),
            "turn 1 (the first is turn 0), from the assistant, is empty",
        );
        check_error(json!({"conversation": [{"human": "Q", "assistant": null}]}), "key `assistant`: expected text, found null");
    }

    #[test]
    fn conversations_out_of_order_are_errors() {
        let turns = |roles: &[&str]| -> Value {
            let turns: Vec<Value> = roles.iter().map(|role| json!({"role": role, "content": "x"})).collect();
            json!({ "messages": turns })
        };
        check_error(turns(&["assistant"]), "no user turn");
        check_error(turns(&["assistant", "user"]), "turn 0 (the first is turn 0) is from the assistant, expected the user");
        check_error(turns(&["user", "user", "assistant"]), "turn 1 (the first is turn 0) is from the user");
        check_error(turns(&["user", "assistant", "user"]), "the last turn is from the user");
        check_error(turns(&["user", "system", "assistant"]), "from the system, expected the assistant");
        check_error(
            json!({"messages": [{"role": "system", "content": "a"}, {"role": "user", "content": "Q"}], "system": "b"}),
            "keep one of them",
        );
    }

    #[test]
    fn tools_and_unknown_roles_are_named() {
        for name in ["function_call", "observation", "tool"] {
            check_error(
                json!({"conversations": [{"from": name, "value": "x"}]}),
                &format!("`conversations[0]`: role `{name}`: tool calls are not supported"),
            );
        }
        check_error(
            json!({"messages": [{"role": "user", "content": "Q"},
                {"role": "assistant", "content": null, "tool_calls": [{}]}]}),
            "`messages[1]`: `tool_calls` in the turn is not supported: tool calls are not trained on",
        );
        check_error(json!({"messages": [{"role": "narrator", "content": "x"}]}), "unknown role `narrator`; expected system, user");
        check_error(json!({"messages": [{"speaker": "x"}]}), "found the keys `speaker`");
        check_error(json!({"messages": [{"role": "user"}]}), "expected text in `content` or `value`, found the keys `role`");
    }
}
