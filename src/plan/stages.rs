//! The rows of every stage: sampled, filled in, checked against the suites and tokenized.

use std::path::Path;

use anyhow::{Context, Result, bail};

use super::PlannedSuite;
use crate::config::file::{Experiment, StageConfig, Variant};
use crate::counted::counted;
use crate::data::chat::ChatTemplate;
use crate::data::example::{Example, Message, Role};
use crate::data::identity::{Identity, inject_system};
use crate::data::language::Language;
use crate::data::mix::{SourceSpec, sample};
use crate::data::overlap::{Asked, OverlapIndex, find_overlaps, remove_overlap_with};
use crate::data::placeholder::{self, Placeholders};
use crate::data::thinking;
use crate::error::Invalid;
use crate::eval::suite::Item;
use crate::files::sha256;
use crate::library;
use crate::record::rows::{SourceCount, StageCount};
use crate::train::batch::{Towards, TrainRow};
use crate::train::run::Stage;
use crate::train::weights::TokenWeights;

/// Share of a variant's steps that a calibration stage may take.
const CALIBRATION_SHARE: f64 = 0.15;

/// Longest answer of the base in self-generated rows, where the stage does not say.
const REPLAY_TOKENS: usize = 256;

/// A stage with its rows and its counts.
#[derive(Debug, Clone)]
pub struct PlannedStage {
    /// For the training loop.
    pub stage: Stage,
    /// For tables.
    pub count: StageCount,
    /// How the base weighs its labels, once it is loaded.
    pub weights: Option<TokenWeights>,
    /// Sources whose last answers the base writes.
    pub replayed: Vec<String>,
}

/// What the base answers to conversations that end with a question, each in at most so many tokens; None for an answer that does
/// not end in them.
pub type Answers<'a> = &'a dyn Fn(&[&[Message]], usize) -> Result<Vec<Option<String>>>;

/// Plans the stages of a trained variant for one seed. `answers` writes the rows of `replay_sources`; where no base is loaded,
/// these are counted as having no rows.
pub fn stages(
    experiment: &Experiment,
    variant: &Variant,
    seed: u64,
    template: &ChatTemplate,
    suites: &[PlannedSuite],
    answers: Option<Answers<'_>>,
) -> Result<Vec<PlannedStage>> {
    let index = overlap_index(&experiment.identity, suites);
    let mut planned = variant
        .stages
        .iter()
        .map(|stage| {
            plan_stage(experiment, stage, seed, template, &index, answers)
                .with_context(|| format!("variant `{}`, stage `{}` cannot be planned", variant.name, stage.name))
        })
        .collect::<Result<Vec<_>>>()?;
    let total: usize = planned.iter().map(|stage| stage.stage.steps).sum();
    for (planned, config) in planned.iter_mut().zip(&variant.stages) {
        planned.count.share = planned.stage.steps as f64 / total as f64;
        if config.calibration && planned.count.share > CALIBRATION_SHARE {
            bail!(
                "variant `{}`: calibration stage `{}` takes {} of {total} steps, {:.1} %: at most {:.0} % keeps it from overwriting what came before; use fewer epochs or steps",
                variant.name,
                config.name,
                planned.stage.steps,
                planned.count.share * 100.0,
                CALIBRATION_SHARE * 100.0
            );
        }
    }
    Ok(planned)
}

fn plan_stage(
    experiment: &Experiment,
    config: &StageConfig,
    seed: u64,
    template: &ChatTemplate,
    index: &OverlapIndex,
    answers: Option<Answers<'_>>,
) -> Result<PlannedStage> {
    let mut rows = Vec::new();
    let mut sources = Vec::new();
    let anchor = config.without.as_deref().map(library::examples).transpose()?;
    for (written, towards, replayed) in written(config) {
        let spec = SourceSpec::parse(written, |path| Path::new(path).exists())?;
        let all = library::examples(&spec.path)?;
        let placeholders = Placeholders::of(&all)?;
        let mut examples = sample(all, spec.count, seed, &spec.label)?;
        let mut removed = 0;
        if let Some(anchor) = &anchor {
            let (kept, dropped) = remove_overlap_with(anchor, examples);
            (examples, removed) = (kept, dropped.len());
        }
        let thinking = examples.iter().filter(|example| example.of_role(Role::Assistant).any(thinking::thinks)).count();
        if !experiment.thinking.keep {
            examples = examples.into_iter().map(thinking::without).collect::<Result<_>>()?;
        }
        let mut examples = filled(examples, placeholders, config.system.as_ref(), experiment)?;
        if replayed {
            let asked = examples.len();
            let most = config.replay_tokens.unwrap_or(REPLAY_TOKENS);
            examples = answers.map_or(Ok(Vec::new()), |answers| replay(examples, answers, most))?;
            if !experiment.thinking.keep {
                // One that never stops thinking is no answer to learn.
                examples = examples.into_iter().filter_map(|example| thinking::without(example).ok()).collect();
            }
            // The base may say what a suite asks; such rows are no mistake of the user's.
            examples.retain(|example| index.check(example).is_none());
            if answers.is_some() && examples.is_empty() {
                bail!(
                    "the base's own answers to the {asked} prompts of `{written}` are all left out: they do not end within {most} tokens, \
                     are empty or repeat evaluation items; raise replay_tokens or give other prompts"
                );
            }
            removed += if answers.is_some() { asked - examples.len() } else { 0 };
        }
        let overlaps = find_overlaps(index, &examples);
        if !overlaps.is_empty() {
            let list: Vec<String> = overlaps.iter().take(10).map(|overlap| format!("  {overlap}")).collect();
            bail!(Invalid(format!(
                "{} between rows of `{written}` and evaluation items, which would no longer be held out; remove these rows:\n{}",
                counted(overlaps.len(), "overlap"),
                list.join("\n")
            )));
        }
        let mut count = SourceCount { source: written.clone(), rows: 0, tokens: 0, label_tokens: 0, too_long: 0, removed, thinking };
        for example in &examples {
            let encoded = template.training_row(&example.messages).with_context(|| format!("row {}", example.origin))?;
            if encoded.ids.len() > experiment.training.max_length {
                count.too_long += 1;
                continue;
            }
            count.rows += 1;
            count.tokens += encoded.ids.len();
            count.label_tokens += encoded.labels();
            rows.push(TrainRow { towards, ..TrainRow::plain(encoded, example.origin.to_string()) });
        }
        sources.push(count);
    }
    if rows.is_empty() {
        bail!("no rows are left to train on: all are longer than max_length or were removed");
    }
    let window = experiment.training.window;
    let steps = match (config.epochs, config.steps) {
        (Some(epochs), _) => epochs * rows.len().div_ceil(window),
        (None, steps) => steps.unwrap_or(0),
    };
    let stage = Stage {
        name: config.name.clone(),
        rows,
        steps,
        learning_rate: config.learning_rate,
        warmup_ratio: experiment.training.warmup_ratio,
        window,
        kl: config.kl.unwrap_or(0.0),
    };
    let count = StageCount { stage: config.name.clone(), sources, steps, planned: None, learning_rate: config.learning_rate, share: 1.0 };
    Ok(PlannedStage { stage, count, weights: config.token_weights, replayed: config.replay_sources.clone() })
}

