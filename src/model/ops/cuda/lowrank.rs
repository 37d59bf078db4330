//! Kernels of `lowrank.cu`: the low-rank updates of a set of adapters.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use candle_core::{DType, Tensor};

use super::launch::{Call, Module as Kernels, address, cuda, module, unset};
use super::upload::{Place, Upload, Uploaded};
use crate::model::layout::Layout;
use crate::model::ops::linear::{LowRank, LowRankGradient};
use crate::model::site::{Module, Site};
use crate::model::spec::Spec;

const LOWRANK: Kernels = module!("lowrank");

/// Modules that read the same input, and whose outputs lie side by side in one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Group(&'static [Module]);

impl Group {
    /// Queries, keys and values.
    pub(crate) const QKV: Self = Self(&[Module::Q, Module::K, Module::V]);
    /// Attention's output.
    pub(crate) const O: Self = Self(&[Module::O]);
    /// Gate and up.
    pub(crate) const GATE_UP: Self = Self(&[Module::Gate, Module::Up]);
    /// Down.
    pub(crate) const DOWN: Self = Self(&[Module::Down]);

    /// The columns of the modules' outputs.
    fn outputs(self, spec: &Spec) -> Vec<(usize, usize)> {
        let mut start = 0;
        self.0
            .iter()
            .map(|module| {
                let width = module.widths(spec).1;
                start += width;
                (start - width, width)
            })
            .collect()
    }

    /// The columns of their input: the same for all.
    fn inputs(self, spec: &Spec) -> Vec<(usize, usize)> {
        self.0.iter().map(|module| (0, module.widths(spec).0)).collect()
    }
}

/// Which factor of a pair a product takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Factor {
    A,
    BTransposed,
}

/// Dropout bits of one layer.
pub(crate) struct DropoutBits {
    pub(super) bits: Tensor,
    /// Where each module's bits begin, in words, in the order of [`Module::ALL`].
    pub(super) starts: [usize; 7],
    /// What a kept element is multiplied by.
    pub(super) keep: f32,
}

/// The pairs of all adapters of an adapter set, in the type of the weights, by site.
pub(crate) struct Table {
    /// Copies of all A and transposed B, rows padded to multiples of 8. The pairs point into it.
    _copies: Tensor,
    pairs: Uploaded,
    first: Place,
    adapters: usize,
    /// Largest padded rank.
    rank: usize,
    /// True ranks: adapter by adapter, site by site; 0 where a site is not adapted.
    ranks: Vec<Vec<usize>>,
}

/// Bytes of the kernels' `Pair`.
const PAIR: u64 = 24;

impl Table {
    /// Of each adapter's updates by site. None on the host, or where there is no adapter.
    pub(crate) fn new(layout: Layout<'_>, adapters: &[BTreeMap<Site, LowRank>]) -> Result<Option<Self>> {
        let device = layout.device;
        if !device.is_cuda() || adapters.is_empty() {
            return Ok(None);
        }
        let dtype = layout.dtype;
        let sites: Vec<Site> = (0..layout.spec.layers).flat_map(|layer| Module::ALL.map(|module| Site { layer, module })).collect();
        let total = adapters.iter().flat_map(BTreeMap::values);
        let total: usize = total.map(|pair| Ok((padded(pair.a.dim(0)?)) * (pair.a.dim(1)? + pair.b.dim(0)?))).sum::<Result<usize>>()?;
        let copies = unset(total, dtype, device)?;
        let mut at = address(&copies)?;
        let size = dtype.size_in_bytes() as u64;
        let (mut pairs, mut work) = (Vec::new(), Vec::new());
        let mut ranks = vec![vec![0; sites.len()]; adapters.len()];
        let mut largest = 0;
        for (index, site) in sites.iter().enumerate() {
            for (which, adapter) in adapters.iter().enumerate() {
                let Some(pair) = adapter.get(site) else {
                    pairs.extend([0, 0, 0]);
                    continue;
                };
                let (input, output) = site.module.widths(layout.spec);
                let rank = pair.a.dim(0)?;
                ensure!(pair.a.dims() == [rank, input] && pair.b.dims() == [output, rank], "{site} does not fit the model");
                ensure!(pair.a.dtype() == DType::F32 && pair.b.dtype() == DType::F32, "{site} is not f32");
                let rows = padded(rank);
                ranks[which][index] = rank;
                largest = largest.max(rows);
                let (a, b) = (at, at + (rows * input) as u64 * size);
                at = b + (rows * output) as u64 * size;
                let of = |tensor: &Tensor| address(tensor).with_context(|| format!("{site} of adapter {which}"));
                work.extend([of(&pair.a)?, a, two(rank, rows), two(input, 0)]);
                work.extend([of(&pair.b)?, b, two(rank, rows), two(output, 1)]);
                pairs.extend([a, b, two(rows, (pair.scale as f32).to_bits() as usize)]);
            }
        }
        let mut upload = Upload::default();
        let (first, copies_at) = (upload.add_wide(pairs), upload.add_wide(work.iter().copied()));
        let uploaded = upload.send(device)?;
        let call = Call::typed(LOWRANK, "lowrank_copy", &copies)?.address(uploaded.at(copies_at));
        call.launch((16, work.len() / 4, 1), 256)?;
        Ok(Some(Self { _copies: copies, pairs: uploaded, first, adapters: adapters.len(), rank: largest, ranks }))
    }

