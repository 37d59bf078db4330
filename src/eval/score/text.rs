//! Short answers in words: an accepted answer as whole words.
//!
//! Strict and verdict: an accepted answer stands, undenied, in what the answer asserts: its first sentence or line up to a
//! reason (because, 因为), as far as 12 words or 40 Chinese characters that the question does not hold. The sentence neither
//! names another choice of the item as the answer nor lists alternatives, and nothing later takes it back. Lenient: the
//! answer stands, undenied, anywhere.
//!
//! A number as answer is one whole number: 8 is not in 18 or 8.5 or 8%. It may be written as a numeral (eight, 八). What only
//! contains an accepted answer is another thing: part of a hyphenated name, or a relation of it ("a tributary of the Nile").

mod assertion;
mod numeral;

use std::ops::Range;

use super::words::{Gap, Word, asks_for_the_odd_one, fold, mentions, needle, negated, opening, words};
use super::{Level, Reading};
use assertion::{asserted, comes_along, is_beside_the_point, is_clause, is_from_question, is_of_another, is_repeated, takes_back};

pub(super) fn read(answers: &[String], others: &[&str], prompt: &str, answer: &str) -> Reading {
    let asked = words(prompt);
    let answer = &percent_in_words(without_preface(answer, &asked));
    let (sentence, listed) = opening(answer);
    let zone = asserted(words(&sentence), &asked);
    let reader = Reader { asked: &asked, odd_one: asks_for_the_odd_one(prompt), answers, joined: fold(&sentence) };
    let accepted: Vec<Range<usize>> = answers.iter().flat_map(|answer| reader.affirmed(&zone, answer)).collect();
    let named = answers.iter().find(|answer| !reader.affirmed(&zone, answer).is_empty());
    let is_alternative = |other: &&str, at: &Range<usize>| {
        let beside = is_from_question(&zone, at, &asked) && !accepted.is_empty();
        !beside
            && !accepted.iter().any(|wider| covers(wider, at))
            && !is_beside_the_point(&zone, at, &accepted, numeral::of(other).is_some(), &asked)
    };
    let alternative = others.iter().find(|other| reader.affirmed(&zone, other).iter().any(|at| is_alternative(other, at)));
    let detail = if named.is_none() {
        Some("no accepted answer in the first sentence".to_owned())
    } else if let Some(other) = alternative {
        Some(format!("also names `{other}`"))
    } else if listed || lists_alternatives(&zone, &accepted, &asked) {
        Some("lists alternatives".to_owned())
    } else if takes_back(&compose_rest(answer, &sentence)) {
        Some("takes its answer back".to_owned())
    } else {
        None
    };
    let strict = detail.is_none();
    let everywhere = words(answer);
    let lenient = answers.iter().any(|answer| !reader.affirmed(&everywhere, answer).is_empty());
    let extracted = named.cloned().or_else(|| (!sentence.is_empty()).then(|| sentence.chars().take(80).collect()));
    Reading { level: Level::of(strict, strict, lenient), parsed: !zone.is_empty(), extracted, detail }
}

/// Whether an accepted answer is a whole number, which has other ways to be written.
pub(super) fn is_number(key: &str) -> bool {
    numeral::of(key).is_some()
}

/// How mentions are read for one question.
struct Reader<'a> {
    asked: &'a [Word],
    odd_one: bool,
    answers: &'a [String],
    /// The sentence with the marks between the parts of a name.
    joined: String,
}

impl Reader<'_> {
    /// Where a text stands as an answer: undenied, and as the thing itself.
    fn affirmed(&self, hay: &[Word], text: &str) -> Vec<Range<usize>> {
        let mut found = mentions(hay, &needle(text));
        if let Some(value) = numeral::of(text) {
            let percents = self.asked.iter().any(|word| word.text == PERCENT);
            found.retain(|at| percents || hay.get(at.end).is_none_or(|word| word.text != PERCENT));
            found.extend(numeral::mentions(hay, value).into_iter().filter(|at| !is_from_question(hay, at, self.asked)));
        }
        found.retain(|at| !negated(hay, at, self.odd_one) && !is_of_another(hay, at));
        if text.contains('·') || self.answers.iter().any(|longer| longer.strip_prefix(text).is_some_and(|rest| rest.starts_with('·'))) {
            // A given name after another one: 路易·拿破仑 is not 拿破仑.
            found.retain(|at| at.start == 0 || !self.joined.contains(&format!("{}·{}", hay[at.start - 1].text, hay[at.start].text)));
        }
        found
    }
}

const PERCENT: &str = "percent";

