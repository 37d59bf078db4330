//! The forward pass, on the host: rows of a few queries one by one, longer ones in blocks of queries.

use anyhow::Result;
use candle_core::Tensor;
use rayon::prelude::*;

use super::blocks::{BLOCK, block_of, gathered, rows_product, transposed};
use super::composed::attention_composed;
use super::{AttentionOutput, Heads, KeysValues, Segment};
use crate::model::ops::host;

/// Attention of a packed batch without a cache. `q`: [tokens, heads * size], `k`, `v`: [tokens, kv_heads * size].
pub fn attention(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads, rows: &[Segment]) -> Result<AttentionOutput> {
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
pub(crate) fn attention_host(q: &Tensor, cached: &[KeysValues<'_>], heads: Heads, rows: &[Segment]) -> Result<AttentionOutput> {
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
            let first = heads.first(visible);
            let from = first * heads.keys * heads.size;
            let mut scores = vec![0f32; visible - first];
            for head in 0..heads.queries {
                let (kv_head, q) = (head / heads.group(), &q[token * width + head * heads.size..][..heads.size]);
                for (s, k) in scores.iter_mut().zip(head_rows(&kv.keys[from..], kv_head, heads)) {
                    *s = heads.score(host::dot(q, k));
                }
                log_sum_exp[head] = softmax(&mut scores);
                host::weighted_sum(&scores, head_rows(&kv.values[from..], kv_head, heads), &mut out[head * heads.size..][..heads.size]);
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
    Ok(AttentionOutput { out: host::tensor(out, tokens, width)?, log_sum_exp: host::tensor(log_sum_exp, tokens, heads.queries)? })
}

/// Whether a row has enough queries to take them in blocks.
fn in_blocks(row: Segment) -> bool {
    row.len >= BLOCK
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
    let (rows, total) = (len.next_multiple_of(BLOCK), kv.past + len);
    let padded = total.next_multiple_of(16);
    let (mut out, mut log_sum_exp) = (vec![0f32; rows * group * size], vec![0f32; rows * group]);
    let mut values = vec![0f32; total * size];
    for (own, value) in values.chunks_exact_mut(size).zip(head_rows(kv.values, kv_head, heads)) {
        own.copy_from_slice(value);
    }
    let keys = transposed(head_rows(kv.keys, kv_head, heads).take(total), size, padded);
    let mut p = vec![0f32; BLOCK * padded];
    for member in 0..group {
        let own = gathered(q, (len, rows), width, (kv_head * group + member) * size, size);
        for first in (0..rows).step_by(BLOCK) {
            let seen = (kv.past + first + BLOCK).next_multiple_of(16).min(padded);
            rows_product(block_of(&own, size, first), &keys, seen, &mut p, (padded, padded));
            for (r, p) in p.chunks_exact_mut(padded).enumerate() {
                let visible = (kv.past + first + r + 1).min(total);
                let from = heads.first(visible);
                for s in &mut p[from..visible] {
                    *s = heads.score(*s);
                }
                log_sum_exp[(first + r) * group + member] = softmax(&mut p[from..visible]);
                p[..from].fill(0.0);
                p[visible..seen].fill(0.0);
            }
            let terms = block_of(&p, padded, 0).map(|row| &row[..seen.min(total)]);
            rows_product(terms, &values, size, &mut out[(first * group + member) * size..], (size, group * size));
        }
    }
    (out, log_sum_exp)
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
