//! What an evaluation was made of: whatever has to be equal before two sets of answers may be compared.
//!
//! Written at the head of a baseline, beside the answers of `ballast eval --out`, and into a gate's JSON. Plain digests and
//! texts; how they come about is `commands`' business, what a difference means is `gate`'s.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::data::chat::ChatSettings;
use crate::data::thinking::Thinking;
use crate::eval::endpoint::prompts::Compared;
use crate::eval::score::IdentityTerms;

/// How answers are decoded; the limit of new tokens is each suite's.
pub const DECODING: &str = "greedy, at most the suite's max_new_tokens";

/// Stands where something cannot be known: of a log, or of a served model.
pub const NOT_KNOWN: &str = "not known";

/// Where the evidence of a file of answers lies: beside it, as FILE.evidence.json.
pub fn evidence_path(answers: &Path) -> PathBuf {
    let mut name = answers.file_name().unwrap_or_default().to_owned();
    name.push(".evidence.json");
    answers.with_file_name(name)
}

/// The circumstances of an evaluation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evidence {
    /// Version of Ballast, and so of its graders.
    pub ballast: String,
    /// Git commit it was built from, where known; recorded, not compared.
    pub commit: Option<String>,
    /// Numbers computed with: `f32` on the CPU, `bf16` on a GPU.
    pub numbers: String,
    /// Base model as asked for; recorded, not compared: its digests are.
    pub model: String,
    /// sha256 of its weights.
    pub weights: String,
    /// sha256 of the adapter that was asked, with its scale, if one was; recorded, not compared: it is what comparisons are of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub adapter: Option<String>,
    /// sha256 of its tokenizer.
    pub tokenizer: String,
    /// sha256 of its chat template.
    pub template: String,
    /// How conversations were put; the template is compared by its digest.
    #[serde(default, skip_serializing_if = "ChatSettings::is_default")]
    pub chat: ChatSettings,
    /// System prompt for every question.
    pub system: String,
    /// Names that the identity graders look for.
    pub identity: IdentityTerms,
    /// [`DECODING`].
    pub decoding: String,
    /// Sandbox layers in force; empty where no program was run.
    pub sandbox: Vec<String>,
    /// By suite.
    pub suites: BTreeMap<String, SuiteEvidence>,
    /// The endpoint that answered, where one did: weights and numbers are then [`NOT_KNOWN`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served: Option<ServedBy>,
}

/// A served model, as far as it can be known; recorded, not compared, but for what its prompts showed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServedBy {
    /// Address, which never holds a key.
    pub endpoint: String,
    /// The model's name there.
    pub model: String,
    /// The program that serves it, where known.
    pub server: String,
    /// The local model whose tokenizer and chat template the prompts were held against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<String>,
    /// What was asked of its decoding.
    pub settings: String,
    /// What can be said of its repeating itself.
    pub determinism: String,
    /// Prompts as the server reads them, held against the base's.
    pub prompts: Compared,
}

/// One suite as it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteEvidence {
    /// sha256 of the whole suite, questions and keys.
    pub digest: String,
    /// Items asked.
    pub items: usize,
    /// sha256 of the content hashes of the items asked, sorted.
    pub asked: String,
    /// sha256 of the prompts as token ids, in the order of the items' content hashes.
    pub prompts: String,
    /// Longest answer in tokens.
    pub max_new_tokens: usize,
}

/// One thing that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mismatch {
    /// What it is.
    pub what: String,
    /// In the first evaluation.
    pub expected: String,
    /// In the second.
    pub found: String,
}

impl std::fmt::Display for Mismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {} there, {} here", self.what, short(&self.expected), short(&self.found))
    }
}

impl Evidence {
    /// What keeps answers under `found` from being compared with answers under `self`, over the suites of `self`.
    pub fn mismatches(&self, found: &Self) -> Vec<Mismatch> {
        let thinking = |evidence: &Self| {
            let Thinking { enable, budget, .. } = evidence.chat.thinking;
            format!("{}, at most {budget} tokens", if enable { "on" } else { "off" })
        };
        let mut list = Differences::default();
        list.compare("the version of Ballast, and so its graders,", &self.ballast, &found.ballast);
        list.compare("the base model's weights or configuration", &self.weights, &found.weights);
        list.compare("the tokenizer", &self.tokenizer, &found.tokenizer);
        list.compare("the chat template", &self.template, &found.template);
        list.compare("the thinking asked for", &thinking(self), &thinking(found));
        list.compare("the system prompt", &self.system, &found.system);
        list.compare("the identity looked for", &self.identity.to_string(), &found.identity.to_string());
        list.compare("the decoding", &self.decoding, &found.decoding);
        list.compare("the type of numbers", &self.numbers, &found.numbers);
        list.compare("the sandbox's layers", &self.sandbox.join(", "), &found.sandbox.join(", "));
        for (name, suite) in &self.suites {
            let Some(other) = found.suites.get(name) else {
                list.compare(&format!("suite {name}"), "asked", "not asked");
                continue;
            };
            list.compare(&format!("suite {name}: its questions or keys"), &suite.digest, &other.digest);
            list.compare(&format!("suite {name}: the items asked"), &suite.asked, &other.asked);
            list.compare(&format!("suite {name}: the prompts as token ids"), &suite.prompts, &other.prompts);
            list.compare(&format!("suite {name}: max_new_tokens"), &suite.max_new_tokens.to_string(), &other.max_new_tokens.to_string());
        }
        list.0
    }

