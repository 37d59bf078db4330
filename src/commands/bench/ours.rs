//! Every call of the bench into decoder, training and generation.

use anyhow::Result;
use candle_core::Device;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::work::{Answers, Work};
use crate::cli::Part;
use crate::data::chat::Encoded;
use crate::eval::generate::{Answering, Prompt};
use crate::model::adapter_set::AdapterSet;
use crate::model::decoder::{Decoder, Saving};
use crate::model::lora::{Adapter, LoraConfig};
use crate::model::site::Module;
use crate::train::batch::TrainRow;
use crate::train::optim::{AdamW, AdamWConfig};
use crate::train::step::{StepSettings, train_step};

/// Adapter of every part, for the peers too.
pub(super) fn lora() -> LoraConfig {
    LoraConfig { rank: 8, alpha: 32.0, dropout: 0.05, targets: Module::ALL.to_vec(), rslora: false }
}

/// All rows of the window at once.
const MAX_TOKENS: usize = 4096;

/// One repetition of a part.
pub(super) type Run<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// Makes what a part needs, and gives what is timed. The device may still be at work when it returns.
pub(super) fn prepare<'a>(part: Part, decoder: &'a Decoder, work: &Work, seed: u64) -> Result<Run<'a>> {
    match (part, work.answers(part)) {
        (Part::Checkpointed, _) => train(decoder, work, seed, Saving::Inputs),
        (Part::Train, _) | (_, None) => train(decoder, work, seed, Saving::Activations),
        (Part::Prefill, Some(answers)) => {
            let prompts = prompts(decoder, answers, seed);
            Ok(Box::new(move || Answering::new(decoder, &AdapterSet::base()).read(&prompts, &mut |_| Ok(()))))
        }
        (_, Some(answers)) if answers.adapters == 0 => {
            let prompts = prompts(decoder, answers, seed);
            Ok(Box::new(move || decode(decoder, &[], &prompts)))
        }
        (_, Some(answers)) => {
            let mut prompts = prompts(decoder, answers, seed);
            let share = answers.rows / answers.adapters;
            for (i, prompt) in prompts.iter_mut().enumerate() {
                prompt.adapter = Some(i / share);
            }
            let adapters = adapters(decoder, answers.adapters, seed)?;
            Ok(Box::new(move || decode(decoder, &adapters, &prompts)))
        }
    }
}

/// How a part is run, for the table.
pub(super) fn how(part: Part) -> String {
    match part {
        Part::Train | Part::Checkpointed => "rows end to end".to_owned(),
        Part::Single | Part::Decode | Part::Adapters => "one batch".to_owned(),
        Part::Prefill => "end to end".to_owned(),
    }
}

/// Waits until a device has done all it was given.
pub(super) fn synchronize(device: &Device) -> Result<()> {
    Ok(device.synchronize()?)
}

/// Kernel, calls and seconds of one more run, the most expensive first. Nothing on the host.
pub(super) fn profile(run: &mut Run<'_>, device: &Device) -> Result<Vec<(String, usize, f64)>> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        crate::model::ops::cuda::profile::start();
        let done = run();
        let spent = crate::model::ops::cuda::profile::stop();
        return done.map(|()| spent);
    }
    anyhow::ensure!(device.is_cuda(), "--profile times the kernels of a GPU: add --device cuda");
    run().map(|()| Vec::new())
}

/// Begins to watch the device's allocations anew.
#[cfg_attr(not(feature = "cuda"), expect(clippy::unnecessary_wraps, reason = "it can fail with a GPU"))]
pub(super) fn reset_allocated(device: &Device) -> Result<()> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return crate::model::ops::cuda::memory::reset_peak(device);
    }
    let _ = device;
    Ok(())
}

/// Most memory allocated on a GPU at a time since then, in MiB.
#[cfg_attr(not(feature = "cuda"), expect(clippy::unnecessary_wraps, reason = "it can fail with a GPU"))]
pub(super) fn allocated_mib(device: &Device) -> Result<Option<f64>> {
    #[cfg(feature = "cuda")]
    if device.is_cuda() {
        return Ok(Some(crate::model::ops::cuda::memory::peak(device)? as f64 / f64::from(1 << 20)));
    }
    let _ = device;
    Ok(None)
}

fn train<'a>(decoder: &'a Decoder, work: &Work, seed: u64, saving: Saving) -> Result<Run<'a>> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let rows: Vec<TrainRow> = work
        .rows
        .iter()
        .map(|row| {
            let ids = ids(&mut random, row.tokens, decoder.spec.vocabulary);
            let mask = (0..row.tokens).map(|i| i >= row.tokens - row.labels).collect();
            TrainRow::plain(Encoded { ids, mask }, "bench".to_owned())
        })
        .collect();
    let mut adapter = Adapter::init(&decoder.spec, &lora(), seed, decoder.device())?;
    let mut optimizer = AdamW::new(&adapter, AdamWConfig::default())?;
    let settings = StepSettings { max_tokens: MAX_TOKENS, saving };
    Ok(Box::new(move || {
        let window: Vec<&TrainRow> = rows.iter().collect();
        train_step(decoder, &mut adapter, &mut optimizer, &window, 1e-4, seed, settings).map(drop)
    }))
}

fn decode(decoder: &Decoder, adapters: &[Adapter], prompts: &[Prompt]) -> Result<()> {
    let adapter_set = AdapterSet::new(decoder, adapters.iter().collect())?;
    Answering::new(decoder, &adapter_set).generate(prompts, &[], &mut |_, _| Ok(()))
}

fn prompts(decoder: &Decoder, answers: Answers, seed: u64) -> Vec<Prompt> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let prompt = |_| Prompt { ids: ids(&mut random, answers.prompt, decoder.spec.vocabulary), max_new_tokens: answers.new, adapter: None };
    (0..answers.rows).map(prompt).collect()
}

/// Adapters whose B is not zero, so that each changes the answers.
fn adapters(decoder: &Decoder, count: usize, seed: u64) -> Result<Vec<Adapter>> {
    let one = |index: u64| -> Result<Adapter> {
        let mut adapter = Adapter::init(&decoder.spec, &lora(), seed.wrapping_add(index), decoder.device())?;
        for pair in adapter.pairs.values_mut() {
            pair.b = (pair.b.ones_like()? * 1e-3)?;
        }
        Ok(adapter)
    };
    (0..count as u64).map(one).collect()
}

fn ids(random: &mut ChaCha8Rng, count: usize, vocabulary: usize) -> Vec<u32> {
    (0..count).map(|_| random.next_u32() % vocabulary as u32).collect()
}
