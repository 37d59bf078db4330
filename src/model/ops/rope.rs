//! Rotary position embedding in the half-split layout of the published checkpoints: element i of a head is rotated
//! together with element i + head_dim/2 by the angle `position / theta^(2i/head_dim)`.
//!
//! Su et al. 2021, "RoFormer". The tables are f32 whatever the model's type: bf16 cannot hold positions above 256.

use anyhow::{Result, bail};
use candle_core::{D, DType, Device, Tensor};

use super::host;
use crate::model::spec::{Rope, RopeScaling, Spec};

/// Cosines and sines of every position up to a limit.
#[derive(Debug, Clone)]
pub struct RopeTable {
    cos: Tensor,
    sin: Tensor,
    half: usize,
}

/// Which way to turn: `Forward` in the model, `Backward` for its gradient (a rotation's transpose is its inverse).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// By the position's angle.
    Forward,
    /// By the negative angle.
    Backward,
}

impl RopeTable {
    /// Tables for positions `0..positions` of the given model.
    pub fn new(spec: &Spec, positions: usize, device: &Device) -> Result<Self> {
        let half = spec.head_dim / 2;
        let frequencies = frequencies(&spec.rope, spec.head_dim);
        let angles = |f: fn(f64) -> f64| -> Vec<f32> {
            (0..positions).flat_map(|p| frequencies.iter().map(move |w| f(p as f64 * w) as f32)).collect()
        };
        Ok(Self {
            cos: Tensor::from_vec(angles(f64::cos), (positions, half), device)?,
            sin: Tensor::from_vec(angles(f64::sin), (positions, half), device)?,
            half,
        })
    }

    /// Refuses positions beyond the tables.
    pub(crate) fn check(&self, positions: &[u32]) -> Result<()> {
        let limit = self.cos.dim(0)?;
        if let Some(position) = positions.iter().find(|p| **p as usize >= limit) {
            bail!("position {position} is beyond the model's limit of {limit} positions: shorten the prompt or the answer");
        }
        Ok(())
    }

    /// The tables: [positions, head_dim / 2] each, f32.
    #[cfg(feature = "cuda")]
    pub(crate) fn tables(&self) -> (&Tensor, &Tensor) {
        (&self.cos, &self.sin)
    }

    /// Rotates every head of `x`: [tokens, heads * head_dim]; `positions` holds one entry a token.
    pub fn rotate(&self, x: &Tensor, positions: &[u32], turn: Turn) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        self.check(positions)?;
        let sign = if turn == Turn::Forward { 1.0 } else { -1.0 };
        if !host::applies(x) {
            return self.rotate_composed(x, positions, sign);
        }
        let (x, cos, sin) = (host::slice(x)?, host::slice(&self.cos)?, host::slice(&self.sin)?);
        let (x, cos, sin, half) = (&*x, &*cos, &*sin, self.half);
        let mut y = vec![0f32; rows * width];
        host::for_each_row(
            &mut y,
            width,
            #[inline(always)]
            |row, y| {
                let at = positions[row] as usize * half;
                let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
                let heads = x[row * width..][..width].chunks_exact(2 * half).zip(y.chunks_exact_mut(2 * half));
                for (x, y) in heads {
                    let (x0, x1) = x.split_at(half);
                    let (y0, y1) = y.split_at_mut(half);
                    for i in 0..half {
                        let s = sign as f32 * sin[i];
                        y0[i] = x0[i].mul_add(cos[i], -x1[i] * s);
                        y1[i] = x1[i].mul_add(cos[i], x0[i] * s);
                    }
                }
            },
        );
        host::tensor(y, rows, width)
    }

    fn rotate_composed(&self, x: &Tensor, positions: &[u32], sign: f64) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let positions = Tensor::from_slice(positions, rows, x.device())?;
        let cos = self.cos.index_select(&positions, 0)?.unsqueeze(1)?;
        let sin = (self.sin.index_select(&positions, 0)?.unsqueeze(1)? * sign)?;
        let heads = x.to_dtype(DType::F32)?.reshape((rows, width / (2 * self.half), 2 * self.half))?;
        let x0 = heads.narrow(D::Minus1, 0, self.half)?;
        let x1 = heads.narrow(D::Minus1, self.half, self.half)?;
        let y0 = (x0.broadcast_mul(&cos)? - x1.broadcast_mul(&sin)?)?;
        let y1 = (x1.broadcast_mul(&cos)? + x0.broadcast_mul(&sin)?)?;
        Ok(Tensor::cat(&[y0, y1], D::Minus1)?.reshape((rows, width))?.to_dtype(x.dtype())?)
    }
}

/// Angle per position of each pair of a head.
fn frequencies(rope: &Rope, head_dim: usize) -> Vec<f64> {
    let plain = (0..head_dim / 2).map(|i| rope.theta.powf(-2.0 * i as f64 / head_dim as f64));
    match &rope.scaling {
        RopeScaling::Default => plain.collect(),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
            plain.map(|f| llama3(f, *factor, (*low_freq_factor, *high_freq_factor), *original_positions)).collect()
        }
        RopeScaling::Divisors(divisors) => plain.zip(divisors).map(|(f, divisor)| f / divisor).collect(),
    }
}

/// Llama 3's long-context rule: low frequencies are divided by `factor`, high ones kept, those between blended.
fn llama3(frequency: f64, factor: f64, (low, high): (f64, f64), original_positions: f64) -> f64 {
    let wavelength = 2.0 * std::f64::consts::PI / frequency;
    let rotations = original_positions / wavelength;
    if rotations > high {
        frequency
    } else if rotations < low {
        frequency / factor
    } else {
        let share = (rotations - low) / (high - low);
        (1.0 - share) * frequency / factor + share * frequency
    }
}
