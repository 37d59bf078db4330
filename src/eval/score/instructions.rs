//! Requests with verifiable orders: right if every order is followed and the answer keeps to the topic.
//!
//! Strict and verdict are one. Lenient forgives what chat models put around an answer: its first or last line, and asterisks for
//! emphasis, as the loose accuracy of IFEval does. `extracted` says how many orders were followed, `2 of 3`, so that accuracy
//! over orders can be taken beside accuracy over requests.
//!
//! An answer that follows every order and says nothing of the topic is wrong: otherwise one constant text in lower case would
//! pass whatever asks for lower case.

mod measure;
mod published;

use super::identity::{End, Text};
use super::words::{fold, own_words};
use super::{Level, Reading, json};
use crate::eval::suite::Order;
use measure::{
    characters, has_title, in_language, is_bullet, is_quoted, json_fault, lines, numbered, occurrences, paragraphs, sentences, table_fault,
    words,
};

pub(super) fn read(about: &[String], orders: &[Order], prompt: &str, answer: &str) -> Reading {
    let answer = answer.trim();
    let parsed = answer.chars().any(char::is_alphanumeric);
    let failed: Vec<String> = orders.iter().filter_map(|order| unmet(order, answer)).collect();
    let on_topic = is_about(about, answer);
    // Where repeating is an order, what comes after it is the answer.
    let ordered = orders.iter().find_map(|order| if let Order::Repeat { text } = order { Some(text.trim()) } else { None });
    let own = |text: &str| -> String {
        let repeated = ordered.filter(|ordered| folds_to_start(text, ordered)).map_or(0, |ordered| ordered.chars().count());
        text.chars().skip(repeated).collect()
    };
    let repeats = |prompt: &str, text: &str| repeats(prompt, &own(text));
    let echo = repeats(prompt, answer);
    let right = parsed && on_topic && !echo && failed.is_empty();
    let follows =
        |text: &String| is_about(about, text) && !repeats(prompt, text) && orders.iter().all(|order| unmet(order, text).is_none());
    let lenient = right || parsed && looser(answer).iter().any(follows);
    let detail = match (echo, failed.is_empty()) {
        (true, _) => Some("repeats the request".to_owned()),
        (false, false) => Some(failed.join("; ")),
        (false, true) => (!on_topic).then(|| format!("says nothing about {}", about.join(", "))),
    };
    let followed = orders.len() - failed.len();
    Reading { level: Level::of(right, right, lenient), parsed, extracted: Some(format!("{followed} of {}", orders.len())), detail }
}

/// Whether an answer is the request, holds it, or is a piece of it: what the request itself says follows many an order.
fn repeats(prompt: &str, answer: &str) -> bool {
    own_words(prompt, answer) != fold(answer)
}

/// Whether an answer keeps to the topic; a request without one takes any.
fn is_about(about: &[String], answer: &str) -> bool {
    let text = Text::new(answer);
    about.is_empty() || about.iter().any(|stem| text.says(stem, End::Stem))
}

/// The answer without its first line, its last line, both, and each without asterisks.
fn looser(answer: &str) -> Vec<String> {
    let lines: Vec<&str> = answer.lines().collect();
    let cuts = [(0, 0), (1, 0), (0, 1), (1, 1)];
    let cut =
        |(front, back): (usize, usize)| lines.get(front..lines.len().saturating_sub(back)).map(|lines| lines.join("\n").trim().to_owned());
    let texts: Vec<String> = cuts.into_iter().filter_map(cut).collect();
    let plain: Vec<String> = texts.iter().map(|text| text.replace('*', "").trim().to_owned()).collect();
    texts.into_iter().chain(plain).filter(|text| !text.is_empty()).collect()
}

