//! The training loop on a tiny model: it learns, repeats itself bit for bit, survives a kill, and stops on NaN.
#![allow(clippy::unwrap_used, clippy::float_cmp, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use ballast::data::chat::Encoded;
use ballast::error::{Interrupted, Invalid};
use ballast::model::adapter;
use ballast::model::decoder::{Decoder, LossSum, Saving};
use ballast::model::lora::Gradients;
use ballast::model::lora::{Adapter, LoraConfig};
use ballast::model::site::Module;
use ballast::train::batch::{Towards, TrainRow};
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
        TrainRow::plain(Encoded { ids, mask }, format!("pattern:{i}"))
    };
    (0..count).map(row).collect()
}

fn stage(name: &str, rows: Vec<TrainRow>, steps: usize) -> Stage {
    Stage { name: name.into(), rows, steps, learning_rate: 5e-3, warmup_ratio: 0.05, window: 4, kl: 0.0 }
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
    window_gradients(decoder, &[Window { adapter, rows, dropout_seed, kl: 0.0 }], settings).unwrap().pop().unwrap()
}

fn loss(row: &StepRow) -> f64 {
    row.loss.unwrap()
}

/// Keeps the rows, and asks for a stop after some steps.
#[derive(Default)]
struct Notes {
    rows: Vec<StepRow>,
    stop_after: Option<usize>,
    /// Trained enough after this step.
    enough_after: Option<usize>,
}

impl Observer for Notes {
    fn on_step(&mut self, row: &StepRow) -> anyhow::Result<()> {
        self.rows.push(row.clone());
        Ok(())
    }
    fn on_adapter(&mut self, _: usize, _: &Adapter) -> anyhow::Result<()> {
        Ok(())
    }
    fn enough(&self) -> bool {
        self.enough_after == Some(self.rows.len())
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

/// The divergence from the base, mean over the last five steps, after training with a factor of it in the loss.
fn divergence(kl: f64, towards: Towards) -> (f64, f64) {
    let decoder = tiny("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let mut notes = Notes::default();
    let mut all = rows(8);
    // Half of the rows are trained towards what they say, and these are held to the base too or the other half is.
    for row in &mut all[..4] {
        row.towards = if towards == Towards::Base { Towards::Targets } else { Towards::TargetsAndBase };
    }
    for row in &mut all[4..] {
        row.towards = if towards == Towards::Base { Towards::Base } else { Towards::Targets };
    }
    let stages = [Stage { kl, window: 8, ..stage("one", all, 40) }];
    train(&decoder, fresh(&decoder), &stages, &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap();
    let mean = |of: fn(&StepRow) -> f64| notes.rows[35..].iter().map(of).sum::<f64>() / 5.0;
    assert!(notes.rows[0].divergence.unwrap().abs() < 1e-6, "an untrained adapter is the base");
    (mean(|row| row.divergence.unwrap()), mean(loss))
}

#[test]
fn rows_held_to_the_base_stay_nearer_to_it() {
    for towards in [Towards::TargetsAndBase, Towards::Base] {
        let ((free, _), (held, loss)) = (divergence(1e-9, towards), divergence(1.0, towards));
        assert!(free > 0.05 && held < 0.5 * free, "{towards:?}: {free} nats without, {held} with");
        assert!(loss < 5.0, "{towards:?}: what is trained towards is still learned, {loss}");
    }
}

#[test]
fn a_window_held_to_the_base_alone_has_no_loss_and_changes_nothing_at_first() {
    let decoder = tiny("llama");
    let folder = tempfile::tempdir().unwrap();
    let mut notes = Notes::default();
    let all = rows(4).into_iter().map(|row| TrainRow { towards: Towards::Base, ..row }).collect();
    let stages = [Stage { kl: 1.0, ..stage("one", all, 2) }];
    let start = fresh(&decoder);
    let end = train(&decoder, start.clone(), &stages, &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap();
    assert_eq!((notes.rows[0].loss, notes.rows[0].token_accuracy, notes.rows[0].label_tokens), (None, None, 0));
    // B stays where it is up to the rounding of a gradient that is zero; AdamW's division makes much of little.
    assert!(notes.rows.iter().all(|row| row.norms.total < 1e-6), "{:?}", notes.rows[0].norms);
    assert_eq!(end.pairs.len(), start.pairs.len());
}

#[test]
fn weights_of_labels_scale_their_gradients() {
    let decoder = tiny("qwen2");
    let adapter = common::random_adapter(&decoder.spec);
    let settings = StepSettings { max_tokens: 4096, saving: Saving::Activations };
    let of = |weights: Option<f32>| {
        let all: Vec<TrainRow> =
            rows(3).into_iter().map(|row| TrainRow { weights: weights.map(|w| vec![w; row.encoded.labels()]), ..row }).collect();
        gradients(&decoder, &adapter, &all.iter().collect::<Vec<_>>(), 7, settings)
    };
    let ((loss, plain), (half_loss, half), (_, none)) = (of(None), of(Some(0.5)), of(Some(0.0)));
    assert_eq!(loss, half_loss, "the loss that is told is unweighted");
    for (site, gradient) in &plain {
        assert!(largest_difference(&(&gradient.a * 0.5).unwrap(), &half[site].a) < 1e-6, "{site}");
        assert!(largest_difference(&none[site].a, &none[site].a.zeros_like().unwrap()) == 0.0, "{site}");
    }
}

#[test]
fn a_variant_that_is_trained_enough_stops_and_another_beside_it_goes_on() {
    let decoder = tiny("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let (stages, how) = ([stage("one", rows(8), 6), stage("two", rows(8), 4)], settings(Saving::Activations, 4096));
    let members = || {
        let member = |name: &str| Member { name: name.to_owned(), ..member(fresh(&decoder), &stages, &how) };
        vec![member("short"), member("long")]
    };
    let (mut short, mut long) = (Notes { enough_after: Some(3), ..Notes::default() }, Notes::default());
    let mut observers: [&mut dyn Observer; 2] = [&mut short, &mut long];
    let mut together = Together::open(&decoder, members(), checkpoints(folder.path()), &mut observers).unwrap();
    while !together.is_done() {
        together.step(&decoder, &mut observers).unwrap();
    }
    let adapters = together.into_adapters();
    assert_eq!((short.rows.len(), long.rows.len()), (3, 10));
    let mut alone = Notes { enough_after: Some(3), ..Notes::default() };
    let end = train(&decoder, fresh(&decoder), &stages, &how, tempfile::tempdir().unwrap().path(), &mut alone).unwrap();
    assert_eq!(alone.rows.len(), 3);
    for (site, pair) in &end.pairs {
        assert!(largest_difference(&pair.b, &adapters[0].pairs[site].b) < 1e-5, "{site}");
    }
}

#[test]
fn the_loss_falls_and_every_tensor_moves() {
    let decoder = tiny("qwen2");
    let folder = tempfile::tempdir().unwrap();
    let mut notes = Notes::default();
    let start = fresh(&decoder);
    let long = [stage("one", rows(8), 40)];
    let end = train(&decoder, start.clone(), &long, &settings(Saving::Activations, 4096), folder.path(), &mut notes).unwrap();
    let (first, last) = (loss(&notes.rows[0]), loss(&notes.rows[39]));
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
            assert!((loss(a) - loss(b)).abs() < 1e-4 * loss(b), "variant {i}, step {}: {} and {}", a.step, loss(a), loss(b));
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
    let broken = ballast::model::site::Site { layer: 1, module: ballast::model::site::Module::Up };
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
