//! What an answer asserts, and what in it only stands beside the answer.

use std::ops::Range;

use super::super::words::{Gap, Word};

/// Words, or thrice as many Chinese characters and a third, that an answer may take beyond those of the question.
const LONGEST: usize = 120;
const PER_WORD: usize = 10;
const PER_CHARACTER: usize = 3;

/// The part of a sentence that asserts the answer: without a reason at its end, and not longer than [`LONGEST`].
///
/// Words of the question are free: "the line from the centre of a circle to its edge is called the radius" is a full answer.
pub(super) fn asserted(mut zone: Vec<Word>, asked: &[Word]) -> Vec<Word> {
    if let Some(reason) = reason_at(&zone) {
        zone.truncate(reason);
    }
    let mut used = 0;
    let within = |i: &usize| {
        if !is_repeated(&zone, *i, asked) {
            used += if zone[*i].is_cjk() { PER_CHARACTER } else { PER_WORD };
        }
        used <= LONGEST
    };
    let length = (0..zone.len()).take_while(within).count();
    zone.truncate(length);
    zone
}

/// Whether a word stands in the question; a Chinese character with one of its neighbours.
pub(super) fn is_repeated(zone: &[Word], i: usize, asked: &[Word]) -> bool {
    if !zone[i].is_cjk() {
        return asked.iter().any(|word| word.text == zone[i].text);
    }
    let pair = |first: usize| {
        first + 1 < zone.len() && asked.windows(2).any(|two| two[0].text == zone[first].text && two[1].text == zone[first + 1].text)
    };
    pair(i) || (i > 0 && pair(i - 1))
}

/// Whether what stands in `found` stands in the question with what follows it: 三 of 三角形, and 81 in the root of 81.
pub(super) fn is_from_question(hay: &[Word], found: &Range<usize>, asked: &[Word]) -> bool {
    let follows = hay.get(found.end).is_some_and(|word| word.gap == Gap::None && word.is_cjk());
    let sought = &hay[found.start..found.end + usize::from(follows)];
    asked.windows(sought.len()).any(|window| window.iter().map(|word| &word.text).eq(sought.iter().map(|word| &word.text)))
}

/// Where a reason begins that follows an assertion.
fn reason_at(zone: &[Word]) -> Option<usize> {
    (1..zone.len()).find(|i| {
        let text = zone[*i].text.as_str();
        text == "because" || (text == "因" && zone.get(i + 1).is_some_and(|next| next.text == "为"))
    })
}

/// Words that a clause has and a name in a list has not.
const VERBS: [&str; 33] = [
    "is", "are", "was", "were", "be", "been", "has", "have", "had", "can", "will", "it", "its", "this", "that", "which", "who", "whose",
    "when", "where", "while", "as", "in", "on", "at", "by", "for", "with", "from", "into", "located", "known", "called",
];
/// Chinese openings of a clause, and what one holds or ends with.
const OPENINGS: [&str; 16] = ["其", "它", "该", "即", "在", "当", "如", "约", "位于", "也", "由", "按", "是", "因", "就", "体"];
const INSIDE: [&str; 15] =
    ["是", "可达", "达到", "重达", "长达", "高达", "称为", "叫做", "按住", "用于", "属于", "位于", "以及", "能够", "可以"];
const ENDINGS: [&str; 5] = ["时", "中", "里", "后", "即可"];
/// A Chinese entry of fewer characters is a name.
const SHORTEST_CLAUSE: usize = 4;

/// Whether an entry between commas is a clause and not one of several answers.
pub(super) fn is_clause(entry: &[Word]) -> bool {
    if entry.iter().any(|word| VERBS.contains(&word.text.as_str())) {
        return true;
    }
    let text: String = entry.iter().filter(|word| word.is_cjk()).map(|word| word.text.as_str()).collect();
    text.chars().count() >= SHORTEST_CLAUSE
        && (OPENINGS.iter().any(|opening| text.starts_with(opening))
            || INSIDE.iter().any(|inside| text.contains(inside))
            || ENDINGS.iter().any(|ending| text.ends_with(ending)))
}

