//! `ballast compare`
use crate::cli::CompareArgs;
use anyhow::Result;
pub(super) fn compare(_args: &CompareArgs) -> Result<()> {
    Ok(())
}
