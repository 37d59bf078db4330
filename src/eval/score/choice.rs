//! Multiple choice: the letter of an option, or failing a letter its text.
//!
//! Strict: nothing but the letter, announced or not, with or without its own option's text (B, (B), Answer: B, 选B, "B. puppy").
//! Verdict: the one letter that follows "answer", 答案 or 选 in the last line that has one; without such a line the one letter
//! that a line begins with; where no letter is declared, the one option whose text is mentioned. An answer that the token limit
//! cut is right only if it declared a letter, in this way or in its first line. Lenient: also a single letter elsewhere, or the one option that the first sentence mentions.
//! Unparsed: none of these, two different letters, a letter with a text that is not its option's, or several options named.
//!
//! An "A" that begins a noun phrase (A dog is ...) is an article. Lines that repeat the options declare nothing.

use std::collections::BTreeSet;
use std::ops::Range;

use super::words::{Word, asks_for_the_odd_one, compose, is_cjk, mentions, needle, negated, opening, parrots, words};
use super::{Level, Reading};
use crate::eval::suite::choice_letter;

pub(super) fn read(choices: &[String], gold: usize, prompt: &str, answer: &str, truncated: bool) -> Reading {
    let text = plain(answer);
    let declared = declared(&text, choices);
    let mut lenient = false;
    let (chosen, doubt) = match declared {
        Declared::One(letter) => (Some(letter), ""),
        Declared::Doubtful(why) => (None, why),
        Declared::None => {
            let hay = words(answer);
            let odd_one = asks_for_the_odd_one(prompt);
            let all = if parrots(&hay, prompt) { BTreeSet::new() } else { named(&hay, choices, odd_one) };
            let letters: BTreeSet<usize> = loose_letters(&text, choices.len());
            let first = if all.is_empty() { BTreeSet::new() } else { named(&words(&opening(answer).0), choices, odd_one) };
            lenient = only(&letters) == Some(gold) || only(&first) == Some(gold);
            (only(&all), if all.is_empty() { "no option" } else { "several options" })
        }
    };
    let found = chosen == Some(gold);
    let right = found && (!truncated || is_settled(&text, choices));
    lenient |= found;
    let strict = right && matches!(declared, Declared::One(letter) if is_bare(&text, letter, &choices[letter]));
    let by_letter = matches!(declared, Declared::One(_));
    let extracted = chosen.map(|index| if by_letter { choice_letter(index).to_string() } else { choices[index].clone() });
    let detail = match chosen {
        Some(_) if right => None,
        Some(_) if found => Some(format!("cut before it announced an answer, not {}", choice_letter(gold))),
        Some(_) => Some(format!("not {}", choice_letter(gold))),
        None => Some(format!("{doubt}, not {}", choice_letter(gold))),
    };
    Reading { level: Level::of(strict, right, lenient), parsed: chosen.is_some(), extracted, detail }
}

/// What the letters of an answer say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declared {
    One(usize),
    Doubtful(&'static str),
    None,
}

fn declared(text: &str, choices: &[String]) -> Declared {
    let alone: Vec<char> = text.chars().filter(|c| c.is_alphanumeric()).collect();
    if let [only] = alone.as_slice()
        && let Some(letter) = letter_index(only.to_ascii_uppercase(), choices.len())
    {
        return Declared::One(letter);
    }
    if let Some(declared) = final_letter(text, choices) {
        return declared;
    }
    let leading: Vec<Leading> = text.lines().filter_map(|line| leading(line.trim(), choices)).collect();
    let mut letters: BTreeSet<usize> = announced(text, choices.len());
    let announced = letters.clone();
    letters.extend(leading.iter().filter(|line| line.rest.is_empty()).flat_map(|line| &line.letters));
    let options: Vec<&Leading> = leading.iter().filter(|line| !line.rest.is_empty()).collect();
    let listed: BTreeSet<usize> = options.iter().flat_map(|line| &line.letters).copied().collect();
    if listed.len() == 1 || options.iter().any(|line| line.letters.len() > 1) {
        letters.extend(&listed);
    }
    match only(&letters) {
        Some(letter) if options.iter().any(|line| line.letters == [letter] && is_another(&line.rest, letter, choices)) => {
            Declared::Doubtful("the letter of one option with the text of another")
        }
        Some(letter)
            if !announced.contains(&letter)
                && options.iter().any(|line| line.letters == [letter] && is_foreign(line, &choices[letter])) =>
        {
            Declared::Doubtful("a letter with a text that is not its option's")
        }
        Some(letter) => Declared::One(letter),
        None if letters.len() > 1 => Declared::Doubtful("several letters"),
        None if listed.len() > 1 => Declared::Doubtful("repeats the options"),
        None => Declared::None,
    }
}

