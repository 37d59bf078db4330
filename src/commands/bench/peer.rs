//! Another program doing the same work on the same device, before Ballast opens it: its Python file ships inside the
//! binary, is given the job as JSON, and prints a line for each part.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};
use serde::Serialize;
use serde_json::json;

use super::results::Measured;
use super::work::Work;
use crate::cli::{Part, Peer};
use crate::model::lora::LoraConfig;
use crate::model::spec::Spec;

impl Peer {
    fn script(self) -> &'static str {
        match self {
            Self::Transformers => include_str!("../../../benches/peers/bench.py"),
            Self::LlamaCpp => include_str!("../../../benches/peers/llama.py"),
        }
    }

    /// Whether it goes through its parts one after the other, so that it can go on after one.
    fn part_by_part(self) -> bool {
        self == Self::Transformers
    }

    fn needs(self) -> &'static str {
        match self {
            Self::Transformers => "torch, transformers and peft",
            Self::LlamaCpp => "llama-cpp-python and numpy",
        }
    }
}

/// What a peer is told.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Job<'a> {
    /// As in a Hugging Face config.json.
    pub(super) config: serde_json::Value,
    /// The model's file, for programs that read it.
    pub(super) gguf: Option<PathBuf>,
    /// `cpu` or `cuda:N`.
    pub(super) device: String,
    /// `float32` or `bfloat16`.
    pub(super) dtype: &'static str,
    pub(super) threads: usize,
    pub(super) seed: u64,
    pub(super) repeats: usize,
    pub(super) warmup: usize,
    pub(super) parts: &'a [Part],
    pub(super) work: &'a Work,
    pub(super) lora: LoraConfig,
}

/// A config.json that describes the shape.
pub(super) fn config(spec: &Spec) -> serde_json::Value {
    json!({
        "model_type": spec.family,
        "hidden_size": spec.hidden,
        "intermediate_size": spec.intermediate,
        "num_hidden_layers": spec.layers,
        "num_attention_heads": spec.heads,
        "num_key_value_heads": spec.kv_heads,
        "head_dim": spec.head_dim,
        "vocab_size": spec.vocabulary,
        "rms_norm_eps": spec.rms_eps,
        "rope_theta": spec.ropes[0].theta,
        "max_position_embeddings": spec.max_positions,
        "tie_word_embeddings": spec.tied,
    })
}

/// Runs a peer to its end; `found` is told each measurement as it is made. One that dies halfway (killed for memory, say)
/// keeps what it measured, with the reason as one more result, and is started again for the parts it had not come to.
pub(super) fn run(peer: Peer, python: &Path, job: &Job, found: &mut dyn FnMut(Measured)) -> Result<()> {
    let mut parts = job.parts;
    let mut ever: Option<Measured> = None;
    loop {
        let (status, last) = attempt(peer, python, &Job { parts, ..job.clone() }, found)?;
        if status.success() {
            return Ok(());
        }
        // Started again, it may die before it has measured anything: in its first part then.
        let (part, how) = match (&last, parts.first()) {
            (Some(last), _) => (last.part, "later"),
            (None, Some(first)) => (*first, "any"),
            (None, None) => return Ok(()),
        };
        ever = last.or(ever);
        let Some(known) = ever.clone() else {
            bail!("the peer program ended with {status}: it needs {} in {} (another one with --python)", peer.needs(), python.display())
        };
        let error = Some(format!("the program ended with {status}"));
        found(Measured { part, how: how.to_owned(), seconds: Vec::new(), peak_mib: None, allocated_mib: None, error, ..known });
        let done = parts.iter().position(|own| *own == part).map_or(parts.len(), |at| at + 1);
        parts = &parts[done..];
        if parts.is_empty() || !peer.part_by_part() {
            return Ok(());
        }
    }
}

/// How the program ended, and what it measured last.
fn attempt(peer: Peer, python: &Path, job: &Job, found: &mut dyn FnMut(Measured)) -> Result<(ExitStatus, Option<Measured>)> {
    let mut child = Command::new(python)
        .args(["-c", peer.script()])
        .arg(serde_json::to_string(job)?)
        .env("TOKENIZERS_PARALLELISM", "false")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("failed to start {}: name a Python that has {} with --python", python.display(), peer.needs()))?;
    let out = child.stdout.take().context("the peer has no output")?;
    let mut last: Option<Measured> = None;
    for line in BufReader::new(out).lines() {
        let line = line.context("failed to read the peer's output")?;
        // Libraries print to stdout too.
        if line.starts_with('{') {
            let measured: Measured = serde_json::from_str(&line).with_context(|| format!("the peer printed `{line}`"))?;
            last = Some(measured.clone());
            found(measured);
        }
    }
    Ok((child.wait()?, last))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;

    use crate::cli::Shape;

    #[test]
    fn a_shape_goes_to_peers_as_the_config_json_that_ballast_reads() {
        for shape in Shape::value_variants() {
            let spec = shape.spec();
            assert_eq!(Spec::from_config_json(&config(&spec).to_string()).unwrap(), spec);
        }
    }
}
