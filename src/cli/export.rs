//! An adapter out into the world: export.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::finite;

/// `ballast export`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast export --adapter runs/quick-*/cells/B-s42/adapter --format safetensors --out merged
  ballast export --model hf:Qwen/Qwen2.5-0.5B-Instruct --adapter DIR --lambda 0.5 --format safetensors --dtype bf16 --out merged
What is written is read back and held against base + adapter before it gets its name.")]
pub struct ExportArgs {
    /// Base model: catalogue name, hf:owner/repo, GGUF file or safetensors folder
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub model: String,
    /// PEFT adapter folder
    #[arg(long, value_name = "DIR")]
    pub adapter: PathBuf,
    /// Multiply the adapter's scale
    #[arg(long, default_value_t = 1.0, value_name = "LAMBDA", value_parser = finite)]
    pub lambda: f64,
    /// What to write
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub format: ExportFormat,
    /// Type of the weights; without it that of the base, and f16 for safetensors of a GGUF base
    #[arg(long, value_enum, value_name = "TYPE")]
    pub dtype: Option<StoredType>,
    /// New folder
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Questions that are answered before and after, to compare the answers token by token; 0 asks none
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub check: usize,
    /// System prompt of these questions
    #[arg(long, default_value = "You are a helpful assistant.", value_name = "TEXT")]
    pub system: String,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A Hugging Face folder with the adapter merged: transformers, vLLM, TGI
    Safetensors,
    /// The adapter alone as a PEFT folder, with lambda in its scale
    Peft,
}

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum StoredType {
    /// 32 bits
    F32,
    /// 16 bits, the range of f32
    Bf16,
    /// 16 bits, finer, up to 65504
    F16,
}
