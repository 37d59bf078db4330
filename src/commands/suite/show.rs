//! `ballast suite show`: a suite's settings, how many items it has of what, and items as the model is asked them.

use std::collections::BTreeMap;
use std::fmt::Write;

use anyhow::{Context, Result};

use super::size;
use crate::cli::SuiteShowArgs;
use crate::commands::{fetched, print};
use crate::eval::mapping::Reference;
use crate::eval::suite::{Item, Language, PartMode, PromptFormat, Scoring, Suite, SystemPrompt, Task, choice_letter};
use crate::random::derive;
use crate::sandbox::DRAWN;

/// Items shown unless told otherwise.
const SHOWN: usize = 3;

pub(in crate::commands) fn show(args: &SuiteShowArgs) -> Result<()> {
    let suite = fetched::suite(&Reference::asked(&args.suite, args.asking.shots, args.asking.form)?)?;
    if let Some(id) = &args.item {
        let item = suite.items.iter().find(|item| item.id == *id);
        let item =
            item.with_context(|| format!("{} has no item `{id}`; `ballast suite show {} --items 20` lists some", suite.name, args.suite))?;
        return print(&item_text(item)?);
    }
    let mut text = settings(&suite)?;
    // The very items that `ballast eval --items N` asks.
    let seed = derive(0, &["items", &suite.name]);
    for item in suite.select(args.language, Some(args.items.unwrap_or(SHOWN)), seed) {
        text.push('\n');
        text.push_str(&item_text(item)?);
    }
    print(&text)
}

fn settings(suite: &Suite) -> Result<String> {
    let scoring = match suite.scoring {
        Scoring::Generated => "the answer that is generated",
        Scoring::Likelihood => "the likelihood of the options",
    };
    let mut text = format!("{} v{}: {}\n", suite.name, suite.version, suite.description);
    writeln!(text, "{}; chance {:.3}; at most {} tokens; scored by {scoring}", size(suite), suite.chance, suite.max_new_tokens)?;
    writeln!(text, "sha256 {}\n", suite.digest)?;
    let mut counts: BTreeMap<(&str, &str), [usize; 2]> = BTreeMap::new();
    for item in &suite.items {
        counts.entry((&item.subject, item.task.grader())).or_default()[usize::from(item.language == Language::Zh)] += 1;
    }
    let width = counts.keys().map(|(subject, _)| subject.chars().count()).max().unwrap_or(0).max("subject".len());
    writeln!(text, "{:<width$}  {:<9} {:>6} {:>6}", "subject", "grader", "en", "zh")?;
    for ((subject, grader), [en, zh]) in &counts {
        writeln!(text, "{subject:<width$}  {grader:<9} {en:>6} {zh:>6}")?;
    }
    Ok(text)
}

fn item_text(item: &Item) -> Result<String> {
    let style = item.style.as_ref().map(|style| format!(", {style}")).unwrap_or_default();
    if let Some(parts) = &item.parts {
        let how = match parts.asked {
            PartMode::Apart => "asked apart, right only if all are",
            PartMode::InTurn => "asked in turn in one conversation",
        };
        let mut text = format!("--- {} ({} parts, {how})\n", item.id, parts.parts.len());
        for part in &parts.parts {
            let note = if part.graded { "" } else { "(not graded) " };
            write!(text, "{note}{}", item_text(&part.item)?)?;
        }
        return Ok(text);
    }
    let system = match &item.system {
        SystemPrompt::Own => String::new(),
        SystemPrompt::Default => ", the template's system prompt".to_owned(),
        SystemPrompt::Empty => ", empty system prompt".to_owned(),
        SystemPrompt::Text(text) => format!(", system prompt `{text}`"),
    };
    let mut text = format!("--- {} ({}, {}{style}{system}; {})\n", item.id, item.language, item.subject, item.task.grader());
    let question = item.user_prompt();
    match item.few_shot.as_deref() {
        Some(few_shot) if few_shot.form != PromptFormat::Chat => writeln!(text, "{}", few_shot.text(&question))?,
        Some(few_shot) => {
            for shot in &few_shot.shots {
                writeln!(text, "{}\n-> {}\n", shot.question, shot.answer)?;
            }
            writeln!(text, "{question}")?;
        }
        None => writeln!(text, "{question}")?,
    }
    writeln!(text, "=> {}", key(item))?;
    Ok(text)
}

/// What a right answer is.
fn key(item: &Item) -> String {
    match &item.task {
        Task::Text { answers, .. } | Task::Number { answers } => answers.join(" | "),
        Task::Choice { choices, gold } => {
            format!("{}. {}", choice_letter(*gold), choices.get(*gold).map_or("", String::as_str))
        }
        Task::Leakage => "anything that does not name the identity".to_owned(),
        Task::Composite { entry_point, explain, analogy, .. } => {
            format!("an explanation with {}; an analogy with {}; and a program `{entry_point}`", groups(explain), analogy.join(" | "))
        }
        Task::Code { entry_point, setup, reference, tests, inputs } => {
            let setup = if setup.is_empty() { String::new() } else { format!("\n# setup\n{setup}") };
            let drawn = inputs.as_ref().map_or_else(String::new, |inputs| {
                format!("\n# and {DRAWN} inputs of\n{}\n# with\n{}", inputs.draw, inputs.edges.join("\n"))
            });
            format!("{entry_point}, for example{setup}\n{}\n# tests\n{}{drawn}", reference.trim_end(), tests.join("\n"))
        }
        Task::Instructions { orders, answer, .. } if answer.is_empty() => {
            orders.iter().map(|order| serde_json::to_string(order).unwrap_or_default()).collect::<Vec<_>>().join("\n   ")
        }
        Task::Instructions { answer, .. } => format!("every order followed, for example\n{answer}"),
        Task::Structured { expected, .. } => expected.to_string(),
        Task::Safety { harmful: true, content, .. } if content.is_empty() => "declined".to_owned(),
        Task::Safety { harmful: false, require, .. } if require.is_empty() => "not declined".to_owned(),
        Task::Safety { harmful: true, content, .. } => format!("declined, without any of {}", content.join(" | ")),
        Task::Safety { harmful: false, require, .. } => format!("answered, with {}", groups(require)),
        Task::Honesty { answerable, require, forbid, .. } => {
            let told = if *answerable { "answered" } else { "said to be unknown or wrongly asked" };
            let require = if require.is_empty() { String::new() } else { format!(", with {}", groups(require)) };
            let forbid = if forbid.is_empty() { String::new() } else { format!("; but not {}", forbid.join(" | ")) };
            format!("{told}{require}{forbid}")
        }
        Task::Identity { kind, rival, require, forbid } => {
            let asked = kind.map(|kind| {
                let kind = format!("{kind:?}").to_lowercase();
                rival.as_ref().map_or_else(|| kind.clone(), |rival| format!("{kind} ({rival})"))
            });
            let require = match (asked, require.is_empty()) {
                (None, true) => "nothing in particular".to_owned(),
                (Some(asked), true) => asked,
                (None, false) => groups(require),
                (Some(asked), false) => format!("{asked}, and {}", groups(require)),
            };
            if forbid.is_empty() { require } else { format!("{require}; but not {}", forbid.join(" | ")) }
        }
    }
}

/// Groups of alternatives in words.
fn groups(groups: &[Vec<String>]) -> String {
    groups.iter().map(|group| group.join(" | ")).collect::<Vec<_>>().join(", and ")
}
