//! A model's answers to items, graded, each handed on as it is finished.
//!
//! Items are answered in fixed groups of similar length. A group that a kill cut short is answered again as a whole,
//! and only the missing rows are handed on, so a continued evaluation gives the rows of an uninterrupted one.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;

use super::budget::Budgets;
use super::generate::{Generated, Prompt, go_on, read};
use super::likelihood::{Continuation, Likelihood, Probes, ScoredIds, first_largest, log_likelihoods};
use super::program::check_program;
use super::score::{Answer, CodeOutcome, CodeRun, Graded, IdentityTerms, Verdict, extract_code, grade, grade_composite};
use super::suite::{Item, Scoring, SystemPrompt, choice_letter};
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::model::decoder::Decoder;
use crate::model::lora::Adapter;
use crate::sandbox::{CodeVerdict, Sandbox};

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
    /// How long they may.
    pub budgets: &'a Budgets,
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
    /// What the model thinks of the right answer and of the options.
    pub likelihood: Option<Likelihood>,
    /// The prompt as the model is given it.
    pub prompt_ids: Vec<u32>,
    /// Tokens of the answer.
    pub answer_tokens: usize,
}

/// How a suite's items are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asking {
    /// Longest answer.
    pub max_new_tokens: usize,
    /// What the verdict rests on.
    pub scoring: Scoring,
}

