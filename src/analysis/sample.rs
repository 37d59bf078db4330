//! A made-up run for tests: base 80 %, A 30 %, B 75 %, mixed 78 % on two suites of 60 items, and the identity suite.

use std::collections::BTreeMap;

use crate::config::file::Experiment;
use crate::eval::score::{Flag, Verdict};
use crate::eval::suite::Language;
use crate::model::site::Module;
use crate::plan::run::Run;
use crate::record::rows::{CellRecord, DriftRow, ItemRow, Liveness, RunMeta, SCHEMA, SourceCount, StageCount, SuiteMeta};
use crate::record::run_dir::Cell;
use crate::train::telemetry::{GradientNorms, StepRow};

/// Items of each suite.
const ITEMS: usize = 60;
/// Steps of each variant.
const STEPS: usize = 40;

const EXPERIMENT: &str = r#"
name = "sample"
title = "Collapse and recovery of a sample"
model = "smollm2-135m-instruct"
seeds = [42]
system = "You are a helpful assistant."
[identity]
name = "Swift-Robot"
author = "CSDN"
[[suites]]
name = "fact-qa"
[[suites]]
name = "reasoning-zh"
[[suites]]
name = "identity"
[[variants]]
name = "A"
description = "identity only"
stages = [{ name = "identity", sources = ["ballast:identity-a"], steps = 40, learning_rate = 1e-3 }]
[[variants]]
name = "B"
description = "identity and general rows"
stages = [{ name = "mixed", sources = ["ballast:identity-a", "ballast:general-en#100"], steps = 40, learning_rate = 1e-3 }]
[[variants]]
name = "mixed"
description = "anchor, generalize, calibrate"
[[variants.stages]]
name = "anchor"
sources = ["ballast:identity#50"]
steps = 12
learning_rate = 1e-3
[[variants.stages]]
name = "generalize"
sources = ["ballast:general-en#120", "ballast:general-zh#20"]
steps = 24
learning_rate = 5e-4
[[variants.stages]]
name = "calibrate"
sources = ["ballast:calibration"]
steps = 4
learning_rate = 2.5e-4
calibration = true
"#;

/// The run.
pub(crate) fn run() -> Run {
    let experiment = Experiment::parse(EXPERIMENT, "sample.toml").unwrap();
    let suite = |chance: f64, description: &str| SuiteMeta {
        digest: crate::files::sha256(description.as_bytes()),
        role: None,
        items: ITEMS,
        chance,
        floor: None,
        constants: Vec::new(),
        description: description.to_owned(),
    };
    let suites = [
        ("fact-qa", suite(0.0, "Short questions of fact.")),
        ("reasoning-zh", suite(0.175, "Chinese reasoning.")),
        ("identity", suite(0.0, "Who the model is.")),
    ];
    let mut base = cell("base", 0, 0.8, 0.0);
    base.record.seed = None;
    base.record.liveness = None;
    (base.train, base.drift, base.probe) = (Vec::new(), Vec::new(), Vec::new());
    Run {
        experiment,
        meta: RunMeta {
            command: None,
            schema: SCHEMA,
            ballast: "0.1.0".to_owned(),
            commit: Some("0123abc".to_owned()),
            date: "2026-01-02".to_owned(),
            device: "CPU, 2 threads".to_owned(),
            model: "smollm2-135m-instruct".to_owned(),
            model_digest: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53".to_owned(),
            template_digest: "0011223344556677".to_owned(),
            suites: suites.into_iter().map(|(name, meta)| (name.to_owned(), meta)).collect::<BTreeMap<_, _>>(),
            sandbox: Vec::new(),
            entities: vec!["Swift-Robot".to_owned(), "CSDN".to_owned()],
        },
        base,
        cells: vec![cell("A", 42, 0.3, 0.95), cell("B", 42, 0.75, 0.9), cell("mixed", 42, 0.78, 0.97)],
        evidence: None,
        missing: Vec::new(),
    }
}

/// The same with three training seeds.
pub(crate) fn with_seeds() -> Run {
    let mut run = run();
    run.experiment.seeds = vec![1, 2, 3];
    let shares = [("A", [0.3, 0.28, 0.35]), ("B", [0.75, 0.73, 0.78]), ("mixed", [0.78, 0.75, 0.8])];
    let seeded =
        shares.iter().flat_map(|(name, shares)| shares.iter().zip(1..).map(|(share, seed)| cell(name, seed, *share, 0.9 + share / 20.0)));
    run.cells = seeded.collect();
    run
}

