//! A model's answers to items, graded, each handed on as it is finished.
//!
//! Items are answered in fixed groups: of similar length on the host, a whole suite on a GPU, where the base and all
//! variants answer in one batch. A group that a kill cut short is answered again as a whole, and only the missing rows are
//! handed on, so a continued evaluation gives the rows of an uninterrupted one.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use rayon::prelude::*;

use super::budget::Budgets;
use super::generate::{Answering, Prompt, Read};
use super::grading::Grader;
use super::likelihood::{Continuation, Likelihood, Probes, ScoredIds};
use super::prompt;
use super::score::{Answer, Graded, IdentityTerms, Verdict, grade, never_closed};
use super::suite::{EvalSettings, Item, Scoring, SystemPrompt, choice_letter};
use super::whole::Whole;
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::data::thinking::{Said, Thought};
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::Decoder;
use crate::sandbox::Sandbox;

/// Items of a group on the host.
const GROUP: usize = 96;
/// Tokens of the prompts of one group, unless one alone has more: bounds what is kept of them.
const GROUP_TOKENS: usize = 1 << 16;

/// Everything that stays the same from suite to suite.
pub struct Evaluator<'a> {
    /// The base.
    pub decoder: &'a Decoder,
    /// Adapters over it.
    pub adapter_set: &'a AdapterSet<'a>,
    /// Renders and tokenizes.
    pub template: &'a ChatTemplate,
    /// System prompt for every question.
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
    /// Each part of an item that has several, in order.
    pub parts: Vec<AnsweredPart>,
    /// What the model thinks of the right answer and of the options.
    pub likelihood: Option<Likelihood>,
    /// The prompt as the model is given it: of parts asked apart all prompts, of a conversation what stands before the model's
    /// own first answer, so that it is the same whatever the model answers.
    pub prompt_ids: Vec<u32>,
    /// Tokens of all prompts that were read, the model's earlier answers in a conversation included.
    pub prompt_tokens: usize,
    /// Tokens of the answer, without what was thought.
    pub answer_tokens: usize,
    /// What was thought before it; of an item with parts in all of them together.
    pub thought: Option<Thought>,
}

/// One part of an item answered and graded.
#[derive(Debug, Clone, PartialEq)]
pub struct AnsweredPart {
    /// The user's message.
    pub prompt: String,
    /// The model's answer.
    pub answer: String,
    /// Whether the item's verdict rests on it.
    pub counts: bool,
    /// What it is worth.
    pub graded: Graded,
}

/// One of those who answer the same items.
#[derive(Debug, Clone, Copy)]
pub struct Asker<'a> {
    /// Its adapter in the adapter set; None is the base.
    pub adapter: Option<usize>,
    /// Ids of items whose rows are there already.
    pub done: &'a HashSet<String>,
}

