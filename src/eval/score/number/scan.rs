//! Numbers found in a text, with their exact values.

use crate::eval::score::words::{compose, is_cjk};

/// A number in a text, by character positions.
#[derive(Debug, Clone, Copy)]
pub(super) struct Number {
    pub(super) start: usize,
    pub(super) end: usize,
    /// None for a time, a range, and what is too long to be an answer.
    pub(super) value: Option<Value>,
}

/// An exact fraction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Value {
    pub(super) top: i128,
    pub(super) bottom: i128,
    pub(super) percent: bool,
}

impl Value {
    pub(super) fn equals(self, key: Self) -> bool {
        // 25% may be meant where 25 or 0.25 is the key, and the other way round.
        self.is_times(1, key)
            || (self.percent && !key.percent && self.is_times(100, key))
            || (!self.percent && key.percent && key.is_times(100, self))
    }

    fn is_times(self, factor: i128, other: Self) -> bool {
        let left = self.top.checked_mul(other.bottom);
        let right = other.top.checked_mul(self.bottom).and_then(|product| product.checked_mul(factor));
        left.is_some() && left == right
    }
}

/// A text as numbers are looked for in it.
pub(super) fn prepare(text: &str) -> Vec<char> {
    let mut spaced = String::new();
    for c in text.chars() {
        // One half after a digit is a mixed number; composed alone it would run into the digit.
        if matches!(c, '\u{bc}'..='\u{be}' | '\u{2150}'..='\u{215e}') {
            spaced.push(' ');
        }
        spaced.push(c);
    }
    if spaced.contains('\\') {
        // Inline mathematics is no aside, and LaTeX groups digits its own way: \(9\), 1{,}234.
        for (latex, plain) in [("\\(", " "), ("\\)", " "), ("\\[", " "), ("\\]", " "), ("\\$", "$"), ("\\%", "%"), ("{,}", ",")] {
            spaced = spaced.replace(latex, plain);
        }
    }
    if spaced.contains("frac{") {
        spaced = spaced.replace("\\dfrac{", " ").replace("\\tfrac{", " ").replace("\\frac{", " ").replace("}{", "/");
    }
    compose(&spaced)
        .to_lowercase()
        .chars()
        .map(|c| {
            if c == '\u{2044}' {
                '/'
            } else if c == '\u{2212}' {
                '-'
            } else {
                c
            }
        })
        .collect()
}

/// The numbers of a text from left to right. Digits inside a word (H2O, x1) are none.
pub(super) fn scan(chars: &[char]) -> Vec<Number> {
    let mut numbers = Vec::new();
    let mut i = 0;
    while i < chars.len() {
        let in_word = i > 0 && chars[i - 1].is_alphanumeric() && !is_cjk(chars[i - 1]);
        if is_digit(chars, i) && in_word {
            i += 1;
        } else if is_digit(chars, i) || (chars[i] == '.' && is_digit(chars, i + 1) && !in_word) {
            let number = number_at(chars, i);
            i = number.end;
            numbers.push(number);
        } else {
            i += 1;
        }
    }
    numbers
}

fn number_at(chars: &[char], from: usize) -> Number {
    let signed = from > 0 && chars[from - 1] == '-' && (from < 2 || !(chars[from - 2].is_alphanumeric() || chars[from - 2] == ')'));
    let start = from - usize::from(signed);
    let (mut value, mut end) = decimal(chars, from);
    if chars.get(end) == Some(&'/') && is_digit(chars, end + 1) {
        let (bottom, after) = decimal(chars, end + 1);
        value = divide(value, bottom);
        end = after;
    } else if let Some((fraction, after)) = fraction_after(chars, end) {
        value = add(value, fraction);
        end = after;
    }
    let joined = |i: usize| {
        let exponent = chars.get(i) == Some(&'e')
            && (is_digit(chars, i + 1) || (matches!(chars.get(i + 1), Some('-' | '+')) && is_digit(chars, i + 2)));
        exponent || (matches!(chars.get(i), Some(':' | '^' | '~' | '-' | '–' | '/' | '.')) && is_digit(chars, i + 1))
    };
    while joined(end) {
        value = None;
        end += 1;
        while end < chars.len() && (chars[end].is_ascii_digit() || ((chars[end] == '-' || chars[end] == '+') && chars[end - 1] == 'e')) {
            end += 1;
        }
    }
    if let Some((factor, after)) = scale_at(chars, end) {
        value = value.and_then(|(top, bottom)| Some((top.checked_mul(factor)?, bottom)));
        end = after;
    }
    if signed {
        value = value.map(|(top, bottom)| (-top, bottom));
    }
    let rest: String = chars[end..chars.len().min(end + 9)].iter().collect();
    let rest = rest.trim_start();
    let before: String = chars[start.saturating_sub(3)..start].iter().collect();
    let percent = rest.starts_with('%') || rest.starts_with("percent") || rest.starts_with("per cent") || before == "百分之";
    Number { start, end, value: value.map(|(top, bottom)| Value { top, bottom, percent }) }
}

