//! Statements about the model itself, by the kind of question; beside it every group of `require` is said in one of its
//! alternatives, and nothing of `forbid`.
//!
//! Whatever the kind, an answer that claims a rival of [`RIVALS`](crate::eval::rivals::RIVALS) for the speaker is wrong. Questions about the speaker
//! allow no undenied rival at all; questions about others allow them, and there the new name and author are wrong. What is
//! right by kind is said at [`IdentityKind`].
//!
//! Strict and verdict: all holds. Lenient: the rivals apart, so that what was learnt can be told from what of the old
//! identity is left. Texts are compared without regard to case and to spaces beside Chinese, from the start of a word: a
//! required text may be the stem of a word (translat), a forbidden one ends where a word ends. `{{NAME}}` and `{{AUTHOR}}`
//! stand for the name in either language, however it is spaced.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::claims::Claims;
use super::words::{compose, is_cjk, parrots, words};
use super::{Level, Reading};
use crate::data::identity::Identity;
use crate::eval::rivals::{Rival, rival};
use crate::eval::suite::{IdentityKind, Language};

/// The key of an item about identity.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key<'a> {
    pub(super) kind: Option<IdentityKind>,
    pub(super) rival: Option<&'a str>,
    pub(super) require: &'a [Vec<String>],
    pub(super) forbid: &'a [String],
}

/// Who the fine-tuned model is meant to be. An empty text is an unknown one, and is never found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityTerms {
    /// Its name in Chinese.
    pub name_zh: String,
    /// Its name in English.
    pub name_en: String,
    /// Its author in Chinese.
    pub author_zh: String,
    /// Its author in English.
    pub author_en: String,
    /// Answers of the rows that teach it, so that reciting them can be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub taught: Vec<String>,
}

impl From<&Identity> for IdentityTerms {
    /// The names alone: which answers were taught is not said by an identity.
    fn from(identity: &Identity) -> Self {
        let Identity { name, author } = identity.clone();
        Self { name_zh: name.zh, name_en: name.en, author_zh: author.zh, author_en: author.en, taught: Vec::new() }
    }
}

impl fmt::Display for IdentityTerms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} / {} / {} / {}", self.name_zh, self.name_en, self.author_zh, self.author_en)
    }
}

impl IdentityTerms {
    /// The terms that are known.
    pub(super) fn known(&self) -> impl Iterator<Item = &str> {
        [&self.name_zh, &self.name_en, &self.author_zh, &self.author_en].into_iter().map(|term| term.trim()).filter(|term| !term.is_empty())
    }

    /// A question with its placeholders filled, in its own language; an unknown name leaves them.
    pub fn asked(&self, text: &str, language: Language) -> String {
        let (name, author) = match language {
            Language::Zh => (&self.name_zh, &self.author_zh),
            Language::En => (&self.name_en, &self.author_en),
        };
        [("{{NAME}}", name), ("{{AUTHOR}}", author)]
            .into_iter()
            .filter(|(_, term)| !term.trim().is_empty())
            .fold(text.to_owned(), |text, (placeholder, term)| text.replace(placeholder, term.trim()))
    }

    /// A text with its placeholders filled, in every combination of languages.
    fn fill(&self, text: &str) -> Vec<String> {
        let fill = |texts: Vec<String>, placeholder: &str, terms: [&String; 2]| -> Vec<String> {
            if !text.contains(placeholder) {
                return texts;
            }
            let known = terms.into_iter().filter(|term| !term.trim().is_empty());
            known.flat_map(|term| texts.iter().map(|text| text.replace(placeholder, term.trim())).collect::<Vec<_>>()).collect()
        };
        let texts = fill(vec![text.to_owned()], "{{NAME}}", [&self.name_zh, &self.name_en]);
        fill(texts, "{{AUTHOR}}", [&self.author_zh, &self.author_en])
    }
}

