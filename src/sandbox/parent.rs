//! The front door: run one program, or the two processes of a code task, in the sandbox.
//!
//! Calls block until the processes are gone and may come from many threads at once; nothing is shared between them
//! but the interpreter's location.

use std::process::Stdio;

use anyhow::{Context, Result};

use super::interpreter::bytecode;
use super::policy::{Limits, Outcome, Sandbox};
pub(super) use super::process::Finished;
use super::process::{Process, supervise};

impl Sandbox {
    /// Runs a Python program without input and waits for its end.
    pub fn run(&self, program: &str, limits: &Limits) -> Result<Outcome> {
        let files = [("program.py", program.as_bytes())];
        let process = Process::start(self, limits, &files, "program.py", [Stdio::null(), Stdio::piped()])?;
        let [Finished { ending, stdout, stderr, cpu, wall }] = supervise([process])?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes[..bytes.len().min(limits.output_bytes)]).into_owned();
        Ok(Outcome { ending, stdout: text(stdout), stderr: text(stderr), cpu, wall })
    }

    /// The bytecode of a script of ours, for the Python that runs here.
    #[expect(clippy::unused_self, reason = "the front door of the interpreter")]
    pub(super) fn compile(&self, script: &str) -> Result<Vec<u8>> {
        bytecode(script)
    }

    /// Runs two scripts whose standard inputs and outputs are connected crosswise. When the second ends, the first,
    /// which only serves it, is killed.
    pub(super) fn run_pair(&self, [server, client]: [Job; 2]) -> Result<[Finished; 2]> {
        let (server_stdin, client_stdout) = std::io::pipe().context("failed to create a pipe")?;
        let (client_stdin, server_stdout) = std::io::pipe().context("failed to create a pipe")?;
        let start = |job: &Job, ends| Process::start(self, &job.limits, &job.files, job.script, ends);
        let server = start(&server, [server_stdin.into(), server_stdout.into()])?;
        let client = start(&client, [client_stdin.into(), client_stdout.into()])?;
        supervise([server, client])
    }
}

/// One script with its files and limits.
pub(super) struct Job<'a> {
    pub(super) script: &'a str,
    pub(super) files: Vec<(&'a str, &'a [u8])>,
    pub(super) limits: Limits,
}
