//! Kernels of `swiglu.cu`.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::launch::{Call, Module, module, rows_of_eight, unset};

const SWIGLU: Module = module!("swiglu");

/// `gate_up`: [rows, 2 * width], gate first. Returns [rows, width].
pub(crate) fn swiglu(gate_up: &Tensor) -> Result<Tensor> {
    let (rows, both) = rows_of_eight(gate_up)?;
    let width = both / 2;
    ensure!(width % 8 == 0, "kernels need widths that are multiples of 8, not {width}");
    let y = unset((rows, width), gate_up.dtype(), gate_up.device())?;
    let call = Call::typed(SWIGLU, "swiglu", gate_up)?.tensor(gate_up)?.tensor(&y)?.int(width)?;
    launch(call, rows, width)?;
    Ok(y)
}

/// Turns `gate_up` into its gradient, given that of the result, and gives the result again.
pub(crate) fn swiglu_backward(gate_up: &Tensor, d_y: &Tensor) -> Result<Tensor> {
    let (rows, width) = rows_of_eight(d_y)?;
    ensure!(gate_up.dims() == [rows, 2 * width] && gate_up.dtype() == d_y.dtype(), "{gate_up:?} with a gradient {d_y:?}");
    let y = unset((rows, width), d_y.dtype(), d_y.device())?;
    let call = Call::typed(SWIGLU, "swiglu_backward", d_y)?.tensor(gate_up)?.tensor(d_y)?.tensor(&y)?.int(width)?;
    launch(call, rows, width)?;
    Ok(y)
}

/// Blocks of 256 threads, eight elements each, side by side along the width; rows along y, as many as a grid takes.
fn launch(call: Call<'_>, rows: usize, width: usize) -> Result<()> {
    ensure!(rows <= 65_535, "a pass of {rows} tokens is more than a grid takes");
    call.launch(((width / 8).div_ceil(256), rows, 1), 256)
}