/// Relations that make another thing of what they are a relation of.
const RELATIONS: [&str; 26] = [
    "tributary",
    "branch",
    "son",
    "daughter",
    "wife",
    "husband",
    "brother",
    "sister",
    "father",
    "mother",
    "nephew",
    "cousin",
    "friend",
    "student",
    "pupil",
    "teacher",
    "assistant",
    "rival",
    "opponent",
    "predecessor",
    "successor",
    "suburb",
    "outskirts",
    "opposite",
    "part",
    "half",
];
const CHINESE_RELATIONS: [&str; 26] = [
    "支流",
    "儿子",
    "女儿",
    "妻子",
    "丈夫",
    "弟弟",
    "哥哥",
    "妹妹",
    "姐姐",
    "父亲",
    "母亲",
    "侄子",
    "学生",
    "老师",
    "弟子",
    "徒弟",
    "助手",
    "朋友",
    "对手",
    "前任",
    "继任",
    "郊区",
    "反面",
    "一部分",
    "一半",
    "上游",
];

/// Whether what stands in `found` is only part of another thing: of a hyphenated name, or what that thing is a relation of.
pub(super) fn is_of_another(hay: &[Word], found: &Range<usize>) -> bool {
    let is_letters = |word: &Word| word.text.chars().all(char::is_alphabetic) && !word.is_cjk();
    let latin = is_letters(&hay[found.start]) && is_letters(&hay[found.end - 1]);
    let hyphened = |i: usize| hay.get(i).is_some_and(|word| word.gap == Gap::Hyphen && is_letters(word));
    if latin && (hyphened(found.end) || (hyphened(found.start) && is_letters(&hay[found.start - 1]))) {
        return true;
    }
    // Napoleon III, 拿破仑三世: of the same name, and another.
    let next = |i: usize| hay.get(found.end + i).filter(|word| word.gap <= Gap::Space).map(|word| word.text.as_str());
    let later = next(0).is_some_and(|word| "二三四五六七八九十".contains(word)) && next(1) == Some("世");
    if later || next(0).is_some_and(|word| ["ii", "iii", "iv", "vi", "vii", "viii", "ix"].contains(&word)) {
        return true;
    }
    let text = |range: Range<usize>| -> String {
        let inside = hay[range.clone()].iter().enumerate().take_while(|(i, word)| *i == 0 || word.gap < Gap::Clause);
        inside.map(|(_, word)| word.text.as_str()).collect()
    };
    let after = text(found.end..hay.len().min(found.end + 5));
    let joined = hay.get(found.end).is_some_and(|word| word.gap == Gap::None);
    if joined && after.strip_prefix('的').is_some_and(|rest| CHINESE_RELATIONS.iter().any(|relation| rest.starts_with(relation))) {
        return true;
    }
    // "is added to the X's": what is done with a thing does not name it.
    let dangling = after == "的" && found.end + 1 == hay.len();
    if dangling && found.start > 0 && ["到", "从", "向", "把", "将"].contains(&hay[found.start - 1].text.as_str()) {
        return true;
    }
    let relation = |i: usize| hay.get(i).is_some_and(|word| RELATIONS.contains(&word.text.as_str()));
    let possessive = hay.get(found.end).is_some_and(|word| word.text == "s" && word.gap == Gap::Space);
    if possessive && relation(found.end + 1) {
        return true;
    }
    let mut at = found.start;
    while at > 0 && ["the", "river", "king", "emperor"].contains(&hay[at - 1].text.as_str()) && hay[at].gap <= Gap::Space {
        at -= 1;
    }
    at > 1 && hay[at - 1].text == "of" && relation(at - 2)
}

/// What another choice may follow without being an answer: it is compared with the answer given before.
const BESIDE: [&str; 12] =
    ["than", "unlike", "besides", "beyond", "near", "versus", "vs", "over", "alongside", "replacing", "after", "before"];
