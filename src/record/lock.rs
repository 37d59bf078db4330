//! One run at a time writes to a run directory.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::files::process_lives;

/// How long a lock of a dead process is waited for: a program of its sandbox may still hold it for a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// Holds a run directory until dropped. The system frees it when the process dies, however it dies, so that a kill leaves
/// nothing to clean up; the file itself stays and is taken over.
#[derive(Debug)]
pub struct RunLock {
    _file: File,
}

impl RunLock {
    /// Takes the lock file at `path`, or says who has it.
    pub fn take(path: &Path) -> Result<Self> {
        let context = || format!("failed to lock {}", path.display());
        // Written in place: what it says is for people, and whoever writes it holds the lock.
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(path).with_context(context)?;
        let started = Instant::now();
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    let owner = Owner::read(&mut file);
                    if owner.as_ref().is_some_and(Owner::is_dead) && started.elapsed() < PATIENCE {
                        std::thread::sleep(Duration::from_millis(50));
                        continue;
                    }
                    let folder = path.parent().unwrap_or(path);
                    let who = owner.map_or_else(String::new, |owner| format!(" (pid {} on {})", owner.pid, owner.host));
                    bail!("another run{who} is using {}: wait for it, stop it, or use another folder with --runs DIR", folder.display());
                }
                Err(TryLockError::Error(error)) => return Err(error).with_context(context),
            }
        }
        let mut write = || -> std::io::Result<()> {
            file.rewind()?;
            file.set_len(0)?;
            writeln!(file, "{} {}", std::process::id(), host())
        };
        write().with_context(context)?;
        Ok(Self { _file: file })
    }
}

/// Who holds a lock.
#[derive(Debug, PartialEq, Eq)]
struct Owner {
    pid: u32,
    host: String,
}

impl Owner {
    /// As the file says; None where it says nothing that is understood.
    fn read(file: &mut File) -> Option<Self> {
        let mut text = String::new();
        file.rewind().ok()?;
        file.take(256).read_to_string(&mut text).ok()?;
        let (pid, host) = text.trim().split_once(' ')?;
        let host: String = host.chars().filter(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
        Some(Self { pid: pid.parse().ok()?, host })
    }

    fn is_dead(&self) -> bool {
        self.host == host() && !process_lives(self.pid)
    }
}

fn host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).unwrap_or_else(|| "this machine".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_a_dead_ones_is_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = RunLock::take(&path).unwrap();
        let error = RunLock::take(&path).unwrap_err().to_string();
        assert!(error.starts_with(&format!("another run (pid {} on {}) is using ", std::process::id(), host())), "{error}");
        drop(held);
        // No process has this number on Linux, where 2^22 is the largest.
        std::fs::write(&path, format!("{} {}\n", 1 << 30, host())).unwrap();
        drop(RunLock::take(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{} {}\n", std::process::id(), host()));
    }
}
