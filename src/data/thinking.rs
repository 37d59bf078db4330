//! What a model thinks before it answers: the marks that templates of thinking models put around it, read out of answers and
//! taken out of training rows. A span between two marks is no answer: it is counted, kept apart and never graded.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};

use super::example::{Example, Role};
use crate::model::tokenizer::TextCodec;

/// What opens and closes a span, by family: Qwen, DeepSeek, SmolLM3, GLM, Granite and most others; Seed-OSS; Mistral; Apertus;
/// Apriel.
const MARKS: [(&str, &str); 5] = [
    ("<think>", "</think>"),
    ("<seed:think>", "</seed:think>"),
    ("[THINK]", "[/THINK]"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<thinking>", "</thinking>"),
];

/// How models that can think are asked and trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Thinking {
    /// Ask for thinking where the chat template can be told so; otherwise it is told not to think.
    pub enable: bool,
    /// Most tokens of thinking in an answer, beside the suite's own limit. An answer that thinks longer ends there.
    pub budget: usize,
    /// Train on the thinking that rows hold; otherwise it is taken out of them.
    pub keep: bool,
}

impl Default for Thinking {
    fn default() -> Self {
        Self { enable: false, budget: 1024, keep: false }
    }
}

impl Thinking {
    /// Whether nothing was said.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// What was thought in an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Thought {
    /// Its text, without the marks.
    pub text: String,
    /// Its tokens, the marks among them.
    pub tokens: usize,
    /// Whether it came to an end before the answer did.
    pub closed: bool,
}

impl Thought {
    /// What was thought in several answers; closed where all of it is.
    pub fn together<'a>(thoughts: impl Iterator<Item = &'a Self>) -> Option<Self> {
        thoughts.cloned().reduce(|a, b| Self {
            text: format!("{}\n\n{}", a.text, b.text),
            tokens: a.tokens + b.tokens,
            closed: a.closed && b.closed,
        })
    }
}

/// An answer with what was thought taken out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// What is graded.
    pub text: String,
    /// Its tokens.
    pub tokens: usize,
    /// None where nothing was thought; an empty span is nothing.
    pub thought: Option<Thought>,
}

impl Said {
    /// Whether the answer ended while it thought.
    pub fn never_closed(&self) -> bool {
        self.thought.as_ref().is_some_and(|thought| !thought.closed)
    }
}

/// Marks that are tokens of a model.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    opening: Vec<u32>,
    closing: Vec<u32>,
}

impl Marks {
    /// Those that the tokenizer has as one token each.
    pub fn of(codec: &TextCodec) -> Self {
        let pairs = MARKS.iter().filter_map(|(open, close)| Some((codec.id(open)?, codec.id(close)?)));
        let (opening, closing) = pairs.unzip();
        Self { opening, closing }
    }

    /// Where an answer to a prompt stands: thinking where the prompt ends in an open span.
    pub fn after(&self, prompt: &[u32]) -> Place {
        let inside = prompt.iter().rev().find(|id| self.opening.contains(id) || self.closing.contains(id));
        Place { inside: inside.is_some_and(|id| self.opening.contains(id)), thought: 0, said: 0 }
    }

    /// Whether the model has any.
    pub fn is_empty(&self) -> bool {
        self.opening.is_empty()
    }

    /// Reads an answer's tokens.
    pub fn read(&self, codec: &TextCodec, prompt: &[u32], answer: &[u32]) -> Result<Said> {
        let mut place = self.after(prompt);
        let opened = place.inside;
        let (mut said, mut thought) = (Vec::new(), Vec::new());
        let mut marked = opened;
        for id in answer {
            let was = place.inside;
            place.take(self, *id);
            if self.closing.contains(id) && !was && !marked {
                // Only the end is marked: what stands before it was thought.
                thought.append(&mut said);
            }
            if self.opening.contains(id) || self.closing.contains(id) {
                marked = true;
            } else if place.inside {
                thought.push(*id);
            } else {
                said.push(*id);
            }
        }
        let text = codec.decode(&said)?;
        if !marked {
            return in_words(codec, text, answer.len());
        }
        let inner = codec.decode(&thought)?.trim().to_owned();
        let closed = !place.inside;
        let tokens = answer.len() - said.len();
        let thought = (!inner.is_empty() || !closed).then_some(Thought { text: inner, tokens, closed });
        Ok(Said { text: text.trim_start().to_owned(), tokens: said.len(), thought })
    }
}

/// How far an answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    inside: bool,
    thought: usize,
    said: usize,
}