const CHINESE_BESIDE: [&str; 7] = ["比", "不同于", "有别于", "除了", "除", "仅次于", "超过"];
/// What introduces others that come along with the answer.
const COMPANY: [&str; 7] = ["带着", "带领", "率领", "徒弟", "togetherwith", "alongwith", "accompaniedby"];
const CLASSIFIERS: &str = "个条只张根位名座颗种片块对";
const JOINING: [&str; 14] = ["or", "and", "but", "to", "in", "is", "are", "或", "和", "与", "到", "至", "、", "的"];

/// Whether another choice stands in the zone without being given as the answer: a number of something else ("6 faces and 12
/// edges"), or something that the answer given before is compared with ("larger than").
pub(super) fn is_beside_the_point(zone: &[Word], at: &Range<usize>, accepted: &[Range<usize>], is_number: bool, asked: &[Word]) -> bool {
    if is_number {
        let mut next = at.end;
        let inside = |i: usize| zone.get(i).is_some_and(|word| word.gap <= Gap::Space);
        if inside(next) && zone[next].text.chars().all(|c| CLASSIFIERS.contains(c)) {
            next += 1;
        }
        let known = |word: &Word| asked.iter().any(|other| stem(&other.text) == stem(&word.text));
        if inside(next) && !known(&zone[next]) && !JOINING.contains(&zone[next].text.as_str()) {
            return accepted.iter().any(|found| found.end <= at.start || at.end < found.start);
        }
    }
    if !accepted.iter().any(|found| found.end <= at.start) {
        return false;
    }
    if comes_along(zone, at, accepted) {
        return true;
    }
    let given = accepted.iter().map(|found| found.end).filter(|end| *end <= at.start).max().unwrap_or(0);
    let first = (0..=at.start).rev().find(|i| zone[*i].gap >= Gap::List).unwrap_or(0);
    // "..., which is larger than"
    if first >= given && (["which", "who", "whose"].contains(&zone[first].text.as_str()) || zone[first].text == "其") {
        return true;
    }
    let before = &zone[first.max(at.start.saturating_sub(4))..at.start];
    let text: String = before.iter().map(|word| word.text.as_str()).collect();
    before.iter().any(|word| BESIDE.contains(&word.text.as_str())) || CHINESE_BESIDE.iter().any(|word| text.ends_with(word))
}

/// Whether something stands after the answer as what comes along with it: "the monk, who brought ... along with ...".
pub(super) fn comes_along(zone: &[Word], at: &Range<usize>, accepted: &[Range<usize>]) -> bool {
    let Some(given) = accepted.iter().map(|found| found.end).filter(|end| *end <= at.start).max() else { return false };
    let between: String = zone[given..at.end].iter().map(|word| word.text.as_str()).collect();
    COMPANY.iter().any(|word| between.contains(word))
}

fn stem(word: &str) -> &str {
    word.strip_suffix('s').unwrap_or(word)
}

/// Whether what follows the first sentence takes it back: "Lyon. No, Paris.", "不对，应该是巴黎".
pub(super) fn takes_back(rest: &str) -> bool {
    const RETRACTIONS: [&str; 22] = [
        "no,",
        "no.",
        "no wait",
        "wait,",
        "wait.",
        "actually,",
        "correction",
        "sorry,",
        "i was wrong",
        "i made a mistake",
        "that is wrong",
        "that's wrong",
        "that is not right",
        "that is incorrect",
        "不对",
        "不，",
        "不,",
        "更正",
        "抱歉，",
        "抱歉,",
        "我说错了",
        "说错了",
    ];
    let pieces: Vec<&str> =
        rest.match_indices(['.', '!', '?', '。', '！', '？', '\n']).map(|(at, mark)| rest[at + mark.len()..].trim_start()).collect();
    let starts = std::iter::once(rest.trim_start()).chain(pieces);
    starts.into_iter().any(|start| RETRACTIONS.iter().any(|retraction| start.starts_with(retraction)))
}
