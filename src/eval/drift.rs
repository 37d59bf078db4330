//! Drift: how far a variant's next-token distribution has moved from the base's where the base answers ordinary
//! questions. Forward KL(base || variant) per token, on fixed held-out prompts continued by the base's own answers.
//!
//! It is the early-warning signal of forgetting (Shenfeld et al. 2025, "RL's Razor"), and needs no grading.

use anyhow::{Result, bail, ensure};
use candle_core::{D, DType, Tensor};

use super::generate::{Answering, Prompt};
use crate::error::Invalid;
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::Decoder;
use crate::model::lora::Adapter;
use crate::model::ops::divergence::log_softmax;
use crate::model::packed::Packed;

/// Fixed rows and what the base makes of them.
pub struct DriftProbe {
    batch: Packed,
    /// Tokens that predict an answer token.
    predicting: Vec<u32>,
    /// The base's normed hidden states there: its logits are one matrix product away, and far smaller to keep.
    base: Tensor,
}

/// What one measurement found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Drift {
    /// Mean KL(base || variant) over answer tokens, nats.
    pub kl: f64,
    /// Share of answer tokens where both agree on the most probable token.
    pub agreement: f64,
    /// Largest change of any logit.
    pub largest_change: f64,
    /// Answer tokens measured.
    pub tokens: usize,
}

const CHUNK: usize = 128;

impl DriftProbe {
    /// Has the base answer the prompts, `max_new_tokens` each, and keeps its states.
    pub fn new(decoder: &Decoder, prompts: &[Vec<u32>], max_new_tokens: usize, stops: &[u32]) -> Result<Self> {
        ensure!(!prompts.is_empty(), "drift needs at least one prompt");
        let asked: Vec<Prompt> = prompts.iter().map(|ids| Prompt { ids: ids.clone(), max_new_tokens, adapter: None }).collect();
        let mut answers = vec![Vec::new(); prompts.len()];
        let base = AdapterSet::base();
        Answering::new(decoder, &base).generate(&asked, stops, &mut |i, generated| {
            answers[i] = generated.ids;
            Ok(())
        })?;
        let mut batch = Packed::default();
        let mut predicting = Vec::new();
        for (prompt, answer) in prompts.iter().zip(&answers) {
            let first = batch.tokens() + prompt.len() - 1;
            predicting.extend((0..=answer.len()).map(|i| (first + i) as u32));
            batch.push(&[prompt.as_slice(), answer].concat(), 0, None);
        }
        let base = decoder.hidden_at(&batch, &predicting, &base, None)?;
        Ok(Self { batch, predicting, base })
    }

    /// Tokens that one measurement reads.
    pub fn tokens(&self) -> usize {
        self.batch.tokens()
    }

    /// Measures a variant against the base.
    pub fn measure(&self, decoder: &Decoder, adapter: &Adapter) -> Result<Drift> {
        let adapter_set = AdapterSet::new(decoder, vec![adapter])?;
        let batch = Packed { adapters: vec![Some(0); self.batch.rows.len()], ..self.batch.clone() };
        let variant = decoder.hidden_at(&batch, &self.predicting, &adapter_set, None)?;
        let tokens = self.predicting.len();
        let (mut kl, mut agree, mut largest_change) = (0f64, 0usize, 0f64);
        for start in (0..tokens).step_by(CHUNK) {
            let len = CHUNK.min(tokens - start);
            let part = |hidden: &Tensor| -> Result<Tensor> { Ok(decoder.logits(&hidden.narrow(0, start, len)?)?.to_dtype(DType::F32)?) };
            let (base, variant) = (part(&self.base)?, part(&variant)?);
            let (log_p, log_q) = (log_softmax(&base)?, log_softmax(&variant)?);
            kl += f64::from((log_p.exp()? * (log_p - log_q)?)?.sum_all()?.to_scalar::<f32>()?);
            let (best_p, best_q) = (base.argmax(D::Minus1)?.to_vec1::<u32>()?, variant.argmax(D::Minus1)?.to_vec1::<u32>()?);
            agree += best_p.iter().zip(&best_q).filter(|(p, q)| p == q).count();
            largest_change = largest_change.max(f64::from((base - variant)?.abs()?.max_all()?.to_scalar::<f32>()?));
        }
        let kl = kl / tokens as f64;
        if !kl.is_finite() {
            bail!(Invalid("the drift is not finite: the adapter or the weights are broken".to_owned()));
        }
        // Rounding can leave a tiny negative number where the true value is 0.
        Ok(Drift { kl: kl.max(0.0), agreement: agree as f64 / tokens as f64, largest_change, tokens })
    }
}