/// Every source of a stage with what its rows are trained towards, and whether the base writes their answers.
fn written(config: &StageConfig) -> impl Iterator<Item = (&String, Towards, bool)> {
    let own = match (config.kl, config.kl_sources.is_empty()) {
        (Some(_), true) => Towards::TargetsAndBase,
        _ => Towards::Targets,
    };
    let trained = config.sources.iter().map(move |source| (source, own, false));
    let replayed = config.replay_sources.iter().map(move |source| (source, own, true));
    trained.chain(replayed).chain(config.kl_sources.iter().map(|source| (source, Towards::Base, false)))
}

/// Rows whose last answer is the base's own; rows that it does not finish, or answers with nothing, are left out.
fn replay(examples: Vec<Example>, answers: Answers<'_>, most: usize) -> Result<Vec<Example>> {
    let conversations: Vec<&[Message]> = examples.iter().map(|example| &example.messages[..example.messages.len() - 1]).collect();
    let answers = answers(&conversations, most)?;
    let answered = |(mut example, answer): (Example, Option<String>)| {
        let answer = answer.filter(|answer| !answer.trim().is_empty())?;
        // What the row itself says in earlier turns is shown, and not trained towards.
        for message in example.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
            message.loss = Some(false);
        }
        example.messages.pop();
        example.messages.push(Message::new(Role::Assistant, answer));
        Some(example)
    };
    Ok(examples.into_iter().zip(answers).filter_map(answered).collect())
}

/// Rows with the identity written in and the system prompt set: that of a stage, or the experiment's where a row has none.
pub(super) fn filled(
    examples: Vec<Example>,
    placeholders: Placeholders,
    system: Option<&String>,
    experiment: &Experiment,
) -> Result<Vec<Example>> {
    for system in [Some(&experiment.system), system].into_iter().flatten() {
        placeholder::check(system, "the system prompt")?;
    }
    examples
        .into_iter()
        .map(|example| {
            let language = example.language;
            let example = placeholders.fill(example, &experiment.identity)?;
            Ok(match system {
                Some(system) => inject_system(example, &experiment.identity.fill(system, language)),
                None if example.system().is_none() => inject_system(example, &experiment.identity.fill(&experiment.system, language)),
                None => example,
            })
        })
        .collect()
}

/// Everything that is asked, so that no row trained on repeats it.
fn overlap_index(identity: &Identity, suites: &[PlannedSuite]) -> OverlapIndex {
    // All items, also those not selected: another run of the same adapter may ask them.
    OverlapIndex::of(
        suites.iter().flat_map(|planned| planned.suite.items.iter().flat_map(|item| asked(&planned.suite.name, item, identity))),
    )
}

/// An item as training rows are compared with it, an entry for each of its parts. What stands before a question is shown to
/// the model and not asked of it.
pub fn asked(suite: &str, item: &Item, identity: &Identity) -> Vec<Asked> {
    let of = |leaf: &Item| {
        let program = leaf.program();
        Asked {
            id: format!("{suite}/{}", item.id),
            question: identity.fill(&leaf.prompt, Language::detect(&leaf.prompt)),
            between: leaf.prompt.split("{{NAME}}").flat_map(|part| part.split("{{AUTHOR}}")).map(str::to_owned).collect(),
            texts: program.iter().map(|program| program.reference.to_owned()).collect(),
            entry_point: program.map(|program| program.entry_point.to_owned()),
        }
    };
    item.leaves().into_iter().map(of).collect()
}

/// A digest of everything a variant trains on, in order.
pub fn rows_digest(stages: &[PlannedStage]) -> String {
    let mut bytes = Vec::new();
    for planned in stages {
        bytes.extend_from_slice(planned.stage.name.as_bytes());
        bytes.extend_from_slice(&(planned.stage.steps as u64).to_le_bytes());
        for row in &planned.stage.rows {
            for (id, label) in row.encoded.ids.iter().zip(&row.encoded.mask) {
                bytes.extend_from_slice(&id.to_le_bytes());
                bytes.push(u8::from(*label));
            }
            bytes.push(2);
        }
    }
    sha256(&bytes)
}
