//! `ballast calibrate`
use anyhow::Result;
use crate::cli::CalibrateArgs;
pub(super) fn calibrate(_args: &CalibrateArgs) -> Result<()> { Ok(()) }
