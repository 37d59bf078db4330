//! A mapping as it is written: a TOML file that says how rows of a table become items of a suite.
//!
//! Each table of it that belongs to a grader is read by that grader alone; what nobody reads is an error.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::cell::Columns;
use super::lead::{Examples, Wording};
use super::template::Template;
use crate::eval::suite::{Grader, Language, PromptFormat, Scoring};

/// A table's columns as a suite.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// Name in tables.
    pub name: String,
    /// Raised when the same rows are asked in other words.
    #[serde(default = "one")]
    pub(super) version: u32,
    /// One sentence for reports.
    pub description: String,
    /// Longest answer a model may give.
    pub(super) max_new_tokens: usize,
    #[serde(default)]
    pub(super) scoring: Scoring,
    /// What an answer without the skill may score, where that is more than the key shows.
    pub(super) chance: Option<f64>,
    /// Chat, plain or cloze, unless the user says otherwise.
    #[serde(default)]
    pub(super) asked: PromptFormat,
    pub(super) language: QuestionLanguage,
    #[serde(default)]
    pub(super) source: Source,
    pub(super) prompt: Template,
    pub(super) id: Option<Template>,
    pub(super) subject: Option<Template>,
    pub(super) cluster: Option<Template>,
    pub(super) style: Option<Template>,
    /// Literal texts that are replaced in questions and options, in order.
    #[serde(default)]
    pub(super) replace: Vec<(String, String)>,
    #[serde(default)]
    pub(super) filter: Vec<Filter>,
    /// So many rows may fit nothing that is said here: they are left out and counted.
    #[serde(default)]
    pub(super) unfit: usize,
    grader: Grader,
    form: Option<Template>,
    choices: Option<Choices>,
    answers: Option<Answers>,
    code: Option<Code>,
    orders: Option<Orders>,
    safety: Option<Safety>,
    #[serde(default)]
    when: Vec<When>,
    pub(super) examples: Option<Examples>,
    /// The words of plain and cloze forms.
    pub(super) text: Option<Wording>,
    /// What the grading of each subject is, made of the above.
    #[serde(skip)]
    gradings: Vec<(Vec<String>, Grading)>,
}

fn one() -> u32 {
    1
}

/// Where the rows are.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    /// Files or folders beside the mapping, or in the hub's repository.
    #[serde(default)]
    pub(super) files: Vec<String>,
    /// `OWNER/REPO` of a data set on the hub.
    pub(super) hub: Option<String>,
    pub(super) revision: Option<String>,
    /// Digests by the end of a file's path; where there are any, every file needs one.
    #[serde(default)]
    pub(super) sha256: BTreeMap<String, String>,
    pub(super) split: Option<String>,
    /// The configuration that is taken where a repository holds the same questions in several.
    pub(super) config: Option<String>,
    /// The key of a json file's object that holds the rows.
    pub(super) records: Option<String>,
    /// Columns of csv files without a header.
    pub(super) columns: Option<Vec<String>>,
}

/// The language of the questions.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "`language` is \"en\", \"zh\", or { column = ..., en = [...], zh = [...] }")]
pub(super) enum QuestionLanguage {
    Fixed(Language),
    Column(LanguageColumn),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LanguageColumn {
    pub(super) column: Columns,
    #[serde(default)]
    pub(super) en: Vec<String>,
    #[serde(default)]
    pub(super) zh: Vec<String>,
}

/// Rows that are asked: those whose value is one of `is`, or none of `is_not`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    pub(super) column: Columns,
    #[serde(default)]
    pub(super) is: Vec<String>,
    #[serde(default)]
    pub(super) is_not: Vec<String>,
    /// Why the others are left out.
    pub(super) why: String,
}

