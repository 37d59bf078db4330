//! Parses the command line, calls the command, prints one error chain and chooses the exit code.

use std::io::Write;
use std::process::ExitCode;

use ballast::cli::Cli;
use ballast::{commands, defect, error, sandbox, shown};
use clap::Parser;

fn main() -> ExitCode {
    // Before anything starts a thread: a sandboxed child must be single-threaded.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == "__sandbox") {
        return sandbox::child_main();
    }
    defect::guarded(tell, run).unwrap_or(ExitCode::from(error::exit::INTERNAL))
}

fn run() -> ExitCode {
    match commands::dispatch(Cli::parse()) {
        Ok(()) => ExitCode::from(error::exit::PASS),
        Err(failure) if is_broken_pipe(&failure) => ExitCode::from(error::exit::PASS),
        Err(failure) => {
            tell(&shown::visible(&format!("{failure:#}")));
            error::exit_code(&failure)
        }
    }
}

/// Says what went wrong, if anybody listens.
fn tell(failure: &str) {
    let _ = writeln!(std::io::stderr(), "error: {failure}");
}

/// `ballast ... | head` is not a failure.
fn is_broken_pipe(failure: &anyhow::Error) -> bool {
    failure.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe))
}
