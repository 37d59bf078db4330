//! Answers to items: eval, compare, import.

use std::path::PathBuf;

use clap::Args;

use super::{AdaptedArgs, DeviceArgs, EndpointArgs, QuestionArgs, TemplateArgs};
use crate::eval::suite::PromptFormat;

/// `ballast eval`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast eval --model smollm2-135m-instruct --adapter runs/quick-*/cells/A-s42/adapter --suite fact-qa --suite identity --out a.jsonl
  ballast eval --endpoint http://127.0.0.1:8080/v1 --base smollm2-135m-instruct --suite fact-qa --out served.jsonl")]
pub struct EvalArgs {
    /// Model and adapter
    #[command(flatten)]
    pub adapted: AdaptedArgs,
    /// A shipped suite, a folder with suite.toml and items.jsonl, a mapping file, or BENCHMARK:WHERE; all shipped ones if not given
    ///
    /// BENCHMARK is mmlu, cmmlu, ceval, gsm8k, humaneval or mbpp; WHERE a file or folder as published, or
    /// hf:datasets/OWNER/REPO[/PATH].
    #[arg(long = "suite", value_name = "SUITE")]
    pub suites: Vec<String>,
    /// How benchmarks are asked
    #[command(flatten)]
    pub asking: AskingArgs,
    /// How conversations are put
    #[command(flatten)]
    pub template: TemplateArgs,
    /// Questions
    #[command(flatten)]
    pub questions: QuestionArgs,
    /// Write every answered item to this file as JSON lines, and the conditions of the evaluation to FILE.evidence.json
    ///
    /// After an interruption, the same command asks only the items that the file lacks.
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Device
    #[command(flatten)]
    pub device: DeviceArgs,
    /// Served model
    #[command(flatten)]
    pub endpoint: EndpointArgs,
}

/// How a public benchmark of multiple choice is asked.
#[derive(Debug, Clone, Copy, Args)]
pub struct AskingArgs {
    /// Worked examples before each question, from the dev split; for mmlu, cmmlu and ceval
    #[arg(long, value_name = "N")]
    pub shots: Option<usize>,
    /// chat; plain: text without the chat template; cloze: text without the options. For mmlu, cmmlu and ceval
    #[arg(long, value_name = "FORM")]
    pub form: Option<PromptFormat>,
}

/// `ballast compare`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast compare runs/quick-1a2b3c4d                        every variant with the base
  ballast compare runs/quick-*/cells/B-s42 runs/quick-*/cells/mixed-s42
  ballast compare base.jsonl tuned.jsonl                     answers of `ballast eval --out`
The first argument is the reference. Answers to other items, prompts or decoding settings are refused with exit code 4.")]
pub struct CompareArgs {
    /// Run directories, folders of cells in one, or files of `ballast eval --out`, `ballast import` or `ballast gate --out`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Judge the second set of answers against the first by the gate's rule, with its exit codes; POINTS is what each suite may
    /// lose
    #[arg(long, value_name = "POINTS")]
    pub margin: Option<f64>,
    /// With --margin: write JSON, JUnit XML, Markdown and plot into this folder
    #[arg(long, value_name = "DIR", requires = "margin")]
    pub out: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `ballast table`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast table runs/*                                       accuracy by model, variant and suite
  ballast table runs/* --by model,suite,language
  ballast table runs/* imported/base --out answers.parquet   every answered item, one per row
  ballast table runs/* --by variant,seed --out seeds.csv
For a group of one cell the interval is Wilson's, over items; for several cells it is Student's t, over cells.")]
pub struct TableArgs {
    /// Run directories, folders of cells in one, or files and folders of `ballast eval --out` and `ballast import`
    #[arg(required = true, value_name = "RUN")]
    pub runs: Vec<PathBuf>,
    /// Columns to group by: model, run, variant, seed, suite, subject, language
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    pub by: Vec<String>,
    /// Write to a .parquet, .csv or .md file: the groups if --by is given, else every item row
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// `ballast import`
#[derive(Debug, Args)]
#[command(
    after_help = "Reads lm-eval's samples_*.jsonl (--log_samples), evalscope's reviews/MODEL/*.jsonl and Inspect's logs (.json, .eval).
The files of one command are the tasks of one model: import each model into its own folder.

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
    /// Metric (for Inspect: scorer) that decides what is correct; by default exact_match, pass@1 or acc, or the only one there is
    #[arg(long, value_name = "NAME")]
    pub metric: Option<String>,
    /// lm-eval filter to take the verdict from; strict-match if present
    #[arg(long, value_name = "NAME")]
    pub filter: Option<String>,
    /// Name of the model, if the logs give none or a different one
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
}
