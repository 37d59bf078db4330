//! Kernels of `norm.cu`.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::launch::{Call, Module, module, rows_of_eight, unset};

const NORM: Module = module!("norm");

/// Threads of a block: eight elements each, whole warps.
fn threads(width: usize) -> usize {
    (width / 8).next_multiple_of(32).clamp(32, 512)
}

/// `x`: [rows, width], `weight`: `[width]`.
pub(crate) fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    let (rows, width) = rows_of_eight(x)?;
    ensure!(weight.dims() == [width] && weight.dtype() == x.dtype(), "a norm of width {width} with a weight {weight:?}");
    let y = unset((rows, width), x.dtype(), x.device())?;
    let call = Call::typed(NORM, "rms_norm", x)?.tensor(x)?.tensor(weight)?.tensor(&y)?.int(width)?.float(eps as f32);
    call.launch((rows, 1, 1), threads(width))?;
    Ok(y)
}

/// `x + added`, and its norm.
pub(crate) fn add_rms_norm(x: &Tensor, added: &Tensor, weight: &Tensor, eps: f64) -> Result<(Tensor, Tensor)> {
    let (rows, width) = rows_of_eight(x)?;
    ensure!(added.dims() == x.dims() && added.dtype() == x.dtype(), "{added:?} added to {x:?}");
    ensure!(weight.dims() == [width] && weight.dtype() == x.dtype(), "a norm of width {width} with a weight {weight:?}");
    let (sum, y) = (unset((rows, width), x.dtype(), x.device())?, unset((rows, width), x.dtype(), x.device())?);
    let call = Call::typed(NORM, "add_rms_norm", x)?.tensor(x)?.tensor(added)?.tensor(weight)?.tensor(&sum)?.tensor(&y)?;
    call.int(width)?.float(eps as f32).launch((rows, 1, 1), threads(width))?;
    Ok((sum, y))
}

/// The norm's gradient at `x`, given `d_y`; plus `d_residual` where there is one.
pub(crate) fn rms_norm_backward(x: &Tensor, weight: &Tensor, d_y: &Tensor, d_residual: Option<&Tensor>, eps: f64) -> Result<Tensor> {
    let (rows, width) = rows_of_eight(x)?;
    ensure!([Some(d_y), d_residual].iter().flatten().all(|t| t.dims() == x.dims() && t.dtype() == x.dtype()), "gradients do not fit {x:?}");
    let d_x = unset((rows, width), x.dtype(), x.device())?;
    let call = Call::typed(NORM, "rms_norm_backward", x)?.tensor(x)?.tensor(weight)?.tensor(d_y)?.optional(d_residual)?.tensor(&d_x)?;
    call.int(width)?.float(eps as f32).launch((rows, 1, 1), threads(width))?;
    Ok(d_x)
}
