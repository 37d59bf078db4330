//! MMLU, CMMLU and C-Eval: a question, four options and the letter of the right one.
//!
//! Columns are `question` and `answer` with the options as `A` to `D`, as `choice0` to `choice3` or as the list `choices`;
//! the answer is a letter or, as in MMLU's newer files, an index from 0. The subject is a column or the file's name.

use anyhow::{Result, anyhow, ensure};

use super::lead::Published;
use super::record::Record;
use crate::eval::suite::{Item, Language, SystemPrompt, Task, choice_letter};

/// As MMLU's authors ask, but for the second space that their code writes before the subject.
pub(super) static MMLU: Published = Published {
    split: "dev",
    head: "The following are multiple choice questions (with answers) about {subject}.\n\n",
    subjects: "",
    question: "{prompt}",
    cue: "\nAnswer:",
    cloze_head: "The following are questions (with answers) about {subject}.\n\n",
    cloze: "Question: {prompt}\nAnswer:",
    gap: " ",
};

/// As CMMLU's authors ask.
pub(super) static CMMLU: Published = Published {
    split: "dev",
    head: "以下是关于{subject}的单项选择题，请直接给出正确答案的选项。\n\n",
    subjects: include_str!("subjects/cmmlu.tsv"),
    question: "题目：{prompt}",
    cue: "\n答案是：",
    cloze_head: "以下是关于{subject}的问题与答案。\n\n",
    cloze: "题目：{prompt}\n答案是：",
    gap: "",
};

/// As C-Eval's authors ask.
pub(super) static CEVAL: Published = Published {
    split: "dev",
    head: "以下是中国关于{subject}考试的单项选择题，请选出其中的正确答案。\n\n",
    subjects: include_str!("subjects/ceval.tsv"),
    question: "{prompt}",
    cue: "\n答案：",
    cloze_head: "以下是关于{subject}的问题与答案。\n\n",
    cloze: "问题：{prompt}\n答案：",
    gap: "",
};

pub(super) fn item(record: &Record, language: Language) -> Result<Item> {
    let subject = record.subject.clone();
    let id = format!("{subject}-{}", record.index);
    // A space left at the end would be asked after: it moves the boundary between prompt and answer.
    let prompt = record.text(&["question"])?.trim().to_owned();
    let choices: Vec<String> = choices(record)?.iter().map(|choice| choice.trim().to_owned()).collect();
    ensure!(choices.len() >= 2, "{}: there are {} options", record.place, choices.len());
    let answer = record.text(&["answer"]).map_err(|error| {
        error.context("an item without its answer cannot be scored; C-Eval's test split is published so, its val split has them")
    })?;
    let gold = gold(answer.trim(), choices.len()).ok_or_else(|| {
        anyhow!("{}: `answer` is `{answer}`: expected a letter or an index from 0 of {} options", record.place, choices.len())
    })?;
    let task = Task::Choice { choices, gold };
    Ok(Item {
        cluster: id.clone(),
        id,
        language,
        subject,
        style: None,
        prompt,
        system: SystemPrompt::Own,
        form: None,
        few_shot: None,
        history: Vec::new(),
        parts: None,
        task,
    })
}

fn choices(record: &Record) -> Result<Vec<String>> {
    let listed = record.texts(&["choices"])?;
    if !listed.is_empty() {
        return Ok(listed);
    }
    let numbered = record.get(&["choice0"]).is_some();
    (0..4)
        .map(|index| {
            let key = if numbered { format!("choice{index}") } else { choice_letter(index).to_string() };
            record.text(&[key.as_str()])
        })
        .collect()
}

fn gold(answer: &str, options: usize) -> Option<usize> {
    let letter = (0..options).find(|index| answer.eq_ignore_ascii_case(&choice_letter(*index).to_string()));
    letter.or_else(|| answer.parse().ok().filter(|index| *index < options))
}
