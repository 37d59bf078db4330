//! Log-probabilities of given continuations of prompts: what a model thinks of an answer it did not give.
//!
//! A prompt is read once; its continuations, all of them, go on from what was kept of it. The first token of a
//! continuation costs one row of logits, and only further ones a forward pass.

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use super::generate::{Answering, PASS_ROWS, PASS_TOKENS, Read};
use super::suite::{Item, PromptFormat, Task, choice_letter};
use crate::model::ops::cross_entropy::log_probabilities;
use crate::model::packed::Packed;

/// Tokens of one forward pass on the host at most, those kept of the prompts counted too: there they are copied.
const COPIED_TOKENS: usize = 4096;
/// Rows of logits at a time.
const CHUNK: usize = 128;

/// A continuation of one of the prompts read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Continuation {
    /// Index of the prompt among those read.
    pub prompt: usize,
    /// What it goes on with; at least one token.
    pub ids: Vec<u32>,
}

impl Answering<'_> {
    /// The log-probability of every token of every continuation, nats.
    pub fn log_likelihoods(&self, read: &Read, asked: &[Continuation]) -> Result<Vec<Vec<f32>>> {
        ensure!(asked.iter().all(|c| !c.ids.is_empty()), "a continuation has no token");
        let mut scores: Vec<Vec<f32>> = Vec::with_capacity(asked.len());
        for chunk in asked.chunks(CHUNK) {
            let prompts: Vec<u32> = chunk.iter().map(|c| c.prompt as u32).collect();
            let rows = read.last.index_select(&candle_core::Tensor::new(prompts, read.last.device())?, 0)?;
            let targets: Vec<u32> = chunk.iter().map(|c| c.ids[0]).collect();
            scores.extend(log_probabilities(&self.decoder.logits(&rows)?, &targets)?.into_iter().map(|first| vec![first]));
        }
        let longer: Vec<usize> = (0..asked.len()).filter(|i| asked[*i].ids.len() > 1).collect();
        let on_host = self.decoder.device().is_cpu();
        let mut rest = longer.as_slice();
        while !rest.is_empty() {
            let (mut rows, mut new, mut copied) = (0, 0, 0);
            let fitting = rest.iter().take_while(|i| {
                let tokens = asked[**i].ids.len();
                rows += 1;
                new += tokens;
                copied += read.lengths[asked[**i].prompt] + tokens;
                new <= PASS_TOKENS && rows <= PASS_ROWS && (!on_host || copied <= COPIED_TOKENS)
            });
            let (now, later) = rest.split_at(fitting.count().max(1));
            rest = later;
            self.further_tokens(read, asked, now, &mut scores)?;
        }
        Ok(scores)
    }

    /// One pass over the continuations `now`: the last token of each predicts nothing that is asked for.
    fn further_tokens(&self, read: &Read, asked: &[Continuation], now: &[usize], scores: &mut [Vec<f32>]) -> Result<()> {
        let mut batch = Packed::default();
        let mut targets = Vec::new();
        for i in now {
            let Continuation { prompt, ids } = &asked[*i];
            batch.push(&ids[..ids.len() - 1], read.lengths[*prompt], read.adapters[*prompt]);
            targets.extend(ids[1..].iter().map(|id| (*i, *id)));
        }
        let prompts: Vec<usize> = now.iter().map(|i| asked[*i].prompt).collect();
        let more: Vec<usize> = batch.rows.iter().map(|row| row.len).collect();
        let mut forked = read.cache.fork(&prompts, &more)?;
        let hidden = self.decoder.hidden(&batch, self.adapter_set, Some(&mut forked))?;
        for (start, chunk) in targets.chunks(CHUNK).enumerate().map(|(i, chunk)| (i * CHUNK, chunk)) {
            let ids: Vec<u32> = chunk.iter().map(|(_, id)| *id).collect();
            let found = log_probabilities(&self.decoder.logits(&hidden.narrow(0, start, chunk.len())?)?, &ids)?;
            for ((i, _), score) in chunk.iter().zip(found) {
                scores[*i].push(score);
            }
        }
        Ok(())
    }
}

/// What the model thinks of an item's right answer and, where it has options, of the others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Likelihood {
    /// Log-probability of the right answer's text, nats, all its tokens together.
    pub gold: f64,
    /// Tokens of that text.
    pub tokens: usize,
    /// Log-probability of each option's text, nats.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub texts: Vec<f64>,
    /// Log-probability of each option's letter as the answer's first token, nats. Only where the question shows letters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub letters: Vec<f64>,
    /// Whether the right option is the most probable: by letter where the question shows letters, else by text, in nats a
    /// byte (so that long options are not punished for their length), ties to the first. None where there are no options.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub right: Option<bool>,
    /// Token ids of the prompt and of every continuation, letters last; kept where the verdict rests on them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ids: Option<ScoredIds>,
}

/// The very tokens that were scored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScoredIds {
    /// Of the prompt.
    pub prompt: Vec<u32>,
    /// Of each option's text, then of each option's letter.
    pub continuations: Vec<Vec<u32>>,
}

