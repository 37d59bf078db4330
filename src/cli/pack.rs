//! An adapter in one file: pack, unpack.

use std::path::PathBuf;

use clap::Args;

use super::finite;

/// `ballast pack`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ballast pack --adapter DIR --base smollm2-135m-instruct --name swift-robot --gate gate-out --out swift-robot.tar.gz
  ballast unpack swift-robot.tar.gz --out swift-robot && swift-robot/run_swift-robot.sh
The same contents give the same bytes.")]
pub struct PackArgs {
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Base model: catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, value_name = "MODEL")]
    pub base: String,
    /// Multiply the adapter's scale
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA", value_parser = finite)]
    pub lambda: f64,
    /// Name of the pack, its scripts and the served model
    #[arg(long, default_value = "adapter", value_name = "NAME")]
    pub name: String,
    /// System prompt that it is served with; that of the gate if not given, else "You are a helpful assistant."
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// What `ballast gate --out` wrote of this adapter
    #[arg(long, value_name = "DIR")]
    pub gate: Option<PathBuf>,
    /// Report to take along: a Markdown file
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// New archive
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `ballast unpack`
#[derive(Debug, Args)]
pub struct UnpackArgs {
    /// What `ballast pack` wrote
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// New folder
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Refuse the pack if it was made for another base than this one
    #[arg(long, value_name = "MODEL")]
    pub base: Option<String>,
}
