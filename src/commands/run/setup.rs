//! Everything a run needs before its first cell: model, suites, the rows of every variant, and the run directory that
//! belongs to exactly these.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{replay, work};
use crate::cli::RunArgs;
use crate::commands::circumstances::{describe, utc_date};
use crate::commands::session::{PromptContext, evidence, layers};
use crate::commands::taught::taught;
use crate::commands::{fetched, model};
use crate::config::file::Experiment;
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::data::mix::SourceSpec;
use crate::error::Interrupted;
use crate::eval::budget::Budgets;
use crate::eval::drift::DriftProbe;
use crate::eval::run::Evaluator;
use crate::eval::score::IdentityTerms;
use crate::eval::suite::Item;
use crate::files::{create_folder, read_json, read_text, remove_file, remove_partial_files, sha256, write_atomic, write_json};
use crate::library;
use crate::model::adapter_set::AdapterSet;
use crate::model::base::BaseModel;
use crate::model::device::DeviceChoice;
use crate::plan::{self, PlannedCell, PlannedInterference, PlannedStage, PlannedSuite};
use crate::progress::Overall;
use crate::random::{derive, shuffle};
use crate::record::evidence::Evidence;
use crate::record::lock::RunLock;
use crate::record::rows::{CellRecord, RunMeta, SCHEMA, SuiteMeta};
use crate::record::run_dir::{CellDir, RunDir};
use crate::sandbox::Sandbox;

/// A run about to begin or continue.
pub(super) struct Prepared {
    pub(super) experiment: Experiment,
    pub(super) base: BaseModel,
    pub(super) template: ChatTemplate,
    pub(super) suites: Vec<PlannedSuite>,
    /// Cells that share their passes.
    pub(super) together: usize,
    /// Stages of every trained cell, by variant and seed.
    pub(super) stages: BTreeMap<(String, u64), Vec<PlannedStage>>,
    pub(super) identity: IdentityTerms,
    pub(super) sandbox: Sandbox,
    pub(super) budgets: Budgets,
    pub(super) drift: DriftProbe,
    /// Rows on which interference is measured.
    pub(super) interference: Option<PlannedInterference>,
    pub(super) dir: RunDir,
    pub(super) report: PathBuf,
    pub(super) stop: Arc<AtomicBool>,
    pub(super) progress: Overall,
    _lock: RunLock,
}

impl Prepared {
    /// An error once Ctrl-C was pressed.
    pub(super) fn check_stop(&self) -> Result<()> {
        if self.stop.load(std::sync::atomic::Ordering::SeqCst) {
            return Err(Interrupted.into());
        }
        Ok(())
    }

    /// The folder of a cell.
    pub(super) fn cell(&self, cell: PlannedCell<'_>) -> CellDir {
        match cell {
            PlannedCell::Base => self.dir.base(),
            PlannedCell::Variant(variant, seed) => self.dir.cell(&variant.name, seed),
        }
    }

    /// The stages that a cell is trained in; None where it is not.
    pub(super) fn stages(&self, cell: PlannedCell<'_>) -> Option<&[PlannedStage]> {
        let PlannedCell::Variant(variant, seed) = cell else { return None };
        self.stages.get(&(variant.name.clone(), seed)).map(Vec::as_slice)
    }
}