/// How an order was not followed; None where it was.
fn unmet(order: &Order, answer: &str) -> Option<String> {
    let count = |what: &str, found: usize, min: Option<usize>, max: Option<usize>| {
        let low = min.is_some_and(|min| found < min);
        let high = max.is_some_and(|max| found > max);
        (low || high).then(|| format!("{found} {what}, asked for {}", range(min, max)))
    };
    match order {
        Order::Words { min, max } => count("words", words(answer), *min, *max),
        Order::Characters { min, max } => count("characters", characters(answer), *min, *max),
        Order::Sentences { min, max } => count("sentences", sentences(answer), *min, *max),
        Order::Paragraphs { exactly } => count("paragraphs", paragraphs(answer), Some(*exactly), Some(*exactly)),
        Order::Bullets { exactly } => {
            count("bullet points", lines(answer).filter(|l| is_bullet(l)).count(), Some(*exactly), Some(*exactly))
        }
        Order::Numbered { exactly } => count("numbered points", numbered(answer), Some(*exactly), Some(*exactly)),
        Order::OnlyList => lines(answer).find(|l| !is_bullet(l)).map(|line| format!("`{line}` is no entry of the list")),
        Order::Include { words, times } => {
            let times = times.unwrap_or(1);
            let lacking = words.iter().find(|word| occurrences(answer, word) < times)?;
            Some(format!("`{lacking}` {} times, asked for {times}", occurrences(answer, lacking)))
        }
        Order::Exclude { words } => words.iter().find(|word| occurrences(answer, word) > 0).map(|word| format!("uses `{word}`")),
        Order::NoCharacters { characters } => answer.chars().find(|c| characters.contains(*c)).map(|c| format!("uses `{c}`")),
        Order::StartsWith { text } => (!answer.starts_with(text)).then(|| format!("does not begin with `{text}`")),
        Order::EndsWith { text } => (!answer.ends_with(text)).then(|| format!("does not end with `{text}`")),
        Order::LineStartsWith { text } => {
            let last = lines(answer).last().filter(|_| lines(answer).count() > 1);
            (!last.is_some_and(|line| line.starts_with(text))).then(|| format!("the last line does not begin with `{text}`"))
        }
        Order::Language { language } => (!in_language(*language, answer)).then(|| "is not in the language asked for".to_owned()),
        Order::Lowercase => answer.chars().find(|c| c.is_uppercase()).map(|c| format!("uses the capital `{c}`")),
        Order::Json { keys } => json_fault(keys, answer),
        Order::Title => (!has_title(answer)).then(|| "has no title in double angle brackets".to_owned()),
        Order::Table { columns, rows } => table_fault(columns, *rows, answer),
        Order::TwoAnswers => {
            let parts: Vec<&str> = answer.split("******").map(str::trim).collect();
            let two =
                matches!(parts.as_slice(), [a, b] if !a.is_empty() && !b.is_empty() && a != b) && lines(answer).any(|l| l == "******");
            (!two).then(|| "is not two different texts with a line of six asterisks between them".to_owned())
        }
        Order::Quoted => (!is_quoted(answer)).then(|| "is not wrapped in double quotation marks".to_owned()),
        Order::Occurrences { text, min, max } => {
            count(&format!("times `{text}`"), answer.to_lowercase().matches(&text.to_lowercase()).count(), *min, *max)
        }
        Order::Divided { by, exactly } => match published::parts(answer, by) {
            Some(found) => count("parts", found, Some(*exactly), Some(*exactly)),
            None => Some(format!("has nothing between two `{by}`")),
        },
        Order::ParagraphStart { of, nth, word } => published::paragraph_fault(answer, *of, *nth, word),
        Order::Placeholders { min } => count("placeholders", published::placeholders(answer), Some(*min), None),
        Order::Highlights { min } => count("highlighted texts", published::highlights(answer), Some(*min), None),
        Order::Headed { by, min } => count(&format!("parts headed `{by}`"), published::headed(answer, by), Some(*min), None),
        Order::OneOf { texts } => {
            (!texts.iter().any(|text| answer.contains(text))).then(|| format!("has none of `{}`", texts.join("`, `")))
        }
        Order::AnyJson => json::only(answer).is_none().then(|| "is not JSON alone".to_owned()),
        Order::Capitals { min, max } => count("words in capitals", published::capitals(answer), *min, *max),
        Order::Uppercase => answer.chars().find(|c| c.is_lowercase()).map(|c| format!("uses the small letter `{c}`")),
        Order::Repeat { text } => (!folds_to_start(answer, text)).then(|| "does not repeat the request first".to_owned()),
        Order::Closes { text } => {
            let end = answer.trim_matches('"').trim_end().to_lowercase();
            (!end.ends_with(&text.trim().to_lowercase())).then(|| format!("does not end with `{text}`"))
        }
    }
}

fn folds_to_start(answer: &str, text: &str) -> bool {
    answer.to_lowercase().starts_with(&text.trim().to_lowercase())
}