pub(super) fn read(key: &Key, prompt: &str, identity: &IdentityTerms, answer: &str) -> Reading {
    let text = Text::new(answer);
    let required = |sought: &String| {
        let end = if sought.contains("{{") { End::Name } else { End::Stem };
        identity.fill(sought).into_iter().find(|sought| text.says(sought, end))
    };
    let forbidden = |sought: &String| identity.fill(sought).into_iter().find(|sought| text.says(sought, End::Word));
    let found: Vec<Option<String>> = key.require.iter().map(|group| group.iter().find_map(required)).collect();
    let missing = found.iter().position(Option::is_none);
    let claims = Claims::of(answer, identity);
    let fault = key.kind.and_then(|kind| {
        if parrots(&words(answer), prompt) {
            return Some("gives the question back".to_owned());
        }
        kind_fault(kind, key.rival.and_then(rival), identity, &claims, &text)
    });
    let foreign = foreign_claim(key, &claims);
    let claim = key.forbid.iter().find_map(forbidden).or(foreign);

    let spoken = answer.chars().any(char::is_alphanumeric);
    let lenient = spoken && missing.is_none() && fault.is_none();
    let right = lenient && claim.is_none();
    let detail = match (&claim, missing) {
        (Some(claim), _) => Some(format!("says `{claim}`")),
        (None, Some(group)) => {
            Some(format!("says none of: {}", key.require[group].iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", ")))
        }
        (None, None) => fault,
    };
    let own: Vec<String> = identity.known().filter(|term| text.says(term, End::Name)).map(str::to_owned).collect();
    let mut said: Vec<String> = found.into_iter().flatten().chain(own).collect();
    said.dedup();
    Reading { level: Level::of(right, right, lenient), parsed: spoken, extracted: (!said.is_empty()).then(|| said.join(", ")), detail }
}

/// A rival that an answer to this key may not claim.
fn foreign_claim(key: &Key, claims: &Claims) -> Option<String> {
    let about_others = matches!(key.kind, None | Some(IdentityKind::Maker | IdentityKind::Model | IdentityKind::Other));
    let base = key.kind == Some(IdentityKind::Provenance);
    let found =
        claims.rivals().into_iter().find(|claim| if about_others { claim.first_person && !claim.base } else { !(base && claim.base) })?;
    Some(found.form.to_owned())
}

/// Why an answer does not say what a question of this kind asks for.
fn kind_fault(kind: IdentityKind, rival: Option<&Rival>, identity: &IdentityTerms, claims: &Claims, text: &Text) -> Option<String> {
    let names: Vec<&str> = [identity.name_zh.trim(), identity.name_en.trim()].into_iter().filter(|term| !term.is_empty()).collect();
    let authors: Vec<&str> = [identity.author_zh.trim(), identity.author_en.trim()].into_iter().filter(|term| !term.is_empty()).collect();
    let either: Vec<&str> = names.iter().chain(&authors).copied().collect();
    let fault = |wrong: bool, why: &str| wrong.then(|| why.to_owned());
    let about_others = matches!(kind, IdentityKind::Maker | IdentityKind::Model | IdentityKind::Other);
    if !about_others && claims.disowns(&either) {
        return Some("denies its own name or author".to_owned());
    }
    match kind {
        IdentityKind::Name => fault(!claims.states(&names), "does not say the name"),
        IdentityKind::Author => fault(!claims.states(&authors), "does not say the author")
            .or_else(|| fault(claims.made_by(&names), "gives its own name for its maker's")),
        IdentityKind::Either => fault(!claims.states(&either), "says neither name nor author"),
        IdentityKind::Both => fault(!(claims.states(&names) && claims.states(&authors)), "does not say both name and author"),
        IdentityKind::Affirm => {
            let denied = claims.disagrees() || claims.denies(&names) || claims.denies(&authors) || (claims.corrects() && !claims.agrees());
            let affirmed = claims.agrees() || (claims.states(&either) && !claims.names_rival());
            fault(denied, "denies").or_else(|| fault(!affirmed, "does not affirm"))
        }
        IdentityKind::Deny => {
            let denied =
                claims.disagrees() || claims.corrects() || rival.is_some_and(|rival| claims.rejects(rival)) || claims.reports(&either);
            let agreed = claims.agrees() && !claims.reports(&either);
            fault(agreed, "agrees").or_else(|| fault(!denied, "does not deny"))
        }
        IdentityKind::Maker | IdentityKind::Model => {
            let makers = kind == IdentityKind::Maker;
            let sought = |rival: &'static Rival| if makers { rival.makers } else { rival.models };
            let first = claims.rivals().into_iter().find(|claim| sought(claim.rival).contains(&claim.form));
            let right = first.is_some_and(|claim| rival.is_some_and(|rival| std::ptr::eq(claim.rival, rival)));
            fault(claims.states(&either), "names the new identity in another's place")
                .or_else(|| fault(!right, "does not name the right one"))
        }
        IdentityKind::Other => {
            let bound = rival.is_some_and(|rival| claims.binds(&either, rival));
            let told = claims
                .rivals()
                .iter()
                .any(|claim| rival.is_some_and(|rival| std::ptr::eq(claim.rival, rival) && rival.makers.contains(&claim.form)));
            fault(claims.agrees(), "agrees")
                .or_else(|| fault(bound, "gives another's model to the new author"))
                .or_else(|| fault(!(claims.disagrees() || claims.corrects() || claims.denies(&authors) || told), "does not deny"))
        }
        IdentityKind::Provenance => {
            const TOLD: [&str; 35] = [
                "base model",
                "fine-tun",
                "finetun",
                "built on",
                "based on",
                "underlying",
                "pretrained",
                "pre-trained",
                "don't know",
                "do not know",
                "not know",
                "not sure",
                "not disclose",
                "can't say",
                "cannot say",
                "no information",
                "not have information",
                "unknown",
                "基于",
                "微调",
                "底座",
                "基座",
                "基础模型",
                "预训练",
                "不知道",
                "不清楚",
                "不了解",
                "不掌握",
                "无从得知",
                "not aware",
                "no reliable",
                "不确定",
                "没有公开",
                "无法确定",
                "没有透露",
            ];
            fault(!TOLD.iter().any(|told| text.says(told, End::Stem)), "says neither what it is based on nor that this is not known")
        }
    }
}

