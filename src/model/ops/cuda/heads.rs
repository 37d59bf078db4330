//! Kernels of `heads.cu`: queries, keys and values after their joint projection.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use super::launch::{Call, Module, cuda, module};
use super::upload::Upload;
use crate::model::ops::attention::Heads;
use crate::model::ops::rope::{RopeTable, Turn};

const HEADS: Module = module!("heads");

/// Where a layer's keys and values go.
pub(crate) struct Pages<'a> {
    pub(crate) keys: &'a Tensor,
    pub(crate) values: &'a Tensor,
    /// Address of one slot a token, u32.
    pub(crate) slots: u64,
}

/// Adds biases, turns queries and keys by their positions, and copies keys and values into pages, in place.
/// `qkv`: [tokens, (queries + 2 keys) * size]; `positions`: address of one u32 a token.
pub(crate) fn finish(
    qkv: &Tensor,
    bias: Option<&Tensor>,
    rope: &RopeTable,
    positions: u64,
    heads: Heads,
    turn: Turn,
    pages: Option<&Pages<'_>>,
) -> Result<()> {
    let (tokens, width) = qkv.dims2()?;
    ensure!(width == (heads.queries + 2 * heads.keys) * heads.size, "{width} columns for {heads:?}");
    let (cos, sin) = rope.tables();
    let call = Call::typed(HEADS, "finish_heads", qkv)?.tensor(qkv)?.optional(bias)?.tensor(cos)?.tensor(sin)?.address(positions);
    let call = call.int(heads.queries)?.int(heads.keys)?.int(heads.size)?.float(if turn == Turn::Forward { 1.0 } else { -1.0 });
    let call = match pages {
        None => call.address(0).address(0).address(0),
        Some(pages) => {
            ensure!(pages.keys.dtype() == qkv.dtype(), "pages of another type than their keys");
            call.tensor(pages.keys)?.tensor(pages.values)?.address(pages.slots)
        }
    };
    call.launch((tokens, 1, 1), 512)
}

/// Copies pages `from` to pages `to` in every layer.
pub(crate) fn copy_pages(layers: &[(Tensor, Tensor)], from: &[u32], to: &[u32]) -> Result<()> {
    let Some((first, _)) = layers.first() else { return Ok(()) };
    ensure!(from.len() == to.len(), "{} pages copied to {}", from.len(), to.len());
    let mut upload = Upload::default();
    let (from_at, to_at) = (upload.add(from.iter().copied()), upload.add(to.iter().copied()));
    let uploaded = upload.send(first.device())?;
    cuda(first.device())?;
    for (keys, values) in layers {
        let (_, width) = keys.dims2()?;
        let call = Call::typed(HEADS, "copy_pages", keys)?.tensor(keys)?.tensor(values)?;
        call.address(uploaded.at(from_at)).address(uploaded.at(to_at)).int(width)?.launch((from.len(), 1, 1), 256)?;
    }
    Ok(())
}
