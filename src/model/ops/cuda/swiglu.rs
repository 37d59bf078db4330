//! Kernels of `swiglu.cu`.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::launch::{Call, Module, module, rows_of_eight, unset};
use super::lowrank::{Group, TILE, Updates};

const SWIGLU: Module = module!("swiglu");

/// Tiles that a warp works on: `WARP_TILES` of `swiglu.cu`.
const WARP_TILES: usize = 2;

/// The low-rank updates of gate and up, and what they reduced their input to.
pub(crate) type GateUp<'a> = Option<(&'a Updates<'a>, &'a Tensor)>;

/// `gate_up`: [rows, 2 * width], gate first, which the updates are added to on the way. Returns [rows, width].
pub(crate) fn swiglu(gate_up: &Tensor, updates: GateUp<'_>) -> Result<Tensor> {
    let (rows, both) = rows_of_eight(gate_up)?;
    let width = both / 2;
    ensure!(width.is_multiple_of(8), "kernels need widths that are multiples of 8, not {width}");
    let y = unset((rows, width), gate_up.dtype(), gate_up.device())?;
    let call = Call::typed(SWIGLU, "swiglu", gate_up)?.tensor(gate_up)?.tensor(&y)?.int(width)?;
    launch(call, updates, rows, width)?;
    Ok(y)
}

/// Turns `gate_up` into the gradient of what [`swiglu`] made of it, given that of the result, and gives the result again.
pub(crate) fn swiglu_backward(gate_up: &Tensor, updates: GateUp<'_>, d_y: &Tensor) -> Result<Tensor> {
    let (rows, width) = rows_of_eight(d_y)?;
    ensure!(gate_up.dims() == [rows, 2 * width] && gate_up.dtype() == d_y.dtype(), "{gate_up:?} with a gradient {d_y:?}");
    let y = unset((rows, width), d_y.dtype(), d_y.device())?;
    let call = Call::typed(SWIGLU, "swiglu_backward", d_y)?.tensor(gate_up)?.tensor(d_y)?.tensor(&y)?.int(width)?;
    launch(call, updates, rows, width)?;
    Ok(y)
}

fn launch(call: Call<'_>, updates: GateUp<'_>, rows: usize, width: usize) -> Result<()> {
    let call = match updates {
        Some((updates, reduced)) => {
            let call = call.words(updates.set_words(Group::GATE_UP)).words(updates.reduced_words(Group::GATE_UP, reduced)?);
            call.shared(updates.staged(2))?
        }
        // A null address is no update; the kernel still asks how many tokens there are.
        None => call.words(vec![0; 3]).words(vec![0, (rows as u64) << 32, 0]),
    };
    call.launch((width.div_ceil(WARP_TILES * TILE.1), rows.div_ceil(TILE.0), 1), 256)
}
