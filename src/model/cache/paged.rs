//! The cache on a GPU: pages of a pool that is allocated once (Kwon et al. 2023, "PagedAttention").
//!
//! A page holds [`PAGE`] tokens of one row, at the same index in every layer. Full pages of a prompt are known by their
//! tokens, their adapter and the page before them; a row that begins with the same tokens uses the same pages, which are
//! computed once even when both rows are read in one pass, since a layer writes all keys before it attends.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use anyhow::{Result, bail, ensure};
use candle_core::{DType, Tensor};

use crate::model::layout::Layout;
use crate::model::ops::cuda::heads::copy_pages;
use crate::model::packed::Packed;

/// Tokens of a page. The kernels are compiled for it.
pub(crate) const PAGE: usize = 16;

/// Pages of a lineage: the page before, or the adapter where there is none, and a page's tokens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Before {
    Page(u32),
    Nothing(Option<usize>),
}

struct Pool {
    /// Keys and values of each layer: [pages, PAGE * kv_heads * head_dim].
    layers: Vec<(Tensor, Tensor)>,
    free: Vec<u32>,
    /// How many rows use each page.
    uses: Vec<u32>,
    known: HashMap<(Before, Vec<u32>), u32>,
    /// Under what a page is known.
    names: Vec<Option<(Before, Vec<u32>)>>,
}

impl Pool {
    fn take(&mut self) -> Result<u32> {
        let Some(page) = self.free.pop() else { bail!("the cache of keys and values is full") };
        self.uses[page as usize] = 1;
        Ok(page)
    }

    fn release(&mut self, page: u32) {
        let uses = &mut self.uses[page as usize];
        *uses -= 1;
        if *uses == 0 {
            if let Some(name) = self.names[page as usize].take() {
                self.known.remove(&name);
            }
            self.free.push(page);
        }
    }
}

#[derive(Default)]
struct Row {
    pages: Vec<u32>,
    /// Tokens present.
    len: usize,
}

/// Rows over a pool.
pub(crate) struct PagedCache {
    pool: Rc<RefCell<Pool>>,
    rows: Vec<Row>,
}

/// What the kernels are told about the rows of one pass.
pub(crate) struct PassPages {
    /// Where each token's keys and values go: page * PAGE + place in it.
    pub(crate) slots: Vec<u32>,
    /// Pages of each row, `width` a row, unused places 0.
    pub(crate) table: Vec<u32>,
    pub(crate) width: usize,
    /// Tokens of each row before the pass, and after it.
    pub(crate) past: Vec<u32>,
    pub(crate) total: Vec<u32>,
}

impl PagedCache {
    pub(super) fn new(layout: Layout<'_>, tokens: usize) -> Result<Self> {
        let pages = tokens.div_ceil(PAGE).max(1);
        let width = PAGE * layout.spec.kv_heads * layout.spec.head_dim;
        let dtype: DType = layout.dtype;
        // Zeroed: places of a page that no token has taken yet are multiplied by a probability of 0, and 0 x NaN is NaN.
        let page_tensor = || Tensor::zeros((pages, width), dtype, layout.device);
        let layers = (0..layout.spec.layers).map(|_| Ok((page_tensor()?, page_tensor()?))).collect::<Result<_>>()?;
        let pool =
            Pool { layers, free: (0..pages as u32).rev().collect(), uses: vec![0; pages], known: HashMap::new(), names: vec![None; pages] };
        Ok(Self { pool: Rc::new(RefCell::new(pool)), rows: Vec::new() })
    }

    pub(super) fn empty(&self) -> Self {
        Self { pool: Rc::clone(&self.pool), rows: Vec::new() }
    }

    pub(super) fn has_room(&self, tokens: usize) -> bool {
        self.pool.borrow().free.len() >= tokens.div_ceil(PAGE)
    }