    /// Why answers made under `self` cannot be continued now; None where they can.
    pub fn interruption(&self, now: &Self) -> Option<String> {
        let mismatch = self.mismatches(now).into_iter().chain(now.mismatches(self)).next().map(|mismatch| mismatch.to_string());
        let other = [
            ("adapter differs", self.adapter != now.adapter),
            ("training rows looked for differ", self.identity.taught != now.identity.taught),
        ];
        mismatch.or_else(|| other.iter().find(|(_, differs)| *differs).map(|(what, _)| format!("the {what}")))
    }
}

#[derive(Default)]
struct Differences(Vec<Mismatch>);

impl Differences {
    fn compare(&mut self, what: &str, expected: &str, found: &str) {
        if expected != found {
            self.0.push(Mismatch { what: what.to_owned(), expected: expected.to_owned(), found: found.to_owned() });
        }
    }
}

/// A digest's beginning; other texts whole, quoted.
fn short(text: &str) -> String {
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) { text[..12].to_owned() } else { format!("`{text}`") }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn evidence() -> Evidence {
        let suite = |name: &str, items| SuiteEvidence {
            digest: crate::files::sha256(name.as_bytes()),
            items,
            asked: "a".repeat(64),
            prompts: "b".repeat(64),
            max_new_tokens: 32,
        };
        Evidence {
            ballast: "0.1.0".to_owned(),
            commit: None,
            numbers: "f32".to_owned(),
            model: "smollm2-135m-instruct".to_owned(),
            weights: "c".repeat(64),
            adapter: None,
            tokenizer: "d".repeat(64),
            template: "e".repeat(64),
            chat: ChatSettings::default(),
            system: "You are a helpful assistant.".to_owned(),
            identity: IdentityTerms::default(),
            decoding: DECODING.to_owned(),
            sandbox: vec!["seccomp".to_owned()],
            suites: [("fact-qa", 200), ("identity", 100)].map(|(name, items)| (name.to_owned(), suite(name, items))).into(),
            served: None,
        }
    }

    #[test]
    fn the_same_evidence_has_no_mismatch_and_what_is_only_recorded_is_none() {
        let other = Evidence { commit: Some("abc".to_owned()), model: "elsewhere".to_owned(), ..evidence() };
        assert_eq!(evidence().mismatches(&other), []);
    }

    #[test]
    fn answers_are_continued_under_the_same_circumstances_alone() {
        let moved = Evidence { commit: Some("abc".to_owned()), ..evidence() };
        assert_eq!(evidence().interruption(&moved), None);
        let tuned = Evidence { adapter: Some("9".repeat(64)), ..evidence() };
        assert_eq!(evidence().interruption(&tuned).as_deref(), Some("the adapter differs"));
        let mut fewer = evidence();
        fewer.suites.remove("identity");
        assert!(evidence().interruption(&fewer).is_some() && fewer.interruption(&evidence()).is_some());
    }

    #[test]
    fn every_difference_is_named() {
        let mut other = evidence();
        other.weights = "0".repeat(64);
        other.system = "Be brief.".to_owned();
        other.sandbox.clear();
        other.suites.remove("identity");
        other.suites.get_mut("fact-qa").unwrap().digest = "f".repeat(64);
        let named: Vec<String> = evidence().mismatches(&other).iter().map(ToString::to_string).collect();
        assert_eq!(named.len(), 5);
        assert_eq!(named[0], "the base model's weights or configuration: cccccccccccc there, 000000000000 here");
        assert!(named[1].contains("`Be brief.` here") && named[4].contains("suite identity"), "{named:#?}");
        assert_eq!(other.mismatches(&evidence()).len(), 4, "a suite asked beside is no harm");
    }
}