pub(super) fn prepare(args: &RunArgs, stop: Arc<AtomicBool>) -> Result<Prepared> {
    let (text, label) = library::experiment(&args.experiment)?;
    let mut experiment = Experiment::parse(&text, &label)?;
    if let Some(model) = &args.model {
        experiment.model.clone_from(model);
    }
    experiment.template = args.template.clone().or(experiment.template);
    experiment.template = model::settled(&experiment.model, &experiment.chat()).template;
    if args.side_by_side {
        experiment.cells_together = Some(1 + experiment.cells().count());
    }
    let suites = plan::suites(&experiment, &fetched::suite)?;
    // The sandbox is tried before anything is fetched or trained: without it the code suite measures nothing.
    let sandbox = Sandbox::default();
    let layers = layers(&sandbox, &suites)?;
    let device = args.device.device;
    let (base, template) = model::load(&experiment.model, device, &experiment.chat())?;
    let mut stages = BTreeMap::new();
    let answers = |asked: &[&[Message]], most: usize| replay::answers(&base, &template, device, asked, most);
    for (variant, seed) in experiment.cells() {
        if variant.of.is_none() {
            stages.insert((variant.name.clone(), seed), plan::stages(&experiment, variant, seed, &template, &suites, Some(&answers))?);
        }
    }
    let interference = plan::interference(&experiment, &template)?;
    plan::fits(&experiment, &base.decoder.spec, &suites, stages.values().flatten())?;
    let together = plan::cells_together(&experiment, device == DeviceChoice::Cpu);
    let plan_text = toml::to_string_pretty(&experiment).context("failed to write the plan")?;
    let of_stages = stages.values().map(|planned| plan::rows_digest(planned));
    let rows: Vec<String> = of_stages.chain(interference.as_ref().map(PlannedInterference::digest)).collect();
    let fingerprint = fingerprint(&plan_text, together, &base, &template, &suites, &rows, device);
    let names = IdentityTerms::from(&experiment.identity);
    let identity = IdentityTerms { taught: taught_by(&experiment, &names)?, ..names };
    let budgets = Budgets::default();
    let adapter_set = AdapterSet::base();
    let evaluator = Evaluator {
        decoder: &base.decoder,
        adapter_set: &adapter_set,
        template: &template,
        system: &experiment.system,
        identity: &identity,
        sandbox: &sandbox,
        budgets: &budgets,
    };
    let asking = PromptContext { base: &base, template: &template, system: &experiment.system, identity: &identity };
    let evidence = evidence(&evaluator, &asking, &layers, device, &suites)?;

    let dir = RunDir(args.runs.join(format!("{}-{}", experiment.name, &fingerprint[..8])));
    create_folder(&dir.0)?;
    let lock = RunLock::take(&dir.lock())?;
    remove_partial_files(&dir.0)?;
    if !dir.plan().exists() || read_text(&dir.plan())? != plan_text {
        write_atomic(&dir.plan(), plan_text.as_bytes())?;
    }
    if !dir.meta().exists() {
        let meta = meta(&experiment, &base, &template, &suites, layers, device);
        write_json(&dir.meta(), &RunMeta { command: (label != args.experiment).then(|| command(args)), ..meta })?;
    }
    let _: RunMeta = read_json(&dir.meta())?;
    if dir.evidence().exists() {
        let then: Evidence = read_json(&dir.evidence())?;
        if let Some(why) = then.interruption(&evidence) {
            bail!("{} cannot be continued here: {why}; start another run with --runs DIR", dir.0.display());
        }
    } else {
        write_json(&dir.evidence(), &evidence)?;
    }
    verify(&dir, &experiment)?;
    let progress = Overall::new(1 + experiment.cells().count());
    let started = Instant::now();
    let drift = drift_probe(&experiment, &base, &template, &suites)?;
    progress.learn(work::drift(&drift), started.elapsed());
    let report = match &args.model {
        None => experiment.name.clone(),
        Some(model) => format!("{}-{}", experiment.name, slug(model)),
    };
    let report = args.reports.join(report);
    Ok(Prepared {
        experiment,
        base,
        template,
        suites,
        together,
        stages,
        identity,
        sandbox,
        budgets,
        drift,
        interference,
        dir,
        report,
        stop,
        progress,
        _lock: lock,
    })
}

/// Finished cells are what they were when they were finished.
fn verify(dir: &RunDir, experiment: &Experiment) -> Result<()> {
    for cell in plan::groups(experiment, 1).into_iter().flatten() {
        let cell = match cell {
            PlannedCell::Base => dir.base(),
            PlannedCell::Variant(variant, seed) => dir.cell(&variant.name, seed),
        };
        if !cell.record().exists() {
            continue;
        }
        let record: CellRecord = read_json(&cell.record())?;
        if !record.files.is_empty() {
            cell.verify(&record.files, &cell.digests()?)?;
        }
        // A kill between the record and this line leaves it behind.
        remove_file(&cell.state())?;
    }
    Ok(())
}

