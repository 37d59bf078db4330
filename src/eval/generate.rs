//! Greedy answers, many prompts at a time, each through its own adapter.
//!
//! Prompts are read (prefilled) in passes of bounded size and then decoded side by side; a row that is finished leaves
//! the batch, and prompts that wait take its place. The result depends on the prompts of the call alone, so a call
//! repeated after a kill repeats its answers.

use anyhow::{Result, bail};
use candle_core::{D, DType, Tensor};

use crate::data::thinking::{Marks, Place};
use crate::error::Invalid;
use crate::model::adapter_set::AdapterSet;
use crate::model::cache::KvCache;
use crate::model::decoder::Decoder;
use crate::model::ops::host;
use crate::model::packed::Packed;

/// What goes on from prompts that were read, to be scored: new tokens of one forward pass at most, and rows, each of which
/// may take a page of its own to go on from half a page.
pub(super) const PASS_TOKENS: usize = 2048;
pub(super) const PASS_ROWS: usize = 512;
/// What such passes may take up in a cache beside the prompts themselves.
const FORKED_TOKENS: usize = PASS_TOKENS + 32 * PASS_ROWS;

/// A question as token ids, how long its answer may get, and which adapter of the adapter set answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Prompt ids.
    pub ids: Vec<u32>,
    /// Most tokens of the answer.
    pub max_new_tokens: usize,
    /// Index in the adapter set; None is the base.
    pub adapter: Option<usize>,
}

impl Prompt {
    /// Most tokens that the prompt and its answer come to.
    fn tokens(&self) -> usize {
        self.ids.len() + self.max_new_tokens
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Answer ids, the stop token left out.
    pub ids: Vec<u32>,
    /// The answer hit its token limit before a stop token.
    pub truncated: bool,
}

/// Prompts that the model has just read: where likelihoods are taken from.
pub struct Read {
    pub(super) cache: KvCache,
    /// Indices of the prompts in the call.
    pub prompts: Vec<usize>,
    /// Normed hidden state after each prompt's last token: [prompts, width].
    pub(super) last: Tensor,
    /// Tokens of each prompt.
    pub(super) lengths: Vec<usize>,
    /// Adapter of each prompt.
    pub(super) adapters: Vec<Option<usize>>,
}

/// A model as it answers: a base and the adapters over it.
#[derive(Clone, Copy)]
pub struct Answering<'a> {
    /// The base.
    pub decoder: &'a Decoder,
    /// Adapters that prompts name.
    pub adapter_set: &'a AdapterSet<'a>,
    /// Rows that decode side by side, and tokens of one prefill pass, at most.
    pub capacity: Capacity,
    /// The model's marks of thinking, and the most tokens of it in an answer beside the prompt's own limit.
    pub thinking: Option<(&'a Marks, usize)>,
}

/// How much is computed at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capacity {
    /// Rows that decode side by side.
    pub rows: usize,
    /// Tokens of one prefill pass, so that activations of long prompts stay small.
    pub prefill_tokens: usize,
}

impl Capacity {
    /// What suits a model where it runs.
    pub fn of(decoder: &Decoder) -> Self {
        if decoder.device().is_cpu() { Self { rows: 96, prefill_tokens: 2048 } } else { Self { rows: 1024, prefill_tokens: 8192 } }
    }
}

/// Who is told of each pass of prompts that was read.
pub type OnRead<'a> = &'a mut dyn FnMut(&Read) -> Result<()>;
/// Who is told of each answer as it is complete, with its prompt's index.
pub type OnAnswer<'a> = &'a mut dyn FnMut(usize, Generated) -> Result<()>;

impl<'a> Answering<'a> {
    /// A model answering at its usual capacity.
    pub fn new(decoder: &'a Decoder, adapter_set: &'a AdapterSet<'a>) -> Self {
        Self { decoder, adapter_set, capacity: Capacity::of(decoder), thinking: None }
    }

    /// The same for a model that may think before it answers.
    pub fn thinking(self, marks: &'a Marks, budget: usize) -> Self {
        Self { thinking: (!marks.is_empty()).then_some((marks, budget)), ..self }
    }