/// The answer without a first sentence that only repeats words of the question ("One word."), and without the number of a
/// list of one.
fn without_preface<'a>(answer: &'a str, asked: &[Word]) -> &'a str {
    let mut rest = answer.trim_start();
    if let Some(only) = rest.strip_prefix("1. ").filter(|only| !only.contains("2.")) {
        rest = only;
    }
    let end = rest.char_indices().find(|(_, c)| matches!(c, '.' | '。' | '!' | '?' | '！' | '？'));
    let Some((at, mark)) = end else { return rest };
    let (first, after) = (words(&rest[..at]), &rest[at + mark.len_utf8()..]);
    let separate = mark != '.' || after.starts_with(char::is_whitespace);
    let echoes = !first.is_empty() && (0..first.len()).all(|i| is_repeated(&first, i, asked));
    if separate && echoes && after.chars().any(char::is_alphanumeric) { after } else { rest }
}

/// The answer with its percent signs as words, so that they are seen.
fn percent_in_words(answer: &str) -> String {
    answer.replace(['%', '％'], " percent ")
}

/// The folded text that follows its first sentence.
fn compose_rest(answer: &str, sentence: &str) -> String {
    let (answer, sentence) = (fold(answer), fold(sentence));
    answer.split_once(sentence.as_str()).map_or_else(String::new, |(_, rest)| rest.to_owned())
}

fn covers(wider: &Range<usize>, range: &Range<usize>) -> bool {
    wider.start <= range.start && range.end <= wider.end
}

