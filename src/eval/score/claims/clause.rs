//! Clauses of an answer.

use crate::eval::score::words::is_cjk;

/// A clause, in lower case and with one space around.
pub(super) struct Clause {
    pub(super) text: String,
    /// Whether it ends in a question mark.
    pub(super) asks: bool,
    /// Whether it begins a sentence.
    pub(super) opens: bool,
}

/// Clauses end at punctuation, and before words that set one statement against another.
pub(super) fn split(composed: &str) -> Vec<Clause> {
    const BEFORE: &[&str] =
        &[" but ", " however ", " and i ", " and i'm ", " and was ", " and am ", " and my ", "而是", "但", "其实", "实际上", " although "];
    let mut text = composed.to_owned();
    for turn in BEFORE {
        text = text.replace(turn, &format!("\u{1}{turn}"));
    }
    let chars: Vec<char> = text.chars().collect();
    let mut clauses = Vec::new();
    let (mut current, mut opens) = (String::new(), true);
    let push = |current: &mut String, asks: bool, opens: bool, clauses: &mut Vec<Clause>| {
        let words: Vec<&str> = current
            .split(|c: char| c.is_whitespace() || "*\"“”「」『』_`#'".contains(c) && c != '\'')
            .filter(|word| !word.is_empty())
            .collect();
        if words.iter().any(|word| word.chars().any(char::is_alphanumeric)) {
            clauses.push(Clause { text: format!(" {} ", words.join(" ")), asks, opens });
        }
        current.clear();
    };
    for (i, c) in chars.iter().enumerate() {
        let next = chars.get(i + 1).copied();
        let inner = next.is_some_and(|c| c.is_alphanumeric() && !is_cjk(c)) && i > 0 && chars[i - 1].is_alphanumeric();
        match c {
            '.' if inner => current.push('.'),
            '.' | '!' | '。' | '\n' | ';' => {
                push(&mut current, false, opens, &mut clauses);
                opens = true;
            }
            '?' => {
                push(&mut current, true, opens, &mut clauses);
                opens = true;
            }
            ',' | '、' | ':' | '(' | ')' | '—' | '–' | '\u{1}' | '，' | '；' | '：' | '（' | '）' => {
                push(&mut current, false, opens, &mut clauses);
                opens = false;
            }
            c => current.push(*c),
        }
    }
    push(&mut current, false, opens, &mut clauses);
    clauses
}
