//! `ballast calibrate`
use crate::cli::CalibrateArgs;
use anyhow::Result;
pub(super) fn calibrate(_args: &CalibrateArgs) -> Result<()> {
    Ok(())
}
