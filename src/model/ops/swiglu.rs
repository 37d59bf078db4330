//! The gate of the feed-forward block: `silu(gate) * up`, silu(g) = g / (1 + e^-g).
//!
//! Shazeer 2020, "GLU Variants Improve Transformer".

use anyhow::Result;
use candle_core::{DType, Tensor};

use super::host;

/// `gate`, `up`: [rows, width]. Returns [rows, width].
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (rows, width) = gate.dims2()?;
    if !host::applies(gate) || !host::applies(up) {
        return Ok((gate.silu()? * up)?);
    }
    let (gate, up) = (host::slice(gate)?, host::slice(up)?);
    let (gate, up) = (&*gate, &*up);
    let mut y = vec![0f32; rows * width];
    host::for_each_row(
        &mut y,
        width,
        #[inline(always)]
        |row, y| {
            let (gate, up) = (&gate[row * width..][..width], &up[row * width..][..width]);
            for ((y, g), u) in y.iter_mut().zip(gate).zip(up) {
                *y = g * sigmoid(*g) * u;
            }
        },
    );
    host::tensor(y, rows, width)
}

/// Gradients with respect to `gate` and `up`, given `d_y` of [rows, width].
pub fn swiglu_backward(gate: &Tensor, up: &Tensor, d_y: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, width) = gate.dims2()?;
    if !host::applies(gate) || !host::applies(up) || !host::applies(d_y) {
        let dtype = gate.dtype();
        let (gate, up, d_y) = (gate.to_dtype(DType::F32)?, up.to_dtype(DType::F32)?, d_y.to_dtype(DType::F32)?);
        let s = ((gate.neg()?.exp()? + 1.0)?).recip()?;
        let slope = (&s * ((&gate * s.affine(-1.0, 1.0)?)? + 1.0)?)?;
        let d_gate = ((&d_y * &up)? * slope)?;
        let d_up = ((d_y * gate)? * s)?;
        return Ok((d_gate.to_dtype(dtype)?, d_up.to_dtype(dtype)?));
    }
    let (gate, up, d_y) = (host::slice(gate)?, host::slice(up)?, host::slice(d_y)?);
    let (gate, up, d_y) = (&*gate, &*up, &*d_y);
    let mut d_gate = vec![0f32; rows * width];
    let mut d_up = vec![0f32; rows * width];
    host::for_each_row_pair(
        (&mut d_gate, width),
        (&mut d_up, width),
        #[inline(always)]
        |row, d_gate, d_up| {
            let at = row * width;
            let (gate, up, d_y) = (&gate[at..at + width], &up[at..at + width], &d_y[at..at + width]);
            for i in 0..width {
                let s = sigmoid(gate[i]);
                d_gate[i] = d_y[i] * up[i] * s * gate[i].mul_add(1.0 - s, 1.0);
                d_up[i] = d_y[i] * gate[i] * s;
            }
        },
    );
    Ok((host::tensor(d_gate, rows, width)?, host::tensor(d_up, rows, width)?))
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + host::exp(-x))
}
