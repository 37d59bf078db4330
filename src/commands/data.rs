//! `ballast data`: what the variants of an experiment will train on.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::Result;

use super::{fetched, model, print};
use crate::cli::{DataArgs, DataBuildArgs};
use crate::config::file::Experiment;
use crate::counted::counted;
use crate::files::{create_folder, write_atomic};
use crate::library;
use crate::plan::{self, PlannedStage};
use crate::progress::note;

pub(super) fn check(args: &DataArgs) -> Result<()> {
    let (planned, doubts) = plan(args)?;
    for doubt in doubts {
        note(&format!("warning: {doubt}"));
    }
    let counts: BTreeMap<&String, Vec<_>> =
        planned.iter().map(|(cell, stages)| (cell, stages.iter().map(|s| &s.count).collect())).collect();
    if args.json {
        return print(&format!("{}\n", serde_json::to_string_pretty(&counts)?));
    }
    let mut text = String::new();
    let done = if experiment(args)?.thinking.keep { "trained on" } else { "which is taken out" };
    for (cell, stages) in &planned {
        let steps: usize = stages.iter().map(|stage| stage.count.steps).sum();
        writeln!(text, "{cell}: {steps} steps")?;
        for stage in stages {
            let count = &stage.count;
            writeln!(
                text,
                "  {:<12} {:>4} steps ({:.1} %), peak rate {:e}",
                count.stage,
                count.steps,
                count.share * 100.0,
                count.learning_rate
            )?;
            let labels: usize = count.sources.iter().map(|s| s.label_tokens).sum();
            for source in &count.sources {
                let share = 100.0 * source.label_tokens as f64 / labels.max(1) as f64;
                write!(
                    text,
                    "    {:<28} {:>5} rows {:>7} tokens {:>7} label tokens ({share:.1} %)",
                    source.source, source.rows, source.tokens, source.label_tokens
                )?;
                if stage.replayed.contains(&source.source) {
                    write!(text, ", answered by the base when a run begins")?;
                }
                if source.too_long > 0 {
                    write!(text, ", {} too long", source.too_long)?;
                }
                if source.removed > 0 {
                    write!(text, ", {} like the anchor", source.removed)?;
                }
                if source.thinking > 0 {
                    write!(text, ", {} with thinking, {done}", source.thinking)?;
                }
                text.push('\n');
            }
        }
    }
    text.push_str("no row overlaps an evaluation item\n");
    print(&text)
}

pub(super) fn build(args: &DataBuildArgs) -> Result<()> {
    let (planned, _) = plan(&args.data)?;
    let template = model::template(&model_name(&args.data)?, &experiment(&args.data)?.chat())?;
    create_folder(&args.out)?;
    for (cell, stages) in &planned {
        for (i, stage) in stages.iter().enumerate() {
            let mut text = String::new();
            for row in &stage.stage.rows {
                let line = serde_json::json!({
                    "origin": row.origin,
                    "text": template.codec().decode_all(&row.encoded.ids)?,
                    "ids": row.encoded.ids,
                    "labels": row.encoded.mask.iter().map(|label| u8::from(*label)).collect::<Vec<_>>(),
                });
                writeln!(text, "{line}")?;
            }
            let path = args.out.join(format!("{cell}-{}-{}.jsonl", i + 1, stage.stage.name));
            write_atomic(&path, text.as_bytes())?;
            print(&format!("{}: {}\n", path.display(), counted(stage.stage.rows.len(), "row")))?;
        }
    }
    Ok(())
}

fn experiment(args: &DataArgs) -> Result<Experiment> {
    let (text, label) = library::experiment(&args.experiment)?;
    let experiment = Experiment::parse(&text, &label)?;
    Ok(Experiment { template: args.template.clone().or_else(|| experiment.template.clone()), ..experiment })
}

fn model_name(args: &DataArgs) -> Result<String> {
    Ok(match &args.model {
        Some(model) => model.clone(),
        None => experiment(args)?.model,
    })
}

/// What each trained cell trains on.
type Cells = BTreeMap<String, Vec<PlannedStage>>;

/// What each trained cell trains on, and what is doubtful about it.
fn plan(args: &DataArgs) -> Result<(Cells, Vec<String>)> {
    let experiment = experiment(args)?;
    let name = model_name(args)?;
    let (template, spec) = (model::template(&name, &experiment.chat())?, model::spec(&name)?);
    let suites = plan::suites(&experiment, &fetched::suite)?;
    plan::interference(&experiment, &template)?;
    let (mut cells, mut doubts) = (BTreeMap::new(), Vec::new());
    for (variant, seed) in experiment.cells().filter(|(variant, _)| variant.of.is_none()) {
        let cell = format!("{}-s{seed}", variant.name);
        let stages = plan::stages(&experiment, variant, seed, &template, &suites, None)?;
        plan::fits(&experiment, &spec, &suites, &stages)?;
        doubts.extend(plan::doubts(&experiment, &template, &stages)?.into_iter().map(|doubt| format!("{cell}: {doubt}")));
        cells.insert(cell, stages);
    }
    Ok((cells, doubts))
}
