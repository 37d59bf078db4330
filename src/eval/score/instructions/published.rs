//! Counts for orders that IFEval gives and the shipped suites do not, by the rules of its paper (arXiv 2311.07911).

use super::paragraphs;

/// Parts of a text between marks; an empty one counts only between two marks, where it is a fault: None.
pub(super) fn parts(answer: &str, mark: &str) -> Option<usize> {
    let parts: Vec<&str> = answer.split(mark).map(str::trim).collect();
    let inner = parts.get(1..parts.len().saturating_sub(1)).unwrap_or_default();
    inner.iter().all(|part| !part.is_empty()).then(|| parts.iter().filter(|part| !part.is_empty()).count())
}

pub(super) fn paragraph_fault(answer: &str, of: usize, nth: usize, word: &str) -> Option<String> {
    let found = paragraphs(answer);
    if found != of {
        return Some(format!("{found} paragraphs, asked for exactly {of}"));
    }
    let mut blocks = answer.split("\n\n").map(str::trim).filter(|block| !block.is_empty());
    let first = blocks.nth(nth.saturating_sub(1)).and_then(|block| block.split_whitespace().next()).unwrap_or_default();
    let first = first.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    (first != word.to_lowercase()).then(|| format!("paragraph {nth} begins with `{first}`, not `{word}`"))
}

/// Texts in square brackets, within one line.
pub(super) fn placeholders(answer: &str) -> usize {
    let in_line = |line: &str| line.split('[').skip(1).filter(|rest| rest.contains(']')).count();
    answer.lines().map(in_line).sum()
}

/// Texts between asterisks or pairs of them, within one line. A text that begins or ends with a blank is none: `2 * 3 * 4`.
pub(super) fn highlights(answer: &str) -> usize {
    let in_line = |line: &str| {
        let (mut count, mut rest) = (0, line);
        while let Some(at) = rest.find('*') {
            let marks = rest[at..].chars().take_while(|c| *c == '*').count();
            let inside = &rest[at + marks..];
            let Some(end) = inside.find('*') else { break };
            let text = &inside[..end];
            if !text.is_empty() && text.trim() == text {
                count += 1;
                rest = inside[end..].trim_start_matches('*');
            } else {
                rest = inside;
            }
        }
        count
    };
    answer.lines().map(in_line).sum()
}

/// Places where a word is followed by a number.
pub(super) fn headed(answer: &str, word: &str) -> usize {
    answer.split(word).skip(1).filter(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_digit())).count()
}

/// Words with a letter and no small one.
pub(super) fn capitals(answer: &str) -> usize {
    let is_capital = |word: &&str| word.chars().any(char::is_uppercase) && !word.chars().any(char::is_lowercase);
    answer.split(|c: char| !c.is_alphanumeric() && c != '\'' && c != '-').filter(is_capital).count()
}
