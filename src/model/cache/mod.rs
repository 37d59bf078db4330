//! Keys and values of the tokens that each row of a batch has already seen, owned by the caller of the decoder.
//!
//! A row grows on its own, so rows of any length decode side by side without padding, and a finished row leaves the
//! batch without touching the others. On the host a row is a vector; on a GPU it is a list of pages of one
//! preallocated pool, and rows whose prompts begin alike share the pages of the beginning.

mod host;
#[cfg(feature = "cuda")]
mod paged;

use anyhow::Result;
use candle_core::Tensor;

use super::layout::Layout;
use super::ops::attention::{AttentionOutput, Heads, Segment};
use super::packed::Packed;
use host::HostCache;
#[cfg(feature = "cuda")]
pub(crate) use paged::PagedCache;

/// Rows of keys and values for one decoder.
pub struct KvCache(Kind);

enum Kind {
    Host(HostCache),
    #[cfg(feature = "cuda")]
    Paged(PagedCache),
}

impl KvCache {
    /// A cache without rows, with room for so many tokens in all. The host takes memory as rows grow and has no limit.
    pub fn new<'l>(layout: impl Into<Layout<'l>>, tokens: usize) -> Result<Self> {
        let layout = layout.into();
        #[cfg(feature = "cuda")]
        if layout.device.is_cuda() && layout.spec.fits_fused_kernels() {
            return Ok(Self(Kind::Paged(PagedCache::new(layout, tokens)?)));
        }
        let _ = tokens;
        Ok(Self(Kind::Host(HostCache::new(layout.spec.layers))))
    }

    /// A cache without rows that shares this one's memory.
    pub fn empty(&self) -> Self {
        match &self.0 {
            Kind::Host(cache) => Self(Kind::Host(cache.empty())),
            #[cfg(feature = "cuda")]
            Kind::Paged(cache) => Self(Kind::Paged(cache.empty())),
        }
    }

    /// Whether a row of so many tokens finds room.
    pub fn has_room(&self, tokens: usize) -> bool {
        #[cfg(not(feature = "cuda"))]
        let _ = tokens;
        match &self.0 {
            Kind::Host(_) => true,
            #[cfg(feature = "cuda")]
            Kind::Paged(cache) => cache.has_room(tokens),
        }
    }

    /// Adds a row that will begin with `prompt`, go through `adapter`, and grow to at most `tokens` tokens. Gives how many
    /// tokens of the prompt are there already: the pass that reads the row begins behind them.
    pub fn add_row(&mut self, prompt: &[u32], adapter: Option<usize>, tokens: usize) -> Result<usize> {
        #[cfg(not(feature = "cuda"))]
        let _ = (prompt, adapter, tokens);
        match &mut self.0 {
            Kind::Host(cache) => {
                cache.add_row();
                Ok(0)
            }
            #[cfg(feature = "cuda")]
            Kind::Paged(cache) => cache.add_row(prompt, adapter, tokens),
        }
    }

    /// Keeps the rows at the given indices, in that order.
    pub fn keep(&mut self, rows: &[usize]) {
        match &mut self.0 {
            Kind::Host(cache) => cache.keep(rows),
            #[cfg(feature = "cuda")]
            Kind::Paged(cache) => cache.keep(rows),
        }
    }

    /// A cache of the rows at the given indices, each as often as it is named, which grow by at most the given tokens and
    /// leave this cache's rows as they are.
    pub fn fork(&self, rows: &[usize], tokens: &[usize]) -> Result<Self> {
        #[cfg(not(feature = "cuda"))]
        let _ = tokens;
        Ok(Self(match &self.0 {
            Kind::Host(cache) => Kind::Host(cache.copy(rows)),
            #[cfg(feature = "cuda")]
            Kind::Paged(cache) => Kind::Paged(cache.fork(rows, tokens)?),
        }))
    }

    /// Adds the rows of another cache of the same model behind its own.
    pub fn append(&mut self, other: Self) {
        match (&mut self.0, other.0) {
            (Kind::Host(cache), Kind::Host(other)) => cache.append(other),
            #[cfg(feature = "cuda")]
            (Kind::Paged(cache), Kind::Paged(other)) => cache.append(other),
            #[cfg(feature = "cuda")]
            _ => unreachable!("both are of one decoder"),
        }
    }

    /// Appends the batch's keys and values to its rows and attends to everything seen so far. On the host only.
    pub(crate) fn attend(
        &mut self,
        layer: usize,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        heads: Heads,
        rows: &[Segment],
    ) -> Result<AttentionOutput> {
        match &mut self.0 {
            Kind::Host(cache) => cache.attend(layer, q, k, v, heads, rows),
            #[cfg(feature = "cuda")]
            Kind::Paged(_) => anyhow::bail!("a paged cache is attended to by device kernels"),
        }
    }

    /// Told after a pass that all layers have taken up the batch's tokens.
    pub(crate) fn advance(&mut self, batch: &Packed) {
        match &mut self.0 {
            Kind::Host(_) => {
                let _ = batch;
            }
            #[cfg(feature = "cuda")]
            Kind::Paged(cache) => cache.advance(batch),
        }
    }

    /// The pages, on a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn paged(&self) -> Option<&PagedCache> {
        match &self.0 {
            Kind::Host(_) => None,
            Kind::Paged(cache) => Some(cache),
        }
    }
}