/// The one letter that the last announcing line names, where answers of several lines end in one.
fn final_letter(text: &str, choices: &[String]) -> Option<Declared> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let last = lines.rfind(|line| !announced(line, choices.len()).is_empty())?;
    lines.next()?;
    let letter = only(&announced(last, choices.len()))?;
    let told = leading(last.trim(), choices).is_some();
    let text_after = last.rfind(choice_letter(letter)).map_or("", |at| last[at + 1..].trim_start_matches(|c: char| !c.is_alphanumeric()));
    if is_another(text_after, letter, choices) {
        return Some(Declared::Doubtful("the letter of one option with the text of another"));
    }
    (!told).then_some(Declared::One(letter))
}

/// Whether a cut answer had declared its letter: in an announcement that something follows, or at its beginning.
fn is_settled(text: &str, choices: &[String]) -> bool {
    let first = text.lines().find(|line| !line.trim().is_empty());
    !announced(text, choices.len()).is_empty() || first.is_some_and(|line| leading(line.trim(), choices).is_some())
}

/// Whether what follows a letter has nothing to do with its option: neither its words nor an explanation.
fn is_foreign(line: &Leading, choice: &str) -> bool {
    const EXPLANATIONS: [&str; 16] =
        ["因", "由", "所以", "根据", "正确", "对", "错", "不", "是", "correct", "right", "true", "false", "wrong", "this", "it "];
    let rest = line.rest.to_lowercase();
    let explains = explains(&line.rest) || EXPLANATIONS.iter().any(|word| rest.starts_with(word));
    let own = needle(choice);
    let shares = words(&line.rest).iter().any(|word| own.iter().any(|other| other.text == word.text));
    line.labelled && !explains && !shares
}

/// A line that begins with a letter as its answer.
#[derive(Debug)]
struct Leading {
    letters: Vec<usize>,
    /// What follows; empty when nothing with a letter or digit does.
    rest: String,
    /// Whether the letter is written like a label: `A.`, `A)`, `A、`.
    labelled: bool,
}

fn leading(line: &str, choices: &[String]) -> Option<Leading> {
    const LABELS: [&str; 4] = ["option ", "choice ", "选项", "选择"];
    let line = line.strip_prefix("- ").unwrap_or(line);
    let label = LABELS.iter().find(|label| line.to_lowercase().starts_with(**label));
    let chars: Vec<char> = line.chars().skip(label.map_or(0, |label| label.chars().count())).collect();
    let open = usize::from(matches!(chars.first(), Some('(' | '[' | '【' | '<')));
    let (letters, end) = letters_at(&chars, open, choices.len())?;
    let tail: String = chars[end..].iter().collect();
    let rest = tail.trim_start_matches(|c: char| !c.is_alphanumeric()).to_owned();
    if denies(&rest) && !choices.iter().any(|choice| same_words(&rest, choice)) {
        return None;
    }
    let marked = match chars.get(end) {
        None | Some('.' | ':' | ',' | ')' | '、' | ';' | '。' | '】' | ']') => true,
        Some('项' | '选' | '是' | '对' | '正') => !is_article(&chars, open),
        Some(' ') => matches!(chars.get(end + 1), Some('-' | '–' | '—' | '(')) || explains(tail.trim_start()),
        Some(_) => false,
    };
    let own_text = same_words(&rest, &choices[letters[0]]) || (!is_article(&chars, open) && is_another(&rest, letters[0], choices));
    let closed = open == 1 && end > open + 1;
    let labelled = matches!(chars.get(end), Some('.' | ':' | ')' | '、')) || closed;
    (marked || closed || label.is_some() || own_text || rest.is_empty()).then_some(Leading { letters, rest, labelled })
}