    /// Address of the pairs of a group's first module.
    fn pairs_of(&self, layer: usize, group: Group) -> u64 {
        let site = Site { layer, module: group.0[0] };
        self.pairs.at(self.first) + PAIR * site.index() * self.adapters as u64
    }

    /// Whether any adapter has a pair in the group.
    fn adapts(&self, layer: usize, group: Group) -> bool {
        group.0.iter().any(|module| {
            let site = Site { layer, module: *module }.index() as usize;
            self.ranks.iter().any(|ranks| ranks[site] > 0)
        })
    }
}

fn padded(rank: usize) -> usize {
    rank.next_multiple_of(8)
}

/// Two 4-byte numbers as one word.
fn two(low: usize, high: usize) -> u64 {
    low as u64 | (high as u64) << 32
}

/// The updates of one layer in one pass.
pub(crate) struct Updates<'a> {
    pub(crate) table: &'a Table,
    pub(crate) spec: &'a Spec,
    pub(crate) layer: usize,
    /// Address of one adapter index a token, i32, -1 for none.
    pub(crate) through: u64,
    /// Address of where each adapter's tokens begin, and where the last one's end; training only.
    pub(crate) ranges: Option<u64>,
    /// Tokens of the pass.
    pub(crate) tokens: usize,
    pub(crate) dropout: Option<&'a DropoutBits>,
}

/// Tokens and columns of the kernels' tiles: `TILE_TOKENS` of `lowrank.cuh`, and `TILE_COLUMNS` of each of 8 warps.
pub(super) const TILE: (usize, usize) = (16, 256);

/// Blocks that fill a GPU of the present kind several times over, so that none of its parts waits long for the last block.
const BLOCKS: usize = 512;