/// What the rows of all variants teach a model to say.
fn taught_by(experiment: &Experiment, identity: &IdentityTerms) -> Result<Vec<String>> {
    let stages = experiment.variants.iter().flat_map(|variant| &variant.stages);
    let sources = stages.flat_map(|stage| &stage.sources).map(|written| SourceSpec::parse(written, |path| Path::new(path).exists()));
    let sources: Vec<SourceSpec> = sources.collect::<Result<_>>()?;
    taught(sources.iter().map(|source| source.path.as_str()), identity)
}

/// The arguments that say what is measured, for whoever measures it again.
fn command(args: &RunArgs) -> String {
    let mut words = vec![args.experiment.clone()];
    if let Some(model) = &args.model {
        words.extend(["--model".to_owned(), quoted(model)]);
    }
    if let Some(template) = &args.template {
        words.extend(["--template".to_owned(), quoted(template)]);
    }
    if args.device.device != DeviceChoice::Cpu {
        words.extend(["--device".to_owned(), args.device.device.to_string()]);
    }
    if args.side_by_side {
        words.push("--side-by-side".to_owned());
    }
    words.join(" ")
}

/// For a shell.
fn quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:#".contains(c);
    if text.chars().all(plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

/// What a run directory belongs to: change any of it and a new run begins.
fn fingerprint(
    plan: &str,
    together: usize,
    base: &BaseModel,
    template: &ChatTemplate,
    suites: &[PlannedSuite],
    rows: &[String],
    device: DeviceChoice,
) -> String {
    let mut text =
        format!("{}\n{plan}\ntogether {together}\n{}\n{}\n{device}\n", env!("CARGO_PKG_VERSION"), base.digest, template.digest());
    for suite in suites {
        text.push_str(&suite.suite.digest);
        for item in &suite.items {
            text.push_str(&item.content_hash());
        }
    }
    text.extend(rows.iter().map(String::as_str));
    sha256(text.as_bytes())
}

fn meta(
    experiment: &Experiment,
    base: &BaseModel,
    template: &ChatTemplate,
    suites: &[PlannedSuite],
    sandbox: Vec<String>,
    device: DeviceChoice,
) -> RunMeta {
    let suites = suites.iter().map(|planned| {
        let chance = planned.items.iter().map(Item::chance).sum::<f64>() / planned.items.len() as f64;
        let suite = &planned.suite;
        let floor = suite.floor_of(&planned.items);
        let meta = SuiteMeta {
            digest: suite.digest.clone(),
            role: Some(suite.role),
            items: planned.items.len(),
            chance,
            floor: (floor > chance).then_some(floor),
            constants: suite.constants.iter().filter(|constant| planned.items.iter().any(|item| constant.fits(item))).cloned().collect(),
            description: suite.description.clone(),
        };
        (suite.name.clone(), meta)
    });
    RunMeta {
        command: None,
        schema: SCHEMA,
        ballast: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("BALLAST_COMMIT").map(str::to_owned),
        date: utc_date(),
        device: describe(device),
        model: experiment.model.clone(),
        model_digest: base.digest.clone(),
        template_digest: template.digest(),
        suites: suites.collect(),
        sandbox,
        entities: experiment.identity.entities(),
    }
}

/// Questions for drift: some of every suite but identity, which is where change is wanted.
fn drift_probe(experiment: &Experiment, base: &BaseModel, template: &ChatTemplate, suites: &[PlannedSuite]) -> Result<DriftProbe> {
    let prompts = shuffle(plan::general_items(suites), derive(0, &["drift"]))
        .into_iter()
        .take(experiment.drift.prompts.max(1))
        .map(|item| {
            template.prompt(&[Message::new(Role::System, experiment.system.as_str()), Message::new(Role::User, item.user_prompt())])
        })
        .collect::<Result<Vec<_>>>()?;
    DriftProbe::new(&base.decoder, &prompts, experiment.drift.max_new_tokens, &base.codec.stops)
}

/// A model reference as part of a folder's name.
fn slug(model: &str) -> String {
    let last = model.trim_end_matches('/').rsplit('/').next().unwrap_or(model);
    last.chars().map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' }).collect()
}