type Fraction = Option<(i128, i128)>;

/// Digits with thousands separators and decimals; None when there are too many to be an answer.
fn decimal(chars: &[char], from: usize) -> (Fraction, usize) {
    let mut value = Some((0_i128, 1_i128));
    let push = |value: Fraction, c: char, decimals: bool| {
        let digit = i128::from(c.to_digit(10)?);
        let (top, bottom) = value?;
        let top = top.checked_mul(10)?.checked_add(digit)?;
        Some((top, if decimals { bottom.checked_mul(10)? } else { bottom }))
    };
    let mut i = from;
    while is_digit(chars, i) {
        value = push(value, chars[i], false);
        i += 1;
    }
    if (1..=3).contains(&(i - from)) {
        while chars.get(i) == Some(&',') && (1..=3).all(|k| is_digit(chars, i + k)) && !is_digit(chars, i + 4) {
            value = chars[i + 1..i + 4].iter().fold(value, |value, c| push(value, *c, false));
            i += 4;
        }
    }
    if chars.get(i) == Some(&'.') && is_digit(chars, i + 1) {
        i += 1;
        while is_digit(chars, i) {
            value = push(value, chars[i], true);
            i += 1;
        }
    }
    (value, i)
}

/// The fraction of a mixed number: " 1/2" after 1.
fn fraction_after(chars: &[char], end: usize) -> Option<(Fraction, usize)> {
    if chars.get(end) != Some(&' ') || !is_digit(chars, end + 1) {
        return None;
    }
    let (top, slash) = decimal(chars, end + 1);
    if chars.get(slash) != Some(&'/') || !is_digit(chars, slash + 1) {
        return None;
    }
    let (bottom, after) = decimal(chars, slash + 1);
    (top?.0 < bottom?.0).then(|| (divide(top, bottom), after))
}

/// 万 and "million" multiply the number they follow.
fn scale_at(chars: &[char], end: usize) -> Option<(i128, usize)> {
    const SCALES: [(&str, i128); 8] = [
        ("百", 100),
        ("千", 1000),
        ("万", 10_000),
        ("亿", 100_000_000),
        ("hundred", 100),
        ("thousand", 1000),
        ("million", 1_000_000),
        ("billion", 1_000_000_000),
    ];
    let skip = usize::from(chars.get(end) == Some(&' '));
    SCALES.iter().find_map(|(name, factor)| {
        let after = end + skip + name.chars().count();
        let named = chars.get(end + skip..after).is_some_and(|found| found.iter().copied().eq(name.chars()));
        let whole = chars.get(after).is_none_or(|c| !c.is_alphanumeric() || is_cjk(*c));
        // 百分点 and 千克 are units, not factors.
        let unit = chars.get(after).is_some_and(|c| "分克米".contains(*c)) && !name.is_ascii();
        (named && whole && !unit).then_some((*factor, after))
    })
}

fn divide(top: Fraction, bottom: Fraction) -> Fraction {
    let ((a, b), (c, d)) = (top?, bottom?);
    if c == 0 { None } else { Some((a.checked_mul(d)?, b.checked_mul(c)?)) }
}

fn add(left: Fraction, right: Fraction) -> Fraction {
    let ((a, b), (c, d)) = (left?, right?);
    Some((a.checked_mul(d)?.checked_add(c.checked_mul(b)?)?, b.checked_mul(d)?))
}

fn is_digit(chars: &[char], i: usize) -> bool {
    chars.get(i).is_some_and(char::is_ascii_digit)
}
