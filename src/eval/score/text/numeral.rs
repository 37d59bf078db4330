//! Whole numbers written in words: twenty-eight, 二十八.

use std::ops::Range;

use super::super::words::{Gap, SMALL, TENS, Word};

const DIGITS: &str = "零一二三四五六七八九";

/// The value of a key that is a whole number in digits, in words, or in Chinese numerals.
pub(super) fn of(key: &str) -> Option<u64> {
    let plain: String = key.chars().filter(|c| *c != ',').collect();
    if let Ok(value) = plain.parse() {
        return Some(value);
    }
    let words = super::super::words::words(key);
    let whole = runs(&words).into_iter().find(|(range, _)| range.len() == words.len());
    whole.map(|(_, value)| value)
}

/// Where a value stands in words. "One" (一) is too common a word to be read as a number in a longer sentence.
pub(super) fn mentions(hay: &[Word], value: u64) -> Vec<Range<usize>> {
    if value == 1 && hay.len() > 3 {
        return Vec::new();
    }
    runs(hay).into_iter().filter(|(_, found)| *found == value).map(|(range, _)| range).collect()
}

/// The longest runs of number words, with their values. A run beside digits (3 thousand) is part of another number.
fn runs(words: &[Word]) -> Vec<(Range<usize>, u64)> {
    let mut runs = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let end = (at..words.len()).find(|i| !is_number_word(words, *i, at)).unwrap_or(words.len());
        if end == at {
            at += 1;
            continue;
        }
        let digits = |i: usize| words.get(i).is_some_and(|word| word.text.starts_with(|c: char| c.is_ascii_digit()));
        let beside = (at > 0 && digits(at - 1) && words[at].gap <= Gap::Space) || (digits(end) && words[end].gap == Gap::None);
        let ordinal = at > 0 && words[at - 1].text == "第";
        let decimal = words.get(end).is_some_and(|word| word.text == "点" || word.text == "point");
        let part = words.get(end).is_some_and(|word| word.text == "分") && words.get(end + 1).is_some_and(|word| word.text == "之");
        let texts: Vec<&str> = words[at..end].iter().map(|word| word.text.as_str()).collect();
        if !beside
            && !ordinal
            && !decimal
            && !part
            && let Some(value) = english(&texts).or_else(|| chinese(&texts.concat()))
        {
            runs.push((at..end, value));
        }
        at = end;
    }
    runs
}

fn is_number_word(words: &[Word], i: usize, first: usize) -> bool {
    let text = words[i].text.as_str();
    if i > first && words[i].gap > Gap::Space {
        return false;
    }
    let plain = SMALL.contains(&text) || TENS.contains(&text) || ["hundred", "thousand", "million"].contains(&text);
    let article = text == "a" && words.get(i + 1).is_some_and(|next| ["hundred", "thousand", "million"].contains(&next.text.as_str()));
    let and = i > first
        && text == "and"
        && words.get(i + 1).is_some_and(|next| SMALL.contains(&next.text.as_str()) || TENS.contains(&next.text.as_str()))
        && ["hundred", "thousand"].contains(&words[i - 1].text.as_str());
    plain || article || and || (text.chars().count() == 1 && text.chars().all(|c| DIGITS.contains(c) || "〇两十百千万".contains(c)))
}

fn english(words: &[&str]) -> Option<u64> {
    let (mut total, mut group, mut last) = (0, 0, 0);
    for word in words {
        if let Some(value) = SMALL.iter().position(|small| small == word) {
            // "two three" is not one number.
            if (1..20).contains(&last) {
                return None;
            }
            group += value as u64;
            last = value.max(1);
        } else if let Some(tens) = TENS.iter().position(|tens| tens == word) {
            group += 10 * (tens as u64 + 2);
            last = 20;
        } else {
            match *word {
                "a" => group += 1,
                "and" => {}
                "hundred" => group = group.max(1) * 100,
                "thousand" => (total, group) = (total + group.max(1) * 1000, 0),
                "million" => (total, group) = (total + group.max(1) * 1_000_000, 0),
                _ => return None,
            }
            last = 100;
        }
    }
    Some(total + group)
}

fn chinese(text: &str) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    let digit = |c: char| match c {
        '两' => Some(2),
        '〇' => Some(0),
        c => DIGITS.chars().position(|other| other == c).map(|digit| digit as u64),
    };
    // 一九四五 is read digit by digit.
    if text.chars().count() > 1 && text.chars().all(|c| digit(c).is_some()) {
        return text.chars().try_fold(0_u64, |value, c| value.checked_mul(10)?.checked_add(digit(c)?));
    }
    let (mut total, mut group, mut one) = (0_u64, 0_u64, None);
    for c in text.chars() {
        if let Some(value) = digit(c) {
            one = Some(value);
            continue;
        }
        match c {
            '万' => {
                total += (group + one.take().unwrap_or(0)).max(1) * 10_000;
                group = 0;
            }
            _ => group += one.take().unwrap_or(1) * [('十', 10), ('百', 100), ('千', 1000)].iter().find(|(unit, _)| *unit == c)?.1,
        }
    }
    Some(total + group + one.unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::super::super::words::words;
    use super::*;

    #[test]
    fn numbers_in_words_have_values() {
        let cases = [
            ("eight", 8),
            ("Twenty-eight", 28),
            ("one hundred and eighty", 180),
            ("a hundred", 100),
            ("two thousand and twelve", 2012),
            ("八", 8),
            ("十二", 12),
            ("二十八", 28),
            ("一百零八", 108),
            ("三百六十五", 365),
            ("两千", 2000),
            ("一九四五", 1945),
            ("三万二千", 32_000),
            ("1,024", 1024),
        ];
        for (text, value) in cases {
            assert_eq!(of(text), Some(value), "{text}");
        }
        for text in ["Paris", "eight legs", "two three", "", "3 thousand"] {
            assert_eq!(of(text), None, "{text}");
        }
    }

    #[test]
    fn a_value_is_found_as_a_whole_number() {
        let cases = [
            ("蜘蛛有八条腿", 8, true),
            ("十八条", 8, false),
            ("第八", 8, false),
            ("八分之一", 8, false),
            ("twenty-eight", 8, false),
            ("it has eight", 8, true),
            ("3 hundred", 100, false),
            ("一个好的答案", 1, false),
            ("一", 1, true),
        ];
        for (text, value, found) in cases {
            assert_eq!(!mentions(&words(text), value).is_empty(), found, "{text}");
        }
    }
}
