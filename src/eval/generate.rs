//! Greedy answers, many prompts at a time.
//!
//! The prompts of one call prefill together and decode side by side; a finished row leaves the batch, and the rest go
//! on. The result depends on the prompts of the call alone, so a call repeated after a kill repeats its answers.

use anyhow::{Result, bail, ensure};
use candle_core::{D, DType, Tensor};

use crate::error::Invalid;
use crate::model::cache::KvCache;
use crate::model::decoder::{Decoder, Packed};
use crate::model::lora::Adapter;
use crate::model::ops::host;

/// A question as token ids, and how long its answer may get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// Prompt ids.
    pub ids: Vec<u32>,
    /// Most tokens of the answer.
    pub max_new_tokens: usize,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generated {
    /// Answer ids, the stop token left out.
    pub ids: Vec<u32>,
    /// The answer hit its token limit before a stop token.
    pub truncated: bool,
}

/// Tokens of one prefill pass at most, so that activations of long prompts stay small.
const PREFILL_TOKENS: usize = 2048;

/// Prompts that the model has read: where answers go on from, and what likelihoods are taken from.
pub struct Read {
    cache: KvCache,
    /// Normed hidden state after each prompt's last token: [prompts, width].
    pub(super) last: Tensor,
    /// Tokens of each prompt.
    pub(super) lengths: Vec<usize>,
}

impl Read {
    /// A cache that holds the given prompts, each as often as it is named.
    pub(super) fn cache_of(&self, prompts: &[usize]) -> KvCache {
        self.cache.copy(prompts)
    }
}

/// Answers every prompt; `finished` is told each answer as it is complete, with the prompt's index.
pub fn generate(
    decoder: &Decoder,
    adapter: Option<&Adapter>,
    prompts: &[Prompt],
    stops: &[u32],
    finished: &mut dyn FnMut(usize, Generated) -> Result<()>,
) -> Result<()> {
    let read = read(decoder, adapter, prompts)?;
    go_on(decoder, adapter, prompts, read, stops, finished)
}

/// Has the model read every prompt.
pub fn read(decoder: &Decoder, adapter: Option<&Adapter>, prompts: &[Prompt]) -> Result<Read> {
    let longest = decoder.max_positions();
    if let Some(prompt) = prompts.iter().find(|p| p.ids.len() + p.max_new_tokens > longest) {
        bail!(
            "a prompt of {} tokens with {} new tokens does not fit the model's {longest} positions",
            prompt.ids.len(),
            prompt.max_new_tokens
        );
    }
    let mut cache = KvCache::default();
    let mut last = Vec::new();
    let mut rest = prompts;
    while !rest.is_empty() {
        let mut tokens = 0;
        let fitting = rest.iter().take_while(|p| {
            tokens += p.ids.len();
            tokens <= PREFILL_TOKENS
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        let ids: Vec<&[u32]> = now.iter().map(|p| p.ids.as_slice()).collect();
        let batch = Packed::from_rows(&ids);
        let mut part = KvCache::new(decoder.spec.layers, now.len());
        last.push(decoder.hidden_at(&batch, &batch.last_tokens(), adapter, Some(&mut part))?);
        cache.append(part);
    }
    ensure!(!last.is_empty(), "there is no prompt to read");
    Ok(Read { cache, last: Tensor::cat(&last, 0)?, lengths: prompts.iter().map(|p| p.ids.len()).collect() })
}

/// Answers prompts that were read.
pub fn go_on(
    decoder: &Decoder,
    adapter: Option<&Adapter>,
    prompts: &[Prompt],
    read: Read,
    stops: &[u32],
    finished: &mut dyn FnMut(usize, Generated) -> Result<()>,
) -> Result<()> {
    let Read { mut cache, last, .. } = read;
    let mut next = most_probable(&decoder.logits(&last)?)?;
    let mut rows: Vec<Row> = (0..prompts.len()).map(|prompt| Row { prompt, ids: Vec::new() }).collect();
    loop {
        let mut kept = Vec::new();
        for (i, (row, token)) in rows.iter_mut().zip(&next).enumerate() {
            let stopped = stops.contains(token);
            if !stopped {
                row.ids.push(*token);
            }
            if stopped || row.ids.len() >= prompts[row.prompt].max_new_tokens {
                finished(row.prompt, Generated { ids: std::mem::take(&mut row.ids), truncated: !stopped })?;
            } else {
                kept.push(i);
            }
        }
        if kept.is_empty() {
            return Ok(());
        }
        if kept.len() < rows.len() {
            cache.keep(&kept);
            rows = kept.iter().map(|i| std::mem::take(&mut rows[*i])).collect();
        }
        let mut batch = Packed::default();
        for row in &rows {
            let newest = [*row.ids.last().unwrap_or(&0)];
            batch.push(&newest, prompts[row.prompt].ids.len() + row.ids.len() - 1);
        }
        let hidden = decoder.hidden(&batch, adapter, Some(&mut cache))?;
        next = most_probable(&decoder.logits(&hidden)?)?;
    }
}

#[derive(Default)]
struct Row {
    prompt: usize,
    ids: Vec<u32>,
}

/// The most probable token of each row, ties to the lowest id. Logits that are not finite are an error.
pub fn most_probable(logits: &Tensor) -> Result<Vec<u32>> {
    let not_finite = || Invalid("the model's logits are not finite: the adapter or the weights are broken".to_owned());
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
