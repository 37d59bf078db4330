//! Numbers, compared by value: 1,024 is 1024, 0.5 is 1/2 and 25% is 25 or 0.25, but a text that ends in 5 is not yet 5.
//!
//! Strict: the answer is one number, with nothing else than an announcement ("The answer is", 答案是), a currency and a unit.
//! Verdict: strict, or the final answer is right: the number that follows the last "answer is", 答案, `\boxed` or ####, and
//! without such an announcement the last number of the text outside brackets. An answer that the token limit cut has come to
//! no last number: it is right only if it announced one and said something after it. Lenient: also the number after the last
//! "=" or the only number of the first sentence. Unparsed: no number in digits and none of the accepted number words, or the
//! question repeated.
//!
//! Times, dates, ranges and powers (11:30, 2-3, 10^2) are numbers that equal nothing; a denied number (not 25) and the numbers
//! that count the entries of a list are not read.

mod scan;

use super::words::{Gap, is_cjk, mentions, needle, negated, opening, parrots, words};
use super::{Level, Reading};
use scan::{Number, Value, prepare, scan};

pub(super) fn read(answers: &[String], prompt: &str, answer: &str, truncated: bool) -> Reading {
    let chars = prepare(answer);
    let all = scan(&chars);
    let only_counts = !all.is_empty();
    let numbers = without_enumerators(&chars, all, truncated);
    if numbers.is_empty() && only_counts {
        return Reading { detail: Some("no number but those of a list".to_owned()), ..Reading::default() };
    }
    if numbers.is_empty() {
        let reading = read_number_words(answers, answer);
        let level = if truncated { reading.level.min(Level::Lenient) } else { reading.level };
        return Reading { level, ..reading };
    }
    if parrots(&words(answer), prompt) {
        return Reading { detail: Some("repeats the question".to_owned()), ..Reading::default() };
    }
    let keys: Vec<Value> = answers.iter().filter_map(|key| scan(&prepare(key)).first()?.value).collect();
    let is_right = |number: &Number| number.value.is_some_and(|value| keys.iter().any(|key| value.equals(*key)));
    let affirmed: Vec<Number> = numbers.iter().filter(|number| !denied(&chars, number)).copied().collect();

    let last = if truncated {
        announced(&chars, &affirmed, &FINAL).filter(|number| is_finished(&chars, number))
    } else {
        announced(&chars, &affirmed, &ANNOUNCEMENTS).or_else(|| last_outside_brackets(&chars, &affirmed))
    };
    let right = last.is_some_and(|last| is_right(&last));
    let strict = right && numbers.len() == 1 && is_bare(&chars, &numbers[0]);
    let elsewhere = [after_equals(&chars, &affirmed), only_number(&opening(answer).0)];
    let lenient = elsewhere.iter().flatten().any(is_right);
    let extracted = last.map(|number| chars[number.start..number.end].iter().collect());
    let detail = (!right).then(|| format!("not {}", answers.join(" or ")));
    Reading { level: Level::of(strict, right, lenient), parsed: true, extracted, detail }
}

/// An answer without digits: only the number words written in the key count.
fn read_number_words(answers: &[String], answer: &str) -> Reading {
    let hay = words(answer);
    let named = answers.iter().find(|key| mentions(&hay, &needle(key)).iter().any(|found| !negated(&hay, found, false)));
    let right = named.is_some();
    let strict = named.is_some_and(|key| needle(key).len() == hay.len());
    let detail = (!right).then(|| "no number".to_owned());
    Reading { level: Level::of(strict, right, right), parsed: right, extracted: named.cloned(), detail }
}

/// "not 25", "25 is wrong".
fn denied(chars: &[char], number: &Number) -> bool {
    let before: String = chars[..number.start].iter().collect();
    let before = before.trim_end_matches([' ', '*', '$', '¥']);
    let after: String = chars[number.end..].iter().collect();
    let after = after.trim_start();
    ["not", "n't", "never", "不是", "并非", "不等于", "不为"].iter().any(|denial| before.ends_with(denial))
        || ["is not", "isn't", "is wrong", "is incorrect", "不对", "是错", "不正确"].iter().any(|denial| after.starts_with(denial))
}

/// What a number follows that is the answer.
const ANNOUNCEMENTS: [&str; 8] = ["answer", "answers", "result", "\\boxed", "####", "答案", "结果", "答"];
/// Those that do not also stand before the result of a step.
const FINAL: [&str; 5] = ["answer", "answers", "\\boxed", "####", "答案"];

/// Whether a cut text goes on after a number, so that no digit of it is missing.
fn is_finished(chars: &[char], number: &Number) -> bool {
    chars.get(number.end).is_some_and(|c| !matches!(c, '.' | ',' | '/' | ':') || chars.len() > number.end + 1)
}

