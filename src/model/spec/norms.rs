//! Norms of a layer, and of queries and keys.

/// Where queries and keys are normed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryKeyNorm {
    /// Each head, before it is turned.
    BeforeRope,
    /// Each head, after it is turned.
    AfterRope,
    /// All heads as one vector, before they are turned.
    FullWidth,
}

/// Norms of queries and keys, with the names of their weights below `self_attn.`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryKeyNorms {
    /// Which elements, and when.
    pub place: QueryKeyNorm,
    /// Name of the queries' weight.
    pub query: &'static str,
    /// Name of the keys' weight.
    pub key: &'static str,
}

/// Norms of a layer that are there, by the names of their weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Norms {
    /// Of attention's input.
    pub before_attention: Option<&'static str>,
    /// Of attention's output, before it joins the residual stream.
    pub after_attention: Option<&'static str>,
    /// Of the feed-forward block's input.
    pub before_feed_forward: Option<&'static str>,
    /// Of the feed-forward block's output.
    pub after_feed_forward: Option<&'static str>,
    /// Checkpoints hold what is added to one.
    pub plus_one: bool,
}

impl Norms {
    /// One before each block.
    pub const PRE: Self = Self {
        before_attention: Some("input_layernorm"),
        after_attention: None,
        before_feed_forward: Some("post_attention_layernorm"),
        after_feed_forward: None,
        plus_one: false,
    };
    /// One after each block.
    pub const POST: Self = Self {
        before_attention: None,
        after_attention: Some("post_attention_layernorm"),
        before_feed_forward: None,
        after_feed_forward: Some("post_feedforward_layernorm"),
        plus_one: false,
    };

    pub(super) fn count(self) -> usize {
        [self.before_attention, self.after_attention, self.before_feed_forward, self.after_feed_forward].iter().flatten().count()
    }
}
