//! Access to f32 tensors in host memory as slices, and the few vector primitives the fused kernels share.
//!
//! The primitives are written so that the compiler vectorises them inside [`vectorised`], which picks AVX-512, AVX2
//! or NEON code at run time. `mul_add` is one instruction there.

use std::ops::Deref;

use anyhow::{Result, bail};
use candle_core::{CpuStorage, DType, Device, Storage, StorageRef, Tensor};
use rayon::prelude::*;

/// A borrowed view of a contiguous f32 tensor in host memory.
pub(crate) struct HostSlice<'a> {
    storage: StorageRef<'a>,
    start: usize,
    len: usize,
}

impl Deref for HostSlice<'_> {
    type Target = [f32];
    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.start + self.len],
            _ => unreachable!("checked when the slice was made"),
        }
    }
}

/// True when the fused host kernels apply: f32, on the CPU, contiguous.
pub(crate) fn applies(tensor: &Tensor) -> bool {
    matches!(tensor.device(), Device::Cpu) && tensor.dtype() == DType::F32 && tensor.is_contiguous()
}

/// The elements of a contiguous f32 host tensor, row-major.
pub(crate) fn slice(tensor: &Tensor) -> Result<HostSlice<'_>> {
    let (storage, layout) = tensor.storage_and_layout();
    let Some((start, end)) = layout.contiguous_offsets() else {
        bail!("host kernel given a tensor that is not contiguous: shape {:?}", layout.shape());
    };
    if !matches!(&*storage, Storage::Cpu(CpuStorage::F32(_))) {
        bail!("host kernel given a tensor that is not f32 in host memory");
    }
    Ok(HostSlice { storage, start, len: end - start })
}

/// A host tensor of the given rows and columns.
pub(crate) fn tensor(values: Vec<f32>, rows: usize, columns: usize) -> Result<Tensor> {
    Ok(Tensor::from_vec(values, (rows, columns), &Device::Cpu)?)
}

/// A host tensor of the given rows and columns, each row written by `f`, which is given its index and its place.
#[inline(always)]
pub(crate) fn by_row(rows: usize, columns: usize, f: impl Fn(usize, &mut [f32]) + Sync) -> Result<Tensor> {
    let mut y = vec![0f32; rows * columns];
    for_each_row(&mut y, columns, f);
    tensor(y, rows, columns)
}

/// Runs `f` compiled for the best vector instructions of this processor.
#[inline(always)]
pub(crate) fn vectorised<R>(f: impl FnOnce() -> R) -> R {
    struct Call<F>(F);
    impl<R, F: FnOnce() -> R> pulp::NullaryFnOnce for Call<F> {
        type Output = R;
        #[inline(always)]
        fn call(self) -> R {
            (self.0)()
        }
    }
    pulp::Arch::new().dispatch(Call(f))
}

/// Calls `f(row_index, row)` for every row of `values`, rows spread over the threads.
pub(crate) fn for_each_row(values: &mut [f32], width: usize, f: impl Fn(usize, &mut [f32]) + Sync) {
    let group = rows_a_task(values.len() / width.max(1), width);
    values.par_chunks_mut(group * width).enumerate().for_each(|(chunk, rows)| {
        vectorised(
            #[inline(always)]
            || {
                for (i, row) in rows.chunks_exact_mut(width).enumerate() {
                    f(chunk * group + i, row);
                }
            },
        );
    });
}

/// Calls `f(row_index, row_of_a, row_of_b)` for every row of two outputs of equal row count.
pub(crate) fn for_each_row_pair(a: (&mut [f32], usize), b: (&mut [f32], usize), f: impl Fn(usize, &mut [f32], &mut [f32]) + Sync) {
    let ((a, a_width), (b, b_width)) = (a, b);
    let group = rows_a_task(a.len() / a_width.max(1), a_width + b_width);
    let chunks = a.par_chunks_mut(group * a_width).zip(b.par_chunks_mut(group * b_width));
    chunks.enumerate().for_each(|(chunk, (a, b))| {
        vectorised(
            #[inline(always)]
            || {
                for (i, (a, b)) in a.chunks_exact_mut(a_width).zip(b.chunks_exact_mut(b_width)).enumerate() {
                    f(chunk * group + i, a, b);
                }
            },
        );
    });
}

/// Two tasks a thread level out uneven rows; below 64 k elements waking a thread costs more than the work.
fn rows_a_task(rows: usize, width: usize) -> usize {
    let by_threads = rows.div_ceil(rayon::current_num_threads() * 2);
    by_threads.max(65_536 / width.max(1)).max(1)
}

/// Lanes of independent partial sums: two AVX-512 registers in flight.
const LANES: usize = 32;

/// Dot product. Summed in interleaved lanes, so it equals a sequential sum up to rounding.
#[inline(always)]
pub(crate) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (a_blocks, a_tail) = a.as_chunks::<LANES>();
    let (b_blocks, b_tail) = b.as_chunks::<LANES>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for i in 0..LANES {
            lanes[i] = x[i].mul_add(y[i], lanes[i]);
        }
    }
    let mut tail = 0f32;
    for (x, y) in a_tail.iter().zip(b_tail) {
        tail = x.mul_add(*y, tail);
    }
    sum_lanes(&lanes) + tail
}

