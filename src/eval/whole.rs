//! Answers to the parts of an item, put together once all of them are there.

use std::collections::HashMap;

use anyhow::Result;

use super::run::{Answered, AnsweredPart, Asker};
use super::score::{Graded, Verdict};
use super::suite::{Item, PartMode};
use crate::data::thinking::Thought;

/// Hands items on whole: those without parts at once, the others when their last part is answered.
pub(super) struct Whole<'w, 'i> {
    askers: &'w [Asker<'w>],
    sink: &'w mut dyn FnMut(usize, Answered<'i>) -> Result<()>,
    /// By asker and item, each part's answer.
    open: HashMap<(usize, &'i str), Vec<Option<Answered<'i>>>>,
}

impl<'w, 'i> Whole<'w, 'i> {
    /// For these askers; `sink` gets each whole item that its asker has not done.
    pub(super) fn new(askers: &'w [Asker<'w>], sink: &'w mut dyn FnMut(usize, Answered<'i>) -> Result<()>) -> Self {
        Self { askers, sink, open: HashMap::new() }
    }

    /// Takes the answer to a part of an item.
    pub(super) fn add(&mut self, asker: usize, part: usize, answered: Answered<'i>) -> Result<()> {
        let item = answered.item;
        let Some(parts) = &item.parts else { return (self.sink)(asker, answered) };
        let key = (asker, item.id.as_str());
        let open = self.open.entry(key).or_insert_with(|| vec![None; parts.parts.len()]);
        open[part] = Some(answered);
        if open.iter().any(Option::is_none) {
            return Ok(());
        }
        let answers = self.open.remove(&key).into_iter().flatten().flatten().collect();
        if self.askers[asker].done.contains(&item.id) { Ok(()) } else { (self.sink)(asker, together(item, answers)) }
    }
}

/// The item that these answers to its parts make.
fn together<'i>(item: &'i Item, answers: Vec<Answered<'i>>) -> Answered<'i> {
    let counts: Vec<bool> = item.parts.iter().flat_map(|parts| &parts.parts).map(|part| part.graded).collect();
    let parts: Vec<AnsweredPart> = answers
        .iter()
        .zip(counts)
        .map(|(answered, counts)| AnsweredPart {
            prompt: answered.prompt.clone(),
            answer: answered.answer.clone(),
            counts,
            graded: answered.graded.clone(),
        })
        .collect();
    let in_turn = item.parts.as_ref().is_some_and(|parts| parts.asked == PartMode::InTurn);
    let shared = if in_turn { &answers[..answers.len().min(1)] } else { &answers[..] };
    let prompt_ids = shared.iter().flat_map(|answered| answered.prompt_ids.iter().copied()).collect();
    let prompt_tokens = answers.iter().map(|answered| answered.prompt_tokens).sum();
    let answer_tokens = answers.iter().map(|answered| answered.answer_tokens).sum();
    let thought = Thought::together(answers.iter().filter_map(|answered| answered.thought.as_ref()));
    let last = answers.into_iter().next_back();
    let (prompt, answer) = last.map_or_else(Default::default, |last| (last.prompt, last.answer));
    Answered { item, prompt, answer, graded: verdict(&parts), parts, likelihood: None, prompt_ids, prompt_tokens, answer_tokens, thought }
}

/// Right where every graded part is; else the worst of them.
fn verdict(parts: &[AnsweredPart]) -> Graded {
    let graded: Vec<(usize, &Graded)> =
        parts.iter().enumerate().filter(|(_, part)| part.counts).map(|(i, part)| (i, &part.graded)).collect();
    let worst = graded.iter().map(|(_, graded)| graded.verdict).max().unwrap_or(Verdict::Unparsed);
    let mut flags: Vec<_> = graded.iter().flat_map(|(_, graded)| graded.flags.iter().copied()).collect();
    flags.sort_unstable();
    flags.dedup();
    let extracted: Vec<String> = graded.iter().filter_map(|(_, graded)| graded.extracted.clone()).collect();
    let failing = graded.iter().find(|(_, graded)| graded.verdict != Verdict::Correct);
    Graded {
        verdict: worst,
        extracted: (!extracted.is_empty()).then(|| extracted.join(" | ")),
        strict: graded.iter().all(|(_, graded)| graded.strict),
        lenient: graded.iter().all(|(_, graded)| graded.lenient),
        flags,
        detail: failing.map(|(i, graded)| format!("part {}: {}", i + 1, graded.detail.as_deref().unwrap_or("not right"))),
    }
}
