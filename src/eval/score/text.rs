//! Short answers in words: an accepted answer as whole words.
//!
//! Strict and verdict: an accepted answer stands, undenied, in the first sentence or line (its first 12 words or 40 Chinese
//! characters), which neither names another choice of the item nor lists alternatives. Lenient: it stands, undenied,
//! anywhere. A number as answer is one whole number: 8 is not in 18 or 8.5. Number words count only where they are
//! accepted answers themselves. Not seen: denials across sentences ("Paris. No, that is wrong.").

use std::ops::Range;

use super::words::{Gap, Word, asks_for_the_odd_one, mentions, needle, negated, opening, words};
use super::{Level, Reading};

pub(super) fn read(answers: &[String], others: &[&str], prompt: &str, answer: &str) -> Reading {
    let (sentence, listed) = opening(answer);
    let mut zone = words(&sentence);
    zone.truncate(zone_length(&zone));
    let odd_one = asks_for_the_odd_one(prompt);
    let affirmed = |hay: &[Word], text: &str| -> Vec<Range<usize>> {
        mentions(hay, &needle(text)).into_iter().filter(|found| !negated(hay, found, odd_one)).collect()
    };
    let accepted: Vec<Range<usize>> = answers.iter().flat_map(|answer| affirmed(&zone, answer)).collect();
    let named = answers.iter().find(|answer| !affirmed(&zone, answer).is_empty());
    let alternative = others.iter().find(|other| affirmed(&zone, other).iter().any(|at| !accepted.iter().any(|wider| covers(wider, at))));
    let detail = if named.is_none() {
        Some("no accepted answer in the first sentence".to_owned())
    } else if let Some(other) = alternative {
        Some(format!("also names `{other}`"))
    } else if listed || lists_alternatives(&zone, &accepted, &words(prompt)) {
        Some("lists alternatives".to_owned())
    } else {
        None
    };
    let strict = detail.is_none();
    let everywhere = words(answer);
    let lenient = answers.iter().any(|answer| !affirmed(&everywhere, answer).is_empty());
    let extracted = named.cloned().or_else(|| (!sentence.is_empty()).then(|| sentence.chars().take(80).collect()));
    Reading { level: Level::of(strict, strict, lenient), parsed: !zone.is_empty(), extracted, detail }
}

fn covers(wider: &Range<usize>, range: &Range<usize>) -> bool {
    wider.start <= range.start && range.end <= wider.end
}

/// How many words make 12 words or 40 Chinese characters, or a mix of both in proportion.
fn zone_length(words: &[Word]) -> usize {
    let mut used = 0;
    let within = |word: &&Word| {
        used += if word.is_cjk() { 3 } else { 10 };
        used <= 120
    };
    words.iter().take_while(within).count()
}

