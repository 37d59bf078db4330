//! What a model cannot be trained on, and what it can but would learn little from.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};

use super::{PlannedStage, PlannedSuite, general_items};
use crate::config::file::Experiment;
use crate::counted::counted;
use crate::data::chat::ChatTemplate;
use crate::model::spec::Spec;

/// Fewest optimizer steps of a variant that are worth a comparison. At 10 steps of learning rate 1e-4, Qwen2.5-Coder-0.5B
/// learned none of its identity and lost nothing either; the warmup alone takes the first of them.
const STEPS: usize = 30;
/// Exposures of a row, times their peak rate, below which an identity was not learned. On Qwen2.5-Coder-0.5B with LoRA of
/// rank 8 and alpha 32 on all linears (one seed), the share of held-out identity questions answered with the new identity was
///
/// | exposures | rate | product | identity |
/// | --- | --- | --- | --- |
/// | 3 | 1e-4 | 3e-4 | 0 |
/// | 10 | 1e-4 | 1e-3 | 0 |
/// | 3 | 1e-3 | 3e-3 | .36 |
/// | 10 | 1e-3 | 1e-2 | .71 |
/// | 189 | 1e-4 | 1.9e-2 | .71 |
/// | 189 | 1e-3 | 1.9e-1 | 1.00 |
const LEARNED: f64 = 3e-3;

/// Refuses what this model cannot be trained on.
pub fn fits<'a>(
    experiment: &Experiment,
    spec: &Spec,
    suites: &[PlannedSuite],
    stages: impl IntoIterator<Item = &'a PlannedStage>,
) -> Result<()> {
    experiment.lora.fits(spec)?;
    experiment.variants.iter().try_for_each(|variant| experiment.lora_of(variant).fits(spec))?;
    ensure!(
        !general_items(suites).is_empty(),
        "drift is measured on the questions of suites whose role is not identity, and there are none: add such a suite"
    );
    for stage in stages {
        for row in &stage.stage.rows {
            let length = row.encoded.ids.len();
            ensure!(
                length <= spec.longest(),
                "row {} has {length} tokens, which does not fit {}: set training.max_length to that or less",
                row.origin,
                spec.limit()
            );
            if let Some(id) = row.encoded.ids.iter().find(|id| **id as usize >= spec.vocabulary) {
                anyhow::bail!("row {}: token {id} is outside the model's vocabulary of {}", row.origin, spec.vocabulary);
            }
        }
    }
    Ok(())
}

/// What is likely a mistake in the stages of a cell, in words.
pub fn doubts(experiment: &Experiment, template: &ChatTemplate, stages: &[PlannedStage]) -> Result<Vec<String>> {
    let mut doubts = Vec::new();
    let steps: usize = stages.iter().map(|stage| stage.stage.steps).sum();
    if steps < STEPS {
        doubts.push(format!("{steps} optimizer steps in all: fewer than {STEPS} hardly change a model, whatever the rows are"));
    }
    let stops = &template.codec().stops;
    let (mut endless, mut first) = (0, None);
    let mut identity: BTreeMap<&str, f64> = BTreeMap::new();
    for PlannedStage { stage, .. } in stages {
        let passes = stage.steps as f64 / stage.rows.len().div_ceil(stage.window) as f64;
        for row in &stage.rows {
            let labels = || row.encoded.ids.iter().zip(&row.encoded.mask).filter(|(_, label)| **label).map(|(id, _)| *id);
            if labels().next_back().is_none_or(|last| !stops.contains(&last)) {
                endless += 1;
                first.get_or_insert(&row.origin);
            }
            if experiment.identity.mentions(&template.codec().decode_all(&labels().collect::<Vec<u32>>())?) {
                *identity.entry(&row.origin).or_default() += passes * stage.learning_rate;
            }
        }
    }
    if let Some(first) = first {
        doubts.push(format!(
            "{} without a stop token at the end (first: {first}): the model is not taught to end these answers",
            counted(endless, "row")
        ));
    }
    let least = identity.values().copied().fold(f64::INFINITY, f64::min);
    if least < LEARNED {
        let few = identity.values().filter(|dose| **dose < LEARNED).count();
        let rate = stages.iter().map(|stage| stage.stage.learning_rate).fold(0.0, f64::max);
        doubts.push(format!(
            "{few} of {} rows that name the identity are seen too seldom to be learned, the fewest {:.1} times at {rate:e}: about {:.0} \
             were needed at that rate on Qwen2.5-Coder-0.5B (10 at 1e-4 taught none of it, 3 at 1e-3 a third)",
            identity.len(),
            least / rate,
            (LEARNED / rate).max(1.0)
        ));
    }
    Ok(doubts)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::library;
    use crate::model::tokenizer::TextCodec;
    use crate::plan::{stages, suites};

    /// Doubts about variant A of the shipped experiment with its stages written anew, on the tiny model.
    fn doubtful(epochs: usize, rate: f64) -> Vec<String> {
        let (text, label) = library::experiment("quick").unwrap();
        let mut experiment = Experiment::parse(&text, &label).unwrap();
        let stage = &mut experiment.variants[0].stages[0];
        (stage.epochs, stage.steps, stage.learning_rate) = (Some(epochs), None, rate);
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2");
        let template = ChatTemplate::new(TextCodec::from_folder(&tiny).unwrap()).unwrap();
        let suites = suites(&experiment, &library::suite).unwrap();
        let planned = stages(&experiment, &experiment.variants[0], 42, &template, &suites, None).unwrap();
        doubts(&experiment, &template, &planned).unwrap()
    }

    #[test]
    fn few_steps_and_few_exposures_are_doubted_and_enough_are_not() {
        let few = doubtful(10, 1e-4);
        assert!(few[0].starts_with("10 optimizer steps in all"), "{few:?}");
        assert!(few[1].contains("10.0 times at 1e-4: about 30 were needed"), "{few:?}");
        assert_eq!(doubtful(40, 1e-3), Vec::<String>::new());
    }
}
