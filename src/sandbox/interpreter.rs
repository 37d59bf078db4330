//! Which Python runs the programs, and which of its files they may read.
//!
//! The `python3` on the user's path is asked once per process, outside the sandbox and without any candidate code:
//! a shim or a virtual environment is only a way to it, while the rules need the real files.
//!
//! Not covered: installed packages. Programs run without `site`, on the standard library alone.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
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
    /// Folders and files of its standard library and of the system's shared libraries.
    pub(super) readable: Vec<PathBuf>,
    /// Folders of the standard library, which the import system lists.
    pub(super) listed: Vec<PathBuf>,
}

/// Where shared libraries are on every system.
const SYSTEM: [&str; 5] = ["/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/share/zoneinfo"];
/// Folders of installed packages, which no program may read: what it can import must not depend on the machine.
const PACKAGES: [&str; 2] = ["site-packages", "dist-packages"];

/// What the interpreter says.
#[derive(Deserialize)]
struct Answer {
    executable: PathBuf,
    loaders: Vec<PathBuf>,
    libraries: Vec<PathBuf>,
    listed: Vec<PathBuf>,
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
    "libraries": sorted({os.path.dirname(file) for file in libraries}),
    "listed": sorted({os.path.realpath(sysconfig.get_path(name)) for name in ("stdlib", "platstdlib")}),
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
    let answer: Answer = serde_json::from_slice(&output.stdout).context("python3 described itself in an unknown way")?;
    let Answer { executable, loaders, libraries, listed } = answer;
    let roots = SYSTEM.iter().map(PathBuf::from).chain(libraries).chain(listed.iter().cloned());
    let roots: BTreeSet<PathBuf> = roots.filter_map(|root| root.canonicalize().ok()).collect();
    let readable: BTreeSet<PathBuf> = roots.iter().flat_map(|root| without_packages(root)).collect();
    Ok(Interpreter { executable, loaders, readable: readable.into_iter().collect(), listed })
}

/// The bytecode of a text of ours, so that not every process compiles it again: that takes longer than most programs run.
pub(super) fn bytecode(text: &str) -> Result<Vec<u8>> {
    let mut command = Command::new(&interpreter()?.executable);
    command.args(["-I", "-S", "-c", COMPILE]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("failed to start python3")?;
    let stdin = child.stdin.take().context("python3 has no standard input")?;
    let written = { stdin }.write_all(text.as_bytes());
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "python3 failed to compile: {}", String::from_utf8_lossy(&output.stderr).trim());
    written?;
    Ok(output.stdout)
}

const COMPILE: &str = r#"
import marshal, sys
text = sys.stdin.buffer.read().decode()
sys.stdout.buffer.write(marshal.dumps(compile(text, "harness", "exec")))
"#;

/// The folder itself if it holds no installed packages; otherwise what is in it, but for these. A rule on a folder holds for
/// everything below it, so a part cannot be taken out again.
fn without_packages(folder: &Path) -> Vec<PathBuf> {
    let entries: Vec<PathBuf> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    let named = |path: &Path, is: &dyn Fn(&str) -> bool| path.file_name().and_then(|name| name.to_str()).is_some_and(is);
    let packages = |path: &Path| named(path, &|name| PACKAGES.contains(&name));
    // Links are followed when they are opened, to where the rules of that place hold.
    let python =
        |path: &Path| named(path, &|name| name.starts_with("python") || name.starts_with("pypy")) && path.is_dir() && !path.is_symlink();
    let inside: Vec<(PathBuf, Option<Vec<PathBuf>>)> =
        entries.into_iter().map(|path| (path.clone(), python(&path).then(|| without_packages(&path)))).collect();
    let whole =
        inside.iter().all(|(path, parts)| !packages(path) && parts.as_ref().is_none_or(|parts| parts == std::slice::from_ref(path)));
    if whole {
        return vec![folder.to_owned()];
    }
    inside
        .into_iter()
        .filter(|(path, _)| !packages(path) && !path.is_symlink())
        .flat_map(|(path, parts)| parts.unwrap_or_else(|| vec![path]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_taken_out_wherever_they_lie() {
        let root = tempfile::tempdir().unwrap();
        let at = |path: &str| root.path().join(path);
        for path in
            ["lib/python3.11/json", "lib/python3.11/site-packages/numpy", "lib/python3/dist-packages", "lib/x86_64", "plain/python3.11"]
        {
            fs::create_dir_all(at(path)).unwrap();
        }
        fs::write(at("lib/python3.11/os.py"), "").unwrap();
        let mut found = without_packages(&at("lib"));
        found.sort();
        assert_eq!(found, [at("lib/python3.11/json"), at("lib/python3.11/os.py"), at("lib/x86_64")]);
        assert_eq!(without_packages(&at("plain")), [at("plain")]);
    }
}
