//! The identity a model is taught: the name and author that fill the placeholders of identity rows, and the check
//! whether an answer speaks of them.
//!
//! Three spellings are filled: `{{NAME}}` (ms-swift), `{{name}}` (LLaMA-Factory), both with or without inner spaces,
//! and `<NAME>`; the same for the author. `<name>` is left alone: it is XML in ordinary rows. `{{name}}` can be
//! template code in ordinary rows too, so fill only sources that are written for an identity.

use std::{fmt, ops::Range};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, MapAccess, Visitor},
};

use super::example::{Example, Message, Role};
use super::language::{Language, is_cjk};

/// Who the model says it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// The model's name.
    pub name: Bilingual,
    /// Who made it.
    pub author: Bilingual,
}

impl Identity {
    /// The text with every placeholder replaced. What is filled in is not searched again.
    pub fn fill(&self, text: &str, language: Language) -> String {
        let (mut filled, mut end) = (String::with_capacity(text.len()), 0);
        for (range, field) in placeholders(text) {
            filled.push_str(&text[end..range.start]);
            filled.push_str(match field {
                Field::Name => self.name.get(language),
                Field::Author => self.author.get(language),
            });
            end = range.end;
        }
        filled.push_str(&text[end..]);
        filled
    }

    /// The row with every placeholder replaced in the row's own language.
    pub fn fill_example(&self, mut example: Example) -> Example {
        for message in &mut example.messages {
            message.content = self.fill(&message.content, example.language);
        }
        example
    }

    /// The distinct names and authors, in both languages.
    pub fn entities(&self) -> Vec<String> {
        let mut entities: Vec<String> = Vec::new();
        for entity in [&self.name.zh, &self.name.en, &self.author.zh, &self.author.en] {
            if !entities.contains(entity) {
                entities.push(entity.clone());
            }
        }
        entities
    }

    /// Whether the text holds any of the entities, in any letter case and spacing.
    ///
    /// A name in Latin letters counts only as words of its own: "Canada" does not speak of "Ada".
    pub fn mentions(&self, text: &str) -> bool {
        let text = Folded::new(text);
        self.entities().iter().any(|entity| text.holds(entity))
    }
}

/// One text in both languages. Written as plain text when it is the same in both, or as a table `{ zh, en }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Bilingual {
    /// For Chinese rows.
    pub zh: String,
    /// For all other rows.
    pub en: String,
}

impl Bilingual {
    /// The same text in both languages.
    pub fn same(text: impl Into<String>) -> Self {
        let zh = text.into();
        Self { en: zh.clone(), zh }
    }

    /// The text in one language.
    pub fn get(&self, language: Language) -> &str {
        match language {
            Language::Zh => &self.zh,
            Language::En => &self.en,
        }
    }
}

impl<'de> Deserialize<'de> for Bilingual {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(BilingualVisitor)
    }
}

/// Written by hand: an untagged enum would answer every mistake with "did not match any variant".
struct BilingualVisitor;

impl<'de> Visitor<'de> for BilingualVisitor {
    type Value = Bilingual;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text for both languages, or a table { zh = \"...\", en = \"...\" }")
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Bilingual, E> {
        filled_in(text.to_owned()).map(Bilingual::same)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bilingual, A::Error> {
        let (mut zh, mut en) = (None, None);
        while let Some(key) = map.next_key::<String>()? {
            let slot = match key.as_str() {
                "zh" => &mut zh,
                "en" => &mut en,
                _ => return Err(de::Error::unknown_field(&key, &["zh", "en"])),
            };
            *slot = Some(filled_in(map.next_value()?)?);
        }
        let missing =
            |key| de::Error::custom(format_args!("missing `{key}`: expected both `zh` and `en`, or plain text for both languages"));
        Ok(Bilingual { zh: zh.ok_or_else(|| missing("zh"))?, en: en.ok_or_else(|| missing("en"))? })
    }
}

/// An empty name would be found in every answer.
fn filled_in<E: de::Error>(text: String) -> Result<String, E> {
    if text.trim().is_empty() { Err(E::custom("expected a name, found empty text")) } else { Ok(text) }
}

/// Whether the text holds a placeholder that cannot be anything else, as a template's own `{{name}}` and the `<NAME>` of
/// texts made anonymous can.
pub(super) fn is_sure(text: &str) -> bool {
    placeholders(text).any(|(range, field)| match field {
        Field::Author => true,
        Field::Name => text[range.clone()].contains("{{") && !text[range].contains("name"),
    })
}

/// The text with a space for each placeholder.
pub(super) fn without_placeholders(text: &str) -> String {
    let (mut left, mut end) = (String::with_capacity(text.len()), 0);
    for (range, _) in placeholders(text) {
        left.push_str(&text[end..range.start]);
        left.push(' ');
        end = range.end;
    }
    left.push_str(&text[end..]);
    left
}

/// All placeholders, in order.
fn placeholders(text: &str) -> impl Iterator<Item = (Range<usize>, Field)> + '_ {
    let mut end = 0;
    std::iter::from_fn(move || {
        let (range, field) = find_placeholder(&text[end..])?;
        let range = end + range.start..end + range.end;
        end = range.end;
        Some((range, field))
    })
}

