//! Kernels of `head.cu`: rows of logits, and rows of tokens gathered and scattered.

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use super::launch::{Call, Module, module, rows_of_eight, unset};

const HEAD: Module = module!("head");
const THREADS: usize = 512;

/// Losses and hits of rows of logits, which become their gradients. Everything stays on the device.
pub(crate) struct Scored {
    /// `-ln p(target)`, f32.
    pub(crate) losses: Tensor,
    /// 1 where the target is the most probable token.
    pub(crate) hits: Tensor,
}

/// Cross-entropy in place: `logits` [positions, vocabulary] become `scale * (softmax - one_hot)`.
/// `targets`, u32, and `scales`, f32, are addresses of one number a position.
pub(crate) fn cross_entropy(logits: &Tensor, targets: u64, scales: u64) -> Result<Scored> {
    let (positions, vocabulary) = logits.dims2()?;
    let scored = Scored { losses: unset(positions, DType::F32, logits.device())?, hits: unset(positions, DType::U32, logits.device())? };
    let call = Call::typed(HEAD, "cross_entropy", logits)?.tensor(logits)?.address(targets).address(scales);
    call.tensor(&scored.losses)?.tensor(&scored.hits)?.int(vocabulary)?.launch((positions, 1, 1), THREADS)?;
    Ok(scored)
}

/// Log-probability of one token a row of `logits`.
pub(crate) fn log_probabilities(logits: &Tensor, tokens: &[u32]) -> Result<Vec<f32>> {
    let (positions, vocabulary) = logits.dims2()?;
    ensure!(tokens.len() == positions && tokens.iter().all(|t| (*t as usize) < vocabulary), "tokens do not fit their logits");
    let tokens = Tensor::from_slice(tokens, positions, logits.device())?;
    let out = unset(positions, DType::F32, logits.device())?;
    let call = Call::typed(HEAD, "log_probabilities", logits)?.tensor(logits)?.tensor(&tokens)?.tensor(&out)?;
    call.int(vocabulary)?.launch((positions, 1, 1), THREADS)?;
    Ok(out.to_vec1()?)
}

/// The most probable token of each row, ties to the lowest id; None where a row has a logit that is not finite.
pub(crate) fn most_probable(logits: &Tensor) -> Result<Option<Vec<u32>>> {
    let (positions, vocabulary) = logits.dims2()?;
    let out = unset(positions, DType::U32, logits.device())?;
    let call = Call::typed(HEAD, "most_probable", logits)?.tensor(logits)?.tensor(&out)?.int(vocabulary)?;
    call.launch((positions, 1, 1), THREADS)?;
    let best: Vec<u32> = out.to_vec1()?;
    Ok(best.iter().all(|id| *id != u32::MAX).then_some(best))
}

/// Rows of `source` [rows, width] by index: `count` u32 at an address.
pub(crate) fn gather_rows(source: &Tensor, index: u64, count: usize) -> Result<Tensor> {
    let (_, width) = rows_of_eight(source)?;
    let out = unset((count, width), source.dtype(), source.device())?;
    let call = Call::typed(HEAD, "gather_rows", source)?.tensor(source)?.address(index).tensor(&out)?.int(width)?;
    call.launch((count, 1, 1), 128)?;
    Ok(out)
}

/// Puts the rows of `source` into `target` at distinct indices: u32 at an address.
pub(crate) fn scatter_rows(source: &Tensor, index: u64, target: &Tensor) -> Result<()> {
    let (count, width) = rows_of_eight(source)?;
    ensure!(target.dim(1)? == width && target.dtype() == source.dtype(), "{source:?} scattered into {target:?}");
    let call = Call::typed(HEAD, "scatter_rows", source)?.tensor(source)?.address(index).tensor(target)?.int(width)?;
    call.launch((count, 1, 1), 128)
}