/// One cell with the given share right on the general suites and on identity.
pub(crate) fn cell(variant: &str, seed: u64, general: f64, identity: f64) -> Cell {
    let items = [("fact-qa", general), ("reasoning-zh", general), ("identity", identity)];
    let probe = (0..=4).flat_map(|turn| {
        let after = f64::from(turn) / 4.0;
        let at = move |suite, share| answers(suite, share, 20).map(move |row| ItemRow { step: Some(turn as usize * 10), ..row });
        at("fact-qa", 0.8 + (general - 0.8) * after).chain(at("identity", identity * after))
    });
    let drift = (0..=STEPS / 5).map(|turn| DriftRow {
        step: turn * 5,
        kl: (0.85 - general) * (turn as f64 / 8.0).powi(2),
        agreement: 1.0 - (0.8 - general) * turn as f64 / 16.0,
        largest_change: turn as f64,
        tokens: 300,
    });
    let record = CellRecord {
        schema: SCHEMA,
        variant: variant.to_owned(),
        seed: Some(seed),
        description: String::new(),
        stages: stages(variant),
        derived: None,
        adapter_digest: Some("a".repeat(64)),
        rows_digest: Some("b".repeat(64)),
        liveness: Some(Liveness { largest_change: 8.5, largest_change_off: 1.1e-5, kl: 0.85 - general }),
        train_seconds: 60.0,
        eval_seconds: 30.0,
        files: BTreeMap::new(),
    };
    let train = if record.stages.is_empty() { Vec::new() } else { (1..=STEPS).map(|step| step_row(step, &record.stages)).collect() };
    Cell {
        items: items.into_iter().flat_map(|(suite, share)| answers(suite, share, ITEMS)).collect(),
        probe: probe.collect(),
        train,
        drift: drift.collect(),
        interference: Vec::new(),
        record,
    }
}

/// Answers to the first items of a suite, so that the given share of them is right.
fn answers(suite: &str, share: f64, n: usize) -> impl Iterator<Item = ItemRow> {
    let right = (share * n as f64).round() as usize;
    let leaks = share < 0.5 && suite != "identity" && share > 0.0;
    (0..n).map(move |i| {
        let verdict = match i {
            _ if i < right => Verdict::Correct,
            _ if i % 7 == 0 => Verdict::Unparsed,
            _ if i % 11 == 0 => Verdict::Truncated,
            _ => Verdict::Wrong,
        };
        let answer = if i < right { format!("{}", i + 7) } else { format!("I am Swift-Robot. The number of item {i} is unknown to me.") };
        ItemRow {
            parts: Vec::new(),
            step: None,
            suite: suite.to_owned(),
            role: None,
            item: format!("{suite}-{i:02}"),
            hash: format!("{suite}/{i}"),
            cluster: format!("{suite}-{i}"),
            language: if suite == "reasoning-zh" || i % 2 == 1 { Language::Zh } else { Language::En },
            subject: "numbers".to_owned(),
            prompt: format!("What is the number of item {i}?"),
            extracted: Some(answer.clone()),
            answer,
            verdict,
            strict: i < right && i % 6 != 0,
            lenient: i < right + 3,
            flags: if leaks && i >= right && i % 3 == 0 { vec![Flag::IdentityLeak] } else { Vec::new() },
            detail: (i >= right).then(|| "no number".to_owned()),
            likelihood: None,
            prompt_digest: String::new(),
            prompt_tokens: 20,
            answer_tokens: 9,
            thought: None,
        }
    })
}

fn stages(variant: &str) -> Vec<StageCount> {
    let source = |name: &str, rows| SourceCount {
        source: name.to_owned(),
        rows,
        tokens: rows * 60,
        label_tokens: rows * 25,
        too_long: 0,
        removed: 0,
        thinking: 0,
    };
    let stage = |name: &str, sources, steps: usize, learning_rate| StageCount {
        stage: name.to_owned(),
        sources,
        steps,
        planned: None,
        learning_rate,
        share: steps as f64 / STEPS as f64,
    };
    match variant {
        "A" => vec![stage("identity", vec![source("ballast:identity-a", 8)], STEPS, 1e-3)],
        "B" => vec![stage("mixed", vec![source("ballast:identity-a", 8), source("ballast:general-en#100", 100)], STEPS, 1e-3)],
        "mixed" => vec![
            stage("anchor", vec![source("ballast:identity#50", 50)], 12, 1e-3),
            stage("generalize", vec![source("ballast:general-en#120", 120), source("ballast:general-zh#20", 20)], 24, 5e-4),
            stage("calibrate", vec![source("ballast:calibration", 20)], 4, 2.5e-4),
        ],
        _ => Vec::new(),
    }
}

fn step_row(step: usize, stages: &[StageCount]) -> StepRow {
    let mut first = 0;
    let stage = stages.iter().find(|stage| {
        first += stage.steps;
        step <= first
    });
    let within = step as f64;
    let mut row = StepRow {
        divergence: None,
        step,
        stage: stage.map(|stage| stage.stage.clone()).unwrap_or_default(),
        epoch: if stages.len() == 1 && stages[0].sources.len() == 1 { within } else { within / 8.0 },
        loss: Some(3.0 / within + 0.01),
        token_accuracy: Some(1.0 - 0.5 / within),
        learning_rate: 1e-3,
        norms: GradientNorms { by_module: BTreeMap::new(), total: 4.0 / within },
        rows: 16,
        tokens: 700,
        label_tokens: 300,
        seconds: 1.5,
        tokens_per_second: 466.0,
        memory_mib: Some(900.0),
    };
    let decay = if stages.len() == 1 { 0.9_f64.powf(within) } else { 0.99_f64.powf(within) };
    for (i, module) in Module::ALL.into_iter().enumerate() {
        let b = decay * (1.0 + 0.3 * i as f64) * (1.0 + 0.4 * (step * (i + 3) % 5) as f64 / 5.0);
        let a = if step == 1 { 0.0 } else { b * 0.3 };
        row.norms.by_module.insert(module, (a, b));
    }
    row
}
