//! A Modelfile, which is how Ollama is told of a model: the file, the chat template in Go's language, the system prompt.
//!
//! Ollama's templates are another language than the model's own (Jinja), and a template of its own guessing is the usual
//! reason why an exported model talks nonsense. So the Go template is measured: what the model's template writes around each
//! kind of message, put together and held against it on conversations. A template that writes anything else than fixed text
//! around messages is not written down.

use anyhow::{Context, Result, ensure};

use crate::data::chat::ChatTemplate;
use crate::data::example::{Message, Role};
use crate::model::tokenizer::TextCodec;

/// Fixed text around messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OllamaTemplate {
    /// Stands first where there is no system message.
    default: String,
    system: [String; 2],
    /// What stands before a user's message, and after it, where the answer begins.
    user: [String; 2],
    /// What ends an answer.
    answer: String,
    /// Text of the token that llama.cpp puts before a prompt by itself.
    beginning: String,
}

const WORDS: [&str; 4] = ["Systemwords.", "Firstquestion?", "Firstanswer.", "Secondquestion?"];

impl OllamaTemplate {
    /// Measures a model's template.
    pub fn measure(codec: &TextCodec) -> Result<Self> {
        let template = ChatTemplate::new(codec.clone())?;
        let [system, question, answer, again] = WORDS;
        let of = |role: Role, text: &str| Message::new(role, text);
        let long = [of(Role::System, system), of(Role::User, question), of(Role::Assistant, answer), of(Role::User, again)];
        let whole = template.render(&long, true)?;
        let mut pieces = Vec::new();
        let mut rest = whole.as_str();
        for word in WORDS {
            let (before, after) = rest.split_once(word).context("it does not write every message once, in order")?;
            pieces.push(before.to_owned());
            rest = after;
        }
        let ended = template.render(&long[1..3], false)?;
        let (_, end) = ended.split_once(answer).context("it does not write answers")?;
        let plain = template.render(&long[1..2], true)?;
        let (start, _) = plain.split_once(question).context("it does not write the question")?;
        let before_user = pieces[3].strip_prefix(end).context("it ends earlier answers otherwise than the last one")?;
        let without = |text: &str, what: &str| {
            text.strip_suffix(before_user).map(str::to_owned).with_context(|| format!("it writes {what} and a first question as one"))
        };
        let beginning = codec.beginning()?;
        let measured = Self {
            default: without(start, "a beginning")?,
            system: [pieces[0].clone(), without(&pieces[1], "a system message")?],
            user: [before_user.to_owned(), rest.to_owned()],
            answer: end.to_owned(),
            beginning: codec.decode_all(&beginning)?,
        };
        measured.check(&template)?;
        Ok(measured)
    }

    /// Holds it against the model's template.
    fn check(&self, template: &ChatTemplate) -> Result<()> {
        let pieces = [&self.default, &self.system[0], &self.system[1], &self.user[0], &self.user[1], &self.answer];
        ensure!(pieces.iter().all(|text| !text.contains("{{") && !text.contains("\"\"\"")), "it writes braces or quotes that Ollama reads");
        let turns = [
            Message::new(Role::System, "You are Swift-Robot.\nAnswer briefly."),
            Message::new(Role::User, "Who are you?"),
            Message::new(Role::Assistant, "Swift-Robot. 我是 Swift-Robot。"),
            Message::new(Role::User, "And who made you?\n\nSay it twice."),
            Message::new(Role::Assistant, "CSDN."),
            Message::new(Role::User, "1 + 1 = ?"),
        ];
        for (from, to) in [(0, 2), (1, 2), (0, 4), (1, 4), (0, 6), (1, 6)] {
            let messages = &turns[from..to];
            ensure!(self.render(messages) == template.render(messages, true)?, "it writes more than fixed text around messages");
        }
        Ok(())
    }

    fn render(&self, messages: &[Message]) -> String {
        let has_system = messages.iter().any(|message| message.role == Role::System);
        let mut text = if has_system { String::new() } else { self.default.clone() };
        for Message { role, content, .. } in messages {
            let [before, after] = match role {
                Role::System => [self.system[0].as_str(), &self.system[1]],
                Role::User => [self.user[0].as_str(), &self.user[1]],
                Role::Assistant => ["", &self.answer],
            };
            text += before;
            text += content;
            text += after;
        }
        text
    }

