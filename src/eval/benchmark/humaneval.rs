//! HumanEval: `prompt` is the head of a Python file that ends in the function to complete, `test` defines
//! `check(candidate)`.
//!
//! Asked as EvalPlus asks instruct models. What stands before the function (imports, `poly` of HumanEval/32,
//! `encode_cyclic` of HumanEval/38) is the item's setup, since an answer need not repeat it and some tests call it. A
//! published test is one function of many asserts, so an item has one test and is passed as a whole, as in pass@1.

use anyhow::{Result, anyhow, ensure};

use super::record::Record;
use crate::eval::suite::{Item, Language, SystemPrompt, Task};

const FORM: &str =
    "Please provide a self-contained Python script that solves the following problem in a markdown code block:\n```python\n{prompt}\n```";

pub(super) fn item(record: &Record) -> Result<Item> {
    let prompt = record.text(&["prompt"])?;
    let entry_point = record.text(&["entry_point"])?;
    let solution = record.text(&["canonical_solution"])?;
    let test = record.text(&["test"])?;
    let head = format!("def {entry_point}(");
    // Of several definitions the last is the one to complete.
    let start = prompt
        .rmatch_indices(head.as_str())
        .map(|(at, _)| at)
        .find(|at| *at == 0 || prompt[..*at].ends_with('\n'))
        .ok_or_else(|| anyhow!("{}: `prompt` does not define `{entry_point}`", record.place))?;
    ensure!(test.contains("def check("), "{}: `test` does not define `check(candidate)`", record.place);
    let id = record.text(&["task_id"])?;
    Ok(Item {
        cluster: id.clone(),
        id,
        language: Language::En,
        subject: "python".to_owned(),
        style: None,
        system: SystemPrompt::Own,
        form: Some(FORM.to_owned()),
        few_shot: None,
        history: Vec::new(),
        parts: None,
        task: Task::Code {
            setup: prompt[..start].trim().to_owned(),
            reference: format!("{prompt}{solution}"),
            tests: vec![format!("{}\n\ncheck({entry_point})", test.trim())],
            entry_point,
            inputs: None,
        },
        prompt: prompt.trim().to_owned(),
    })
}
