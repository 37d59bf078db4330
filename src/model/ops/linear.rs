//! A frozen linear layer with an optional trainable low-rank update.
//!
//! `y = x Wᵀ + b + s · dropout(x) Aᵀ Bᵀ` with W [out, in] frozen, A [rank, in], B [out, rank] (Hu et al. 2021, "LoRA",
//! in the form of PEFT: scale s = alpha / rank, dropout on the update's input only). The backward gives the gradients
//! of x, A and B; the frozen weight and bias get none.

use std::ops::Range;

use anyhow::Result;
use candle_core::{CpuStorage, DType, InplaceOp3, Layout, Tensor};

use super::{elementwise, host};
use crate::model::ops::dropout::DropoutMask;

/// A frozen weight and bias.
///
/// On the host the weight is kept transposed, [in, out]: with few tokens, as in decoding, the matrix product then streams
/// it as it lies instead of repacking it, which is up to four times faster, and with many tokens it costs nothing. On a
/// GPU it is kept as checkpoints hold it, [out, in], so that linears of one input can be joined row after row.
#[derive(Debug, Clone)]
pub struct Linear {
    weight: Tensor,
    /// The weight is [in, out].
    transposed: bool,
    /// `[out]`
    bias: Option<Tensor>,
}

/// A trainable pair and its scale. Both f32; views of an adapter's tensors.
#[derive(Debug, Clone)]
pub struct LowRank {
    /// [rank, in]
    pub a: Tensor,
    /// [out, rank]
    pub b: Tensor,
    /// alpha / rank
    pub scale: f64,
}

/// A pair and the tokens of a batch that it applies to.
#[derive(Debug, Clone)]
pub struct Update<'a> {
    /// Index of the pair's adapter in the adapter set.
    pub adapter: usize,
    /// Tokens of the rows that go through it.
    pub tokens: Range<usize>,
    /// The pair.
    pub low_rank: &'a LowRank,
}

/// Gradients of a pair.
#[derive(Debug, Clone)]
pub struct LowRankGradient {
    /// [rank, in]
    pub a: Tensor,
    /// [out, rank]
    pub b: Tensor,
}

impl Linear {
    /// From a weight [out, in] as checkpoints hold it.
    pub fn new(weight: &Tensor, bias: Option<Tensor>) -> Result<Self> {
        let transposed = weight.device().is_cpu();
        let weight = if transposed { weight.t()?.contiguous()? } else { weight.clone() };
        Ok(Self { weight, transposed, bias })
    }

    /// The weight as [in, out].
    fn columns(&self) -> Result<Tensor> {
        Ok(if self.transposed { self.weight.clone() } else { self.weight.t()? })
    }

    /// The weight [out, in] as it lies on a GPU.
    #[cfg(feature = "cuda")]
    pub(crate) fn rows(&self) -> Result<&Tensor> {
        anyhow::ensure!(!self.transposed, "the weight of a linear on the host was asked for by a kernel");
        Ok(&self.weight)
    }

    /// The layer with an update folded into its weight: the same function up to rounding, at the plain layer's cost.
    pub fn merged(&self, update: &LowRank) -> Result<Self> {
        let delta = (update.a.t()?.matmul(&update.b.t()?)? * update.scale)?;
        let delta = if self.transposed { delta } else { delta.t()?.contiguous()? };
        let wide = (self.weight.to_dtype(DType::F32)? + delta)?;
        Ok(Self { weight: wide.to_dtype(self.weight.dtype())?, transposed: self.transposed, bias: self.bias.clone() })
    }

