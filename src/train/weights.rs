//! Weights of labels, from what the frozen base makes of them before training.
//!
//! Rows that contradict what the base is sure of change it most. Three published ways to soften that, each with the base's own
//! predictions in place of the model's as it trains, so that the weights are known before the first step and do not change:
//!
//! - `base-probability`: p(target), as DFT (Wu et al. 2025, arXiv 2508.05629) weighs by the current model's.
//! - `base-entropy`: the entropy of the 20 most probable tokens over ln 20, as EAFT does: low where the base is sure.
//! - `mask`: 1 up to a perplexity 1 / p(target), 0 above it (STM, arXiv 2501.14315).

use anyhow::{Result, bail, ensure};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use super::batch::{TrainRow, micro_batches};
use crate::error::Invalid;
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::Decoder;
use crate::model::ops::divergence::log_softmax;

/// How labels are weighed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TokenWeights {
    /// The base's probability of the target.
    BaseProbability,
    /// The base's entropy over its 20 most probable tokens, over ln 20.
    BaseEntropy,
    /// Leaves out targets that surprise the base.
    Mask {
        /// Largest perplexity, 1 / p(target), that is trained towards; the paper's is 2.5.
        perplexity: f64,
    },
}

/// Tokens whose entropy is looked at.
const TOP: usize = 20;
/// Label positions whose logits exist at one time.
const CHUNK: usize = 128;

impl TokenWeights {
    /// Refuses a perplexity that is none.
    pub fn check(self) -> Result<()> {
        if let Self::Mask { perplexity } = self {
            ensure!(perplexity.is_finite() && perplexity > 1.0, "has a mask above perplexity {perplexity}: use more than 1 (2.5 is usual)");
        }
        Ok(())
    }

    /// The weight of a label, given the base's log-probabilities at its position.
    fn weight(self, log_p: &[f32], target: u32) -> f32 {
        let target = log_p[target as usize];
        match self {
            Self::BaseProbability => target.exp(),
            Self::Mask { perplexity } => f32::from(f64::from(-target) <= perplexity.ln()),
            Self::BaseEntropy => {
                let mut top = log_p.to_vec();
                let count = TOP.min(top.len());
                top.select_nth_unstable_by(count - 1, |a, b| b.total_cmp(a));
                let top = &mut top[..count];
                top.sort_unstable_by(|a, b| b.total_cmp(a));
                let mass: f64 = top.iter().map(|log_p| f64::from(*log_p).exp()).sum();
                let entropy: f64 =
                    top.iter().map(|log_p| f64::from(*log_p).exp() / mass).map(|p| if p > 0.0 { -p * p.ln() } else { 0.0 }).sum();
                (entropy / (count as f64).ln()) as f32
            }
        }
    }
}

/// Sets the weights of all rows. One forward pass of the base over each row, at most `max_tokens` tokens at a time.
pub fn weigh(decoder: &Decoder, rows: &mut [TrainRow], how: TokenWeights, max_tokens: usize) -> Result<()> {
    let window: Vec<&TrainRow> = rows.iter().collect();
    let mut weights: Vec<Vec<f32>> = vec![Vec::new(); rows.len()];
    for mut batch in micro_batches(&[&window], max_tokens)? {
        batch.packed.adapters.fill(None);
        let predicting: Vec<u32> = batch.labels.iter().map(|label| label.at).collect();
        let hidden = decoder.hidden_at(&batch.packed, &predicting, &AdapterSet::base(), None)?;
        for (start, labels) in (0..).step_by(CHUNK).zip(batch.labels.chunks(CHUNK)) {
            let logits: Tensor = decoder.logits(&hidden.narrow(0, start, labels.len())?)?;
            for (label, log_p) in labels.iter().zip(log_softmax(&logits)?.to_vec2::<f32>()?) {
                let row = batch.rows[batch.packed.row_of(label.at)].1 as usize;
                let weight = how.weight(&log_p, label.target);
                if !weight.is_finite() {
                    bail!(Invalid(format!("the base's prediction is not finite: row {}", rows[row].origin)));
                }
                weights[row].push(weight);
            }
        }
    }
    for (row, weights) in rows.iter_mut().zip(weights) {
        row.weights = Some(weights);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_the_formulas() {
        let log_p: Vec<f32> = [0.5f32, 0.25, 0.125, 0.125].map(f32::ln).to_vec();
        assert!((TokenWeights::BaseProbability.weight(&log_p, 1) - 0.25).abs() < 1e-6);
        let mask = |perplexity: f64, target| TokenWeights::Mask { perplexity }.weight(&log_p, target);
        assert!(mask(2.5, 0) > 0.5 && mask(2.5, 1) < 0.5 && mask(8.5, 3) > 0.5);
        // 1.75 bits of the 2 that four tokens can have.
        assert!((TokenWeights::BaseEntropy.weight(&log_p, 0) - 0.875).abs() < 1e-6);
        let mut certain = vec![-60.0f32; 40];
        certain[7] = 0.0;
        assert!(TokenWeights::BaseEntropy.weight(&certain, 3) < 1e-6);
        let flat = vec![(1.0f32 / 40.0).ln(); 40];
        assert!((TokenWeights::BaseEntropy.weight(&flat, 3) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_perplexity_below_one_is_refused() {
        assert!(TokenWeights::Mask { perplexity: 1.0 }.check().is_err());
        assert!(TokenWeights::Mask { perplexity: f64::NAN }.check().is_err());
        assert!(TokenWeights::BaseEntropy.check().is_ok());
    }
}
