//! Published chat templates of current families, rendered byte for byte as transformers renders them. Expected texts by
//! `tests/golden/make_templates.py`.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use ballast::files::sha256;
use ballast::model::template::{Rendering, Template};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    specials: BTreeMap<String, String>,
    conversations: BTreeMap<String, Vec<Turn>>,
    /// Source and text; null where transformers fails.
    constructs: Vec<(String, Option<String>)>,
    templates: Vec<Published>,
}

#[derive(Deserialize)]
struct Turn {
    role: String,
    content: String,
}

#[derive(Deserialize)]
struct Published {
    name: String,
    sha256: String,
    /// The file is in the repository.
    kept: bool,
    /// The text by conversation, with `+` where an answer is asked for; its sha256 where the file is not kept; null where
    /// transformers fails.
    rendered: BTreeMap<String, Option<String>>,
}

fn golden() -> (PathBuf, Golden) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let text = std::fs::read_to_string(folder.join("templates.json")).unwrap();
    (folder.join("templates"), serde_json::from_str(&text).unwrap())
}

/// What differs from transformers.
fn differences(golden: &Golden, published: &Published, source: &str) -> Vec<String> {
    assert_eq!(sha256(source.as_bytes()), published.sha256, "{} is another file", published.name);
    let specials: Vec<(String, String)> = golden.specials.clone().into_iter().collect();
    let template = match Template::compile(source) {
        Ok(template) => template,
        Err(error) => return vec![format!("{}: {error:#}", published.name)],
    };
    let differs = |(name, expected): (&String, &Option<String>)| {
        let turns = &golden.conversations[name.trim_end_matches('+')];
        let messages: Vec<(&str, &str)> = turns.iter().map(|turn| (turn.role.as_str(), turn.content.as_str())).collect();
        let ours = template.render(Rendering { messages: &messages, ask: name.ends_with('+'), specials: &specials, thinking: None });
        let place = format!("{} {name}", published.name);
        match (ours, expected) {
            (Err(_), None) => None,
            (Ok(ours), Some(expected)) if ours == *expected || !published.kept && sha256(ours.as_bytes()) == *expected => None,
            (ours, expected) => Some(format!("{place}:\n ours     {ours:?}\n expected {expected:?}").chars().take(3000).collect()),
        }
    };
    published.rendered.iter().filter_map(differs).collect()
}

#[test]
fn published_templates_are_rendered_as_transformers_renders_them() {
    let (folder, golden) = golden();
    let kept: Vec<&Published> = golden.templates.iter().filter(|published| published.kept).collect();
    assert!(kept.len() >= 30);
    let found = |published: &&Published| differences(&golden, published, &std::fs::read_to_string(folder.join(&published.name)).unwrap());
    let differences: Vec<String> = kept.iter().flat_map(found).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A construct comes out as in transformers or is refused; where transformers fails, so does it here.
#[test]
fn single_constructs_are_rendered_alike_or_refused() {
    let (_, golden) = golden();
    let specials: Vec<(String, String)> = golden.specials.clone().into_iter().collect();
    let turns = &golden.conversations["system"];
    let messages: Vec<(&str, &str)> = turns.iter().map(|turn| (turn.role.as_str(), turn.content.as_str())).collect();
    let (mut wrong, mut refused) = (Vec::new(), Vec::new());
    for (source, expected) in &golden.constructs {
        let render =
            |template: Template| template.render(Rendering { messages: &messages, ask: true, specials: &specials, thinking: None });
        match (Template::compile(source).and_then(render), expected) {
            (Ok(ours), Some(expected)) if ours == *expected => {}
            (Err(_), None) => {}
            (Err(error), Some(_)) => refused.push(format!("{source}: {error:#}")),
            (Ok(ours), expected) => wrong.push(format!("{source}\n ours     {ours:?}\n expected {expected:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused.len() < 10, "{}", refused.join("\n"));
}

/// Those whose licences forbid a copy here, where BALLAST_TEMPLATES names llama.cpp's `models/templates`.
#[test]
fn templates_that_are_not_copied_are_rendered_alike_too() {
    let Some(folder) = std::env::var_os("BALLAST_TEMPLATES").map(PathBuf::from) else { return };
    let (_, golden) = golden();
    let others = golden.templates.iter().filter(|published| !published.kept);
    let found = |published: &Published| differences(&golden, published, &std::fs::read_to_string(folder.join(&published.name)).unwrap());
    let differences: Vec<String> = others.flat_map(found).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}
