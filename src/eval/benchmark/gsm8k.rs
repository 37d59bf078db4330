//! GSM8K: `question`, and `answer` with the working and, after `####`, the number.
//!
//! Asked as Qwen2.5's authors ask their instruct models. The number grader reads the last announced number (`\boxed{18}`,
//! "The answer is 18", `#### 18`) or else the last one, so models that answer in another form are read as well.

use anyhow::{Result, anyhow};

use super::record::Record;
use crate::eval::suite::{Item, Language, SystemPrompt, Task};

const FORM: &str = "{prompt}\nPlease reason step by step, and put your final answer within \\boxed{}.";

pub(super) fn item(record: &Record) -> Result<Item> {
    let prompt = record.text(&["question"])?.trim().to_owned();
    let worked = record.text(&["answer"])?;
    let answer = worked.rsplit_once("####").map(|(_, answer)| answer.trim().replace([',', '$'], ""));
    let answer = answer
        .filter(|answer| answer.chars().any(|c| c.is_ascii_digit()))
        .ok_or_else(|| anyhow!("{}: `answer` does not end in `#### NUMBER`", record.place))?;
    let id = format!("gsm8k-{}", record.index);
    Ok(Item {
        cluster: id.clone(),
        id,
        language: Language::En,
        subject: "word-problem".to_owned(),
        style: None,
        system: SystemPrompt::Own,
        prompt,
        form: Some(FORM.to_owned()),
        few_shot: None,
        history: Vec::new(),
        parts: None,
        task: Task::Number { answers: vec![answer] },
    })
}
