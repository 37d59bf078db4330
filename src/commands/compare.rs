//! `ballast compare`
use anyhow::Result;
use crate::cli::CompareArgs;
pub(super) fn compare(_args: &CompareArgs) -> Result<()> { Ok(()) }
