//! Texts as they are compared: normalised, in tokens, in hashed runs of tokens, by the functions they name.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;

use crate::data::language::is_cjk;

/// Tokens of a piece.
const PIECE: usize = 3;

/// The text in lower case without white space and punctuation.
///
/// Signs that make a different question stay: operators and decimal points between two digits ("5 - 3", "3.14"),
/// and the signs of "C++" and "C#".
pub fn normalise(text: &str) -> String {
    let characters: Vec<char> = text.chars().flat_map(char::to_lowercase).filter(|c| !c.is_whitespace()).collect();
    let at = |index: Option<usize>| index.and_then(|index| characters.get(index)).copied();
    let keep = |index: usize, c: char| {
        let (before, after) = (at(index.checked_sub(1)), at(Some(index + 1)));
        c.is_alphanumeric()
            || c == '+'
            || (c == '#' && before.is_some_and(char::is_alphanumeric))
            || ("-*/=<>^%.×÷".contains(c) && before.is_some_and(char::is_numeric) && after.is_some_and(char::is_numeric))
    };
    characters.iter().enumerate().filter(|&(index, &c)| keep(index, c)).map(|(_, &c)| c).collect()
}

pub(super) struct Token {
    pub(super) word: String,
    /// Its bytes in the text it came from.
    pub(super) range: Range<usize>,
}

/// Characters of scripts without spaces one by one, all other letters and digits as words.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens: Vec<Token> = Vec::new();
    let mut open = false;
    for (start, c) in text.char_indices() {
        let end = start + c.len_utf8();
        let alone = is_cjk(c);
        if !alone && !c.is_alphanumeric() {
            open = false;
            continue;
        }
        match tokens.last_mut() {
            Some(word) if open && !alone => {
                word.word.extend(c.to_lowercase());
                word.range.end = end;
            }
            _ => tokens.push(Token { word: c.to_lowercase().collect(), range: start..end }),
        }
        open = !alone;
    }
    tokens
}

pub(super) fn pieces(text: &str) -> impl Iterator<Item = u64> {
    let tokens = tokens(text);
    hashed_ngrams(&tokens, PIECE).map(|(hash, _)| hash).collect::<Vec<_>>().into_iter()
}

/// Names of functions that a text defines in Python, or calls inside backticks or a sentence: `name(`.
pub(super) fn functions(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('(').filter_map(|(at, _)| {
        let before = &text[..at];
        let start = before
            .rfind(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let name = &before[start..];
        let member = before[..start].ends_with('.');
        (!name.is_empty() && !member && name.contains(|c: char| c.is_ascii_alphabetic())).then_some(name)
    })
}

pub(super) fn hashed_ngrams(tokens: &[Token], length: usize) -> impl Iterator<Item = (u64, Range<usize>)> {
    tokens.windows(length).map(move |window| {
        let mut hasher = DefaultHasher::new();
        for token in window {
            token.word.hash(&mut hasher);
        }
        (hasher.finish(), window[0].range.start..window[length - 1].range.end)
    })
}