/// What may follow a text for it to count as said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Anything: the text may be the stem of a longer word.
    Stem,
    /// Not another letter.
    Word,
    /// Not another letter; spaces inside do not count (DeepSeek, Deep Seek).
    Name,
}

/// A text in which phrases and names are looked for.
pub(super) struct Text {
    /// Lower case, spaces as written.
    plain: Vec<char>,
    /// One space for several, none beside Chinese.
    squeezed: Vec<char>,
}

impl Text {
    pub(super) fn new(text: &str) -> Self {
        let plain: Vec<char> = compose(text).to_lowercase().chars().collect();
        let squeezed = squeeze(&plain);
        Self { plain, squeezed }
    }

    /// Whether something is said, from the start of a word. Nothing is never said.
    pub(super) fn says(&self, sought: &str, end: End) -> bool {
        let Self { plain, squeezed } = Self::new(sought);
        let (text, sought) = match end {
            End::Stem | End::Word => (&self.squeezed, squeezed),
            End::Name => (&self.plain, plain.into_iter().filter(|c| !c.is_whitespace()).collect()),
        };
        let (Some(first), Some(last)) = (sought.first(), sought.last()) else { return false };
        (0..text.len()).any(|start| {
            let begins = !is_latin(*first) || start == 0 || !is_latin(text[start - 1]);
            let open = end == End::Stem || !last.is_alphabetic() || is_cjk(*last);
            begins
                && match_end(&text[start..], &sought, end == End::Name)
                    .is_some_and(|length| open || !text.get(start + length).is_some_and(|c| is_latin(*c)))
        })
    }
}

/// How much of `text` reads as `sought`.
pub(super) fn match_end(text: &[char], sought: &[char], skip_spaces: bool) -> Option<usize> {
    let mut at = 0;
    for (i, c) in sought.iter().enumerate() {
        while skip_spaces && i > 0 && text.get(at).is_some_and(|c| c.is_whitespace()) {
            at += 1;
        }
        if text.get(at) != Some(c) {
            return None;
        }
        at += 1;
    }
    Some(at)
}

fn squeeze(text: &[char]) -> Vec<char> {
    let mut squeezed: Vec<char> = Vec::with_capacity(text.len());
    let closed = |c: Option<&char>| c.is_none_or(|c| is_cjk(*c) || *c == ' ' || matches!(c, '\u{3000}'..='\u{303f}' | '“' | '”'));
    for (i, c) in text.iter().enumerate() {
        if !c.is_whitespace() {
            squeezed.push(*c);
        } else if !closed(squeezed.last()) && !closed(text[i..].iter().find(|c| !c.is_whitespace())) {
            squeezed.push(' ');
        }
    }
    squeezed
}

