//! The gate: bless, gate, calibrate.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{DeviceArgs, QuestionArgs, TemplateArgs};

/// `ballast bless`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast bless --model smollm2-135m-instruct --suite fact-qa --suite code --out baseline.jsonl
  ballast bless --from runs/quick-1a2b3c4d --margin fact-qa=3 --identity-floor 90 --out baseline.jsonl
Commit the file. A later baseline that asks for less than the one it replaces needs --reason.")]
pub struct BlessArgs {
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL", conflicts_with = "from")]
    pub model: String,
    /// Take the answers of this run's base instead of asking again
    #[arg(long, value_name = "RUN", conflicts_with_all = ["suites", "items", "system", "name", "author", "rows"])]
    pub from: Option<PathBuf>,
    /// A shipped suite or a folder with suite.toml and items.jsonl; all shipped ones if not given
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// How conversations are put
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Questions
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// The baseline's file
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
    /// What an adapter is allowed
    #[command(flatten)]
    pub policy: PolicyArgs,
    /// Why this baseline asks for less than the one it replaces
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// What a baseline allows an adapter.
#[derive(Debug, Clone, Args)]
pub struct PolicyArgs {
    /// Points of accuracy that may be lost on a suite; 5 if not given, `none` for no limit
    #[arg(long = "margin", value_name = "SUITE=POINTS")]
    pub margins: Vec<String>,
    /// Points by which failures of form may rise on a suite: cut off, unreadable, looping, wrong language, declining
    #[arg(long = "form-margin", value_name = "SUITE=POINTS")]
    pub form_margins: Vec<String>,
    /// Points by which identity text in unrelated answers may rise, all general suites together; `none` for no limit
    #[arg(long, default_value = "2", value_name = "POINTS")]
    pub leak_margin: String,
    /// Largest KL from the base on the base's own answers, in nats per token; `none` for no limit
    #[arg(long, default_value = "2", value_name = "NATS")]
    pub drift_limit: String,
    /// Smallest share of those tokens on which base and adapter agree; `none` for no limit
    #[arg(long, default_value = "50", value_name = "PERCENT")]
    pub agreement_floor: String,
    /// Accuracy that identity suites must be shown to exceed; they are not judged otherwise
    #[arg(long, value_name = "PERCENT")]
    pub identity_floor: Option<f64>,
}

/// `ballast gate`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ballast gate --adapter out/adapter --baseline baseline.jsonl --out gate --summary \"$GITHUB_STEP_SUMMARY\"
Exit codes: 0 pass, 1 regress, 3 inconclusive, 4 invalid, 2 wrong usage. Suites, system prompt and identity come from the baseline.")]
pub struct GateArgs {
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Multiply the adapter's scale: 0 is the base, 1 the adapter
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA", value_parser = super::finite)]
    pub lambda: f64,
    /// What `ballast bless` wrote
    #[arg(long, value_name = "FILE")]
    pub baseline: PathBuf,
    /// Where to find the base model, if it is no longer where it was when blessed
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Write gate.json, junit.xml, summary.md, forest.svg, forest.png and items.jsonl into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print the result as JSON
    #[arg(long)]
    pub json: bool,
    /// Write JUnit XML to this file
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Append Markdown for a step summary or a pull request comment to this file
    #[arg(long, value_name = "FILE")]
    pub summary: Option<PathBuf>,
    /// What an inconclusive result does to the exit code: fail is 3, neutral is 0
    #[arg(long, value_enum, default_value_t = OnInconclusive::Fail, value_name = "HOW")]
    pub on_inconclusive: OnInconclusive,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// What an inconclusive gate does to the exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnInconclusive {
    /// Exit code 3.
    Fail,
    /// Exit code 0.
    Neutral,
}

/// `ballast calibrate`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast calibrate --simulate --out reports/gate-calibration
  ballast calibrate --model smollm2-135m-instruct --suite fact-qa")]
pub struct CalibrateArgs {
    /// Simulate the rule alone; needs no model
    #[arg(long)]
    pub simulate: bool,
    /// Simulated gates per number
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub draws: usize,
    /// Seed of everything drawn
    #[arg(long, default_value_t = 42, value_name = "SEED")]
    pub seed: u64,
    /// Margin in points
    #[arg(long, default_value_t = 5.0, value_name = "POINTS")]
    pub margin: f64,
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL", conflicts_with = "simulate")]
    pub model: String,
    /// Use this shipped chat template: chatml, gemma or plain; a base model needs one
    #[arg(long, value_name = "NAME", conflicts_with = "simulate")]
    pub template: Option<String>,
    /// A suite to ask, or with --simulate NAME=ITEMS; if not given, all that ship, or four of different sizes with --simulate
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// At most this many items per suite
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// Write calibration.md and power.svg with power.png into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}
