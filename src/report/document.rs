//! A report as typed blocks, before any medium. Sections build them and `render` writes them down, so no renderer reads
//! another's output. Text says who wrote it: our own words stand as they are, and other people's are escaped by each medium.

use super::figures::Figure;
use super::table::Table;
use crate::shown::visible;

/// A run of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Span {
    /// Our own words and numbers.
    Own(String),
    /// Somebody else's words, on one line.
    Foreign(String),
    /// A name, on one line.
    Code(String),
    /// Bold.
    Strong(Text),
    /// Italic.
    Emphasis(&'static str),
    /// A file beside the report, maybe with an anchor in it.
    Link(&'static str, &'static str),
}

/// A line or paragraph of spans.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<Span>);

/// What a document is made of.
#[derive(Debug, Clone)]
pub(super) enum Block {
    /// The document's name.
    Title(Text),
    /// Of a section.
    Heading(String),
    /// Running text.
    Paragraph(Text),
    /// Unordered.
    List(Vec<Text>),
    /// Rows under a header.
    Table(Table),
    /// Blocks behind a line to click on.
    Folded(String, Vec<Block>),
    /// Text exactly as it is, with its language's name.
    Verbatim(&'static str, String),
    /// A figure with how to read it.
    Figure(Figure),
    /// A picture beside the document: what it shows, and its file.
    Picture(&'static str, &'static str),
    /// A box that stands out: GitHub's name of its kind, and what it says.
    Alert(&'static str, Text),
    /// An invisible mark by which a program finds the document again.
    Mark(&'static str),
    /// A line between blocks.
    Rule,
}

/// A text with a part in place of each `{}`. The compiler counts them.
macro_rules! text {
    ($template:literal $(, $part:expr)* $(,)?) => {{
        const _: () = assert!($crate::report::document::holes($template) == 0 $(+ { let _ = stringify!($part); 1 })*, "as many parts as places");
        $crate::report::document::Text::filled($template, [$($crate::report::document::Text::from($part)),*])
    }};
}
pub(super) use text;

/// How many parts a template takes. One with a named place does not compile: parts are given in order.
pub(super) const fn holes(template: &str) -> usize {
    let bytes = template.as_bytes();
    let (mut at, mut holes) = (1, 0);
    while at < bytes.len() {
        if bytes[at - 1] == b'{' {
            assert!(bytes[at] == b'}', "a place has no name");
            holes += 1;
        }
        at += 1;
    }
    holes
}

impl Text {
    /// See [`text!`].
    pub(super) fn filled(template: &str, parts: impl IntoIterator<Item = Self>) -> Self {
        let mut words = template.split("{}");
        let mut text = Self::from(words.next().unwrap_or_default());
        for (part, words) in parts.into_iter().zip(words) {
            text.0.extend(part.0);
            text.0.extend(Self::from(words).0);
        }
        text
    }

    /// Texts one after the other.
    pub(super) fn join<T: Into<Self>>(parts: impl IntoIterator<Item = T>, between: &str) -> Self {
        let mut joined = Self::default();
        for (place, part) in parts.into_iter().enumerate() {
            joined.0.extend((place > 0).then(|| Span::Own(between.to_owned())));
            joined.0.extend(part.into().0);
        }
        joined
    }

    /// The letters alone, without any markup.
    pub(super) fn letters(&self) -> String {
        let letters = |span: &Span| match span {
            Span::Own(text) | Span::Foreign(text) | Span::Code(text) => text.clone(),
            Span::Strong(text) => text.letters(),
            Span::Emphasis(text) | Span::Link(text, _) => (*text).to_owned(),
        };
        self.0.iter().map(letters).collect()
    }
}

impl From<Span> for Text {
    fn from(span: Span) -> Self {
        Self(vec![span])
    }
}

impl From<String> for Text {
    fn from(own: String) -> Self {
        if own.is_empty() { Self::default() } else { Span::Own(own).into() }
    }
}

impl From<&str> for Text {
    fn from(own: &str) -> Self {
        own.to_owned().into()
    }
}

impl From<usize> for Text {
    fn from(count: usize) -> Self {
        count.to_string().into()
    }
}

/// A name. What it holds cannot end it.
pub(super) fn code(text: &str) -> Span {
    Span::Code(visible(&text.replace(['\n', '\r'], " ")))
}

/// Somebody else's words.
pub(super) fn foreign(text: &str) -> Span {
    Span::Foreign(visible(&text.replace('\r', "\n")).replace('\n', " "))
}

/// Bold.
pub(super) fn strong(text: impl Into<Text>) -> Span {
    Span::Strong(text.into())
}

/// Bold if it is so.
pub(super) fn strong_if(so: bool, text: impl Into<Text>) -> Text {
    if so { strong(text).into() } else { text.into() }
}

/// `a, b and c`.
pub(super) fn list<T: Into<Text>>(parts: impl IntoIterator<Item = T>) -> Text {
    let mut parts: Vec<Text> = parts.into_iter().map(Into::into).collect();
    match parts.pop() {
        Some(last) if !parts.is_empty() => text!("{} and {}", Text::join(parts, ", "), last),
        last => last.unwrap_or_default(),
    }
}

/// The same, where there are any.
pub(super) fn list_of_some<T: Into<Text>>(parts: impl IntoIterator<Item = T>) -> Option<Text> {
    let mut parts = parts.into_iter().peekable();
    parts.peek()?;
    Some(list(parts))
}

/// A paragraph.
pub(super) fn paragraph(text: impl Into<Text>) -> Block {
    Block::Paragraph(text.into())
}

/// A text of others as it is, but for its control characters; a long one cut.
pub(super) fn quoted(text: &str, letters: usize) -> Block {
    let text = super::text::trimmed(text, letters);
    if text.is_empty() {
        Block::Paragraph(Span::Emphasis("(nothing)").into())
    } else {
        Block::Verbatim("text", visible(&text.replace('\r', "")))
    }
}

/// Whose answer follows, that it is not right, and why if that is known.
pub(super) fn not_right(whose: impl Into<Text>, why: Option<&str>, letters: usize) -> Text {
    let why = why.map(|why| text!(" ({})", code(&super::text::trimmed(why, letters))));
    text!("{}, not right{}:", whose.into(), why.unwrap_or_default())
}

/// A section's heading over its blocks, if there are any.
pub(super) fn under(heading: &str, blocks: Vec<Block>) -> Vec<Block> {
    let heading = (!blocks.is_empty()).then(|| Block::Heading(heading.to_owned()));
    heading.into_iter().chain(blocks).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_take_the_places_of_their_template() {
        let text = text!("{} lost {} on {}.", code("a\nb"), 3, foreign("x\r\u{1b}"));
        let own = |text: &str| Span::Own(text.to_owned());
        let expected =
            [Span::Code("a b".to_owned()), own(" lost "), own("3"), own(" on "), Span::Foreign("x \\u001b".to_owned()), own(".")];
        assert_eq!(text.0, expected);
        assert_eq!(text.letters(), "a b lost 3 on x \\u001b.");
        assert_eq!([holes(""), holes("{"), holes("{}a{}")], [0, 0, 2]);
    }

    #[test]
    fn lists_read_as_english() {
        let list = |parts: &[&str]| super::list(parts.iter().copied()).letters();
        assert_eq!([list(&[]), list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["", "a", "a and b", "a, b and c"]);
    }

    #[test]
    fn a_section_without_blocks_has_no_heading() {
        assert!(under("a", Vec::new()).is_empty());
        assert_eq!(under("a", vec![Block::Rule]).len(), 2);
    }
}
