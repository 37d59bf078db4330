//! `ballast chat`: talk to a base or an adapter, answers streamed as they are decoded.

use std::io::{BufRead, IsTerminal};

use anyhow::Result;

use super::{model, pack, print};
use crate::cli::ChatArgs;
use crate::data::example::{Message, Role};
use crate::eval::sample::{Sampling, stream};
use crate::progress::note;

pub(super) fn chat(args: &ChatArgs) -> Result<()> {
    let sampling = Sampling::new(args.temperature, args.seed)?;
    let (name, folder, system) = match &args.pack {
        None => (args.adapted.model.clone(), args.adapted.adapter.clone(), args.system.clone()),
        Some(folder) => {
            let (name, adapter, system) = pack::opened(folder, args.base.as_deref())?;
            (name, Some(adapter), Some(system))
        }
    };
    let (base, template) = model::load(&name, args.device.device, &args.template.settings())?;
    let adapter = model::adapter(folder.as_deref(), args.adapted.lambda, &base)?;
    let mut messages: Vec<Message> = system.iter().map(|system| Message::new(Role::System, system.as_str())).collect();
    let system_messages = messages.len();
    let terminal = std::io::stdin().is_terminal();
    if terminal {
        note("Type a message and press Enter. /new starts over, /quit or Ctrl-D ends.");
    }
    let mut lines = std::io::stdin().lock().lines();
    let mut sampling = sampling;
    loop {
        if terminal {
            print("> ")?;
        }
        let Some(line) = lines.next().transpose()? else { return Ok(()) };
        match line.trim() {
            "" => continue,
            "/quit" => return Ok(()),
            "/new" => {
                messages.truncate(system_messages);
                continue;
            }
            text => messages.push(Message::new(Role::User, text)),
        }
        let prompt = template.prompt(&messages)?;
        let room = base.decoder.max_positions().saturating_sub(prompt.len());
        if room == 0 {
            note("the conversation no longer fits the model's context: /new starts over");
            messages.pop();
            continue;
        }
        let mut printed = String::new();
        let ids = stream(
            &base.decoder,
            adapter.as_ref(),
            &prompt,
            args.max_new_tokens.min(room),
            &base.codec.stops,
            &mut sampling,
            &mut |ids| {
                let text = base.codec.decode(ids)?;
                // A character cut in half decodes to a replacement mark: wait for its other bytes.
                if !text.ends_with('\u{fffd}')
                    && let Some(new) = text.strip_prefix(printed.as_str())
                {
                    print(new)?;
                    printed = text;
                }
                Ok(())
            },
        )?;
        print("\n")?;
        messages.push(Message::new(Role::Assistant, base.codec.decode(&ids)?));
    }
}
