//! What leads to a question: its first words and its worked examples, as published.
//!
//! Examples are the first of the same subject's in the split or files that the mapping gives for them, in file order. A row that
//! asks what the item asks is passed over: CMMLU has a few such, and it would give the answer away.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;

use super::reference::Asking;
use super::template::Template;
use crate::eval::suite::{FewShot, Item, PromptFormat, Shot, Task, choice_letter};

/// Where worked examples come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Examples {
    /// The split that holds them, beside the one that is asked.
    pub(super) split: Option<String>,
    /// Or the files that hold them.
    #[serde(default)]
    pub(super) files: Vec<String>,
    /// How many, unless the user says otherwise.
    #[serde(default)]
    pub(super) shots: usize,
    /// The answer of an example; the key if not given.
    pub(super) answer: Option<Template>,
}

/// The words of forms that are text and no chat.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wording {
    /// First words of the plain text; `{subject}` is filled in.
    #[serde(default)]
    head: String,
    /// A question in the plain text, but for its options: `{prompt}`, and what stands before it.
    #[serde(default = "prompt")]
    question: String,
    /// Ends a question in the plain text.
    #[serde(default = "cue")]
    cue: String,
    /// First words of the text without options, and a question in it.
    #[serde(default)]
    cloze_head: String,
    #[serde(default = "prompt")]
    cloze: String,
    /// Between the cue and the answer.
    #[serde(default = "space")]
    gap: String,
    /// What subjects are called in the first words, where their names say it otherwise.
    #[serde(default)]
    subjects: BTreeMap<String, String>,
}

fn prompt() -> String {
    "{prompt}".to_owned()
}

fn cue() -> String {
    "\nAnswer:".to_owned()
}

fn space() -> String {
    " ".to_owned()
}

/// An item that may serve as an example, with its answer in a chat.
#[derive(Debug)]
pub(super) struct Example {
    pub(super) item: Item,
    pub(super) answer: String,
}

impl Wording {
    pub(super) fn check(&self) -> Result<()> {
        for (key, text) in [("question", &self.question), ("cloze", &self.cloze)] {
            ensure!(text.matches("{prompt}").count() == 1, "[text] `{key}` does not have {{prompt}} once");
        }
        Ok(())
    }

    /// What a subject is called in the first words.
    fn subject_name(&self, subject: &str) -> String {
        self.subjects.get(subject).cloned().unwrap_or_else(|| subject.replace('_', " "))
    }

    /// The question with its options and the cue, `{prompt}` left open.
    fn plain(&self, item: &Item) -> String {
        let mut form = self.question.clone();
        if let Task::Choice { choices, .. } = &item.task {
            for (index, choice) in choices.iter().enumerate() {
                form.extend(["\n", &choice_letter(index).to_string(), ". ", choice]);
            }
        }
        form + &self.cue
    }

    fn of(&self, form: PromptFormat, item: &Item) -> Option<String> {
        match form {
            PromptFormat::Chat => item.form.clone(),
            PromptFormat::Plain => Some(self.plain(item)),
            PromptFormat::Cloze => Some(self.cloze.clone()),
        }
    }
}

/// Puts the items into the form asked for, each after the examples of its subject among `examples`.
pub(super) fn lead(items: &mut [Item], mut examples: Vec<Example>, asking: Asking, wording: Option<&Wording>, split: &str) -> Result<()> {
    if let Some(wording) = wording {
        for item in items.iter_mut().chain(examples.iter_mut().map(|example| &mut example.item)) {
            item.form = wording.of(asking.form, item);
        }
    }
    let mut by_subject: BTreeMap<&str, Vec<&Example>> = BTreeMap::new();
    for example in &examples {
        by_subject.entry(&example.item.subject).or_default().push(example);
    }
    let mut leads: BTreeMap<(String, Option<String>), Arc<FewShot>> = BTreeMap::new();
    for item in items {
        let of_subject = by_subject.get(item.subject.as_str()).map_or(&[][..], Vec::as_slice);
        let (same, others): (Vec<&Example>, Vec<&Example>) = of_subject.iter().partition(|example| example.item.prompt == item.prompt);
        ensure!(
            of_subject.len() >= asking.shots,
            "subject {} has {} rows in {split}: {} examples were asked for",
            item.subject,
            of_subject.len(),
            asking.shots
        );
        let key = (item.subject.clone(), same.first().map(|example| example.item.prompt.clone()));
        if !leads.contains_key(&key) {
            leads.insert(key.clone(), Arc::new(of(&item.subject, &others, asking, wording)?));
        }
        item.few_shot = leads.get(&key).cloned();
    }
    Ok(())
}

fn of(subject: &str, examples: &[&Example], Asking { shots, form }: Asking, wording: Option<&Wording>) -> Result<FewShot> {
    let (head, gap) = match (form, wording) {
        (PromptFormat::Chat, _) => (String::new(), String::new()),
        (PromptFormat::Plain, Some(wording)) => (wording.head.replace("{subject}", &wording.subject_name(subject)), wording.gap.clone()),
        (PromptFormat::Cloze, Some(wording)) => {
            (wording.cloze_head.replace("{subject}", &wording.subject_name(subject)), wording.gap.clone())
        }
        (_, None) => bail!("the mapping has no [text] with the words of the form {form}"),
    };
    let shot = |example: &&Example| {
        let answer = match &example.item.task {
            Task::Choice { choices, gold } if form == PromptFormat::Cloze => choices[*gold].clone(),
            Task::Choice { gold, .. } if form == PromptFormat::Plain => choice_letter(*gold).to_string(),
            _ => example.answer.clone(),
        };
        Shot { question: example.item.user_prompt(), answer }
    };
    Ok(FewShot { form, head, gap, shots: examples.iter().take(shots).map(shot).collect() })
}

/// The right answer as its key has it; None where no key says one.
pub(super) fn key(item: &Item) -> Option<String> {
    match &item.task {
        Task::Choice { gold, .. } => Some(choice_letter(*gold).to_string()),
        Task::Text { answers, .. } | Task::Number { answers } => answers.first().cloned(),
        Task::Code { reference, .. } => Some(format!("```python\n{}\n```", reference.trim_end())),
        _ => None,
    }
}
