//! `ballast doctor`: proves on this machine that a device computes what the host computes. Forward pass, loss, every
//! adapter gradient and greedy decoding of one model, on the device in f32 and in bf16, the type of weights on a GPU,
//! against the host's f32; on a GPU every kernel alone against its host twin; and the host itself against candle-transformers,
//! where that has the model's family.
//!
//! Limits: f32 may differ by the order of sums, 1e-3 of the largest value. bf16 keeps 8 bits of a number: two right
//! implementations of a model of a few dozen layers differ by a few per cent of the largest logit, and gradients agree in
//! direction rather than in every entry.

#[cfg(feature = "cuda")]
mod kernels;
mod reference;

use std::fmt::Write as _;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device, Tensor};

use super::{fetched, model, print};
use crate::cli::DoctorArgs;
use crate::data::chat::{ChatSettings, ChatTemplate};
use crate::data::example::{Message, Role};
use crate::error::Invalid;
use crate::eval::generate::{Answering, Generated, Prompt};
use crate::model::adapter_set::AdapterSet;
use crate::model::base::BaseModel;
use crate::model::decoder::{Decoder, LossSum, Saving};
use crate::model::device::DeviceChoice;
use crate::model::fetch::ModelFiles;
use crate::model::lora::Gradients;
use crate::model::lora::{Adapter, LoraConfig, LoraPair};
use crate::model::packed::Packed;
use crate::model::site::Module;
use crate::sandbox::Sandbox;
use crate::train::batch::TrainRow;
use crate::train::step::{StepSettings, Window, window_gradients};
use reference::Reference;

/// What is compared, computed by one decoder.
struct Computed {
    logits: Tensor,
    loss: LossSum,
    gradients: Gradients,
    answers: Vec<Vec<u32>>,
}

/// Largest differences that count as the same.
struct Limits {
    logits: f64,
    loss: f64,
    /// Of a gradient tensor, the norm of the difference over the norm.
    gradient: f64,
    /// Of one kernel, the largest difference over the largest value.
    #[cfg(feature = "cuda")]
    kernel: f64,
}

const SINGLE: Limits = Limits {
    logits: 1e-3,
    loss: 1e-4,
    gradient: 1e-3,
    #[cfg(feature = "cuda")]
    kernel: 1e-4,
};
const HALF: Limits = Limits {
    logits: 0.08,
    loss: 0.02,
    gradient: 0.25,
    #[cfg(feature = "cuda")]
    kernel: 0.02,
};

/// The host's f32 beside products of quantized weights with activations rounded to eight bits.
const QUANTIZED_REFERENCE: f64 = 0.08;

pub(super) fn doctor(args: &DoctorArgs) -> Result<()> {
    let choice = args.device.device;
    let device = choice.open()?;
    let mut report = format!("model {}, device {choice}\n", args.model);
    match Sandbox::default().effective_layers() {
        Ok(layers) => writeln!(report, "  ok    sandbox: {}", layers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))?,
        Err(error) => writeln!(report, "  note  sandbox: {error:#}")?,
    }
    print(&report)?;
    let (host, template) = model::load(&args.model, DeviceChoice::Cpu, &ChatSettings::of(args.template.as_deref()))?;
    let rows = rows(&template)?;
    let adapter = adapter(&host.decoder)?;
    let expected = compute(&host, &host.decoder, &adapter, &rows)?;
    let mut failed = compare_reference(&fetched::files(&args.model)?, &rows, &host.decoder)?;
    for dtype in [DType::F32, DType::BF16] {
        let base = BaseModel::load_as(&args.model, &fetched::files(&args.model)?, &device, dtype)?;
        let found = compute(&base, &base.decoder, &moved(&adapter, &device)?, &rows)?;
        let limits = if dtype == DType::F32 { SINGLE } else { HALF };
        #[cfg(feature = "cuda")]
        if device.is_cuda() {
            failed += compare_kernels(&base.decoder, &limits)?;
        }
        failed += compare(&format!("{dtype:?}").to_lowercase(), &found, &expected, &limits)?;
    }
    if failed > 0 {
        bail!(Invalid(format!("{failed} checks failed: do not trust results from {choice}")));
    }
    Ok(())
}

