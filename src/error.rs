//! The kinds of failure that change the exit code; everything else is an `anyhow` chain and exits with 2.

use std::process::ExitCode;

use thiserror::Error;

/// Exit codes, in one place.
pub mod exit {
    /// Done.
    pub const PASS: u8 = 0;
    /// A gate found a regression.
    pub const REGRESSION: u8 = 1;
    /// Wrong usage, bad input, or the world refused (network, disk).
    pub const USAGE: u8 = 2;
    /// Not enough evidence either way.
    pub const INCONCLUSIVE: u8 = 3;
    /// The measurement itself cannot be trusted: numbers that are not finite, a dead adapter, overlapping data.
    pub const INVALID: u8 = 4;
    /// A defect of Ballast.
    pub const INTERNAL: u8 = 70;
    /// Stopped by Ctrl-C; the same command continues.
    pub const INTERRUPTED: u8 = 130;
}

/// A measurement that must not be believed.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Invalid(pub String);

/// A gate found a loss beyond its margin.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Regressed(pub String);

/// A gate has too few items to say.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct Inconclusive(pub String);

/// Ctrl-C.
#[derive(Debug, Error)]
#[error("stopped; everything finished so far is kept, and the same command continues from here")]
pub struct Interrupted;

/// The exit code for an error chain.
pub fn exit_code(error: &anyhow::Error) -> ExitCode {
    let code = if error.chain().any(<dyn std::error::Error>::is::<Interrupted>) {
        exit::INTERRUPTED
    } else if error.chain().any(<dyn std::error::Error>::is::<Invalid>) {
        exit::INVALID
    } else if error.chain().any(<dyn std::error::Error>::is::<Regressed>) {
        exit::REGRESSION
    } else if error.chain().any(<dyn std::error::Error>::is::<Inconclusive>) {
        exit::INCONCLUSIVE
    } else {
        exit::USAGE
    };
    ExitCode::from(code)
}
