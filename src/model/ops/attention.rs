//! Causal grouped-query attention over rows of different length laid end to end, with no padding.
//!
//! Queries are [tokens, heads * head_dim]. Each row's keys and values are token-major [length, kv_heads * head_dim]:
//! a range of a packed tensor in training and prefill, a cache row in decoding. Query i of a row that has `past`
//! cached tokens sees the row's keys 0..=past + i and nothing of other rows.
//!
//! `out = softmax(q kᵀ / sqrt(head_dim)) v`. The forward keeps the log-sum-exp of each query's scores, from which the
//! backward rebuilds the probabilities (Dao et al. 2022, "FlashAttention", section 3.1), so no [length, length]
//! matrix is stored.

use anyhow::Result;
use candle_core::{D, DType, Device, Tensor};
use rayon::prelude::*;

use super::host;

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

/// Attention of a packed batch without a cache. `q`: [tokens, heads * size], `k`, `v`: [tokens, kv_heads * size].
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads, rows: &[Segment]) -> Result<Attended> {
    if !host::applies(q) || !host::applies(k) || !host::applies(v) {
        return attention_composed(q, k, v, heads, rows);
    }
    let (k, v) = (host::slice(k)?, host::slice(v)?);
    let width = heads.keys * heads.size;
    let cached: Vec<KeysValues<'_>> = rows
        .iter()
        .map(|row| {
            let range = row.start * width..(row.start + row.len) * width;
            KeysValues { keys: &k[range.clone()], values: &v[range], past: 0 }
        })
        .collect();
    attention_host(q, &cached, heads, rows)
}