/// Options and which of them is right.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Choices {
    /// A column with a list, or one column for each option.
    pub(super) columns: Option<Columns>,
    /// The same options in every row.
    pub(super) texts: Option<Vec<String>>,
    /// Options are the lines of the prompt after this one: `(A) text`, `A. text` or `- text`.
    pub(super) lines_after: Option<String>,
    /// Parts the options where a text holds them all.
    pub(super) separator: Option<String>,
    pub(super) answer: Columns,
    /// What the answer says of the right option; the first that fits.
    pub(super) key: Vec<Key>,
    /// A column with a list of labels, for the key `label`.
    pub(super) labels: Option<Columns>,
    /// Puts the options into an order drawn by the item's id.
    #[serde(default)]
    pub(super) shuffle: bool,
    /// Said where the answer is missing.
    pub(super) hint: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Key {
    /// A, B, ...; brackets and full stops around it are passed over.
    Letter,
    /// Counted from 0.
    Index,
    /// Counted from 1.
    #[serde(rename = "index-from-1")]
    IndexFrom1,
    /// The option itself.
    Text,
    /// What the column of labels has at the option's place.
    Label,
    /// A list with one 1 or true.
    Flags,
}

/// Accepted answers.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Answers {
    /// Columns with a text or a list of texts; of several, those that are there.
    pub(super) columns: Columns,
    /// Parts them where a text holds several.
    pub(super) separator: Option<String>,
    /// The answer is what follows the last of these.
    pub(super) after: Option<String>,
}

/// A program and what must hold of it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// Name of the function; without it the last that the reference defines and every test calls.
    pub(super) entry_point: Option<Columns>,
    pub(super) reference: Template,
    /// A column with a list of tests.
    pub(super) tests: Option<Columns>,
    /// One test.
    pub(super) test: Option<Template>,
    /// What a test must hold, or it would test nothing.
    pub(super) test_has: Option<String>,
    /// Columns with code that runs before the answer.
    pub(super) setup: Option<Columns>,
    /// The setup is what stands before the function in this column.
    pub(super) setup_before: Option<Columns>,
}

/// Orders as IFEval's files give them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Orders {
    /// A list of names such as `punctuation:no_comma`.
    pub(super) ids: Columns,
    /// A list of objects, one for each name.
    pub(super) arguments: Columns,
}

/// Whether a request is to be declined.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Safety {
    pub(super) column: Columns,
    pub(super) harmful: Vec<String>,
    pub(super) harmless: Vec<String>,
}

/// Another grader for some subjects.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct When {
    subjects: Vec<String>,
    grader: Grader,
    form: Option<Template>,
    choices: Option<Choices>,
    answers: Option<Answers>,
    code: Option<Code>,
    orders: Option<Orders>,
    safety: Option<Safety>,
}

/// How an item is graded, and the words it is asked in.
#[derive(Debug, Clone)]
pub(super) struct Grading {
    pub(super) form: Option<Template>,
    pub(super) by: By,
}

#[derive(Debug, Clone)]
pub(super) enum By {
    Text(Answers),
    Number(Answers),
    Choice(Choices),
    Code(Code),
    Instructions(Orders),
    Safety(Safety),
}

impl Mapping {
    /// The mapping of a text; `label` is the file that errors name.
    pub fn parse(text: &str, label: &str) -> Result<Self> {
        let read = || -> Result<Self> {
            let mut mapping: Self = toml::from_str(text)?;
            let own = When {
                subjects: Vec::new(),
                grader: mapping.grader,
                form: mapping.form.take(),
                choices: mapping.choices.take(),
                answers: mapping.answers.take(),
                code: mapping.code.take(),
                orders: mapping.orders.take(),
                safety: mapping.safety.take(),
            };
            let others = std::mem::take(&mut mapping.when);
            for when in &others {
                ensure!(!when.subjects.is_empty(), "[[when]] has no `subjects`");
            }
            mapping.gradings = others.into_iter().chain([own]).map(When::grading).collect::<Result<_>>()?;
            mapping.check()?;
            Ok(mapping)
        };
        read().with_context(|| label.to_owned())
    }

    /// How items of a subject are graded.
    pub(super) fn grading(&self, subject: &str) -> Option<&Grading> {
        let holds = |(subjects, _): &&(Vec<String>, Grading)| subjects.is_empty() || subjects.iter().any(|known| known == subject);
        self.gradings.iter().find(holds).map(|(_, grading)| grading)
    }

