//! `ballast bench`: what is timed.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use super::DeviceArgs;

/// Kinds of work, in the order they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    /// One optimizer step over the rows, activations kept.
    Train,
    /// The same with activations computed again in the backward pass.
    Checkpointed,
    /// Greedy decoding of one prompt.
    Single,
    /// Greedy decoding of many prompts together.
    Decode,
    /// The same spread over several adapters.
    Adapters,
    /// Reading prompts.
    Prefill,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Train, Self::Checkpointed, Self::Single, Self::Decode, Self::Adapters, Self::Prefill];
}

/// Which program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Peer {
    /// torch, transformers and PEFT.
    Transformers,
    /// llama.cpp through llama-cpp-python; CPU, needs a model in GGUF.
    #[value(name = "llama.cpp")]
    LlamaCpp,
}

/// A shape by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shape {
    /// Qwen2.5-7B.
    #[value(name = "7b")]
    Qwen7b,
    /// Qwen2.5-1.5B.
    #[value(name = "1.5b")]
    Qwen1b5,
    /// Qwen2.5-0.5B.
    #[value(name = "0.5b")]
    Qwen0b5,
    /// SmolLM2-135M.
    #[value(name = "135m")]
    Smol135m,
    /// Two narrow layers, to see that everything works.
    Tiny,
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
    /// Accepted for clarity: a shape's weights are always random
    #[arg(long, requires = "shape")]
    pub random_weights: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    pub only: Vec<Part>,
    /// Timed runs of each part
    #[arg(long, default_value_t = 3, value_name = "N")]
    pub repeats: usize,
    /// Untimed runs of each part before the timed ones
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub warmup: usize,
    /// On a GPU, one more run of each part in which every kernel is timed alone, listed on stderr
    #[arg(long)]
    pub profile: bool,
    /// Sizes that finish in moments, to check that everything works; their times mean nothing
    #[arg(long)]
    pub small: bool,
    /// Time these programs too, one after the other on the same device; transformers if none is named
    #[arg(long = "peer", value_enum, value_delimiter = ',', num_args = 0..=1, default_missing_value = "transformers", value_name = "PEER")]
    pub peers: Vec<Peer>,
    /// Python interpreter with the peers installed
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