/// Pairwise sum, in steps of known width so that each is one vector addition.
#[inline(always)]
fn sum_lanes(lanes: &[f32; LANES]) -> f32 {
    let mut sixteen = [0f32; 16];
    for i in 0..16 {
        sixteen[i] = lanes[i] + lanes[i + 16];
    }
    let mut eight = [0f32; 8];
    for i in 0..8 {
        eight[i] = sixteen[i] + sixteen[i + 8];
    }
    let mut four = [0f32; 4];
    for i in 0..4 {
        four[i] = eight[i] + eight[i + 4];
    }
    (four[0] + four[2]) + (four[1] + four[3])
}

/// Sum of all elements.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut lanes = [0f32; LANES];
    let (blocks, tail) = values.as_chunks::<LANES>();
    for block in blocks {
        for i in 0..LANES {
            lanes[i] += block[i];
        }
    }
    sum_lanes(&lanes) + tail.iter().sum::<f32>()
}

/// `y += scale * x`
#[inline(always)]
pub(crate) fn axpy(scale: f32, x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = scale.mul_add(*x, *y);
    }
}

/// Largest element that is not NaN, -infinity for none.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (blocks, tail) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    tail.iter().chain(&lanes).fold(f32::NEG_INFINITY, |a, b| a.max(*b))
}

/// Index of the first of the largest elements; None for an empty slice or one of NaN alone.
#[expect(clippy::float_cmp, reason = "looks for the very element that `max` found")]
pub(crate) fn first_largest(values: &[f32]) -> Option<usize> {
    let max = vectorised(
        #[inline(always)]
        || max(values),
    );
    values.iter().position(|x| *x == max)
}

/// No element is NaN or infinite.
#[inline(always)]
pub(crate) fn all_finite(values: &[f32]) -> bool {
    let mut lanes = [0f32; LANES];
    let (blocks, tail) = values.as_chunks::<LANES>();
    for block in blocks {
        for (lane, value) in lanes.iter_mut().zip(block) {
            // 0 for a finite value, NaN otherwise; a NaN stays.
            *lane += value * 0.0;
        }
    }
    lanes.iter().chain(tail).all(|x| x.is_finite())
}

/// `out = Σ weight · row`, 32 columns at a time, so that the sums stay in registers. Rows as long as `out`.
#[inline(always)]
pub(crate) fn weighted_sum<'a>(weights: &[f32], rows: impl Iterator<Item = &'a [f32]> + Clone, out: &mut [f32]) {
    let (blocks, tail) = out.as_chunks_mut::<LANES>();
    let whole = blocks.len() * LANES;
    for (block, out) in blocks.iter_mut().enumerate() {
        let mut sums = [0f32; LANES];
        for (weight, row) in weights.iter().zip(rows.clone()) {
            let row = &row[block * LANES..][..LANES];
            for i in 0..LANES {
                sums[i] = weight.mul_add(row[i], sums[i]);
            }
        }
        *out = sums;
    }
    if !tail.is_empty() {
        tail.fill(0.0);
        for (weight, row) in weights.iter().zip(rows) {
            axpy(*weight, &row[whole..], tail);
        }
    }
}

/// e^x within 2 units in the last place over the finite range; NaN stays NaN, and below -87.3 the result is a
/// normal number near 1e-38, not 0. Branch-free, so loops over it vectorise. Cephes' polynomial (S. Moshier, expf).
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
    let x = x.clamp(-87.3, 88.3);
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = n.mul_add(-0.693_359_4, x);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_6e-1);
    let p = p.mul_add(r, 0.5);
    let p = p.mul_add(r * r, r + 1.0);
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127) << 23;
    p * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_within_two_ulp_of_f64() {
        let mut worst = 0f64;
        for i in -87_000..88_000 {
            let x = i as f32 / 1000.0;
            let exact = f64::from(x).exp();
            worst = worst.max(
                (f64::from(vectorised(
                    #[inline(always)]
                    || exp(x),
                )) - exact)
                    .abs()
                    / exact,
            );
        }
        assert!(worst < 2.4e-7, "relative error {worst}");
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn max_and_all_finite_look_at_every_element() {
        let values: Vec<f32> = (0..150).map(|i| (i as f32 * 0.7).sin()).collect();
        assert!(all_finite(&values));
        for i in 0..values.len() {
            let mut changed = values.clone();
            changed[i] = 3.0;
            assert!((max(&changed) - 3.0).abs() < f32::EPSILON);
            for broken in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
                changed[i] = broken;
                assert!(!all_finite(&changed), "{i}");
            }
        }
    }

    #[test]
    fn dot_handles_every_tail_length() {
        for n in 0..200 {
            let a: Vec<f32> = (0..n).map(|i| (i as f32).sin()).collect();
            let b: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).cos()).collect();
            let exact: f64 = a.iter().zip(&b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum();
            assert!((f64::from(dot(&a, &b)) - exact).abs() < 1e-5);
        }
    }
}