impl Evaluator<'_> {
    /// Answers all items but those in `done`, through the only adapter or the base; `sink` gets each as it is finished.
    pub fn answer<'i>(
        &self,
        items: &'i [Item],
        asking: EvalSettings,
        done: &HashSet<String>,
        sink: &mut dyn FnMut(Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let asker = Asker { adapter: self.adapter_set.only(), done };
        self.answer_all(items, asking, &[asker], &mut |_, answered| sink(answered))
    }

    /// Has several answer the items side by side; `sink` gets the index of who answered with each answer.
    pub fn answer_all<'i>(
        &self,
        items: &'i [Item],
        asking: EvalSettings,
        askers: &[Asker<'_>],
        sink: &mut dyn FnMut(usize, Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let mut whole = Whole::new(askers, sink);
        let mut asked = Vec::new();
        for item in items.iter().filter(|item| !item.is_conversation()) {
            for (part, leaf) in item.leaves().into_iter().enumerate() {
                asked.push(self.ask(item, part, leaf, &[], asking.max_new_tokens)?);
            }
        }
        let on_host = self.decoder.device().is_cpu();
        if on_host {
            // Stable, so items of one length keep the file's order and groups are the same in every run.
            asked.sort_by_key(|asked| asked.prompt.ids.len());
        } else {
            // Prompts that begin alike come together, and share what was computed of their beginning.
            asked.sort_by(|a, b| a.prompt.ids.cmp(&b.prompt.ids));
        }
        for items in if on_host { groups(&asked) } else { vec![asked.as_slice()] } {
            let missing = |asker: &Asker<'_>| items.iter().any(|asked| !asker.done.contains(&asked.whole.id));
            if !askers.iter().any(missing) {
                continue;
            }
            let group = Group { items, askers };
            match asking.scoring {
                Scoring::Generated => self.answer_group(&group, &mut |asker, asked, answered| whole.add(asker, asked.part, answered))?,
                Scoring::Likelihood => self.choose_group(&group, &mut |asker, asked, answered| whole.add(asker, asked.part, answered))?,
            }
        }
        let talks: Vec<&Item> = items.iter().filter(|item| item.is_conversation()).collect();
        for talks in talks.chunks(GROUP) {
            for (index, asker) in askers.iter().enumerate() {
                if talks.iter().any(|item| !asker.done.contains(&item.id)) {
                    self.converse(talks, asker.adapter, asking.max_new_tokens, &mut |part, answered| whole.add(index, part, answered))?;
                }
            }
        }
        Ok(())
    }

    /// Conversations, a turn of all of them at a time: what was answered stands before what is asked next.
    fn converse<'i>(
        &self,
        talks: &[&'i Item],
        adapter: Option<usize>,
        max_new_tokens: usize,
        sink: &mut dyn FnMut(usize, Answered<'i>) -> Result<()>,
    ) -> Result<()> {
        let none = HashSet::new();
        let asker = [Asker { adapter, done: &none }];
        let mut said: Vec<Vec<Message>> = vec![Vec::new(); talks.len()];
        let turns = talks.iter().map(|item| item.leaves().len()).max().unwrap_or(0);
        for turn in 0..turns {
            let with_turn: Vec<(usize, &'i Item, &'i Item)> =
                talks.iter().enumerate().filter_map(|(i, item)| Some((i, *item, *item.leaves().get(turn)?))).collect();
            let asked = with_turn
                .iter()
                .map(|(i, item, leaf)| Ok(Question { probes: None, ..self.ask(item, turn, leaf, &said[*i], max_new_tokens)? }))
                .collect::<Result<Vec<_>>>()?;
            let group = Group { items: &asked, askers: &asker };
            self.answer_group(&group, &mut |_, asked, answered| {
                let talk = with_turn.iter().find(|(_, item, _)| std::ptr::eq(*item, asked.whole)).map(|(i, ..)| *i);
                let talk = talk.context("an answer belongs to no conversation")?;
                said[talk].push(Message::new(Role::User, answered.prompt.as_str()));
                said[talk].push(Message::new(Role::Assistant, answered.answer.as_str()));
                sink(turn, answered)
            })?;
        }
        Ok(())
    }

    /// The prompt of an item as token ids, exactly as it is asked; of one with parts those of all of them, one after the other, as
    /// far as they do not depend on answers.
    pub fn prompt(&self, item: &Item) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for leaf in item.leaves() {
            ids.extend(self.ask(item, 0, leaf, &[], 0)?.prompt.ids);
        }
        Ok(ids)
    }

    /// The prompt of an item, or of one of its parts, as the model is given it.
    fn ask<'i>(&self, whole: &'i Item, part: usize, leaf: &'i Item, said: &[Message], max_new_tokens: usize) -> Result<Question<'i>> {
        let item = filled(leaf, self.identity);
        let prompt::ItemPrompt { text, ids, probes } = prompt::ask(&item, said, self.system, self.template)?;
        // What is likely where the model is to think says nothing of its answer.
        let probes = probes.filter(|_| !self.template.marks().after(&ids).thinks());
        Ok(Question { whole, part, item, text, prompt: Prompt { ids, max_new_tokens, adapter: None }, probes })
    }

    /// Items whose verdict is the option that the model finds most probable: nothing is generated.
    fn choose_group<'i>(&self, group: &Group<'_, 'i>, sink: &mut Sink<'_, 'i>) -> Result<()> {
        let answering = Answering::new(self.decoder, self.adapter_set);
        answering.read(&group.prompts(), &mut |read| {
            for (prompt, likelihood) in read.prompts.iter().zip(group.likelihoods(&answering, read)?) {
                let (asker, asked) = group.place(*prompt);
                if group.is_done(asker, asked) {
                    continue;
                }
                sink(asker, asked, asked.chosen(likelihood)?)?;
            }
            Ok(())
        })
    }

    fn answer_group<'i>(&self, group: &Group<'_, 'i>, sink: &mut Sink<'_, 'i>) -> Result<()> {
        let answering =
            Answering::new(self.decoder, self.adapter_set).thinking(self.template.marks(), self.template.settings().thinking.budget);
        let prompts = group.prompts();
        let likelihoods = RefCell::new(vec![None; prompts.len()]);
        let mut programs = Vec::new();
        let codec = self.template.codec();
        let mut reading = |read: &Read| -> Result<()> {
            for (prompt, likelihood) in read.prompts.iter().zip(group.likelihoods(&answering, read)?) {
                likelihoods.borrow_mut()[*prompt] = likelihood;
            }
            Ok(())
        };
        answering.read_and_answer(&prompts, &codec.stops, &mut reading, &mut |prompt, generated| {
            let (asker, asked) = group.place(prompt);
            if group.is_done(asker, asked) {
                return Ok(());
            }
            let said = self.template.marks().read(codec, &asked.prompt.ids, &generated.ids)?;
            if asked.item.program().is_some() && !said.never_closed() {
                programs.push((asker, asked, generated.truncated, said));
                return Ok(());
            }
            let graded = if said.never_closed() {
                never_closed(generated.truncated)
            } else {
                grade(&asked.item, &Answer { text: &said.text, truncated: generated.truncated }, self.identity)
            };
            sink(asker, asked, asked.answered(said, graded, likelihoods.borrow_mut()[prompt].take()))
        })?;
        let graded: Vec<Result<Graded>> =
            programs.par_iter().map(|(_, asked, truncated, said)| self.run_program(&asked.item, *truncated, &said.text)).collect();
        for ((asker, asked, _, said), graded) in programs.into_iter().zip(graded) {
            sink(asker, asked, asked.answered(said, graded.with_context(|| format!("item {}", asked.item.id))?, None))?;
        }
        Ok(())
    }

    fn run_program(&self, item: &Item, truncated: bool, text: &str) -> Result<Graded> {
        let grader = Grader { identity: self.identity, sandbox: self.sandbox, budgets: self.budgets };
        grader.grade(item, &Answer { text, truncated })
    }
}

