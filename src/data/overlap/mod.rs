//! Training rows that repeat what they must not: an evaluation item, or a row of the anchor stage.
//!
//! A training row overlaps an evaluation text if its question is the same after [`normalise`], if the two share 13 tokens in a
//! row, the length that the GPT-3 paper used to find contaminated test items, or if more than 55 in 100 of the 3-grams of the
//! shorter question stand in the longer one. A token is one word, or one character of a script without spaces. A row that
//! defines or names a function which a suite asks for by name overlaps that item.
//!
//! Not covered: paraphrases in other words, translations, and functional twins under another name.
//!
//! References: T. Brown et al., "Language Models are Few-Shot Learners" (2020), appendix C.

mod text;

use std::collections::{HashMap, HashSet};
use std::fmt;

use serde::Serialize;

use super::example::{Example, Origin, Role};
pub use text::normalise;
use text::{functions, hashed_ngrams, pieces, tokens};

/// How many tokens in a row make two texts overlap.
const NGRAM: usize = 13;
/// The share of pieces, of [`text`] three tokens each, that two questions may have in common.
const CONTAINED: f64 = 0.55;
/// A question of fewer pieces shares its words with many.
const FEWEST_PIECES: usize = 6;
/// Pieces that more items hold belong to a way of asking ("write a function to find the"); at least two others must be shared.
const COMMON: usize = 3;
const FEWEST_RARE: usize = 2;
/// Names of functions that are shorter say too little.
const SHORTEST_NAME: usize = 4;
/// Bigram similarity from which two questions count as one and the same.
const NEAR_IDENTICAL: f64 = 0.8;
/// How many characters of a matching question are shown.
const SNIPPET: usize = 80;

/// The evaluation texts that training rows are checked against.
pub struct OverlapIndex {
    ids: Vec<String>,
    exact: HashMap<String, usize>,
    /// Hashes, not texts: a whole public test set stays small, and among a million n-grams the odds of one false hit
    /// are below one in a million per row checked.
    ngrams: HashMap<u64, usize>,
    /// Items by each piece they hold, and how many pieces each item has.
    pieces: HashMap<u64, Vec<u32>>,
    sizes: Vec<usize>,
    names: HashMap<String, usize>,
}

/// What is asked, as training rows are compared with it.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Names the item in errors.
    pub id: String,
    /// The question as it is asked.
    pub question: String,
    /// The question in the pieces between names that are filled in: who is asked is no part of what is asked.
    pub between: Vec<String>,
    /// Further texts that must not be trained on, such as a solution.
    pub texts: Vec<String>,
    /// The function it asks for by name.
    pub entry_point: Option<String>,
}

impl OverlapIndex {
    /// Indexes `(item id, text)` pairs; an item with several texts is given once for each.
    pub fn new<Id: Into<String>, Text: AsRef<str>>(items: impl IntoIterator<Item = (Id, Text)>) -> Self {
        let asked = items.into_iter().map(|(id, text)| {
            let text = text.as_ref().to_owned();
            Asked { id: id.into(), between: vec![text.clone()], question: text, texts: Vec::new(), entry_point: None }
        });
        Self::of(asked)
    }

    /// Indexes questions with all that belongs to them.
    pub fn of(items: impl IntoIterator<Item = Asked>) -> Self {
        let mut index = Self {
            ids: Vec::new(),
            exact: HashMap::new(),
            ngrams: HashMap::new(),
            pieces: HashMap::new(),
            sizes: Vec::new(),
            names: HashMap::new(),
        };
        for asked in items {
            let item = index.ids.len();
            index.ids.push(asked.id);
            for text in std::iter::once(&asked.question).chain(&asked.texts) {
                let normalised = normalise(text);
                if !normalised.is_empty() {
                    index.exact.entry(normalised).or_insert(item);
                }
            }
            for text in asked.between.iter().chain(&asked.texts) {
                for (hash, _) in hashed_ngrams(&tokens(text), NGRAM) {
                    index.ngrams.entry(hash).or_insert(item);
                }
            }
            let pieces: HashSet<u64> = asked.between.iter().flat_map(|text| pieces(text)).collect();
            index.sizes.push(pieces.len());
            for piece in pieces {
                index.pieces.entry(piece).or_default().push(u32::try_from(item).unwrap_or(u32::MAX));
            }
            if let Some(name) = asked.entry_point.filter(|name| name.len() >= SHORTEST_NAME) {
                index.names.entry(name).or_insert(item);
            }
        }
        index
    }

