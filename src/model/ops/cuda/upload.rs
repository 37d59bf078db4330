//! Many small arrays of 4-byte numbers to the device in one copy.

use anyhow::Result;
use candle_core::{Device, Tensor};

use super::launch::address;

/// Arrays being gathered.
#[derive(Default)]
pub(crate) struct Upload(Vec<u32>);

/// Where an array begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place(usize);

/// The arrays on the device.
pub(crate) struct Uploaded {
    /// Keeps the memory.
    _tensor: Tensor,
    first: u64,
}

impl Upload {
    /// Adds an array.
    pub(crate) fn add(&mut self, values: impl IntoIterator<Item = u32>) -> Place {
        // Sixteen-byte alignment, so that kernels may read structures.
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        let place = Place(self.0.len());
        self.0.extend(values);
        place
    }

    /// Adds an array of addresses and the like.
    pub(crate) fn add_wide(&mut self, values: impl IntoIterator<Item = u64>) -> Place {
        self.add(values.into_iter().flat_map(|value| [value as u32, (value >> 32) as u32]))
    }

    /// Copies everything.
    pub(crate) fn send(mut self, device: &Device) -> Result<Uploaded> {
        self.0.push(0);
        let count = self.0.len();
        let tensor = Tensor::from_vec(self.0, count, device)?;
        let first = address(&tensor)?;
        Ok(Uploaded { _tensor: tensor, first })
    }
}

impl Uploaded {
    /// Device address of an array.
    pub(crate) fn at(&self, place: Place) -> u64 {
        self.first + 4 * place.0 as u64
    }
}
