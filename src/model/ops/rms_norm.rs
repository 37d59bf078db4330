//! Root-mean-square normalisation: `y = x / sqrt(mean(x²) + eps) * w`, over the last dimension.
//!
//! Zhang and Sennrich 2019, "Root Mean Square Layer Normalization". The mean is taken in f32 whatever the type of x.

use anyhow::Result;
use candle_core::{D, DType, Tensor};

use super::host;

/// `x`: [rows, width], `weight`: `[width]`. Returns [rows, width].
pub fn rms_norm(x: &Tensor, weight: &Tensor, eps: f64) -> Result<Tensor> {
    #[cfg(feature = "cuda")]
    if super::cuda::applies(x) {
        return super::cuda::norm::rms_norm(x, weight, eps);
    }
    let (rows, width) = x.dims2()?;
    if !host::applies(x) || !host::applies(weight) {
        let wide = x.to_dtype(DType::F32)?;
        let inverse = inverse_rms(&wide, eps)?;
        let y = wide.broadcast_mul(&inverse)?.broadcast_mul(&weight.to_dtype(DType::F32)?)?;
        return Ok(y.to_dtype(x.dtype())?);
    }
    let (x, w) = (host::slice(x)?, host::slice(weight)?);
    let (x, w) = (&*x, &*w);
    host::by_row(
        rows,
        width,
        #[inline(always)]
        |row, y| {
            let x = &x[row * width..][..width];
            let inverse = inverse_rms_of(x, eps);
            for ((y, x), w) in y.iter_mut().zip(x).zip(w) {
                *y = x * inverse * w;
            }
        },
    )
}

/// Gradient with respect to `x`, given `d_y` of [rows, width]. The weight is frozen and gets none.
pub fn rms_norm_backward(x: &Tensor, weight: &Tensor, eps: f64, d_y: &Tensor) -> Result<Tensor> {
    let (rows, width) = x.dims2()?;
    if !host::applies(x) || !host::applies(weight) || !host::applies(d_y) {
        let wide = x.to_dtype(DType::F32)?;
        let inverse = inverse_rms(&wide, eps)?;
        let scaled = d_y.to_dtype(DType::F32)?.broadcast_mul(&weight.to_dtype(DType::F32)?)?;
        let projection = ((&wide * &scaled)?.sum_keepdim(D::Minus1)? / width as f64)?;
        let correction = wide.broadcast_mul(&(projection * inverse.powf(3.0)?)?)?;
        return Ok((scaled.broadcast_mul(&inverse)? - correction)?.to_dtype(x.dtype())?);
    }
    let (x, w, d_y) = (host::slice(x)?, host::slice(weight)?, host::slice(d_y)?);
    let (x, w, d_y) = (&*x, &*w, &*d_y);
    host::by_row(
        rows,
        width,
        #[inline(always)]
        |row, d_x| {
            let (x, d_y) = (&x[row * width..][..width], &d_y[row * width..][..width]);
            let inverse = inverse_rms_of(x, eps);
            for ((d_x, w), d_y) in d_x.iter_mut().zip(w).zip(d_y) {
                *d_x = w * d_y;
            }
            let projection = host::dot(x, d_x) / width as f32 * inverse * inverse * inverse;
            for (d_x, x) in d_x.iter_mut().zip(x) {
                *d_x = (*d_x).mul_add(inverse, -projection * x);
            }
        },
    )
}

#[inline(always)]
fn inverse_rms_of(x: &[f32], eps: f64) -> f32 {
    1.0 / (host::dot(x, x) / x.len() as f32 + eps as f32).sqrt()
}

fn inverse_rms(x: &Tensor, eps: f64) -> Result<Tensor> {
    Ok((x.sqr()?.mean_keepdim(D::Minus1)? + eps)?.sqrt()?.recip()?)
}
