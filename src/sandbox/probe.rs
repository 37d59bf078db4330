//! Which layers really hold here: a program tries what each of them forbids.
//!
//! A kernel or container may accept a restriction and not enforce it, so the report prints what was tried, not what was
//! asked for.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};

use super::folder::PrivateFolder;
use super::policy::{Layer, Limits, Outcome, Sandbox};

impl Sandbox {
    /// The layers that hold, by trial. An error names those that do not, unless missing layers are allowed.
    pub fn effective_layers(&self) -> Result<Vec<Layer>> {
        let limits = Limits::default();
        let outside = PrivateFolder::create(&[])?;
        let task = (outside.path().join("escaped"), super::child::ENVIRONMENT, limits.memory_bytes);
        // JSON twice: the string literal of JSON is also one of Python.
        let task = serde_json::to_string(&serde_json::to_string(&task)?)?;
        let Outcome { ending, stdout, stderr, .. } = self.run(&format!("TASK = {task}\n{}", include_str!("probe.py")), &limits)?;
        let held: BTreeMap<String, bool> = serde_json::from_str(&stdout)
            .with_context(|| format!("the probe did not report what holds ({ending:?}): {}", stderr.trim()))?;
        let holds = |layer: &Layer| held.get(&layer.to_string()).copied().unwrap_or(false);
        let (effective, missing): (Vec<_>, Vec<_>) = Layer::ALL.into_iter().partition(holds);
        let names: Vec<String> = missing.iter().map(Layer::to_string).collect();
        ensure!(self.allow_missing_layers || missing.is_empty(), "the sandbox does not hold here: {}", names.join(", "));
        Ok(effective)
    }
}
