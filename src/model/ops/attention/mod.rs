//! Causal grouped-query attention over rows of different length laid end to end, with no padding.
//!
//! Queries are [tokens, heads * head_dim]. Each row's keys and values are token-major [length, kv_heads * head_dim]:
//! a range of a packed tensor in training and prefill, a cache row in decoding. Query i of a row that has `past`
//! cached tokens sees the row's keys 0..=past + i and nothing of other rows.
//!
//! `out = softmax(q kᵀ / sqrt(head_dim)) v`. The forward keeps the log-sum-exp of each query's scores, from which the
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

/// Head counts and size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub queries: usize,
    /// Key and value heads; divides `queries`.
    pub keys: usize,
    /// Elements of one head.
    pub size: usize,
}

impl Heads {
    fn group(self) -> usize {
        self.queries / self.keys
    }
    fn scale(self) -> f32 {
        1.0 / (self.size as f32).sqrt()
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
pub struct Attended {
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
