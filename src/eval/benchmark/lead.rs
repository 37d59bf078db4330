//! What stands before a question of a multiple-choice benchmark: its first words and its worked examples, as published.
//!
//! Examples are the first of the same subject's in the split that the benchmark gives for them, in file order. A row that
//! asks what the item asks is passed over: CMMLU has a few such, and it would give the answer away.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};

use super::reference::Asking;
use crate::eval::suite::{FewShot, Item, PromptFormat, Shot, Task, choice_letter};

/// How a benchmark is asked with examples.
#[derive(Debug)]
pub(super) struct Published {
    /// The split with the examples.
    pub(super) split: &'static str,
    /// First words of the plain text; `{subject}` is filled in.
    pub(super) head: &'static str,
    /// Lines `key<tab>name` for subjects whose files are not called as the text calls them.
    pub(super) subjects: &'static str,
    /// A question in the plain text, but for its options: `{prompt}`, and what stands before it.
    pub(super) question: &'static str,
    /// Ends a question in the plain text.
    pub(super) cue: &'static str,
    /// First words of the text without options, and a question in it.
    pub(super) cloze_head: &'static str,
    pub(super) cloze: &'static str,
    /// Between the cue and the answer.
    pub(super) gap: &'static str,
}

impl Published {
    /// Puts the items into the form asked for, each after the examples of its subject among `examples`.
    pub(super) fn lead(&self, items: &mut [Item], mut examples: Vec<Item>, asking: Asking) -> Result<()> {
        for item in items.iter_mut().chain(&mut examples) {
            item.form = match asking.form {
                PromptFormat::Chat => None,
                PromptFormat::Plain => Some(self.plain(item)),
                PromptFormat::Cloze => Some(self.cloze.to_owned()),
            };
        }
        let mut by_subject: BTreeMap<&str, Vec<&Item>> = BTreeMap::new();
        for example in &examples {
            by_subject.entry(&example.subject).or_default().push(example);
        }
        let mut leads: BTreeMap<(String, Option<String>), Arc<FewShot>> = BTreeMap::new();
        for item in items {
            let of_subject = by_subject.get(item.subject.as_str()).map_or(&[][..], Vec::as_slice);
            let (same, others): (Vec<&Item>, Vec<&Item>) = of_subject.iter().partition(|example| example.prompt == item.prompt);
            ensure!(
                of_subject.len() >= asking.shots,
                "subject {} has {} rows in the {} split: {} examples were asked for",
                item.subject,
                of_subject.len(),
                self.split,
                asking.shots
            );
            let key = (item.subject.clone(), same.first().map(|example| example.prompt.clone()));
            let few_shot = leads.entry(key).or_insert_with(|| Arc::new(self.of(&item.subject, &others, asking)));
            item.few_shot = Some(Arc::clone(few_shot));
        }
        Ok(())
    }

    fn of(&self, subject: &str, examples: &[&Item], Asking { shots, form }: Asking) -> FewShot {
        let shot = |item: &&Item| Shot { question: item.user_prompt(), answer: answer(item, form) };
        let (head, gap) = match form {
            PromptFormat::Chat => (String::new(), String::new()),
            PromptFormat::Plain => (self.head.replace("{subject}", &self.subject_name(subject)), self.gap.to_owned()),
            PromptFormat::Cloze => (self.cloze_head.replace("{subject}", &self.subject_name(subject)), self.gap.to_owned()),
        };
        FewShot { form, head, gap, shots: examples.iter().take(shots).map(shot).collect() }
    }

    /// What a subject is called in the first words.
    fn subject_name(&self, subject: &str) -> String {
        let known = self.subjects.lines().filter_map(|line| line.split_once('\t')).find(|(key, _)| *key == subject);
        known.map_or_else(|| subject.replace('_', " "), |(_, name)| name.to_owned())
    }

    /// The question with its options and the cue, `{prompt}` left open.
    fn plain(&self, item: &Item) -> String {
        let mut form = self.question.to_owned();
        if let Task::Choice { choices, .. } = &item.task {
            for (index, choice) in choices.iter().enumerate() {
                form.extend(["\n", &choice_letter(index).to_string(), ". ", choice]);
            }
        }
        form + self.cue
    }
}

/// The right answer as the form wants it.
fn answer(item: &Item, form: PromptFormat) -> String {
    match &item.task {
        Task::Choice { choices, gold } if form == PromptFormat::Cloze => choices[*gold].clone(),
        Task::Choice { gold, .. } => choice_letter(*gold).to_string(),
        _ => String::new(),
    }
}
