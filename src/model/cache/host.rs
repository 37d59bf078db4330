//! The cache in host memory: a vector a layer and row, which grows with the row.

use anyhow::{Result, ensure};
use candle_core::Tensor;

use crate::model::ops::attention::{AttentionOutput, Heads, KeysValues, Segment, attention_host};
use crate::model::ops::host;

/// Per layer and row, token-major keys and values.
#[derive(Debug, Clone, Default)]
pub(super) struct HostCache {
    layers: Vec<Vec<Row>>,
}

#[derive(Debug, Clone, Default)]
struct Row {
    keys: Vec<f32>,
    values: Vec<f32>,
}

impl HostCache {
    /// No rows, for so many layers.
    pub(super) fn new(layers: usize) -> Self {
        Self { layers: vec![Vec::new(); layers] }
    }

    /// Adds an empty row.
    pub(super) fn add_row(&mut self) {
        for layer in &mut self.layers {
            layer.push(Row::default());
        }
    }

    /// A cache without rows of the same model.
    pub(super) fn empty(&self) -> Self {
        Self::new(self.layers.len())
    }

    /// Keeps the rows at the given indices, in that order.
    pub(super) fn keep(&mut self, rows: &[usize]) {
        for layer in &mut self.layers {
            *layer = rows.iter().map(|row| std::mem::take(&mut layer[*row])).collect();
        }
    }

    /// A cache of copies of the rows at the given indices, each as often as it is named.
    pub(super) fn copy(&self, rows: &[usize]) -> Self {
        Self { layers: self.layers.iter().map(|layer| rows.iter().map(|row| layer[*row].clone()).collect()).collect() }
    }

    /// Adds the rows of another cache of the same model behind its own.
    pub(super) fn append(&mut self, other: Self) {
        for (layer, more) in self.layers.iter_mut().zip(other.layers) {
            layer.extend(more);
        }
    }

    /// Appends the batch's keys and values to its rows and attends to everything seen so far.
    pub(super) fn attend(
        &mut self,
        layer: usize,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        heads: Heads,
        rows: &[Segment],
    ) -> Result<AttentionOutput> {
        let cached = &mut self.layers[layer];
        ensure!(cached.len() == rows.len(), "a cache of {} rows given a batch of {}", cached.len(), rows.len());
        let width = heads.keys * heads.size;
        // The cache lives in host memory; on other devices this copies each step's keys, values and queries.
        let on_host =
            |x: &Tensor| -> Result<Tensor> { Ok(x.to_device(&candle_core::Device::Cpu)?.to_dtype(candle_core::DType::F32)?.contiguous()?) };
        let (host_q, host_k, host_v) = (on_host(q)?, on_host(k)?, on_host(v)?);
        {
            let (k, v) = (host::slice(&host_k)?, host::slice(&host_v)?);
            for (row, cached) in rows.iter().zip(cached.iter_mut()) {
                let range = row.start * width..(row.start + row.len) * width;
                cached.keys.extend_from_slice(&k[range.clone()]);
                cached.values.extend_from_slice(&v[range]);
            }
        }
        let seen: Vec<KeysValues<'_>> = rows
            .iter()
            .zip(cached.iter())
            .map(|(row, cached)| KeysValues { keys: &cached.keys, values: &cached.values, past: cached.keys.len() / width - row.len })
            .collect();
        let attended = attention_host(&host_q, &seen, heads, rows)?;
        Ok(AttentionOutput { out: attended.out.to_device(q.device())?.to_dtype(q.dtype())?, log_sum_exp: attended.log_sum_exp })
    }
}