impl Updates<'_> {
    /// `s · dropout(x) Aᵀ` of each module: [splits, tokens, modules, rank], f32, to be summed over splits. None where
    /// nothing is adapted.
    pub(crate) fn reduce(&self, group: Group, x: &Tensor) -> Result<Option<Tensor>> {
        self.down(group, x, Factor::A, self.dropout)
    }

    /// Adds `reduced Bᵀ` to the modules' outputs, in place.
    pub(crate) fn expand(&self, group: Group, reduced: Option<&Tensor>, y: &Tensor) -> Result<()> {
        let Some(reduced) = reduced else { return Ok(()) };
        self.up(group, reduced, y, None, Factor::BTransposed, None)
    }

    /// [`Self::expand`], and adds `x` too.
    pub(crate) fn expand_and_add(&self, group: Group, reduced: &Tensor, x: &Tensor, y: &Tensor) -> Result<()> {
        ensure!(x.dims() == y.dims() && x.dtype() == y.dtype(), "{x:?} added to {y:?}");
        self.up(group, reduced, y, Some(x), Factor::BTransposed, None)
    }

    /// `s · d_y B` of each module, in the form of [`Self::reduce`].
    pub(crate) fn reduce_backward(&self, group: Group, d_y: &Tensor) -> Result<Option<Tensor>> {
        self.down(group, d_y, Factor::BTransposed, None)
    }

    /// Adds `dropout(d_reduced A)` of all modules to the gradient of their input, in place.
    pub(crate) fn expand_backward(&self, group: Group, d_reduced: Option<&Tensor>, d_x: &Tensor) -> Result<()> {
        let Some(d_reduced) = d_reduced else { return Ok(()) };
        self.up(group, d_reduced, d_x, None, Factor::A, self.dropout)
    }

    /// The kernels' `AdapterSet` of a group.
    pub(super) fn set_words(&self, group: Group) -> Vec<u64> {
        vec![self.through, self.table.pairs_of(self.layer, group), self.table.adapters as u64]
    }

    /// The columns that a factor's own columns belong to: A's are those of the input, B's those of the output.
    fn columns(&self, group: Group, factor: Factor) -> Vec<(usize, usize)> {
        if factor == Factor::A { group.inputs(self.spec) } else { group.outputs(self.spec) }
    }

    fn down(&self, group: Group, x: &Tensor, factor: Factor, dropout: Option<&DropoutBits>) -> Result<Option<Tensor>> {
        if !self.table.adapts(self.layer, group) {
            return Ok(None);
        }
        let (tokens, stride) = x.dims2()?;
        ensure!(tokens == self.tokens, "{tokens} tokens in a pass of {}", self.tokens);
        let columns = self.columns(group, factor);
        fits(&columns, stride)?;
        let modules = group.0.len();
        let tiles = tokens.div_ceil(TILE.0);
        // Few tokens are few blocks: then several share a sum.
        let splits = (BLOCKS / (tiles * modules).max(1)).clamp(1, 8).min(widest(&columns).div_ceil(256));
        let h = unset((splits, tokens, modules, self.table.rank), DType::F32, x.device())?;
        let call = Call::typed(LOWRANK, "lowrank_down", x)?.tensor(x)?.int(stride)?.int(tokens)?.words(self.set_words(group));
        let call = call.words(words(group, &columns, dropout)).flag(factor == Factor::BTransposed);
        with_dropout(call, dropout)?.tensor(&h)?.int(self.table.rank)?.launch((tiles, modules, splits), 256)?;
        Ok(Some(h))
    }

    fn up(
        &self,
        group: Group,
        h: &Tensor,
        y: &Tensor,
        added: Option<&Tensor>,
        factor: Factor,
        dropout: Option<&DropoutBits>,
    ) -> Result<()> {
        let (_, stride) = y.dims2()?;
        let modules = group.0.len();
        let columns = self.columns(group, factor);
        fits(&columns, stride)?;
        // The modules' gradients of their common input add up; their outputs lie side by side.
        let joint = factor == Factor::A;
        let call = Call::typed(LOWRANK, "lowrank_up", y)?.tensor(y)?.int(stride)?.optional(added)?.words(self.set_words(group));
        let call = call.words(words(group, &columns, dropout)).flag(factor == Factor::BTransposed).flag(joint);
        let call =
            with_dropout(call, dropout)?.words(self.reduced_words(group, h)?).shared(self.staged(if joint { modules } else { 1 }))?;
        call.launch((self.tokens.div_ceil(TILE.0), widest(&columns).div_ceil(TILE.1), if joint { 1 } else { modules }), 256)
    }

    /// Bytes of shared memory of a tile of reduced inputs.
    pub(super) fn staged(&self, modules: usize) -> usize {
        modules * TILE.0 * (self.table.rank + 4) * 4
    }

    /// The kernels' `Reduced`, of what [`Self::reduce`] gave.
    pub(super) fn reduced_words(&self, group: Group, h: &Tensor) -> Result<Vec<u64>> {
        let (splits, tokens, modules, rank) = h.dims4()?;
        ensure!(tokens == self.tokens && modules == group.0.len() && rank == self.table.rank, "{h:?} is not of this pass");
        Ok(vec![address(h)?, two(splits, tokens), two(modules, rank)])
    }

    /// The gradients of every adapter's pairs of a group: (adapter, module, gradient).
    ///
    /// `reduced` and `d_reduced` are what [`Self::reduce`] and [`Self::reduce_backward`] gave, `x` and `d_y` what they
    /// were given.
    pub(crate) fn gradients(
        &self,
        group: Group,
        reduced: Option<&Tensor>,
        d_reduced: Option<&Tensor>,
        x: &Tensor,
        d_y: &Tensor,
    ) -> Result<Vec<(usize, Module, LowRankGradient)>> {
        let (Some(reduced), Some(d_reduced)) = (reduced, d_reduced) else { return Ok(Vec::new()) };
        let of_a = self.outer(group, d_reduced, x, Factor::A, self.dropout)?;
        let of_b = self.outer(group, reduced, d_y, Factor::BTransposed, None)?;
        Ok(of_a.into_iter().zip(of_b).map(|((adapter, module, a), (_, _, b))| (adapter, module, LowRankGradient { a, b })).collect())
    }

    fn outer(
        &self,
        group: Group,
        h: &Tensor,
        x: &Tensor,
        factor: Factor,
        dropout: Option<&DropoutBits>,
    ) -> Result<Vec<(usize, Module, Tensor)>> {
        let (tokens, stride) = x.dims2()?;
        let (modules, adapters, rank) = (group.0.len(), self.table.adapters, self.table.rank);
        ensure!(tokens == self.tokens, "{tokens} tokens in a pass of {}", self.tokens);
        let ranges = self.ranges.context("gradients of a pass that is not for training")?;
        let columns = self.columns(group, factor);
        fits(&columns, stride)?;
        let widest = widest(&columns);
        let tiles = rank / 8;
        // Some 128 tokens a block: enough blocks to fill the device, few enough partial sums.
        let splits = tokens.div_ceil(128 * adapters).clamp(1, 64);
        let parts = unset((adapters * modules * tiles, splits, 8, widest), DType::F32, x.device())?;
        let call = Call::typed(LOWRANK, "lowrank_outer", x)?.words(self.reduced_words(group, h)?);
        let call = call.tensor(x)?.int(stride)?.address(ranges).words(words(group, &columns, dropout)).int(widest)?;
        let call = with_dropout(call, dropout)?.tensor(&parts)?;
        call.launch((widest.div_ceil(512), splits, adapters * modules * tiles), 128)?;
        let mut gradients = Vec::new();
        for adapter in 0..adapters {
            for (index, (module, (_, width))) in group.0.iter().zip(&columns).enumerate() {
                let site = Site { layer: self.layer, module: *module };
                let own = self.table.ranks[adapter][site.index() as usize];
                if own == 0 {
                    continue;
                }
                let transposed = factor == Factor::BTransposed;
                let shape = if transposed { (*width, own) } else { (own, *width) };
                let gradient = unset(shape, DType::F32, x.device())?;
                let call = Call::new(LOWRANK, "lowrank_outer_sum", cuda(x.device())?)?.tensor(&parts)?;
                let call = call.int((adapter * modules + index) * tiles)?.int(splits)?.int(widest)?.int(own)?.int(*width)?;
                call.flag(transposed).tensor(&gradient)?.launch(((own * width).div_ceil(256), 1, 1), 256)?;
                gradients.push((adapter, *module, gradient));
            }
        }
        Ok(gradients)
    }
}

