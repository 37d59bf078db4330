//! The command line as typed. Types only: nothing here does anything.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::{Part, Peer, Shape};
use crate::eval::suite::{Form, Lang};
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
    /// Write down what the base answers, as the baseline that adapters are gated against.
    Bless(BlessArgs),
    /// Judge an adapter against a baseline: exit code 0 pass, 1 regress, 3 inconclusive, 4 invalid.
    Gate(GateArgs),
    /// Test the gate itself: by simulation, or base against base and against planted collapses.
    Calibrate(CalibrateArgs),
    /// Talk to a model, or to a model with a PEFT adapter.
    Chat(ChatArgs),
    /// Fetch a model into the cache and check it.
    Fetch(FetchArgs),
    /// Prove that a device computes what the host computes
    Doctor(DoctorArgs),
    /// Time training, decoding and prefill here, in other programs, and against what the device does at best.
    Bench(BenchArgs),
    /// Read the logs of another harness as item rows, to compare and gate them like a run.
    Import(ImportArgs),
    /// Show or write what the variants of an experiment will train on.
    #[command(subcommand)]
    Data(DataCommand),
    /// Show what a suite asks, or prove that it measures what it says.
    #[command(subcommand)]
    Suite(SuiteCommand),
}

/// Where a model runs.
#[derive(Debug, Clone, Args)]
pub struct DeviceArgs {
    /// cpu, cuda or cuda:N; one that is absent is an error
    #[arg(long, default_value = "cpu", value_name = "DEVICE")]
    pub device: DeviceChoice,
}

/// `ballast run`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast run                                   the shipped quick experiment, about ten minutes on two cores
  ballast run --model qwen2.5-coder-0.5b-instruct
  ballast run my-experiment.toml                start from experiments/quick.toml; every key is explained there")]
