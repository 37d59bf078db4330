//! A whole report of the made-up run, and of runs that lack something.

use super::render::markdown;
use super::sections::{self, Medium};
use super::{ReportFile, figures, render, summary, tables, write};
use crate::analysis::results::Results;
use crate::analysis::sample::{cell, run, with_seeds};
use crate::analysis::view::View;
use crate::plan::run::Run;

fn page(run: &Run) -> String {
    let results = Results::new(View::new(run));
    markdown::document(&sections::page(&results, &figures::all(&results.view).unwrap(), Medium::Markdown))
}

#[test]
fn a_report_is_complete_and_the_same_records_give_the_same_bytes() {
    let files = render(&run()).unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    let figures = ["accuracy", "retention", "trajectory", "gradients", "outcomes"];
    for name in figures.iter().flat_map(|figure| [format!("{figure}.svg"), format!("{figure}.png")]) {
        assert!(names.contains(&name.as_str()), "{name} in {names:?}");
    }
    let csv = ["accuracy.csv", "differences.csv", "dose.csv", "outcomes.csv", "flips.csv"];
    assert_eq!(names[12..], csv);
    let bytes = |name: &str| &files.iter().find(|file| file.name == name).unwrap().bytes;
    // Once more, but for the slow pictures: `plot::raster` holds those to the same promise.
    let again = run();
    let results = Results::new(View::new(&again));
    assert_eq!(bytes("report.md"), page(&again).as_bytes());
    for figure in figures::all(&results.view).unwrap() {
        assert_eq!(bytes(&format!("{}.svg", figure.name)), figure.svg.as_bytes());
    }
    for file in tables::all(&results).unwrap() {
        assert_eq!(*bytes(&file.name), file.bytes);
    }
    assert_eq!(page(&with_seeds()), page(&with_seeds()));
    assert_eq!(summary(&run()), summary(&again));
}

#[test]
fn the_page_has_its_sections_in_order_and_its_key_lines() {
    let page = page(&run());
    let headings: Vec<&str> = page.lines().filter(|line| line.starts_with('#')).collect();
    let expected = [
        "# Collapse and recovery of a sample",
        "## Accuracy",
        "## Differences to the base",
        "## What reproduced and what did not",
        "## Dose",
        "## Outcomes",
        "## Figures",
        "## Knowledge against form",
        "## Worst flips",
        "## Liveness, drift and warnings",
        "## How this was measured",
    ];
    assert_eq!(headings, expected);
    for line in [
        "smollm2-135m-instruct, CPU, 2 threads, 2026-01-02, seed 42, n = 180 items.",
        "|  | `fact-qa` | `reasoning-zh` | `identity` | different answers, `identity` |",
        "| without the skill | 0.0 % | 17.5 % | 0.0 % | n/a |",
        "| `A` | 30.0 % [19.9, 42.5] n=60 | 30.0 % [19.9, 42.5] n=60 | 95.0 % [86.3, 98.3] n=60 | 100.0 % |",
        "| `A` | 30.0 % [19.9, 42.5] n=60 | 30.0 % [19.9, 42.5] n=60 |",
        "The variants. `A`: identity only; `B`: identity and general rows; `mixed`: anchor, generalize, calibrate.",
        "|  | `fact-qa` en | `fact-qa` zh | `identity` en | `identity` zh |",
        "| `A` | **-50.0** [-61.6, -35.2] n=60 | **-50.0** [-61.6, -35.2] n=60 | **+95.0** [+83.8, +100.0] n=60 |",
        "| `mixed` | -1.7 [-7.1, +3.8] n=60 | -1.7 [-7.1, +3.8] n=60 | **+96.7** [+86.0, +100.0] n=60 |",
        "| `A` | 62.0 / 30.0 [19.9, 42.5] | 53.0 / 30.0 [19.9, 42.5] | 100.0 / 95.0 [86.3, 98.3] |",
        "| `base` | 96.0 / 80.0 [68.2, 88.2] | 96.0 / 80.0 [68.2, 88.2] | n/a / 0.0 [0.0, 6.0] |",
        "| `fact-qa` | `A` | 60 | -50.0 | [-61.6, -35.2] | items | 30 / 0 | <0.001 | <0.001 | 37.5 |",
        "| `mixed` | `calibrate` | `ballast:calibration`: 20 / 500 | 4 | 2.5e-4 | 10.0 | 0.085 | 1200 |",
        "Share of the calibration stage in all steps: `mixed` 10.0 % (the recipe's limit is 15 %).",
        "| `A` | 23.3 % [16.7, 31.7] n=120 |",
        "[![Accuracy of base and variants](accuracy.png)](accuracy.svg)",
        "| `A` | 25.0 / 30.0 / 35.0 | 25.0 / 30.0 / 35.0 | 78.3 / 95.0 / 100.0 |",
        "| `A` | 42 | 8.50 | 1.10e-5 | 0.5500 | 75.0, 40 |",
        "- Model: `smollm2-135m-instruct`, weights `b179c9523d0e`, chat template `001122334455`.",
    ] {
        assert!(page.lines().any(|found| found == line), "no line\n{line}\nin\n{page}");
    }
}