/// Attention of a packed batch against each row's own keys and values in host memory.
pub(crate) fn attention_host(q: &Tensor, cached: &[KeysValues<'_>], heads: Heads, rows: &[Segment]) -> Result<Attended> {
    let (tokens, width) = q.dims2()?;
    let row_of = row_of_token(rows, tokens);
    let q = host::slice(q)?;
    let q = &*q;
    let mut out = vec![0f32; tokens * width];
    let mut log_sum_exp = vec![0f32; tokens * heads.queries];
    let outputs = ((out.as_mut_slice(), width), (log_sum_exp.as_mut_slice(), heads.queries));
    host::for_each_row_pair(
        outputs.0,
        outputs.1,
        #[inline(always)]
        |token, out, log_sum_exp| {
            let row = row_of[token] as usize;
            let kv = &cached[row];
            if in_blocks(rows[row]) {
                return;
            }
            let visible = kv.past + token - rows[row].start + 1;
            let mut scores = vec![0f32; visible];
            for head in 0..heads.queries {
                let q = &q[token * width + head * heads.size..][..heads.size];
                for (s, k) in scores.iter_mut().zip(head_rows(kv.keys, head / heads.group(), heads)) {
                    *s = host::dot(q, k) * heads.scale();
                }
                log_sum_exp[head] = softmax(&mut scores);
                host::weighted_sum(&scores, head_rows(kv.values, head / heads.group(), heads), &mut out[head * heads.size..][..heads.size]);
            }
        },
    );
    // A task is one row's one key head with the query heads that share it.
    let long = rows.iter().zip(cached).filter(|(row, _)| in_blocks(**row));
    let tasks: Vec<(Segment, &KeysValues<'_>, usize)> =
        long.flat_map(|(row, kv)| (0..heads.keys).map(move |head| (*row, kv, head))).collect();
    let parts: Vec<(Vec<f32>, Vec<f32>)> = tasks
        .par_iter()
        .map(|(row, kv, kv_head)| {
            host::vectorised(
                #[inline(always)]
                || head_forward(&q[row.start * width..][..row.len * width], kv, heads, row.len, *kv_head),
            )
        })
        .collect();
    let group = heads.group();
    for ((row, _, kv_head), (of_head, sums)) in tasks.iter().zip(&parts) {
        for i in 0..row.len {
            let at = (row.start + i) * heads.queries + kv_head * group;
            out[at * heads.size..][..group * heads.size].copy_from_slice(&of_head[i * group * heads.size..][..group * heads.size]);
            log_sum_exp[at..][..group].copy_from_slice(&sums[i * group..][..group]);
        }
    }
    Ok(Attended { out: host::tensor(out, tokens, width)?, log_sum_exp: host::tensor(log_sum_exp, tokens, heads.queries)? })
}

/// Whether a row has enough queries to take them in blocks.
fn in_blocks(row: Segment) -> bool {
    row.len >= host::BLOCK
}

/// Scores to probabilities, in place; gives their log-sum-exp.
#[inline(always)]
fn softmax(scores: &mut [f32]) -> f32 {
    let max = host::max(scores);
    for s in &mut *scores {
        *s = host::exp(*s - max);
    }
    let sum = host::sum(scores);
    for p in scores {
        *p /= sum;
    }
    max + sum.ln()
}

/// One key head with the query heads that share it, over the queries of one row: out [len, group * size] and log-sum-exp
/// [len, group], with a few rows of no meaning beyond.
#[inline(always)]
fn head_forward(q: &[f32], kv: &KeysValues<'_>, heads: Heads, len: usize, kv_head: usize) -> (Vec<f32>, Vec<f32>) {
    let (size, group, width) = (heads.size, heads.group(), heads.queries * heads.size);
    let (rows, total) = (len.next_multiple_of(host::BLOCK), kv.past + len);
    let padded = total.next_multiple_of(16);
    let (mut out, mut log_sum_exp) = (vec![0f32; rows * group * size], vec![0f32; rows * group]);
    let mut values = vec![0f32; total * size];
    for (own, value) in values.chunks_exact_mut(size).zip(head_rows(kv.values, kv_head, heads)) {
        own.copy_from_slice(value);
    }
    let keys = transposed(head_rows(kv.keys, kv_head, heads).take(total), size, padded);
    let mut p = vec![0f32; host::BLOCK * padded];
    for member in 0..group {
        let own = gathered(q, (len, rows), width, (kv_head * group + member) * size, size);
        for first in (0..rows).step_by(host::BLOCK) {
            let seen = (kv.past + first + host::BLOCK).next_multiple_of(16).min(padded);
            host::rows_product(block_of(&own, size, first), &keys, seen, &mut p, (padded, padded));
            for (r, p) in p.chunks_exact_mut(padded).enumerate() {
                let visible = (kv.past + first + r + 1).min(total);
                for s in &mut p[..visible] {
                    *s *= heads.scale();
                }
                log_sum_exp[(first + r) * group + member] = softmax(&mut p[..visible]);
                p[visible..seen].fill(0.0);
            }
            let terms = block_of(&p, padded, 0).map(|row| &row[..seen.min(total)]);
            host::rows_product(terms, &values, size, &mut out[(first * group + member) * size..], (size, group * size));
        }
    }
    (out, log_sum_exp)
}

/// One head of `len` tokens, [rows, size]: zero beyond them.
#[inline(always)]
fn gathered(x: &[f32], (len, rows): (usize, usize), width: usize, at: usize, size: usize) -> Vec<f32> {
    let mut gathered = vec![0f32; rows * size];
    for (own, token) in gathered.chunks_exact_mut(size).zip(x.chunks_exact(width)).take(len) {
        own.copy_from_slice(&token[at..][..size]);
    }
    gathered
}

/// Rows as columns, [size, padded]: zero beyond them.
#[inline(always)]
fn transposed<'a>(rows: impl Iterator<Item = &'a [f32]>, size: usize, padded: usize) -> Vec<f32> {
    let mut columns = vec![0f32; size * padded];
    for (j, row) in rows.enumerate() {
        for (i, value) in row.iter().enumerate() {
            columns[i * padded + j] = *value;
        }
    }
    columns
}

/// Gradients with respect to q, k and v, given `d_out` of [tokens, heads * size].
pub fn attention_backward(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    attended: &Attended,
    d_out: &Tensor,
    heads: Heads,
    rows: &[Segment],
) -> Result<(Tensor, Tensor, Tensor)> {
    if ![q, k, v, &attended.out, d_out].iter().all(|t| host::applies(t)) {
        return attention_backward_composed(q, k, v, attended, d_out, heads, rows);
    }
    let (tokens, width) = q.dims2()?;
    let kv_width = heads.keys * heads.size;
    let (q, k, v) = (host::slice(q)?, host::slice(k)?, host::slice(v)?);
    let (out, d_out, log_sum_exp) = (host::slice(&attended.out)?, host::slice(d_out)?, host::slice(&attended.log_sum_exp)?);
    let given = Given { q: &q, k: &k, v: &v, out: &out, d_out: &d_out, log_sum_exp: &log_sum_exp, heads };

    // A task is one row's one key head with the query heads that share it: nothing it writes is another's.
    let tasks: Vec<(Segment, usize)> = rows.iter().flat_map(|row| (0..heads.keys).map(move |head| (*row, head))).collect();
    let parts: Vec<HeadGradients> = tasks
        .par_iter()
        .map(|(row, kv_head)| {
            host::vectorised(
                #[inline(always)]
                || given.head_backward(*row, *kv_head),
            )
        })
        .collect();

    let (mut d_q, mut d_k, mut d_v) = (vec![0f32; tokens * width], vec![0f32; tokens * kv_width], vec![0f32; tokens * kv_width]);
    let group = heads.group() * heads.size;
    for ((row, kv_head), part) in tasks.iter().zip(&parts) {
        for i in 0..row.len {
            let token = row.start + i;
            d_q[token * width + kv_head * group..][..group].copy_from_slice(&part.d_q[i * group..][..group]);
            let at = token * kv_width + kv_head * heads.size;
            d_k[at..at + heads.size].copy_from_slice(&part.d_k[i * heads.size..][..heads.size]);
            d_v[at..at + heads.size].copy_from_slice(&part.d_v[i * heads.size..][..heads.size]);
        }
    }
    Ok((host::tensor(d_q, tokens, width)?, host::tensor(d_k, tokens, kv_width)?, host::tensor(d_v, tokens, kv_width)?))
}

/// The backward pass's inputs in host memory.
struct Given<'a> {
    q: &'a [f32],
    k: &'a [f32],
    v: &'a [f32],
    out: &'a [f32],
    d_out: &'a [f32],
    log_sum_exp: &'a [f32],
    heads: Heads,
}