    /// The template in Ollama's language. The token that llama.cpp puts before a prompt is left out of it.
    pub fn text(&self) -> String {
        let first = |text: &str| text.strip_prefix(self.beginning.as_str()).unwrap_or(text).to_owned();
        format!(
            "{{{{ if not .System }}}}{}{{{{ end }}}}{{{{ range .Messages }}}}{{{{ if eq .Role \"system\" }}}}{}{{{{ .Content }}}}{}{{{{ else if eq .Role \"user\" \
             }}}}{}{{{{ .Content }}}}{}{{{{ else if eq .Role \"assistant\" }}}}{{{{ .Content }}}}{}{{{{ end }}}}{{{{ end }}}}",
            first(&self.default),
            first(&self.system[0]),
            self.system[1],
            self.user[0],
            self.user[1],
            self.answer
        )
    }
}

/// A Modelfile. `from` is the model's file, `lora` that of an adapter beside it. Without a template Ollama takes one of its own
/// guessing, and the file says why.
pub fn modelfile(from: &str, lora: Option<&str>, template: &Result<OllamaTemplate>, system: &str, stops: &[String]) -> Result<String> {
    ensure!(!system.contains("\"\"\""), "the system prompt has three quotes in a row, which a Modelfile cannot hold");
    let mut lines = vec!["# ollama create NAME -f Modelfile".to_owned(), format!("FROM {from}")];
    lines.extend(lora.map(|lora| format!("ADAPTER {lora}")));
    match template {
        Ok(template) => lines.push(format!("TEMPLATE \"\"\"{}\"\"\"", template.text())),
        Err(why) => {
            lines.push(format!("# The model's chat template is not repeated here: {why:#}. Compare Ollama's before you trust answers."));
        }
    }
    if !system.is_empty() {
        lines.push(format!("SYSTEM \"\"\"{system}\"\"\""));
    }
    lines.push("PARAMETER temperature 0".to_owned());
    lines.extend(stops.iter().map(|stop| format!("PARAMETER stop \"{stop}\"")));
    Ok(format!("{}\n", lines.join("\n")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn codec(template: &str) -> TextCodec {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiny/qwen2");
        let mut codec = TextCodec::from_folder(&folder).unwrap();
        if !template.is_empty() {
            template.clone_into(&mut codec.template);
        }
        codec
    }

    #[test]
    fn a_template_of_fixed_text_is_measured() {
        let measured = OllamaTemplate::measure(&codec("")).unwrap();
        assert_eq!(
            measured.text(),
            "{{ if not .System }}<|im_start|>system\nYou are Tiny, created by nobody.<|im_end|>\n{{ end }}{{ range .Messages }}\
             {{ if eq .Role \"system\" }}<|im_start|>system\n{{ .Content }}<|im_end|>\n\
             {{ else if eq .Role \"user\" }}<|im_start|>user\n{{ .Content }}<|im_end|>\n<|im_start|>assistant\n\
             {{ else if eq .Role \"assistant\" }}{{ .Content }}<|im_end|>\n{{ end }}{{ end }}"
        );
        let file = modelfile("./m.gguf", None, &Ok(measured), "You are Swift-Robot.", &["<|im_end|>".to_owned()]).unwrap();
        assert!(file.starts_with("# ollama create NAME -f Modelfile\nFROM ./m.gguf\nTEMPLATE \"\"\"{{ if not"));
        assert!(file.ends_with("SYSTEM \"\"\"You are Swift-Robot.\"\"\"\nPARAMETER temperature 0\nPARAMETER stop \"<|im_end|>\"\n"));
        modelfile("m", None, &OllamaTemplate::measure(&codec("")), "\"\"\"", &[]).unwrap_err();
    }

    /// Earlier answers are cut, as templates of thinking models do; and messages are counted.
    #[test]
    fn a_template_that_does_more_is_said_not_to_be_written() {
        for more in [
            "{% for m in messages %}{{ m.role }}:{{ m.content if loop.last or m.role != 'assistant' else m.content[:3] }}\n{% endfor %}assistant:",
            "{% for m in messages %}{{ loop.index }}{{ m.role }}:{{ m.content }}\n{% endfor %}assistant:",
        ] {
            let measured = OllamaTemplate::measure(&codec(more));
            assert!(measured.is_err());
            let file = modelfile("m", Some("a"), &measured, "", &[]).unwrap();
            assert!(file.contains("# The model's chat template is not repeated here: it ") && !file.contains("\nTEMPLATE"), "{file}");
        }
    }
}
