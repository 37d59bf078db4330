//! `ballast bench`: training, decoding and prefill timed here, by the peers beside us, and against what the device could
//! do at best.
//!
//! `work` says what is timed, `cost` what it must compute and move, `floor` what the device does at best, `ours` runs it
//! here and `peer` elsewhere, `memory` watches, `table` prints `results`. A model's files are not needed: the time of dense
//! arithmetic does not depend on its numbers, so `shape` draws them.

mod cost;
mod floor;
mod memory;
mod ours;
mod peer;
mod results;
mod shape;
mod table;
mod work;

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Result, ensure};
use candle_core::{DType, Device};

use self::cost::{Rates, Sizes, floor_seconds};
use self::memory::Meter;
use self::peer::Job;
use self::results::{Measured, PartResults, Results};
use self::work::Work;
use super::circumstances::device_name;
use super::{fetched, print};
use crate::cli::{BenchArgs, Part, Peer};
use crate::files::read_text;
use crate::model::base::BaseModel;
use crate::model::decoder::Decoder;
use crate::model::device::DeviceChoice;
use crate::model::fetch::ModelFiles;
use crate::model::gguf::open_gguf;
use crate::model::spec::Spec;
use crate::progress::note;

/// What this program is called in the results.
const PROGRAM: &str = "ballast";

pub(super) fn bench(args: &BenchArgs) -> Result<()> {
    ensure!(args.repeats > 0, "--repeats is 0: nothing would be measured");
    let choice = args.device.device;
    if !cfg!(feature = "cuda") {
        choice.open()?;
    }
    let subject = Subject::of(args)?;
    ensure!(
        subject.gguf.is_some() || !args.peers.contains(&Peer::LlamaCpp),
        "llama.cpp reads a GGUF file: name one with --model instead of --shape"
    );
    let work = if args.small { Work::small() } else { Work::full(choice != DeviceChoice::Cpu) };
    let parts: Vec<Part> = Part::ALL.into_iter().filter(|part| args.only.is_empty() || args.only.contains(part)).collect();
    let meter = Meter::start(choice);

    // Peers first: once this process has opened a GPU, it holds memory there until it ends.
    let theirs = peers(args, &subject, &work, &parts, &meter)?;
    let device = choice.open()?;
    let rates = floor::measure(&device, choice.weight_type(), &work)?;
    let decoder = subject.decoder(args, &device, choice.weight_type())?;
    let mut measured = Vec::new();
    for part in &parts {
        let found = time(*part, &decoder, &work, args, &meter);
        note(&table::note(&found, &work.title(*part)));
        measured.push(found);
    }
    measured.extend(theirs);

    let sizes = Sizes::of(&subject.spec, ours::lora().rank, choice.weight_type().size_in_bytes());
    let results = Results {
        ballast: env!("CARGO_PKG_VERSION").to_owned(),
        model: subject.name,
        device: describe(choice),
        dtype: choice.weight_type().as_str().to_owned(),
        parts: parts.iter().map(|part| part_results(*part, sizes, &work, rates, &measured)).collect(),
        work,
        rates,
    };
    print(&if args.json { serde_json::to_string_pretty(&results)? + "\n" } else { table::render(&results) })
}

/// What is timed: a model's own weights, or weights drawn for a shape.
struct Subject {
    name: String,
    spec: Spec,
    /// Of a model.
    files: Option<ModelFiles>,
    gguf: Option<PathBuf>,
}

impl Subject {
    fn of(args: &BenchArgs) -> Result<Self> {
        if let Some(shape) = args.shape {
            let name = clap::ValueEnum::to_possible_value(&shape).map_or_else(String::new, |value| value.get_name().to_owned());
            return Ok(Self { name: format!("shape {name}"), spec: shape.spec(), files: None, gguf: None });
        }
        let files = fetched::files(&args.model)?;
        let (spec, gguf) = match &files {
            ModelFiles::Gguf(path) => (open_gguf(path)?.spec()?, Some(path.clone())),
            ModelFiles::Folder(folder) => (Spec::from_config_json(&read_text(&folder.join("config.json"))?)?, None),
        };
        Ok(Self { name: args.model.clone(), spec, files: Some(files), gguf })
    }

