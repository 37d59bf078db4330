//! A model and the device it runs on: doctor, chat, fetch.

use std::path::PathBuf;

use clap::Args;

use super::{AdaptedArgs, DeviceArgs, TemplateArgs};

/// `ballast doctor`
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Model to compute with
    #[arg(long, default_value = "smollm2-135m-instruct", value_name = "MODEL")]
    pub model: String,
    /// Use this shipped chat template: chatml, gemma or plain; a base model needs one
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// Device to compare with the host
    #[command(flatten)]
    pub device: DeviceArgs,
}

/// `ballast chat`
#[derive(Debug, Args)]
pub struct ChatArgs {
    /// Model and adapter
    #[command(flatten)]
    pub adapted: AdaptedArgs,
    /// How conversations are put
    #[command(flatten)]
    pub template: TemplateArgs,
    /// System prompt; the model's own default if not given
    #[arg(long, value_name = "TEXT")]
    pub system: Option<String>,
    /// Unpacked pack: its adapter and system prompt on its base, all checked first
    #[arg(long, value_name = "DIR", conflicts_with_all = ["model", "adapter", "system", "template"])]
    pub pack: Option<PathBuf>,
    /// Where the base of the pack is, if not where the pack says
    #[arg(long, value_name = "MODEL", requires = "pack")]
    pub base: Option<String>,
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
#[command(after_help = "The cache is the platform's cache folder, or BALLAST_CACHE. An interrupted fetch resumes.")]
pub struct FetchArgs {
    /// Catalogue name or hf:owner/repo; without it the catalogue is listed
    #[arg(value_name = "MODEL")]
    pub model: Option<String>,
    /// Read the cached files again and compare their sha256
    #[arg(long)]
    pub verify: bool,
}
