//! Dropout masks that depend only on the seed, the step, the row and the place in the model: never on which rows share
//! a forward pass. So a window of rows gives one update however it is packed, and a layer that is recomputed in the
//! backward pass sees the mask of its forward pass.

use std::ops::Range;

use anyhow::Result;
use candle_core::Tensor;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use rayon::prelude::*;

use super::attention::Segment;
use super::{elementwise, host};

/// Where the masks of one forward pass come from.
#[derive(Debug, Clone)]
pub struct Dropout {
    /// Probability that an input element of a low-rank update is zeroed.
    pub rate: f64,
    /// One for each row of the packed batch.
    pub rows: Vec<RowKey>,
}

/// What the mask of a row depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowKey {
    /// Seed of the optimizer step.
    pub seed: u64,
    /// Index of the row in the step's window.
    pub row: u64,
}

/// Multipliers of one linear's input: 0 or 1 / (1 - rate). [tokens, width]
#[derive(Debug, Clone)]
pub struct DropoutMask(Tensor);

impl Dropout {
    /// Rows of one optimizer step, by their index in its window.
    pub fn new(rate: f64, seed: u64, rows: &[u64]) -> Self {
        Self { rate, rows: rows.iter().map(|row| RowKey { seed, row: *row }).collect() }
    }

    /// Of 65,536 numbers, those that drop an element.
    pub(crate) fn threshold(&self) -> u16 {
        (self.rate * 65_536.0).round() as u16
    }

    /// What a kept element is multiplied by. The rate in force is threshold / 65536; scaling by it keeps the expectation
    /// exact.
    pub(crate) fn keep(&self) -> f32 {
        (1.0 / (1.0 - f64::from(self.threshold()) / 65_536.0)) as f32
    }

    /// The mask of the `site`-th linear of the model for an input of the given width.
    pub fn mask(&self, site: u64, rows: &[Segment], width: usize, like: &Tensor) -> Result<Option<DropoutMask>> {
        if self.rate <= 0.0 {
            return Ok(None);
        }
        let (threshold, keep) = (self.threshold(), self.keep());
        let parts: Vec<Vec<f32>> = rows
            .par_iter()
            .zip(&self.rows)
            .map(|(row, key)| {
                let mut random = ChaCha8Rng::seed_from_u64(key.seed);
                random.set_stream(key.row << 32 | site);
                let mut bytes = vec![0u8; row.len * width * 2];
                random.fill_bytes(&mut bytes);
                let mut multipliers = vec![0f32; row.len * width];
                host::vectorised(
                    #[inline(always)]
                    || {
                        for (multiplier, pair) in multipliers.iter_mut().zip(bytes.as_chunks::<2>().0) {
                            *multiplier = if u16::from_le_bytes(*pair) < threshold { 0.0 } else { keep };
                        }
                    },
                );
                multipliers
            })
            .collect();
        let tokens = rows.iter().map(|row| row.len).sum::<usize>();
        Ok(Some(DropoutMask(Tensor::from_vec(parts.concat(), (tokens, width), like.device())?)))
    }
}

impl DropoutMask {
    /// `x`, the given tokens of the batch, with their mask applied. [tokens, width], f32.
    pub fn apply(&self, x: &Tensor, tokens: &Range<usize>) -> Result<Tensor> {
        elementwise::multiply(x, &self.0.narrow(0, tokens.start, tokens.len())?)
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn mask(rows: &[(usize, u64)], rate: f64) -> Vec<f32> {
        let mut start = 0;
        let segments: Vec<Segment> = rows
            .iter()
            .map(|(len, _)| {
                start += len;
                Segment { start: start - len, len: *len }
            })
            .collect();
        let dropout = Dropout::new(rate, 7, &rows.iter().map(|(_, key)| *key).collect::<Vec<_>>());
        let like = Tensor::zeros((1, 1), candle_core::DType::F32, &Device::Cpu).unwrap();
        let mask = dropout.mask(3, &segments, 50, &like).unwrap().unwrap();
        mask.0.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn a_row_keeps_its_mask_in_any_batch() {
        let together = mask(&[(4, 0), (6, 1)], 0.3);
        assert_eq!(together, [mask(&[(4, 0)], 0.3), mask(&[(6, 1)], 0.3)].concat());
        assert_ne!(together[..200], mask(&[(4, 2)], 0.3)[..]);
    }

    #[test]
    fn zeroes_the_asked_share_and_keeps_the_mean() {
        let values = mask(&[(400, 0)], 0.05);
        let zeros = values.iter().filter(|v| **v == 0.0).count() as f64 / values.len() as f64;
        assert!((zeros - 0.05).abs() < 0.006, "{zeros}");
        let mean = values.iter().map(|v| f64::from(*v)).sum::<f64>() / values.len() as f64;
        assert!((mean - 1.0).abs() < 0.006, "{mean}");
    }
}
