//! Whether a text explains and whether it compares: words that must be said, in sentences and not in a heap of words.

use super::super::identity::{End, Text};
use super::super::words::{Gap, Word, words};
use super::everyday::EVERYDAY;

/// Whether the sentences of a text say one alternative of each group.
pub(super) fn explains(text: &str, groups: &[Vec<String>]) -> bool {
    let said = Text::new(&sentences(text, &EXPLAINING));
    groups.iter().all(|group| group.iter().any(|word| said.says(word, End::Stem)))
}

/// Whether a text says that it compares, and its sentences name something of everyday life that the question does not: a word of
/// the general list, or of the item's own. Where the text is the part that was asked for (`alone`), a scene compares as well.
pub(super) fn compares(text: &str, own: &[String], asked: &str, alone: bool) -> bool {
    let (said, called) = (sentences(text, &COMPARING), is_called_an_analogy(text));
    let (text, asked) = (Text::new(&said), Text::new(asked));
    let is_marker = |word: &str| MARKERS.iter().any(|marker| marker.trim() == word.trim());
    let scene = alone && SCENES.iter().any(|marker| text.says(marker, End::Stem));
    let marked = called || scene || MARKERS.iter().any(|marker| text.says(marker, End::Stem));
    let things = own.iter().map(String::as_str).filter(|word| !is_marker(word)).chain(EVERYDAY.iter().copied());
    marked && things.into_iter().any(|thing| names(&text, thing) && !names(&asked, thing))
}

/// Whether a thing is named, in singular or plural.
fn names(text: &Text, thing: &str) -> bool {
    let forms = [thing.to_owned(), format!("{thing}s"), format!("{thing}es")];
    let own_words = thing.ends_with(' ') || !thing.is_ascii();
    forms.iter().take(if own_words { 1 } else { 3 }).any(|form| text.says(form.trim(), End::Word))
}

/// "An everyday analogy for a stack is", "类比：".
fn is_called_an_analogy(text: &str) -> bool {
    let lower = text.to_lowercase();
    ["analogy", "metaphor", "comparison", "类比", "比喻"].iter().any(|word| lower.contains(word))
}

const MARKERS: [&str; 54] = [
    "like ",
    "as if",
    "as though",
    "imagine",
    "similar",
    "think of",
    "picture ",
    "just as",
    "akin to",
    "resembl",
    "same way",
    "liken",
    "analogous",
    "suppose",
    "reminds",
    "consider",
    "compare",
    "works the way",
    "much the way",
    "in the way that",
    "像",
    "好比",
    "比如",
    "想象",
    "如同",
    "类似",
    "仿佛",
    "相当于",
    "比作",
    "打个比方",
    "譬如",
    "犹如",
    "宛如",
    "设想",
    "假设",
    "假如",
    "看作",
    "看成",
    "当作",
    "当成",
    "一样",
    "好似",
    "正如",
    "就如",
    "比方",
    "想像",
    "类比",
    "比喻",
    "可以理解为",
    "等于是",
    "好像",
    "就好",
    "打比方",
    "联想",
];

/// How a scene begins that stands for what was explained before it.
const SCENES: [&str; 10] =
    ["if you ", "if a ", "if two ", "if someone ", "when you ", "when a ", "when two ", "when someone ", "如果", "当你"];

/// What a sentence needs to be one: words, and among them words that hold sentences together.
struct Needs {
    words: usize,
    joints: usize,
    characters: usize,
    particles: usize,
}

const EXPLAINING: Needs = Needs { words: 6, joints: 3, characters: 10, particles: 3 };
const COMPARING: Needs = Needs { words: 4, joints: 2, characters: 8, particles: 2 };

/// Words that hold English sentences together.
const JOINTS: [&str; 58] = [
    "the", "a", "an", "of", "to", "in", "is", "are", "was", "were", "be", "and", "that", "which", "it", "its", "as", "for", "with", "by",
    "on", "from", "or", "at", "this", "these", "each", "when", "where", "you", "your", "we", "one", "can", "until", "into", "then", "than",
    "not", "so", "if", "has", "have", "they", "their", "there", "who", "every", "only", "all", "but", "while", "how", "what", "does", "he",
    "she", "his",
];
/// Characters that hold Chinese sentences together.
const PARTICLES: &str = "的是在把就和与了一会将被从到用不中个这那它每都也能时地着过给让其以为由";

/// The sentences of a text, one a line, without those that are only words side by side.
fn sentences(text: &str, needs: &Needs) -> String {
    let mut kept = String::new();
    for sentence in text.split_inclusive(['\n', '。', '！', '？', '!', '?', '；']).flat_map(|piece| piece.split_inclusive(". ")) {
        if is_sentence(&words(sentence), needs) {
            kept.push_str(sentence);
            kept.push('\n');
        }
    }
    kept
}

fn is_sentence(words: &[Word], needs: &Needs) -> bool {
    let chinese = words.iter().filter(|word| word.is_cjk()).count();
    // The longest run without a comma: a heap of words has one word between two of them.
    let longest = |counts: fn(&Word) -> bool| {
        let (mut longest, mut run) = (0, 0);
        for word in words {
            run = if word.gap >= Gap::List { 0 } else { run } + usize::from(counts(word));
            longest = longest.max(run);
        }
        longest
    };
    if 2 * chinese > words.len() {
        let particles: std::collections::BTreeSet<&str> =
            words.iter().map(|word| word.text.as_str()).filter(|text| PARTICLES.contains(text)).collect();
        let spaced = words.iter().filter(|word| word.is_cjk() && word.gap != Gap::None).count();
        chinese >= needs.characters && particles.len() >= needs.particles && longest(Word::is_cjk) >= 5 && 3 * spaced <= chinese
    } else {
        let joints = words.iter().filter(|word| JOINTS.contains(&word.text.as_str())).count();
        words.len() >= needs.words && joints >= needs.joints && 6 * joints >= words.len() && longest(|_| true) >= 3
    }
}
