//! A base model with the suites it is asked: what `bless`, `gate` and `calibrate` share, so that all ask in one way.

use std::collections::HashSet;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use super::rows::item_row;
use super::{fetched, model};
use crate::data::chat::{ChatSettings, ChatTemplate};
use crate::eval::budget::Budgets;
use crate::eval::drift::DriftProbe;
use crate::eval::run::{Asker, Evaluator};
use crate::eval::score::IdentityTerms;
use crate::eval::suite::Item;
use crate::files::sha256;
use crate::library;
use crate::model::adapter_set::AdapterSet;
use crate::model::base::BaseModel;
use crate::model::device::DeviceChoice;
use crate::model::lora::Adapter;
use crate::plan::{self, PlannedSuite};
use crate::progress::Bar;
use crate::random::{derive, shuffle};
use crate::record::evidence::{DECODING, Evidence, SuiteEvidence};
use crate::record::rows::ItemRow;
use crate::sandbox::Sandbox;

/// Questions of the probe, and the tokens that the base answers to each.
const PROBE: (usize, usize) = (8, 16);

/// How a model is asked.
pub(super) struct Session {
    pub(super) base: BaseModel,
    pub(super) template: ChatTemplate,
    pub(super) suites: Vec<PlannedSuite>,
    /// Where each suite's questions are.
    pub(super) sources: Vec<String>,
    pub(super) system: String,
    pub(super) identity: IdentityTerms,
    sandbox: Sandbox,
    budgets: Budgets,
    layers: Vec<String>,
    device: DeviceChoice,
}

impl Session {
    /// Loads the model; the sandbox is tried first where a suite has programs to run.
    pub(super) fn open(
        name: &str,
        device: DeviceChoice,
        chat: &ChatSettings,
        suites: Vec<(String, PlannedSuite)>,
        system: &str,
        identity: IdentityTerms,
    ) -> Result<Self> {
        let (sources, suites): (Vec<String>, Vec<PlannedSuite>) = suites.into_iter().unzip();
        let sandbox = Sandbox::default();
        let layers = layers(&sandbox, &suites)?;
        let (base, template) = model::load(name, device, chat)?;
        Ok(Self {
            base,
            template,
            suites,
            sources,
            system: system.to_owned(),
            identity,
            sandbox,
            budgets: Budgets::default(),
            layers,
            device,
        })
    }

    /// What the answers of this session are made of.
    pub(super) fn evidence(&self) -> Result<Evidence> {
        let asking = PromptContext { base: &self.base, template: &self.template, system: &self.system, identity: &self.identity };
        evidence(&self.evaluator(&AdapterSet::base()), &asking, &self.layers, self.device, &self.suites)
    }

    /// Answers of the base, or of the base with an adapter, to every item.
    pub(super) fn ask(&self, title: &str, adapter: Option<&Adapter>) -> Result<Vec<ItemRow>> {
        self.ask_in_groups(title, adapter, &self.suites, usize::MAX)
    }

    /// Answers to some items, so many at a time and in the order given.
    pub(super) fn ask_in_groups(
        &self,
        title: &str,
        adapter: Option<&Adapter>,
        suites: &[PlannedSuite],
        group: usize,
    ) -> Result<Vec<ItemRow>> {
        let merged = model::merged(&self.base, adapter)?;
        let decoder = merged.as_ref().unwrap_or(&self.base.decoder);
        let adapter_set = AdapterSet::one(decoder, adapter.filter(|_| merged.is_none()))?;
        let evaluator = Evaluator { decoder, ..self.evaluator(&adapter_set) };
        let bar = Bar::new(title, suites.iter().map(|suite| suite.items.len()).sum());
        let mut rows = Vec::new();
        for PlannedSuite { suite, items } in suites {
            bar.message(suite.name.clone());
            for items in items.chunks(group) {
                evaluator.answer(items, suite.asking(), &HashSet::new(), &mut |answered| {
                    rows.push(item_row(suite, None, answered));
                    bar.advance(1);
                    Ok(())
                })?;
            }
        }
        bar.finish();
        Ok(rows)
    }

    /// Answers of the base with each of several adapters, side by side.
    pub(super) fn ask_each(&self, title: &str, adapters: &[&Adapter]) -> Result<Vec<Vec<ItemRow>>> {
        let adapter_set = AdapterSet::new(&self.base.decoder, adapters.to_vec())?;
        let evaluator = self.evaluator(&adapter_set);
        let nothing = HashSet::new();
        let askers: Vec<Asker> = (0..adapters.len()).map(|adapter| Asker { adapter: Some(adapter), done: &nothing }).collect();
        let bar = Bar::new(title, adapters.len() * self.suites.iter().map(|suite| suite.items.len()).sum::<usize>());
        let mut rows = vec![Vec::new(); adapters.len()];
        for PlannedSuite { suite, items } in &self.suites {
            bar.message(suite.name.clone());
            evaluator.answer_all(items, suite.asking(), &askers, &mut |asker, answered| {
                rows[asker].push(item_row(suite, None, answered));
                bar.advance(1);
                Ok(())
            })?;
        }
        bar.finish();
        Ok(rows)
    }

