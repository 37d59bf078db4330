//! Kernels of `attention.cu` and `decode.cu`.

use anyhow::{Result, ensure};
use candle_core::{DType, Tensor};

use super::launch::{Call, Module, address, cuda, module, multiprocessors, unset};
use super::upload::{Place, Upload, Uploaded};
use crate::model::ops::attention::{AttentionOutput, Heads, Segment};

const ATTENTION: Module = module!("attention");
const DECODE: Module = module!("decode");

/// Queries or keys of a tile, as the kernels are compiled.
const TILE: usize = 64;
/// Threads of a block of the tensor-core kernels; the kernel of d_k and d_v has two such teams.
const THREADS: usize = 128;
/// Below this many blocks, a decoding row's keys are split over several.
const FEW_BLOCKS: usize = 64;

/// Rows and tiles of a pass.
pub(crate) struct Rows {
    offsets: Place,
    /// Tiles, those with the most keys before them first: forward and d_q.
    by_query: Place,
    /// Tiles, those with the most queries after them first: d_k and d_v.
    by_key: Place,
    tiles: usize,
    /// Tiles of the longest row, and pairs of tiles that see each other: how uneven the work on keys is.
    longest: usize,
    pairs: usize,
    rows: usize,
    tokens: usize,
}

/// A paged cache, as a pass sees it.
pub(crate) struct Paged {
    /// Address of each row's pages, `width` a row.
    pub(crate) table: u64,
    pub(crate) width: usize,
    /// Address of the tokens each row had before the pass.
    pub(crate) past: u64,
    /// Keys of the longest row after the pass.
    pub(crate) longest: usize,
}

impl Rows {
    /// Of a pass whose rows have `past` cached tokens each (empty: none).
    pub(crate) fn new(rows: &[Segment], past: &[u32], upload: &mut Upload) -> Self {
        let tokens = rows.last().map_or(0, |row| row.start + row.len);
        let mut tiles: Vec<(u32, u32, u32, u32)> = Vec::new();
        for (index, row) in rows.iter().enumerate() {
            let before = past.get(index).copied().unwrap_or(0);
            for first in (0..row.len as u32).step_by(TILE) {
                tiles.push((index as u32, first, before + first, row.len as u32 - first));
            }
        }
        let mut ordered = |key: fn(&(u32, u32, u32, u32)) -> u32| {
            tiles.sort_by_key(|tile| std::cmp::Reverse(key(tile)));
            upload.add(tiles.iter().flat_map(|tile| [tile.0, tile.1]))
        };
        let (by_query, by_key) = (ordered(|tile| tile.2), ordered(|tile| tile.3));
        let offsets = upload.add(rows.iter().map(|row| row.start as u32).chain([tokens as u32]));
        let of_row = |row: &Segment| row.len.div_ceil(TILE);
        let longest = rows.iter().map(of_row).max().unwrap_or(0);
        let pairs = rows.iter().map(|row| of_row(row) * (of_row(row) + 1) / 2).sum();
        Self { offsets, by_query, by_key, tiles: tiles.len(), longest, pairs, rows: rows.len(), tokens }
    }
}

/// Which of the kernels of a kind, with its threads and bytes of shared memory.
struct KernelChoice {
    name: String,
    threads: usize,
    shared: usize,
}

/// What the two kernels of a kind need of a block.
struct Needs {
    /// The tensor-core kernel: shared tiles, bytes beside them, and teams of [`THREADS`] threads.
    tiles: usize,
    extra: usize,
    teams: usize,
    /// The general one: shared rows, and threads.
    rows: usize,
    threads: usize,
}

const FORWARD: Needs = Needs { tiles: 3, extra: 0, teams: 1, rows: TILE + 64, threads: 256 };
const BACKWARD_QUERIES: Needs = Needs { tiles: 4, extra: 0, teams: 1, rows: 2 * (TILE + 32), threads: 256 };
/// Two teams, each with two stages of queries and gradients and of two numbers a query.
const BACKWARD_KEYS: Needs = Needs { tiles: 10, extra: 4 * TILE * 8, teams: 2, rows: 2 * (TILE + 32), threads: 512 };

/// The tensor-core kernel where there is one for this head size, else the general one.
fn kernel_choice(kind: &str, q: &Tensor, heads: Heads, needs: &Needs) -> KernelChoice {
    let size = heads.size;
    if tensor_cores(q, heads) {
        return KernelChoice {
            name: format!("{kind}_bf16_d{size}"),
            threads: needs.teams * THREADS,
            shared: needs.tiles * TILE * size * 2 + needs.extra,
        };
    }
    let suffix = if q.dtype() == DType::BF16 { "bf16" } else { "f32" };
    // Rows are an odd number of 16-byte pieces apart; the kernels read up to 32 numbers beyond the last.
    let stride = 4 * (size.div_ceil(4) | 1);
    KernelChoice { name: format!("{kind}_{suffix}"), threads: needs.threads, shared: (needs.rows * stride + 32) * 4 }
}

