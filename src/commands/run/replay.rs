//! Rows that the base writes for itself: its own greedy answers to prompts of other rows, so that what is trained beside the
//! identity is what the model says anyway (self-generated replay).
//!
//! Answers are kept in the cache folder under a digest of everything they depend on: a second variant, seed or run takes them
//! from there.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::data::chat::ChatTemplate;
use crate::data::example::Message;
use crate::eval::generate::{Answering, Prompt};
use crate::files::{create_folder, sha256};
use crate::model::adapter_set::AdapterSet;
use crate::model::base::BaseModel;
use crate::model::device::DeviceChoice;
use crate::model::fetch::Cache;
use crate::record::lines::{read_json_lines, write_json_lines};

/// One answer of the base.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Answer {
    /// None where it ran into the limit.
    answer: Option<String>,
}

/// What the base answers to each conversation, in at most `most` tokens; None where it does not come to an end in them.
pub(super) fn answers(
    base: &BaseModel,
    template: &ChatTemplate,
    device: DeviceChoice,
    conversations: &[&[Message]],
    most: usize,
) -> Result<Vec<Option<String>>> {
    let prompts = conversations.iter().map(|messages| template.prompt(messages)).collect::<Result<Vec<_>>>()?;
    let mut bytes = format!("{}\n{}\n{}\n{device}\n{most}\n", env!("CARGO_PKG_VERSION"), base.digest, template.digest()).into_bytes();
    for prompt in &prompts {
        bytes.extend((prompt.len() as u64).to_le_bytes());
        bytes.extend(prompt.iter().flat_map(|id| id.to_le_bytes()));
    }
    let folder = Cache::from_env()?.root().join("replay");
    let path = folder.join(format!("{}.jsonl", sha256(&bytes)));
    if path.exists() {
        let kept: Vec<Answer> = read_json_lines(&path)?;
        if kept.len() == prompts.len() {
            return Ok(kept.into_iter().map(|answer| answer.answer).collect());
        }
    }
    let asked: Vec<Prompt> = prompts.into_iter().map(|ids| Prompt { ids, max_new_tokens: most, adapter: None }).collect();
    let mut answers: Vec<Option<String>> = vec![None; asked.len()];
    let adapter_set = AdapterSet::base();
    Answering::new(&base.decoder, &adapter_set).generate(&asked, &template.codec().stops, &mut |i, generated| {
        if !generated.truncated {
            answers[i] = Some(template.codec().decode(&generated.ids)?);
        }
        Ok(())
    })?;
    create_folder(&folder)?;
    let rows: Vec<Answer> = answers.iter().map(|answer| Answer { answer: answer.clone() }).collect();
    write_json_lines(&path, &rows)?;
    Ok(answers)
}