/// The continuations whose likelihood tells about one item.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Probes {
    /// Texts: the options, or the right answer alone.
    pub texts: Vec<Vec<u32>>,
    /// Letters of the options.
    pub letters: Vec<Vec<u32>>,
    bytes: Vec<usize>,
    gold: usize,
}

/// The answers of one item whose likelihood tells about it, as texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Continuations<'i> {
    texts: &'i [String],
    gold: usize,
    lettered: bool,
}

impl Continuations<'_> {
    /// All of them, in the order of [`Probes::continuations`].
    pub(super) fn all(&self) -> impl Iterator<Item = String> + '_ {
        let letters = if self.lettered { self.texts.len() } else { 0 };
        self.texts.iter().cloned().chain((0..letters).map(|i| choice_letter(i).to_string()))
    }
}

/// The continuations of an item; None where it has none that can be written down.
pub(super) fn continuations(item: &Item) -> Option<Continuations<'_>> {
    let (texts, gold, lettered) = match &item.task {
        Task::Text { choices: Some(choices), gold: Some(gold), .. } => (choices.as_slice(), *gold, false),
        Task::Choice { choices, gold } => {
            (choices.as_slice(), *gold, item.few_shot.as_ref().is_none_or(|few_shot| few_shot.form != PromptFormat::Cloze))
        }
        Task::Text { answers, .. } | Task::Number { answers } => (&answers[..1], 0, false),
        Task::Code { .. }
        | Task::Identity { .. }
        | Task::Leakage
        | Task::Composite { .. }
        | Task::Instructions { .. }
        | Task::Structured { .. }
        | Task::Safety { .. }
        | Task::Honesty { .. } => return None,
    };
    Some(Continuations { texts, gold, lettered })
}

impl Probes {
    /// Of an item, with what gives the tokens of an answer; None where it has none that can be written down.
    pub fn of(item: &Item, encode: &mut dyn FnMut(&str) -> Result<Vec<u32>>) -> Result<Option<Self>> {
        let Some(Continuations { texts, gold, lettered }) = continuations(item) else { return Ok(None) };
        let mut encode = |text: &str| -> Result<Vec<u32>> {
            let ids = encode(text)?;
            ensure!(!ids.is_empty(), "the answer `{text}` has no token");
            Ok(ids)
        };
        let letters =
            if lettered { (0..texts.len()).map(|i| encode(&choice_letter(i).to_string())).collect::<Result<_>>()? } else { Vec::new() };
        Ok(Some(Self {
            bytes: texts.iter().map(String::len).collect(),
            texts: texts.iter().map(|text| encode(text)).collect::<Result<_>>()?,
            letters,
            gold,
        }))
    }

    /// Leaves out the first tokens of every continuation, which belong to the prompt.
    pub(super) fn without_prompt(&mut self, tokens: usize) -> Result<()> {
        for ids in self.texts.iter_mut().chain(&mut self.letters) {
            ensure!(ids.len() > tokens, "an answer has no token of its own");
            ids.drain(..tokens);
        }
        Ok(())
    }

    /// All continuations, texts first, of the prompt at an index.
    pub fn continuations(&self, prompt: usize) -> impl Iterator<Item = Continuation> + '_ {
        self.texts.iter().chain(&self.letters).map(move |ids| Continuation { prompt, ids: ids.clone() })
    }

    /// The item's likelihood from the scores of [`Self::continuations`], in their order.
    pub fn read(&self, scores: &[Vec<f32>]) -> Likelihood {
        let sum = |tokens: &Vec<f32>| tokens.iter().map(|x| f64::from(*x)).sum::<f64>();
        let (texts, letters) = scores.split_at(self.texts.len());
        let texts: Vec<f64> = texts.iter().map(sum).collect();
        let letters: Vec<f64> = letters.iter().map(sum).collect();
        let right = (texts.len() > 1).then(|| self.chosen(&texts, &letters) == self.gold);
        let gold = texts[self.gold];
        Likelihood {
            gold: rounded(gold),
            tokens: self.texts[self.gold].len(),
            texts: if texts.len() > 1 { texts.into_iter().map(rounded).collect() } else { Vec::new() },
            letters: letters.into_iter().map(rounded).collect(),
            right,
            ids: None,
        }
    }
}

impl Probes {
    /// Index of the option that the model prefers: by letter where there are letters, else by text in nats a byte.
    pub fn chosen(&self, texts: &[f64], letters: &[f64]) -> usize {
        if !letters.is_empty() {
            return first_largest(letters);
        }
        let by_byte: Vec<f64> = texts.iter().zip(&self.bytes).map(|(score, bytes)| score / (*bytes).max(1) as f64).collect();
        first_largest(&by_byte)
    }
}

/// Index of the most probable option, ties to the first.
pub fn first_largest(scores: &[f64]) -> usize {
    (0..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best })
}

/// Records keep four decimals: what differs beyond them is rounding of the arithmetic.
fn rounded(nats: f64) -> f64 {
    (nats * 1e4).round() / 1e4
}
