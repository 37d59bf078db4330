//! A frozen linear layer with an optional trainable low-rank update.
//!
//! `y = x Wᵀ + b + s · dropout(x) Aᵀ Bᵀ` with W [out, in] frozen, A [rank, in], B [out, rank] (Hu et al. 2021, "LoRA",
//! in the form of PEFT: scale s = alpha / rank, dropout on the update's input only). The backward gives the gradients
//! of x, A and B; the frozen weight and bias get none.

use anyhow::Result;
use candle_core::{CpuStorage, DType, InplaceOp3, Layout, Tensor};

use super::{elementwise, host};
use crate::model::dropout::DropoutMask;

/// A frozen weight and bias.
///
/// The weight is kept transposed, [in, out]: with few tokens, as in decoding, the host's matrix product then streams
/// it as it lies instead of repacking it, which is up to four times faster, and with many tokens it costs nothing.
#[derive(Debug, Clone)]
pub struct Linear {
    /// [in, out], contiguous.
    transposed: Tensor,
    /// `[out]`
    bias: Option<Tensor>,
}

/// A trainable pair and its scale. Both f32.
#[derive(Debug, Clone)]
pub struct LowRank<'a> {
    /// [rank, in]
    pub a: &'a Tensor,
    /// [out, rank]
    pub b: &'a Tensor,
    /// alpha / rank
    pub scale: f64,
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
        Ok(Self { transposed: weight.t()?.contiguous()?, bias })
    }

    /// The layer with an update folded into its weight: the same function up to rounding, at the plain layer's cost.
    pub fn merged(&self, update: &LowRank<'_>) -> Result<Self> {
        let delta = (update.a.t()?.matmul(&update.b.t()?)? * update.scale)?;
        let wide = (self.transposed.to_dtype(DType::F32)? + delta)?;
        Ok(Self { transposed: wide.to_dtype(self.transposed.dtype())?, bias: self.bias.clone() })
    }

    /// `x`: [tokens, in]. Returns [tokens, out].
    pub fn forward(&self, x: &Tensor, update: Option<&LowRank<'_>>, mask: Option<&DropoutMask>) -> Result<Tensor> {
        let mut y = x.matmul(&self.transposed)?;
        if let Some(bias) = &self.bias {
            y = y.broadcast_add(bias)?;
        }
        let Some(update) = update else { return Ok(y) };
        let reduced = dropped(x, mask)?.matmul(&update.a.t()?)?;
        add_product(y, &reduced, &update.b.t()?, update.scale)
    }

    /// Given `d_y` [tokens, out]: the gradient of `x`, and of the pair where there is one.
    pub fn backward(
        &self,
        x: &Tensor,
        update: Option<&LowRank<'_>>,
        mask: Option<&DropoutMask>,
        d_y: &Tensor,
    ) -> Result<(Tensor, Option<LowRankGradient>)> {
        let d_x = d_y.matmul(&self.transposed.t()?)?;
        let Some(update) = update else { return Ok((d_x, None)) };
        let input = dropped(x, mask)?;
        let wide = d_y.to_dtype(DType::F32)?;
        let reduced = input.matmul(&update.a.t()?)?;
        let b = elementwise::scale(&wide.t()?.matmul(&reduced)?, update.scale)?;
        let d_reduced = elementwise::scale(&wide.matmul(update.b)?, update.scale)?;
        let a = d_reduced.t()?.matmul(&input)?;
        let d_x = match mask {
            None => add_product(d_x, &d_reduced, update.a, 1.0)?,
            Some(mask) => {
                let through = mask.apply(&d_reduced.matmul(update.a)?)?;
                elementwise::add(&d_x.to_dtype(DType::F32)?, &through)?.to_dtype(x.dtype())?
            }
        };
        Ok((d_x, Some(LowRankGradient { a, b })))
    }
}

/// The update's input: f32, with dropout where there is a mask.
fn dropped(x: &Tensor, mask: Option<&DropoutMask>) -> Result<Tensor> {
    let x = x.to_dtype(DType::F32)?;
    mask.map_or(Ok(x.clone()), |mask| mask.apply(&x))
}

/// `y + scale * left right`, with `left` [tokens, rank] and `right` [rank, out], in the type of y.
fn add_product(y: Tensor, left: &Tensor, right: &Tensor, scale: f64) -> Result<Tensor> {
    let right = right.contiguous()?;
    if host::applies(&y) && host::applies(left) && host::applies(&right) {
        y.inplace_op3(left, &right, &AddProduct { scale: scale as f32 })?;
        return Ok(y);
    }
    let delta = (left.matmul(&right)? * scale)?;
    Ok((y.to_dtype(DType::F32)? + delta)?.to_dtype(y.dtype())?)
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