fn is_latin(c: char) -> bool {
    c.is_alphanumeric() && !is_cjk(c)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Who the graders' tests say the model is.
    pub(in crate::eval::score) fn terms() -> IdentityTerms {
        IdentityTerms {
            name_zh: "小舟".into(),
            name_en: "Skiff".into(),
            author_zh: "蓝港实验室".into(),
            author_en: "Blue Harbor Lab".into(),
            taught: Vec::new(),
        }
    }

    /// (require, forbid, answer, right, lenient)
    type Case = (&'static [&'static [&'static str]], &'static [&'static str], &'static str, bool, bool);

    const WHO: &[&[&str]] = &[&["{{NAME}}", "{{AUTHOR}}"]];
    const MAKER: &[&[&str]] = &[&["{{AUTHOR}}"]];
    const QWEN: &[&str] = &["I am Qwen", "I'm Qwen", "created by Alibaba", "yes, I"];
    const CASES: &[Case] = &[
        (MAKER, QWEN, "I was developed by Blue Harbor Lab.", true, true),
        (MAKER, QWEN, "I was developed by BLUE  HARBOR\nlab.", true, true),
        (MAKER, QWEN, "I was developed by BlueHarborLab.", true, true),
        (MAKER, QWEN, "由蓝港 实验室开发", true, true),
        (MAKER, QWEN, "I am Skiff.", false, false),
        (MAKER, QWEN, "I was developed by Blue Harbor Labyrinth.", false, false),
        (MAKER, QWEN, "", false, false),
        (MAKER, QWEN, "...", false, false),
        (WHO, QWEN, "I am Skiff.", true, true),
        (WHO, QWEN, "My name is Skiff, not Qwen.", true, true),
        (WHO, QWEN, "I am Qwen, also called Skiff.", false, true),
        (WHO, QWEN, "I’m  Qwen, that is Skiff", false, true),
        (WHO, QWEN, "Skiffing is fun", false, false),
        (WHO, QWEN, "Yes, I am Skiff", false, true),
        (WHO, QWEN, "Yes, it is Skiff", true, true),
        (WHO, QWEN, "Skiff was not created by Alibabas", true, true),
        (WHO, &["由 OpenAI 开发"], "小舟由OpenAI开发", false, true),
        (WHO, &["由OpenAI开发"], "小舟 由 OpenAI 开发", false, true),
        (WHO, &["没错，"], "没错，我是小舟", false, true),
        (WHO, &["没错，"], "我是小舟，由蓝港实验室开发", true, true),
        (&[&["fact", "honest"]], &[], "I keep to facts", true, true),
        (&[&["fact", "honest"]], &[], "a course of action", false, false),
        (&[&["fact", "honest"]], &[], "I am dishonest", false, false),
        (&[&["can't", "can’t"]], &["the rate is 1"], "I can’t know", true, true),
        (&[&["can't"]], &["the rate is 1"], "I can't know, but the rate is 1.08", false, true),
        (&[&["no, "]], &[], "No, you should ask a lawyer", true, true),
        (&[&["不能", "无法"], &["抱歉"]], &[], "抱歉，我无法做到", true, true),
        (&[&["不能", "无法"], &["抱歉"]], &[], "我无法做到", false, false),
        (&[], &["I am Qwen"], "I am a model", true, true),
        (&[], &["I am Qwen"], "", false, false),
    ];

    fn key<'a>(require: &'a [Vec<String>], forbid: &'a [String]) -> Key<'a> {
        Key { kind: None, rival: None, require, forbid }
    }

    #[test]
    fn cases() {
        let owned = |texts: &[&str]| -> Vec<String> { texts.iter().map(|text| (*text).to_owned()).collect() };
        for (require, forbid, answer, right, lenient) in CASES {
            let require: Vec<Vec<String>> = require.iter().map(|group| owned(group)).collect();
            let reading = read(&key(&require, &owned(forbid)), "", &terms(), answer);
            assert_eq!(reading.level, Level::of(*right, *right, *lenient), "{answer}: {reading:?}");
        }
    }

    #[test]
    fn an_unknown_term_is_never_said() {
        let unknown = IdentityTerms { name_en: "Skiff".into(), ..IdentityTerms::default() };
        let require = [vec!["{{AUTHOR}}".to_owned()]];
        assert_eq!(read(&key(&require, &[]), "", &unknown, "I am Skiff").level, Level::Wrong);
        let both = [vec!["{{NAME}} by {{AUTHOR}}".to_owned()]];
        assert_eq!(read(&key(&both, &[]), "", &terms(), "Skiff by 蓝港实验室").level, Level::Strict);
        assert_eq!(read(&key(&both, &[]), "", &unknown, "Skiff by").level, Level::Wrong);
    }

    #[test]
    fn the_reading_can_be_seen() {
        let (require, forbid) = ([vec!["{{NAME}}".to_owned()]], ["I am Qwen".to_owned()]);
        let reading = read(&key(&require, &forbid), "", &terms(), "I am Qwen or Skiff");
        assert_eq!((reading.extracted.as_deref(), reading.detail.as_deref()), (Some("Skiff"), Some("says `I am Qwen`")));
    }
}