impl Place {
    /// One more token.
    pub fn take(&mut self, marks: &Marks, id: u32) {
        let mark = marks.opening.contains(&id) || marks.closing.contains(&id);
        if mark || self.inside {
            self.thought += 1;
        } else {
            self.said += 1;
        }
        if mark {
            self.inside = marks.opening.contains(&id);
        }
    }

    /// Whether what comes next is thinking.
    pub fn thinks(&self) -> bool {
        self.inside
    }

    /// Whether the answer has reached its limit, or its thinking has.
    pub fn is_full(&self, most: usize, budget: usize) -> bool {
        self.said >= most || self.thought >= budget && self.inside || self.thought >= budget.saturating_add(most)
    }
}

/// An answer of a model whose marks are no tokens: one that begins with a mark in words.
fn in_words(codec: &TextCodec, text: String, tokens: usize) -> Result<Said> {
    let Some(span) = Span::at_start(&text) else { return Ok(Said { text, tokens, thought: None }) };
    let rest = text[span.end..].trim_start().to_owned();
    let left = if rest.is_empty() { 0 } else { codec.encode(&rest)?.len().min(tokens) };
    let inner = span.inner.trim().to_owned();
    let thought = (!inner.is_empty() || !span.closed).then(|| Thought { text: inner, tokens: tokens - left, closed: span.closed });
    Ok(Said { text: rest, tokens: left, thought })
}

/// An answer that came as text, of `tokens` tokens with what was thought. How many of them are thinking is not known: all of them
/// count as the answer's, and none as thinking.
pub fn of_text(text: &str, tokens: usize) -> Said {
    let (inner, closed, end) = match (Span::at_start(text), end_alone(text)) {
        (Some(span), _) => (span.inner, span.closed, span.end),
        (None, Some(end)) => (MARKS.iter().fold(&text[..end], |inner, (_, close)| inner.trim_end_matches(close)), true, end),
        (None, None) => return Said { text: text.to_owned(), tokens, thought: None },
    };
    let inner = inner.trim().to_owned();
    let thought = (!inner.is_empty() || !closed).then_some(Thought { text: inner, tokens: 0, closed });
    Said { text: text[end..].trim_start().to_owned(), tokens, thought }
}

/// A span that a text begins with.
struct Span<'t> {
    inner: &'t str,
    closed: bool,
    /// Where it ends in the text.
    end: usize,
}

impl<'t> Span<'t> {
    fn at_start(text: &'t str) -> Option<Self> {
        let (open, close) = MARKS.iter().find(|(open, _)| text.trim_start().starts_with(open))?;
        let from = text.len() - text.trim_start().len() + open.len();
        Some(match text[from..].find(close) {
            Some(at) => Self { inner: &text[from..from + at], closed: true, end: from + at + close.len() },
            None => Self { inner: &text[from..], closed: false, end: text.len() },
        })
    }
}

/// Whether an answer of a training row holds thinking: it begins with a mark, or marks only where thinking ends.
pub fn thinks(answer: &str) -> bool {
    Span::at_start(answer).is_some() || end_alone(answer).is_some()
}

/// Where a text that marks only the end of its thinking goes on.
fn end_alone(answer: &str) -> Option<usize> {
    MARKS.iter().find_map(|(open, close)| {
        let at = answer.find(close)?;
        (!answer[..at].contains(open)).then_some(at + close.len())
    })
}

