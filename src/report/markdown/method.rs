//! How this was measured, and the command that measures it again.

use super::under;
use crate::analysis::results::Results;
use crate::analysis::retention::suites_in_the_mean;
use crate::analysis::view::View;
use crate::report::table::Table;
use crate::report::text::{code, list, percent, plain};
use crate::shown::visible;

/// Letters of a digest: enough to tell two apart.
const DIGEST: usize = 12;

/// The experiment as it was run.
const PLAN: &str = "plan.toml";

/// The section.
pub(super) fn section(results: &Results) -> Option<String> {
    let view = &results.view;
    let meta = &view.run.meta;
    let experiment = &view.run.experiment;
    let commit = meta.commit.as_deref().map(|commit| format!(", commit {}", code(commit))).unwrap_or_default();
    let entities: Vec<String> = meta.entities.iter().map(|entity| code(entity)).collect();
    let sandbox = if meta.sandbox.is_empty() {
        "Programs in answers: none were run.".to_owned()
    } else {
        format!("Programs in answers ran in a sandbox of {}.", plain(&list(&meta.sandbox)))
    };
    let kept = suites_in_the_mean(view);
    let mut lines = vec![
        format!("Model: {}, weights {}, chat template {}.", code(&meta.model), digest(&meta.model_digest), digest(&meta.template_digest)),
        format!("Device: {}. Date: {}. Ballast {}{commit}.", plain(&meta.device), plain(&meta.date), plain(&meta.ballast)),
        format!(
            "Training: {}, AdamW, linear warmup over {} % of each stage's steps.",
            view.seed_names(),
            percent(experiment.training.warmup_ratio)
        ),
        format!("Answers: greedy decoding, one answer an item, system prompt {}.", code(&experiment.system)),
        sandbox,
        format!("Identity text that counts as a leak: {}.", if entities.is_empty() { "none".to_owned() } else { list(&entities) }),
    ];
    if !kept.is_empty() {
        let names: Vec<String> = kept.iter().map(|suite| code(suite)).collect();
        lines.push(format!(
            "Retention is (variant - chance) / (base - chance). The figure's mean is over {}, where the base stands above chance by a distance known to within half of itself.",
            list(&names)
        ));
    }
    let list = lines.iter().map(|line| format!("- {line}")).collect::<Vec<_>>().join("\n");
    let [installed, checkout] = commands(view);
    let plan = if installed.contains(PLAN) { format!(", with {} from the run directory", code(PLAN)) } else { String::new() };
    let again = format!("To measure it again{plan}:\n\n```sh\n{installed}\n{checkout}\n```");
    under("How this was measured", &[list, suites(view).markdown(), again])
}

fn suites(view: &View) -> Table {
    let mut table = Table::new(["suite", "what it asks", "digest", "items", "chance %"], 3);
    for suite in &view.suites {
        table.push(match view.run.meta.suites.get(*suite) {
            Some(meta) => vec![code(suite), plain(&meta.description), digest(&meta.digest), meta.items.to_string(), percent(meta.chance)],
            None => vec![code(suite), "not recorded".to_owned(), String::new(), String::new(), String::new()],
        });
    }
    table
}

fn digest(text: &str) -> String {
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
    fn the_command_is_the_one_that_was_given_or_names_the_plan() {
        let mut run = run();
        assert_eq!(commands(&View::new(&run)), ["ballast run plan.toml", "cargo run --release -- run plan.toml"]);
        run.meta.device = "NVIDIA H100 80GB HBM3, bf16".to_owned();
        assert_eq!(commands(&View::new(&run))[0], "ballast run plan.toml --device cuda");
        run.meta.command = Some("quick --model 'hf:owner/a b' --device cuda:1".to_owned());
        assert_eq!(commands(&View::new(&run))[0], "ballast run quick --model 'hf:owner/a b' --device cuda:1");
    }
}