/// Whether the sentence is a list: "Paris or Lyon", "Paris, Lyon, Nice". An entry that holds an accepted answer or
/// repeats the question (Paris, France) is not an alternative, and neither is a clause, which long entries are.
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
    let is_entry = |entry: &&Range<usize>| {
        is_short(entry)
            && !is_right(entry)
            && !is_asked(entry)
            && !is_clause(&zone[(*entry).clone()])
            && !comes_along(zone, entry, accepted)
    };
    let alternatives = entries.iter().filter(is_entry).count();
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
        (&["8"], &["10", "4", "6"], "八", true, true),
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

    /// (question, accepted answers, other choices, answer, right)
    type Kind = (&'static str, &'static [&'static str], &'static [&'static str], &'static str, bool);

    const RADIUS: &str = "What is the distance from the centre of a circle to its edge called? One word.";
    const KINDS: &[Kind] = &[
        // Words of the question take no room.
        (RADIUS, &["radius"], &["chord"], "The distance from the centre of a circle to its edge is called the radius.", true),
        (RADIUS, &["radius"], &["chord"], "People who have never looked at geometry may well suppose it is some sort of radius.", false),
        (
            "哪位诗人写了“举头望明月，低头思故乡”这两句诗？",
            &["李白"],
            &["杜甫"],
            "“举头望明月，低头思故乡”这两句诗是唐代诗人李白写的。",
            true,
        ),
        // Clauses are no entries of a list.
        ("地球上最大的动物是什么？", &["蓝鲸"], &["大象"], "是蓝鲸（Blue Whale），其体长可达30米，体重可达20吨", true),
        ("复制要按哪个键？", &["C"], &["V"], "在Windows中，选好文字以后，按住Ctrl键再按“C”即可", true),
        ("What is the capital of Peru?", &["Lima"], &["Cusco"], "Lima, on the coast, with ten million people", true),
        ("世界上最长的河？", &["尼罗河"], &["黄河"], "长江、密西西比河、尼罗河、刚果河", false),
        // A choice that is true of the same thing, said of something else, or compared with the answer.
        ("正方体有几个面？", &["6"], &["8", "12"], "正方体有6个面和12条棱", true),
        ("How many faces does a cube have?", &["6"], &["8", "12"], "A cube has 8 vertices, 12 edges and 6 faces.", true),
        ("How many legs does a spider have?", &["8"], &["6"], "A spider has 8 eyes and 6 legs.", false),
        ("Which planet is the largest?", &["Jupiter"], &["Earth"], "Jupiter, which is 11 times as wide as Earth", true),
        ("Which planet is the largest?", &["Jupiter"], &["Saturn"], "Jupiter is larger than Saturn", true),
        ("Which planet is the largest?", &["Jupiter"], &["Saturn"], "Jupiter and Saturn", false),
        ("取经的师父是谁？", &["唐僧"], &["沙僧", "猪八戒"], "唐僧，他带着孙悟空、猪八戒、沙僧去取经", true),
        ("取经的师父是谁？", &["唐僧"], &["沙僧", "猪八戒"], "孙悟空、唐僧、猪八戒、沙僧", false),
        ("81的正平方根是多少？", &["9"], &["81", "8"], "81的正平方根是9。", true),
        // Numerals.
        ("How many legs does a spider have?", &["8"], &["6"], "eight", true),
        ("蜘蛛有几条腿？", &["8"], &["6"], "蜘蛛有八条腿。", true),
        ("蜘蛛有几条腿？", &["8"], &["6"], "蜘蛛有六条腿。", false),
        ("蜘蛛有几条腿？", &["8"], &["6"], "六或八", false),
        ("三角形有几条边？", &["3"], &["4"], "三角形有四条边。", false),
        ("一个字节有几位？", &["8"], &["2"], "一个字节等于8个二进制位。", true),
        ("In which year did it end?", &["1945"], &["1939"], "一九四五年", true),
        ("How many degrees?", &["100"], &["50"], "at 100% efficiency", false),
        ("What percentage of a half?", &["50"], &["5"], "50%", false),
        ("What percent is a half?", &["50"], &["5"], "50%", true),
        // A reason is no answer.
        ("81的正平方根是多少？", &["9"], &["81", "8"], "81的正平方根是 81，因为 81 = 9 × 9", false),
        ("What is the root of 81?", &["9"], &["8"], "It is 8 because 9 is too much", false),
        ("What is the root of 81?", &["9"], &["8"], "9, because 9 times 9 is 81", true),
        // What contains the answer is another thing.
        ("Which molecule carries our genes?", &["DNA"], &["insulin"], "It is DNA-Robot.", false),
        ("Which state is it?", &["California"], &["Texas"], "Baja-California", false),
        ("Which river is it?", &["Nile"], &["Congo"], "a tributary of the Nile", false),
        ("哪条河？", &["黄河"], &["长江"], "是黄河的支流", false),
        ("Who lost the battle?", &["Napoleon"], &["Nelson"], "Napoleon III", false),
        ("谁战败了？", &["拿破仑", "拿破仑·波拿巴"], &["戴高乐"], "拿破仑三世", false),
        ("谁战败了？", &["拿破仑", "拿破仑·波拿巴"], &["戴高乐"], "路易·拿破仑·波拿巴", false),
        ("谁战败了？", &["拿破仑", "拿破仑·波拿巴"], &["戴高乐"], "拿破仑·波拿巴", true),
        ("谁提出了相对论？", &["爱因斯坦"], &["牛顿"], "阿尔伯特·爱因斯坦", true),
        ("哪种结构先进先出？", &["队列"], &["堆栈"], "先将新元素添加到队列的", false),
        // Taken back.
        ("What is the capital?", &["Paris"], &["Lyon"], "Paris. No, that is wrong.", false),
        ("首都是哪里？", &["巴黎"], &["里昂"], "巴黎。不对，应该是里昂。", false),
        ("What is the capital?", &["Paris"], &["Lyon"], "Paris. Nobody doubts it.", true),
        // An echo of the instruction before the answer.
        ("Which country was it? One or two words.", &["Egypt"], &["Persia"], "One. Ancient Egypt.", true),
        ("熊猫吃什么？一个词即可。", &["竹子"], &["苔藓"], "一个词。大熊猫的主要食物是竹子。", true),
        ("How many degrees?", &["90"], &["45"], "1. 90 degrees.", true),
        // Traditional characters and accents.
        ("元素週期表是誰發表的？", &["门捷列夫"], &["道尔顿"], "門捷列夫", true),
        ("Who sailed in 1492?", &["Cristóbal Colón"], &["Cook"], "Cristobal Colon", true),
    ];

    #[test]
    fn faults_by_kind() {
        let mut missed = Vec::new();
        for (question, answers, others, answer, right) in KINDS {
            let answers: Vec<String> = answers.iter().map(|text| (*text).to_owned()).collect();
            let reading = read(&answers, others, question, answer);
            if (reading.level >= Level::Right) != *right {
                missed.push(format!("{question} {answer}: {reading:?}"));
            }
        }
        assert!(missed.is_empty(), "{missed:#?}");
    }

    #[test]
    fn the_reading_can_be_seen() {
        let reading = read(&["Paris".to_owned()], &["Lyon"], "", "Lyon, of course. Yes.");
        assert_eq!(reading.extracted.as_deref(), Some("Lyon, of course"));
        let reading = read(&["Paris".to_owned()], &["Lyon"], "", "Paris, Lyon");
        assert_eq!(reading.detail.as_deref(), Some("also names `Lyon`"));
    }
}