#[test]
fn nothing_is_said_to_have_collapsed_when_nothing_can_be_shown() {
    let mut run = run();
    run.cells = vec![cell("A", 42, 0.77, 0.0), cell("B", 42, 0.8, 0.0), cell("mixed", 42, 0.78, 0.0)];
    let page = page(&run);
    assert!(page.contains("No loss of general ability could be shown"), "{page}");
    assert!(!page.contains("**-") && !page.contains("**+") && !page.contains("loses against B on fact-qa | reproduced"), "{page}");
    assert!(!summary(&run).contains(")*"));
}

#[test]
fn an_answer_full_of_backticks_and_html_stays_inside_its_fence() {
    let mut run = run();
    let hostile = "````\n</details>\n## Not a heading\n```python\nx = 1\n```";
    for row in &mut run.cells[0].items {
        hostile.clone_into(&mut row.answer);
    }
    let page = page(&run);
    let mut fence: Option<usize> = None;
    let mut outside = Vec::new();
    for line in page.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match fence {
            None if ticks >= 3 => fence = Some(ticks),
            Some(open) if ticks >= open && line.len() == ticks => fence = None,
            None => outside.push(line),
            Some(_) => {}
        }
    }
    assert_eq!(fence, None, "every fence is closed");
    assert!(!outside.contains(&"## Not a heading"));
    let count = |text: &str| outside.iter().filter(|line| **line == text).count();
    assert_eq!(count("<details>"), count("</details>"));
}

#[test]
fn what_is_undefined_is_n_a_and_never_zero() {
    let mut run = run();
    run.cells[1].items.retain(|row| row.suite != "reasoning-zh");
    run.meta.suites.get_mut("fact-qa").unwrap().chance = 0.8;
    let page = page(&run);
    assert!(page.contains("| `B` | 75.0 % [62.8, 84.2] n=60 | n/a |"), "{page}");
    assert!(page.contains("| 30 / 0 | <0.001 | <0.001 | n/a |"), "{page}");
    assert!(page.contains("not shown to be above chance on `fact-qa`"), "{page}");
    assert!(page.contains("| A loses against B on reasoning-zh | not measured | -31.0 | n/a |"), "{page}");
}

#[test]
fn runs_that_lack_nearly_everything_still_have_a_report() {
    let mut base_only = run();
    base_only.cells.clear();
    assert!(page(&base_only).contains("Only the base model has been evaluated"));
    let mut empty = base_only.clone();
    empty.base.items.clear();
    empty.meta.suites.clear();
    assert!(page(&empty).contains("| `base` | n/a | n/a | n/a |"));
    assert!(summary(&empty).contains("n/a"));
    let mut one_item = run();
    for cell in std::iter::once(&mut one_item.base).chain(&mut one_item.cells) {
        cell.items.truncate(1);
        (cell.train, cell.drift, cell.probe) = (Vec::new(), Vec::new(), Vec::new());
    }
    assert!(page(&one_item).contains("100.0 % [20.7, 100.0] n=1"));
}

#[test]
fn a_derived_variant_has_no_training_and_says_so() {
    let mut run = run();
    let mut variant = run.experiment.variants[0].clone();
    "A-x0.5".clone_into(&mut variant.name);
    (variant.of, variant.lambda) = (Some("A".to_owned()), Some(0.5));
    variant.stages.clear();
    run.experiment.variants.push(variant);
    let mut derived = cell("A-x0.5", 42, 0.7, 0.9);
    derived.record.derived = Some(("A".to_owned(), 0.5));
    (derived.probe, derived.drift) = (Vec::new(), Vec::new());
    run.cells.push(derived);
    let page = page(&run);
    assert!(page.contains("| `A-x0.5` |  | `A`'s adapter at 0.5 of its strength, not trained |"), "{page}");
    assert!(page.contains("| `A-x0.5` | 42 | 8.50 | 1.10e-5 | 0.1500 | n/a |"), "{page}");
}

#[test]
fn several_seeds_are_said_to_be_several() {
    let page = page(&with_seeds());
    assert!(page.contains("| `A` | 31.1 % [22.5, 39.7] n=60 x 3 |"), "{page}");
    assert!(page.contains("mean over seeds with its 95 % t interval over seeds"), "{page}");
    assert!(page.contains("interval over items"), "{page}");
}

#[test]
fn a_report_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| ReportFile { name: name.to_owned(), bytes: name.as_bytes().to_vec() };
    let files = [file("report.md"), file("accuracy.png")];
    let report = folder.path().join("reports/sample");
    write(&files, &report).unwrap();
    for file in &files {
        assert_eq!(std::fs::read(report.join(&file.name)).unwrap(), file.bytes);
    }
    assert_eq!(std::fs::read_dir(&report).unwrap().count(), files.len());
}
