//! The gate of the feed-forward block with GELU in its tanh form: `gelu(gate) * up`,
//! gelu(g) = g/2 · (1 + tanh(√(2/π) · (g + 0.044715 g³))).
//!
//! Hendrycks and Gimpel 2016, "Gaussian Error Linear Units"; Shazeer 2020, "GLU Variants Improve Transformer".

use anyhow::Result;
use candle_core::{DType, Tensor};

use super::elementwise::{combine, two_gradients};
use super::host;

/// √(2/π)
const SLOPE: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// `gate`, `up`: [rows, width]. Returns [rows, width].
pub fn geglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    if !host::applies(gate) || !host::applies(up) {
        let dtype = gate.dtype();
        let activated = gate.to_dtype(DType::F32)?.gelu()?;
        return Ok((activated * up.to_dtype(DType::F32)?)?.to_dtype(dtype)?);
    }
    combine(
        gate,
        up,
        #[inline(always)]
        |g, u| g * half_plus(g) * u,
    )
}

/// Gradients with respect to `gate` and `up`, given `d_y` of [rows, width].
pub fn geglu_backward(gate: &Tensor, up: &Tensor, d_y: &Tensor) -> Result<(Tensor, Tensor)> {
    if !host::applies(gate) || !host::applies(up) || !host::applies(d_y) {
        let dtype = gate.dtype();
        let (gate, up, d_y) = (gate.to_dtype(DType::F32)?, up.to_dtype(DType::F32)?, d_y.to_dtype(DType::F32)?);
        let square = gate.sqr()?;
        let inner = (&gate * square.affine(f64::from(SLOPE * CUBE), f64::from(SLOPE))?)?;
        // (1 + tanh) / 2, and the slope of its argument doubled.
        let s = inner.affine(-2.0, 0.0)?.exp()?.affine(1.0, 1.0)?.recip()?;
        let slope = square.affine(f64::from(6.0 * SLOPE * CUBE), f64::from(2.0 * SLOPE))?;
        let d_gelu = (&s + ((&gate * &slope)? * (&s * s.affine(-1.0, 1.0)?)?)?)?;
        let d_gate = ((&d_y * &up)? * d_gelu)?;
        let d_up = ((d_y * gate)? * s)?;
        return Ok((d_gate.to_dtype(dtype)?, d_up.to_dtype(dtype)?));
    }
    two_gradients(
        gate,
        up,
        d_y,
        #[inline(always)]
        |g, up, d_y| {
            let s = half_plus(g);
            let slope = 2.0 * SLOPE * (3.0 * CUBE * g).mul_add(g, 1.0);
            (d_y * up * (g * slope * s).mul_add(1.0 - s, s), d_y * g * s)
        },
    )
}

/// (1 + tanh(z)) / 2 as 1 / (1 + e^-2z).
#[inline(always)]
fn half_plus(g: f32) -> f32 {
    let z = SLOPE * (CUBE * g * g).mul_add(g, g);
    1.0 / (1.0 + host::exp(-2.0 * z))
}
