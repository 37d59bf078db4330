//! Rotary embedding: its frequencies, what is done to them for long contexts, and which elements turn.

use anyhow::{Result, ensure};

/// How the frequencies of rotary embedding are changed for long contexts.
#[derive(Debug, Clone, PartialEq)]
pub enum RopeScaling {
    /// As they are.
    Default,
    /// All divided by one factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3's rule.
    Llama3 {
        /// Divisor of low frequencies.
        factor: f64,
        /// Fewer rotations than this over the original context: fully scaled.
        low_freq_factor: f64,
        /// More rotations than this: not scaled.
        high_freq_factor: f64,
        /// Context length before scaling.
        original_positions: f64,
    },
    /// YaRN: pairs between two numbers of rotations are blended by their index.
    Yarn {
        /// Divisor of low frequencies.
        factor: f64,
        /// More rotations than this over the original context: not scaled.
        fast: f64,
        /// Fewer rotations than this: fully scaled.
        slow: f64,
        /// Context length before scaling.
        original_positions: f64,
        /// Indices of pairs are rounded outwards.
        truncate: bool,
    },
    /// A divisor for each pair, as GGUF files and LongRoPE hold them.
    Divisors(Vec<f64>),
}

/// One table of rotary embedding.
#[derive(Debug, Clone, PartialEq)]
pub struct Rope {
    /// Base of the frequencies.
    pub theta: f64,
    /// What is done to them for long contexts.
    pub scaling: RopeScaling,
    /// Factor of cosines and sines, which some scalings set.
    pub amplitude: f64,
    /// The share of a head's elements that turns, the first ones.
    pub share: f64,
    /// Elements turn with their neighbours, not with those half a head away.
    pub interleaved: bool,
}

impl Rope {
    /// Whole heads in halves, with frequencies of the given base.
    pub fn new(theta: f64) -> Self {
        Self { theta, scaling: RopeScaling::Default, amplitude: 1.0, share: 1.0, interleaved: false }
    }

    /// Elements of a head of the given size that turn.
    pub fn turning(&self, head_dim: usize) -> usize {
        (head_dim as f64 * self.share) as usize
    }
}

impl Rope {
    pub(super) fn check(&self, head_dim: usize) -> Result<()> {
        ensure!(
            self.theta.is_finite() && self.theta > 0.0,
            "the model's configuration says {} for the base of its rotary embedding",
            self.theta
        );
        ensure!(self.amplitude.is_finite() && self.amplitude > 0.0, "the model's rotary embedding has an amplitude of {}", self.amplitude);
        let turning = self.turning(head_dim);
        ensure!(
            (0.0..=1.0).contains(&self.share) && turning >= 2 && turning.is_multiple_of(2),
            "the model's rotary embedding turns {} of a head of {head_dim}, which is no number of pairs",
            self.share
        );
        match &self.scaling {
            RopeScaling::Default => {}
            RopeScaling::Linear { factor } => {
                ensure!(
                    factor.is_finite() && *factor > 0.0,
                    "the model's rope scaling says {factor} for `factor`: it needs a positive number"
                );
            }
            RopeScaling::Yarn { factor, fast, slow, original_positions, .. } => {
                for (key, value) in
                    [("factor", factor), ("beta_fast", fast), ("beta_slow", slow), ("original_max_position_embeddings", original_positions)]
                {
                    ensure!(
                        value.is_finite() && *value > 0.0,
                        "the model's rope scaling says {value} for `{key}`: it needs a positive number"
                    );
                }
                ensure!(self.theta > 1.0, "the model's rope base is {}, and YaRN needs more than 1", self.theta);
            }
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_positions } => {
                for (key, value) in [
                    ("factor", factor),
                    ("low_freq_factor", low_freq_factor),
                    ("high_freq_factor", high_freq_factor),
                    ("original_max_position_embeddings", original_positions),
                ] {
                    ensure!(
                        value.is_finite() && *value > 0.0,
                        "the model's rope scaling says {value} for `{key}`: it needs a positive number"
                    );
                }
                ensure!(
                    low_freq_factor < high_freq_factor,
                    "the model's rope scaling has low_freq_factor {low_freq_factor}, not less than high_freq_factor {high_freq_factor}"
                );
            }
            RopeScaling::Divisors(divisors) => {
                ensure!(divisors.len() == turning / 2, "{} rope factors for {} pairs of a head", divisors.len(), turning / 2);
                ensure!(divisors.iter().all(|d| d.is_finite() && *d > 0.0), "the model's rope factors are not all positive numbers");
            }
        }
        Ok(())
    }
}
