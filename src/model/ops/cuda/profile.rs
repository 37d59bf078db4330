//! Where the time of a GPU goes, kernel by kernel: for `ballast bench --profile`.
//!
//! While it is on, the host waits for every kernel, so kernels cannot overlap with the host and each costs some
//! microseconds more; shares, not sums, are what it is for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use anyhow::Result;
use candle_core::{Device, Tensor};

/// Calls and seconds by kernel; None while it is off.
static SPENT: Mutex<Option<BTreeMap<String, (usize, f64)>>> = Mutex::new(None);

/// Turns it on, with nothing spent.
pub(crate) fn start() {
    *SPENT.lock().unwrap_or_else(PoisonError::into_inner) = Some(BTreeMap::new());
}

/// Turns it off; gives kernel, calls and seconds, the most expensive first.
pub(crate) fn stop() -> Vec<(String, usize, f64)> {
    let spent = SPENT.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
    let mut spent: Vec<_> = spent.into_iter().map(|(name, (calls, seconds))| (name, calls, seconds)).collect();
    spent.sort_by(|a, b| b.2.total_cmp(&a.2));
    spent
}

/// Runs work that puts kernels on a device, and takes its time where that is asked for.
pub(crate) fn timed<R>(device: &Device, name: impl FnOnce() -> String, work: impl FnOnce() -> Result<R>) -> Result<R> {
    if SPENT.lock().unwrap_or_else(PoisonError::into_inner).is_none() {
        return work();
    }
    device.synchronize()?;
    let started = Instant::now();
    let result = work()?;
    device.synchronize()?;
    let seconds = started.elapsed().as_secs_f64();
    if let Some(spent) = SPENT.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
        let entry = spent.entry(name()).or_default();
        *entry = (entry.0 + 1, entry.1 + seconds);
    }
    Ok(result)
}

/// A matrix product by cuBLAS.
pub(crate) fn product(left: &Tensor, right: &Tensor) -> Result<Tensor> {
    let name = || format!("product {:?} x {:?}", left.dims(), right.dims());
    timed(left.device(), name, || Ok(left.matmul(right)?))
}