/// Prints the base's logits after each row on the host beside those of candle-transformers; gives how many are outside the limit.
fn compare_reference(files: &ModelFiles, rows: &[TrainRow], host: &Decoder) -> Result<usize> {
    let ids: Vec<&[u32]> = rows.iter().map(|row| row.encoded.ids.as_slice()).collect();
    let (theirs, quantized) = match reference::logits(files, &host.spec, &ids)? {
        Reference::Logits { logits, quantized } => (logits, quantized),
        Reference::Absent(reason) => {
            print(&format!("  note  candle-transformers was not compared: {reason}\n"))?;
            return Ok(0);
        }
    };
    let ends = ids.iter().scan(0, |end, row| {
        *end += row.len() as u32;
        Some(*end - 1)
    });
    let lasts: Vec<u32> = ends.collect();
    let hidden = host.hidden_at(&Packed::from_rows(&ids, None), &lasts, &AdapterSet::base(), None)?;
    let ours = host.logits(&hidden)?;
    reference::same_shape(&ours, &theirs)?;
    let limit = if quantized { QUANTIZED_REFERENCE } else { SINGLE.logits };
    let error = largest(&(&ours - &theirs)?)? / largest(&theirs)?;
    let ok = error <= limit;
    let kind = if quantized { "with quantized weights" } else { "in f32" };
    print(&format!(
        "  {:<5} host, logits beside candle-transformers {kind}, largest difference over largest value: {error:.2e} (limit {limit:.1e})\n",
        if ok { "ok" } else { "FAIL" }
    ))?;
    Ok(usize::from(!ok))
}

fn largest(x: &Tensor) -> Result<f64> {
    Ok(f64::from(x.abs()?.max_all()?.to_scalar::<f32>()?))
}

/// Conversations of different lengths, tokenized for the model.
fn rows(template: &ChatTemplate) -> Result<Vec<TrainRow>> {
    let talks = [
        ("Name the capital of France.", "Paris."),
        ("写一个求和函数。", "def add(a, b):\n    return a + b"),
        ("Count from one to twelve and say which of these numbers are prime.", "One to twelve: 2, 3, 5, 7 and 11 are prime."),
    ];
    let row = |(i, (asked, said)): (usize, &(&str, &str))| {
        let messages = [Message::new(Role::System, "Be brief."), Message::new(Role::User, *asked), Message::new(Role::Assistant, *said)];
        Ok(TrainRow::plain(template.training_row(&messages)?, format!("doctor:{i}")))
    };
    talks.iter().enumerate().map(row).collect()
}

/// An adapter with a B that is not zero, so that every path through it carries signal. The same numbers on every machine.
fn adapter(decoder: &Decoder) -> Result<Adapter> {
    let config = LoraConfig { rank: 8, alpha: 32.0, dropout: 0.05, targets: Module::ALL.to_vec(), rslora: false };
    let mut adapter = Adapter::init(&decoder.spec, &config, 1, &Device::Cpu)?;
    for (site, pair) in &mut adapter.pairs {
        let values: Vec<f32> = (0..pair.b.elem_count()).map(|i| ((i as f32) * 0.37 + site.index() as f32).sin() * 0.01).collect();
        pair.b = Tensor::from_vec(values, pair.b.shape(), &Device::Cpu)?;
    }
    Ok(adapter)
}

fn moved(adapter: &Adapter, device: &Device) -> Result<Adapter> {
    let mut moved = adapter.clone();
    for pair in moved.pairs.values_mut() {
        *pair = LoraPair { a: pair.a.to_device(device)?, b: pair.b.to_device(device)? };
    }
    Ok(moved)
}

