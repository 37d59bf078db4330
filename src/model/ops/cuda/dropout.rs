//! The kernel of `dropout.cu`: the host's dropout masks, as bits.

use anyhow::Result;
use candle_core::{DType, Device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::launch::{Call, Module as Kernels, cuda, module, unset};
use super::lowrank::DropoutBits;
use super::upload::{Place, Upload, Uploaded};
use crate::model::ops::attention::Segment;
use crate::model::ops::dropout::Dropout;
use crate::model::site::{Module, Site};
use crate::model::spec::Spec;

const DROPOUT: Kernels = module!("dropout");

/// What the masks of a pass depend on, uploaded once for all layers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DropoutPlaces {
    row_of: Place,
    index_in_row: Place,
    keys: Place,
    row_keys: Place,
    threshold: u16,
    keep: f32,
}

impl DropoutPlaces {
    /// None where nothing is dropped.
    pub(crate) fn new(dropout: &Dropout, rows: &[Segment], upload: &mut Upload) -> Option<Self> {
        if dropout.rate <= 0.0 {
            return None;
        }
        let keys = dropout.rows.iter().flat_map(|key| {
            // The crate expands a seed to the eight words of ChaCha's key.
            let seed = ChaCha8Rng::seed_from_u64(key.seed).get_seed();
            let words: Vec<u32> = seed.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
            words
        });
        Some(Self {
            row_of: upload.add(rows.iter().enumerate().flat_map(|(i, row)| std::iter::repeat_n(i as u32, row.len))),
            index_in_row: upload.add(rows.iter().flat_map(|row| 0..row.len as u32)),
            keys: upload.add(keys),
            row_keys: upload.add(dropout.rows.iter().map(|key| key.row as u32)),
            threshold: dropout.threshold(),
            keep: dropout.keep(),
        })
    }

    /// The bits of one layer.
    pub(crate) fn bits(&self, uploaded: &Uploaded, spec: &Spec, layer: usize, tokens: usize, device: &Device) -> Result<DropoutBits> {
        let mut starts = [0; 7];
        let mut total = 0;
        let widths = Module::ALL.map(|module| module.widths(spec).0);
        for (start, width) in starts.iter_mut().zip(widths) {
            *start = total;
            total += tokens * width.div_ceil(32);
        }
        let sites = Module::ALL.map(|module| Site { layer, module: spec.held_as(module) }.index() as u32);
        let bits = unset(total, DType::U32, device)?;
        let widest = widths.into_iter().max().unwrap_or(0);
        let call = Call::new(DROPOUT, "dropout_bits", cuda(device)?)?.tensor(&bits)?.words(words(sites, widths, starts));
        let call = call.address(uploaded.at(self.row_of)).address(uploaded.at(self.index_in_row));
        let call = call.address(uploaded.at(self.keys)).address(uploaded.at(self.row_keys)).int(usize::from(self.threshold))?;
        call.launch((widest.div_ceil(32 * 64), tokens, Module::ALL.len()), 64)?;
        Ok(DropoutBits { bits, starts, keep: self.keep })
    }
}

/// The kernel's `Sites`: seven sites and seven widths of 4 bytes, seven places of 8.
fn words(sites: [u32; 7], widths: [usize; 7], starts: [usize; 7]) -> Vec<u64> {
    let small: Vec<u32> = sites.into_iter().chain(widths.map(|width| width as u32)).collect();
    let pairs = small.as_chunks::<2>().0.iter().map(|[low, high]| u64::from(*low) | u64::from(*high) << 32);
    pairs.chain(starts.map(|start| start as u64)).collect()
}