/// Gradients of one row's one key head: d_q [len, group * size], d_k and d_v [len, size].
struct HeadGradients {
    d_q: Vec<f32>,
    d_k: Vec<f32>,
    d_v: Vec<f32>,
}

impl Given<'_> {
    /// Blocks of queries against all keys that they see. What lies beyond the last query, or beyond what a query sees, is zero.
    #[inline(always)]
    fn head_backward(&self, row: Segment, kv_head: usize) -> HeadGradients {
        let (size, group) = (self.heads.size, self.heads.group());
        let (width, kv_width) = (self.heads.queries * size, self.heads.keys * size);
        let scale = self.heads.scale();
        let (rows, padded) = (row.len.next_multiple_of(host::BLOCK), row.len.next_multiple_of(16));
        let gather = |x: &[f32], width: usize, at: usize| gathered(&x[row.start * width..], (row.len, rows), width, at, size);
        let columns = |x: &[f32]| transposed(x.chunks_exact(size).take(row.len), size, padded);
        let k = gather(self.k, kv_width, kv_head * size);
        let (k_columns, v_columns) = (columns(&k), columns(&gather(self.v, kv_width, kv_head * size)));
        let mut d_q = vec![0f32; rows * group * size];
        let (mut d_k, mut d_v) = (vec![0f32; rows * size], vec![0f32; rows * size]);
        // A block of queries by key.
        let (mut p, mut d_score) = (vec![0f32; host::BLOCK * padded], vec![0f32; host::BLOCK * padded]);
        for member in 0..group {
            let head = kv_head * group + member;
            let (q, d_out) = (gather(self.q, width, head * size), gather(self.d_out, width, head * size));
            for first in (0..rows).step_by(host::BLOCK) {
                // Keys that the block's last query sees, in whole vectors.
                let seen = (first + host::BLOCK).next_multiple_of(16).min(padded);
                host::rows_product(block_of(&q, size, first), &k_columns, seen, &mut p, (padded, padded));
                host::rows_product(block_of(&d_out, size, first), &v_columns, seen, &mut d_score, (padded, padded));
                for (r, (p, d_score)) in p.chunks_exact_mut(padded).zip(d_score.chunks_exact_mut(padded)).enumerate() {
                    let i = first + r;
                    let visible = if i < row.len { i + 1 } else { 0 };
                    if i < row.len {
                        let token = row.start + i;
                        let lse = self.log_sum_exp[token * self.heads.queries + head];
                        // d_out · out: the softmax's normalising term.
                        let delta = host::dot(&self.out[token * width + head * size..][..size], &d_out[i * size..][..size]);
                        for (p, d) in p[..visible].iter_mut().zip(&mut d_score[..visible]) {
                            *p = host::exp(p.mul_add(scale, -lse));
                            *d = (*d - delta) * *p * scale;
                        }
                    }
                    p[visible..seen].fill(0.0);
                    d_score[visible..seen].fill(0.0);
                }
                let seen_of = |x| block_of(x, padded, 0).map(|row| &row[..seen.min(rows)]);
                host::rows_product(seen_of(&d_score), &k, size, &mut d_q[(first * group + member) * size..], (size, group * size));
                host::outer_product(seen_of(&d_score), block_of(&q, size, first), size, &mut d_k);
                host::outer_product(seen_of(&p), block_of(&d_out, size, first), size, &mut d_v);
            }
        }
        HeadGradients { d_q, d_k, d_v }
    }
}

