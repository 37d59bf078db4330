//! The command line as typed. Types only: nothing here does anything.

mod answers;
mod bench;
mod endpoint;
mod experiment;
mod export;
mod gate;
mod model;
mod pack;
mod recover;
mod suite;

pub use answers::{AskingArgs, CompareArgs, EvalArgs, ImportArgs, TableArgs};
pub use bench::{BenchArgs, Part, Peer, Shape};
pub use endpoint::EndpointArgs;
pub use experiment::{DataArgs, DataBuildArgs, DataCommand, ReportArgs, RunArgs};
pub use export::{ExportArgs, ExportFormat, StoredType};
pub use gate::{BlessArgs, CalibrateArgs, GateArgs, OnInconclusive, PolicyArgs};
pub use model::{ChatArgs, DoctorArgs, FetchArgs};
pub use pack::{PackArgs, UnpackArgs};
pub use recover::RecoverArgs;
pub use suite::{SuiteCheckArgs, SuiteCommand, SuiteFloorArgs, SuiteShowArgs};

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::data::chat::ChatSettings;
use crate::data::thinking::Thinking;
use crate::model::device::DeviceChoice;

/// What did this fine-tune make the model forget, and what brings it back?
///
/// `ballast run` fetches a small instruct model, trains LoRA variants of it, evaluates them on held-out suites and writes a report.
#[derive(Debug, Parser)]
#[command(version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run an experiment: fetch the model, train every variant, evaluate, report. Run again to continue after a stop.
    Run(RunArgs),
    /// Write the report of a run again, from its records alone.
    Report(ReportArgs),
    /// Evaluate a model, or a model with a PEFT adapter, on suites.
    Eval(EvalArgs),
    /// Compare runs, cells or answered items with each other, item by item.
    Compare(CompareArgs),
    /// Record the base's answers as the baseline that adapters are gated against.
    Bless(BlessArgs),
    /// Judge an adapter against a baseline: exit code 0 pass, 1 regress, 3 inconclusive, 4 invalid.
    Gate(GateArgs),
    /// Find the mildest change of an adapter that passes the gate and keeps its identity.
    Recover(RecoverArgs),
    /// Test the gate itself: by simulation, or base against base and against planted collapses.
    Calibrate(CalibrateArgs),
    /// Chat with a model, or with a model and a PEFT adapter.
    Chat(ChatArgs),
    /// Write an adapter for other programs: merged into its base, or alone, read back and compared.
    Export(ExportArgs),
    /// Put an adapter into one file with all that it needs: template, system prompt, verdict, scripts that start it.
    Pack(PackArgs),
    /// Unpack what `ballast pack` wrote, and check it.
    Unpack(UnpackArgs),
    /// Fetch a model into the cache and check it.
    Fetch(FetchArgs),
    /// Prove that a device computes what the host computes.
    Doctor(DoctorArgs),
    /// Time training, decoding and prefill, here and in other programs, against the best the device can do.
    Bench(BenchArgs),
    /// Put the answers of any number of runs into one table: accuracy by group, or every item row.
    Table(TableArgs),
    /// Read the logs of another harness as item rows, to compare and gate them like a run.
    Import(ImportArgs),
    /// Show or write what the variants of an experiment will train on.
    #[command(subcommand)]
    Data(DataCommand),
    /// Show what a suite asks, or prove that it measures what it says.
    #[command(subcommand)]
    Suite(SuiteCommand),
}

/// A model, and an adapter on it.
#[derive(Debug, Clone, Args)]
pub struct AdaptedArgs {
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub model: String,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Multiply the adapter's scale: 0 is the base, 1 the adapter
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA", requires = "adapter", value_parser = finite)]
    pub lambda: f64,
}

/// A number that is neither infinite nor NaN, as an argument.
pub(crate) fn finite(text: &str) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    if number.is_finite() { Ok(number) } else { Err(format!("`{text}` is not a finite number")) }
}

/// How conversations are put for a model.
#[derive(Debug, Clone, Args)]
pub struct TemplateArgs {
    /// A shipped chat template in place of the model's own: chatml, gemma or plain; a base model needs one
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Ask for thinking where the model's chat template can be told so
    #[arg(long)]
    pub think: bool,
    /// Most tokens of thinking in an answer, beside the suite's own limit
    #[arg(long, default_value_t = Thinking::default().budget, value_name = "N")]
    pub think_budget: usize,
}

impl TemplateArgs {
    /// As settings.
    pub fn settings(&self) -> ChatSettings {
        let thinking = Thinking { enable: self.think, budget: self.think_budget, ..Thinking::default() };
        ChatSettings { template: self.template.clone(), thinking }
    }
}

/// How many questions a model is asked, and how.
#[derive(Debug, Clone, Args)]
pub struct QuestionArgs {
    /// At most this many items per suite, drawn by seed across languages and subjects
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// System prompt for every question
    #[arg(long, default_value = "You are a helpful assistant.", value_name = "TEXT")]
    pub system: String,
    /// Name that the identity suite expects; also used to count leaks
    #[arg(long, default_value = "Swift-Robot", value_name = "TEXT")]
    pub name: String,
    /// Author that the identity suite expects; also used to count leaks
    #[arg(long, default_value = "CSDN", value_name = "TEXT")]
    pub author: String,
    /// Rows that the model was or will be trained on, files or ballast:NAME: an answer that recites them is leakage
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub rows: Vec<String>,
}

/// Where a model runs.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// cpu, cuda or cuda:N; it is an error if the device is absent
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceChoice,
}
