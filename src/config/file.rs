//! An experiment as written: one TOML file. Every key is known or an error; every default is written here.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::data::chat::ChatSettings;
use crate::data::identity::Identity;
use crate::data::mix::SourceSpec;
use crate::data::thinking::Thinking;
use crate::eval::mapping::Reference;
use crate::eval::suite::{Language, PromptFormat};
use crate::model::lora::LoraConfig;
use crate::model::site::Module;
use crate::model::template::shipped;
use crate::train::optim::AdamWConfig;
use crate::train::weights::TokenWeights;

/// Most epochs or steps of a stage: more would take years, and their product with rows must fit a machine's word.
const MOST: usize = 1_000_000;

/// One experiment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Short name: of the run directory and the report folder.
    pub name: String,
    /// One line for the report's head.
    pub title: String,
    /// Catalogue name, `hf:owner/repo`, GGUF file or safetensors folder.
    pub model: String,
    /// A shipped chat template in place of the model's own: `chatml`, `gemma` or `plain`. A base model has none and needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// Training seeds: one cell a variant and seed.
    pub seeds: Vec<u64>,
    /// System prompt of training rows that have none, and of every question.
    pub system: String,
    /// Cells that are trained and asked together in shared forward passes, the base counted as one. If not given: 1 on a CPU,
    /// which gains nothing from larger batches and shows results early so; all on a GPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cells_together: Option<usize>,
    /// Of models that think before they answer.
    #[serde(default, skip_serializing_if = "Thinking::is_default")]
    pub thinking: Thinking,
    /// The new identity.
    pub identity: Identity,
    /// How adapters are made.
    #[serde(default = "default_lora")]
    pub lora: LoraConfig,
    /// How they are trained.
    #[serde(default)]
    pub training: Training,
    /// How drift is measured.
    #[serde(default)]
    pub drift: DriftConfig,
    /// Small evaluations during training.
    #[serde(default)]
    pub probe: ProbeConfig,
    /// Why variants forget, measured in training.
    #[serde(default, skip_serializing_if = "InterferenceConfig::is_off")]
    pub interference: InterferenceConfig,
    /// What variants are evaluated on.
    pub suites: Vec<SuiteChoice>,
    /// What is compared.
    pub variants: Vec<Variant>,
}

/// Training settings common to all variants.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Training {
    /// Rows of one optimizer step.
    pub window: usize,
    /// Share of a stage's steps that warm up.
    pub warmup_ratio: f64,
    /// Longest row in tokens; longer rows are left out and reported.
    pub max_length: usize,
    /// Tokens of one forward pass at most: bounds memory, changes nothing else.
    pub tokens_per_pass: usize,
    /// Compute each layer again in the backward pass instead of keeping its activations.
    pub checkpoint_layers: bool,
    /// Optimizer steps between two saved states.
    pub save_every: usize,
    /// AdamW's constants.
    pub optimizer: AdamWConfig,
}

impl Default for Training {
    fn default() -> Self {
        Self {
            window: 16,
            warmup_ratio: 0.05,
            max_length: 2048,
            tokens_per_pass: 4096,
            checkpoint_layers: false,
            save_every: 10,
            optimizer: AdamWConfig::default(),
        }
    }
}

/// Drift is measured on questions of the suites, continued by the base's own answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftConfig {
    /// Steps between two measurements in training; 0 measures only at the end.
    pub every: usize,
    /// Questions, drawn over all suites but identity.
    pub prompts: usize,
    /// Longest answer of the base.
    pub max_new_tokens: usize,
}

impl Default for DriftConfig {
    fn default() -> Self {
        Self { every: 10, prompts: 16, max_new_tokens: 24 }
    }
}

/// Accuracy against step, on a few items of some suites.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProbeConfig {
    /// Steps between two probes; 0 for none.
    pub every: usize,
    /// Items of each suite.
    pub items: usize,
    /// Which of the experiment's suites.
    pub suites: Vec<String>,
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { every: 0, items: 20, suites: Vec::new() }
    }
}