fn fits(columns: &[(usize, usize)], stride: usize) -> Result<()> {
    ensure!(
        stride.is_multiple_of(8) && columns.iter().all(|(start, width)| start + width <= stride && width.is_multiple_of(8)),
        "{columns:?} of {stride}"
    );
    Ok(())
}

fn widest(columns: &[(usize, usize)]) -> usize {
    columns.iter().map(|(_, width)| *width).max().unwrap_or(0)
}

/// The kernels' `Columns`: three offsets, three widths, three places of dropout bits.
fn words(group: Group, columns: &[(usize, usize)], dropout: Option<&DropoutBits>) -> Vec<u64> {
    let column = |i: usize| columns.get(i).copied().unwrap_or((0, 0));
    let (first, second, third) = (column(0), column(1), column(2));
    let bits = |i: usize| match (dropout, group.0.get(i)) {
        (Some(dropout), Some(module)) => dropout.starts[*module as usize] as u64,
        _ => 0,
    };
    vec![two(first.0, second.0), two(third.0, first.1), two(second.1, third.1), bits(0), bits(1), bits(2)]
}

fn with_dropout<'a>(call: Call<'a>, dropout: Option<&DropoutBits>) -> Result<Call<'a>> {
    match dropout {
        Some(dropout) => Ok(call.tensor(&dropout.bits)?.float(dropout.keep)),
        None => Ok(call.address(0).float(1.0)),
    }
}
