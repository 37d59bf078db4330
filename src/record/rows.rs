//! The rows: one struct a file kind. Their field names are the files' format; a change of meaning raises [`SCHEMA`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::data::thinking::Thought;
use crate::eval::likelihood::Likelihood;
use crate::eval::score::{Flag, Verdict};
use crate::eval::suite::{Constant, Language, SuiteRole};

/// Version of the files of a run directory.
pub const SCHEMA: u32 = 1;

/// One answered item: a line of `items.jsonl` and of `probe.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemRow {
    /// Optimizer step of a probe; absent in final evaluations.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub step: Option<usize>,
    /// Suite.
    pub suite: String,
    /// What the suite is for; None in rows of versions that did not record it, and of other harnesses. See [`ItemRow::role`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<SuiteRole>,
    /// Item id.
    pub item: String,
    /// Content hash of the item: what runs are joined by.
    pub hash: String,
    /// Cluster of related items.
    pub cluster: String,
    /// Language asked.
    pub language: Language,
    /// Subject.
    pub subject: String,
    /// What was asked, as the user's message.
    pub prompt: String,
    /// What was answered.
    pub answer: String,
    /// What was read as the answer.
    pub extracted: Option<String>,
    /// What it counts as.
    pub verdict: Verdict,
    /// Right and in the asked form.
    pub strict: bool,
    /// Right under the lenient reading.
    pub lenient: bool,
    /// How it went wrong.
    pub flags: Vec<Flag>,
    /// Why.
    pub detail: Option<String>,
    /// What was asked and answered in each part of an item that has several; `prompt` and `answer` are then those of the last.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub parts: Vec<PartRow>,
    /// What the model thinks of the right answer and of the options.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub likelihood: Option<Likelihood>,
    /// First 16 hexadecimal digits of the sha256 of the prompt's token ids, each as four bytes from the lowest; of a
    /// conversation, of what stands before the model's own first answer. Empty in rows that others wrote, and of served models.
    #[serde(default)]
    pub prompt_digest: String,
    /// Tokens of the prompt; of all prompts, where there are several.
    pub prompt_tokens: usize,
    /// Tokens of the answer, without those of `thought`.
    pub answer_tokens: usize,
    /// What was thought before the answer, in a model's marks of it; absent where nothing was.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub thought: Option<Thought>,
}

/// One part of an item that asks several questions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PartRow {
    /// What was asked.
    pub prompt: String,
    /// What was answered.
    pub answer: String,
    /// What it counts as; None for a part that is not graded.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub verdict: Option<Verdict>,
    /// What was read as the answer.
    pub extracted: Option<String>,
    /// How it went wrong.
    pub flags: Vec<Flag>,
    /// Why.
    pub detail: Option<String>,
}

impl ItemRow {
    /// What the row's suite is for.
    pub fn role(&self) -> SuiteRole {
        self.role.unwrap_or_else(|| SuiteRole::of_name(&self.suite))
    }

    /// Whether the answer counts as right.
    pub fn is_correct(&self) -> bool {
        self.verdict == Verdict::Correct
    }

    /// Whether it says neither the new identity nor an old one where nobody asked.
    pub fn is_clean(&self) -> bool {
        !self.flags.iter().any(|flag| matches!(flag, Flag::IdentityLeak | Flag::Residue))
    }
}

/// One drift measurement: a row of `drift.csv`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DriftRow {
    /// Optimizer step.
    pub step: usize,
    /// Mean KL(base || variant), nats a token.
    pub kl: f64,
    /// Share of tokens with the same most probable token.
    pub agreement: f64,
    /// Largest change of any logit.
    pub largest_change: f64,
    /// Tokens measured.
    pub tokens: usize,
}

/// What a stage takes from one source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceCount {
    /// As written in the mixture.
    pub source: String,
    /// Rows trained on.
    pub rows: usize,
    /// Their tokens.
    pub tokens: usize,
    /// Their label tokens: the share of these is the share of the loss.
    pub label_tokens: usize,
    /// Left out: longer than max_length.
    pub too_long: usize,
    /// Left out: like a row of `without`.
    pub removed: usize,
    /// Rows that hold thinking, which is taken out of them unless the experiment keeps it.
    #[serde(default, skip_serializing_if = "none")]
    pub thinking: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn none(count: &usize) -> bool {
    *count == 0
}