fn range(min: Option<usize>, max: Option<usize>) -> String {
    match (min, max) {
        (Some(min), Some(max)) if min == max => format!("exactly {min}"),
        (Some(min), Some(max)) => format!("{min} to {max}"),
        (Some(min), None) => format!("at least {min}"),
        (None, Some(max)) => format!("at most {max}"),
        (None, None) => "any number".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn met(order: &str, answer: &str) -> bool {
        unmet(&serde_json::from_str::<Order>(order).expect(order), answer).is_none()
    }

    #[test]
    fn orders_as_counted_by_hand() {
        let cases = [
            (r#"{"order":"words","max":4}"#, "One two, three four.", true),
            (r#"{"order":"words","max":3}"#, "One two, three four.", false),
            (r#"{"order":"words","min":3}"#, "a - b", false),
            (r#"{"order":"characters","max":6}"#, "用 Rust 写程序。", true),
            (r#"{"order":"characters","max":4}"#, "用 Rust 写程序。", false),
            (r#"{"order":"sentences","min":2,"max":2}"#, "It costs 3.5 euros, e.g. here. Dr. Lee knows it!", true),
            (r#"{"order":"sentences","min":2,"max":2}"#, "一句话。另一句话！", true),
            (r#"{"order":"sentences","min":2,"max":2}"#, "One. Two. Three.", false),
            (r#"{"order":"sentences","min":1,"max":1}"#, "no end", true),
            (r#"{"order":"paragraphs","exactly":2}"#, "a\nb\n\n\nc", true),
            (r#"{"order":"paragraphs","exactly":2}"#, "a\nb", false),
            (r#"{"order":"bullets","exactly":2}"#, "- a\n- b", true),
            (r#"{"order":"bullets","exactly":2}"#, "- a\n-b\n- ", false),
            (r#"{"order":"only-list"}"#, "Here:\n- a", false),
            (r#"{"order":"only-list"}"#, "- a\n\n* b", true),
            (r#"{"order":"numbered","exactly":2}"#, "Title\n1. a\n2. b", true),
            (r#"{"order":"numbered","exactly":2}"#, "1. a\n3. b", false),
            (r#"{"order":"numbered","exactly":2}"#, "1、甲\n2、乙", true),
            (r#"{"order":"include","words":["tea"],"times":2}"#, "Tea or tea, no teacup", true),
            (r#"{"order":"include","words":["tea"],"times":2}"#, "Tea and a teacup", false),
            (r#"{"order":"include","words":["例如"]}"#, "比如说", false),
            (r#"{"order":"exclude","words":["very"]}"#, "every day", true),
            (r#"{"order":"exclude","words":["very"]}"#, "Very good", false),
            (r#"{"order":"no-characters","characters":","}"#, "a, b", false),
            (r#"{"order":"starts-with","text":"To begin"}"#, "To begin with", true),
            (r#"{"order":"ends-with","text":"That is all."}"#, "So. That is all", false),
            (r#"{"order":"line-starts-with","text":"P.S."}"#, "Hello.\n\nP.S. Bye.\n", true),
            (r#"{"order":"line-starts-with","text":"P.S."}"#, "P.S. Bye.", false),
            (r#"{"order":"language","language":"zh"}"#, "只说中文", true),
            (r#"{"order":"language","language":"zh"}"#, "Only 一点", false),
            (r#"{"order":"language","language":"en"}"#, "123", false),
            (r#"{"order":"lowercase"}"#, "all small", true),
            (r#"{"order":"lowercase"}"#, "All small", false),
            (r#"{"order":"json","keys":{"a":"string","b":"strings:2"}}"#, "```json\n{\"a\": \"x\", \"b\": [\"y\", \"z\"]}\n```", true),
            (r#"{"order":"json","keys":{"a":"string","b":"strings:2"}}"#, "{\"a\": \"x\", \"b\": [\"y\"]}", false),
            (r#"{"order":"json","keys":{"a":"string"}}"#, "{\"a\": \"x\", \"c\": 1}", false),
            (r#"{"order":"json","keys":{"a":"string"}}"#, "Sure: {\"a\": \"x\"}", false),
            (r#"{"order":"title"}"#, "<<A title>>\ntext", true),
            (r#"{"order":"title"}"#, "<<>> text", false),
            (r#"{"order":"table","columns":["a","b"],"rows":1}"#, "| A | B |\n|:--|---|\n| x | y |", true),
            (r#"{"order":"table","columns":["a","b"],"rows":1}"#, "| A | B |\n|---|---|\n| x | y |\n| x | z |", false),
            (r#"{"order":"table","columns":["a","b"],"rows":1}"#, "a, b", false),
            (r#"{"order":"two-answers"}"#, "one\n******\ntwo", true),
            (r#"{"order":"two-answers"}"#, "one\n******\none", false),
            (r#"{"order":"quoted"}"#, "\"So it is.\"", true),
            (r#"{"order":"quoted"}"#, "“好。”", true),
            (r#"{"order":"quoted"}"#, "He said \"so\"", false),
            (r#"{"order":"occurrences","text":"Tea","min":2}"#, "tea and teacups", true),
            (r#"{"order":"occurrences","text":"tea","max":1}"#, "tea and teacups", false),
            (r#"{"order":"divided","by":"***","exactly":2}"#, "one\n***\ntwo\n***", true),
            (r#"{"order":"divided","by":"***","exactly":2}"#, "one\n***\n***\ntwo", false),
            (r#"{"order":"divided","by":"***","exactly":2}"#, "one\n\ntwo", false),
            (r#"{"order":"paragraph-start","of":2,"nth":2,"word":"Tea"}"#, "One.\n\n\"Tea,\" she said", true),
            (r#"{"order":"paragraph-start","of":2,"nth":2,"word":"tea"}"#, "One.\n\nThe tea", false),
            (r#"{"order":"paragraph-start","of":2,"nth":1,"word":"one"}"#, "One.\n\ntwo\n\nthree", false),
            (r#"{"order":"placeholders","min":2}"#, "[name], at [address]", true),
            (r#"{"order":"placeholders","min":2}"#, "[name] and [an\nother", false),
            (r#"{"order":"highlights","min":2}"#, "*one* and **two**", true),
            (r#"{"order":"highlights","min":2}"#, "**one** ** **", false),
            (r#"{"order":"highlights","min":1}"#, "2 * 3", false),
            (r#"{"order":"headed","by":"Section","min":2}"#, "Section 1\na\nSection 2\nb", true),
            (r#"{"order":"headed","by":"Section","min":2}"#, "Section one\na\nSection 2\nb", false),
            (r#"{"order":"one-of","texts":["My answer is yes.","My answer is no."]}"#, "My answer is no.", true),
            (r#"{"order":"one-of","texts":["My answer is yes.","My answer is no."]}"#, "No.", false),
            (r#"{"order":"any-json"}"#, "```json\n[1]\n```", true),
            (r#"{"order":"any-json"}"#, "Sure: [1]", false),
            (r#"{"order":"capitals","min":2}"#, "DO NOT go", true),
            (r#"{"order":"capitals","max":1}"#, "DO NOT go", false),
            (r#"{"order":"uppercase"}"#, "ALL 3 LARGE!", true),
            (r#"{"order":"uppercase"}"#, "ALL large", false),
            (r#"{"order":"repeat","text":"Write a line on tea."}"#, "write a line on tea. Tea is warm.", true),
            (r#"{"order":"repeat","text":"Write a line on tea."}"#, "Tea is warm.", false),
            (r#"{"order":"closes","text":"That is all."}"#, "\"So. that is ALL.\"", true),
            (r#"{"order":"closes","text":"That is all."}"#, "That is all. Bye", false),
        ];
        for (order, answer, expected) in cases {
            assert_eq!(met(order, answer), expected, "{order}: {answer:?}");
        }
    }

    #[test]
    fn what_is_to_be_repeated_is_no_echo() {
        let prompt = "Write a line on tea. First repeat the request word for word.";
        let orders = [Order::Repeat { text: "Write a line on tea.".to_owned() }];
        let level = |answer: &str| read(&[], &orders, prompt, answer).level;
        assert_eq!(level("Write a line on tea. Tea warms the hands."), Level::Strict);
        assert_eq!(level("Write a line on tea. First repeat the request word for word."), Level::Wrong, "and nothing of its own");
        assert_eq!(level("Tea warms the hands."), Level::Wrong);
    }

    #[test]
    fn every_order_counts_and_so_does_the_topic() {
        let orders: Vec<Order> =
            [r#"{"order":"lowercase"}"#, r#"{"order":"words","min":3}"#].map(|o| serde_json::from_str(o).unwrap()).to_vec();
        let about = ["tea".to_owned()];
        let graded = |answer: &str| {
            let reading = read(&about, &orders, "Write about tea in small letters.", answer);
            (reading.level, reading.extracted.unwrap())
        };
        assert_eq!(graded("tea warms the hands"), (Level::Strict, "2 of 2".to_owned()));
        assert_eq!(graded("Tea warms the hands"), (Level::Wrong, "1 of 2".to_owned()));
        assert_eq!(graded("coffee warms the hands"), (Level::Wrong, "2 of 2".to_owned()));
        assert_eq!(graded("Sure! Here it is:\ntea warms the hands"), (Level::Lenient, "1 of 2".to_owned()));
        assert_eq!(graded("").0, Level::Wrong);
        assert_eq!(graded("rite about tea in small letters").0, Level::Wrong);
        assert_eq!(graded("ok: write about tea in small letters.").0, Level::Wrong);
    }
}