/// The letters that follow an announcement.
fn announced(text: &str, count: usize) -> BTreeSet<usize> {
    const STRONG: [&str; 12] =
        ["answer", "answers", "choose", "chose", "select", "pick", "go with", "答案", "选择", "选", "正确的是", "答"];
    // "Option A: ..." may just describe an option, "the correct option is A" does not.
    const WEAK: [&str; 3] = ["option", "choice", "选项"];
    let chars: Vec<char> = text.chars().collect();
    let lower: Vec<char> = chars.iter().map(char::to_ascii_lowercase).collect();
    let mut letters = BTreeSet::new();
    for (words, weak) in [(STRONG.as_slice(), false), (WEAK.as_slice(), true)] {
        for word in words {
            let word: Vec<char> = word.chars().collect();
            for start in (0..lower.len()).filter(|start| lower[*start..].starts_with(&word)) {
                let before: String = lower[start.saturating_sub(6)..start].iter().collect();
                let before = before.trim_end();
                if before.ends_with("not") || before.ends_with("n't") || before.ends_with('不') {
                    continue;
                }
                let (at, linked) = skip_fillers(&lower, start + word.len());
                let Some((found, end)) = letters_at(&chars, at, count) else { continue };
                let after: String = chars[end..].iter().collect();
                if (linked || !weak) && !is_article(&chars, at) && !denies(after.trim_start()) {
                    letters.extend(found);
                }
            }
        }
    }
    letters
}

/// Past "is", "the correct option", 是 and the like, and whether any of these that links was there.
fn skip_fillers(lower: &[char], from: usize) -> (usize, bool) {
    const FILLERS: [(&str, bool); 20] = [
        ("is", true),
        ("are", true),
        ("be", true),
        ("would", true),
        ("should", true),
        (":", true),
        ("=", true),
        ("是", true),
        ("为", true),
        ("应", true),
        ("the", false),
        ("correct", false),
        ("best", false),
        ("option", false),
        ("choice", false),
        ("letter", false),
        ("该", false),
        ("选项", false),
        ("选", false),
        ("项", false),
    ];
    let (mut at, mut linked) = (from, false);
    loop {
        let spaces = lower[at.min(lower.len())..].iter().take_while(|c| matches!(c, ' ' | '\n' | '(' | '[' | '<')).count();
        let here = &lower[(at + spaces).min(lower.len())..];
        let filler = FILLERS.iter().find(|(word, _)| {
            let length = word.chars().count();
            let whole = !word.starts_with(|c: char| c.is_ascii_alphabetic()) || here.get(length).is_none_or(|c| !c.is_ascii_alphanumeric());
            here.iter().take(length).copied().eq(word.chars()) && whole
        });
        at += spaces;
        let Some((word, links)) = filler else { return (at, linked) };
        at += word.chars().count();
        linked |= links;
    }
}

/// The letter at a place, with those that continue it (A and B; A、B), and where they end.
fn letters_at(chars: &[char], at: usize, count: usize) -> Option<(Vec<usize>, usize)> {
    const JOINTS: [&str; 11] = [",", "、", "/", "&", "和", "与", "及", "或", "and ", "or ", ""];
    let mut letters = vec![letter_at(chars, at, count)?];
    let mut end = at + 1;
    loop {
        let skip = |from: usize, skipped: &[char]| from + chars[from.min(chars.len())..].iter().take_while(|c| skipped.contains(c)).count();
        let joint = skip(end, &[' ', ')', ']', '】']);
        let next = JOINTS.iter().find_map(|word| {
            let word: Vec<char> = word.chars().collect();
            let here = chars.get(joint..joint + word.len())? == word;
            let at = skip(joint + word.len(), &[' ', '(', '[', '【']);
            let separate = at > end && here && !is_article(chars, at);
            separate.then(|| letter_at(chars, at, count).map(|letter| (letter, at + 1))).flatten()
        });
        let Some((letter, after)) = next else { break };
        letters.push(letter);
        end = after;
    }
    if matches!(chars.get(end), Some(')' | ']' | '】' | '>')) {
        end += 1;
    }
    letters.dedup();
    Some((letters, end))
}

/// The index of a capital letter that stands alone.
fn letter_at(chars: &[char], at: usize, count: usize) -> Option<usize> {
    let index = letter_index(*chars.get(at)?, count)?;
    let in_word = |c: Option<&char>| c.is_some_and(|c| (c.is_alphanumeric() && !is_cjk(*c)) || *c == '\'');
    let hyphenated = matches!(chars.get(at + 1), Some('-')) && chars.get(at + 2).is_some_and(|c| c.is_alphanumeric());
    (!in_word(at.checked_sub(1).and_then(|before| chars.get(before))) && !in_word(chars.get(at + 1)) && !hyphenated).then_some(index)
}

fn letter_index(c: char, count: usize) -> Option<usize> {
    (0..count).find(|index| choice_letter(*index) == c)
}

