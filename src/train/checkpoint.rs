//! The state of all adapters that are trained together, between two steps, in one file: replaced whole or not at all, so that
//! a kill at any moment leaves the last complete one and none is ever ahead of another.
//!
//! A run continued from it makes the very updates that the uninterrupted run makes: everything else a step depends on
//! (row order, dropout, learning rate) is a function of the seed and the step.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::optim::{AdamW, AdamWConfig, Moments};
use crate::error::Invalid;
use crate::files::{self, write_atomic};
use crate::model::lora::{Adapter, LoraPair};

/// Position in the stages of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Stage in progress, from 0.
    pub stage: usize,
    /// Steps of it that are done.
    pub step: usize,
    /// Steps of all stages that are done.
    pub total_steps: usize,
}

/// One adapter's part of the state.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Whose it is: the cell's name.
    pub name: &'a str,
    /// The adapter as it is now.
    pub adapter: &'a Adapter,
    /// Its optimizer.
    pub optimizer: &'a AdamW,
    /// Where it is.
    pub position: Position,
}

/// Writes adapters, optimizers and positions.
pub fn save(path: &Path, states: &[State<'_>]) -> Result<()> {
    let mut tensors: BTreeMap<String, &Tensor> = BTreeMap::new();
    let mut metadata = HashMap::new();
    for State { name, adapter, optimizer, position } in states {
        for (site, pair) in &adapter.pairs {
            let moments = optimizer.moments.get(site).with_context(|| format!("{site} has no optimizer state"))?;
            for (half, parameter, moments) in [("A", &pair.a, &moments[0]), ("B", &pair.b, &moments[1])] {
                tensors.insert(format!("{name}/{site}.{half}"), parameter);
                tensors.insert(format!("{name}/{site}.{half}.m"), &moments.m);
                tensors.insert(format!("{name}/{site}.{half}.v"), &moments.v);
            }
        }
        let numbers = [position.stage, position.step, position.total_steps, optimizer.steps];
        metadata.insert((*name).to_owned(), numbers.map(|number| number.to_string()).join(" "));
    }
    let bytes = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), *tensor)), Some(metadata))?;
    write_atomic(path, &bytes)
}

/// A checkpoint that was read.
pub struct Checkpoint {
    tensors: HashMap<String, Tensor>,
    /// Position and optimizer steps by name.
    positions: BTreeMap<String, (Position, usize)>,
    context: String,
}

impl Checkpoint {
    /// Reads what [`save`] wrote; None where there is none.
    pub fn read(path: &Path, device: &Device) -> Result<Option<Self>> {
        if !path.exists() {
            return Ok(None);
        }
        let context = format!("{} is not a checkpoint of this run: delete it, and training begins again", path.display());
        let bytes = files::read(path, u64::MAX - 1)?;
        let (_, header) = SafeTensors::read_metadata(&bytes).with_context(|| context.clone())?;
        let mut positions = BTreeMap::new();
        for (name, numbers) in header.metadata().clone().unwrap_or_default() {
            let numbers: Option<Vec<usize>> = numbers.split(' ').map(|number| number.parse().ok()).collect();
            let Some([stage, step, total_steps, optimizer_steps]) = numbers.as_deref() else { return Err(Invalid(context).into()) };
            positions.insert(name, (Position { stage: *stage, step: *step, total_steps: *total_steps }, *optimizer_steps));
        }
        let tensors = candle_core::safetensors::load_buffer(&bytes, device).with_context(|| context.clone())?;
        Ok(Some(Self { tensors, positions, context }))
    }

    /// Whether it is of exactly these.
    pub fn is_of<'n>(&self, mut names: impl ExactSizeIterator<Item = &'n str>) -> bool {
        names.len() == self.positions.len() && names.all(|name| self.positions.contains_key(name))
    }

    /// Steps that one of them had done; 0 for a stranger.
    pub fn steps_done(&self, name: &str) -> usize {
        self.positions.get(name).map_or(0, |(position, _)| position.total_steps)
    }

    /// Puts one's state into an adapter of the same shape; gives its optimizer and position.
    pub fn restore(&mut self, name: &str, adapter: &mut Adapter, config: &AdamWConfig) -> Result<(AdamW, Position)> {
        let (position, optimizer_steps) = *self.positions.get(name).with_context(|| self.context.clone())?;
        let mut take = |tensor: String| self.tensors.remove(&format!("{name}/{tensor}")).with_context(|| self.context.clone());
        let mut optimizer = AdamW::new(adapter, config.clone())?;
        optimizer.steps = optimizer_steps;
        for (site, pair) in &mut adapter.pairs {
            let (a, b) = (take(format!("{site}.A"))?, take(format!("{site}.B"))?);
            ensure!(a.dims() == pair.a.dims() && b.dims() == pair.b.dims(), "{}", self.context);
            *pair = LoraPair { a, b };
            let mut moments = |half: &str| -> Result<Moments> {
                Ok(Moments { m: take(format!("{site}.{half}.m"))?, v: take(format!("{site}.{half}.v"))? })
            };
            optimizer.moments.insert(*site, [moments("A")?, moments("B")?]);
        }
        Ok((optimizer, position))
    }
}