    /// Most tokens that a prompt and its answer come to.
    fn tokens(&self, prompt: &Prompt) -> usize {
        let budget = self.thinking.map_or(0, |(_, budget)| budget);
        prompt.tokens().max(self.decoder.max_positions().min(prompt.tokens().saturating_add(budget)))
    }

    /// What a prompt's row takes up in a cache, in whole pages.
    fn room(&self, prompt: &Prompt) -> usize {
        self.tokens(prompt).next_multiple_of(16)
    }

    /// Whether an answer has as many tokens as it may have.
    fn is_full(&self, prompt: &Prompt, row: &Row) -> bool {
        match self.thinking {
            None => row.ids.len() >= prompt.max_new_tokens,
            Some((_, budget)) => {
                row.place.is_full(prompt.max_new_tokens, budget) || prompt.ids.len() + row.ids.len() >= self.tokens(prompt)
            }
        }
    }

    /// Answers every prompt.
    pub fn generate(&self, prompts: &[Prompt], stops: &[u32], finished: OnAnswer<'_>) -> Result<()> {
        self.read_and_answer(prompts, stops, &mut |_| Ok(()), finished)
    }

    /// Reads every prompt without answering.
    pub fn read(&self, prompts: &[Prompt], reading: OnRead<'_>) -> Result<()> {
        let cache = self.cache(prompts, self.capacity.rows)?;
        let mut waiting = 0;
        while waiting < prompts.len() {
            let read = self.read_some(&cache, prompts, &mut waiting, self.capacity.rows)?;
            reading(&read)?;
        }
        Ok(())
    }

    /// Reads and answers every prompt, in one go: `reading` sees what was read before it is answered.
    pub fn read_and_answer(&self, prompts: &[Prompt], stops: &[u32], reading: OnRead<'_>, finished: OnAnswer<'_>) -> Result<()> {
        let mut cache = self.cache(prompts, self.capacity.rows)?;
        let mut rows: Vec<Row> = Vec::new();
        let mut next: Vec<u32> = Vec::new();
        let mut waiting = 0;
        loop {
            // A prefill pass for one free place would cost as much as one for many.
            let free = self.capacity.rows - rows.len();
            while waiting < prompts.len() && self.capacity.rows > rows.len() && (free >= self.capacity.rows / 8 || rows.is_empty()) {
                if !rows.is_empty() && !cache.has_room(self.room(&prompts[waiting]) + FORKED_TOKENS) {
                    break;
                }
                let read = self.read_some(&cache, prompts, &mut waiting, self.capacity.rows - rows.len())?;
                reading(&read)?;
                next.extend(most_probable(&self.decoder.logits(&read.last)?)?);
                let place = |prompt: usize| self.thinking.map_or_else(Place::default, |(marks, _)| marks.after(&prompts[prompt].ids));
                rows.extend(read.prompts.iter().map(|prompt| Row { prompt: *prompt, ids: Vec::new(), place: place(*prompt) }));
                cache.append(read.cache);
            }
            let mut kept = Vec::new();
            for (i, (row, token)) in rows.iter_mut().zip(&next).enumerate() {
                let stopped = stops.contains(token);
                if !stopped {
                    row.ids.push(*token);
                    if let Some((marks, _)) = self.thinking {
                        row.place.take(marks, *token);
                    }
                }
                if stopped || self.is_full(&prompts[row.prompt], row) {
                    finished(row.prompt, Generated { ids: std::mem::take(&mut row.ids), truncated: !stopped })?;
                } else {
                    kept.push(i);
                }
            }
            if kept.len() < rows.len() {
                cache.keep(&kept);
                rows = kept.iter().map(|i| std::mem::take(&mut rows[*i])).collect();
            }
            if rows.is_empty() {
                next.clear();
                if waiting == prompts.len() {
                    return Ok(());
                }
                continue;
            }
            let mut batch = Packed::default();
            for row in &rows {
                let prompt = &prompts[row.prompt];
                let newest = [*row.ids.last().unwrap_or(&0)];
                batch.push(&newest, prompt.ids.len() + row.ids.len() - 1, prompt.adapter);
            }
            let hidden = self.decoder.hidden(&batch, self.adapter_set, Some(&mut cache))?;
            next = most_probable(&self.decoder.logits(&hidden)?)?;
        }
    }