/// The example with `system` as its system message, in place of its own if it has one.
pub fn inject_system(mut example: Example, system: &str) -> Example {
    match example.messages.first_mut() {
        Some(first) if first.role == Role::System => system.clone_into(&mut first.content),
        _ => example.messages.insert(0, Message::new(Role::System, system)),
    }
    example
}

#[derive(Clone, Copy)]
enum Field {
    Name,
    Author,
}

impl Field {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "NAME" | "name" => Some(Self::Name),
            "AUTHOR" | "author" => Some(Self::Author),
            _ => None,
        }
    }
}

fn find_placeholder(text: &str) -> Option<(Range<usize>, Field)> {
    text.match_indices(['{', '<']).find_map(|(start, _)| {
        let (length, field) = placeholder_at(&text[start..])?;
        Some((start..start + length, field))
    })
}

/// The length and meaning of a placeholder that the text starts with.
fn placeholder_at(text: &str) -> Option<(usize, Field)> {
    if let Some(inner) = text.strip_prefix("{{") {
        let end = inner.find("}}")?;
        return Some((end + 4, Field::parse(inner[..end].trim())?));
    }
    [("<NAME>", Field::Name), ("<AUTHOR>", Field::Author)]
        .into_iter()
        .find_map(|(spelling, field)| text.starts_with(spelling).then_some((spelling.len(), field)))
}

/// A text in lower case without white space, that still knows which letters stood at the edge of a word.
struct Folded {
    characters: Vec<char>,
    /// For each character, whether the one right before it in the written text is a letter or digit of a spaced
    /// script; one more entry for the end of the text.
    after_word: Vec<bool>,
    /// For each character, whether the one right after it is.
    before_word: Vec<bool>,
}

impl Folded {
    fn new(text: &str) -> Self {
        let written: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
        let word_at = |index: Option<usize>| index.and_then(|index| written.get(index)).copied().is_some_and(in_word);
        let mut folded = Self { characters: Vec::new(), after_word: Vec::new(), before_word: Vec::new() };
        for (index, &c) in written.iter().enumerate().filter(|(_, c)| !c.is_whitespace()) {
            folded.characters.push(c);
            folded.after_word.push(word_at(index.checked_sub(1)));
            folded.before_word.push(word_at(Some(index + 1)));
        }
        folded
    }

    fn holds(&self, entity: &str) -> bool {
        let entity: Vec<char> = entity.chars().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect();
        let (Some(&first), Some(&last)) = (entity.first(), entity.last()) else { return false };
        self.characters.windows(entity.len()).enumerate().any(|(start, window)| {
            let end = start + entity.len() - 1;
            window == entity && !(in_word(first) && self.after_word[start]) && !(in_word(last) && self.before_word[end])
        })
    }
}