/// Whether there is a kernel on tensor cores.
fn tensor_cores(q: &Tensor, heads: Heads) -> bool {
    q.dtype() == DType::BF16 && (heads.size == 64 || heads.size == 128)
}

/// Addresses of queries, keys and values in their joint tensor, and its width.
fn parts(qkv: &Tensor, heads: Heads, tokens: usize) -> Result<([u64; 3], usize)> {
    let (rows, width) = qkv.dims2()?;
    ensure!(rows == tokens && width == (heads.queries + 2 * heads.keys) * heads.size, "{qkv:?} for {tokens} tokens of {heads:?}");
    ensure!(heads.size <= 256 && width.is_multiple_of(8), "the kernels take head sizes up to 256, not {}", heads.size);
    let size = qkv.dtype().size_in_bytes() as u64;
    let (q, keys) = (address(qkv)?, (heads.queries * heads.size) as u64);
    let values = keys + (heads.keys * heads.size) as u64;
    Ok(([q, q + keys * size, q + values * size], width))
}

fn scale(heads: Heads) -> f32 {
    1.0 / (heads.size as f32).sqrt()
}

/// Attention of whole rows. `qkv`: [tokens, (queries + 2 keys) * size].
pub(crate) fn forward(qkv: &Tensor, heads: Heads, rows: &Rows, uploaded: &Uploaded) -> Result<AttentionOutput> {
    let ([q, k, v], width) = parts(qkv, heads, rows.tokens)?;
    let attended = empty(qkv, heads, rows.tokens)?;
    let form = kernel_choice("attention_forward", qkv, heads, &FORWARD);
    let call = Call::new(ATTENTION, &form.name, cuda(qkv.device())?)?.address(q).address(k).address(v);
    let call = call.tensor(&attended.out)?.tensor(&attended.log_sum_exp)?.address(uploaded.at(rows.offsets));
    let call = call.address(uploaded.at(rows.by_query)).long(width)?.long(width)?;
    let call = sizes(call, heads)?.shared(form.shared)?;
    call.launch((rows.tiles * heads.queries, 1, 1), form.threads)?;
    Ok(attended)
}

/// Attention of rows against pages that hold their keys and values already.
pub(crate) fn forward_paged(
    qkv: &Tensor,
    pages: (&Tensor, &Tensor),
    heads: Heads,
    rows: &Rows,
    paged: &Paged,
    uploaded: &Uploaded,
) -> Result<Tensor> {
    let ([q, ..], width) = parts(qkv, heads, rows.tokens)?;
    ensure!(pages.0.dtype() == qkv.dtype(), "pages of another type than their queries");
    if rows.tokens == rows.rows {
        return decode(qkv, q, width, pages, heads, rows.rows, paged);
    }
    let out = unset((rows.tokens, heads.queries * heads.size), qkv.dtype(), qkv.device())?;
    let form = kernel_choice("attention_forward_paged", qkv, heads, &FORWARD);
    let call = Call::new(ATTENTION, &form.name, cuda(qkv.device())?)?.address(q).tensor(pages.0)?.tensor(pages.1)?;
    let call = call.tensor(&out)?.address(0).address(uploaded.at(rows.offsets)).address(paged.past).address(paged.table);
    let call = call.address(uploaded.at(rows.by_query)).long(width)?.int(paged.width)?;
    sizes(call, heads)?.shared(form.shared)?.launch((rows.tiles * heads.queries, 1, 1), form.threads)?;
    Ok(out)
}

