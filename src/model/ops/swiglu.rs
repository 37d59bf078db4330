//! The gate of the feed-forward block: `silu(gate) * up`, silu(g) = g / (1 + e^-g).
//!
//! Shazeer 2020, "GLU Variants Improve Transformer".

use anyhow::Result;
use candle_core::{DType, Tensor};

use super::elementwise::{combine, two_gradients};
use super::host;

/// `gate`, `up`: [rows, width]. Returns [rows, width].
pub fn swiglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !host::applies(gate) || !host::applies(up) {
        return Ok((gate.silu()? * up)?);
    }
    combine(
        gate,
        up,
        #[inline(always)]
        |g, u| g * sigmoid(g) * u,
    )
}

/// Gradients with respect to `gate` and `up`, given `d_y` of [rows, width].
pub fn swiglu_backward(gate: &Tensor, up: &Tensor, d_y: &Tensor) -> Result<(Tensor, Tensor)> {
    if !host::applies(gate) || !host::applies(up) || !host::applies(d_y) {
        let dtype = gate.dtype();
        let (gate, up, d_y) = (gate.to_dtype(DType::F32)?, up.to_dtype(DType::F32)?, d_y.to_dtype(DType::F32)?);
        let s = ((gate.neg()?.exp()? + 1.0)?).recip()?;
        let slope = (&s * ((&gate * s.affine(-1.0, 1.0)?)? + 1.0)?)?;
        let d_gate = ((&d_y * &up)? * slope)?;
        let d_up = ((d_y * gate)? * s)?;
        return Ok((d_gate.to_dtype(dtype)?, d_up.to_dtype(dtype)?));
    }
    two_gradients(
        gate,
        up,
        d_y,
        #[inline(always)]
        |gate, up, d_y| {
            let s = sigmoid(gate);
            (d_y * up * s * gate.mul_add(1.0 - s, 1.0), d_y * gate * s)
        },
    )
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + host::exp(-x))
}
