//! How this was measured, and the command that measures it again.

use crate::analysis::results::Results;
use crate::analysis::retention::suites_in_the_mean;
use crate::analysis::view::View;
use crate::report::document::{Block, Span, Text, code, foreign, list_of_some, paragraph, text, under};
use crate::report::table::{Cell, Table};
use crate::report::text::percent;
use crate::shown::visible;

/// Letters of a digest: enough to tell two apart.
const DIGEST: usize = 12;

/// The experiment as it was run.
const PLAN: &str = "plan.toml";

/// The section.
pub(super) fn section(results: &Results) -> Vec<Block> {
    let view = &results.view;
    let meta = &view.run.meta;
    let experiment = &view.run.experiment;
    let commit = meta.commit.as_deref().map(|commit| text!(", commit {}", code(commit))).unwrap_or_default();
    let layers = list_of_some(meta.sandbox.iter().map(|layer| foreign(layer)));
    let sandbox = layers.map(|layers| text!("Programs in answers ran in a sandbox of {}.", layers));
    // Base models have no chat template.
    let shipped = experiment.template.as_deref().map(|name| text!(", the shipped one named {}", code(name))).unwrap_or_default();
    let mut lines = vec![
        text!(
            "Model: {}, weights {}, chat template {}{}.",
            code(&meta.model),
            digest(&meta.model_digest),
            digest(&meta.template_digest),
            shipped
        ),
        text!("Device: {}. Date: {}. Ballast {}{}.", foreign(&meta.device), foreign(&meta.date), foreign(&meta.ballast), commit),
        text!(
            "Training: {}, AdamW, linear warmup over {} % of each stage's steps.",
            view.seed_names(),
            percent(experiment.training.warmup_ratio)
        ),
        text!("Answers: greedy decoding, one answer an item, system prompt {}.", code(&experiment.system)),
        sandbox.unwrap_or("Programs in answers: none were run.".into()),
        text!(
            "Identity text that counts as a leak: {}.",
            list_of_some(meta.entities.iter().map(|entity| code(entity))).unwrap_or("none".into())
        ),
    ];
    let kept = list_of_some(suites_in_the_mean(view).into_iter().map(code));
    lines.extend(kept.map(|kept| text!(
        "Retention is (variant - floor) / (base - floor), where the floor is what is scored without the skill: by chance, or by the best known constant answers if that is more. The figure's mean is over {}, where the base stands above the floor by a distance known to within half of itself.",
        kept
    )));
    let [installed, checkout] = commands(view);
    let plan = installed.contains(PLAN).then(|| text!(", with {} from the run directory", code(PLAN)));
    let again = text!("To measure it again{}:", plan.unwrap_or_default());
    let blocks =
        vec![Block::List(lines), suites(view).block(), paragraph(again), Block::Verbatim("sh", format!("{installed}\n{checkout}"))];
    under("How this was measured", blocks)
}

fn suites(view: &View) -> Table {
    let meta = |suite: &str| view.run.meta.suites.get(suite);
    Table::of(&view.suites)
        .words("suite", |suite| code(suite))
        .words("what it asks", |suite| meta(suite).map_or("not recorded".into(), |meta| Text::from(foreign(&meta.description))))
        .words("digest", |suite| meta(suite).map_or(Cell::Empty, |meta| digest(&meta.digest).into()))
        .numbers("items", |suite| meta(suite).map_or(Cell::Empty, |meta| meta.items.into()))
        .numbers("chance %", |suite| meta(suite).map_or(Cell::Empty, |meta| Cell::percent(meta.chance)))
        .numbers("floor %", |suite| meta(suite).map_or(Cell::Empty, |meta| Cell::percent(meta.floor())))
        .table()
}

fn digest(text: &str) -> Span {
    code(&text.chars().take(DIGEST).collect::<String>())
}

/// The command as installed, and from a checkout: as it was given where an experiment that ships was run, else with the plan.
fn commands(view: &View) -> [String; 2] {
    let meta = &view.run.meta;
    // Records from before the command was kept name a GPU by its own name or as a CUDA device, and a processor as CPU.
    let device = if meta.device.starts_with("CPU") { "" } else { " --device cuda" };
    let arguments = meta.command.as_ref().map_or_else(|| format!("{PLAN}{device}"), |command| visible(command));
    [format!("ballast run {arguments}"), format!("cargo run --release -- run {arguments}")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    #[test]
    fn a_chat_template_that_is_not_the_model_s_own_is_named() {
        let mut run = run();
        let written = |run: &crate::plan::run::Run| crate::report::render::markdown::document(&section(&Results::new(View::new(run))));
        assert!(!written(&run).contains("the shipped one named"));
        run.experiment.template = Some("gemma".to_owned());
        assert!(written(&run).contains(", the shipped one named `gemma`."));
    }

    #[test]
    fn the_command_is_the_one_that_was_given_or_names_the_plan() {
        let mut run = run();
        assert_eq!(commands(&View::new(&run)), ["ballast run plan.toml", "cargo run --release -- run plan.toml"]);
        run.meta.device = "NVIDIA H100 80GB HBM3, bf16".to_owned();
        assert_eq!(commands(&View::new(&run))[0], "ballast run plan.toml --device cuda");
        run.meta.command = Some("quick --model 'hf:owner/a b' --device cuda:1".to_owned());
        assert_eq!(commands(&View::new(&run))[0], "ballast run quick --model 'hf:owner/a b' --device cuda:1");
    }
}