/// The items in groups that depend on their prompts alone.
fn groups<'a, 'i>(asked: &'a [Question<'i>]) -> Vec<&'a [Question<'i>]> {
    let (mut groups, mut rest) = (Vec::new(), asked);
    while !rest.is_empty() {
        let mut tokens = 0;
        let fitting = rest.iter().take(GROUP).take_while(|asked| {
            tokens += asked.prompt.ids.len();
            tokens <= GROUP_TOKENS
        });
        let (group, later) = rest.split_at(fitting.count().max(1));
        groups.push(group);
        rest = later;
    }
    groups
}

/// Takes who answered what, and the answer.
type Sink<'s, 'i> = dyn FnMut(usize, &Question<'i>, Answered<'i>) -> Result<()> + 's;

struct Question<'i> {
    /// The item, and which of its parts is asked.
    whole: &'i Item,
    part: usize,
    /// What is asked, names filled in.
    item: Cow<'i, Item>,
    text: String,
    prompt: Prompt,
    probes: Option<Probes>,
}

/// Items answered in one go, by everyone who is asked: one prompt for each asker and item, asker by asker.
struct Group<'g, 'i> {
    items: &'g [Question<'i>],
    askers: &'g [Asker<'g>],
}

impl<'g, 'i> Group<'g, 'i> {
    fn prompts(&self) -> Vec<Prompt> {
        let of = |asker: &Asker<'_>| {
            let adapter = asker.adapter;
            self.items.iter().map(move |asked| Prompt { adapter, ..asked.prompt.clone() })
        };
        self.askers.iter().flat_map(of).collect()
    }

    /// Who is asked what by the prompt of an index.
    fn place(&self, prompt: usize) -> (usize, &'g Question<'i>) {
        (prompt / self.items.len(), &self.items[prompt % self.items.len()])
    }

    fn is_done(&self, asker: usize, asked: &Question<'_>) -> bool {
        self.askers[asker].done.contains(&asked.whole.id)
    }

    /// What is thought of the answer of each prompt read.
    fn likelihoods(&self, answering: &Answering<'_>, read: &Read) -> Result<Vec<Option<Likelihood>>> {
        let probes: Vec<Option<&Probes>> = read.prompts.iter().map(|prompt| self.place(*prompt).1.probes.as_ref()).collect();
        let asked: Vec<Continuation> =
            probes.iter().enumerate().filter_map(|(i, probes)| Some(probes.as_ref()?.continuations(i))).flatten().collect();
        let mut scores = answering.log_likelihoods(read, &asked)?.into_iter();
        let mut read_own = |probes: &Probes| {
            let own: Vec<Vec<f32>> = scores.by_ref().take(probes.texts.len() + probes.letters.len()).collect();
            probes.read(&own)
        };
        Ok(probes.into_iter().map(|probes| probes.map(&mut read_own)).collect())
    }
}