/// Without the numbers at the beginning of lines that count the entries of a list: 1. and 2., and so on.
fn without_enumerators(chars: &[char], numbers: Vec<Number>, truncated: bool) -> Vec<Number> {
    let counts = |number: &Number| -> Option<i128> {
        let line = chars[..number.start].iter().rposition(|c| *c == '\n').map_or(0, |at| at + 1);
        let leads = chars[line..number.start].iter().all(|c| matches!(c, ' ' | '\t' | '*' | '#' | '-' | '('));
        let marked =
            matches!(chars.get(number.end), Some('.' | ')' | '、')) && !chars.get(number.end + 1).is_some_and(char::is_ascii_digit);
        let whole = number.value.filter(|value| value.bottom == 1 && !value.percent)?;
        (leads && marked && (1..=20).contains(&whole.top)).then_some(whole.top)
    };
    let mut next = 1;
    let listed: Vec<bool> = numbers
        .iter()
        .map(|number| {
            let Some(count) = counts(number).filter(|count| *count == next || *count == 1) else { return false };
            next = count + 1;
            true
        })
        .collect();
    // "1." alone may be the answer one.
    let alone = listed.iter().filter(|listed| **listed).count() < 2 && !truncated;
    numbers.into_iter().zip(listed).filter(|(_, listed)| alone || !listed).map(|(number, _)| number).collect()
}

/// The number after the last announcement of an answer; of a calculation ("the answer is 12 - 3 = 9") its result.
fn announced(chars: &[char], numbers: &[Number], announcements: &[&str]) -> Option<Number> {
    const FILLERS: [&str; 19] = [
        "is",
        "are",
        "be",
        "would",
        "should",
        "will",
        "equals",
        "the",
        "total",
        "thus",
        "therefore",
        "approximately",
        "是",
        "为",
        "应",
        "该",
        "等于",
        "填",
        "共",
    ];
    let announcement = numbers.iter().rposition(|number| {
        let mut before: String = chars[..number.start].iter().collect();
        loop {
            before.truncate(before.trim_end_matches([' ', '\n', '*', '_', ':', '=', '{', '(', '$', '¥', '£', '€', '"', '\'', '≈']).len());
            let filler = FILLERS.iter().find(|filler| {
                let rest = before.strip_suffix(**filler);
                rest.is_some_and(|rest| !filler.is_ascii() || !rest.ends_with(|c: char| c.is_ascii_alphabetic()))
            });
            match filler {
                Some(filler) => before.truncate(before.len() - filler.len()),
                None => break,
            }
        }
        announcements.iter().any(|announcement| before.ends_with(announcement))
    })?;
    let mut result = numbers[announcement];
    let (mut i, mut equals) = (result.end, false);
    for number in &numbers[announcement + 1..] {
        let between = &chars[i..number.start];
        if !between.iter().all(|c| " +-*/×÷x·()=".contains(*c)) {
            break;
        }
        equals |= between.contains(&'=');
        i = number.end;
        if equals {
            result = *number;
        }
    }
    Some(result)
}

fn after_equals(chars: &[char], numbers: &[Number]) -> Option<Number> {
    let follows = |number: &&Number| {
        let before = chars[..number.start].iter().rev().find(|c| !matches!(c, ' ' | '*' | '$' | '¥' | '('));
        before == Some(&'=')
    };
    numbers.iter().rev().find(follows).copied()
}

/// The last number that is not an aside; with nothing but asides, the last.
fn last_outside_brackets(chars: &[char], numbers: &[Number]) -> Option<Number> {
    let outside = |number: &&Number| {
        let open = chars[..number.start].iter().fold(0_usize, |open, c| match c {
            '(' | '[' => open + 1,
            ')' | ']' => open.saturating_sub(1),
            _ => open,
        });
        open == 0
    };
    numbers.iter().rev().find(outside).or(numbers.last()).copied()
}

fn only_number(text: &str) -> Option<Number> {
    let chars = prepare(text);
    match scan(&chars).as_slice() {
        [only] if !denied(&chars, only) => Some(*only),
        _ => None,
    }
}

/// Whether an announcement, a currency and a unit are all that stands around the number.
fn is_bare(chars: &[char], number: &Number) -> bool {
    const ANNOUNCING: [&str; 17] = [
        "the",
        "final",
        "correct",
        "answer",
        "result",
        "total",
        "is",
        "are",
        "it",
        "equals",
        "so",
        "therefore",
        "thus",
        "boxed",
        "there",
        "usd",
        "rmb",
    ];
    let before: String = chars[..number.start].iter().collect();
    let announces = words(&before).iter().all(|word| {
        let chinese = word.text.chars().all(|c| "答案是为等于应该填结果所以因此一共总有还剩得到正确的最后终数百分之".contains(c));
        chinese || ANNOUNCING.contains(&word.text.as_str())
    });
    let after: String = chars[number.end..].iter().collect();
    let after = after.trim_start_matches([' ', '*', '_', '%', '$', '°', '"', '}', ')']);
    let unit = words(after);
    let size: usize = unit.iter().map(|word| if word.text.chars().all(is_cjk) { 1 } else { 2 }).sum();
    let one_piece = unit.iter().skip(1).all(|word| word.gap < Gap::Clause);
    announces && (unit.is_empty() || (size <= 4 && one_piece && after.starts_with(char::is_alphanumeric)))
}

#[cfg(test)]
mod tests;