    /// `x`: [tokens, in]. Returns [tokens, out].
    pub fn forward(&self, x: &Tensor, updates: &[Update<'_>], mask: Option<&DropoutMask>) -> Result<Tensor> {
        let mut y = x.matmul(&self.columns()?)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        for Update { tokens, low_rank, .. } in updates {
            let reduced = dropped(x, mask, tokens)?.matmul(&low_rank.a.t()?)?;
            y = add_product(y, tokens, &reduced, &low_rank.b.t()?, low_rank.scale)?;
        }
        Ok(y)
    }

    /// Given `d_y` [tokens, out]: the gradient of `x`, and of each update's pair.
    pub fn backward(
        &self,
        x: &Tensor,
        updates: &[Update<'_>],
        mask: Option<&DropoutMask>,
        d_y: &Tensor,
    ) -> Result<(Tensor, Vec<LowRankGradient>)> {
        let mut d_x = d_y.matmul(&self.columns()?.t()?)?;
        let mut gradients = Vec::new();
        for Update { tokens, low_rank, .. } in updates {
            let input = dropped(x, mask, tokens)?;
            let wide = d_y.narrow(0, tokens.start, tokens.len())?.to_dtype(DType::F32)?;
            let reduced = input.matmul(&low_rank.a.t()?)?;
            let b = elementwise::scale(&wide.t()?.matmul(&reduced)?, low_rank.scale)?;
            let d_reduced = elementwise::scale(&wide.matmul(&low_rank.b)?, low_rank.scale)?;
            let a = d_reduced.t()?.matmul(&input)?;
            d_x = match mask {
                None => add_product(d_x, tokens, &d_reduced, &low_rank.a, 1.0)?,
                Some(mask) => {
                    let through = mask.apply(&d_reduced.matmul(&low_rank.a)?, tokens)?;
                    replaced(&d_x, tokens, |d_x| elementwise::add(d_x, &through))?
                }
            };
            gradients.push(LowRankGradient { a, b });
        }
        Ok((d_x, gradients))
    }
}

/// The update's input: f32, with dropout where there is a mask.
fn dropped(x: &Tensor, mask: Option<&DropoutMask>, tokens: &Range<usize>) -> Result<Tensor> {
    let x = x.narrow(0, tokens.start, tokens.len())?.to_dtype(DType::F32)?;
    mask.map_or(Ok(x.clone()), |mask| mask.apply(&x, tokens))
}

/// `y` with some of its rows replaced by what `f` makes of them in f32.
fn replaced(y: &Tensor, rows: &Range<usize>, f: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
    let part = f(&y.narrow(0, rows.start, rows.len())?.to_dtype(DType::F32)?)?.to_dtype(y.dtype())?;
    let after = y.dim(0)? - rows.end;
    let mut parts = Vec::new();
    if rows.start > 0 {
        parts.push(y.narrow(0, 0, rows.start)?);
    }
    parts.push(part);
    if after > 0 {
        parts.push(y.narrow(0, rows.end, after)?);
    }
    if parts.len() == 1 {
        return Ok(parts.remove(0));
    }
    Ok(Tensor::cat(&parts, 0)?)
}

/// `scale * left right` added to the given rows of y, with `left` [rows, rank] and `right` [rank, out], in the type of y.
fn add_product(y: Tensor, rows: &Range<usize>, left: &Tensor, right: &Tensor, scale: f64) -> Result<Tensor> {
    let right = right.contiguous()?;
    if host::applies(&y) && host::applies(left) && host::applies(&right) {
        // A view of y's own memory.
        y.narrow(0, rows.start, rows.len())?.inplace_op3(left, &right, &AddProduct { scale: scale as f32 })?;
        return Ok(y);
    }
    let delta = (left.matmul(&right)? * scale)?;
    replaced(&y, rows, |y| Ok((y + delta)?))
}

/// The rank is so small that a general matrix product spends its time on writing and re-reading the result; adding the
/// few rows in place reads and writes y once.
struct AddProduct {
    scale: f32,
}

impl InplaceOp3 for AddProduct {
    fn name(&self) -> &'static str {
        "add-low-rank-product"
    }

    fn cpu_fwd(
        &self,
        y: &mut CpuStorage,
        y_layout: &Layout,
        left: &CpuStorage,
        left_layout: &Layout,
        right: &CpuStorage,
        right_layout: &Layout,
    ) -> candle_core::Result<()> {
        let (CpuStorage::F32(y), CpuStorage::F32(left), CpuStorage::F32(right)) = (y, left, right) else {
            candle_core::bail!("add-low-rank-product needs f32 tensors");
        };
        let (Some((y0, y1)), Some((left0, _)), Some((right0, _))) =
            (y_layout.contiguous_offsets(), left_layout.contiguous_offsets(), right_layout.contiguous_offsets())
        else {
            candle_core::bail!("add-low-rank-product needs contiguous tensors");
        };
        let (_, width) = y_layout.shape().dims2()?;
        let (_, rank) = left_layout.shape().dims2()?;
        let (left, right) = (&left[left0..], &right[right0..]);
        host::for_each_row(
            &mut y[y0..y1],
            width,
            #[inline(always)]
            |row, y| {
                let left = &left[row * rank..][..rank];
                for (factor, right) in left.iter().zip(right.chunks_exact(width)) {
                    host::axpy(self.scale * factor, right, y);
                }
            },
        );
        Ok(())
    }
}
