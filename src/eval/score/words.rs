//! Text as graders compare it: folded words, where one Chinese character is one word.
//!
//! Folding is NFKC, lower case and no accents on letters (Linné, H₂O and ８ become linne, h2o and 8). Because every Chinese
//! character is a word of its own, "whole words in a row" is also right for Chinese, where it means "substring". A number
//! is one word with its sign, thousands and decimals, so that 8 is found neither in 18 nor in 8.5 nor in -8.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::LazyLock;

use unicode_normalization::UnicodeNormalization;

pub(super) use crate::data::language::is_cjk;

/// One word, and what separates it from the word before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) gap: Gap,
}

/// What stands before a word; a later kind outweighs an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// A hyphen inside a word.
    Hyphen,
    /// Spaces, quotes, interpuncts.
    Space,
    /// Brackets, colons, dashes.
    Clause,
    /// What separates the entries of a list: commas, slashes.
    List,
    /// The end of a sentence or line, or the start of the text.
    Stop,
}

impl Word {
    pub(super) fn is_cjk(&self) -> bool {
        self.text.chars().next().is_some_and(is_cjk)
    }

    fn is_digits(&self) -> bool {
        self.text.chars().all(|c| c.is_ascii_digit() || c == '.' || c == '-')
    }

    pub(super) fn is_article(&self) -> bool {
        matches!(self.text.as_str(), "a" | "an" | "the")
    }

    fn is_scale(&self) -> bool {
        ["hundred", "thousand", "million", "billion", "dozen", "十", "百", "千", "万", "亿"].contains(&self.text.as_str())
    }

    fn is_number_word(&self) -> bool {
        [SMALL.as_slice(), &TENS, &POWERS].iter().any(|words| words.contains(&self.text.as_str()))
            || self.text.chars().all(|c| "〇零一二三四五六七八九十百千万亿两".contains(c))
    }
}

/// Numbers below twenty, in order.
pub(super) const SMALL: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
/// Tens from twenty on, in order.
pub(super) const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const POWERS: [&str; 4] = ["hundred", "thousand", "million", "billion"];

/// Compatibility forms composed, case kept, typographic apostrophes made plain, Traditional Chinese made Simplified.
pub(super) fn compose(text: &str) -> String {
    text.nfkc().map(|c| if matches!(c, '\u{2018}' | '\u{2019}' | '\u{2bc}') { '\'' } else { simplified(c) }).collect()
}

/// The Simplified form of a Chinese character, by the first choice of OpenCC's `TSCharacters.txt` (Apache-2.0).
fn simplified(c: char) -> char {
    static TABLE: LazyLock<HashMap<char, char>> = LazyLock::new(|| {
        let pairs: Vec<char> = include_str!("words/traditional.txt").chars().filter(|c| !c.is_whitespace()).collect();
        pairs.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect()
    });
    if is_cjk(c) { TABLE.get(&c).copied().unwrap_or(c) } else { c }
}

/// The form in which texts are compared.
pub(super) fn fold(text: &str) -> String {
    let bare: String = text.nfkd().filter(|c| !matches!(c, '\u{300}'..='\u{36f}')).collect();
    compose(&bare).to_lowercase()
}

/// What an answer says of its own, folded: without the question where it repeats that, and nothing where it is a piece of it.
pub(super) fn own_words(prompt: &str, answer: &str) -> String {
    let (prompt, answer) = (fold(prompt), fold(answer));
    if prompt.contains(answer.trim()) { String::new() } else { answer.replace(prompt.trim(), " ") }
}

/// The words of a text.
pub(super) fn words(text: &str) -> Vec<Word> {
    let chars: Vec<char> = fold(text).chars().collect();
    let mut words = Vec::new();
    let mut gap = Gap::Stop;
    let mut i = 0;
    while i < chars.len() {
        let start = i;
        let mut word = String::new();
        if is_cjk(chars[i]) {
            word.push(chars[i]);
            i += 1;
        } else if chars[i].is_alphanumeric() {
            if chars[i].is_ascii_digit() {
                (word, i) = number_word(&chars, i);
            }
            while i < chars.len() && chars[i].is_alphanumeric() && !is_cjk(chars[i]) {
                word.push(chars[i]);
                i += 1;
            }
        }
        if i > start {
            words.push(Word { text: word, gap });
            gap = Gap::None;
        } else {
            gap = gap.max(gap_at(&chars, i));
            i += 1;
        }
    }
    words
}

/// The words of something looked for: without the article it may begin with, unless "a" is part of a number (a hundred).
pub(super) fn needle(text: &str) -> Vec<Word> {
    let mut words = words(text);
    if words.len() > 1 && words[0].is_article() && !words[1].is_scale() {
        words.remove(0);
    }
    words
}

