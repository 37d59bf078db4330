//! Log-probabilities of given continuations of a prompt.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use crate::model::decoder::{Decoder, Packed};
use crate::model::lora::Adapter;
use crate::model::ops::cross_entropy::log_probabilities;

/// Tokens of one forward pass at most.
const PASS_TOKENS: usize = 2048;

/// For each (prompt, continuation): the log-probability of every continuation token, nats. Empty prompts or
/// continuations are errors.
pub fn continuation_log_probabilities(decoder: &Decoder, adapter: Option<&Adapter>, pairs: &[(&[u32], &[u32])]) -> Result<Vec<Vec<f32>>> {
    let mut scores = Vec::with_capacity(pairs.len());
    let mut start = 0;
    while start < pairs.len() {
        let mut tokens = 0;
        let fitting = pairs[start..].iter().take_while(|(prompt, continuation)| {
            tokens += prompt.len() + continuation.len();
            tokens <= PASS_TOKENS
        });
        let end = start + fitting.count().max(1);
        scores.extend(one_pass(decoder, adapter, &pairs[start..end])?);
        start = end;
    }
    Ok(scores)
}

fn one_pass(decoder: &Decoder, adapter: Option<&Adapter>, pairs: &[(&[u32], &[u32])]) -> Result<Vec<Vec<f32>>> {
    let mut batch = Packed::default();
    let (mut predicting, mut targets) = (Vec::new(), Vec::new());
    for (prompt, continuation) in pairs {
        ensure!(!prompt.is_empty() && !continuation.is_empty(), "a likelihood needs a prompt and a continuation");
        // The last continuation token predicts nothing that is asked for.
        let row = [prompt, &continuation[..continuation.len() - 1]].concat();
        let first = batch.tokens() + prompt.len() - 1;
        predicting.extend((0..continuation.len()).map(|i| (first + i) as u32));
        targets.extend_from_slice(continuation);
        batch.push(&row, 0);
    }
    let hidden = decoder.hidden_at(&batch, &predicting, adapter, None)?;
    let mut flat = Vec::with_capacity(targets.len());
    for (start, chunk) in targets.chunks(128).enumerate().map(|(i, chunk)| (i * 128, chunk)) {
        let part: Tensor = hidden.narrow(0, start, chunk.len())?;
        flat.extend(log_probabilities(&decoder.logits(&part)?, chunk)?);
    }
    let mut rest = flat.as_slice();
    Ok(pairs
        .iter()
        .map(|(_, continuation)| {
            let (row, more) = rest.split_at(continuation.len());
            rest = more;
            row.to_vec()
        })
        .collect())
}
