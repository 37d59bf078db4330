//! Sandboxed processes from start to end: launching, watching their limits, killing what is left.
//!
//! One loop watches all processes of a job with no thread beside it: it sleeps in `poll` on their outputs, and every
//! few milliseconds looks at processor time, clock and folder. A process is looked at once more between its death and
//! its reaping, when its processor time is final and its id cannot yet be anybody else's.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::time::ClockId;
use nix::unistd::Pid;

use super::child::{Orders, READY, SUBCOMMAND};
use super::folder::PrivateFolder;
use super::interpreter::interpreter;
use super::policy::{Ending, Limits, Sandbox};

/// How often limits are looked at while nothing is printed.
const TICK_MS: u16 = 10;
/// The same for a process that closed its outputs, which usually means that it is just ending.
const ENDING_TICK_MS: u16 = 1;

/// A running process. Dropping it kills it.
pub(super) struct Process {
    child: Child,
    folder: PrivateFolder,
    limits: Limits,
    stdout: Stream,
    stderr: Stream,
    started: Instant,
    killed_for: Option<Ending>,
    /// Killed because nobody needs it any more: how far it came is then no error.
    released: bool,
    /// Its id may be somebody else's from now on.
    reaped: bool,
    finished: Option<Finished>,
}

/// What is left of a process: `stderr` without the line that the child adds.
pub(super) struct Finished {
    pub(super) ending: Ending,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: Vec<u8>,
    pub(super) cpu: Duration,
    pub(super) wall: Duration,
}

impl Process {
    /// Starts the script named `script` among `files`, in a new private folder.
    pub(super) fn start(
        sandbox: &Sandbox,
        limits: &Limits,
        files: &[(&str, &[u8])],
        script: &str,
        [stdin, stdout]: [Stdio; 2],
    ) -> Result<Self> {
        let folder = PrivateFolder::create(files)?;
        let orders = Orders {
            parent: std::process::id(),
            folder: folder.path().to_owned(),
            script: script.to_owned(),
            interpreter: interpreter()?.clone(),
            limits: limits.clone(),
            allow_missing_layers: sandbox.allow_missing_layers,
        };
        // Absolute, because the child starts in another folder.
        let mut command = Command::new(std::path::absolute(&sandbox.helper)?);
        command.arg(SUBCOMMAND).arg(serde_json::to_string(&orders)?).env_clear();
        if let Some(path) = std::env::var_os("LD_LIBRARY_PATH") {
            // For this program's own start; the child clears it before the interpreter.
            command.env("LD_LIBRARY_PATH", path);
        }
        let mut child = command
            .current_dir(folder.path())
            .process_group(0)
            .stdin(stdin)
            .stdout(stdout)
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("failed to start the sandbox {}", sandbox.helper.display()))?;
        let (stdout, stderr) = (child.stdout.take().map(OwnedFd::from), child.stderr.take().map(OwnedFd::from));
        Ok(Self {
            stdout: Stream::new(stdout),
            stderr: Stream::new(stderr),
            child,
            folder,
            limits: limits.clone(),
            started: Instant::now(),
            killed_for: None,
            released: false,
            reaped: false,
            finished: None,
        })
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id().cast_signed())
    }

    /// Kills the whole group. Only called before the process is reaped, so the id is still its own.
    fn kill(&mut self, reason: Option<Ending>) {
        self.killed_for = self.killed_for.or(reason);
        let _ = killpg(self.pid(), Signal::SIGKILL);
    }

    fn cpu(&self) -> Duration {
        let now = ClockId::pid_cpu_clock_id(self.pid()).and_then(ClockId::now);
        now.map_or(Duration::ZERO, Duration::from)
    }

    fn broken_limit(&self) -> Option<Ending> {
        if self.stdout.bytes.len() + self.stderr.bytes.len() > self.limits.output_bytes + READY.len() {
            Some(Ending::OutputLimit)
        } else if self.cpu() >= self.limits.cpu {
            Some(Ending::CpuLimit)
        } else if self.started.elapsed() >= self.limits.wall {
            Some(Ending::WallLimit)
        } else if self.limits.file_bytes > 0 && self.folder.holds_more_than(self.limits.file_bytes, self.child.id()) {
            Some(Ending::OutputLimit)
        } else {
            None
        }
    }

    /// Enforces the limits and, once the process has ended, collects what is left of it.
    fn look(&mut self) -> Result<()> {
        if self.finished.is_some() {
            return Ok(());
        }
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        if waitid(Id::Pid(self.pid()), flags).context("failed to wait for the sandbox")? == WaitStatus::StillAlive {
            if let Some(reason) = self.broken_limit() {
                self.kill(Some(reason));
            }
            return Ok(());
        }
        let (cpu, wall) = (self.cpu(), self.started.elapsed());
        // Takes along anything that a missing layer let it start.
        self.kill(None);
        self.stdout.drain(self.limits.output_bytes);
        self.stderr.drain(self.limits.output_bytes);
        let broken = self.killed_for.or_else(|| self.broken_limit().filter(|reason| *reason != Ending::WallLimit));
        let status = self.child.wait().context("failed to wait for the sandbox")?;
        self.reaped = true;
        let ending = match (broken, status.code(), status.signal()) {
            (Some(reason), ..) => reason,
            (None, Some(code), _) => Ending::Exited(code),
            (None, None, signal) => Ending::Signalled(signal.unwrap_or_default()),
        };
        let stdout = std::mem::take(&mut self.stdout.bytes);
        let mut stderr = std::mem::take(&mut self.stderr.bytes);
        if stderr.starts_with(READY) {
            stderr.drain(..READY.len());
        } else if !self.released && matches!(ending, Ending::Exited(_) | Ending::Signalled(_)) {
            bail!("the sandbox could not be set up ({status}): {}", String::from_utf8_lossy(&stderr).trim());
        }
        self.finished = Some(Finished { ending, stdout, stderr, cpu, wall });
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.reaped {
            self.kill(None);
            let _ = self.child.wait();
        }
    }
}

