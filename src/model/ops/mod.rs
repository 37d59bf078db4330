//! The numeric operations of the decoder, each with its backward, one a file.
//!
//! The decoder carries its own backward pass (`decoder/backward.rs`), so an operation is a pair of plain functions:
//! `op(inputs) -> output` and `op_backward(inputs, d_output) -> d_inputs`. Nothing is traced, frozen weights never
//! get a gradient tensor, and no operation can cut a gradient silently.
//!
//! Each operation has two bodies: a fused kernel for contiguous f32 tensors in host memory, and a composition of
//! candle operations for every other device and type. Tests hold the two against each other, and both against
//! candle's autograd (`tests/decoder.rs`).

pub mod attention;
pub mod cross_entropy;
#[cfg(feature = "cuda")]
pub(crate) mod cuda;
pub mod divergence;
pub mod dropout;
pub mod elementwise;
pub mod geglu;
pub(crate) mod host;
pub mod linear;
pub mod rms_norm;
pub mod rope;
pub mod swiglu;
