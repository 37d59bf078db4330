//! A model's answers to items, graded, each handed on as it is finished.
//!
//! Items are answered in fixed groups of similar length. A group that a kill cut short is answered again as a whole,
//! and only the missing rows are handed on, so a continued evaluation gives the rows of an uninterrupted one.

use std::collections::HashSet;

use anyhow::{Context, Result};
use rayon::prelude::*;

use super::generate::{Generated, Prompt, generate};
use super::score::{Answer, CodeOutcome, CodeRun, Graded, IdentityTerms, extract_code, grade, grade_code};
use super::suite::{Item, Task};
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::model::decoder::Decoder;
use crate::model::lora::Adapter;
use crate::sandbox::{CodeTask, CodeVerdict, Limits, Sandbox, check};

/// Rows that decode side by side.
const GROUP: usize = 96;

/// Everything that stays the same from suite to suite.
pub struct Evaluator<'a> {
    /// The base.
    pub decoder: &'a Decoder,
    /// The variant's adapter; None asks the base.
    pub adapter: Option<&'a Adapter>,
    /// Renders and tokenizes.
    pub template: &'a ChatTemplate,
    /// System prompt of every question.
    pub system: &'a str,
    /// Names that count as the new identity.
    pub identity: &'a IdentityTerms,
    /// Where programs run.
    pub sandbox: &'a Sandbox,
}

/// One item answered and graded.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered<'a> {
    /// The item.
    pub item: &'a Item,
    /// The user's message.
    pub prompt: String,
    /// The model's answer.
    pub answer: String,
    /// What it is worth.
    pub graded: Graded,
    /// Tokens of the prompt.
    pub prompt_tokens: usize,
    /// Tokens of the answer.
    pub answer_tokens: usize,
}

impl Evaluator<'_> {
    /// Answers all items but those in `done`; `sink` gets each as it is finished.
    pub fn answer<'i>(
        &self,
        items: &'i [Item],
        max_new_tokens: usize,
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let mut asked = items.iter().map(|item| self.ask(item, max_new_tokens)).collect::<Result<Vec<_>>>()?;
        // Stable, so items of one length keep the file's order and groups are the same in every run.
        asked.sort_by_key(|asked| asked.prompt.ids.len());
        for group in asked.chunks(GROUP) {
            if group.iter().all(|asked| done.contains(&asked.item.id)) {
                continue;
            }
            self.answer_group(group, done, sink)?;
        }
        Ok(())
    }

    /// The prompt of an item as token ids, exactly as it is asked.
    pub fn prompt(&self, item: &Item) -> Result<Vec<u32>> {
        Ok(self.ask(item, 0)?.prompt.ids)
    }

    fn ask<'i>(&self, item: &'i Item, max_new_tokens: usize) -> Result<Asked<'i>> {
        let text = item.user_prompt();
        let messages = [Message::new(Role::System, self.system), Message::new(Role::User, text.as_str())];
        let ids = self.template.prompt(&messages).with_context(|| format!("item {}", item.id))?;
        Ok(Asked { item, text, prompt: Prompt { ids, max_new_tokens } })
    }

    fn answer_group<'i>(
        &self,
        group: &[Asked<'i>],
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let prompts: Vec<Prompt> = group.iter().map(|asked| asked.prompt.clone()).collect();
        let mut programs = Vec::new();
        let codec = self.template.codec();
        generate(self.decoder, self.adapter, &prompts, &codec.stops, &mut |i, generated| {
            let asked = &group[i];
            if done.contains(&asked.item.id) {
                return Ok(());
            }
            let text = codec.decode(&generated.ids)?;
            if matches!(asked.item.task, Task::Code { .. }) {
                programs.push((asked, generated, text));
                return Ok(());
            }
            let graded = grade(asked.item, &Answer { text: &text, truncated: generated.truncated }, self.identity);
            sink(asked.answered(text, &generated, graded))
        })?;
        let graded: Vec<Result<Graded>> =
            programs.par_iter().map(|(asked, generated, text)| self.run_program(asked.item, generated, text)).collect();
        for ((asked, generated, text), graded) in programs.into_iter().zip(graded) {
            sink(asked.answered(text, &generated, graded.with_context(|| format!("item {}", asked.item.id))?))?;
        }
        Ok(())
    }

    fn run_program(&self, item: &Item, generated: &Generated, text: &str) -> Result<Graded> {
        let Task::Code { entry_point, tests, .. } = &item.task else { anyhow::bail!("{} is not a code item", item.id) };
        let answer = Answer { text, truncated: generated.truncated };
        let run = match extract_code(text, entry_point) {
            None => None,
            Some(code) => {
                let task = CodeTask { entry_point: entry_point.clone(), setup: String::new(), tests: tests.clone() };
                let checked = check(self.sandbox, &task, &code, &Limits::default())?;
                let detail = Some(checked.detail).filter(|detail| !detail.is_empty());
                Some(CodeRun { code, outcome: outcome(checked.verdict), detail })
            }
        };
        Ok(grade_code(item, &answer, self.identity, run))
    }
}

struct Asked<'i> {
    item: &'i Item,
    text: String,
    prompt: Prompt,
}

impl<'i> Asked<'i> {
    fn answered(&self, answer: String, generated: &Generated, graded: Graded) -> Answered<'i> {
        Answered {
            item: self.item,
            prompt: self.text.clone(),
            answer,
            graded,
            prompt_tokens: self.prompt.ids.len(),
            answer_tokens: generated.ids.len(),
        }
    }
}

/// The sandbox says how a program ended; grading does not know the sandbox.
fn outcome(verdict: CodeVerdict) -> CodeOutcome {
    match verdict {
        CodeVerdict::Passed => CodeOutcome::Passed,
        CodeVerdict::Failed => CodeOutcome::Failed,
        CodeVerdict::Raised => CodeOutcome::Raised,
        CodeVerdict::SyntaxError => CodeOutcome::SyntaxError,
        CodeVerdict::TimedOut => CodeOutcome::TimedOut,
        CodeVerdict::OutOfMemory => CodeOutcome::OutOfMemory,
        CodeVerdict::OutputLimit => CodeOutcome::OutputLimit,
        CodeVerdict::Killed => CodeOutcome::Killed,
    }
}
