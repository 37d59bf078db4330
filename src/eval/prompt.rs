//! An item as token ids: what the model reads, and the answers whose likelihood is asked for.
//!
//! In a chat the prompt is tokenized apart from the answer, as in training. A plain text is tokenized together with each
//! continuation, and the prompt ends where these begin to differ: that is the border at which a model that has read
//! such text chooses between them.

use anyhow::{Context, Result};

use super::likelihood::Probes;
use super::suite::{FewShot, Item, PromptFormat, SystemPrompt};
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::model::tokenizer::TextCodec;

/// What is asked of a model about one item.
#[derive(Debug, Clone, PartialEq)]
pub struct ItemPrompt {
    /// The question as its reader sees it, without what leads to it.
    pub text: String,
    /// Everything the model reads.
    pub ids: Vec<u32>,
    /// Continuations whose likelihood tells about the item.
    pub probes: Option<Probes>,
}

/// An item under a system prompt.
///
/// `said` is what was asked and answered before in the same conversation.
pub fn ask(item: &Item, said: &[Message], system: &str, template: &ChatTemplate) -> Result<ItemPrompt> {
    let asked = match item.few_shot.as_deref() {
        Some(few_shot) if few_shot.form != PromptFormat::Chat => plain(item, few_shot, template.codec()),
        few_shot => chat(item, few_shot, said, system, template),
    };
    asked.with_context(|| format!("item {}", item.id))
}

fn chat(item: &Item, few_shot: Option<&FewShot>, said: &[Message], system: &str, template: &ChatTemplate) -> Result<ItemPrompt> {
    let ids = template.prompt(&messages(item, few_shot, said, system))?;
    let probes = Probes::of(item, &mut |answer| template.codec().encode_on(answer))?;
    Ok(ItemPrompt { text: item.user_prompt(), ids, probes })
}

/// A question as the messages of a chat.
pub(super) fn messages(item: &Item, few_shot: Option<&FewShot>, said: &[Message], system: &str) -> Vec<Message> {
    let system = match &item.system {
        SystemPrompt::Own => Some(system),
        SystemPrompt::Empty => Some(""),
        SystemPrompt::Default => None,
        SystemPrompt::Text(text) => Some(text.as_str()),
    };
    let mut messages: Vec<Message> = system.into_iter().map(|system| Message::new(Role::System, system)).collect();
    for shot in few_shot.iter().flat_map(|few_shot| &few_shot.shots) {
        messages.push(Message::new(Role::User, shot.question.as_str()));
        messages.push(Message::new(Role::Assistant, shot.answer.as_str()));
    }
    messages.extend_from_slice(&item.history);
    messages.extend_from_slice(said);
    messages.push(Message::new(Role::User, item.user_prompt()));
    messages
}