/// One new token a row.
fn decode(qkv: &Tensor, q: u64, width: usize, pages: (&Tensor, &Tensor), heads: Heads, rows: usize, paged: &Paged) -> Result<Tensor> {
    let device = qkv.device();
    let out = unset((rows, heads.queries * heads.size), qkv.dtype(), device)?;
    let blocks = rows * heads.keys * (heads.queries / heads.keys).div_ceil(16);
    // Measured on an H100: splitting pays for a few rows of many keys only.
    let splits = if blocks < FEW_BLOCKS { paged.longest.div_ceil(128).max(1) } else { 1 };
    let split_keys = paged.longest.div_ceil(splits).next_multiple_of(16);
    let splits = paged.longest.div_ceil(split_keys);
    let parts = if splits > 1 {
        let out = unset((rows * heads.queries, splits, heads.size), DType::F32, device)?;
        Some((out, unset((rows * heads.queries, splits), DType::F32, device)?))
    } else {
        None
    };
    let (name, stages) = match (tensor_cores(qkv, heads), heads.size) {
        (true, 64) => ("attention_decode_bf16_d64", 3),
        (true, _) => ("attention_decode_bf16_d128", 3),
        (false, _) if qkv.dtype() == DType::BF16 => ("attention_decode_bf16", 0),
        (false, _) => ("attention_decode_f32", 0),
    };
    let call = Call::new(DECODE, name, cuda(device)?)?.address(q).tensor(pages.0)?.tensor(pages.1)?.tensor(&out)?.address(0);
    let call = call.optional(parts.as_ref().map(|(out, _)| out))?.optional(parts.as_ref().map(|(_, sums)| sums))?;
    let call = call.address(paged.past).address(paged.table).long(width)?.int(paged.width)?.int(split_keys)?;
    // Each of four warps keeps some steps of 16 keys and 16 values on their way.
    let call = sizes(call, heads)?.shared(4 * stages * 2 * 16 * heads.size * 2)?;
    call.launch((blocks, splits, 1), THREADS)?;
    if let Some((part_out, part_sums)) = parts {
        let suffix = if qkv.dtype() == DType::BF16 { "bf16" } else { "f32" };
        let call =
            Call::new(DECODE, &format!("attention_decode_combine_{suffix}"), cuda(device)?)?.tensor(&part_out)?.tensor(&part_sums)?;
        let call = call.tensor(&out)?.address(0).address(paged.past).int(split_keys)?.int(splits)?.int(heads.queries)?.int(heads.size)?;
        call.launch((rows * heads.queries, 1, 1), THREADS)?;
    }
    Ok(out)
}

/// The gradient of `qkv`, before the inverse turn of queries and keys.
pub(crate) fn backward(
    qkv: &Tensor,
    attended: &AttentionOutput,
    d_out: &Tensor,
    heads: Heads,
    rows: &Rows,
    uploaded: &Uploaded,
) -> Result<Tensor> {
    let ([q, k, v], width) = parts(qkv, heads, rows.tokens)?;
    ensure!(d_out.dims() == attended.out.dims() && d_out.dtype() == qkv.dtype(), "{d_out:?} for {:?}", attended.out);
    let d_qkv = unset((rows.tokens, width), qkv.dtype(), qkv.device())?;
    let ([d_q, d_k, d_v], _) = parts(&d_qkv, heads, rows.tokens)?;
    let delta = unset((rows.tokens, heads.queries), DType::F32, qkv.device())?;

    let form_q = kernel_choice("attention_backward_dq", qkv, heads, &BACKWARD_QUERIES);
    let call = Call::new(ATTENTION, &form_q.name, cuda(qkv.device())?)?.address(q).address(k).address(v).tensor(&attended.out)?;
    let call = call.tensor(d_out)?.tensor(&attended.log_sum_exp)?.tensor(&delta)?.address(d_q).address(uploaded.at(rows.offsets));
    let call = call.address(uploaded.at(rows.by_query)).long(width)?.long(width)?.long(width)?;
    sizes(call, heads)?.shared(form_q.shared)?.launch((rows.tiles * heads.queries, 1, 1), form_q.threads)?;

    let clustered = tensor_cores(qkv, heads) && rows.longest * multiprocessors(qkv.device())? * 10 > 12 * heads.keys * rows.pairs;
    // Where the longest row would keep a few blocks busy to the end, two blocks share each key tile.
    let (kind, blocks) = if clustered { ("attention_backward_dkv_cluster", 2) } else { ("attention_backward_dkv", 1) };
    let form_k = kernel_choice(kind, qkv, heads, &BACKWARD_KEYS);
    let call = Call::new(ATTENTION, &form_k.name, cuda(qkv.device())?)?.address(q).address(k).address(v).tensor(d_out)?;
    let call = call.tensor(&attended.log_sum_exp)?.tensor(&delta)?.address(d_k).address(d_v).address(uploaded.at(rows.offsets));
    let call = call.address(uploaded.at(rows.by_key)).long(width)?.long(width)?.long(width)?;
    sizes(call, heads)?.shared(form_k.shared)?.launch((rows.tiles * heads.keys * blocks, 1, 1), form_k.threads)?;
    Ok(d_qkv)
}

fn sizes(call: Call<'_>, heads: Heads) -> Result<Call<'_>> {
    Ok(call.int(heads.queries)?.int(heads.keys)?.int(heads.size)?.float(scale(heads)))
}

fn empty(qkv: &Tensor, heads: Heads, tokens: usize) -> Result<AttentionOutput> {
    Ok(AttentionOutput {
        out: unset((tokens, heads.queries * heads.size), qkv.dtype(), qkv.device())?,
        log_sum_exp: unset((tokens, heads.queries), DType::F32, qkv.device())?,
    })
}