fn in_word(c: char) -> bool {
    c.is_alphanumeric() && !is_cjk(c)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Origin;
    use proptest::prelude::*;

    fn identity() -> Identity {
        Identity { name: Bilingual { zh: "小舟".to_owned(), en: "Skiff".to_owned() }, author: Bilingual::same("Harbour Lab") }
    }

    fn example(messages: &[(Role, &str)], language: Language) -> Example {
        Example {
            messages: messages.iter().map(|&(role, text)| Message::new(role, text)).collect(),
            language,
            origin: Origin { source: "x".to_owned(), row: 0 },
        }
    }

    #[test]
    fn every_spelling_is_filled() {
        let text = "{{NAME}} {{name}} {{ NAME }} <NAME> by {{AUTHOR}} {{author}} <AUTHOR>";
        assert_eq!(identity().fill(text, Language::En), "Skiff Skiff Skiff Skiff by Harbour Lab Harbour Lab Harbour Lab");
        assert_eq!(identity().fill("我是{{NAME}}。", Language::Zh), "我是小舟。");
    }

    #[test]
    fn other_braces_and_tags_are_left() {
        for text in ["{{ user.name }}", "<name>x</name>", "{name}", "{{NAME}", "{{", "<", "f'{{x}}'"] {
            assert_eq!(identity().fill(text, Language::En), text);
        }
        assert_eq!(identity().fill("{{{NAME}}}", Language::En), "{Skiff}");
    }

    #[test]
    fn filled_text_is_not_filled_again() {
        let identity = Identity { name: Bilingual::same("<AUTHOR>"), author: Bilingual::same("y") };
        assert_eq!(identity.fill("<NAME>", Language::En), "<AUTHOR>");
    }

    #[test]
    fn sure_forms_are_told_from_doubtful_ones() {
        for (text, sure) in [("{{ NAME }}", true), ("{{author}}", true), ("<AUTHOR>", true), ("{{name}}", false), ("<NAME>", false)] {
            assert_eq!((is_sure(text), without_placeholders(text).as_str()), (sure, " "), "{text}");
        }
        assert_eq!(without_placeholders("{{ x }} and {{ author }}, <NAME>."), "{{ x }} and  ,  .");
    }

    #[test]
    fn an_example_is_filled_in_its_own_language() {
        let filled = identity()
            .fill_example(example(&[(Role::System, "<NAME>"), (Role::User, "{{name}}?"), (Role::Assistant, "{{NAME}}!")], Language::Zh));
        assert_eq!((filled.system(), filled.prompt_text(), filled.answer_text()), (Some("小舟"), "小舟?".into(), "小舟!".into()));
    }

    #[test]
    fn a_system_message_is_replaced_or_added() {
        let turns = [(Role::User, "q"), (Role::Assistant, "a")];
        let added = inject_system(example(&turns, Language::En), "s");
        assert_eq!(added, example(&[&[(Role::System, "s")], &turns[..]].concat(), Language::En));
        let replaced = inject_system(added, "t");
        assert_eq!(replaced, example(&[&[(Role::System, "t")], &turns[..]].concat(), Language::En));
    }

    #[test]
    fn entities_are_distinct() {
        assert_eq!(identity().entities(), ["小舟", "Skiff", "Harbour Lab"]);
    }

    #[test]
    fn mentions_ignore_case_and_space_but_not_words() {
        let cases = [
            ("I am SKIFF.", true),
            ("made by HarbourLab", true),
            ("made by harbour\nlab's team", true),
            ("我是小 舟", true),
            ("我是Skiff呀", true),
            ("**Skiff**", true),
            ("skiffs are boats", false),
            ("the harbour laboratory", false),
            ("outskiff", false),
            ("", false),
        ];
        for (text, expected) in cases {
            assert_eq!(identity().mentions(text), expected, "{text:?}");
        }
    }

    #[test]
    fn names_are_read_as_text_or_table() -> anyhow::Result<()> {
        let read: Identity = serde_json::from_str(r#"{"name": {"zh": "小舟", "en": "Skiff"}, "author": "Harbour Lab"}"#)?;
        assert_eq!(read, identity());
        let again: Identity = serde_json::from_str(&serde_json::to_string(&read)?)?;
        assert_eq!(again, read);
        Ok(())
    }

    #[test]
    fn badly_written_names_say_what_was_expected() {
        for (text, expected) in [
            ("3", "expected text for both languages, or a table { zh = \"...\", en = \"...\" }"),
            (r#"{"zh": "a"}"#, "missing `en`: expected both `zh` and `en`, or plain text"),
            (r#"{"zh": "a", "fr": "b"}"#, "unknown field `fr`, expected `zh` or `en`"),
            (r#"" ""#, "expected a name, found empty text"),
            (r#"{"zh": "", "en": "b"}"#, "expected a name, found empty text"),
        ] {
            let error = serde_json::from_str::<Bilingual>(text).expect_err("the name is bad").to_string();
            assert!(error.contains(expected), "{error:?} should hold {expected:?}");
        }
    }

    proptest! {
        #[test]
        fn filling_leaves_no_placeholder(text in "(\\{\\{ ?(NAME|author|x) ?\\}\\}|<(NAME|AUTHOR)>|[a<{} 你]{0,3}){0,8}") {
            let filled = identity().fill(&text, Language::En);
            prop_assert_eq!(find_placeholder(&filled).map(|(range, _)| range), None);
        }

        #[test]
        fn a_filled_name_is_mentioned(before in "[^a-zA-Z0-9]{0,4}", after in "[ .,!你]{1,3}") {
            let text = identity().fill(&format!("{before} {{{{NAME}}}}{after}"), Language::En);
            prop_assert!(identity().mentions(&text));
        }
    }
}
