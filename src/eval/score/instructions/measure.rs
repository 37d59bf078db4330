//! What of an answer an order speaks of: its words, sentences, bullets, language, title, keys and tables.

use std::collections::BTreeMap;

use crate::eval::score::json;
use crate::eval::score::words::is_cjk;
use crate::eval::suite::Language;

/// Lines that are not blank, trimmed.
pub(super) fn lines(answer: &str) -> impl Iterator<Item = &str> {
    answer.lines().map(str::trim).filter(|line| !line.is_empty())
}

pub(super) fn words(answer: &str) -> usize {
    answer.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count()
}

pub(super) fn characters(answer: &str) -> usize {
    let (mut count, mut in_run) = (0, false);
    for c in answer.chars() {
        let latin = c.is_alphanumeric() && !is_cjk(c);
        count += usize::from(is_cjk(c) || latin && !in_run);
        in_run = latin;
    }
    count
}

/// Ends of sentences that have words before them; what follows the last end counts as one more.
pub(super) fn sentences(answer: &str) -> usize {
    let chars: Vec<char> = answer.chars().collect();
    let (mut count, mut open) = (0, false);
    for (i, c) in chars.iter().enumerate() {
        open |= c.is_alphanumeric();
        let next = chars.get(i + 1);
        let closes = match c {
            '。' | '！' | '？' | '!' | '?' => true,
            // 3.5, e.g. and file names hold dots that end nothing; so do P.S. and initials.
            '.' => next.is_none_or(|next| next.is_whitespace() || "\"'”’)".contains(*next)) && !is_abbreviation(&chars[..i]),
            '\n' => open && next.is_some_and(|next| *next == '\n'),
            _ => false,
        };
        if closes && open {
            count += 1;
            open = false;
        }
    }
    count + usize::from(open)
}

/// Whether the word before a full stop is an abbreviation that is written with one.
fn is_abbreviation(before: &[char]) -> bool {
    let word: String = before.iter().rev().take_while(|c| !c.is_whitespace()).collect::<Vec<_>>().into_iter().rev().collect();
    let initial = word.chars().count() == 1 && word.chars().all(char::is_uppercase) && word != "I";
    initial || ["Mr", "Mrs", "Ms", "Dr", "St", "e.g", "i.e", "etc", "vs", "P.S", "a.m", "p.m"].contains(&word.as_str())
}

pub(super) fn paragraphs(answer: &str) -> usize {
    let mut count = 0;
    let mut blank = true;
    for line in answer.lines() {
        let empty = line.trim().is_empty();
        count += usize::from(blank && !empty);
        blank = empty;
    }
    count
}

pub(super) fn is_bullet(line: &str) -> bool {
    line.strip_prefix("- ").or_else(|| line.strip_prefix("* ")).is_some_and(|rest| rest.chars().any(char::is_alphanumeric))
}

/// Lines numbered 1, 2, 3 without a gap; 0 where the numbers do not run so.
pub(super) fn numbered(answer: &str) -> usize {
    let numbers: Vec<usize> = lines(answer)
        .filter_map(|line| {
            let digits: String = line.chars().take_while(char::is_ascii_digit).collect();
            let rest = line[digits.len()..].trim_start_matches(['.', '、', ')', '．']);
            let marked = rest.len() < line.len() - digits.len();
            (marked && rest.chars().any(char::is_alphanumeric)).then(|| digits.parse().ok())?
        })
        .collect();
    if numbers.iter().enumerate().all(|(i, number)| *number == i + 1) { numbers.len() } else { 0 }
}

/// How often a text is there: as whole words where it is Latin, anywhere where it is Chinese.
pub(super) fn occurrences(answer: &str, sought: &str) -> usize {
    let (answer, sought) = (answer.to_lowercase(), sought.to_lowercase());
    let latin = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() && !is_cjk(c));
    let whole = |start: usize| {
        let end = start + sought.len();
        let opens = !latin(sought.chars().next()) || !latin(answer[..start].chars().next_back());
        let closes = !latin(sought.chars().next_back()) || !latin(answer[end..].chars().next());
        opens && closes
    };
    answer.match_indices(&sought).filter(|(start, _)| whole(*start)).count()
}

pub(super) fn in_language(language: Language, answer: &str) -> bool {
    let chinese = answer.chars().filter(|c| is_cjk(*c)).count();
    let latin = answer.chars().filter(|c| c.is_alphabetic() && !is_cjk(*c)).count();
    match language {
        Language::Zh => chinese > 0 && chinese * 10 >= (chinese + latin) * 9,
        Language::En => latin > 0 && latin * 10 >= (chinese + latin) * 9,
    }
}

pub(super) fn has_title(answer: &str) -> bool {
    let inside = answer.split_once("<<").and_then(|(_, rest)| rest.split_once(">>"));
    inside.is_some_and(|(title, _)| title.chars().any(char::is_alphanumeric) && !title.contains('\n'))
}

pub(super) fn is_quoted(answer: &str) -> bool {
    let pairs = [('"', '"'), ('“', '”'), ('「', '」')];
    pairs.iter().any(|(open, close)| {
        let inside = answer.strip_prefix(*open).and_then(|rest| rest.strip_suffix(*close));
        inside.is_some_and(|inside| inside.chars().any(char::is_alphanumeric))
    })
}

pub(super) fn json_fault(keys: &BTreeMap<String, String>, answer: &str) -> Option<String> {
    let Some(serde_json::Value::Object(object)) = json::only(answer) else { return Some("is not one JSON object alone".to_owned()) };
    if let Some(extra) = object.keys().find(|key| !keys.contains_key(*key)) {
        return Some(format!("has the key `{extra}`, which was not asked for"));
    }
    keys.iter().find_map(|(key, kind)| {
        let Some(value) = object.get(key) else { return Some(format!("lacks the key `{key}`")) };
        let fits = match kind.split_once(':') {
            Some((_, count)) => value.as_array().is_some_and(|list| {
                list.iter().all(|entry| entry.as_str().is_some_and(|text| !text.trim().is_empty())) && list.len().to_string() == count
            }),
            None if kind == "number" => value.is_number(),
            None => value.as_str().is_some_and(|text| !text.trim().is_empty()),
        };
        (!fits).then(|| format!("`{key}` is not {kind}"))
    })
}

pub(super) fn table_fault(columns: &[String], rows: usize, answer: &str) -> Option<String> {
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('*').to_lowercase()).collect()
    };
    let table: Vec<Vec<String>> = lines(answer).filter(|line| line.contains('|')).map(cells).collect();
    let [header, rule, body @ ..] = table.as_slice() else { return Some("has no Markdown table".to_owned()) };
    let wanted: Vec<String> = columns.iter().map(|column| column.to_lowercase()).collect();
    let is_rule = rule.iter().all(|cell| !cell.is_empty() && cell.chars().all(|c| c == '-' || c == ':'));
    if !is_rule || *header != wanted {
        return Some(format!("has no table with the header {}", columns.join(", ")));
    }
    if let Some(row) = body.iter().find(|row| row.len() != columns.len() || row.iter().any(String::is_empty)) {
        return Some(format!("a row has {} filled cells: `{}`", row.iter().filter(|cell| !cell.is_empty()).count(), row.join(" | ")));
    }
    (body.len() != rows).then(|| format!("{} rows, asked for exactly {rows}", body.len()))
}