/// A block of rows of the given width, the first of them at index `first`.
#[inline(always)]
fn block_of(x: &[f32], width: usize, first: usize) -> [&[f32]; host::BLOCK] {
    std::array::from_fn(|r| &x[(first + r) * width..][..width])
}

/// The given head's part of every token, in order.
#[inline(always)]
fn head_rows(values: &[f32], kv_head: usize, heads: Heads) -> impl Iterator<Item = &[f32]> + Clone {
    values.chunks_exact(heads.keys * heads.size).map(move |token| &token[kv_head * heads.size..][..heads.size])
}

fn row_of_token(rows: &[Segment], tokens: usize) -> Vec<u32> {
    let mut row_of = vec![0u32; tokens];
    for (i, row) in rows.iter().enumerate() {
        row_of[row.start..row.start + row.len].fill(i as u32);
    }
    row_of
}

/// One row's heads: q [heads, len, size]; k and v repeated to the query heads. f32.
struct RowHeads {
    q: Tensor,
    k: Tensor,
    v: Tensor,
}

impl RowHeads {
    fn of(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads, row: Segment) -> Result<Self> {
        let part = |x: &Tensor, n: usize| -> Result<Tensor> {
            let x = x.narrow(0, row.start, row.len)?.to_dtype(DType::F32)?;
            Ok(x.reshape((row.len, n, heads.size))?.transpose(0, 1)?.contiguous()?)
        };
        let repeated = |x: Tensor| -> Result<Tensor> {
            let x = x.unsqueeze(1)?.expand((heads.keys, heads.group(), row.len, heads.size))?;
            Ok(x.contiguous()?.reshape((heads.queries, row.len, heads.size))?)
        };
        Ok(Self { q: part(q, heads.queries)?, k: repeated(part(k, heads.keys)?)?, v: repeated(part(v, heads.keys)?)? })
    }