fn plain(item: &Item, few_shot: &FewShot, codec: &TextCodec) -> Result<ItemPrompt> {
    let text = item.user_prompt();
    let whole = few_shot.text(&text);
    let alone = codec.encode(&whole)?;
    let mut shared = alone.len();
    let mut probes = Probes::of(item, &mut |answer| {
        let ids = codec.encode(&format!("{whole}{}{answer}", few_shot.gap))?;
        shared = shared.min(alone.iter().zip(&ids).take_while(|(a, b)| a == b).count());
        Ok(ids)
    })?;
    if let Some(probes) = &mut probes {
        probes.without_prompt(shared)?;
    }
    let ids = codec.beginning()?.into_iter().chain(alone[..shared].iter().copied()).collect();
    Ok(ItemPrompt { text, ids, probes })
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use tokenizers::Tokenizer;

    use super::*;
    use crate::eval::suite::{Shot, parse_suite};
    use crate::files::read_json;

    fn folder() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2")
    }

    /// The tiny model's tokenizer, one token a byte, with `:A` as one more token.
    fn merging() -> TextCodec {
        let mut json: serde_json::Value = read_json(&folder().join("tokenizer.json")).unwrap();
        let next = json["model"]["vocab"].as_object().unwrap().len();
        json["model"]["vocab"][":A"] = next.into();
        json["model"]["merges"] = serde_json::json!([[":", "A"]]);
        json["pre_tokenizer"]["use_regex"] = false.into();
        let tokenizer = Tokenizer::from_bytes(json.to_string()).unwrap();
        TextCodec::new(tokenizer, String::new(), "<|im_end|>".to_owned(), String::new()).unwrap()
    }

    fn item(form: PromptFormat, gap: &str) -> Item {
        let settings = "name = \"t\"\nversion = 1\ngrader = \"choice\"\nmax_new_tokens = 8\nchance = 0.5\ndescription = \"d\"\n";
        let line = r#"{"id":"a","cluster":"a","lang":"en","subject":"s","prompt":"q","choices":["x","yz"],"gold":1}"#;
        let mut item = parse_suite(settings, line, "t").unwrap().items.remove(0);
        let shots = vec![Shot { question: "p:".to_owned(), answer: "B".to_owned() }];
        if form == PromptFormat::Plain {
            item.form = Some("{prompt}\nAnswer:".to_owned());
        }
        item.few_shot = Some(Arc::new(FewShot { form, head: "h\n".to_owned(), gap: gap.to_owned(), shots }));
        item
    }

    #[test]
    fn a_plain_prompt_is_the_text_and_nothing_else() {
        let codec = TextCodec::from_folder(&folder()).unwrap();
        let template = ChatTemplate::new(codec.clone()).unwrap();
        let asked = ask(&item(PromptFormat::Plain, " "), &[], "Be brief.", &template).unwrap();
        assert_eq!(codec.decode_all(&asked.ids).unwrap(), "h\np: B\n\nq\nAnswer:");
        assert_eq!(asked.text, "q\nAnswer:");
        let probes = asked.probes.unwrap();
        assert_eq!(probes.letters, [" A", " B"].map(|letter| codec.encode(letter).unwrap()));
        assert_eq!(probes.texts, [" x", " yz"].map(|text| codec.encode(text).unwrap()));
    }

    #[test]
    fn a_token_across_the_border_belongs_to_the_answer() {
        let codec = merging();
        let asked = plain(&item(PromptFormat::Plain, ""), item(PromptFormat::Plain, "").few_shot.as_deref().unwrap(), &codec).unwrap();
        // `:A` is one token, so the prompt of every answer ends before the colon.
        assert_eq!(codec.decode_all(&asked.ids).unwrap(), "h\np:B\n\nq\nAnswer");
        let probes = asked.probes.unwrap();
        assert_eq!(probes.letters, [":A", ":B"].map(|letter| codec.encode(letter).unwrap()));
        assert_eq!((probes.letters[0].len(), probes.letters[1].len()), (1, 2));
        assert_eq!(codec.decode_all(&probes.texts[1]).unwrap(), ":yz");
    }

    #[test]
    fn examples_of_a_chat_are_turns() {
        let template = ChatTemplate::new(TextCodec::from_folder(&folder()).unwrap()).unwrap();
        let asked = ask(&item(PromptFormat::Chat, ""), &[], "Be brief.", &template).unwrap();
        let question = "q\nA. x\nB. yz\nAnswer with the letter only.";
        assert_eq!(asked.text, question);
        assert_eq!(
            template.codec().decode_all(&asked.ids).unwrap(),
            format!(
                "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\np:<|im_end|>\n<|im_start|>assistant\nB<|im_end|>\n\
                 <|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
            )
        );
        assert_eq!(asked.probes.unwrap().letters, ["A", "B"].map(|letter| template.codec().encode(letter).unwrap()));
    }

    #[test]
    fn a_text_begins_as_the_tokenizer_begins_texts() {
        let mut json: serde_json::Value = read_json(&folder().join("tokenizer.json")).unwrap();
        let start = "<|im_start|>";
        let id = json["added_tokens"].as_array().unwrap().iter().find(|token| token["content"] == start).unwrap()["id"].clone();
        json["post_processor"] = serde_json::json!({
            "type": "TemplateProcessing",
            "single": [{"SpecialToken": {"id": start, "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {start: {"id": start, "ids": [id], "tokens": [start]}}
        });
        let codec = |bos: &str| {
            let tokenizer = Tokenizer::from_bytes(json.to_string()).unwrap();
            TextCodec::new(tokenizer, String::new(), "<|im_end|>".to_owned(), bos.to_owned()).unwrap()
        };
        let asked = |codec: &TextCodec| {
            plain(&item(PromptFormat::Plain, " "), item(PromptFormat::Plain, " ").few_shot.as_deref().unwrap(), codec).unwrap().ids
        };
        assert_eq!(asked(&codec(start)).len(), asked(&codec("")).len() + 1);
        assert_eq!(asked(&codec(start))[0], codec(start).encode(start).unwrap()[0]);
    }
}
