//! An experiment: run, report, data.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::DeviceArgs;
use crate::library;

/// The help of an experiment's name.
fn shipped() -> String {
    let names: Vec<&str> = library::experiment_names().collect();
    format!("A shipped experiment ({}) or a TOML file", names.join(", "))
}

/// `ballast run`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast run                                   the shipped quick experiment
  ballast run --model qwen2.5-coder-0.5b-instruct
  ballast run my-experiment.toml                start from experiments/quick.toml; every key is explained there")]
pub struct RunArgs {
    // What ships is said by the library.
    #[arg(default_value = "quick", value_name = "EXPERIMENT", help = shipped())]
    #[expect(missing_docs, reason = "its help is made at run time")]
    pub experiment: String,
    /// Use this base model instead of the experiment's
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Use this shipped chat template: chatml, gemma or plain; a base model needs one
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Train and evaluate all cells together, as on a GPU, where that is several times faster
    #[arg(long)]
    pub side_by_side: bool,
    /// Folder for run directories
    #[arg(long, default_value = "runs", value_name = "DIR")]
    pub runs: PathBuf,
    /// Folder for reports; each experiment gets its own folder in it
    #[arg(long, default_value = "reports", value_name = "DIR")]
    pub reports: PathBuf,
}

/// `ballast report`
#[derive(Debug, Args)]
pub struct ReportArgs {
    /// A run directory: runs/NAME-FINGERPRINT
    #[arg(value_name = "RUN")]
    pub run: PathBuf,
    /// Where to write; the run's own report folder if not given
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `ballast data`
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Count rows, tokens, label tokens and steps of every variant, and prove that no row overlaps a suite
    Check(DataArgs),
    /// Write the rows of every variant, filled in and in chat form, as JSON lines
    Build(DataBuildArgs),
}

/// `ballast data check`
#[derive(Debug, Args)]
pub struct DataArgs {
    // What ships is said by the library.
    #[arg(default_value = "quick", value_name = "EXPERIMENT", help = shipped())]
    #[expect(missing_docs, reason = "its help is made at run time")]
    pub experiment: String,
    /// Count with this model's tokenizer instead of the experiment's
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Use this shipped chat template: chatml, gemma or plain; a base model needs one
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `ballast data build`
#[derive(Debug, Args)]
pub struct DataBuildArgs {
    /// As for check
    #[command(flatten)]
    pub data: DataArgs,
    /// Folder for the files, one per variant, seed and stage
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub out: PathBuf,
}
