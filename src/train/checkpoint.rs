//! The state of a training run between two steps, in one file: replaced whole or not at all, so that a kill at any
//! moment leaves the last complete one.
//!
//! A run continued from it makes the very updates that the uninterrupted run makes: everything else a step depends on
//! (row order, dropout, learning rate) is a function of the seed and the step.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use anyhow::{Context, Result};
use candle_core::{Device, Tensor};
use safetensors::SafeTensors;

use super::optim::{AdamW, AdamWConfig, Moments};
use crate::files::write_atomic;
use crate::model::lora::{Adapter, Pair};

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

/// Writes adapter, optimizer and position.
pub fn save(path: &Path, adapter: &Adapter, optimizer: &AdamW, position: Position) -> Result<()> {
    let mut tensors: BTreeMap<String, &Tensor> = BTreeMap::new();
    for (site, pair) in &adapter.pairs {
        let moments = optimizer.moments.get(site).with_context(|| format!("{site} has no optimizer state"))?;
        for (half, parameter, moments) in [("A", &pair.a, &moments[0]), ("B", &pair.b, &moments[1])] {
            tensors.insert(format!("{site}.{half}"), parameter);
            tensors.insert(format!("{site}.{half}.m"), &moments.m);
            tensors.insert(format!("{site}.{half}.v"), &moments.v);
        }
    }
    let metadata: HashMap<String, String> =
        [("stage", position.stage), ("step", position.step), ("total_steps", position.total_steps), ("optimizer_steps", optimizer.steps)]
            .map(|(key, value)| (key.to_owned(), value.to_string()))
            .into();
    let bytes = safetensors::serialize(tensors.iter().map(|(name, tensor)| (name.as_str(), *tensor)), Some(metadata))?;
    write_atomic(path, &bytes)
}

/// Steps that a checkpoint has done; 0 where there is none.
pub fn steps_done(path: &Path) -> Result<usize> {
    if !path.exists() {
        return Ok(0);
    }
    let bytes = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(read_position(&bytes, path)?.0.total_steps)
}

/// Position and optimizer steps in the header of a checkpoint.
fn read_position(bytes: &[u8], path: &Path) -> Result<(Position, usize)> {
    let context = || format!("{} is not a checkpoint of this run: delete it to start the variant again", path.display());
    let (_, header) = SafeTensors::read_metadata(bytes).with_context(context)?;
    let metadata = header.metadata().clone().unwrap_or_default();
    let number = |key: &str| -> Result<usize> { metadata.get(key).and_then(|v| v.parse().ok()).with_context(context) };
    let position = Position { stage: number("stage")?, step: number("step")?, total_steps: number("total_steps")? };
    Ok((position, number("optimizer_steps")?))
}

/// Reads what [`save`] wrote, into an adapter of the same shape.
pub fn load(path: &Path, adapter: &mut Adapter, config: &AdamWConfig, device: &Device) -> Result<(AdamW, Position)> {
    let context = || format!("{} is not a checkpoint of this run: delete it to start the variant again", path.display());
    let bytes = std::fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    let (position, optimizer_steps) = read_position(&bytes, path)?;
    let mut tensors = candle_core::safetensors::load_buffer(&bytes, device).with_context(context)?;
    let mut take = |name: String| tensors.remove(&name).with_context(context);
    let mut optimizer = AdamW::new(adapter, config.clone())?;
    optimizer.steps = optimizer_steps;
    for (site, pair) in &mut adapter.pairs {
        *pair = Pair { a: take(format!("{site}.A"))?, b: take(format!("{site}.B"))? };
        let mut moments =
            |half: &str| -> Result<Moments> { Ok(Moments { m: take(format!("{site}.{half}.m"))?, v: take(format!("{site}.{half}.v"))? }) };
        optimizer.moments.insert(*site, [moments("A")?, moments("B")?]);
    }
    Ok((optimizer, position))
}
