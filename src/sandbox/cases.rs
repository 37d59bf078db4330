//! Cases of a code task beyond those that its author wrote down: seeded inputs, each with what the reference makes of it.
//!
//! The reference runs in a sandboxed process of its own, once per task, and the candidate's process is only ever given the
//! inputs. So a program that is right on the written tests alone is found out without an author who foresaw it.
//!
//! Reference: W. McKeeman, "Differential Testing for Software", Digital Technical Journal 10 (1998).

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::policy::{Ending, Limits, Sandbox};

/// How many inputs are drawn beside the edges.
pub const DRAWN: usize = 200;

/// Where the inputs of a code task come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    /// Python that makes one tuple of arguments of the draws `g`: an expression, or the function `draw(g)`. See `oracle.py`.
    pub draw: String,
    /// Arguments that are always among the inputs, each as it stands between the parentheses of a call.
    pub edges: Vec<String>,
    /// Whether 1 and 1.0 are the same answer. Else they are not, and a bool is never a number.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loose: bool,
}

/// Inputs and what is right of each, as they cross to the process that judges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cases {
    /// A JSON list of rows of arguments.
    pub(super) rows: String,
    /// A JSON list of the reference's answers, as frames of the wire.
    pub(super) answers: String,
    /// See [`Inputs::loose`].
    pub(super) loose: bool,
}

impl Cases {
    /// Draws the inputs and asks the reference. An error means that the task is broken.
    pub fn draw(sandbox: &Sandbox, entry_point: &str, setup: &str, reference: &str, inputs: &Inputs, seed: u64) -> Result<Self> {
        let task = serde_json::to_string(&(entry_point, setup, reference, &inputs.draw, &inputs.edges, seed, DRAWN))?;
        // A JSON text is also a Python one.
        let program = format!(
            "{}\n\n{}\n\nmain({})\nos._exit(0)\n",
            include_str!("wire.py"),
            include_str!("oracle.py"),
            serde_json::to_string(&task)?
        );
        let limits = Limits { cpu: Duration::from_secs(30), wall: Duration::from_mins(3), output_bytes: 8 << 20, ..Limits::default() };
        let end = sandbox.run(&program, &limits)?;
        let mut lines = end.stdout.lines();
        let first = lines.next().unwrap_or_default();
        if let Some(fault) = first.strip_prefix('!') {
            bail!("the inputs of {entry_point} are broken: {fault}");
        }
        ensure!(end.ending == Ending::Exited(0), "the inputs of {entry_point} could not be drawn: {:?} {}", end.ending, end.stderr);
        let answers = lines.next().with_context(|| format!("the inputs of {entry_point} were drawn, but not answered"))?;
        Ok(Self { rows: first.to_owned(), answers: answers.to_owned(), loose: inputs.loose })
    }
}
