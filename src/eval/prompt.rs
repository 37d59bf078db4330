//! An item as token ids: what the model reads, and the answers whose likelihood is asked for.
//!
//! In a chat the prompt is tokenized apart from the answer, as in training. A plain text is tokenized together with each
//! continuation, and the prompt ends where these begin to differ: that is the border at which a model that has read
//! such text chooses between them.

use anyhow::{Context, Result};

use super::likelihood::Probes;
use super::suite::{Form, Item, Lead, SystemPrompt};
use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::model::tokenizer::TextCodec;

/// What is asked of a model about one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    /// The question as its reader sees it, without what leads to it.
    pub text: String,
    /// Everything the model reads.
    pub ids: Vec<u32>,
    /// Continuations whose likelihood tells about the item.
    pub probes: Option<Probes>,
}

/// An item under a system prompt.
pub fn ask(item: &Item, system: &str, template: &ChatTemplate) -> Result<Asked> {
    let asked = match item.lead.as_deref() {
        Some(lead) if lead.form == Form::Plain => plain(item, lead, template.codec()),
        lead => chat(item, lead, system, template),
    };
    asked.with_context(|| format!("item {}", item.id))
}

fn chat(item: &Item, lead: Option<&Lead>, system: &str, template: &ChatTemplate) -> Result<Asked> {
    let text = item.user_prompt();
    let system = match item.system {
        SystemPrompt::Own => Some(system),
        SystemPrompt::Empty => Some(""),
        SystemPrompt::Default => None,
    };
    let mut messages: Vec<Message> = system.into_iter().map(|system| Message::new(Role::System, system)).collect();
    for shot in lead.iter().flat_map(|lead| &lead.shots) {
        messages.push(Message::new(Role::User, shot.question.as_str()));
        messages.push(Message::new(Role::Assistant, shot.answer.as_str()));
    }
    messages.push(Message::new(Role::User, text.as_str()));
    let ids = template.prompt(&messages)?;
    let probes = Probes::of(item, &mut |answer| template.codec().encode(answer))?;
    Ok(Asked { text, ids, probes })
}

fn plain(item: &Item, lead: &Lead, codec: &TextCodec) -> Result<Asked> {
    let text = item.user_prompt();
    let whole = lead.text(&text);
    let alone = codec.encode(&whole)?;
    let mut shared = alone.len();
    let mut probes = Probes::of(item, &mut |answer| {
        let ids = codec.encode(&format!("{whole}{}{answer}", lead.gap))?;
        shared = shared.min(alone.iter().zip(&ids).take_while(|(a, b)| a == b).count());
        Ok(ids)
    })?;
    if let Some(probes) = &mut probes {
        probes.without_prompt(shared)?;
    }
    let ids = codec.beginning()?.into_iter().chain(alone[..shared].iter().copied()).collect();
    Ok(Asked { text, ids, probes })
}