impl<'i> Question<'i> {
    /// The option that is most probable, as the answer.
    fn chosen(&self, likelihood: Option<Likelihood>) -> Result<Answered<'i>> {
        let (Some(mut likelihood), Some(probes)) = (likelihood, &self.probes) else { bail!(no_options(&self.item.id)) };
        let (answer, graded) = chosen(&self.item.id, probes, &likelihood)?;
        let continuations = probes.continuations(0).map(|c| c.ids).collect();
        likelihood.ids = Some(ScoredIds { prompt: self.prompt.ids.clone(), continuations });
        Ok(self.answered(Said { text: answer, tokens: 0, thought: None }, graded, Some(likelihood)))
    }

    fn answered(&self, said: Said, graded: Graded, likelihood: Option<Likelihood>) -> Answered<'i> {
        Answered {
            item: self.whole,
            prompt: self.text.clone(),
            answer: said.text,
            graded,
            parts: Vec::new(),
            likelihood,
            prompt_ids: self.prompt.ids.clone(),
            prompt_tokens: self.prompt.ids.len(),
            answer_tokens: said.tokens,
            thought: said.thought,
        }
    }
}

fn no_options(item: &str) -> String {
    format!(
        "item {item} has no options to choose from, or its prompt ends where the model is to think: its suite cannot be scored by likelihood"
    )
}

/// The letter of the option that is most probable, and its grade.
pub(super) fn chosen(item: &str, probes: &Probes, likelihood: &Likelihood) -> Result<(String, Graded)> {
    let Some(right) = likelihood.right else { bail!(no_options(item)) };
    let answer = choice_letter(probes.chosen(&likelihood.texts, &likelihood.letters)).to_string();
    let graded = Graded {
        verdict: if right { Verdict::Correct } else { Verdict::Wrong },
        extracted: Some(answer.clone()),
        strict: right,
        lenient: right,
        flags: Vec::new(),
        detail: None,
    };
    Ok((answer, graded))
}

/// An item whose question names the identity, with the names in their places.
pub(super) fn filled<'i>(item: &'i Item, identity: &IdentityTerms) -> Cow<'i, Item> {
    let named = |text: &str| text.contains("{{");
    let system = match &item.system {
        SystemPrompt::Text(text) => named(text),
        _ => false,
    };
    if !named(&item.prompt) && !system && !item.history.iter().any(|message| named(&message.content)) {
        return Cow::Borrowed(item);
    }
    let mut filled = item.clone();
    let fill = |text: &mut String| *text = identity.asked(text, item.language);
    fill(&mut filled.prompt);
    if let SystemPrompt::Text(text) = &mut filled.system {
        fill(text);
    }
    filled.history.iter_mut().for_each(|message| fill(&mut message.content));
    Cow::Owned(filled)
}