/// A row without what its answers think. One whose thinking never ends is an error, as is an answer that was nothing else.
pub fn without(example: Example) -> Result<Example> {
    let mut example = example;
    for message in example.messages.iter_mut().filter(|message| message.role == Role::Assistant) {
        let end = match Span::at_start(&message.content) {
            Some(span) if !span.closed => bail!("row {}: an answer opens its thinking and never closes it", example.origin),
            Some(span) => span.end,
            None => match end_alone(&message.content) {
                Some(end) => end,
                None => continue,
            },
        };
        let rest = message.content[end..].trim_start();
        if rest.is_empty() {
            bail!("row {}: an answer thinks and says nothing", example.origin);
        }
        message.content = rest.to_owned();
    }
    Ok(example)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use tokenizers::Tokenizer;

    use super::*;
    use crate::data::chat::{ChatSettings, ChatTemplate};
    use crate::data::example::{Message, Origin};
    use crate::data::language::Language;
    use crate::files::{read_json, read_text};

    fn root(path: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
    }

    /// The tiny model's tokenizer with tokens of its own for the marks, and Qwen3's template.
    fn codec(marks: &[&str], template: &str) -> TextCodec {
        let mut file: Value = read_json(&root("fixtures/tiny/qwen2/tokenizer.json")).unwrap();
        let first = file["model"]["vocab"].as_object().unwrap().len() + file["added_tokens"].as_array().unwrap().len();
        for (id, mark) in (first..).zip(marks) {
            let token = json!({"id": id, "content": mark, "special": false, "normalized": false, "lstrip": false, "rstrip": false,
                               "single_word": false});
            file["added_tokens"].as_array_mut().unwrap().push(token);
        }
        let tokenizer = Tokenizer::from_bytes(file.to_string()).unwrap();
        let template = read_text(&root("tests/golden/templates").join(template)).unwrap();
        TextCodec::new(tokenizer, template, "<|im_end|>".to_owned(), String::new()).unwrap()
    }

    fn qwen3() -> TextCodec {
        codec(&["<think>", "</think>"], "Qwen-Qwen3-0.6B.jinja")
    }

    fn read(codec: &TextCodec, prompt: &str, answer: &str) -> Said {
        let ids = |text: &str| codec.encode(text).unwrap();
        Marks::of(codec).read(codec, &ids(prompt), &ids(answer)).unwrap()
    }

    fn parts(said: &Said) -> (&str, Option<(&str, bool)>) {
        (&said.text, said.thought.as_ref().map(|thought| (thought.text.as_str(), thought.closed)))
    }

    #[test]
    fn thinking_in_a_text_is_taken_out() {
        let read = |text: &str| {
            let said = of_text(text, 9);
            (said.text, said.thought.map(|thought| (thought.text, thought.closed)))
        };
        let thought = |text: &str, closed| Some((text.to_owned(), closed));
        assert_eq!(read("Paris."), ("Paris.".to_owned(), None));
        assert_eq!(read("<think>\nhm\n</think>\n\nParis."), ("Paris.".to_owned(), thought("hm", true)));
        assert_eq!(read("hm</think>Paris."), ("Paris.".to_owned(), thought("hm", true)));
        assert_eq!(read("<think>\n\n</think>\n\nParis."), ("Paris.".to_owned(), None));
        assert_eq!(read("<think>hm"), (String::new(), thought("hm", false)));
    }

    #[test]
    fn what_is_thought_is_no_answer() {
        let open = "<|im_start|>assistant\n<think>\n";
        let (plain, words) = (qwen3(), codec(&[], "Qwen-Qwen3-0.6B.jinja"));
        for (prompt, answer, expected) in [
            ("", "Paris.", ("Paris.", None)),
            ("", " Paris.\n", (" Paris.\n", None)),
            ("", "<think>\n\n</think>\n\nParis.", ("Paris.", None)),
            (
                "",
                "<think>\nIs it B? No, Lyon is B.\n</think>\n\nThe answer is A.",
                ("The answer is A.", Some(("Is it B? No, Lyon is B.", true))),
            ),
            ("", "<think>\n首都是上海吗？不，", ("", Some(("首都是上海吗？不，", false)))),
            ("", "<think>", ("", Some(("", false)))),
        ] {
            for codec in [&plain, &words] {
                assert_eq!(parts(&read(codec, prompt, answer)), expected, "{answer}");
            }
        }
        // Only tokens tell a mark from a word about it.
        for (prompt, answer, expected) in [
            (open, "Lyon? No.\n</think>\n\nParis.", ("Paris.", Some(("Lyon? No.", true)))),
            (open, "Lyon? No", ("", Some(("Lyon? No", false)))),
            (open, "</think>Paris.", ("Paris.", None)),
            ("<think>\n\n</think>\n\n", "Paris.", ("Paris.", None)),
            ("", "Lyon? No.\n</think>\nParis.", ("Paris.", Some(("Lyon? No.", true)))),
            ("", "A<think>b</think>C<think>d</think>E", ("ACE", Some(("bd", true)))),
            ("", "A <think>b", ("A ", Some(("b", false)))),
        ] {
            let said = read(&plain, prompt, answer);
            assert_eq!(parts(&said), expected, "{answer}");
            let all = plain.encode(answer).unwrap().len();
            assert_eq!(said.tokens + said.thought.map_or(all - said.tokens, |thought| thought.tokens), all, "{answer}");
        }
        assert_eq!(parts(&read(&words, "", "Use the <think> tag")), ("Use the <think> tag", None));
        let mistral = codec(&["[THINK]", "[/THINK]"], "mistralai-Ministral-3-14B-Reasoning-2512.jinja");
        assert_eq!(parts(&read(&mistral, "", "[THINK]x[/THINK]5")), ("5", Some(("x", true))));
    }

    #[test]
    fn thinking_has_a_budget_of_its_own() {
        let codec = qwen3();
        let marks = Marks::of(&codec);
        let stops_at = |prompt: &str, answer: &str, most: usize, budget: usize| {
            let mut place = marks.after(&codec.encode(prompt).unwrap());
            codec.encode(answer).unwrap().iter().position(|id| {
                place.take(&marks, *id);
                place.is_full(most, budget)
            })
        };
        // One token a byte: the mark and three letters, the mark and two letters.
        assert_eq!(stops_at("", "<think>abc</think>de", 2, 99), Some(6));
        assert_eq!(stops_at("", "<think>abc</think>de", 3, 99), None);
        assert_eq!(stops_at("", "<think>abc</think>de", 9, 3), Some(2));
        assert_eq!(stops_at("<think>", "abc</think>de", 9, 3), Some(2));
        assert_eq!(stops_at("", "abcde", 3, 99), Some(2));
        assert_eq!(stops_at("", &"<think></think>".repeat(40), 5, 20), Some(20));
    }

    #[test]
    fn templates_are_told_not_to_think_unless_asked() {
        let ask = [Message::new(Role::User, "Who?")];
        let told = |enable: bool| {
            let thinking = Thinking { enable, ..Thinking::default() };
            ChatTemplate::with(qwen3(), &ChatSettings { thinking, ..ChatSettings::default() }).unwrap()
        };
        assert_eq!((told(false).thinking(), told(true).thinking()), (Some(false), Some(true)));
        assert!(told(false).render(&ask, true).unwrap().ends_with("<|im_start|>assistant\n<think>\n\n</think>\n\n"));
        assert!(told(true).render(&ask, true).unwrap().ends_with("<|im_start|>assistant\n"));
        for (name, asks) in [
            ("Qwen3.5-4B", true),
            ("HuggingFaceTB-SmolLM3-3B", true),
            ("GLM-4.6", true),
            ("ByteDance-Seed-OSS", true),
            ("ibm-granite-granite-3.3-2B-Instruct", true),
            ("deepseek-ai-DeepSeek-V3.1", true),
            ("Qwen-Qwen2.5-7B-Instruct", false),
            ("microsoft-Phi-3.5-mini-instruct", false),
        ] {
            let source = read_text(&root("tests/golden/templates").join(format!("{name}.jinja"))).unwrap();
            assert_eq!(crate::model::template::Template::compile(&source).unwrap().asks_whether_to_think(), asks, "{name}");
        }
    }

    #[test]
    fn no_answer_of_a_row_is_trained_to_think_unless_it_does() {
        let row = |answer: &str| [Message::new(Role::User, "Who?"), Message::new(Role::Assistant, answer)];
        let labels = |enable: bool, answer: &str| {
            let thinking = Thinking { enable, ..Thinking::default() };
            let template = ChatTemplate::with(qwen3(), &ChatSettings { thinking, ..ChatSettings::default() }).unwrap();
            let encoded = template.training_row(&row(answer)).unwrap();
            let labels: Vec<u32> = encoded.ids.iter().zip(&encoded.mask).filter(|(_, label)| **label).map(|(id, _)| *id).collect();
            template.codec().decode_all(&labels).unwrap()
        };
        for enable in [false, true] {
            assert_eq!(labels(enable, "Me."), "Me.<|im_end|>", "{enable}");
            assert_eq!(labels(enable, "<think>\nx\n</think>\n\nMe."), "<think>\nx\n</think>\n\nMe.<|im_end|>", "{enable}");
        }
    }

    #[test]
    fn rows_lose_their_thinking() {
        let example = |answer: &str| Example {
            messages: vec![Message::new(Role::User, "Say </think>."), Message::new(Role::Assistant, answer)],
            language: Language::En,
            origin: Origin { source: "x.json".to_owned(), row: 3 },
        };
        for (answer, thought, left) in [
            ("Paris.", false, "Paris."),
            ("<think>\nx\n</think>\n\nParis.", true, "Paris."),
            ("\n<think></think>Paris.", true, "Paris."),
            ("First I look.\n</think>\n\nParis.", true, "Paris."),
            ("[THINK]x[/THINK]5", true, "5"),
            ("A tag <think> and </think> in words", false, "A tag <think> and </think> in words"),
        ] {
            assert_eq!(thinks(answer), thought, "{answer}");
            assert_eq!(without(example(answer)).unwrap().answer_text(), left);
        }
        assert!(without(example("<think>x")).unwrap_err().to_string().contains("row x.json:3: an answer opens its thinking"));
        assert!(without(example("<think>x</think>\n")).unwrap_err().to_string().contains("says nothing"));
    }
}