/// Where the words of `needle` stand in `hay`, in a row and as whole words.
///
/// Articles inside are ignored. A match does not run over the end of a sentence unless the needle does (J. K. Rowling);
/// a number word is not found inside a longer number (eight in twenty-eight, 二 in 十二); and an answer of one Chinese
/// character must stand alone or after a word such as 是 (鼠, but not in 松鼠).
pub(super) fn mentions(hay: &[Word], needle: &[Word]) -> Vec<Range<usize>> {
    if needle.is_empty() {
        return Vec::new();
    }
    (0..hay.len())
        .filter_map(|start| Some(start..match_end(hay, start, needle)?))
        .filter(|found| !inside_number(hay, found) && !inside_word(hay, found))
        .collect()
}

/// Whether a question asks for what is not: there "carrots are not" is an answer, not a denial.
pub(super) fn asks_for_the_odd_one(prompt: &str) -> bool {
    words(prompt).iter().any(|word| matches!(word.text.as_str(), "not" | "never" | "except" | "不" | "没" | "非"))
}

/// Whether what stands in `found` is denied: "not Paris", "不是巴黎" and, unless the question is for the odd one, "Paris is wrong".
pub(super) fn negated(hay: &[Word], found: &Range<usize>, odd_one: bool) -> bool {
    let first = (0..=found.start).rev().find(|i| hay[*i].gap >= Gap::Clause).unwrap_or(0);
    let before = &hay[first.max(found.start.saturating_sub(6))..found.start];
    let end = (found.end..hay.len()).find(|i| hay[*i].gap >= Gap::Clause).unwrap_or(hay.len());
    let after = &hay[found.end..end.min(found.end + 4)];
    denied_before(before) || (!odd_one && denied_after(after))
}

/// Whether an answer only repeats the question, or most of it: a parrot has not answered.
pub(super) fn parrots(answer: &[Word], prompt: &str) -> bool {
    let prompt = words(prompt);
    2 * answer.len() >= prompt.len() && !mentions(&prompt, answer).is_empty()
}

/// The first sentence or line that says something, and whether it is only the first entry of a list of lines.
pub(super) fn opening(text: &str) -> (String, bool) {
    let text = compose(text);
    let mut lines = text.lines().map(str::trim).filter(|line| line.chars().any(char::is_alphanumeric));
    let Some(mut line) = lines.next().map(str::to_owned) else { return (String::new(), false) };
    let mut next = lines.next();
    // "The answer is:" only announces.
    if line.trim_end_matches(['*', '_', ' ']).ends_with(':') {
        line = format!("{line} {}", next.unwrap_or_default());
        next = lines.next();
    }
    let listed = is_entry(&line) && next.is_some_and(is_entry);
    let chars: Vec<char> = line.chars().collect();
    let end = (0..chars.len()).find(|i| gap_at(&chars, *i) == Gap::Stop && chars[..*i].iter().any(|c| c.is_alphanumeric()));
    (chars[..end.unwrap_or(chars.len())].iter().collect::<String>().trim().to_owned(), listed)
}

fn match_end(hay: &[Word], start: usize, needle: &[Word]) -> Option<usize> {
    let (mut at, mut sought) = (start, 0);
    while sought < needle.len() {
        let word = hay.get(at)?;
        if sought > 0 && word.gap == Gap::Stop && needle[sought].gap != Gap::Stop {
            return None;
        }
        if word.text == needle[sought].text {
            at += 1;
            sought += 1;
        } else if sought > 0 && word.is_article() {
            at += 1;
        } else if sought > 0 && sought + 1 < needle.len() && needle[sought].is_article() {
            sought += 1;
        } else {
            return None;
        }
    }
    Some(at)
}

fn inside_number(hay: &[Word], found: &Range<usize>) -> bool {
    let joined = |i: usize| hay.get(i).is_some_and(|word| word.gap <= Gap::Space);
    let number_at = |i: usize| hay.get(i).is_some_and(Word::is_number_word);
    let (first, last) = (found.start, found.end - 1);
    let before = first > 0
        && joined(first)
        && (number_at(first - 1) || (hay[first - 1].text == "and" && first > 1 && joined(first - 1) && number_at(first - 2)));
    let after = joined(last + 1)
        && (number_at(last + 1) || (["and", "point"].contains(&hay[last + 1].text.as_str()) && joined(last + 2) && number_at(last + 2)));
    (hay[first].is_number_word() && before)
        || (hay[last].is_number_word() && after)
        || (hay[last].is_digits() && joined(last + 1) && hay[last + 1].is_scale())
}

fn inside_word(hay: &[Word], found: &Range<usize>) -> bool {
    if found.len() > 1 || !hay[found.start].is_cjk() {
        return false;
    }
    let neighbour = |at: usize, word: usize, allowed: &str| {
        hay.get(at).is_some_and(|right| {
            let neighbour = &hay[word];
            right.gap == Gap::None && neighbour.is_cjk() && !allowed.contains(&neighbour.text)
        })
    };
    (found.start > 0 && neighbour(found.start, found.start - 1, "是为叫即属作成答有选于到"))
        || neighbour(found.end, found.end, "的了吧呢啊呀")
}

