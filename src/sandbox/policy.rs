//! What a sandboxed program may use, what holds it, and how it ended.
//!
//! Plain data without system calls, so that the parent, the child and the report read one definition.
//!
//! Not here: how a limit is enforced (`child` and `process`) and what a code task's result means (`check`).

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How programs are run. Fails closed: a program is only started when every layer is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// The program that is executed as the child and hands its hidden subcommand to [`child_main`](super::child_main).
    pub helper: PathBuf,
    /// Run also where the kernel lacks a layer. What is then in force is for [`Sandbox::effective_layers`] to say, and
    /// for the report to record.
    pub allow_missing_layers: bool,
}

impl Default for Sandbox {
    /// This very program as the child, also when its file is replaced during a long run.
    fn default() -> Self {
        Self { helper: PathBuf::from("/proc/self/exe"), allow_missing_layers: false }
    }
}

/// What one program may use. Every number bounds one process; processes and threads beside it are never allowed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Processor time, the interpreter's own start (10 to 30 ms) included.
    pub cpu: Duration,
    /// Time on the clock, for programs that sleep or wait.
    pub wall: Duration,
    /// Address space. The interpreter itself needs up to 32 MiB of it.
    pub memory_bytes: u64,
    /// Bytes in the private folder: exact for one file, looked at every few milliseconds for all together, those among them
    /// that were removed and are still open or mapped.
    /// With 0 nothing on disk can be written.
    pub file_bytes: u64,
    /// Bytes on standard output and standard error together.
    pub output_bytes: usize,
}

impl Default for Limits {
    /// Enough for a function of an exercise, far too little to disturb the machine.
    fn default() -> Self {
        Self {
            cpu: Duration::from_secs(5),
            wall: Duration::from_secs(20),
            memory_bytes: 512 << 20,
            file_bytes: 1 << 20,
            output_bytes: 64 << 10,
        }
    }
}

/// One independent thing that holds a program. All of them must be in force unless the user waives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layer {
    /// The kernel bounds processor time, address space, file size and open files.
    Rlimits,
    /// No capability is left, also when the user is root.
    NoCapabilities,
    /// Files outside the interpreter and the private folder can be neither opened nor executed.
    Landlock,
    /// Only the system calls that a single-threaded interpreter needs.
    Seccomp,
    /// No socket of any family.
    NoNetwork,
    /// None of the user's environment variables.
    CleanEnvironment,
    /// A process group of its own, which the parent kills as one.
    ProcessGroup,
    /// An own temporary folder with mode 0700 as working directory.
    PrivateFolder,
}

impl Layer {
    /// Every layer, in the order in which reports list them.
    pub const ALL: [Self; 8] = [
        Self::Rlimits,
        Self::NoCapabilities,
        Self::Landlock,
        Self::Seccomp,
        Self::NoNetwork,
        Self::CleanEnvironment,
        Self::ProcessGroup,
        Self::PrivateFolder,
    ];
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rlimits => "rlimits",
            Self::NoCapabilities => "no-capabilities",
            Self::Landlock => "landlock",
            Self::Seccomp => "seccomp",
            Self::NoNetwork => "no-network",
            Self::CleanEnvironment => "clean-environment",
            Self::ProcessGroup => "process-group",
            Self::PrivateFolder => "private-folder",
        })
    }
}

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// By itself, with this exit code.
    Exited(i32),
    /// By this signal, which was not sent for a limit.
    Signalled(i32),
    /// Killed: it used up its processor time.
    CpuLimit,
    /// Killed: it was still there at the deadline.
    WallLimit,
    /// Killed: it printed too much, or left too much in its folder.
    OutputLimit,
}

/// What one program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// What it printed, up to the limit; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// The same of its standard error.
    pub stderr: String,
    /// Processor time, the interpreter's own start included.
    pub cpu: Duration,
    /// Time on the clock.
    pub wall: Duration,
}
