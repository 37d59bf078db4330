//! A model and the device it runs on: doctor, bench, chat, fetch.

use std::path::PathBuf;

use clap::Args;

use super::{AdaptedArgs, DeviceArgs};
use crate::commands::{Part, Peer, Shape};

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

/// `ballast chat`
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// Model and adapter
    #[command(flatten)]
    pub adapted: AdaptedArgs,
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