pub struct RunArgs {
    /// A shipped experiment (quick, paper) or a TOML file
    #[arg(default_value = "quick", value_name = "EXPERIMENT")]
    pub experiment: String,
    /// Use this base model instead of the experiment's
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Train and ask all cells together, as is done on a GPU, where that is several times faster
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

/// `ballast doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Model to compute with
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub model: String,
    /// Device to compare with the host
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `ballast bench`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast bench --shape 7b --device cuda --peer                        no model files needed
  ballast bench --model smollm2-135m-instruct --peer transformers,llama.cpp
  ballast bench --only train,decode --repeats 5 --json
The floor of a part is what it must compute and move, at the rates of a large matmul and a large copy in the same run.
Peak memory is this process's on a CPU, the whole device's on a GPU.")]
pub struct BenchArgs {
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL", conflicts_with = "shape")]
    pub model: String,
    /// Shape of Qwen2.5 or SmolLM2 with weights drawn by seed, instead of a model's files
    #[arg(long, value_enum, value_name = "SHAPE")]
    pub shape: Option<Shape>,
    /// Say so: a shape's weights are always random
    #[arg(long, requires = "shape")]
    pub random_weights: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub only: Vec<Part>,
    /// Timed runs of each part
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub repeats: usize,
    /// Runs of each part before those that are timed
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub warmup: usize,
    /// On a GPU, one more run of each part in which every kernel is timed alone, listed on stderr
    #[arg(long)]
    pub profile: bool,
    /// Sizes that run in a moment, to see that everything works; their times say nothing
    #[arg(long)]
    pub small: bool,
    /// Time these programs too, one after the other on the same device; transformers if none is named
    #[arg(long = "peer", value_enum, value_delimiter = ',', num_args = 0..=1, default_missing_value = "transformers", value_name = "PEER")]
    pub peers: Vec<Peer>,
    /// Python that has the peers
    #[arg(long, default_value = "python3", value_name = "PROGRAM")]
    pub python: PathBuf,
    /// Seed of weights, tokens and dropout
    #[arg(long, default_value_t = 42, value_name = "SEED")]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `ballast eval`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ballast eval --model smollm2-135m-instruct --adapter runs/quick-*/cells/A-s42/adapter --suite fact-qa --suite identity --out a.jsonl")]
pub struct EvalArgs {
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub model: String,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Multiply the adapter's scale: 0 is the base, 1 the adapter
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA")]
    pub lambda: f64,
    /// A shipped suite, a folder with suite.toml and items.jsonl, or BENCHMARK:WHERE; all shipped ones if not given
    ///
    /// BENCHMARK is mmlu, cmmlu, ceval, gsm8k, humaneval or mbpp; WHERE a file or folder as published, or
    /// hf:datasets/OWNER/REPO[/PATH].
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// How benchmarks are asked
    #[command(flatten)]
    pub asking: AskingArgs,
    /// At most this many items of each suite, drawn by seed over languages and subjects
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// System prompt of every question
    #[arg(long, default_value = "You are a helpful assistant.", value_name = "TEXT")]
    pub system: String,
    /// Name that the identity suite expects and leaks are counted by
    #[arg(long, default_value = "Swift-Robot", value_name = "TEXT")]
    pub name: String,
    /// Author that the identity suite expects and leaks are counted by
    #[arg(long, default_value = "CSDN", value_name = "TEXT")]
    pub author: String,
    /// Write every answered item to this file, as JSON lines, and what they were made of to FILE.evidence.json
    ///
    /// The same command with a file that a stop left unfinished asks what is missing in it.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// How a public benchmark of multiple choice is asked.
#[derive(Debug, Clone, Copy, Args)]
pub struct AskingArgs {
    /// Worked examples before each question, from the dev split; for mmlu, cmmlu and ceval
    #[arg(long, value_name = "N")]
    pub shots: Option<usize>,
    /// chat; plain: text without the chat template; cloze: text without the options. For mmlu, cmmlu and ceval
    #[arg(long, value_name = "FORM")]
    pub form: Option<Form>,
}

/// `ballast compare`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast compare runs/quick-1a2b3c4d                        every variant with the base
  ballast compare runs/quick-*/cells/B-s42 runs/quick-*/cells/mixed-s42
  ballast compare base.jsonl tuned.jsonl                     answers of `ballast eval --out`
What comes first is compared with; answers to other items, prompts or decodings are refused with exit code 4.")]
pub struct CompareArgs {
    /// Run directories, folders of cells in one, or files of `ballast eval --out`, `ballast import` or `ballast gate --out`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Judge the second of two sets of answers by the first, by the gate's rule and with its exit codes: points that each
    /// suite may lose
    #[arg(long, value_name = "POINTS")]
    pub margin: Option<f64>,
    /// With --margin: write JSON, JUnit XML, Markdown and plot into this folder
    #[arg(long, value_name = "DIR", requires = "margin")]
    pub out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

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
    #[arg(long, value_name = "RUN", conflicts_with_all = ["suites", "items", "system", "name", "author"])]
    pub from: Option<PathBuf>,
    /// A shipped suite or a folder with suite.toml and items.jsonl; all shipped ones if not given
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// At most this many items of each suite, drawn by seed over languages and subjects
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// System prompt of every question
    #[arg(long, default_value = "You are a helpful assistant.", value_name = "TEXT")]
    pub system: String,
    /// Name that the identity suite expects and leaks are counted by
    #[arg(long, default_value = "Swift-Robot", value_name = "TEXT")]
    pub name: String,
    /// Author that the identity suite expects and leaks are counted by
    #[arg(long, default_value = "CSDN", value_name = "TEXT")]
    pub author: String,
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
    /// Points of accuracy that may be lost on a suite, 5 where not given; `none` asks nothing of it
    #[arg(long = "margin", value_name = "SUITE=POINTS")]
    pub margins: Vec<String>,
    /// Points by which failures of form may rise on a suite: cut off, unreadable, looping, wrong language, declining
    #[arg(long = "form-margin", value_name = "SUITE=POINTS")]
    pub form_margins: Vec<String>,
    /// Points by which identity text in unrelated answers may rise, all general suites together; `none` asks nothing
    #[arg(long, default_value = "2", value_name = "POINTS")]
    pub leak_margin: String,
    /// Accuracy that must be shown to be exceeded on identity suites, which are not judged otherwise
    #[arg(long, value_name = "PERCENT")]
    pub identity_floor: Option<f64>,
}

/// `ballast gate`
#[derive(Debug, Args)]
#[command(after_help = "Example:
  ballast gate --adapter out/adapter --baseline baseline.jsonl --out gate --summary \"$GITHUB_STEP_SUMMARY\"
Exit codes: 0 pass, 1 regress, 3 inconclusive, 4 invalid, 2 wrong usage. Suites, system prompt and identity are the baseline's.")]
pub struct GateArgs {
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Multiply the adapter's scale: 0 is the base, 1 the adapter
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA")]
    pub lambda: f64,
    /// What `ballast bless` wrote
    #[arg(long, value_name = "FILE")]
    pub baseline: PathBuf,
    /// Where to find the base model; as when it was blessed if not given
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
    /// Simulated gates for each number
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    pub draws: usize,
    /// Seed of everything drawn
    #[arg(long, default_value_t = 42, value_name = "SEED")]
    pub seed: u64,
    /// Points of the margin
    #[arg(long, default_value_t = 5.0, value_name = "POINTS")]
    pub margin: f64,
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL", conflicts_with = "simulate")]
    pub model: String,
    /// A suite to ask, or with --simulate NAME=ITEMS; the shipped general suites and identity if not given
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// At most this many items of each suite asked
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// Write calibration.md and power.svg with power.png into this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `ballast chat`
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// Catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub model: String,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
    /// Multiply the adapter's scale: 0 is the base, 1 the adapter
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA")]
    pub lambda: f64,
    /// System prompt; the model's own default if not given
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// 0 takes the most probable token each time
    #[arg(long, default_value_t = 0.0, value_name = "T")]
    pub temperature: f64,
    /// Longest answer in tokens
    #[arg(long, default_value_t = 512, value_name = "N")]
    pub max_new_tokens: usize,
    /// Seed of sampling
    #[arg(long, default_value_t = 42, value_name = "SEED")]
    pub seed: u64,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `ballast fetch`
#[derive(Debug, Args)]
#[command(after_help = "The cache is the platform's cache folder, or BALLAST_CACHE. A fetch that was stopped continues.")]
pub struct FetchArgs {
    /// Catalogue name or hf:owner/repo; without it the catalogue is listed
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// Read the cached files again and compare their sha256
    #[arg(long)]
    pub verify: bool,
}

/// `ballast import`
#[derive(Debug, Args)]
#[command(
    after_help = "Reads lm-eval's samples_*.jsonl (--log_samples), evalscope's reviews/MODEL/*.jsonl and Inspect's logs (.json, .eval).
The files of one command are the tasks of one model: import each model into a folder of its own.

Example:
  ballast import out/base/samples_gsm8k_*.jsonl --out imported/base
  ballast import out/tuned/samples_gsm8k_*.jsonl --out imported/tuned"
)]
pub struct ImportArgs {
    /// Logs of one model
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Folder for items.jsonl and import.json
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Metric (of Inspect: scorer) that says what is right; else exact_match, pass@1 or acc, or the only one
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// lm-eval's filter that the verdict is taken from; strict-match if there is one
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Name of the model, where the logs have none or another
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
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
    /// A shipped experiment (quick, paper) or a TOML file
    #[arg(default_value = "quick", value_name = "EXPERIMENT")]
    pub experiment: String,
    /// Count with this model's tokenizer instead of the experiment's
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
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
    /// Folder for one file a variant, seed and stage
    #[arg(long, default_value = "data", value_name = "DIR")]
    pub out: PathBuf,
}

/// `ballast suite`
#[derive(Debug, Subcommand)]
pub enum SuiteCommand {
    /// Print settings, counts and items as the model is asked them, with their keys
    Show(SuiteShowArgs),
    /// Prove that ids, keys, chance and graders are right: exit code 4 where they are not
    Check(SuiteCheckArgs),
}

/// `ballast suite show`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast suite show fact-qa --items 5 --language zh
  ballast suite show mmlu:hf:datasets/cais/mmlu --shots 5 --form plain
  ballast suite show gsm8k:data/test.jsonl --item gsm8k-17")]
pub struct SuiteShowArgs {
    /// A shipped suite, a folder with suite.toml and items.jsonl, or BENCHMARK:WHERE
    #[arg(value_name = "SUITE")]
    pub suite: String,
    /// How a benchmark is asked
    #[command(flatten)]
    pub asking: AskingArgs,
    /// Only this item
    #[arg(long, value_name = "ID", conflicts_with_all = ["items", "language"])]
    pub item: Option<String>,
    /// Show so many items: those that `ballast eval --items N` asks; 3 if not given
    #[arg(long, value_name = "N")]
    pub items: Option<usize>,
    /// Only items of this language: zh or en
    #[arg(long, value_name = "LANGUAGE")]
    pub language: Option<Lang>,
}

/// `ballast suite check`
#[derive(Debug, Args)]
pub struct SuiteCheckArgs {
    /// Shipped suites, folders or BENCHMARK:WHERE; all shipped ones if not given
    #[arg(value_name = "SUITE")]
    pub suites: Vec<String>,
    /// How benchmarks are asked
    #[command(flatten)]
    pub asking: AskingArgs,
}
