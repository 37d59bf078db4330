//! The training loop on a tiny model: it learns, repeats itself bit for bit, survives a kill, and stops on NaN.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use ballast::data::chat::Encoded;
use ballast::error::{Interrupted, Invalid};
use ballast::model::adapter;
use ballast::model::decoder::{Decoder, Gradients, LossSum, Saving};
use ballast::model::lora::{Adapter, LoraConfig, Module};
use ballast::train::batch::TrainRow;
use ballast::train::optim::AdamWConfig;
use ballast::train::run::{Checkpoints, Member, Observer, Stage, Together, TrainSettings};
use ballast::train::step::{StepSettings, Window, window_gradients};
use ballast::train::telemetry::StepRow;
use candle_core::{Device, Tensor};
use common::{largest_difference, lora_config, tiny};

/// Rows of different lengths, each a little pattern to learn.
fn rows(count: usize) -> Vec<TrainRow> {
    let row = |i: usize| {
        let length = 6 + (i * 5) % 9;
        let ids: Vec<u32> = (0..length).map(|t| ((i * 31 + t * 7) % 200) as u32).collect();
        let mask = (0..length).map(|t| t >= 3).collect();
        TrainRow { encoded: Encoded { ids, mask }, origin: format!("pattern:{i}") }
    };
    (0..count).map(row).collect()
}

fn stage(name: &str, rows: Vec<TrainRow>, steps: usize) -> Stage {
    Stage { name: name.into(), rows, steps, learning_rate: 5e-3, warmup_ratio: 0.05, window: 4 }
}

fn settings(saving: Saving, max_tokens: usize) -> TrainSettings {
    TrainSettings { optimizer: AdamWConfig::default(), step: StepSettings { max_tokens, saving }, seed: 7 }
}

fn member<'a>(adapter: Adapter, stages: &'a [Stage], settings: &TrainSettings) -> Member<'a> {
    Member { name: "A-s1".to_owned(), adapter, stages, settings: settings.clone() }
}

fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints { path: folder.join("checkpoint.safetensors"), every: 3 }
}

/// One adapter alone.
fn train(
    decoder: &Decoder,
    adapter: Adapter,
    stages: &[Stage],
    settings: &TrainSettings,
    folder: &Path,
    notes: &mut Notes,
) -> anyhow::Result<Adapter> {
    ballast::train::run::train(decoder, member(adapter, stages, settings), checkpoints(folder), notes)
}

/// Loss and gradients of one adapter's window.
fn gradients(decoder: &Decoder, adapter: &Adapter, rows: &[&TrainRow], dropout_seed: u64, settings: StepSettings) -> (LossSum, Gradients) {
    window_gradients(decoder, &[Window { adapter, rows, dropout_seed }], settings).unwrap().pop().unwrap()
}

/// Keeps the rows, and asks for a stop after some steps.
#[derive(Default)]
struct Notes {
    rows: Vec<StepRow>,
    stop_after: Option<usize>,
}

impl Observer for Notes {
    fn on_step(&mut self, row: &StepRow) -> anyhow::Result<()> {
        self.rows.push(row.clone());
        Ok(())
    }
    fn on_adapter(&mut self, _: usize, _: &Adapter) -> anyhow::Result<()> {
        Ok(())
    }
    fn interrupted(&self) -> bool {
        self.stop_after.is_some_and(|steps| self.rows.len() >= steps)
    }
}

fn fresh(decoder: &Decoder) -> Adapter {
    let config = LoraConfig { dropout: 0.05, ..lora_config() };
    Adapter::init(&decoder.spec, &config, 3, &Device::Cpu).unwrap()
}

fn stages() -> Vec<Stage> {
    vec![stage("anchor", rows(10), 7), stage("generalize", rows(13), 6)]
}

/// What a row says, less the columns that depend on the clock.
fn timeless(row: &StepRow) -> String {
    let mut row = row.clone();
    (row.seconds, row.tokens_per_second, row.memory_mib) = (0.0, 0.0, None);
    format!("{row:?}")
}