/// How what identity rows teach and what general rows teach pull at each linear, measured in training.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InterferenceConfig {
    /// Steps between two measurements, from step 0 on; 0 for none.
    pub every: usize,
    /// Rows that teach the identity, written as a stage's `sources` are.
    pub identity: Vec<String>,
    /// Rows that teach nothing of it.
    pub general: Vec<String>,
}

impl InterferenceConfig {
    fn is_off(&self) -> bool {
        *self == Self::default()
    }

    fn check(&self) -> Result<()> {
        let sources = || self.identity.iter().chain(&self.general);
        if self.every == 0 {
            ensure!(sources().next().is_none(), "[interference] names rows, but every is 0: it would measure nothing");
        } else {
            ensure!(
                !self.identity.is_empty() && !self.general.is_empty(),
                "[interference] has every = {}, but not both `identity` and `general` rows: \
                 identity = [\"ballast:identity#8\"], general = [\"ballast:general-en#8\"]",
                self.every
            );
        }
        for source in sources() {
            SourceSpec::parse(source, |path| Path::new(path).exists()).context("[interference]")?;
        }
        Ok(())
    }
}

/// A suite, or a seeded part of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteChoice {
    /// A shipped suite or a folder; with `path`, the name in tables.
    pub name: String,
    /// Where the suite is, if its name is not enough: a folder, or a public benchmark as `mmlu:FOLDER`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Worked examples before each question, for benchmarks of multiple choice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shots: Option<usize>,
    /// Whether these are asked as a chat, as plain text, or as text without the options.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<PromptFormat>,
    /// Only items of this language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<Language>,
    /// At most this many items, drawn by seed over languages and subjects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<usize>,
}

impl SuiteChoice {
    /// Where its questions are and how they are asked, in one word.
    pub fn source(&self) -> Result<String> {
        Reference::asked(self.path.as_ref().unwrap_or(&self.name), self.shots, self.form)
    }
}

/// A recipe of stages, or another variant's adapter at another strength.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name in tables.
    pub name: String,
    /// One line for the report.
    pub description: String,
    /// Only these of the experiment's seeds; all if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seeds: Option<Vec<u64>>,
    /// Stages, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<StageConfig>,
    /// Takes the adapter of this variant instead of training one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// Scale of that adapter.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lambda: Option<f64>,
    /// How its adapter is made, in place of the experiment's `[lora]`: the whole table.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lora: Option<LoraConfig>,
    /// Training ends once the drift measured in training, KL(base || variant) in nats, is above this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_at_drift: Option<f64>,
}

/// One stage of a recipe.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageConfig {
    /// `anchor`, `generalize`, `calibrate`, or any other name.
    pub name: String,
    /// `path`, `path#N` or `ballast:NAME#N`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Passes over the rows. Either this or `steps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub epochs: Option<usize>,
    /// Optimizer steps, over as many passes as they take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Peak rate.
    pub learning_rate: f64,
    /// Put in place of every row's system prompt; may use {{NAME}} and {{AUTHOR}}.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Rows too like a row of this source are left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without: Option<String>,
    /// Rows whose last answer is written by the base before training; written as `sources` are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub replay_sources: Vec<String>,
    /// Longest such answer; longer ones are left out. 256 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay_tokens: Option<usize>,
    /// Weighs each label's cross-entropy by what the frozen base makes of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_weights: Option<TokenWeights>,
    /// Adds this factor times the mean KL(base || adapted) at label positions to the loss: of `kl_sources` where there are any,
    /// else of the stage's own rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kl: Option<f64>,
    /// Rows whose labels are held to the base's predictions and not trained towards; written as `sources` are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kl_sources: Vec<String>,
    /// A calibration stage: must come last and take at most 15 % of the variant's steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub calibration: bool,
}

fn default_lora() -> LoraConfig {
    LoraConfig { rank: 8, alpha: 32.0, dropout: 0.05, targets: Module::ALL.to_vec(), rslora: false }
}

