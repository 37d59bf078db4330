//! The gate of the feed-forward block with GELU in its tanh form: `gelu(gate) * up`,
//! gelu(g) = g/2 · (1 + tanh(√(2/π) · (g + 0.044715 g³))).
//!
//! Hendrycks and Gimpel 2016, "Gaussian Error Linear Units"; Shazeer 2020, "GLU Variants Improve Transformer".

use anyhow::Result;
use candle_core::{DType, Tensor};

use super::host;

/// √(2/π)
const SLOPE: f32 = 0.797_884_6;
const CUBE: f32 = 0.044_715;

/// `gate`, `up`: [rows, width]. Returns [rows, width].
pub fn geglu(gate: &Tensor, up: &Tensor) -> Result<Tensor> {
    let (rows, width) = gate.dims2()?;
    if !host::applies(gate) || !host::applies(up) {
        let dtype = gate.dtype();
        let activated = gate.to_dtype(DType::F32)?.gelu()?;
        return Ok((activated * up.to_dtype(DType::F32)?)?.to_dtype(dtype)?);
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
                *y = g * half_plus(*g) * u;
            }
        },
    );
    host::tensor(y, rows, width)
}

/// Gradients with respect to `gate` and `up`, given `d_y` of [rows, width].
pub fn geglu_backward(gate: &Tensor, up: &Tensor, d_y: &Tensor) -> Result<(Tensor, Tensor)> {
    let (rows, width) = gate.dims2()?;
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
                let g = gate[i];
                let s = half_plus(g);
                let slope = 2.0 * SLOPE * (3.0 * CUBE * g).mul_add(g, 1.0);
                d_gate[i] = d_y[i] * up[i] * (g * slope * s).mul_add(1.0 - s, s);
                d_up[i] = d_y[i] * g * s;
            }
        },
    );
    Ok((host::tensor(d_gate, rows, width)?, host::tensor(d_up, rows, width)?))
}

/// (1 + tanh(z)) / 2 as 1 / (1 + e^-2z).
#[inline(always)]
fn half_plus(g: f32) -> f32 {
    let z = SLOPE * (CUBE * g * g).mul_add(g, g);
    1.0 / (1.0 + host::exp(-2.0 * z))
}