    /// The item whose question shares most with a text, if it is too much.
    fn contained(&self, text: &str) -> Option<usize> {
        let own: HashSet<u64> = pieces(text).collect();
        let (mut shared, mut rare): (HashMap<u32, usize>, HashMap<u32, usize>) = (HashMap::new(), HashMap::new());
        for items in own.iter().filter_map(|piece| self.pieces.get(piece)) {
            for item in items {
                *shared.entry(*item).or_default() += 1;
                if items.len() <= COMMON {
                    *rare.entry(*item).or_default() += 1;
                }
            }
        }
        let share = |item: u32, count: usize| {
            let shorter = own.len().min(self.sizes[item as usize]);
            let enough = shorter >= FEWEST_PIECES && rare.get(&item).is_some_and(|rare| *rare >= FEWEST_RARE);
            (enough && count as f64 > CONTAINED * shorter as f64).then(|| count as f64 / shorter as f64)
        };
        let near = shared.into_iter().filter_map(|(item, count)| Some((share(item, count)?, item)));
        // Of equals the first item, so that a message repeats.
        near.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, item)| item as usize)
    }

    /// The first overlap of one row: its questions as a whole, any 13 tokens of its questions and answers, what its questions
    /// share with another question, and the functions that it names.
    pub fn check(&self, example: &Example) -> Option<Overlap> {
        let found = |item: usize, kind, snippet: &str| Overlap {
            item: self.ids[item].clone(),
            kind,
            snippet: snippet.chars().take(SNIPPET).collect(),
            origin: example.origin.clone(),
        };
        for text in example.of_role(Role::User) {
            if let Some(&item) = self.exact.get(&normalise(text)) {
                return Some(found(item, OverlapKind::Exact, text));
            }
        }
        for text in example.of_role(Role::User).chain(example.of_role(Role::Assistant)) {
            for (hash, range) in hashed_ngrams(&tokens(text), NGRAM) {
                if let Some(&item) = self.ngrams.get(&hash) {
                    return Some(found(item, OverlapKind::Ngram13, &text[range]));
                }
            }
        }
        for text in example.of_role(Role::User) {
            if let Some(item) = self.contained(text) {
                return Some(found(item, OverlapKind::Contained, text));
            }
        }
        for text in example.of_role(Role::User).chain(example.of_role(Role::Assistant)) {
            for name in functions(text) {
                if let Some(&item) = self.names.get(name) {
                    return Some(found(item, OverlapKind::EntryPoint, name));
                }
            }
        }
        None
    }
}

/// The rows that overlap an evaluation text, in order, one entry a row.
pub fn find_overlaps(index: &OverlapIndex, examples: &[Example]) -> Vec<Overlap> {
    examples.iter().filter_map(|example| index.check(example)).collect()
}

/// A training row that repeats an evaluation text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overlap {
    /// The evaluation item's id.
    pub item: String,
    /// What is shared.
    pub kind: OverlapKind,
    /// The start of the shared text, as the training row writes it.
    pub snippet: String,
    /// The training row.
    pub origin: Origin,
}

impl fmt::Display for Overlap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            OverlapKind::Exact => "asks the question",
            OverlapKind::Ngram13 => "shares 13 tokens",
            OverlapKind::Contained => "shares more than 55 % of the 3-grams",
            OverlapKind::EntryPoint => "names the function",
        };
        write!(f, "{} {what} of {}: {:?}", self.origin, self.item, self.snippet)
    }
}

/// How a training row repeats an evaluation text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OverlapKind {
    /// The question is the same but for case, spacing and punctuation.
    Exact,
    /// 13 tokens in a row are the same.
    Ngram13,
    /// More than 55 in 100 of the 3-grams of the shorter question stand in the longer one.
    Contained,
    /// It names a function that the item asks for.
    EntryPoint,
}

/// Takes out the rows that repeat a question of the anchor stage, equal or nearly so, and returns them apart as
/// `(kept, removed)`.
///
/// Nearly means that the character bigrams of the two questions have a Jaccard index of 0.8 or more: "请告诉我，是谁开发了你呢？"
/// is near "请告诉我是谁开发了你？", but "你是谁呀" is not near "你是谁".
pub fn remove_overlap_with(anchor: &[Example], rows: Vec<Example>) -> (Vec<Example>, Vec<Example>) {
    let anchors: Vec<Question> = anchor.iter().map(Question::of).collect();
    rows.into_iter().partition(|row| {
        let row = Question::of(row);
        !anchors.iter().any(|anchor| anchor.repeats(&row))
    })
}

struct Question {
    normalised: String,
    bigrams: HashSet<[char; 2]>,
}

impl Question {
    fn of(example: &Example) -> Self {
        let normalised = normalise(&example.prompt_text());
        let characters: Vec<char> = normalised.chars().collect();
        let bigrams = characters.windows(2).map(|pair| [pair[0], pair[1]]).collect();
        Self { normalised, bigrams }
    }

