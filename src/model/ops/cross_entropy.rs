//! Cross-entropy of next-token predictions with its gradient, in one pass over the logits.

use anyhow::{Result, ensure};
use candle_core::{D, DType, Tensor};

use super::host;

/// Losses of some positions and the gradient of their scaled sum.
pub struct CrossEntropy {
    /// `-ln p(target)` of each position, nats.
    pub losses: Vec<f32>,
    /// Whether the target is the most probable token, ties to the lowest id.
    pub hits: Vec<bool>,
    /// Gradient of `sum(scale * loss)` with respect to the logits: [positions, vocabulary], f32.
    pub d_logits: Tensor,
}

/// `logits`: [positions, vocabulary]; one target and one scale a position. Computed in f32.
pub fn cross_entropy(logits: &Tensor, targets: &[u32], scales: &[f64]) -> Result<CrossEntropy> {
    let (positions, vocabulary) = logits.dims2()?;
    ensure!(positions == targets.len(), "{positions} rows of logits for {} targets", targets.len());
    ensure!(positions == scales.len(), "{positions} rows of logits for {} scales", scales.len());
    if let Some(target) = targets.iter().find(|t| **t as usize >= vocabulary) {
        anyhow::bail!("target token {target} is outside the vocabulary of {vocabulary}: tokenizer and weights do not belong together");
    }
    if !host::applies(logits) {
        return composed(logits, targets, scales);
    }
    let logits = host::slice(logits)?;
    let logits = &*logits;
    let mut d_logits = vec![0f32; positions * vocabulary];
    let mut losses = vec![0f32; positions];
    host::for_each_row_pair(
        (&mut d_logits, vocabulary),
        (&mut losses, 1),
        #[inline(always)]
        |row, d, loss| {
            let logits = &logits[row * vocabulary..][..vocabulary];
            let target = targets[row] as usize;
            let max = host::max(logits);
            for (d, x) in d.iter_mut().zip(logits) {
                *d = host::exp(x - max);
            }
            let sum = host::sum(d);
            let factor = (scales[row] / f64::from(sum)) as f32;
            for d in d.iter_mut() {
                *d *= factor;
            }
            d[target] -= scales[row] as f32;
            loss[0] = max + sum.ln() - logits[target];
        },
    );
    let rows = logits.chunks_exact(vocabulary).zip(targets);
    let hits = rows.map(|(row, target)| host::first_largest(row) == Some(*target as usize)).collect();
    Ok(CrossEntropy { losses, hits, d_logits: host::tensor(d_logits, positions, vocabulary)? })
}

/// Log-probabilities of given tokens: `logits` [positions, vocabulary], one token a position.
pub fn log_probabilities(logits: &Tensor, tokens: &[u32]) -> Result<Vec<f32>> {
    #[cfg(feature = "cuda")]
    if super::cuda::applies(logits) {
        return super::cuda::head::log_probabilities(logits, tokens);
    }
    let logits = logits.to_dtype(DType::F32)?;
    let sums = logits.log_sum_exp(D::Minus1)?.to_vec1::<f32>()?;
    let index = Tensor::from_slice(tokens, (tokens.len(), 1), logits.device())?;
    let chosen = logits.gather(&index, 1)?.squeeze(1)?.to_vec1::<f32>()?;
    Ok(chosen.iter().zip(sums).map(|(x, sum)| x - sum).collect())
}

fn composed(logits: &Tensor, targets: &[u32], scales: &[f64]) -> Result<CrossEntropy> {
    let (positions, vocabulary) = logits.dims2()?;
    let logits = logits.to_dtype(DType::F32)?;
    let index = Tensor::from_slice(targets, (positions, 1), logits.device())?;
    let log_p = logits.broadcast_sub(&logits.log_sum_exp(D::Minus1)?.unsqueeze(1)?)?;
    let losses: Vec<f32> = log_p.gather(&index, 1)?.squeeze(1)?.neg()?.to_vec1()?;
    let best = logits.argmax(D::Minus1)?.to_vec1::<u32>()?;
    let ones = Tensor::ones((positions, 1), DType::F32, logits.device())?;
    let one_hot = Tensor::zeros((positions, vocabulary), DType::F32, logits.device())?.scatter_add(&index, &ones, 1)?;
    let scales: Vec<f32> = scales.iter().map(|x| *x as f32).collect();
    let d_logits = (log_p.exp()? - one_hot)?.broadcast_mul(&Tensor::from_vec(scales, (positions, 1), logits.device())?)?;
    Ok(CrossEntropy { losses, hits: best.iter().zip(targets).map(|(a, b)| a == b).collect(), d_logits })
}