    fn scores(&self, scale: f32) -> Result<Tensor> {
        let len = self.q.dim(1)?;
        let scores = (self.q.matmul(&self.k.t()?)? * f64::from(scale))?;
        Ok(scores.broadcast_add(&causal_mask(len, self.q.device())?)?)
    }
}

fn causal_mask(len: usize, device: &Device) -> Result<Tensor> {
    let mask: Vec<f32> = (0..len).flat_map(|i| (0..len).map(move |j| if j <= i { 0.0 } else { f32::NEG_INFINITY })).collect();
    Ok(Tensor::from_vec(mask, (1, len, len), device)?)
}

fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let (heads, len, size) = x.dims3()?;
    Ok(x.transpose(0, 1)?.contiguous()?.reshape((len, heads * size))?)
}

fn attention_composed(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads, rows: &[Segment]) -> Result<Attended> {
    let (mut outs, mut sums) = (Vec::new(), Vec::new());
    for row in rows {
        let parts = RowHeads::of(q, k, v, heads, *row)?;
        let scores = parts.scores(heads.scale())?;
        let lse = scores.log_sum_exp(D::Minus1)?;
        let p = scores.broadcast_sub(&lse.unsqueeze(D::Minus1)?)?.exp()?;
        outs.push(merge_heads(&p.matmul(&parts.v)?)?.to_dtype(q.dtype())?);
        sums.push(lse.t()?.contiguous()?);
    }
    Ok(Attended { out: Tensor::cat(&outs, 0)?, log_sum_exp: Tensor::cat(&sums, 0)? })
}

fn attention_backward_composed(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    attended: &Attended,
    d_out: &Tensor,
    heads: Heads,
    rows: &[Segment],
) -> Result<(Tensor, Tensor, Tensor)> {
    let (mut d_qs, mut d_ks, mut d_vs) = (Vec::new(), Vec::new(), Vec::new());
    let grouped = |x: &Tensor, len: usize| -> Result<Tensor> {
        let x = x.reshape((heads.keys, heads.group(), len, heads.size))?.sum(1)?;
        Ok(merge_heads(&x)?.to_dtype(q.dtype())?)
    };
    for row in rows {
        let parts = RowHeads::of(q, k, v, heads, *row)?;
        let split = |x: &Tensor| -> Result<Tensor> {
            let x = x.narrow(0, row.start, row.len)?.to_dtype(DType::F32)?;
            Ok(x.reshape((row.len, heads.queries, heads.size))?.transpose(0, 1)?.contiguous()?)
        };
        let (out, d_out) = (split(&attended.out)?, split(d_out)?);
        let lse = attended.log_sum_exp.narrow(0, row.start, row.len)?.t()?.contiguous()?.unsqueeze(D::Minus1)?;
        let p = parts.scores(heads.scale())?.broadcast_sub(&lse)?.exp()?;
        let delta = (&out * &d_out)?.sum_keepdim(D::Minus1)?;
        let d_p = d_out.matmul(&parts.v.t()?)?;
        let d_scores = ((&p * d_p.broadcast_sub(&delta)?)? * f64::from(heads.scale()))?;
        d_qs.push(merge_heads(&d_scores.matmul(&parts.k)?)?.to_dtype(q.dtype())?);
        d_ks.push(grouped(&d_scores.t()?.matmul(&parts.q)?, row.len)?);
        d_vs.push(grouped(&p.t()?.matmul(&d_out)?, row.len)?);
    }
    Ok((Tensor::cat(&d_qs, 0)?, Tensor::cat(&d_ks, 0)?, Tensor::cat(&d_vs, 0)?))
}