    /// A cache for as many of the prompts as may decode at a time, and for what likelihoods fork from them.
    fn cache(&self, prompts: &[Prompt], rows: usize) -> Result<KvCache> {
        let longest = self.decoder.max_positions();
        if let Some(prompt) = prompts.iter().find(|p| p.tokens() > longest) {
            bail!(
                "a prompt of {} tokens with {} new tokens does not fit {}",
                prompt.ids.len(),
                prompt.max_new_tokens,
                self.decoder.spec.limit()
            );
        }
        let mut rooms: Vec<usize> = prompts.iter().map(|prompt| self.room(prompt)).collect();
        rooms.sort_unstable_by(|a, b| b.cmp(a));
        let tokens: usize = rooms.iter().take(rows).sum();
        // Rows that find no room wait; the longest must find some.
        let most = self.decoder.cache_tokens()?.unwrap_or(usize::MAX).max(rooms.first().copied().unwrap_or(0));
        KvCache::new(self.decoder, tokens.min(most) + FORKED_TOKENS)
    }

    /// Reads the next prompts that wait, in one pass: at least one, as many as fit.
    fn read_some(&self, shared: &KvCache, prompts: &[Prompt], waiting: &mut usize, places: usize) -> Result<Read> {
        let mut cache = shared.empty();
        let mut batch = Packed::default();
        let mut read = Vec::new();
        while *waiting < prompts.len() && read.len() < places {
            let prompt = &prompts[*waiting];
            let full =
                batch.tokens() + prompt.ids.len() > self.capacity.prefill_tokens || !cache.has_room(self.room(prompt) + FORKED_TOKENS);
            if full && !read.is_empty() {
                break;
            }
            let there = cache.add_row(&prompt.ids, prompt.adapter, self.tokens(prompt))?;
            batch.push(&prompt.ids[there..], there, prompt.adapter);
            read.push(*waiting);
            *waiting += 1;
        }
        let last = self.decoder.hidden_at(&batch, &batch.last_tokens(), self.adapter_set, Some(&mut cache))?;
        let lengths = read.iter().map(|i| prompts[*i].ids.len()).collect();
        let adapters = read.iter().map(|i| prompts[*i].adapter).collect();
        Ok(Read { cache, prompts: read, last, lengths, adapters })
    }
}

#[derive(Default)]
struct Row {
    prompt: usize,
    ids: Vec<u32>,
    place: Place,
}

/// The most probable token of each row, ties to the lowest id. Logits that are not finite are an error.
pub fn most_probable(logits: &Tensor) -> Result<Vec<u32>> {
    let not_finite = || Invalid("the model's logits are not finite: the adapter or the weights are broken".to_owned());
    #[cfg(feature = "cuda")]
    if crate::model::ops::cuda::applies(logits) {
        let Some(best) = crate::model::ops::cuda::head::most_probable(logits)? else { bail!(not_finite()) };
        return Ok(best);
    }
    if !host::applies(logits) {
        let logits = logits.to_dtype(DType::F32)?;
        if !logits.abs()?.max_all()?.to_scalar::<f32>()?.is_finite() {
            bail!(not_finite());
        }
        return Ok(logits.argmax(D::Minus1)?.to_vec1::<u32>()?);
    }
    let (_, vocabulary) = logits.dims2()?;
    let values = host::slice(logits)?;
    let mut best = Vec::new();
    for row in values.chunks_exact(vocabulary) {
        let finite = host::vectorised(
            #[inline(always)]
            || host::all_finite(row),
        );
        let Some(token) = host::first_largest(row).filter(|_| finite) else { bail!(not_finite()) };
        best.push(token as u32);
    }
    Ok(best)
}
