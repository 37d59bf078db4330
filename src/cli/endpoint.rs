//! A served model: where it is and how patiently it is asked.

use std::num::{NonZeroU32, NonZeroUsize};

use clap::Args;

/// A model behind an OpenAI-compatible endpoint, in place of one that is loaded.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Served models")]
pub struct EndpointArgs {
    /// Ask the model that is served at this address, such as http://127.0.0.1:8080/v1
    #[arg(long, value_name = "URL", conflicts_with_all = ["model", "device"])]
    pub endpoint: Option<String>,
    /// The model's name there; not needed where only one is served
    #[arg(long, value_name = "NAME", requires = "endpoint")]
    pub served_model: Option<String>,
    /// The model that is served, or the base it was made of, as a catalogue name, hf:owner/repo, GGUF file or safetensors folder
    ///
    /// Only its tokenizer and chat template are read: the prompts that the server reads are held against those it makes, and a
    /// difference is named.
    #[arg(long, value_name = "MODEL", requires = "endpoint")]
    pub base: Option<String>,
    /// Environment variable that holds the endpoint's key; the key is sent to the endpoint and written nowhere
    #[arg(long, value_name = "VARIABLE", requires = "endpoint")]
    pub api_key_env: Option<String>,
    /// Send at most this many requests per minute
    #[arg(long, value_name = "N", requires = "endpoint")]
    pub requests_per_minute: Option<NonZeroU32>,
    /// Have at most this many requests under way
    #[arg(long, default_value = "4", value_name = "N", requires = "endpoint")]
    pub concurrency: NonZeroUsize,
    /// Give up a request after this time
    #[arg(long, default_value_t = 300.0, value_name = "SECONDS", requires = "endpoint", value_parser = seconds)]
    pub timeout: f64,
    /// Ask again this often after status 429 or 5xx, a broken connection or no answer in time, waiting twice as long each time
    #[arg(long, default_value_t = 5, value_name = "N", requires = "endpoint", value_parser = clap::value_parser!(u32).range(..=20))]
    pub retries: u32,
}

/// From a millisecond to a day.
fn seconds(text: &str) -> Result<f64, String> {
    let seconds = super::finite(text)?;
    if (1e-3..=86_400.0).contains(&seconds) { Ok(seconds) } else { Err(format!("`{text}` is not from 0.001 to 86400 seconds")) }
}