    fn decoder(&self, args: &BenchArgs, device: &Device, dtype: DType) -> Result<Decoder> {
        match (&self.files, args.shape) {
            (None, Some(shape)) => Decoder::new(shape.spec(), shape.weights(args.seed, device, dtype)?),
            (Some(files), _) => Ok(BaseModel::load_as(&self.name, files, device, dtype)?.decoder),
            (None, None) => unreachable!("a subject without a shape has files"),
        }
    }
}

fn peers(args: &BenchArgs, subject: &Subject, work: &Work, parts: &[Part], meter: &Meter) -> Result<Vec<Measured>> {
    let choice = args.device.device;
    let mut all = Vec::new();
    for peer in &args.peers {
        let job = Job {
            config: peer::config(&subject.spec),
            gguf: subject.gguf.clone(),
            device: choice.to_string(),
            dtype: if choice == DeviceChoice::Cpu { "float32" } else { "bfloat16" },
            threads: rayon::current_num_threads(),
            seed: args.seed,
            repeats: args.repeats,
            warmup: args.warmup,
            parts,
            work,
            lora: ours::lora(),
        };
        meter.reset();
        peer::run(*peer, &args.python, &job, &mut |mut measured| {
            if meter.sees_others() {
                measured.peak_mib = meter.peak();
                meter.reset();
            }
            note(&table::note(&measured, &work.title(measured.part)));
            all.push(measured);
        })?;
    }
    Ok(all)
}

/// One part here. A failure is a result: the other parts may still fit the device.
fn time(part: Part, decoder: &Decoder, work: &Work, args: &BenchArgs, meter: &Meter) -> Measured {
    meter.reset();
    let mut seconds = Vec::new();
    let mut repeat = || -> Result<()> {
        ours::reset_allocated(decoder.device())?;
        let mut run = ours::prepare(part, decoder, work, args.seed)?;
        for repeat in 0..args.warmup + args.repeats {
            ours::synchronize(decoder.device())?;
            let started = Instant::now();
            run()?;
            ours::synchronize(decoder.device())?;
            if repeat >= args.warmup {
                seconds.push(started.elapsed().as_secs_f64());
            }
        }
        if args.profile {
            let spent = ours::profile(&mut run, decoder.device())?;
            note(&table::profile(&work.title(part), &spent));
        }
        Ok(())
    };
    let error = repeat().err().map(|error| format!("{error:#}"));
    if error.is_some() {
        seconds.clear();
    }
    let how = ours::how(part);
    let allocated_mib = ours::allocated_mib(decoder.device()).ok().flatten();
    let versions = concat!("ballast ", env!("CARGO_PKG_VERSION")).to_owned();
    Measured { program: PROGRAM.to_owned(), versions, part, how, seconds, peak_mib: meter.peak(), allocated_mib, error }
}

fn part_results(part: Part, sizes: Sizes, work: &Work, rates: Rates, measured: &[Measured]) -> PartResults {
    let phases = sizes.phases(part, work);
    PartResults {
        part,
        tokens: work.tokens(part),
        flops: phases.iter().map(|phase| phase.flops).sum(),
        bytes: phases.iter().map(|phase| phase.bytes).sum(),
        floor_seconds: floor_seconds(&phases, rates),
        measured: measured.iter().filter(|measured| measured.part == part).cloned().collect(),
    }
}

/// The device by its own name, where the system tells it.
fn describe(choice: DeviceChoice) -> String {
    let name = device_name(choice).map(|name| match choice {
        DeviceChoice::Cpu => format!("{name}, {} threads", rayon::current_num_threads()),
        DeviceChoice::Cuda(_) => name,
    });
    name.map_or_else(|| choice.to_string(), |name| format!("{choice} ({name})"))
}
