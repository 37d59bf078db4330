//! The re-executed, single-threaded child: takes every right away from itself, then becomes the interpreter.
//!
//! The work is done here and not between fork and exec of the parent, where a process with worker threads may only do
//! what a signal handler may; a fresh process has no such trap and needs no `unsafe`.
//!
//! Not covered: names, sizes and times of files stay visible (Landlock guards contents and listings, not `stat`), and
//! the interpreter may be started anew, under everything that is in force here.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use landlock::{
    ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus, Scope,
    path_beneath_rules,
};
use nix::sys::prctl;
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use serde::{Deserialize, Serialize};

use super::interpreter::Interpreter;
use super::policy::{Layer, Limits};
use super::syscalls;

/// The argument that makes the program a sandbox child instead of a command.
pub(super) const SUBCOMMAND: &str = "__sandbox";

/// The first line on standard error once every layer is in force. The program starts after it and cannot forge it.
pub(super) const READY: &[u8] = b"ballast-sandbox: ready\n";

/// Exit code of a child that could not take its rights away, and therefore ran nothing.
const SETUP_FAILED: u8 = 70;

/// What the parent asks of the child: the one argument after the subcommand, as JSON.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Orders {
    pub(super) parent: u32,
    pub(super) folder: PathBuf,
    pub(super) script: String,
    pub(super) interpreter: Interpreter,
    pub(super) limits: Limits,
    pub(super) allow_missing_layers: bool,
}

/// Runs the hidden subcommand: never returns when all goes well, because the process becomes the interpreter.
pub fn child_main() -> ExitCode {
    let failure = read_orders().and_then(|orders| become_interpreter(&orders));
    if let Err(error) = failure {
        let _ = writeln!(io::stderr(), "{error:#}");
    }
    ExitCode::from(SETUP_FAILED)
}

fn read_orders() -> Result<Orders> {
    let text = std::env::args().nth(2).context("this subcommand is internal and takes its orders from the program")?;
    serde_json::from_str(&text).context("the orders are not readable")
}

fn become_interpreter(orders: &Orders) -> Result<()> {
    die_with_parent(orders.parent)?;
    close_inherited_files()?;
    let require = |layer: Layer, result: Result<()>| match result {
        Err(_) if orders.allow_missing_layers => Ok(()),
        result => result.with_context(|| format!("the {layer} layer cannot be put in force")),
    };
    require(Layer::NoCapabilities, drop_capabilities())?;
    require(Layer::Landlock, restrict_files(orders))?;
    let filter = syscalls::filter(std::process::id());
    let mut program = Command::new(&orders.interpreter.executable);
    // Not -I: it would ignore the fixed hash seed, and set order would change from run to run.
    program.args(["-s", "-S", "-B", &orders.script]).env_clear().envs(environment(orders));
    require(Layer::Rlimits, restrict_resources(&orders.limits))?;
    let filtered = filter.and_then(|filter| seccompiler::apply_filter(&filter).context("the kernel refused the filter"));
    require(Layer::Seccomp, filtered)?;
    io::stderr().write_all(READY).context("failed to report readiness")?;
    Err(program.exec()).context("failed to execute the interpreter")
}

/// Without this a killed parent would leave the program running with nobody to watch its deadline.
fn die_with_parent(parent: u32) -> Result<()> {
    prctl::set_pdeathsig(Signal::SIGKILL).context("failed to tie the program's life to its parent")?;
    ensure!(nix::unistd::getppid().as_raw().cast_unsigned() == parent, "the parent ended before the program started");
    Ok(())
}

/// A shell or build system may have left files open across exec; a rule on paths would not take them back.
fn close_inherited_files() -> Result<()> {
    let names = fs::read_dir("/proc/self/fd").context("failed to list the open files")?;
    let numbers: Vec<i32> = names.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    for number in numbers.into_iter().filter(|number| *number > 2) {
        // The listing itself was among them and is closed already.
        let _ = nix::unistd::close(number);
    }
    Ok(())
}

fn drop_capabilities() -> Result<()> {
    let none = CapabilitySet::empty();
    // The no_new_privs bit, which both layers below set, keeps root from getting them back at exec.
    Ok(set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?)
}

fn restrict_files(orders: &Orders) -> Result<()> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let write = AccessFs::WriteFile | AccessFs::MakeReg | AccessFs::RemoveFile | AccessFs::Truncate;
    let folder = if orders.limits.file_bytes > 0 { read | write } else { read };
    let Interpreter { executable, loaders, readable, listed } = &orders.interpreter;
    let binaries = loaders.iter().chain([executable]);

    // What the first version of Landlock guards is required; what later kernels add is taken where it is there.
    let status = Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_all(ABI::V1))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(ABI::V5))?
        .handle_access(AccessNet::from_all(ABI::V5))?
        .scope(Scope::from_all(ABI::V6))?
        .create()?
        .add_rules(path_beneath_rules(["/etc/ld.so.cache"], read))?
        .add_rules(path_beneath_rules(readable, read))?
        .add_rules(path_beneath_rules(listed, AccessFs::ReadDir))?
        .add_rules(path_beneath_rules(binaries, AccessFs::ReadFile | AccessFs::Execute))?
        .add_rules(path_beneath_rules(["/dev/null"], AccessFs::ReadFile | AccessFs::WriteFile))?
        .add_rules(path_beneath_rules(["/dev/urandom"], AccessFs::ReadFile))?
        .add_rules(path_beneath_rules([&orders.folder], folder))?
        .restrict_self()?;
    ensure!(status.ruleset != RulesetStatus::NotEnforced, "the kernel does not enforce it");
    Ok(())
}

fn restrict_resources(limits: &Limits) -> Result<()> {
    // The parent measures finer and kills first; the kernel is the backstop, should the parent hang.
    let seconds = limits.cpu.as_secs() + 2;
    let fixed = [
        (Resource::RLIMIT_CPU, seconds),
        (Resource::RLIMIT_FSIZE, limits.file_bytes),
        (Resource::RLIMIT_NOFILE, 64),
        (Resource::RLIMIT_NPROC, 0),
        (Resource::RLIMIT_CORE, 0),
        (Resource::RLIMIT_MEMLOCK, 0),
        (Resource::RLIMIT_STACK, 8 << 20),
        // Last: this process is much bigger than the interpreter and may already be over it.
        (Resource::RLIMIT_AS, limits.memory_bytes),
    ];
    // Freed at once, so that the few small allocations up to exec find room without asking the kernel.
    drop(std::hint::black_box(Vec::<u8>::with_capacity(64 << 10)));
    for (resource, value) in fixed {
        setrlimit(resource, value, value).with_context(|| format!("failed to set {resource:?} to {value}"))?;
    }
    Ok(())
}

/// All that the program sees of the environment; the fixed hash seed and time zone make runs repeatable.
pub(super) const ENVIRONMENT: [&str; 6] = ["HOME", "TMPDIR", "LC_ALL", "TZ", "PYTHONHASHSEED", "PYTHONSAFEPATH"];

fn environment(orders: &Orders) -> impl Iterator<Item = (&'static str, OsString)> {
    let folder = orders.folder.as_os_str();
    let values = [folder, folder, OsStr::new("C.UTF-8"), OsStr::new("UTC"), OsStr::new("0"), OsStr::new("1")];
    ENVIRONMENT.into_iter().zip(values.map(OsStr::to_owned))
}