impl Experiment {
    /// Parses and checks an experiment; `label` is the file named in errors.
    pub fn parse(text: &str, label: &str) -> Result<Self> {
        let experiment: Self = toml::from_str(text).with_context(|| format!("{label} is not an experiment"))?;
        experiment.check().with_context(|| format!("{label} cannot be run"))?;
        Ok(experiment)
    }

    /// How a variant's adapter is made.
    pub fn lora_of<'a>(&'a self, variant: &'a Variant) -> &'a LoraConfig {
        variant.lora.as_ref().unwrap_or(&self.lora)
    }

    /// How conversations are put for the model.
    pub fn chat(&self) -> ChatSettings {
        ChatSettings { template: self.template.clone(), thinking: self.thinking }
    }

    /// Seeds x trained or derived variants.
    pub fn cells(&self) -> impl Iterator<Item = (&Variant, u64)> {
        self.variants.iter().flat_map(|variant| variant.seeds.as_ref().unwrap_or(&self.seeds).iter().map(move |seed| (variant, *seed)))
    }

    fn check(&self) -> Result<()> {
        let plain =
            |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)) && !name.starts_with('.');
        ensure!(plain(&self.name), "name `{}` may contain only letters, digits, `-`, `_` and `.`: it names a folder", self.name);
        ensure!(!self.seeds.is_empty(), "seeds is empty: give at least one");
        ensure!(self.seeds.iter().collect::<BTreeSet<_>>().len() == self.seeds.len(), "seeds names a seed twice");
        ensure!(self.cells_together != Some(0), "cells_together is 0: give at least 1, or leave it out");
        ensure!(!self.suites.is_empty(), "there is no [[suites]]: nothing would be evaluated");
        ensure!(!self.variants.is_empty(), "there is no [[variants]]: nothing would be compared");
        if let Some(name) = &self.template {
            shipped::source(name).context("template")?;
        }
        ensure!(self.thinking.budget > 0, "[thinking] budget is 0: to ask for none, leave `enable` out");
        self.lora.check()?;
        let t = &self.training;
        ensure!(
            t.window > 0 && t.max_length > 1 && t.tokens_per_pass > 0 && t.save_every > 0,
            "[training] window, max_length, tokens_per_pass and save_every must be positive"
        );
        t.optimizer.check()?;
        ensure!(
            self.drift.prompts > 0 && self.drift.max_new_tokens > 0,
            "[drift] prompts and max_new_tokens must be positive: drift is always measured at the end"
        );
        ensure!(
            self.probe.every == 0 || self.probe.items > 0 && !self.probe.suites.is_empty(),
            "[probe] has every = {}, but no items or no suites",
            self.probe.every
        );
        ensure!((0.0..1.0).contains(&t.warmup_ratio), "training.warmup_ratio is {}: use 0 up to less than 1", t.warmup_ratio);
        self.interference.check()?;
        for name in &self.probe.suites {
            ensure!(self.suites.iter().any(|suite| suite.name == *name), "probe.suites names `{name}`, which is not one of the [[suites]]");
        }
        let mut names = BTreeSet::from(["base"]);
        for variant in &self.variants {
            ensure!(
                plain(&variant.name),
                "variant name `{}` may contain only letters, digits, `-`, `_` and `.`: it names a folder",
                variant.name
            );
            ensure!(names.insert(&variant.name), "there are two variants named `{}` (`base` is taken by the base model)", variant.name);
            self.check_variant(variant).with_context(|| format!("variant `{}`", variant.name))?;
        }
        let mut suites = BTreeSet::new();
        for suite in &self.suites {
            ensure!(suites.insert(&suite.name), "suite `{}` is named twice", suite.name);
            ensure!(suite.items != Some(0), "suite `{}` has items = 0: leave it out instead", suite.name);
        }
        Ok(())
    }

    fn check_variant(&self, variant: &Variant) -> Result<()> {
        for seed in variant.seeds.iter().flatten() {
            ensure!(self.seeds.contains(seed), "names seed {seed}, which is not one of the experiment's seeds");
            let lender = self.variants.iter().find(|other| Some(&other.name) == variant.of.as_ref());
            ensure!(
                lender.and_then(|lender| lender.seeds.as_ref()).is_none_or(|seeds| seeds.contains(seed)),
                "names seed {seed}, which the variant in `of` does not have"
            );
        }
        ensure!(variant.seeds.as_ref().is_none_or(|seeds| !seeds.is_empty()), "has an empty list of seeds: leave it out to use all");
        if let Some(lora) = &variant.lora {
            lora.check()?;
            ensure!(
                lora.dropout.total_cmp(&self.lora.dropout).is_eq(),
                "has lora.dropout = {}, the experiment {}: variants trained in one pass share it, so set it in [lora] alone",
                lora.dropout,
                self.lora.dropout
            );
        }
        if let Some(bound) = variant.stop_at_drift {
            ensure!((bound as f32).is_finite() && bound > 0.0, "stop_at_drift is {bound}: use a positive number of nats");
            ensure!(self.drift.every > 0, "has stop_at_drift, but drift.every is 0: drift would not be measured in training");
        }
        if let Some(of) = &variant.of {
            ensure!(variant.lora.is_none() && variant.stop_at_drift.is_none(), "has `of`, so `lora` and `stop_at_drift` would do nothing");
            ensure!(variant.stages.is_empty(), "has both stages and `of`: a variant is either trained or derived from another");
            let lambda = variant.lambda.context("has `of` but no `lambda`")?;
            ensure!((lambda as f32).is_finite(), "lambda is {lambda}: use a finite number");
            ensure!(
                self.variants.iter().take_while(|v| v.name != variant.name).any(|v| v.name == *of && v.of.is_none()),
                "has of = `{of}`, which is not a trained variant listed before it"
            );
            return Ok(());
        }
        ensure!(variant.lambda.is_none(), "has `lambda` but no `of`");
        ensure!(!variant.stages.is_empty(), "has no stages");
        let last = variant.stages.len() - 1;
        for (i, stage) in variant.stages.iter().enumerate() {
            let check = || -> Result<()> {
                ensure!(!stage.sources.is_empty() || !stage.replay_sources.is_empty(), "has no sources");
                for source in &stage.sources {
                    SourceSpec::parse(source, |path| Path::new(path).exists())?;
                }
                ensure!(stage.epochs.is_some() != stage.steps.is_some(), "needs either epochs or steps");
                ensure!(stage.epochs.or(stage.steps) != Some(0), "has 0 epochs or steps: leave it out instead");
                ensure!(stage.epochs.or(stage.steps).is_none_or(|many| many <= MOST), "has more than {MOST} epochs or steps");
                let rate = stage.learning_rate as f32;
                ensure!(rate.is_finite() && rate > 0.0, "has the learning rate {}", stage.learning_rate);
                if let Some(kl) = stage.kl {
                    ensure!((kl as f32).is_finite() && kl > 0.0, "has kl = {kl}: use a positive number (0.1 to 1 is usual)");
                }
                ensure!(stage.kl_sources.is_empty() || stage.kl.is_some(), "has kl_sources but no kl: give the factor");
                ensure!(stage.replay_tokens != Some(0), "has replay_tokens = 0: give at least 1");
                ensure!(
                    stage.replay_tokens.is_none() || !stage.replay_sources.is_empty(),
                    "has replay_tokens but no replay_sources: it would do nothing"
                );
                for source in stage.kl_sources.iter().chain(&stage.replay_sources) {
                    SourceSpec::parse(source, |path| Path::new(path).exists())?;
                }
                if let Some(weights) = stage.token_weights {
                    weights.check()?;
                }
                ensure!(!stage.calibration || i == last, "is a calibration stage, which must be the variant's last");
                Ok(())
            };
            check().with_context(|| format!("stage `{}`", stage.name))?;
        }
        Ok(())
    }
}
