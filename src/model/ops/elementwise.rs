//! Sums and products of two tensors of one shape.
//!
//! candle runs these on a thread pool of its own whose threads wait by spinning; on few cores they then fight with the
//! threads of the matrix products. The host forms here run on the one pool that everything else uses. Same numbers.

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use super::host;

/// `a + b`
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !host::applies(a) || !host::applies(b) {
        return Ok((a + b)?);
    }
    combine(
        a,
        b,
        #[inline(always)]
        |a, b| a + b,
    )
}

/// `a * b`
pub fn multiply(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    if !host::applies(a) || !host::applies(b) {
        return Ok((a * b)?);
    }
    combine(
        a,
        b,
        #[inline(always)]
        |a, b| a * b,
    )
}

/// `a * factor`
pub fn scale(a: &Tensor, factor: f64) -> Result<Tensor> {
    if !host::applies(a) {
        return Ok((a * factor)?);
    }
    let factor = factor as f32;
    combine(
        a,
        a,
        #[inline(always)]
        |a, _| a * factor,
    )
}

/// Each row of `x` [rows, columns] times a factor of its own.
pub fn scale_rows(x: &Tensor, factors: &[f32]) -> Result<Tensor> {
    let (rows, columns) = x.dims2()?;
    ensure!(factors.len() == rows, "{} factors for {rows} rows", factors.len());
    if !host::applies(x) {
        let factors = Tensor::from_slice(factors, (rows, 1), x.device())?;
        return Ok(x.to_dtype(DType::F32)?.broadcast_mul(&factors)?.to_dtype(x.dtype())?);
    }
    let x = host::slice(x)?;
    let x = &*x;
    host::by_row(
        rows,
        columns,
        #[inline(always)]
        |row, y| {
            for (y, x) in y.iter_mut().zip(&x[row * columns..][..columns]) {
                *y = x * factors[row];
            }
        },
    )
}

/// `cap · tanh(x / cap)`: keeps numbers between -cap and cap (Gemma Team 2024, "Gemma 2", section 2).
pub fn softcap(x: &Tensor, cap: f64) -> Result<Tensor> {
    Ok((((x.to_dtype(DType::F32)? / cap)?.tanh()? * cap)?).to_dtype(x.dtype())?)
}

/// Sum of squares of each of some f32 tensors.
pub fn square_sums(tensors: &[&Tensor]) -> Result<Vec<f64>> {
    #[cfg(feature = "cuda")]
    if tensors.iter().all(|tensor| super::cuda::applies(tensor)) {
        return super::cuda::optim::square_sums(tensors);
    }
    tensors.iter().map(|tensor| square_sum(tensor)).collect()
}

/// Sum of squares, of an f32 tensor.
fn square_sum(a: &Tensor) -> Result<f64> {
    if !host::applies(a) {
        return Ok(f64::from(a.to_dtype(DType::F32)?.sqr()?.sum_all()?.to_scalar::<f32>()?));
    }
    let a = host::slice(a)?;
    // In parts, so that f32 sums stay short.
    Ok(a.chunks(4096)
        .map(|part| {
            f64::from(host::vectorised(
                #[inline(always)]
                || host::dot(part, part),
            ))
        })
        .sum())
}

/// `f` of each two elements of f32 host tensors of one shape.
#[inline(always)]
pub(super) fn combine(a: &Tensor, b: &Tensor, f: impl Fn(f32, f32) -> f32 + Sync) -> Result<Tensor> {
    ensure!(a.dims() == b.dims(), "tensors of shapes {:?} and {:?} cannot be combined", a.dims(), b.dims());
    let (rows, columns) = a.dims2()?;
    let (a, b) = (host::slice(a)?, host::slice(b)?);
    let (a, b) = (&*a, &*b);
    host::by_row(
        rows,
        columns,
        #[inline(always)]
        |row, y| {
            let range = row * columns..(row + 1) * columns;
            for ((y, a), b) in y.iter_mut().zip(&a[range.clone()]).zip(&b[range]) {
                *y = f(*a, *b);
            }
        },
    )
}

/// `f(a, b, d)` of each three elements, as two tensors: the gradients of an operation on `a` and `b`.
#[inline(always)]
pub(super) fn two_gradients(
    a: &Tensor,
    b: &Tensor,
    d: &Tensor,
    f: impl Fn(f32, f32, f32) -> (f32, f32) + Sync,
) -> Result<(Tensor, Tensor)> {
    let (rows, columns) = a.dims2()?;
    let (a, b, d) = (host::slice(a)?, host::slice(b)?, host::slice(d)?);
    let (a, b, d) = (&*a, &*b, &*d);
    let (mut d_a, mut d_b) = (vec![0f32; rows * columns], vec![0f32; rows * columns]);
    host::for_each_row_pair(
        (&mut d_a, columns),
        (&mut d_b, columns),
        #[inline(always)]
        |row, d_a, d_b| {
            let at = row * columns;
            let (a, b, d) = (&a[at..at + columns], &b[at..at + columns], &d[at..at + columns]);
            for i in 0..columns {
                (d_a[i], d_b[i]) = f(a[i], b[i], d[i]);
            }
        },
    );
    Ok((host::tensor(d_a, rows, columns)?, host::tensor(d_b, rows, columns)?))
}