    fn check(&self) -> Result<()> {
        ensure!(!self.name.trim().is_empty() && !self.name.contains([':', '#']), "`name` is empty or has a colon or # in it");
        ensure!(!self.description.trim().is_empty(), "`description` is empty");
        ensure!(self.max_new_tokens > 0, "max_new_tokens must be at least 1");
        ensure!(self.chance.is_none_or(|chance| (0.0..1.0).contains(&chance)), "`chance` is not a share from 0 to below 1");
        for filter in &self.filter {
            ensure!(filter.is.is_empty() != filter.is_not.is_empty(), "[[filter]] takes either `is` or `is_not`");
        }
        let choices = |(_, grading): &(Vec<String>, Grading)| matches!(grading.by, By::Choice(_));
        let all_choices = self.gradings.iter().all(choices);
        ensure!(self.scoring == Scoring::Generated || all_choices, "scoring is by likelihood, which takes items of grader choice alone");
        if let Some(text) = &self.text {
            ensure!(self.scoring == Scoring::Likelihood, "[text] is of plain and cloze forms, which are scored by likelihood");
            text.check()?;
        }
        ensure!(self.asked == PromptFormat::Chat || self.text.is_some(), "asked is {}, but there is no [text] with its words", self.asked);
        let source = &self.source;
        ensure!(source.revision.is_none() || source.hub.is_some(), "[source] has a revision, but no `hub`");
        if let Some(digest) = source.sha256.values().find(|digest| digest.len() != 64 || !digest.bytes().all(|b| b.is_ascii_hexdigit())) {
            bail!("[source] sha256: `{digest}` is not 64 hexadecimal digits");
        }
        Ok(())
    }
}

impl When {
    fn grading(self) -> Result<(Vec<String>, Grading)> {
        let given = [
            ("choices", self.choices.is_some()),
            ("answers", self.answers.is_some()),
            ("code", self.code.is_some()),
            ("orders", self.orders.is_some()),
            ("safety", self.safety.is_some()),
        ];
        let grader = format!("{:?}", self.grader).to_lowercase();
        let (needs, by) = match self.grader {
            Grader::Choice => ("choices", self.choices.map(By::Choice)),
            Grader::Text => ("answers", self.answers.map(By::Text)),
            Grader::Number => ("answers", self.answers.map(By::Number)),
            Grader::Code => ("code", self.code.map(By::Code)),
            Grader::Instructions => ("orders", self.orders.map(By::Instructions)),
            Grader::Safety => ("safety", self.safety.map(By::Safety)),
            Grader::Identity | Grader::Leakage | Grader::Composite | Grader::Structured | Grader::Honesty => {
                bail!("grader {grader}: no table is read as its items; take text, number, choice, code, instructions or safety")
            }
        };
        let by = by.with_context(|| format!("[{needs}] is missing: grader {grader} needs it"))?;
        if let Some((key, _)) = given.iter().find(|(key, given)| *given && *key != needs) {
            bail!("grader {grader} does not read [{key}]");
        }
        match &by {
            By::Choice(choices) => choices.check()?,
            By::Code(code) => {
                ensure!(code.tests.is_some() != code.test.is_some(), "[code] takes either `tests`, a column, or `test`, a text");
                ensure!(code.entry_point.is_some() || code.setup_before.is_none(), "[code] setup_before needs `entry_point`");
            }
            By::Text(_) | By::Number(_) | By::Instructions(_) | By::Safety(_) => {}
        }
        Ok((self.subjects, Grading { form: self.form, by }))
    }
}

impl Choices {
    fn check(&self) -> Result<()> {
        let ways = [self.columns.is_some(), self.texts.is_some(), self.lines_after.is_some()];
        ensure!(ways.iter().filter(|way| **way).count() == 1, "[choices] takes one of `columns`, `texts` and `lines_after`");
        ensure!(!self.key.is_empty(), "[choices] `key` is empty");
        ensure!(self.key.contains(&Key::Label) == self.labels.is_some(), "[choices] `labels` and the key `label` go together");
        let both = self.key.contains(&Key::Index) && self.key.contains(&Key::IndexFrom1);
        ensure!(!both, "[choices] the keys `index` and `index-from-1` exclude each other");
        ensure!(self.texts.as_ref().is_none_or(|texts| texts.len() > 1), "[choices] `texts` has fewer than two options");
        Ok(())
    }
}
