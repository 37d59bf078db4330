//! Causal grouped-query attention over rows of different length laid end to end, with no padding.
//!
//! Queries are [tokens, heads * head_dim]. Each row's keys and values are token-major [length, kv_heads * head_dim]:
//! a range of a packed tensor in training and prefill, a cache row in decoding. Query i of a row that has `past`
//! cached tokens sees the row's keys 0..=past + i and nothing of other rows.
//!
//! `out = softmax(scale · q kᵀ) v`, with the scores capped by tanh where a model asks for it, and with keys further back than
//! a window left out. The forward keeps the log-sum-exp of each query's scores, from which the
//! backward rebuilds the probabilities (Dao et al. 2022, "FlashAttention", section 3.1), so no [length, length]
//! matrix is stored.

mod backward;
mod blocks;
mod composed;
mod forward;

use candle_core::Tensor;

pub use backward::attention_backward;
pub use forward::attention;
pub(crate) use forward::attention_host;

/// Head counts and size, and what a layer makes of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides `queries`.
    pub keys: usize,
    /// Elements of one head.
    pub size: usize,
    /// Factor of the scores.
    pub scale: f32,
    /// Keys that a query sees, itself among them; None is all of its row.
    pub window: Option<usize>,
    /// Scores are kept between minus this and this by a tanh.
    pub softcap: Option<f32>,
}

impl Heads {
    /// Scores divided by the square root of the head's size, all keys seen.
    pub fn new(queries: usize, keys: usize, size: usize) -> Self {
        Self { queries, keys, size, scale: 1.0 / (size as f32).sqrt(), window: None, softcap: None }
    }

    fn group(self) -> usize {
        self.queries / self.keys
    }

    /// The first key that a query sees which sees none beyond `end`.
    fn first(self, end: usize) -> usize {
        self.window.map_or(0, |window| end.saturating_sub(window))
    }

    /// What becomes of the product of a query and a key.
    #[inline(always)]
    fn score(self, product: f32) -> f32 {
        let score = product * self.scale;
        self.softcap.map_or(score, |cap| cap * (score / cap).tanh())
    }

    /// The slope of a score where it has a value.
    #[inline(always)]
    fn slope(self, score: f32) -> f32 {
        self.softcap.map_or(self.scale, |cap| self.scale * (1.0 - (score / cap) * (score / cap)))
    }
}

/// One row of a packed batch: `len` tokens that begin at token `start`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Index of the row's first token in the packed batch.
    pub start: usize,
    /// Tokens of the row in this batch.
    pub len: usize,
}

/// What the backward pass needs of the forward pass.
pub struct AttentionOutput {
    /// [tokens, heads * head_dim]
    pub out: Tensor,
    /// Log-sum-exp of the scaled scores: [tokens, heads], f32.
    pub log_sum_exp: Tensor,
}

/// Keys and values of one row: [past + len, kv_heads * head_dim] each.
pub(crate) struct KeysValues<'a> {
    pub(crate) keys: &'a [f32],
    pub(crate) values: &'a [f32],
    pub(crate) past: usize,
}
