//! A served model with the suites it is asked: the counterpart of `session` for `--endpoint`.

use std::time::Duration;

use anyhow::{Context, Result};

use super::{model, session};
use crate::cli::EndpointArgs;
use crate::data::chat::{ChatSettings, ChatTemplate};
use crate::eval::budget::Budgets;
use crate::eval::endpoint::prompts::{Compared, Held};
use crate::eval::endpoint::{Address, Client, Key, Offers, Patience, Served};
use crate::eval::grading::Grader;
use crate::eval::score::IdentityTerms;
use crate::eval::suite::{Item, Suite};
use crate::plan::PlannedSuite;
use crate::record::evidence::{DECODING, Evidence, NOT_KNOWN, ServedBy, SuiteEvidence};
use crate::sandbox::Sandbox;

/// A served model, the suites it is asked, and what grades its answers.
pub(super) struct ServedSession {
    client: Client,
    offers: Offers,
    base: Option<(String, ChatTemplate)>,
    pub(super) suites: Vec<PlannedSuite>,
    system: String,
    identity: IdentityTerms,
    sandbox: Sandbox,
    budgets: Budgets,
    layers: Vec<String>,
    concurrency: std::num::NonZeroUsize,
    chat: ChatSettings,
}

impl ServedSession {
    /// Asks the endpoint which models it serves; the sandbox and the base's files are tried before that.
    pub(super) fn open(
        args: &EndpointArgs,
        chat: ChatSettings,
        suites: Vec<PlannedSuite>,
        system: &str,
        identity: IdentityTerms,
    ) -> Result<Self> {
        let address = Address::parse(args.endpoint.as_deref().context("--endpoint is not given")?)?;
        let key = args.api_key_env.as_deref().map(|variable| Key::from_env(variable, &address)).transpose()?;
        let patience = Patience { timeout: Duration::from_secs_f64(args.timeout), retries: args.retries, ..Patience::default() };
        let sandbox = Sandbox::default();
        let layers = session::layers(&sandbox, &suites)?;
        let base = args.base.as_ref().map(|name| Ok::<_, anyhow::Error>((name.clone(), model::template(name, &chat)?))).transpose()?;
        let client = Client::new(address, key, patience, args.requests_per_minute);
        let offers = Offers::of(&client, args.served_model.as_deref())?;
        Ok(Self {
            client,
            offers,
            base,
            suites,
            system: system.to_owned(),
            identity,
            sandbox,
            budgets: Budgets::default(),
            layers,
            concurrency: args.concurrency,
            chat,
        })
    }

    /// Who answers. Suites that the endpoint cannot be asked are refused.
    pub(super) fn served(&self) -> Result<Served<'_>> {
        let grader = Grader { identity: &self.identity, sandbox: &self.sandbox, budgets: &self.budgets };
        let base = self.base.as_ref().map(|(_, template)| template);
        let served = Served::new(&self.client, &self.offers, base, &self.system, grader, self.concurrency, &self.asked())?;
        Ok(served.thinking(self.chat.thinking))
    }

    /// The suites with the items asked of each.
    pub(super) fn asked(&self) -> Vec<(&Suite, &[Item])> {
        self.suites.iter().map(|planned| (&planned.suite, planned.items.as_slice())).collect()
    }

    /// What the answers are made of, as far as it can be known of a served model.
    pub(super) fn evidence(&self, served: &Served<'_>, compared: &Compared) -> Result<Evidence> {
        let suites = self.suites.iter().map(|planned| Ok((planned.suite.name.clone(), suite_evidence(served, planned)?)));
        let known = self.base.as_ref().filter(|_| compared.held != Held::Not);
        let differs = compared.first.as_ref().map(|first| format!("as served, not the base's: {first}"));
        let (tokenizer, template) = match (known, differs) {
            (None, _) => (NOT_KNOWN.to_owned(), NOT_KNOWN.to_owned()),
            (Some(_), Some(differs)) => (NOT_KNOWN.to_owned(), differs),
            (Some((_, template)), None) => (template.codec().digest()?, template.digest()),
        };
        Ok(Evidence {
            ballast: env!("CARGO_PKG_VERSION").to_owned(),
            commit: option_env!("BALLAST_COMMIT").map(str::to_owned),
            numbers: "as served".to_owned(),
            model: self.offers.model.clone(),
            weights: format!("{NOT_KNOWN}: served as {}", self.offers.model),
            adapter: None,
            tokenizer,
            template,
            chat: self.chat.clone(),
            system: self.system.clone(),
            identity: self.identity.clone(),
            decoding: DECODING.to_owned(),
            sandbox: self.layers.clone(),
            suites: suites.collect::<Result<_>>()?,
            served: Some(ServedBy {
                endpoint: self.client.address().base().to_owned(),
                model: self.offers.model.clone(),
                server: self.offers.server.name().to_owned(),
                base: self.base.as_ref().map(|(name, _)| name.clone()),
                settings: settings(&self.offers),
                determinism: "the server's own: equal requests may be answered differently, and Ballast cannot change that".to_owned(),
                prompts: compared.clone(),
            }),
        })
    }
}

/// `temperature 0, seed 0, repeat_penalty 1`
fn settings(offers: &Offers) -> String {
    let penalty = offers.server.penalty().map_or(String::new(), |name| format!(", {name} 1"));
    format!("temperature 0, seed 0{penalty}")
}

fn suite_evidence(served: &Served<'_>, planned: &PlannedSuite) -> Result<SuiteEvidence> {
    let prompts = planned.items.iter().map(|item| Ok((item.content_hash(), served.prompt(item)?)));
    session::suite_evidence(planned, prompts.collect::<Result<_>>()?)
}
