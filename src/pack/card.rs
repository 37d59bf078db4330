//! The model card: what the Hub reads at its head, and what a reader wants to know first.

use std::fmt::Write;

use super::manifest::Manifest;
use crate::gate::result::GateResult;
use crate::report;

/// `README.md` of a pack. `repo` is the base's repository on the Hub, where it has one.
pub fn card(manifest: &Manifest, repo: Option<&str>, system: &str, gate: Option<&GateResult>) -> String {
    let Manifest { name, base, .. } = manifest;
    let mut text = String::from("---\n");
    if let Some(repo) = repo {
        // Writing to a String cannot fail.
        let _ = write!(text, "base_model: {repo}\nbase_model_relation: adapter\n");
    }
    text += "library_name: peft\npipeline_tag: text-generation\ntags:\n- lora\n- ballast\n---\n\n";
    let _ = write!(
        text,
        "# {name}\n\nA LoRA adapter of `{}`. It acts as it was judged on that base alone (sha256 of the weights `{}`), with the chat template \
         `chat_template.jinja` and this system prompt:\n\n{}\n\n## Start it\n\n",
        base.model,
        base.weights,
        system.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
    );
    for script in manifest.files.iter().map(|member| &member.path).filter(|path| path.starts_with("run_")) {
        let _ = writeln!(text, "    sh {script}");
    }
    text += "\n`ballast chat --pack .` checks every file of the pack, and its base, by digest before it answers.\n\n## What it forgot\n\n";
    match gate {
        Some(gate) => text += &report::gate::summary(gate),
        None => text += "It was not gated: nothing is known of what it forgot. `ballast bless` and `ballast gate` measure that.\n",
    }
    text
}
