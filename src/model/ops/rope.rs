//! Rotary position embedding: element i of a head is rotated together with element i + n/2 (half-split, the layout of most
//! published checkpoints), or elements 2i and 2i + 1 with each other (interleaved), by the angle
//! `position / theta^(2i/n)`, where n is the head's size, or the part of it that turns.
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
    /// Pairs of a head that turn.
    half: usize,
    head_dim: usize,
    interleaved: bool,
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
    /// The first table of the given model, for positions `0..positions`.
    pub fn new(spec: &Spec, positions: usize, device: &Device) -> Result<Self> {
        Self::of(&spec.ropes[0], spec.head_dim, positions, device)
    }

    /// A table for heads of the given size.
    pub fn of(rope: &Rope, head_dim: usize, positions: usize, device: &Device) -> Result<Self> {
        let half = rope.turning(head_dim) / 2;
        let frequencies = frequencies(rope, 2 * half);
        let angles = |f: fn(f64) -> f64| -> Vec<f32> {
            (0..positions).flat_map(|p| frequencies.iter().map(move |w| (f(p as f64 * w) * rope.amplitude) as f32)).collect()
        };
        Ok(Self {
            cos: Tensor::from_vec(angles(f64::cos), (positions, half), device)?,
            sin: Tensor::from_vec(angles(f64::sin), (positions, half), device)?,
            half,
            head_dim,
            interleaved: rope.interleaved,
        })
    }

    /// Refuses positions beyond the tables.
    pub(crate) fn check(&self, positions: &[u32]) -> Result<()> {
        let limit = self.cos.dim(0)?;
        if let Some(position) = positions.iter().find(|p| **p as usize >= limit) {
            bail!("position {position} is beyond the {limit} of the rotary table");
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
        let (x, cos, sin, half, head) = (&*x, &*cos, &*sin, self.half, self.head_dim);
        host::by_row(
            rows,
            width,
            #[inline(always)]
            |row, y| {
                let at = positions[row] as usize * half;
                let (cos, sin) = (&cos[at..at + half], &sin[at..at + half]);
                let heads = x[row * width..][..width].chunks_exact(head).zip(y.chunks_exact_mut(head));
                for (x, y) in heads {
                    let ((x, rest), (y, rest_y)) = (x.split_at(2 * half), y.split_at_mut(2 * half));
                    rest_y.copy_from_slice(rest);
                    if self.interleaved {
                        for i in 0..half {
                            let s = sign as f32 * sin[i];
                            y[2 * i] = x[2 * i].mul_add(cos[i], -x[2 * i + 1] * s);
                            y[2 * i + 1] = x[2 * i + 1].mul_add(cos[i], x[2 * i] * s);
                        }
                        continue;
                    }
                    let (x0, x1) = x.split_at(half);
                    let (y0, y1) = y.split_at_mut(half);
                    for i in 0..half {
                        let s = sign as f32 * sin[i];
                        y0[i] = x0[i].mul_add(cos[i], -x1[i] * s);
                        y1[i] = x1[i].mul_add(cos[i], x0[i] * s);
                    }
                }
            },
        )
    }

    fn rotate_composed(&self, x: &Tensor, positions: &[u32], sign: f64) -> Result<Tensor> {
        let (rows, width) = x.dims2()?;
        let (half, count) = (self.half, width / self.head_dim);
        let positions = Tensor::from_slice(positions, rows, x.device())?;
        let cos = self.cos.index_select(&positions, 0)?.unsqueeze(1)?;
        let sin = (self.sin.index_select(&positions, 0)?.unsqueeze(1)? * sign)?;
        let heads = x.to_dtype(DType::F32)?.reshape((rows, count, self.head_dim))?;
        let (x0, x1) = if self.interleaved {
            let pairs = heads.narrow(D::Minus1, 0, 2 * half)?.reshape((rows, count, half, 2))?;
            (pairs.narrow(D::Minus1, 0, 1)?.squeeze(D::Minus1)?, pairs.narrow(D::Minus1, 1, 1)?.squeeze(D::Minus1)?)
        } else {
            (heads.narrow(D::Minus1, 0, half)?, heads.narrow(D::Minus1, half, half)?)
        };
        let y0 = (x0.broadcast_mul(&cos)? - x1.broadcast_mul(&sin)?)?;
        let y1 = (x1.broadcast_mul(&cos)? + x0.broadcast_mul(&sin)?)?;
        let turned = if self.interleaved {
            Tensor::stack(&[y0, y1], D::Minus1)?.reshape((rows, count, 2 * half))?
        } else {
            Tensor::cat(&[y0, y1], D::Minus1)?
        };
        let rest = self.head_dim - 2 * half;
        let all = if rest == 0 { turned } else { Tensor::cat(&[turned, heads.narrow(D::Minus1, 2 * half, rest)?], D::Minus1)? };
        Ok(all.reshape((rows, width))?.to_dtype(x.dtype())?)
    }
}

/// Angle per position of each pair, of `turning` elements.
fn frequencies(rope: &Rope, turning: usize) -> Vec<f64> {
    let plain = (0..turning / 2).map(|i| rope.theta.powf(-2.0 * i as f64 / turning as f64));
    match &rope.scaling {
        RopeScaling::Default => plain.collect(),
        RopeScaling::Linear { factor } => plain.map(|f| f / factor).collect(),
        RopeScaling::Yarn { factor, fast, slow, original_positions, truncate } => {
            let ramp = yarn_ramp(rope.theta, turning, (*fast, *slow), *original_positions, *truncate);
            plain.zip(ramp).map(|(f, share)| share * f / factor + (1.0 - share) * f).collect()
        }
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

/// The share of interpolation of each pair in YaRN (Peng et al. 2023, section 3.2): 0 for pairs that turn more often than
/// `fast` over the original context, 1 for those below `slow`, linear in the pair's index between.
fn yarn_ramp(theta: f64, turning: usize, (fast, slow): (f64, f64), original_positions: f64, truncate: bool) -> Vec<f64> {
    let index = |turns: f64| turning as f64 * (original_positions / (turns * 2.0 * std::f64::consts::PI)).ln() / (2.0 * theta.ln());
    let (mut low, mut high) = (index(fast), index(slow));
    if truncate {
        (low, high) = (low.floor(), high.ceil());
    }
    (low, high) = (low.max(0.0), high.min(turning as f64 - 1.0));
    // Where both meet, a step instead of a division by zero.
    if (high - low).abs() < f64::EPSILON {
        high += 0.001;
    }
    (0..turning / 2).map(|i| ((i as f64 - low) / (high - low)).clamp(0.0, 1.0)).collect()
}