    /// Questions on which adapter and base are told apart: of the general suites where there are any.
    pub(super) fn probe(&self) -> Result<DriftProbe> {
        let general = plan::general_items(&self.suites);
        let items = if general.is_empty() { self.suites.iter().flat_map(|suite| &suite.items).collect() } else { general };
        ensure!(!items.is_empty(), "the baseline has no items to probe the adapter with");
        let base = AdapterSet::base();
        let evaluator = self.evaluator(&base);
        let items = shuffle(items, derive(0, &["gate", "probe"]));
        let prompts = items.into_iter().take(PROBE.0).map(|item| evaluator.prompt(item)).collect::<Result<Vec<_>>>()?;
        DriftProbe::new(&self.base.decoder, &prompts, PROBE.1, &self.base.codec.stops)
    }

    /// Asks the base with the adapters of an adapter set.
    fn evaluator<'a>(&'a self, adapter_set: &'a AdapterSet<'a>) -> Evaluator<'a> {
        Evaluator {
            decoder: &self.base.decoder,
            adapter_set,
            template: &self.template,
            system: &self.system,
            identity: &self.identity,
            sandbox: &self.sandbox,
            budgets: &self.budgets,
        }
    }
}

/// The sandbox's layers in force where a suite has programs to run; none are needed where none has.
pub(super) fn layers(sandbox: &Sandbox, suites: &[PlannedSuite]) -> Result<Vec<String>> {
    if !suites.iter().flat_map(|suite| &suite.items).any(Item::runs_programs) {
        return Ok(Vec::new());
    }
    let layers = sandbox.effective_layers().context("the programs of a suite cannot be run safely here")?;
    Ok(layers.iter().map(ToString::to_string).collect())
}

/// Suites with where they are and the items that are asked, at most so many of each; all shipped ones if none is named.
pub(super) fn planned(names: &[String], items: Option<usize>) -> Result<Vec<(String, PlannedSuite)>> {
    ensure!(items != Some(0), "--items 0 would ask nothing: give at least 1, or leave it out");
    let names = if names.is_empty() { library::suite_names().map(str::to_owned).collect() } else { names.to_vec() };
    let plan = |name: String| -> Result<(String, PlannedSuite)> {
        let suite = fetched::suite(&name)?;
        let items = suite.select(None, items, derive(0, &["items", &suite.name])).into_iter().cloned().collect();
        Ok((name, PlannedSuite { suite, items }))
    };
    names.into_iter().map(plan).collect()
}

/// One name and author in both languages.
pub(super) fn terms(name: &str, author: &str) -> IdentityTerms {
    IdentityTerms {
        name_zh: name.to_owned(),
        name_en: name.to_owned(),
        author_zh: author.to_owned(),
        author_en: author.to_owned(),
        taught: Vec::new(),
    }
}

/// Model and words of a question.
pub(super) struct PromptContext<'a> {
    pub(super) base: &'a BaseModel,
    pub(super) template: &'a ChatTemplate,
    pub(super) system: &'a str,
    pub(super) identity: &'a IdentityTerms,
}

/// What answers are made of.
pub(super) fn evidence(
    evaluator: &Evaluator,
    asking: &PromptContext,
    layers: &[String],
    device: DeviceChoice,
    suites: &[PlannedSuite],
) -> Result<Evidence> {
    let suites = suites.iter().map(|planned| {
        let prompts = planned.items.iter().map(|item| Ok((item.content_hash(), evaluator.prompt(item)?)));
        Ok((planned.suite.name.clone(), suite_evidence(planned, prompts.collect::<Result<_>>()?)?))
    });
    Ok(Evidence {
        ballast: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("BALLAST_COMMIT").map(str::to_owned),
        numbers: match device {
            DeviceChoice::Cpu => "f32".to_owned(),
            DeviceChoice::Cuda(_) => "bf16".to_owned(),
        },
        model: asking.base.name.clone(),
        weights: asking.base.digest.clone(),
        adapter: None,
        tokenizer: asking.base.codec.digest()?,
        template: asking.template.digest(),
        chat: asking.template.settings().clone(),
        system: asking.system.to_owned(),
        identity: asking.identity.clone(),
        decoding: DECODING.to_owned(),
        sandbox: layers.to_vec(),
        suites: suites.collect::<Result<_>>()?,
        served: None,
    })
}

/// What was asked of a suite: its items' content hashes, each with the prompt that it came to.
pub(super) fn suite_evidence<P: Serialize>(planned: &PlannedSuite, mut prompts: Vec<(String, P)>) -> Result<SuiteEvidence> {
    // Two items of one hash ask the same and have the same prompt.
    prompts.sort_by(|a, b| a.0.cmp(&b.0));
    let hashes: Vec<&str> = prompts.iter().map(|(hash, _)| hash.as_str()).collect();
    Ok(SuiteEvidence {
        digest: planned.suite.digest.clone(),
        items: planned.items.len(),
        asked: sha256(hashes.join("\n").as_bytes()),
        prompts: sha256(&serde_json::to_vec(&prompts)?),
        max_new_tokens: planned.suite.max_new_tokens,
    })
}
