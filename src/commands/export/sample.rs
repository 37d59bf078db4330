//! Greedy answers to a sample of shipped questions, before and after: what rounding and quantizing did to them.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde::Serialize;

use super::super::session;
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::eval::generate::{Answering, Prompt};
use crate::eval::suite::Item;
use crate::library;
use crate::model::adapter_set::AdapterSet;
use crate::model::base::BaseModel;
use crate::model::lora::Adapter;
use crate::model::tokenizer::TextCodec;

/// Most tokens of an answer.
const TOKENS: usize = 48;

/// Questions in words.
pub(super) struct Questions {
    texts: Vec<String>,
    system: String,
}

/// What one model was asked and said, as token ids.
pub(super) struct Said {
    prompt: Vec<u32>,
    answer: Vec<u32>,
}

/// The questions and answers of base + adapter, for whoever loads the export elsewhere and wants to compare.
#[derive(Serialize)]
struct Answers<'a> {
    /// How many tokens an answer may have.
    max_new_tokens: usize,
    system: &'a str,
    /// Ids that end an answer; answers are without them.
    stops: &'a [u32],
    questions: Vec<AnsweredQuestion<'a>>,
}

#[derive(Serialize)]
struct AnsweredQuestion<'a> {
    question: &'a str,
    /// The question through the chat template.
    prompt: String,
    prompt_ids: &'a [u32],
    /// The greedy answer of base + adapter, computed in f32.
    answer: String,
    answer_ids: &'a [u32],
}

impl Questions {
    /// So many, of every shipped suite in turn.
    pub(super) fn draw(count: usize, system: &str) -> Result<Self> {
        let names: Vec<String> = library::suite_names().map(str::to_owned).collect();
        let planned = session::planned(&names, Some(count.div_ceil(names.len()).max(1)))?;
        let texts = planned.iter().flat_map(|(_, planned)| planned.items.iter().map(Item::user_prompt));
        Ok(Self { texts: texts.take(count).collect(), system: system.to_owned() })
    }

    /// Has a model answer all of them.
    pub(super) fn ask(&self, base: &BaseModel, adapter: Option<&Adapter>) -> Result<Vec<Said>> {
        let template = ChatTemplate::new(base.codec.clone())?;
        let set = AdapterSet::one(&base.decoder, adapter)?;
        let prompt = |text: &String| {
            let messages = [Message::new(Role::System, self.system.as_str()), Message::new(Role::User, text.as_str())];
            let ids = template.prompt(&messages)?;
            Ok(Prompt { ids, max_new_tokens: TOKENS, adapter: set.only() })
        };
        let prompts = self.texts.iter().map(prompt).collect::<Result<Vec<_>>>()?;
        let mut answers = vec![None; prompts.len()];
        Answering::new(&base.decoder, &set).generate(&prompts, &base.codec.stops, &mut |index, generated| {
            answers[index] = Some(generated.ids);
            Ok(())
        })?;
        let said = prompts.into_iter().zip(answers).map(|(prompt, answer)| Some(Said { prompt: prompt.ids, answer: answer? }));
        said.collect::<Option<Vec<_>>>().context("a question was left without an answer")
    }

    /// What was asked and said, as a file to lie beside an export.
    pub(super) fn to_json(&self, said: &[Said], codec: &TextCodec) -> Result<Vec<u8>> {
        let questions = self.texts.iter().zip(said).map(|(question, said)| {
            Ok(AnsweredQuestion {
                question,
                prompt: codec.decode_all(&said.prompt)?,
                prompt_ids: &said.prompt,
                answer: codec.decode(&said.answer)?,
                answer_ids: &said.answer,
            })
        });
        let questions = questions.collect::<Result<_>>()?;
        let answers = Answers { max_new_tokens: TOKENS, system: &self.system, stops: &codec.stops, questions };
        Ok(format!("{}\n", serde_json::to_string_pretty(&answers)?).into_bytes())
    }

    /// `8 of 8 greedy answers are equal`, and where the first one that is not goes another way.
    pub(super) fn compare(&self, before: &[Said], after: &[Said], codec: &TextCodec) -> Result<String> {
        let prompts = before.iter().zip(after).filter(|(before, after)| before.prompt == after.prompt).count();
        let equal = before.iter().zip(after).filter(|(before, after)| before.answer == after.answer).count();
        let mut text = format!("{equal} of {} greedy answers are equal, {prompts} of {} prompts\n", before.len(), before.len());
        let differing = |(_, (before, after)): &(&String, (&Said, &Said))| before.answer != after.answer;
        if let Some((question, (before, after))) = self.texts.iter().zip(before.iter().zip(after)).find(differing) {
            let at = before.answer.iter().zip(&after.answer).take_while(|(before, after)| before == after).count();
            let token = |said: &Said| -> Result<String> {
                let token = said.answer.get(at).map(|id| codec.decode_all(&[*id])).transpose()?;
                Ok(token.map_or_else(|| "the end".to_owned(), |token| format!("`{}`", token.escape_debug())))
            };
            let question: String = question.chars().take(60).collect();
            writeln!(
                text,
                "  first difference: token {} of the answer to `{}`: {} became {}",
                at + 1,
                question.escape_debug(),
                token(before)?,
                token(after)?
            )?;
        }
        Ok(text)
    }
}