fn compute(base: &BaseModel, decoder: &Decoder, adapter: &Adapter, rows: &[TrainRow]) -> Result<Computed> {
    let ids: Vec<&[u32]> = rows.iter().map(|row| row.encoded.ids.as_slice()).collect();
    let adapter_set = AdapterSet::new(decoder, vec![adapter])?;
    let hidden = decoder.hidden(&Packed::from_rows(&ids, adapter_set.only()), &adapter_set, None)?;
    let logits = decoder.logits(&hidden)?.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    let window: Vec<&TrainRow> = rows.iter().collect();
    let settings = StepSettings { max_tokens: 4096, saving: Saving::Activations };
    let window = Window { adapter, rows: &window, dropout_seed: 7, kl: 0.0 };
    let (loss, gradients) = window_gradients(decoder, &[window], settings)?.pop().context("a window has gradients")?;
    let prompts: Vec<Prompt> = rows
        .iter()
        .map(|row| Prompt {
            ids: row.encoded.ids.iter().zip(&row.encoded.mask).take_while(|(_, label)| !**label).map(|(id, _)| *id).collect(),
            max_new_tokens: 12,
            adapter: adapter_set.only(),
        })
        .collect();
    let mut answers = vec![Vec::new(); prompts.len()];
    Answering::new(decoder, &adapter_set).generate(&prompts, &base.codec.stops, &mut |i, Generated { ids, .. }| {
        answers[i] = ids;
        Ok(())
    })?;
    Ok(Computed { logits, loss, gradients, answers })
}

/// Prints every kernel alone against its host twin; gives how many are outside their limit.
#[cfg(feature = "cuda")]
fn compare_kernels(decoder: &Decoder, limits: &Limits) -> Result<usize> {
    let kind = format!("{:?}", decoder.dtype()).to_lowercase();
    let mut text = String::new();
    let mut failed = 0;
    for kernels::Checked { kernel, error } in kernels::check(decoder)? {
        let ok = error <= limits.kernel;
        failed += usize::from(!ok);
        writeln!(text, "  {:<5} {kind} kernel {kernel}: {error:.2e} (limit {:.1e})", if ok { "ok" } else { "FAIL" }, limits.kernel)?;
    }
    print(&text)?;
    Ok(failed)
}

/// Prints each comparison; gives how many are outside their limits.
fn compare(kind: &str, found: &Computed, expected: &Computed, limits: &Limits) -> Result<usize> {
    let mut failed = 0;
    let mut text = String::new();
    let mut line = |what: &str, value: f64, limit: f64| -> Result<()> {
        let ok = value <= limit;
        failed += usize::from(!ok);
        writeln!(text, "  {:<5} {kind} {what}: {value:.2e} (limit {limit:.1e})", if ok { "ok" } else { "FAIL" })?;
        Ok(())
    };
    line(
        "logits, largest difference over largest value",
        largest(&(&found.logits - &expected.logits)?)? / largest(&expected.logits)?,
        limits.logits,
    )?;
    line("loss, relative difference", ((found.loss.total - expected.loss.total) / expected.loss.total).abs(), limits.loss)?;
    let norm = |x: &Tensor| -> Result<f64> { Ok(f64::from(x.sqr()?.sum_all()?.to_scalar::<f32>()?).sqrt()) };
    let mut worst = (0.0, "none".to_owned());
    for (site, wanted) in &expected.gradients {
        let Some(got) = found.gradients.get(site) else { bail!("{site} got no gradient") };
        for (half, got, wanted) in [("A", &got.a, &wanted.a), ("B", &got.b, &wanted.b)] {
            let got = got.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
            let error = norm(&(got - wanted)?)? / norm(wanted)?.max(f64::MIN_POSITIVE);
            // A NaN is worse than everything.
            if !error.is_finite() || error > worst.0 {
                worst = (if error.is_finite() { error } else { f64::INFINITY }, format!("{site}.{half}"));
            }
        }
    }
    line(
        &format!("gradients of {} pairs, worst at {}, norm of the difference over the norm", expected.gradients.len(), worst.1),
        worst.0,
        limits.gradient,
    )?;
    let same = found.answers.iter().zip(&expected.answers).filter(|(a, b)| a == b).count();
    // Greedy answers may part at a near tie, so they are shown and not judged.
    writeln!(text, "  note  {kind} greedy answers: {same} of {} are the host's", expected.answers.len())?;
    print(&text)?;
    Ok(failed)
}
