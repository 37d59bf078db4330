//! Suites: show and check.

use clap::{Args, Subcommand};

use super::AskingArgs;
use crate::eval::suite::Language;

/// `ballast suite`
#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// Print settings, counts and items as the model is asked them, with their keys
    Show(SuiteShowArgs),
    /// Prove that ids, keys, chance and graders are right: exit code 4 where they are not
    Check(SuiteCheckArgs),
    /// Find the best answers that never look at the question, and write what they score into suite.toml
    Floor(SuiteFloorArgs),
}

/// `ballast suite show`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast suite show fact-qa --items 5 --language zh
  ballast suite show mmlu:hf:datasets/cais/mmlu --shots 5 --form plain
  ballast suite show gsm8k:data/test.jsonl --item gsm8k-17")]
pub struct SuiteShowArgs {
    /// A shipped suite, a folder with suite.toml and items.jsonl, a mapping file, or BENCHMARK:WHERE
    #[arg(value_name = "SUITE")]
    pub suite: String,
    /// How a benchmark is asked
    #[command(flatten)]
    pub asking: AskingArgs,
    /// Only this item
    #[arg(long, value_name = "ID", conflicts_with_all = ["items", "language"])]
    pub item: Option<String>,
    /// Show this many items, the ones that `ballast eval --items N` asks; 3 if not given
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// Only items of this language: zh or en
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<Language>,
}

/// `ballast suite check`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast suite check my.toml
  ballast suite check identity --answers runs/coder-bc0d69f9 --rows ballast:identity my-rows.json")]
pub struct SuiteCheckArgs {
    /// Shipped suites, folders, mapping files or BENCHMARK:WHERE; all shipped ones if not given
    #[arg(value_name = "SUITE")]
    pub suites: Vec<String>,
    /// How benchmarks are asked
    #[command(flatten)]
    pub asking: AskingArgs,
    /// Stored answers, each tried on every item: run directories, cells' folders, files of `ballast eval --out`
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub answers: Vec<std::path::PathBuf>,
    /// Training rows whose answers are tried on every item: files, or ballast:NAME
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rows: Vec<String>,
}

/// `ballast suite floor`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast suite floor evalsets/identity --answers runs/coder-bc0d69f9 base.jsonl --rows ballast:identity
  ballast suite floor my-suite --answers base.jsonl --write")]
pub struct SuiteFloorArgs {
    /// Folders with suite.toml and items.jsonl, or suites that ship
    #[arg(value_name = "SUITE", required = true)]
    pub suites: Vec<String>,
    /// Stored answers, each tried on every item: run directories, cells' folders, files of `ballast eval --out`
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub answers: Vec<std::path::PathBuf>,
    /// Training rows whose answers are tried on every item: files, or ballast:NAME; those that ship if not given
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rows: Vec<String>,
    /// Write floor and constants into each folder's suite.toml
    #[arg(long)]
    pub write: bool,
}
