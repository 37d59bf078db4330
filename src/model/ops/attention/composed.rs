//! Attention of tensor operations, row by row: for what the host's own code does not take, and to hold it against.

use anyhow::Result;
use candle_core::{D, DType, Device, Tensor};

use super::{AttentionOutput, Heads, Segment};
use crate::model::ops::elementwise;

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

    /// Scores before the mask, which says minus infinity for keys that a query does not see.
    fn scores(&self, heads: Heads) -> Result<(Tensor, Tensor)> {
        let len = self.q.dim(1)?;
        let scores = (self.q.matmul(&self.k.t()?)? * f64::from(heads.scale))?;
        let scores = heads.softcap.map_or(Ok(scores.clone()), |cap| elementwise::softcap(&scores, f64::from(cap)))?;
        Ok((scores, mask(len, heads, self.q.device())?))
    }
}

fn mask(len: usize, heads: Heads, device: &Device) -> Result<Tensor> {
    let seen = |i: usize, j: usize| j <= i && j >= heads.first(i + 1);
    let mask: Vec<f32> = (0..len).flat_map(|i| (0..len).map(move |j| if seen(i, j) { 0.0 } else { f32::NEG_INFINITY })).collect();
    Ok(Tensor::from_vec(mask, (1, len, len), device)?)
}

fn merge_heads(x: &Tensor) -> Result<Tensor> {
    let (heads, len, size) = x.dims3()?;
    Ok(x.transpose(0, 1)?.contiguous()?.reshape((len, heads * size))?)
}

pub(super) fn attention_composed(q: &Tensor, k: &Tensor, v: &Tensor, heads: Heads, rows: &[Segment]) -> Result<AttentionOutput> {
    let (mut outs, mut sums) = (Vec::new(), Vec::new());
    for row in rows {
        let parts = RowHeads::of(q, k, v, heads, *row)?;
        let (scores, mask) = parts.scores(heads)?;
        let scores = scores.broadcast_add(&mask)?;
        let lse = scores.log_sum_exp(D::Minus1)?;
        let p = scores.broadcast_sub(&lse.unsqueeze(D::Minus1)?)?.exp()?;
        outs.push(merge_heads(&p.matmul(&parts.v)?)?.to_dtype(q.dtype())?);
        sums.push(lse.t()?.contiguous()?);
    }
    Ok(AttentionOutput { out: Tensor::cat(&outs, 0)?, log_sum_exp: Tensor::cat(&sums, 0)? })
}

pub(super) fn attention_backward_composed(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    attended: &AttentionOutput,
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
        let (scores, mask) = parts.scores(heads)?;
        let p = scores.broadcast_add(&mask)?.broadcast_sub(&lse)?.exp()?;
        let delta = (&out * &d_out)?.sum_keepdim(D::Minus1)?;
        let d_p = d_out.matmul(&parts.v.t()?)?;
        let mut d_scores = ((&p * d_p.broadcast_sub(&delta)?)? * f64::from(heads.scale))?;
        if let Some(cap) = heads.softcap {
            d_scores = (d_scores * (scores / f64::from(cap))?.sqr()?.affine(-1.0, 1.0)?)?;
        }
        d_qs.push(merge_heads(&d_scores.matmul(&parts.k)?)?.to_dtype(q.dtype())?);
        d_ks.push(grouped(&d_scores.t()?.matmul(&parts.q)?, row.len)?);
        d_vs.push(grouped(&p.t()?.matmul(&d_out)?, row.len)?);
    }
    Ok((Tensor::cat(&d_qs, 0)?, Tensor::cat(&d_ks, 0)?, Tensor::cat(&d_vs, 0)?))
}