/// "A dog", "I think": the letter is a word of the sentence.
fn is_article(chars: &[char], at: usize) -> bool {
    let rest: String = chars.get(at + 1..).unwrap_or_default().iter().collect();
    let next = rest.trim_start();
    matches!(chars.get(at), Some('A' | 'I')) && next.len() < rest.len() && next.starts_with(|c: char| c.is_lowercase()) && !explains(next)
}

/// What follows a letter that is meant as one.
fn explains(rest: &str) -> bool {
    let first: String = rest.chars().take_while(|c| c.is_alphabetic()).collect();
    ["is", "because", "since", "as", "and", "or", "for", "would", "but", "due", "seems"].contains(&first.as_str())
}

/// Whether what follows a letter says that it is not the answer; "C不是A" says that it is.
fn denies(rest: &str) -> bool {
    let contrast = rest.strip_prefix("不是").is_some_and(|rest| rest.trim_start().starts_with(|c: char| c.is_ascii_uppercase()));
    let denials = ["is not", "isn't", "is wrong", "is incorrect", "is false", "cannot", "不是", "不对", "不正确", "不符", "是错", "错"];
    !contrast && denials.iter().any(|denial| rest.starts_with(denial))
}

/// Options mentioned and not denied; a text inside a longer option's text is not a mention of its own.
fn named(hay: &[Word], choices: &[String], odd_one: bool) -> BTreeSet<usize> {
    let found: Vec<Vec<Range<usize>>> = choices.iter().map(|choice| mentions(hay, &needle(choice))).collect();
    let inside =
        |at: &Range<usize>| found.iter().flatten().any(|wider| wider.len() > at.len() && wider.start <= at.start && at.end <= wider.end);
    let counts = |at: &Range<usize>| !inside(at) && !negated(hay, at, odd_one);
    (0..choices.len()).filter(|index| found[*index].iter().any(counts)).collect()
}

fn loose_letters(text: &str, count: usize) -> BTreeSet<usize> {
    let chars: Vec<char> = text.chars().collect();
    let denied = |at: usize| denies(chars[at + 1..].iter().collect::<String>().trim_start());
    (0..chars.len()).filter(|at| !is_article(&chars, *at)).filter_map(|at| letter_at(&chars, at, count).filter(|_| !denied(at))).collect()
}

/// Whether the letter, its announcement and its own option's text are all that is said.
fn is_bare(text: &str, letter: usize, choice: &str) -> bool {
    const ANNOUNCING: [&str; 18] = [
        "the",
        "correct",
        "right",
        "best",
        "final",
        "answer",
        "is",
        "option",
        "choice",
        "letter",
        "i",
        "choose",
        "pick",
        "select",
        "would",
        "so",
        "therefore",
        "thus",
    ];
    let mut said: Vec<String> = words(text).into_iter().map(|word| word.text).collect();
    let option: Vec<String> = needle(choice).into_iter().map(|word| word.text).collect();
    let name = choice_letter(letter).to_ascii_lowercase().to_string();
    if said.len() > option.len() && said.ends_with(&option) {
        said.truncate(said.len() - option.len());
        // The option's own article; the letter itself stands further left.
        if said.len() > 1 && matches!(said[said.len() - 1].as_str(), "a" | "an" | "the") && said[..said.len() - 1].contains(&name) {
            said.pop();
        }
    }
    let announces = |word: &String| {
        ANNOUNCING.contains(&word.as_str()) || word.chars().all(|c| "正确答案是为应该选择项我的所以因此本题故字母".contains(c))
    };
    said.iter().filter(|word| **word == name).count() == 1 && said.iter().all(|word| *word == name || announces(word))
}

fn is_another(rest: &str, letter: usize, choices: &[String]) -> bool {
    choices.iter().enumerate().any(|(index, choice)| index != letter && same_words(rest, choice))
}

fn same_words(left: &str, right: &str) -> bool {
    let (left, right) = (needle(left), needle(right));
    left.iter().map(|word| &word.text).eq(right.iter().map(|word| &word.text))
}

fn only(set: &BTreeSet<usize>) -> Option<usize> {
    set.first().copied().filter(|_| set.len() == 1)
}

/// Without marks of emphasis and quotation; `\boxed` is an announcement.
fn plain(answer: &str) -> String {
    let text = compose(answer).replace("\\boxed{", "answer ").replace("\\text{", "");
    text.chars()
        .filter(|c| !matches!(c, '*' | '_' | '`' | '#' | '"' | '“' | '”' | '「' | '」' | '『' | '』' | '$' | '{' | '}'))
        .collect::<String>()
        .trim()
        .to_owned()
}

#[cfg(test)]
mod tests;