impl Evaluator<'_> {
    /// Answers all items but those in `done`; `sink` gets each as it is finished.
    pub fn answer<'i>(
        &self,
        items: &'i [Item],
        asking: Asking,
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let mut asked = items.iter().map(|item| self.ask(item, asking.max_new_tokens)).collect::<Result<Vec<_>>>()?;
        // Stable, so items of one length keep the file's order and groups are the same in every run.
        asked.sort_by_key(|asked| asked.prompt.ids.len());
        for group in asked.chunks(GROUP) {
            if group.iter().all(|asked| done.contains(&asked.item.id)) {
                continue;
            }
            match asking.scoring {
                Scoring::Generated => self.answer_group(group, done, sink)?,
                Scoring::Likelihood => self.choose_group(group, done, sink)?,
            }
        }
        Ok(())
    }

    /// The prompt of an item as token ids, exactly as it is asked.
    pub fn prompt(&self, item: &Item) -> Result<Vec<u32>> {
        Ok(self.ask(item, 0)?.prompt.ids)
    }

    /// The prompt of an item as the model is given it.
    fn ask<'i>(&self, item: &'i Item, max_new_tokens: usize) -> Result<Asked<'i>> {
        let text = item.user_prompt();
        let system = match item.system {
            SystemPrompt::Own => Some(self.system),
            SystemPrompt::Empty => Some(""),
            SystemPrompt::Default => None,
        };
        let system = system.map(|system| Message::new(Role::System, system));
        let messages: Vec<Message> = system.into_iter().chain([Message::new(Role::User, text.as_str())]).collect();
        let context = || format!("item {}", item.id);
        let ids = self.template.prompt(&messages).with_context(context)?;
        let probes = Probes::of(item, self.template.codec()).with_context(context)?;
        Ok(Asked { item, text, prompt: Prompt { ids, max_new_tokens }, probes })
    }

    /// Items whose verdict is the option that the model finds most probable: nothing is generated.
    fn choose_group<'i>(
        &self,
        group: &[Asked<'i>],
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let prompts: Vec<Prompt> = group.iter().map(|asked| asked.prompt.clone()).collect();
        let read = read(self.decoder, self.adapter, &prompts)?;
        let likelihoods = self.likelihoods(group, &read)?;
        for (asked, likelihood) in group.iter().zip(likelihoods) {
            if done.contains(&asked.item.id) {
                continue;
            }
            let Some((mut likelihood, right)) = likelihood.and_then(|l| l.right.map(|right| (l, right))) else {
                bail!("item {} has no options to choose from: its suite cannot be scored by likelihood", asked.item.id);
            };
            let lettered = !likelihood.letters.is_empty();
            let chosen = first_largest(if lettered { &likelihood.letters } else { &likelihood.texts });
            let answer = choice_letter(chosen).to_string();
            let graded = Graded {
                verdict: if right { Verdict::Correct } else { Verdict::Wrong },
                extracted: Some(answer.clone()),
                strict: right,
                lenient: right,
                flags: Vec::new(),
                detail: None,
            };
            likelihood.ids = asked.probes.as_ref().map(|probes| ScoredIds {
                prompt: asked.prompt.ids.clone(),
                continuations: probes.continuations(0).map(|c| c.ids).collect(),
            });
            let none = Generated { ids: Vec::new(), truncated: false };
            sink(asked.answered(answer, &none, graded, Some(likelihood)))?;
        }
        Ok(())
    }

    /// What the model thinks of each item's answer.
    fn likelihoods(&self, group: &[Asked<'_>], read: &super::generate::Read) -> Result<Vec<Option<Likelihood>>> {
        let probes = |asked: &Asked<'_>| asked.probes.clone();
        let asked: Vec<Continuation> = group
            .iter()
            .enumerate()
            .filter_map(|(i, asked)| probes(asked).map(|p| p.continuations(i).collect::<Vec<_>>()))
            .flatten()
            .collect();
        let mut scores = log_likelihoods(self.decoder, self.adapter, read, &asked)?.into_iter();
        Ok(group
            .iter()
            .map(|asked| {
                let probes = asked.probes.as_ref()?;
                let own: Vec<Vec<f32>> = scores.by_ref().take(probes.texts.len() + probes.letters.len()).collect();
                Some(probes.read(&own))
            })
            .collect())
    }

    fn answer_group<'i>(
        &self,
        group: &[Asked<'i>],
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let prompts: Vec<Prompt> = group.iter().map(|asked| asked.prompt.clone()).collect();
        let read = read(self.decoder, self.adapter, &prompts)?;
        let likelihoods = self.likelihoods(group, &read)?;
        let mut programs = Vec::new();
        let codec = self.template.codec();
        go_on(self.decoder, self.adapter, &prompts, read, &codec.stops, &mut |i, generated| {
            let asked = &group[i];
            if done.contains(&asked.item.id) {
                return Ok(());
            }
            let text = codec.decode(&generated.ids)?;
            if asked.item.program().is_some() {
                programs.push((asked, generated, text));
                return Ok(());
            }
            let graded = grade(asked.item, &Answer { text: &text, truncated: generated.truncated }, self.identity);
            sink(asked.answered(text, &generated, graded, likelihoods[i].clone()))
        })?;
        let graded: Vec<Result<Graded>> =
            programs.par_iter().map(|(asked, generated, text)| self.run_program(asked.item, generated, text)).collect();
        for ((asked, generated, text), graded) in programs.into_iter().zip(graded) {
            sink(asked.answered(text, &generated, graded.with_context(|| format!("item {}", asked.item.id))?, None))?;
        }
        Ok(())
    }

    fn run_program(&self, item: &Item, generated: &Generated, text: &str) -> Result<Graded> {
        let program = item.program().with_context(|| format!("{} asks for no program", item.id))?;
        let answer = Answer { text, truncated: generated.truncated };
        let run = match extract_code(text, program.entry_point) {
            None => None,
            Some(code) => {
                let limits = self.budgets.limits(self.sandbox, item)?;
                let checked = check_program(self.sandbox, program, &code, &limits)?;
                let detail = Some(checked.detail).filter(|detail| !detail.is_empty());
                Some(CodeRun { code, outcome: outcome(checked.verdict), detail })
            }
        };
        // Of an item that asks for nothing but a program this is the grade of the program.
        Ok(grade_composite(item, &answer, self.identity, run))
    }
}

struct Asked<'i> {
    item: &'i Item,
    text: String,
    prompt: Prompt,
    probes: Option<Probes>,
}

impl<'i> Asked<'i> {
    fn answered(&self, answer: String, generated: &Generated, graded: Graded, likelihood: Option<Likelihood>) -> Answered<'i> {
        Answered {
            item: self.item,
            prompt: self.text.clone(),
            answer,
            graded,
            likelihood,
            prompt_ids: self.prompt.ids.clone(),
            answer_tokens: generated.ids.len(),
        }
    }
}

/// The sandbox says how a program ended; grading does not know the sandbox.
pub fn outcome(verdict: CodeVerdict) -> CodeOutcome {
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
