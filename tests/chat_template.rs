//! Rendering and tokenizing conversations, against golden files made by `tests/golden/make.py` with jinja2 and the
//! Python tokenizers library from the models' own templates and vocabularies.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use ballast::data::chat::ChatTemplate;
use ballast::data::example::{Message, Role};
use ballast::model::tokenizer::TextCodec;
use serde::Deserialize;
use tokenizers::Tokenizer;

#[derive(Deserialize)]
struct Golden {
    template: String,
    eos_token: String,
    tokenizer: serde_json::Value,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    messages: Vec<Turn>,
    rendered: String,
    segments: Vec<Piece>,
    ids: Vec<u32>,
    mask: Vec<u8>,
    prompt_ids: Vec<u32>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

#[derive(Deserialize, PartialEq, Debug)]
struct Piece {
    text: String,
    label: bool,
}

fn golden(name: &str) -> (ChatTemplate, Vec<Case>) {
    let path = format!("{}/tests/golden/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let golden: Golden = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let tokenizer: Tokenizer = golden.tokenizer.to_string().parse().unwrap();
    let codec = TextCodec::new(tokenizer, golden.template, golden.eos_token, String::new()).unwrap();
    (ChatTemplate::new(codec).unwrap(), golden.cases)
}

fn messages(turns: &[Turn]) -> Vec<Message> {
    let role = |name: &str| match name {
        "system" => Role::System,
        "user" => Role::User,
        "assistant" => Role::Assistant,
        other => panic!("role {other}"),
    };
    turns.iter().map(|turn| Message::new(role(&turn.role), turn.content.as_str())).collect()
}

#[test]
fn conversations_become_the_golden_ids_and_masks() {
    for name in ["smollm2", "qwen2.5"] {
        let (template, cases) = golden(name);
        assert!(cases.len() >= 8);
        for case in &cases {
            let place = format!("{name}, {}", case.name);
            let messages = messages(&case.messages);
            assert_eq!(template.render(&messages, false).unwrap(), case.rendered, "{place}");
            let turns = template.turns(&messages).unwrap();
            let pieces: Vec<Piece> = turns.into_iter().map(|s| Piece { text: s.text, label: s.label }).collect();
            assert_eq!(pieces, case.segments, "{place}");
            let row = template.training_row(&messages).unwrap();
            assert_eq!(row.ids, case.ids, "{place}");
            assert_eq!(row.mask.iter().map(|label| u8::from(*label)).collect::<Vec<_>>(), case.mask, "{place}");
            let question = &messages[..messages.len() - 1];
            assert_eq!(template.prompt(question).unwrap(), case.prompt_ids, "{place}");
        }
    }
}

#[test]
fn the_ids_of_a_question_begin_its_training_row() {
    for name in ["smollm2", "qwen2.5"] {
        let (template, cases) = golden(name);
        for case in &cases {
            let messages = messages(&case.messages);
            let prompt = template.prompt(&messages[..messages.len() - 1]).unwrap();
            assert_eq!(template.training_row(&messages).unwrap().ids[..prompt.len()], prompt, "{name}, {}", case.name);
        }
    }
}

#[test]
fn a_row_without_an_answer_is_an_error() {
    let (template, _) = golden("smollm2");
    let error = template.training_row(&[Message::new(Role::User, "hi")]).unwrap_err().to_string();
    assert!(error.contains("must end with an assistant message"), "{error}");
}

#[test]
fn an_answer_can_be_left_without_loss() {
    let (template, _) = golden("smollm2");
    let mut first = Message::new(Role::Assistant, "one");
    first.loss = Some(false);
    let turns = [Message::new(Role::User, "a"), first, Message::new(Role::User, "b"), Message::new(Role::Assistant, "two")];
    let labels: Vec<String> = template.turns(&turns).unwrap().into_iter().filter(|s| s.label).map(|s| s.text).collect();
    assert_eq!(labels, ["two<|im_end|>"]);
}
