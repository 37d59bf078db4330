//! The backward pass, on the host: one row's one key head with the queries that share it at a time, in blocks of queries.

use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

use super::blocks::{BLOCK, block_of, gathered, outer_product, rows_product, transposed};
use super::composed::attention_backward_composed;
use super::{AttentionOutput, Heads, Segment};
use crate::model::ops::host;

/// Gradients with respect to q, k and v, given `d_out` of [tokens, heads * size].
pub fn attention_backward(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    attended: &AttentionOutput,
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
    let given = BackwardInputs { q: &q, k: &k, v: &v, out: &out, d_out: &d_out, log_sum_exp: &log_sum_exp, heads };

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
struct BackwardInputs<'a> {
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

impl BackwardInputs<'_> {
    /// Blocks of queries against all keys that they see. What lies beyond the last query, or beyond what a query sees, is zero.
    #[inline(always)]
    fn head_backward(&self, row: Segment, kv_head: usize) -> HeadGradients {
        let (size, group) = (self.heads.size, self.heads.group());
        let (width, kv_width) = (self.heads.queries * size, self.heads.keys * size);
        let heads = self.heads;
        let (rows, padded) = (row.len.next_multiple_of(BLOCK), row.len.next_multiple_of(16));
        let gather = |x: &[f32], width: usize, at: usize| gathered(&x[row.start * width..], (row.len, rows), width, at, size);
        let columns = |x: &[f32]| transposed(x.chunks_exact(size).take(row.len), size, padded);
        let k = gather(self.k, kv_width, kv_head * size);
        let (k_columns, v_columns) = (columns(&k), columns(&gather(self.v, kv_width, kv_head * size)));
        let mut d_q = vec![0f32; rows * group * size];
        let (mut d_k, mut d_v) = (vec![0f32; rows * size], vec![0f32; rows * size]);
        // A block of queries by key.
        let (mut p, mut d_score) = (vec![0f32; BLOCK * padded], vec![0f32; BLOCK * padded]);
        for member in 0..group {
            let head = kv_head * group + member;
            let (q, d_out) = (gather(self.q, width, head * size), gather(self.d_out, width, head * size));
            for first in (0..rows).step_by(BLOCK) {
                // Keys that the block's last query sees, in whole vectors.
                let seen = (first + BLOCK).next_multiple_of(16).min(padded);
                rows_product(block_of(&q, size, first), &k_columns, seen, &mut p, (padded, padded));
                rows_product(block_of(&d_out, size, first), &v_columns, seen, &mut d_score, (padded, padded));
                for (r, (p, d_score)) in p.chunks_exact_mut(padded).zip(d_score.chunks_exact_mut(padded)).enumerate() {
                    let i = first + r;
                    let visible = if i < row.len { i + 1 } else { 0 };
                    let from = heads.first(visible);
                    if i < row.len {
                        let token = row.start + i;
                        let lse = self.log_sum_exp[token * self.heads.queries + head];
                        // d_out · out: the softmax's normalising term.
                        let delta = host::dot(&self.out[token * width + head * size..][..size], &d_out[i * size..][..size]);
                        for (p, d) in p[from..visible].iter_mut().zip(&mut d_score[from..visible]) {
                            let score = heads.score(*p);
                            *p = host::exp(score - lse);
                            *d = (*d - delta) * *p * heads.slope(score);
                        }
                    }
                    p[..from].fill(0.0);
                    d_score[..from].fill(0.0);
                    p[visible..seen].fill(0.0);
                    d_score[visible..seen].fill(0.0);
                }
                let seen_of = |x| block_of(x, padded, 0).map(|row| &row[..seen.min(rows)]);
                rows_product(seen_of(&d_score), &k, size, &mut d_q[(first * group + member) * size..], (size, group * size));
                outer_product(seen_of(&d_score), block_of(&q, size, first), size, &mut d_k);
                outer_product(seen_of(&p), block_of(&d_out, size, first), size, &mut d_v);
            }
        }
        HeadGradients { d_q, d_k, d_v }
    }
}
