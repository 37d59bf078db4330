//! What the device does at best, measured in the same run: a large matmul in the weights' type, and a large copy.

use std::time::Instant;

use anyhow::Result;
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

use super::cost::Rates;
use super::work::Work;

/// Timed runs of each; the fastest counts, because a floor is what can be reached.
const RUNS: usize = 8;

pub(super) fn measure(device: &Device, dtype: DType, work: &Work) -> Result<Rates> {
    let n = work.matmul;
    let values: Vec<f32> = (0..n * n).map(|i| ((i as f32) * 0.618).sin()).collect();
    let a = Tensor::from_vec(values, (n, n), device)?.to_dtype(dtype)?;
    let b = a.t()?.contiguous()?;
    let seconds = fastest(device, || {
        a.matmul(&b)?;
        Ok(())
    })?;
    let flops = 2.0 * (n as f64).powi(3) / seconds;
    let seconds = if device.is_cpu() {
        copy_on_host(device, work.copy)?
    } else {
        let buffer = Tensor::zeros(work.copy / 4, DType::F32, device)?;
        fastest(device, || {
            buffer.copy()?;
            Ok(())
        })?
    };
    Ok(Rates { flops, bytes: 2.0 * work.copy as f64 / seconds })
}

/// On all cores and into memory that is already there: candle's copy on the host is one core's, into fresh pages.
fn copy_on_host(device: &Device, bytes: usize) -> Result<f64> {
    let (from, mut to) = (vec![1f32; bytes / 4], vec![0f32; bytes / 4]);
    let share = from.len().div_ceil(rayon::current_num_threads());
    fastest(device, || {
        to.par_chunks_mut(share).zip(from.par_chunks(share)).for_each(|(to, from)| to.copy_from_slice(from));
        Ok(())
    })
}

/// Seconds of the fastest run, after one that is not counted.
fn fastest(device: &Device, mut run: impl FnMut() -> Result<()>) -> Result<f64> {
    run()?;
    device.synchronize()?;
    let mut best = f64::INFINITY;
    for _ in 0..RUNS {
        let started = Instant::now();
        run()?;
        device.synchronize()?;
        best = best.min(started.elapsed().as_secs_f64());
    }
    Ok(best)
}
