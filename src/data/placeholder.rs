//! Whether the placeholders of a source are meant to be filled, and forms near them that nothing fills.
//!
//! A source is written for an identity where any of its rows, drawn or not, holds a form that stands for nothing else:
//! `{{NAME}}`, `{{AUTHOR}}`, `{{author}}` or `<AUTHOR>`. Then every row is filled, and a form that looks like a placeholder
//! and is none is an error: trained on, it would teach the model to say it. In other sources `{{name}}` and `<NAME>` are an
//! error too unless they stand in code, where they are somebody's template.

use anyhow::{Result, bail};

use super::example::Example;
use super::identity::{Identity, is_sure, without_placeholders};

/// Words that placeholders for a name or a maker are written with, without spaces, `_` and `-`.
const WORDS: [&str; 16] = [
    "name",
    "author",
    "modelname",
    "model",
    "botname",
    "bot",
    "assistantname",
    "ainame",
    "developer",
    "company",
    "creator",
    "organization",
    "organisation",
    "team",
    "authorname",
    "companyname",
];
const OPEN: &str = "{[<｛【《%$";
const CLOSE: &str = "}]>｝】》%";

/// What is done with the placeholders of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholders {
    /// They are filled.
    Filled,
    /// There are none.
    None,
}

impl Placeholders {
    /// Reads the whole source, not only the rows drawn from it.
    pub fn of(source: &[Example]) -> Result<Self> {
        if source.iter().flat_map(|example| &example.messages).any(|message| is_sure(&message.content)) {
            return Ok(Self::Filled);
        }
        for example in source {
            for message in example.messages.iter().filter(|message| !is_code(&message.content)) {
                if let Some(form) = near(&message.content, false) {
                    bail!(
                        "row {}: `{form}` may stand for the model's name or maker, but nothing in this source says so: write {{{{NAME}}}} \
                         and {{{{AUTHOR}}}} where they are to be filled in, or another word",
                        example.origin
                    );
                }
            }
        }
        Ok(Self::None)
    }

    /// The row as it is trained on.
    pub fn fill(self, example: Example, identity: &Identity) -> Result<Example> {
        if self == Self::None {
            return Ok(example);
        }
        for message in &example.messages {
            check(&message.content, &format!("row {}", example.origin))?;
        }
        Ok(identity.fill_example(example))
    }
}

/// Fails on a form near a placeholder that filling `text` would leave; `place` says where the text stands.
pub fn check(text: &str, place: &str) -> Result<()> {
    match near(&without_placeholders(text), true) {
        Some(form) => bail!("{place}: `{form}` would be left unfilled: write {{{{NAME}}}} or {{{{AUTHOR}}}}, or another word"),
        None => Ok(()),
    }
}

/// The first form that looks like a placeholder for a name or a maker. In a source that is `filled`, single brackets count.
fn near(text: &str, filled: bool) -> Option<&str> {
    let mut rest = 0;
    while let Some(start) = text[rest..].find(|c| OPEN.contains(c)).map(|at| rest + at) {
        let after_open = start + prefix(&text[start..], |c| OPEN.contains(c));
        rest = after_open;
        let inner = &text[after_open..];
        let length = prefix(inner, |c| c.is_ascii_alphabetic() || c == '_' || c == '-' || c.is_whitespace());
        let written = inner[..length].trim();
        let word: String = written.to_lowercase().chars().filter(char::is_ascii_alphabetic).collect();
        if !WORDS.contains(&word.as_str()) {
            continue;
        }
        let end = after_open + length + prefix(&inner[length..], |c| CLOSE.contains(c));
        let (opened, closed) = (text[start..after_open].chars().count(), text[after_open + length..end].chars().count());
        let (double, caps) = (opened.max(closed) > 1, !written.contains(|c: char| c.is_ascii_lowercase()));
        let capital = written.starts_with(|c: char| c.is_ascii_uppercase()) && !text[start..].starts_with('<');
        let found = if filled {
            closed > 0 && (caps || capital || double) || caps && double
        } else {
            let sure = caps && text[start..end] == *"<NAME>";
            closed > 0 && double && (caps || word == "name" || word == "author") || sure
        };
        if found {
            return Some(&text[start..end]);
        }
    }
    None
}

/// The bytes that the text begins with of characters that hold.
fn prefix(text: &str, holds: impl Fn(char) -> bool) -> usize {
    text.find(|c| !holds(c)).unwrap_or(text.len())
}

/// Whether the text holds code, in which braces and tags have a meaning of their own.
fn is_code(text: &str) -> bool {
    ["`", "</", "/>", "{%", "${", "();", "=\""].iter().any(|sign| text.contains(sign))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::identity::Bilingual;
    use crate::data::{Language, Message, Origin, Role};

    fn source(texts: &[&str]) -> Vec<Example> {
        let row = |(row, text): (usize, &&str)| Example {
            messages: vec![Message::new(Role::User, "Who are you?"), Message::new(Role::Assistant, *text)],
            language: Language::En,
            origin: Origin { source: "x".to_owned(), row },
        };
        texts.iter().enumerate().map(row).collect()
    }

    fn filled(texts: &[&str]) -> Result<Vec<String>> {
        let identity = Identity { name: Bilingual::same("Skiff"), author: Bilingual::same("Harbour Lab") };
        let source = source(texts);
        let placeholders = Placeholders::of(&source)?;
        source.into_iter().map(|example| Ok(placeholders.fill(example, &identity)?.answer_text())).collect()
    }

    #[test]
    fn one_sure_form_fills_every_row() -> Result<()> {
        assert_eq!(filled(&["I am {{name}}.", "<NAME>", "By {{ AUTHOR }}."])?, ["I am Skiff.", "Skiff", "By Harbour Lab."]);
        assert_eq!(filled(&["I am {{NAME}}.", "{{\tname }}"])?, ["I am Skiff.", "Skiff"]);
        Ok(())
    }

    #[test]
    fn near_forms_are_refused_where_the_source_is_filled() {
        for near in
            ["{NAME}", "[NAME]", "{{Name}}", "{{NAME}", "{NAME}}", "${NAME}", "{{MODEL_NAME}}", "{{ developer }}", "【NAME】", "%NAME%"]
        {
            let error = filled(&["I am {{NAME}}.", near]).expect_err(near).to_string();
            assert!(error.starts_with("row x:1: `") && error.contains("unfilled"), "{error}");
        }
        for other in ["{name}", "<name>x</name>", "[your name]", "f'{{x}}'", "List[Name2]", "{}", "100 % of <b>"] {
            filled(&["I am {{NAME}}.", other]).expect(other);
        }
    }

    #[test]
    fn doubtful_forms_are_refused_and_code_is_left() {
        for near in ["I am {{name}}.", "I am {{ Name }}.", "I am <NAME>.", "By {{COMPANY}}."] {
            let error = filled(&["hi", near]).expect_err(near).to_string();
            assert!(error.starts_with("row x:1: `") && error.contains("nothing in this source says so"), "{error}");
        }
        let code = ["<p>{{ name }}</p>", "```\n# by <NAME>\n```", "Dear [Name],", "print(f'{NAME}')", "{{user.name}}"];
        assert_eq!(filled(&code).expect("code is left"), code);
    }
}