/// Whether the sentence is a list: "Paris or Lyon", "Paris, Lyon, Nice". An entry that holds an accepted answer or
/// repeats the question (Paris, France) is not an alternative, and long entries are clauses, not entries.
fn lists_alternatives(zone: &[Word], accepted: &[Range<usize>], prompt: &[Word]) -> bool {
    let is_or = |i: usize| zone[i].text == "or" || zone[i].text == "或";
    let mut entries: Vec<Range<usize>> = Vec::new();
    for i in (0..zone.len()).filter(|i| !is_or(*i)) {
        match entries.last_mut() {
            Some(entry) if zone[i].gap != Gap::List && !is_or(i - 1) => entry.end = i + 1,
            _ => entries.push(i..i + 1),
        }
    }
    let is_short = |entry: &Range<usize>| zone[entry.clone()].iter().map(|word| if word.is_cjk() { 1 } else { 2 }).sum::<usize>() <= 8;
    let is_right = |entry: &Range<usize>| accepted.iter().any(|found| found.start < entry.end && entry.start < found.end);
    let is_asked = |entry: &Range<usize>| !mentions(prompt, &zone[entry.clone()]).is_empty();
    let alternatives = entries.iter().filter(|entry| is_short(entry) && !is_right(entry) && !is_asked(entry)).count();
    alternatives >= 2 || (alternatives == 1 && (0..zone.len()).any(is_or))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// (accepted answers, other choices, answer, strict, lenient)
    type Case = (&'static [&'static str], &'static [&'static str], &'static str, bool, bool);

    const CITY: &[&str] = &["Lyon", "Marseille", "Nice"];
    const CASES: &[Case] = &[
        (&["Paris"], CITY, "Paris", true, true),
        (&["Paris"], CITY, "paris.", true, true),
        (&["Paris"], CITY, "**Paris**", true, true),
        (&["Paris"], CITY, "The capital of France is Paris.", true, true),
        (&["Paris"], CITY, "Paris, France", true, true),
        (&["Paris"], CITY, "Answer:\n\nParis", true, true),
        (&["Paris"], CITY, "Paris. Lyon is another city.", true, true),
        (&["Paris"], CITY, "Not Lyon, Paris.", true, true),
        (&["Paris"], CITY, "It is not Paris.", false, false),
        (&["Paris"], CITY, "Paris is not the capital.", false, false),
        (&["Paris"], CITY, "Paris, Lyon", false, true),
        (&["Paris"], CITY, "Paris or London", false, true),
        (&["Paris"], CITY, "Paris, London, Berlin, Rome", false, true),
        (&["Paris"], CITY, "1. Paris\n2. London\n3. Berlin", false, true),
        (&["Paris"], CITY, "Lyon. Well, Paris.", false, true),
        (&["Paris"], CITY, "Many people have asked themselves over many long years what this city may be, Paris.", false, true),
        (&["Paris"], CITY, "Parisian", false, false),
        (&["Paris"], CITY, "", false, false),
        (&["Paris"], CITY, "...", false, false),
        (&["8", "eight"], &["10", "4", "6"], "8", true, true),
        (&["8", "eight"], &["10", "4", "6"], "A spider has eight legs.", true, true),
        (&["8", "eight"], &["10", "4", "6"], "８", true, true),
        (&["8", "eight"], &["10", "4", "6"], "18", false, false),
        (&["8", "eight"], &["10", "4", "6"], "8.5", false, false),
        (&["8", "eight"], &["10", "4", "6"], "-8", false, false),
        (&["8", "eight"], &["10", "4", "6"], "twenty-eight", false, false),
        (&["8", "eight"], &["10", "4", "6"], "8 or eight", true, true),
        (&["8", "eight"], &["10", "4", "6"], "6, 8 or 10", false, true),
        (&["8"], &["10", "4", "6"], "八", false, false),
        (&["1024", "1,024"], &["1000"], "2^10 = 1,024", true, true),
        (&["H2O", "H₂O"], &["O3"], "H₂O", true, true),
        (&["CO2", "CO₂"], &["CO", "SO2"], "CO2", true, true),
        (&["CO"], &["CO2"], "CO2", false, false),
        (&["carbon dioxide"], &["carbon", "oxygen"], "Carbon dioxide.", true, true),
        (&["J. K. Rowling", "Rowling"], &["Roald Dahl"], "J.K. Rowling wrote them.", true, true),
        (&["Mt. Everest", "Everest"], &["K2"], "Mt. Everest", true, true),
        (&["Linné"], &[], "Carl von Linne", true, true),
        (&["Moon"], &["Io"], "The Moon", true, true),
        (&["巴黎"], &["里昂", "马赛"], "法国的首都是巴黎。", true, true),
        (&["巴黎"], &["里昂", "马赛"], "不是巴黎。", false, false),
        (&["巴黎"], &["里昂", "马赛"], "不是里昂，是巴黎。", true, true),
        (&["巴黎"], &["里昂", "马赛"], "巴黎或里昂", false, true),
        (&["巴黎"], &["里昂", "马赛"], "巴黎、伦敦、柏林、罗马", false, true),
        (&["巴黎"], &["里昂", "马赛"], "巴 黎", true, true),
        (&["水银", "汞"], &["锌"], "汞", true, true),
        (&["鼠"], &["龙"], "松鼠", false, false),
        (&["二进制"], &["十进制"], "十二进制", false, false),
        (&["1945", "1945年"], &["1939年"], "第二次世界大战于1945年结束。", true, true),
        (&["达尔文"], &["拉马克"], "查尔斯·达尔文（Charles Darwin）", true, true),
        (&["CO2"], &["CO"], "二氧化碳的化学式是CO₂。", true, true),
    ];

    #[test]
    fn cases() {
        for (answers, others, answer, strict, lenient) in CASES {
            let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
            let reading = read(&answers, others, "What is the capital of France?", answer);
            assert_eq!(reading.level, Level::of(*strict, *strict, *lenient), "{answer}: {reading:?}");
        }
    }

    #[test]
    fn the_reading_can_be_seen() {
        let reading = read(&["Paris".to_owned()], &["Lyon"], "", "Lyon, of course. Yes.");
        assert_eq!(reading.extracted.as_deref(), Some("Lyon, of course"));
        let reading = read(&["Paris".to_owned()], &["Lyon"], "", "Paris, Lyon");
        assert_eq!(reading.detail.as_deref(), Some("also names `Lyon`"));
    }
}