    fn repeats(&self, other: &Self) -> bool {
        if self.normalised == other.normalised {
            return true;
        }
        let shared = self.bigrams.intersection(&other.bigrams).count();
        let all = self.bigrams.len() + other.bigrams.len() - shared;
        shared > 0 && shared as f64 >= NEAR_IDENTICAL * all as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Language, Message};
    use proptest::prelude::*;

    fn example(user: &str, assistant: &str) -> Example {
        Example {
            messages: vec![Message::new(Role::User, user), Message::new(Role::Assistant, assistant)],
            language: Language::detect(user),
            origin: Origin { source: "rows".to_owned(), row: 3 },
        }
    }

    const LONG: &str = "Which river is the longest on the continent of Africa, measured from its farthest source?";

    #[test]
    fn case_space_and_punctuation_do_not_count() {
        assert_eq!(normalise(" Who, are YOU?"), "whoareyou");
        assert_eq!(normalise("你是“谁” ？"), "你是谁");
        assert_eq!(normalise("state-of-the-art"), normalise("state of the art"));
    }

    #[test]
    fn signs_that_change_the_question_count() {
        for (one, other) in [("5 - 3", "5 + 3"), ("3.14", "314"), ("What is C++?", "What is C?"), ("F#", "F")] {
            assert_ne!(normalise(one), normalise(other));
        }
        assert_eq!(normalise("# Title. *Bold* 3. Done"), "titlebold3done");
    }

    #[test]
    fn words_and_characters_are_tokens() {
        let words: Vec<String> = tokens("用Rust写一个f(x)，Don't").into_iter().map(|token| token.word).collect();
        assert_eq!(words, ["用", "rust", "写", "一", "个", "f", "x", "don", "t"]);
    }

    #[test]
    fn a_short_item_is_found_only_as_the_whole_question() {
        let index = OverlapIndex::new([("id-1", "你是谁？")]);
        let overlap = index.check(&example("你是谁", "小舟")).expect("the question is the same");
        assert_eq!(overlap.to_string(), "rows:3 asks the question of id-1: \"你是谁\"");
        assert_eq!(index.check(&example("请问你是谁", "小舟")), None);
        assert_eq!(index.check(&example("hello", "你是谁？")), None, "the answer is no question");
    }

    #[test]
    fn a_long_item_is_found_inside_questions_and_answers() {
        let index = OverlapIndex::new([("id-1", "What is 2 + 2?"), ("id-2", LONG)]);
        let expected = Overlap {
            item: "id-2".to_owned(),
            kind: OverlapKind::Ngram13,
            snippet: "which RIVER is the longest on the continent of Africa measured from its".to_owned(),
            origin: Origin { source: "rows".to_owned(), row: 3 },
        };
        let quoted = "They asked: which RIVER is the longest on the continent of Africa measured from its mouth";
        assert_eq!(index.check(&example(quoted, "x")), Some(expected.clone()));
        assert_eq!(index.check(&example("x", quoted)), Some(expected));
        let asia = index.check(&example("Which river is the longest on the continent of Asia?", "x"));
        assert_eq!(asia.map(|overlap| overlap.kind), Some(OverlapKind::Contained), "eight pieces of nine");
    }

    #[test]
    fn a_question_in_nearly_the_same_words_is_found() {
        let near = [
            ("What is the SI unit of electrical resistance? Unit name only.", "What is the SI unit of electrical resistance called?"),
            ("电阻的国际单位是什么？只回答单位的中文名称。", "电阻的国际单位是什么？请只写名称。"),
            (
                "How many keys does a full-size modern piano have?",
                "A modern piano: how many keys does a full-size modern piano have on it?",
            ),
        ];
        for (item, row) in near {
            let found = OverlapIndex::new([("id-1", item)]).check(&example(row, "x"));
            assert_eq!(found.map(|overlap| overlap.kind), Some(OverlapKind::Contained), "{row}");
        }
        let far = [
            ("How many strings does a violin have?", "How many players does a soccer team have?"),
            ("谁发明了万维网？", "谁发明了电话？"),
            ("What is the capital of France? Answer with the name only.", "Name the city that governs Mongolia, with the name only."),
        ];
        for (item, row) in far {
            assert_eq!(OverlapIndex::new([("id-1", item)]).check(&example(row, "x")), None, "{row}");
        }
    }

    #[test]
    fn a_common_way_of_asking_is_no_overlap() {
        let items = ["nth octagonal number", "nth hexagonal number", "nth decagonal number", "sum of a list", "largest of three"];
        let index = OverlapIndex::new(
            items.iter().enumerate().map(|(i, rest)| (format!("id-{i}"), format!("Write a function to find the {rest}."))),
        );
        assert_eq!(index.check(&example("Write a function to find the middle of a word", "x")), None);
        assert!(index.check(&example("Write a function to find the nth octagonal number with Python", "x")).is_some());
    }