/// One stage as planned, for tables.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageCount {
    /// Name.
    pub stage: String,
    /// By source.
    pub sources: Vec<SourceCount>,
    /// Optimizer steps.
    pub steps: usize,
    /// Steps that were planned, where the variant stopped at its drift bound before the stage's last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned: Option<usize>,
    /// Peak rate.
    pub learning_rate: f64,
    /// Share of the variant's steps.
    pub share: f64,
}

/// What a finished cell says of itself: `cell.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellRecord {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Variant, or `base`.
    pub variant: String,
    /// Training seed; None for the base.
    pub seed: Option<u64>,
    /// One line for the report.
    pub description: String,
    /// What it was trained on.
    pub stages: Vec<StageCount>,
    /// Variant and lambda it was taken from.
    pub derived: Option<(String, f64)>,
    /// sha256 of its adapter; None for the base.
    pub adapter_digest: Option<String>,
    /// sha256 of the rows trained on.
    pub rows_digest: Option<String>,
    /// Proof that it acts.
    pub liveness: Option<Liveness>,
    /// Wall time of training, seconds, all continuations together.
    pub train_seconds: f64,
    /// Wall time of evaluation, seconds, all continuations together. Of cells side by side, each one's share.
    pub eval_seconds: f64,
    /// sha256 of each of its files by path in the cell; empty in records of versions that did not keep them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
}

/// What an unfinished cell says of itself: `state.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CellState {
    /// sha256 of the files of its adapter once it is trained, by path in the cell.
    pub adapter: BTreeMap<String, String>,
    /// Seconds of evaluation so far.
    pub eval_seconds: f64,
}

/// Proof that an adapter changes the model, and that without it the model is the base.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Liveness {
    /// Largest change of any logit on the drift prompts.
    pub largest_change: f64,
    /// The same with the adapter at scale 0: must be rounding.
    pub largest_change_off: f64,
    /// Mean KL(base || variant) on the drift prompts.
    pub kl: f64,
}

/// What a run says of itself: `meta.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunMeta {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Version of Ballast.
    pub ballast: String,
    /// Git commit it was built from, `-dirty` if changed, where known.
    pub commit: Option<String>,
    /// Day the run began, UTC.
    pub date: String,
    /// Device in words.
    pub device: String,
    /// What was asked for after `ballast run`, where an experiment that ships was: `quick --device cuda`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Base model as asked for.
    pub model: String,
    /// sha256 of its weights.
    pub model_digest: String,
    /// sha256 of its chat template.
    pub template_digest: String,
    /// Digest of each suite.
    pub suites: BTreeMap<String, SuiteMeta>,
    /// Sandbox layers in force.
    pub sandbox: Vec<String>,
    /// Identity strings that count as leaks.
    pub entities: Vec<String>,
}

impl RunMeta {
    /// What a suite is for.
    pub fn role(&self, suite: &str) -> SuiteRole {
        self.suites.get(suite).and_then(|meta| meta.role).unwrap_or_else(|| SuiteRole::of_name(suite))
    }
}

/// A suite as it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SuiteMeta {
    /// sha256 of the whole suite.
    pub digest: String,
    /// What it is for; None in records of versions that did not write it. See [`RunMeta::role`].
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub role: Option<SuiteRole>,
    /// Items asked.
    pub items: usize,
    /// Accuracy of a random chooser on the items asked.
    pub chance: f64,
    /// Accuracy that the best known answers without the skill have on the items asked, where that is more.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub floor: Option<f64>,
    /// Those answers, one per kind of question.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub constants: Vec<Constant>,
    /// One line.
    pub description: String,
}

impl SuiteMeta {
    /// What an answer without the skill scores: the larger of chance and floor.
    pub fn floor(&self) -> f64 {
        self.floor.unwrap_or(0.0).max(self.chance)
    }
}
