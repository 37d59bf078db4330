//! An adapter out into the world: export.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::finite;

/// `ballast export`
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ballast export --adapter runs/quick-*/cells/B-s42/adapter --format safetensors --out merged
  ballast export --adapter DIR --format gguf --dtype q8_0 --out served
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
    /// Type of the weights; without it f16, and of safetensors that of the base where it is a folder
    #[arg(long, value_enum, value_name = "TYPE")]
    pub dtype: Option<StoredType>,
    /// New folder; a name that ends in .gguf is that of a GGUF file alone
    #[arg(long, value_name = "PATH")]
    pub out: PathBuf,
    /// Questions that are answered before and after, to compare the answers token by token; 0 asks none
    ///
    /// They lie beside the export in answers.json, with the token ids of prompts and answers.
    #[arg(long, default_value_t = 8, value_name = "N")]
    pub check: usize,
    /// System prompt of these questions and of the Modelfile
    #[arg(long, default_value = "You are a helpful assistant.", value_name = "TEXT")]
    pub system: String,
}

/// The forms of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// A Hugging Face folder with the adapter merged: transformers, vLLM, TGI
    Safetensors,
    /// The merged model for llama.cpp, and a Modelfile for Ollama
    Gguf,
    /// The adapter alone for llama.cpp, and a Modelfile for Ollama
    GgufLora,
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
    /// GGUF alone: blocks of 8-bit numbers
    #[value(name = "q8_0")]
    Q8_0,
    /// GGUF alone: blocks of 4-bit numbers, some of 6 bits
    #[value(name = "q4_k_m")]
    Q4KM,
}
