//! Kernels for NVIDIA GPUs, each the twin of a host operation. Built with `--features cuda`.
//!
//! A kernel is a function of a `.cu` file, compiled to PTX by `build.rs`; the `.rs` file beside it checks shapes, allocates
//! outputs and launches. This is the one place of the crate with unsafe code: a kernel is given raw addresses, so each
//! function here checks that every tensor is contiguous, of the right type and large enough for what its kernel touches.
//! All work is put on candle's stream in order; memory is freed in that order too, so a tensor may be dropped as soon as
//! its kernel is launched.
#![expect(unsafe_code, reason = "launching a kernel on raw device addresses cannot be checked by the compiler")]

pub(crate) mod attention;
pub(crate) mod dropout;
pub(crate) mod head;
pub(crate) mod heads;
mod launch;
pub(crate) mod lowrank;
pub(crate) mod memory;
pub(crate) mod norm;
pub(crate) mod optim;
pub(crate) mod profile;
pub(crate) mod swiglu;
pub(crate) mod upload;

use candle_core::{DType, Tensor};

/// True when the kernels apply: f32 or bf16 on a CUDA device, contiguous.
pub(crate) fn applies(tensor: &Tensor) -> bool {
    tensor.device().is_cuda() && matches!(tensor.dtype(), DType::F32 | DType::BF16) && tensor.is_contiguous()
}
