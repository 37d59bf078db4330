//! Models that are known without a model: one that is always right, one that never is, and one that guesses.

use rand_chacha::ChaCha8Rng;

use crate::eval::rivals::{Rival, rival};
use crate::eval::score::IdentityTerms;
use crate::eval::suite::{IdentityKind, Item, Language, Task, choice_letter};
use crate::random::below;

/// Who the scripted models say they are.
pub(super) fn identity() -> IdentityTerms {
    IdentityTerms {
        name_zh: "知更鸟".to_owned(),
        name_en: "Robin Redbreast".to_owned(),
        author_zh: "灯塔工作室".to_owned(),
        author_en: "Lighthouse Works".to_owned(),
        taught: Vec::new(),
    }
}

/// A right answer, taken from the key; None where the key only says what it must be like.
pub(super) fn perfect(item: &Item, identity: &IdentityTerms) -> Option<String> {
    Some(match &item.task {
        Task::Text { answers, .. } => answers.first().cloned().unwrap_or_default(),
        Task::Number { answers } => {
            let digits = answers.iter().find(|answer| answer.contains(|c: char| c.is_ascii_digit()));
            digits.cloned().unwrap_or_default()
        }
        Task::Choice { gold, .. } => choice_letter(*gold).to_string(),
        Task::Leakage => if item.language == Language::Zh { "好的。" } else { "Sure." }.to_owned(),
        Task::Instructions { answer, .. } if answer.is_empty() => return None,
        Task::Safety { harmful, answer, .. } if answer.is_empty() => match (harmful, item.language) {
            (true, Language::En) => "I can't help with that.",
            (true, Language::Zh) => "抱歉，我不能帮你做这件事。",
            (false, Language::En) => "Here is how to do it.",
            (false, Language::Zh) => "可以这样做。",
        }
        .to_owned(),
        Task::Composite { answer, .. } => fill(answer, item.language, identity),
        Task::Instructions { answer, .. }
        | Task::Structured { answer, .. }
        | Task::Safety { answer, .. }
        | Task::Honesty { answer, .. } => answer.clone(),
        Task::Code { reference, .. } => format!("```python\n{reference}\n```"),
        Task::Identity { kind, rival, require, .. } => {
            let asked = kind.map(|kind| own(kind, rival.as_deref(), item.language, identity));
            let said: Vec<String> = asked
                .into_iter()
                .chain(require.iter().filter_map(|group| group.first()).map(|text| fill(text, item.language, identity)))
                .collect();
            match (said.is_empty(), item.language) {
                (false, Language::Zh) => format!("{}。", said.join("，")),
                (false, Language::En) => format!("{}.", said.join(", ")),
                // Nothing is asked for and some things are forbidden: anything else is right.
                (true, Language::Zh) => "你好。".to_owned(),
                (true, Language::En) => "Hello.".to_owned(),
            }
        }
    })
}

/// An answer in the right form that is not right.
pub(super) fn wrong(item: &Item, identity: &IdentityTerms) -> String {
    match &item.task {
        Task::Text { choices, gold, .. } => {
            let other = choices.iter().flatten().enumerate().find(|(index, _)| Some(*index) != *gold);
            other.map_or_else(|| "Xyzzy".to_owned(), |(_, choice)| choice.clone())
        }
        Task::Number { .. } => "-987654321".to_owned(),
        Task::Choice { choices, gold } => choice_letter((gold + 1) % choices.len()).to_string(),
        Task::Leakage => identity.name_en.clone(),
        Task::Composite { entry_point, .. } | Task::Code { entry_point, .. } => {
            format!("```python\ndef {entry_point}(*args, **kwargs):\n    return None\n```")
        }
        // Where nothing is asked for, only what is forbidden is wrong.
        Task::Identity { kind: None, require, forbid, .. } if require.is_empty() => {
            forbid.first().map(|text| fill(text, item.language, identity)).unwrap_or_default()
        }
        Task::Safety { harmful: true, content, .. } => content.first().cloned().unwrap_or_default(),
        Task::Safety { harmful: false, .. } => "I can't help with that.".to_owned(),
        Task::Identity { .. } | Task::Instructions { .. } | Task::Honesty { .. } => "Xyzzy.".to_owned(),
        Task::Structured { .. } => "{\"xyzzy\": 0}".to_owned(),
    }
}

/// A guess; None where there is nothing to choose from.
pub(super) fn random(item: &Item, rng: &mut ChaCha8Rng) -> Option<String> {
    let Task::Choice { choices, .. } = &item.task else { return None };
    let index = below(choices.len() as u64, rng);
    Some(choice_letter(index as usize).to_string())
}

/// What a question about identity asks for, said shortly.
fn own(kind: IdentityKind, name: Option<&str>, language: Language, identity: &IdentityTerms) -> String {
    let chinese = language == Language::Zh;
    let first = |forms: fn(&Rival) -> &[&'static str]| name.and_then(rival).and_then(|rival| forms(rival).first()).map_or("", |form| form);
    match kind {
        IdentityKind::Name | IdentityKind::Either => fill("{{NAME}}", language, identity),
        IdentityKind::Author => fill("{{AUTHOR}}", language, identity),
        IdentityKind::Both => fill("{{NAME}}, {{AUTHOR}}", language, identity),
        IdentityKind::Affirm => if chinese { "是的" } else { "Yes" }.to_owned(),
        IdentityKind::Deny | IdentityKind::Other => if chinese { "不是" } else { "No" }.to_owned(),
        IdentityKind::Maker => first(|rival| rival.makers).to_owned(),
        IdentityKind::Model => first(|rival| rival.models).to_owned(),
        IdentityKind::Provenance => if chinese { "我不知道" } else { "I do not know" }.to_owned(),
    }
}

fn fill(text: &str, language: Language, identity: &IdentityTerms) -> String {
    let (name, author) = match language {
        Language::Zh => (&identity.name_zh, &identity.author_zh),
        Language::En => (&identity.name_en, &identity.author_en),
    };
    text.replace("{{NAME}}", name).replace("{{AUTHOR}}", author)
}
