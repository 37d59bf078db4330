//! The adapters that the rows of one batch go through: none, one, or each row its own, over one base.
//!
//! The frozen products see all rows at once; only the low-rank updates know which row is whose (Chen et al. 2023,
//! "Punica"). So base and variants are asked, and variants trained, side by side at little more than the price of one.

use std::collections::BTreeMap;
use std::ops::Range;

use anyhow::{Result, ensure};

use super::layout::Layout;
use super::lora::{Adapter, Gradients};
use super::ops::linear::{LowRank, Update};
use super::packed::Packed;
use super::site::Site;

/// Adapters over one base, by the index that rows name them by.
pub struct AdapterSet<'a> {
    adapters: Vec<&'a Adapter>,
    /// Each adapter's updates of the linears that the decoder computes.
    updates: Vec<BTreeMap<Site, LowRank>>,
    /// The pairs in the form that device kernels read.
    #[cfg(feature = "cuda")]
    pub(crate) table: Option<super::ops::cuda::lowrank::Table>,
}

impl<'a> AdapterSet<'a> {
    /// No adapter: every row is the base's.
    pub fn base() -> Self {
        Self {
            adapters: Vec::new(),
            updates: Vec::new(),
            #[cfg(feature = "cuda")]
            table: None,
        }
    }

    /// Adapters for a base of the given layout. On a GPU their pairs are copied in the type of its weights: a set shows the
    /// adapters as they are now. A scale that is not finite is [`Invalid`](crate::error::Invalid).
    pub fn new<'l>(layout: impl Into<Layout<'l>>, adapters: Vec<&'a Adapter>) -> Result<Self> {
        let layout = layout.into();
        adapters.iter().try_for_each(|adapter| adapter.check_scale())?;
        let updates = adapters.iter().map(|adapter| adapter.updates(layout.spec)).collect::<Result<Vec<_>>>()?;
        Ok(Self {
            #[cfg(feature = "cuda")]
            table: super::ops::cuda::lowrank::Table::new(layout, &updates)?,
            adapters,
            updates,
        })
    }

    /// One adapter, or the base.
    pub fn one<'l>(layout: impl Into<Layout<'l>>, adapter: Option<&'a Adapter>) -> Result<Self> {
        adapter.map_or_else(|| Ok(Self::base()), |adapter| Self::new(layout, vec![adapter]))
    }

    /// What every row of a batch names where there is at most one adapter.
    pub fn only(&self) -> Option<usize> {
        (!self.adapters.is_empty()).then_some(0)
    }

    /// How many adapters there are.
    pub fn len(&self) -> usize {
        self.adapters.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.adapters.is_empty()
    }

    /// Refuses a batch that names adapters which are not here.
    pub(crate) fn check(&self, batch: &Packed) -> Result<()> {
        if let Some(adapter) = batch.adapters.iter().flatten().find(|adapter| **adapter >= self.adapters.len()) {
            anyhow::bail!("a row goes through adapter {adapter} of {}", self.adapters.len());
        }
        ensure!(batch.adapters.len() == batch.rows.len(), "{} rows with {} adapters", batch.rows.len(), batch.adapters.len());
        Ok(())
    }

    /// The updates of one linear by the tokens they apply to, in the order of tokens.
    pub(crate) fn updates(&self, site: Site, batch: &Packed) -> Vec<Update<'_>> {
        spans(batch)
            .into_iter()
            .filter_map(|(adapter, tokens)| Some(Update { adapter, tokens, low_rank: self.updates[adapter].get(&site)? }))
            .collect()
    }

    /// Gradients of the linears that the decoder computes, one map an adapter, as those of the adapters' pairs.
    pub(crate) fn joined(&self, gradients: impl IntoIterator<Item = Gradients>) -> Result<Vec<Gradients>> {
        self.adapters.iter().zip(gradients).map(|(adapter, gradients)| adapter.joined(gradients)).collect()
    }
}

/// Neighbouring rows of one adapter as ranges of tokens.
pub(crate) fn spans(batch: &Packed) -> Vec<(usize, Range<usize>)> {
    let mut spans: Vec<(usize, Range<usize>)> = Vec::new();
    for (row, adapter) in batch.rows.iter().zip(&batch.adapters) {
        let Some(adapter) = *adapter else { continue };
        let end = row.start + row.len;
        match spans.last_mut() {
            Some((last, tokens)) if *last == adapter && tokens.end == row.start => tokens.end = end,
            _ => spans.push((adapter, row.start..end)),
        }
    }
    spans
}
