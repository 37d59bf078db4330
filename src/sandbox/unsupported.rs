//! The front door on systems without Landlock and seccomp: every call fails and names what is missing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};

use super::policy::{Ending, Layer, Limits, Outcome, Sandbox};

const MISSING: &str = "the landlock and seccomp layers exist on Linux only, so no candidate program is run here; \
     use a Linux machine, or leave out the suites that execute code";

impl Sandbox {
    /// Fails.
    pub fn run(&self, _program: &str, _limits: &Limits) -> Result<Outcome> {
        bail!(MISSING)
    }

    /// Fails.
    pub fn effective_layers(&self) -> Result<Vec<Layer>> {
        bail!(MISSING)
    }

    #[expect(clippy::unused_self, reason = "the same signature as on Linux")]
    pub(super) fn compile(&self, _script: &str) -> Result<Vec<u8>> {
        bail!(MISSING)
    }

    #[expect(clippy::unused_self, reason = "the same signature as on Linux")]
    pub(super) fn run_pair(&self, _jobs: [Job; 2]) -> Result<[Finished; 2]> {
        bail!(MISSING)
    }
}

/// Fails.
pub fn child_main() -> ExitCode {
    ExitCode::from(70)
}

#[expect(dead_code, reason = "only the Linux side reads it")]
pub(super) struct Job<'a> {
    pub(super) script: &'a str,
    pub(super) files: Vec<(&'a str, &'a [u8])>,
    pub(super) limits: Limits,
}

pub(super) struct Finished {
    pub(super) ending: Ending,
    pub(super) stderr: Vec<u8>,
    pub(super) cpu: Duration,
}
