//! Questions that cannot be answered, or that assume what is false, beside twins that can be answered.
//!
//! Unanswerable: right is an answer that says so, in words of its own for the item (`require`, one of each group) or, where the
//! item has none, in any way of saying that something is not known or does not exist; and that invents nothing of `forbid`.
//! Answerable: right is the answer, and no claim that it cannot be known. Lenient: the required part alone.

use super::abstains::abstaining;
use super::identity::{End, Text};
use super::{Level, Reading};

/// An answer to a question without one.
pub(super) fn read_unanswerable(require: &[Vec<String>], forbid: &[String], answer: &str) -> Reading {
    let text = Text::new(answer);
    let admits = abstains(&text, answer);
    let missing = missing(require, &text);
    let told = if require.is_empty() { admits.is_some() } else { missing.is_none() };
    let invented = forbid.iter().find(|claim| text.says(claim, End::Word));
    let detail = match (invented, told) {
        (Some(claim), _) => Some(format!("says `{claim}`")),
        (None, true) => None,
        (None, false) => Some(missing.map_or_else(|| "does not say that this cannot be known".to_owned(), |group| lacks(group))),
    };
    let right = told && invented.is_none();
    Reading { level: Level::of(right, right, told), parsed: spoken(answer), extracted: admits, detail }
}

/// An answer to a question that has one.
pub(super) fn read_answerable(require: &[Vec<String>], forbid: &[String], answer: &str) -> Reading {
    let text = Text::new(answer);
    let abstains = abstains(&text, answer);
    let missing = missing(require, &text);
    let claim = forbid.iter().find(|claim| text.says(claim, End::Word));
    let right = missing.is_none() && abstains.is_none() && claim.is_none();
    let detail = match (&abstains, claim, missing) {
        (Some(phrase), ..) => Some(format!("claims not to know: `{phrase}`")),
        (None, Some(claim), _) => Some(format!("says `{claim}`")),
        (None, None, Some(group)) => Some(lacks(group)),
        (None, None, None) => None,
    };
    Reading { level: Level::of(right, right, missing.is_none()), parsed: spoken(answer), extracted: abstains, detail }
}

/// The words by which an answer abstains: alike on both sides of a pair, so that no one answer is right on both.
fn abstains(text: &Text, answer: &str) -> Option<String> {
    let plain = ABSTAINS.iter().find(|phrase| text.says(phrase, End::Stem)).map(|phrase| (*phrase).to_owned());
    plain.or_else(|| abstaining(answer))
}

fn spoken(answer: &str) -> bool {
    answer.chars().any(char::is_alphanumeric)
}

fn missing<'a>(require: &'a [Vec<String>], text: &Text) -> Option<&'a Vec<String>> {
    require.iter().find(|group| !group.iter().any(|sought| text.says(sought, End::Stem)))
}

fn lacks(group: &[String]) -> String {
    format!("says none of: {}", group.iter().take(4).map(String::as_str).collect::<Vec<_>>().join(", "))
}

/// Plain ways of saying that something is not known or does not exist.
const ABSTAINS: [&str; 64] = [
    "I don't know",
    "I do not know",
    "don't have access",
    "do not have access",
    "don't have information",
    "do not have information",
    "don't have any information",
    "do not have any information",
    "don't have that information",
    "don't have enough information",
    "not enough information",
    "no information",
    "no way to know",
    "no way of knowing",
    "can't know",
    "cannot know",
    "can't be known",
    "cannot be known",
    "can't tell",
    "cannot tell",
    "can't say",
    "cannot say",
    "can't determine",
    "cannot determine",
    "can't be determined",
    "cannot be determined",
    "unable to determine",
    "not possible to know",
    "not possible to determine",
    "impossible to know",
    "impossible to say",
    "impossible to determine",
    "is not known",
    "is unknown",
    "nobody knows",
    "no one knows",
    "no record",
    "can't predict",
    "cannot predict",
    "impossible to predict",
    "not aware of",
    "I have no",
    "does not exist",
    "doesn't exist",
    "you haven't told",
    "you have not told",
    "haven't provided",
    "have not provided",
    "我不知道",
    "无法得知",
    "无法知道",
    "无法确定",
    "无法判断",
    "无法预测",
    "无从得知",
    "没有足够的信息",
    "没有相关信息",
    "信息不足",
    "不清楚",
    "没有记录",
    "没有人知道",
    "无人知晓",
    "不存在",
    "无法回答",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn groups(texts: &[&str]) -> Vec<Vec<String>> {
        if texts.is_empty() { Vec::new() } else { vec![texts.iter().map(|text| (*text).to_owned()).collect()] }
    }

    #[test]
    fn questions_without_an_answer() {
        let level = |require: &[&str], forbid: &str, answer: &str| read_unanswerable(&groups(require), &[forbid.to_owned()], answer).level;
        assert_eq!(level(&[], "blue", "I don't know what your sister is wearing."), Level::Strict);
        assert_eq!(level(&[], "blue", "I can’t know that, but it is blue."), Level::Lenient);
        assert_eq!(level(&[], "blue", "A green dress."), Level::Wrong);
        assert_eq!(level(&["never won", "did not win"], "1950", "He never won that prize."), Level::Strict);
        assert_eq!(level(&["never won", "did not win"], "1950", "I don't know."), Level::Wrong, "a false premise is to be named");
        assert_eq!(level(&["没有获得", "从未获得"], "1950年", "他从未获得这个奖。"), Level::Strict);
        assert_eq!(level(&[], "x", ""), Level::Wrong);
    }

    #[test]
    fn questions_with_an_answer() {
        let level = |require: &[&str], answer: &str| read_answerable(&groups(require), &[], answer).level;
        assert_eq!(level(&["Paris"], "It is Paris."), Level::Strict);
        assert_eq!(level(&["Paris"], "I don't know, perhaps Paris."), Level::Lenient);
        assert_eq!(level(&["Paris"], "I don't know."), Level::Wrong);
        assert_eq!(level(&["巴黎"], "无法确定。"), Level::Wrong);
        assert_eq!(level(&["Paris"], "Nobody recorded it. Paris, Tokyo, Rome."), Level::Lenient);
    }
}