    pub(super) fn add_row(&mut self, prompt: &[u32], adapter: Option<usize>, tokens: usize) -> Result<usize> {
        ensure!(tokens >= prompt.len(), "a row of {tokens} tokens for a prompt of {}", prompt.len());
        let mut row = Row::default();
        let mut pool = self.pool.borrow_mut();
        let mut before = Before::Nothing(adapter);
        let mut shared = true;
        // The last token is always read: the answer goes on from its hidden state.
        let shareable = prompt.len().saturating_sub(1) / PAGE;
        for (index, chunk) in prompt.chunks_exact(PAGE).enumerate() {
            let name = (before, chunk.to_vec());
            shared &= index < shareable;
            let known = if shared { pool.known.get(&name).copied() } else { None };
            let page = if let Some(page) = known {
                pool.uses[page as usize] += 1;
                row.len += PAGE;
                page
            } else {
                shared = false;
                let page = pool.take()?;
                if let std::collections::hash_map::Entry::Vacant(entry) = pool.known.entry(name.clone()) {
                    entry.insert(page);
                    pool.names[page as usize] = Some(name);
                }
                page
            };
            row.pages.push(page);
            before = Before::Page(page);
        }
        while row.pages.len() < tokens.div_ceil(PAGE) {
            let page = pool.take()?;
            row.pages.push(page);
        }
        let there = row.len;
        drop(pool);
        self.rows.push(row);
        Ok(there)
    }

    pub(super) fn keep(&mut self, rows: &[usize]) {
        let mut old: Vec<Option<Row>> = std::mem::take(&mut self.rows).into_iter().map(Some).collect();
        self.rows = rows.iter().filter_map(|row| old[*row].take()).collect();
        for row in old.into_iter().flatten() {
            self.release(row);
        }
    }

    fn release(&self, row: Row) {
        let mut pool = self.pool.borrow_mut();
        // Later pages first: a page is known by the one before it.
        for page in row.pages.into_iter().rev() {
            pool.release(page);
        }
    }

    pub(super) fn fork(&self, rows: &[usize], tokens: &[usize]) -> Result<Self> {
        let mut forked = self.empty();
        let (mut from, mut to) = (Vec::new(), Vec::new());
        for (row, more) in rows.iter().zip(tokens) {
            let source = &self.rows[*row];
            let whole = source.len / PAGE;
            let mut row = Row { pages: Vec::new(), len: source.len };
            let mut pool = self.pool.borrow_mut();
            for page in &source.pages[..whole] {
                pool.uses[*page as usize] += 1;
                row.pages.push(*page);
            }
            while row.pages.len() < (source.len + more).div_ceil(PAGE) {
                let page = pool.take()?;
                if row.pages.len() == whole && !source.len.is_multiple_of(PAGE) {
                    from.push(source.pages[whole]);
                    to.push(page);
                }
                row.pages.push(page);
            }
            drop(pool);
            forked.rows.push(row);
        }
        if !from.is_empty() {
            copy_pages(&self.pool.borrow().layers, &from, &to)?;
        }
        Ok(forked)
    }

    pub(super) fn append(&mut self, mut other: Self) {
        self.rows.append(&mut other.rows);
    }

    pub(super) fn advance(&mut self, batch: &Packed) {
        for (row, segment) in self.rows.iter_mut().zip(&batch.rows) {
            row.len += segment.len;
        }
    }

    /// What a pass over a batch of these rows needs to know.
    pub(crate) fn pass(&self, batch: &Packed) -> Result<PassPages> {
        ensure!(self.rows.len() == batch.rows.len(), "a cache of {} rows given a batch of {}", self.rows.len(), batch.rows.len());
        let width = self.rows.iter().map(|row| row.pages.len()).max().unwrap_or(0).max(1);
        let mut pass = PassPages {
            slots: Vec::with_capacity(batch.tokens()),
            table: vec![0; self.rows.len() * width],
            width,
            past: Vec::with_capacity(self.rows.len()),
            total: Vec::with_capacity(self.rows.len()),
        };
        for ((row, segment), table) in self.rows.iter().zip(&batch.rows).zip(pass.table.chunks_exact_mut(width)) {
            let end = row.len + segment.len;
            ensure!(end <= row.pages.len() * PAGE, "a row of {end} tokens in a cache that keeps {} for it", row.pages.len() * PAGE);
            pass.slots.extend((row.len..end).map(|at| row.pages[at / PAGE] * PAGE as u32 + (at % PAGE) as u32));
            table[..row.pages.len()].copy_from_slice(&row.pages);
            pass.past.push(row.len as u32);
            pass.total.push(end as u32);
        }
        Ok(pass)
    }

    /// Keys and values of a layer.
    pub(crate) fn layer(&self, layer: usize) -> (Tensor, Tensor) {
        self.pool.borrow().layers[layer].clone()
    }
}

impl Drop for PagedCache {
    fn drop(&mut self) {
        for row in std::mem::take(&mut self.rows) {
            self.release(row);
        }
    }
}
