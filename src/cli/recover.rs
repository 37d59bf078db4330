//! `ballast recover`

use std::path::PathBuf;

use clap::Args;

use super::DeviceArgs;

/// `ballast recover`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast recover --adapter out/adapter --baseline baseline.jsonl --out recovered
  ballast recover --adapter seed1/adapter --adapter seed2/adapter --baseline baseline.jsonl --out recovered
Exit codes: 0 the result passes the gate and keeps the identity, 1 nothing does (the best found is written), 4 invalid, 2 wrong
usage. The same command again after a stop asks no candidate twice.")]
pub struct RecoverArgs {
    /// PEFT adapter folder; several are tried each alone and as their mean
    #[arg(long = "adapter", value_name = "DIR", required = true)]
    pub adapters: Vec<PathBuf>,
    /// What `ballast bless` wrote, with an identity suite
    #[arg(long, value_name = "FILE")]
    pub baseline: PathBuf,
    /// Write adapter, gate, recover.json, report.md and the figure into this new folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Candidates tried at most, the adapters as they are included
    #[arg(long, default_value_t = 24, value_name = "N")]
    pub candidates: usize,
    /// Share of the items that the search may look at; the verdict is given on the others
    #[arg(long, default_value_t = 0.33, value_name = "SHARE", value_parser = super::finite)]
    pub development: f64,
    /// Points of identity accuracy that may be lost against the adapter that was given
    #[arg(long, default_value_t = 10.0, value_name = "POINTS", value_parser = super::finite)]
    pub identity_margin: f64,
    /// Seed of the two parts
    #[arg(long, default_value_t = 42, value_name = "SEED")]
    pub seed: u64,
    /// Where to find the base model, if it is no longer where it was when blessed
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}