#[test]
fn the_loss_falls_and_every_tensor_moves() {
    let decoder = tiny("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let mut notes = Notes::default();
    let start = fresh(&decoder);
    let long = [stage("one", rows(8), 40)];
    let end = train(&decoder, start.clone(), &long, &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap();
    let (first, last) = (notes.rows[0].loss, notes.rows[39].loss);
    assert!(last < 0.7 * first, "{first} to {last}");
    for (site, pair) in &end.pairs {
        assert!(largest_difference(&pair.a, &start.pairs[site].a) > 1e-5, "{site} A");
        assert!(largest_difference(&pair.b, &start.pairs[site].b) > 1e-5, "{site} B");
    }
    // B is zero at the start, so A has no gradient in the first step; B has.
    assert_eq!(notes.rows[0].norm(Module::Q, true), Some(0.0));
    assert!(notes.rows[0].norm(Module::Q, false).unwrap() > 0.0);
    assert_eq!(notes.rows[0].learning_rate, 0.0);
}

#[test]
fn variants_trained_side_by_side_learn_what_each_learns_alone() {
    let decoder = tiny("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(Saving::Activations, 4096);
    let recipes = [stages(), vec![stage("short", rows(5), 4)], vec![stage("anchor", rows(8), 9)]];
    let starts: Vec<Adapter> = (0..3)
        .map(|seed| Adapter::init(&decoder.spec, &LoraConfig { dropout: 0.05, ..lora_config() }, seed, &Device::Cpu).unwrap())
        .collect();
    let mut together: Vec<Notes> = (0..3).map(|_| Notes::default()).collect();
    let mut observers: Vec<&mut dyn Observer> = together.iter_mut().map(|notes| notes as &mut dyn Observer).collect();
    let members = (recipes.iter().zip(&starts).enumerate())
        .map(|(i, (stages, start))| Member { name: format!("{i}"), ..member(start.clone(), stages, &settings) });
    let mut group = Together::open(&decoder, members.collect(), checkpoints(folder.path()), &mut observers).unwrap();
    while !group.is_done() {
        group.step(&decoder, &mut observers).unwrap();
    }
    let learned = group.into_adapters();
    for (i, (stages, start)) in recipes.iter().zip(&starts).enumerate() {
        let mut notes = Notes::default();
        std::fs::create_dir(folder.path().join(format!("alone-{i}"))).unwrap();
        let alone = train(&decoder, start.clone(), stages, &settings, &folder.path().join(format!("alone-{i}")), &mut notes).unwrap();
        assert_eq!(together[i].rows.len(), notes.rows.len());
        for (a, b) in together[i].rows.iter().zip(&notes.rows) {
            assert_eq!((a.step, &a.stage, a.tokens, a.label_tokens), (b.step, &b.stage, b.tokens, b.label_tokens));
            assert!((a.loss - b.loss).abs() < 1e-4 * b.loss, "variant {i}, step {}: {} and {}", a.step, a.loss, b.loss);
        }
        for (site, pair) in &alone.pairs {
            let ours = &learned[i].pairs[site];
            // Rounding grows through the steps; what was learned is a hundred times larger.
            assert!(largest_difference(&ours.a, &pair.a) < 1e-3, "variant {i} {site} A");
            assert!(largest_difference(&ours.b, &pair.b) < 1e-3, "variant {i} {site} B");
        }
    }
}

#[test]
fn two_runs_are_bitwise_equal() {
    let decoder = tiny("llama");
    let run = || {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = Notes::default();
        let adapter = train(&decoder, fresh(&decoder), &stages(), &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap();
        (adapter::to_safetensors(&adapter).unwrap(), notes.rows.iter().map(timeless).collect::<Vec<_>>())
    };
    assert!(run() == run());
}

#[test]
fn a_stopped_run_continues_to_the_same_bytes() {
    let decoder = tiny("llama");
    let whole = {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = Notes::default();
        let adapter = train(&decoder, fresh(&decoder), &stages(), &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap();
        (adapter::to_safetensors(&adapter).unwrap(), notes.rows.iter().map(timeless).collect::<Vec<_>>())
    };
    // Stopped in the first stage, at the border, and in the second.
    for stop_after in [2, 5, 7, 9, 12] {
        let folder = tempfile::tempdir().unwrap();
        let settings = settings(Saving::Activations, 4096);
        let mut notes = Notes { stop_after: Some(stop_after), ..Notes::default() };
        let stopped = train(&decoder, fresh(&decoder), &stages(), &settings, folder.path(), &mut notes).unwrap_err();
        assert!(stopped.chain().any(<dyn std::error::Error>::is::<Interrupted>), "{stopped:#}");
        notes.stop_after = None;
        let adapter = train(&decoder, fresh(&decoder), &stages(), &settings, folder.path(), &mut notes).unwrap();
        assert!(adapter::to_safetensors(&adapter).unwrap() == whole.0, "stopped after {stop_after}");
        assert_eq!(notes.rows.iter().map(timeless).collect::<Vec<_>>(), whole.1, "stopped after {stop_after}");
    }
}

#[test]
fn a_kill_loses_only_the_steps_since_the_last_checkpoint() {
    let decoder = tiny("llama");
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(Saving::Activations, 4096);
    let whole = train(&decoder, fresh(&decoder), &stages(), &settings, folder.path(), &mut Notes::default()).unwrap();
    // The checkpoint that the finished run left behind is that of step 12: as if it had been killed at step 13.
    let mut notes = Notes::default();
    let again = train(&decoder, fresh(&decoder), &stages(), &settings, folder.path(), &mut notes).unwrap();
    assert_eq!(notes.rows.iter().map(|row| row.step).collect::<Vec<_>>(), [13]);
    assert!(adapter::to_safetensors(&again).unwrap() == adapter::to_safetensors(&whole).unwrap());
}

#[test]
fn a_window_gives_one_update_however_it_is_packed() {
    let decoder = tiny("qwen2");
    let adapter = common::random_adapter(&decoder.spec);
    let adapter = Adapter { config: LoraConfig { dropout: 0.1, ..adapter.config.clone() }, ..adapter };
    let rows = rows(6);
    let window: Vec<&TrainRow> = rows.iter().collect();
    let at = |max_tokens, saving| gradients(&decoder, &adapter, &window, 5, StepSettings { max_tokens, saving });
    let (loss, together) = at(4096, Saving::Activations);
    for max_tokens in [1, 20, 40] {
        let (split_loss, split) = at(max_tokens, Saving::Inputs);
        assert!((loss.total - split_loss.total).abs() < 1e-4 * loss.total);
        assert_eq!((loss.labels, loss.hits), (split_loss.labels, split_loss.hits));
        for (site, gradient) in &together {
            let size = gradient.b.abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(largest_difference(&gradient.a, &split[site].a) < 1e-4 * size.max(1e-2), "{site}");
            assert!(largest_difference(&gradient.b, &split[site].b) < 1e-4 * size.max(1e-2), "{site}");
        }
    }
}

#[test]
fn the_loss_is_the_mean_over_the_windows_label_tokens() {
    let decoder = tiny("llama");
    let adapter = common::random_adapter(&decoder.spec);
    let rows = rows(4);
    let settings = StepSettings { max_tokens: 4096, saving: Saving::Activations };
    let one = |row: &TrainRow| gradients(&decoder, &adapter, &[row], 1, settings).0;
    let window: Vec<&TrainRow> = rows.iter().collect();
    let (loss, _) = gradients(&decoder, &adapter, &window, 1, settings);
    let total: f64 = rows.iter().map(|row| one(row).total).sum();
    let labels: usize = rows.iter().map(|row| one(row).labels).sum();
    assert!((loss.total / loss.labels as f64 - total / labels as f64).abs() < 1e-5);
    let mean_of_means: f64 = rows.iter().map(|row| one(row).total / one(row).labels as f64).sum::<f64>() / 4.0;
    assert!((loss.total / loss.labels as f64 - mean_of_means).abs() > 1e-3, "the wrong mean is told apart");
}

#[test]
fn numbers_that_are_not_finite_stop_the_run_and_say_where() {
    let decoder = tiny("llama");
    let folder = tempfile::tempdir().unwrap();
    let mut adapter = fresh(&decoder);
    let broken = ballast::model::lora::Site { layer: 1, module: ballast::model::lora::Module::Up };
    let pair = adapter.pairs.get_mut(&broken).unwrap();
    pair.b = Tensor::full(f32::NAN, pair.b.shape(), &Device::Cpu).unwrap();
    let mut notes = Notes::default();
    let error = train(&decoder, adapter, &stages(), &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap_err();
    assert!(error.chain().any(<dyn std::error::Error>::is::<Invalid>));
    let text = format!("{error:#}");
    for part in ["stage `anchor`", "step 1", "layers.1.mlp.up_proj", "pattern:"] {
        assert!(text.contains(part), "{text}");
    }
    assert!(notes.rows.is_empty(), "no row of zeros is written");
}

#[test]
fn a_group_stopped_anywhere_continues_to_the_same_bytes() {
    let decoder = tiny("llama");
    let recipes = [stages(), vec![stage("short", rows(5), 4)]];
    let settings = settings(Saving::Activations, 4096);
    let run = |folder: &Path, stop_after: Option<usize>, notes: &mut [Notes; 2]| {
        notes[0].stop_after = stop_after;
        let mut observers: Vec<&mut dyn Observer> = notes.iter_mut().map(|notes| notes as &mut dyn Observer).collect();
        let members = recipes.iter().zip(["long", "short"]);
        let members = members.map(|(stages, name)| Member { name: name.to_owned(), ..member(fresh(&decoder), stages, &settings) });
        let mut group = Together::open(&decoder, members.collect(), checkpoints(folder), &mut observers)?;
        while !group.is_done() {
            group.step(&decoder, &mut observers)?;
        }
        anyhow::Ok(group.into_adapters().iter().map(|adapter| adapter::to_safetensors(adapter).unwrap()).collect::<Vec<_>>())
    };
    let folder = tempfile::tempdir().unwrap();
    let whole = run(folder.path(), None, &mut <[Notes; 2]>::default()).unwrap();
    // The short one is done after step 4.
    for stop_after in [1, 3, 4, 5, 12] {
        let folder = tempfile::tempdir().unwrap();
        let mut notes = <[Notes; 2]>::default();
        assert!(run(folder.path(), Some(stop_after), &mut notes).is_err());
        assert!(run(folder.path(), None, &mut notes).unwrap() == whole, "stopped after {stop_after}");
        assert_eq!((notes[0].rows.len(), notes[1].rows.len()), (13, 4), "no step is lost or made twice");
    }
}
