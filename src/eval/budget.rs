//! How long a candidate program may run: a multiple of what the item's own reference solution takes on this host, now, so
//! that a slow or busy machine does not change a score.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::program::check_program;
use super::suite::Item;
use crate::sandbox::{CodeOutcome, Limits, Sandbox};

/// Processor time of a candidate, in that of the reference with the interpreter's start (some 20 ms): about two seconds
/// for a function that does next to nothing.
const FACTOR: u32 = 100;
/// What a reference that does almost nothing on a fast host still grants.
const LEAST: Duration = Duration::from_secs(2);
/// A reference that needs more than a hundredth of this belongs in no suite.
const MOST: Duration = Duration::from_mins(2);

/// Budgets by item, each measured once.
#[derive(Debug, Default)]
pub struct Budgets(Mutex<HashMap<String, Duration>>);

impl Budgets {
    /// The limits of a candidate for an item that asks for a program. A reference that fails its own tests is an error:
    /// suite or sandbox is broken, and nothing can be measured.
    pub fn limits(&self, sandbox: &Sandbox, item: &Item) -> Result<Limits> {
        let key = item.content_hash();
        let lock = || self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let known = lock().get(&key).copied();
        let cpu = if let Some(cpu) = known {
            cpu
        } else {
            let cpu = measure(sandbox, item)?;
            lock().insert(key, cpu);
            cpu
        };
        Ok(within(cpu))
    }
}

fn within(cpu: Duration) -> Limits {
    // Waiting is not working: time on the clock is generous, for a host with more to do.
    Limits { cpu, wall: Duration::from_secs(10) + 4 * cpu, ..Limits::default() }
}

fn measure(sandbox: &Sandbox, item: &Item) -> Result<Duration> {
    let program = item.program().with_context(|| format!("item {} asks for no program", item.id))?;
    let checked = check_program(sandbox, program, program.reference, &within(MOST))?;
    ensure!(
        checked.outcome == CodeOutcome::Passed,
        "the reference solution of {} does not pass its own tests: {:?} {}",
        item.id,
        checked.outcome,
        checked.detail
    );
    Ok((FACTOR * checked.cpu).clamp(LEAST, MOST))
}
