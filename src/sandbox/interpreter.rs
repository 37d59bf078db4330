//! Which Python runs the programs, and which of its files they may read.
//!
//! The `python3` on the user's path is asked once per process, outside the sandbox and without any candidate code:
//! a shim or a virtual environment is only a way to it, while the rules need the real files.
//!
//! Not covered: installed packages. Programs run without `site`, on the standard library alone.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};
use serde::{Deserialize, Serialize};

/// What the interpreter said of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Interpreter {
    /// The real binary, behind every link.
    pub(super) executable: PathBuf,
    /// The binary's dynamic loader, which the kernel executes with it; empty for a static binary.
    pub(super) loaders: Vec<PathBuf>,
    /// Folders with its standard library and shared libraries.
    pub(super) readable: Vec<PathBuf>,
}

const QUESTION: &str = r#"
import json, os, sys, sysconfig
with open("/proc/self/maps") as maps:
    rows = (line.split(None, 5) for line in maps)
    files = {os.path.realpath(row[5].strip()) for row in rows if len(row) == 6 and row[5].startswith("/")}
libraries = {file for file in files if ".so" in os.path.basename(file)}
json.dump({
    "executable": os.path.realpath(sys.executable),
    "loaders": sorted(file for file in libraries if os.path.basename(file).startswith("ld")),
    "readable": sorted({os.path.dirname(file) for file in libraries}
        | {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}),
}, sys.stdout)
"#;

/// The interpreter of this process, asked at the first call.
pub(super) fn interpreter() -> Result<&'static Interpreter> {
    static FOUND: OnceLock<Result<Interpreter, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| ask().map_err(|error| format!("{error:#}")))
        .as_ref()
        .map_err(|message| anyhow!("running code needs a working python3 on the path: {message}"))
}

fn ask() -> Result<Interpreter> {
    let output = Command::new("python3").args(["-I", "-c", QUESTION]).output().context("failed to start python3")?;
    ensure!(output.status.success(), "python3 failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("python3 described itself in an unknown way")
}