/// Watches the processes until all have ended. When the last of them ends, those before it are killed: it was the one
/// that still needed them.
pub(super) fn supervise<const N: usize>(mut processes: [Process; N]) -> Result<[Finished; N]> {
    loop {
        wait_for_output(&mut processes)?;
        for process in &mut processes {
            process.look()?;
        }
        if processes[N - 1].finished.is_some() {
            for process in processes.iter_mut().filter(|process| process.finished.is_none()) {
                process.released = true;
                process.kill(None);
            }
        }
        if processes.iter().all(|process| process.finished.is_some()) {
            break;
        }
    }
    Ok(processes.map(|mut process| process.finished.take().expect("every process has finished")))
}

/// Sleeps until something can be read or the next look is due, and reads it.
fn wait_for_output(processes: &mut [Process]) -> Result<()> {
    let running = |process: &&mut Process| process.finished.is_none();
    let silent = |process: &Process| process.stdout.pipe.is_none() && process.stderr.pipe.is_none();
    let soon = processes.iter().any(|process| process.finished.is_none() && silent(process));
    let tick = if soon { ENDING_TICK_MS } else { TICK_MS };

    let mut streams: Vec<&mut Stream> = processes
        .iter_mut()
        .filter(running)
        .flat_map(|process| [&mut process.stdout, &mut process.stderr])
        .filter(|stream| stream.pipe.is_some())
        .collect();
    let mut polled: Vec<PollFd> =
        streams.iter().filter_map(|stream| stream.pipe.as_ref()).map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)).collect();
    match poll(&mut polled, PollTimeout::from(tick)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
        Err(error) => return Err(error).context("failed to wait for the sandbox's output"),
    }
    let ready: Vec<bool> = polled.iter().map(|polled| polled.any().unwrap_or(false)).collect();
    for (stream, _) in streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
        stream.read();
    }
    Ok(())
}

/// One output of a process. `pipe` is gone once the other side closed it.
struct Stream {
    pipe: Option<File>,
    bytes: Vec<u8>,
}

impl Stream {
    fn new(pipe: Option<OwnedFd>) -> Self {
        Self { pipe: pipe.map(File::from), bytes: Vec::new() }
    }

    /// Takes what is there, one part at a time. Blocks unless `poll` said that something is there.
    fn read(&mut self) {
        let Some(pipe) = &mut self.pipe else { return };
        let mut buffer = [0; 16 << 10];
        match pipe.read(&mut buffer) {
            Ok(count) if count > 0 => self.bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            _ => self.pipe = None,
        }
    }

    /// Takes the rest after the process's death, without waiting for anybody who may still hold the other end.
    fn drain(&mut self, limit: usize) {
        while let Some(pipe) = &self.pipe {
            let mut polled = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            let ready = poll(&mut polled, PollTimeout::ZERO).is_ok_and(|count| count > 0);
            if !ready || self.bytes.len() > limit + READY.len() {
                return;
            }
            self.read();
        }
    }
}