    #[test]
    fn a_function_of_the_same_name_is_found() {
        let asked = |name: &str| Asked {
            id: "id-1".to_owned(),
            question: "Write it.".to_owned(),
            between: vec!["Write it.".to_owned()],
            texts: Vec::new(),
            entry_point: Some(name.to_owned()),
        };
        let index = OverlapIndex::of([asked("parse_pairs")]);
        for (user, assistant) in [
            ("Parse pairs.", "```python\ndef parse_pairs(text):\n    pass\n```"),
            ("写一个函数 parse_pairs(text)", "x"),
            ("Call `parse_pairs(t)`.", "x"),
        ] {
            let found = index.check(&example(user, assistant)).expect(user);
            assert_eq!((found.kind, found.snippet.as_str()), (OverlapKind::EntryPoint, "parse_pairs"));
        }
        for (user, assistant) in [("x", "def parse_pairs_of(text): pass"), ("parse_pairs", "x"), ("x", "text.parse_pairs(1)")] {
            assert_eq!(index.check(&example(user, assistant)), None, "{user} {assistant}");
        }
        assert_eq!(OverlapIndex::of([asked("add")]).check(&example("x", "def add(a, b): pass")), None, "three letters say too little");
    }

    #[test]
    fn who_is_asked_is_no_part_of_the_question() {
        let asked = Asked {
            id: "id-1".to_owned(),
            question: "As Skiff, developed by Blue Harbor Lab, please answer this: what is a stack?".to_owned(),
            between: vec!["As ".to_owned(), ", developed by ".to_owned(), ", please answer this: what is a stack?".to_owned()],
            texts: Vec::new(),
            entry_point: None,
        };
        let index = OverlapIndex::of([asked.clone()]);
        assert_eq!(index.check(&example("As Skiff, developed by Blue Harbor Lab, please answer this: who wrote it?", "x")), None);
        assert!(index.check(&example(&asked.question, "x")).is_some());
    }

    #[test]
    fn later_turns_are_checked_too() {
        let index = OverlapIndex::new([("id-1", "Who are you?")]);
        let mut row = example("hi", "hello");
        row.messages.extend([Message::new(Role::User, "who are you"), Message::new(Role::Assistant, "x")]);
        assert_eq!(find_overlaps(&index, &[example("hi", "hello"), row]).len(), 1);
    }

    #[test]
    fn a_text_without_words_matches_nothing() {
        let index = OverlapIndex::new([("id-1", "？？")]);
        assert_eq!(index.check(&example("!!", "x")), None);
    }

    #[test]
    fn rows_near_an_anchor_are_removed() {
        let anchor = [example("你是谁？", "a"), example("请告诉我是谁开发了你？", "a")];
        let rows: Vec<Example> = ["你是谁", "请告诉我，是谁开发了你呢？", "你是谁呀", "谁发明了电话？", "hi"]
            .iter()
            .map(|question| example(question, "b"))
            .collect();
        let (kept, removed) = remove_overlap_with(&anchor, rows);
        let questions = |rows: &[Example]| rows.iter().map(Example::prompt_text).collect::<Vec<_>>();
        assert_eq!(questions(&removed), ["你是谁", "请告诉我，是谁开发了你呢？"]);
        assert_eq!(questions(&kept), ["你是谁呀", "谁发明了电话？", "hi"]);
    }

    proptest! {
        #[test]
        fn an_item_always_overlaps_itself(text in "[a-z一-十0-9 ,.?？]{1,120}", answer: String) {
            let index = OverlapIndex::new([("id", &text)]);
            prop_assert_eq!(index.check(&example(&text, &answer)).is_some(), !normalise(&text).is_empty());
        }

        #[test]
        fn normalising_twice_changes_nothing(text: String) {
            let once = normalise(&text);
            prop_assert!(!once.contains(char::is_whitespace));
            prop_assert_eq!(normalise(&once), once);
        }

        #[test]
        fn removing_loses_no_row(
            anchors in prop::collection::vec("[ab]{0,4}", 0..4),
            rows in prop::collection::vec("[ab]{0,4}", 0..8),
        ) {
            let examples = |texts: &[String]| texts.iter().map(|text| example(text, "x")).collect::<Vec<_>>();
            let (kept, removed) = remove_overlap_with(&examples(&anchors), examples(&rows));
            prop_assert_eq!(kept.len() + removed.len(), rows.len());
        }
    }
}