fn denied_before(before: &[Word]) -> bool {
    let latin = &before[before.len().saturating_sub(4)..];
    for (i, word) in latin.iter().enumerate().rev() {
        match word.text.as_str() {
            // "what is not in Asia is Paris" denies something else.
            "but" | "rather" | "is" | "are" | "was" | "were" => break,
            "not" | "never" | "neither" | "nor" | "cannot" | "without" => return true,
            "t" if i > 0 && latin[i - 1].text.ends_with('n') => return true,
            _ => {}
        }
    }
    let text: String = before.iter().map(|word| word.text.as_str()).collect();
    let denials =
        ["不是", "并非", "绝非", "而非", "不叫", "不在", "不等于", "不属于", "不会是", "不可能是", "不算", "不为", "不应选", "不选"];
    denials.iter().filter_map(|denial| text.rfind(denial).map(|at| &text[at + denial.len()..])).any(|rest| !rest.contains(['是', '而']))
}

fn denied_after(after: &[Word]) -> bool {
    let latin: Vec<&str> = after.iter().map(|word| word.text.as_str()).collect();
    let denied = match latin.as_slice() {
        ["is" | "are" | "was" | "were", "not" | "wrong" | "incorrect" | "false", ..] => true,
        [verb, "t", ..] => ["isn", "aren", "wasn", "weren"].contains(verb),
        _ => false,
    };
    let text = latin.concat();
    denied || ["不是", "并不是", "并非", "不对", "是错", "不正确", "不属于"].iter().any(|denial| text.starts_with(denial))
}

/// A line of a list: "- Paris", "2. Lyon".
fn is_entry(line: &str) -> bool {
    let line = line.trim_start_matches(['*', '_']);
    if line.starts_with("- ") || line.starts_with("• ") || line.starts_with(' ') {
        return true;
    }
    let rest = line.trim_start_matches(|c: char| c.is_ascii_digit());
    (1..=2).contains(&(line.len() - rest.len()))
        && rest.starts_with(['.', ')', '、'])
        && rest.chars().nth(1).is_some_and(|c| !c.is_ascii_digit())
}

/// A number as one word, without thousands separators and trailing zeros, and where it ends. A range is one word: 1945 is
/// not the answer in 1939-1945.
fn number_word(chars: &[char], start: usize) -> (String, usize) {
    let (mut word, mut end) = plain_number(chars, start);
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    if matches!(chars.get(end), Some('-' | '–' | '~')) && digit(end + 1) {
        let (last, after) = plain_number(chars, end + 1);
        // A date has a third part, and its year stays a word.
        if !(chars.get(after) == Some(&'-') && digit(after + 1)) {
            word = format!("{word}-{last}");
            end = after;
        }
    }
    (word, end)
}

fn plain_number(chars: &[char], start: usize) -> (String, usize) {
    let digit = |i: usize| chars.get(i).is_some_and(char::is_ascii_digit);
    let signed = start > 0 && chars[start - 1] == '-' && (start < 2 || !chars[start - 2].is_alphanumeric());
    let mut word = String::from(if signed { "-" } else { "" });
    let mut i = start;
    while digit(i) {
        word.push(chars[i]);
        i += 1;
    }
    if i - start <= 3 {
        while chars.get(i) == Some(&',') && (1..=3).all(|k| digit(i + k)) && !digit(i + 4) {
            word.extend(&chars[i + 1..i + 4]);
            i += 4;
        }
    }
    if chars.get(i) == Some(&'.') && digit(i + 1) {
        word.push('.');
        i += 1;
        while digit(i) {
            word.push(chars[i]);
            i += 1;
        }
        word.truncate(word.trim_end_matches('0').trim_end_matches('.').len());
    }
    (word, i)
}

fn gap_at(chars: &[char], i: usize) -> Gap {
    let space = |i: Option<usize>| i.and_then(|i| chars.get(i)).is_none_or(|c| c.is_whitespace());
    match chars[i] {
        '\n' | '!' | '?' | '。' => Gap::Stop,
        '.' if ends_sentence(chars, i) => Gap::Stop,
        ',' | '、' | '/' | ';' | '|' => Gap::List,
        ':' | '(' | ')' | '[' | ']' | '{' | '}' | '=' | '—' | '–' | '→' => Gap::Clause,
        '-' if space(i.checked_sub(1)) && space(Some(i + 1)) => Gap::Clause,
        '-' if !space(i.checked_sub(1)) && !space(Some(i + 1)) => Gap::Hyphen,
        _ => Gap::Space,
    }
}

/// Whether the full stop at `i` ends a sentence; those of "J. K.", "Mt.", "8.5" and "3.12" do not.
fn ends_sentence(chars: &[char], i: usize) -> bool {
    if chars.get(i + 1).is_some_and(|c| c.is_alphanumeric() && !is_cjk(*c)) {
        return false;
    }
    let from = chars[..i].iter().rposition(|c| !c.is_alphabetic() || is_cjk(*c)).map_or(0, |at| at + 1);
    let word: String = chars[from..i].iter().collect::<String>().to_lowercase();
    let initial = word.chars().count() == 1 && chars.len() > i + 1;
    !initial && !["mt", "st", "dr", "mr", "mrs", "ms", "prof", "vs", "inc", "no"].contains(&word.as_str())
}

#[cfg(test)]
mod tests;
