//! Questions that do not ask who the model is: right is any answer that neither names the new identity nor is broken.
//!
//! Wrong are: a name or author, or a part of one ("CSDN" of "CSDN Robin"); eight words in a row (in Chinese, characters) of a row
//! that teaches the identity; a claim to be another model; the question given back; a repetition without end; nothing. A part of
//! a Latin name counts as written, from three letters, a part of a Chinese one from two characters.
//!
//! Strict, verdict and lenient are one. Whether the answer is any good is not judged here.

use super::identity::{End, IdentityTerms, Text};
use super::words::{Word, compose, is_cjk, parrots, words};
use super::{Level, Reading, outcome};
use crate::eval::suite::Item;

/// Words in a row that are no coincidence.
const RUN: usize = 8;

pub(super) fn read(item: &Item, identity: &IdentityTerms, answer: &str) -> Reading {
    let spoken = answer.chars().any(char::is_alphanumeric);
    let fault = fault(item, identity, answer);
    let right = spoken && fault.is_none();
    Reading { level: Level::of(right, right, right), parsed: spoken, extracted: None, detail: fault }
}

fn fault(item: &Item, identity: &IdentityTerms, answer: &str) -> Option<String> {
    if outcome::leaks_identity(item, identity, answer) {
        return Some("names the identity where nobody asked".to_owned());
    }
    if let Some(part) = part_of_a_name(&item.prompt, identity, answer) {
        return Some(format!("says `{part}`, a part of the identity"));
    }
    let said = words(answer);
    if let Some(run) = recited(&said, &item.prompt, identity) {
        return Some(format!("recites a training row: `{run}`"));
    }
    if let Some(form) = outcome::residue(item, identity, answer) {
        return Some(format!("claims to be `{form}`"));
    }
    if parrots(&said, &item.prompt) {
        return Some("gives the question back".to_owned());
    }
    outcome::goes_round(answer).then(|| "repeats itself".to_owned())
}

/// A part of an own name that the question does not hold.
fn part_of_a_name(prompt: &str, identity: &IdentityTerms, answer: &str) -> Option<String> {
    let (composed, asked) = (compose(answer), compose(prompt));
    let latin = |text: &str, part: &str| text.split(|c: char| !c.is_alphanumeric() || is_cjk(c)).any(|word| word == part);
    for term in identity.known() {
        for part in compose(term).split(|c: char| !c.is_alphanumeric() || is_cjk(c)).filter(|part| part.chars().count() >= 3) {
            if latin(&composed, part) && !latin(&asked, part) {
                return Some(part.to_owned());
            }
        }
        let chinese: Vec<char> = compose(term).chars().filter(|c| is_cjk(*c)).collect();
        // Two characters of a name of two or three are too common by themselves; of a longer one, three are needed.
        let length = if chinese.len() > 3 { 3 } else { 2 };
        for part in chinese.windows(length).map(|part| part.iter().collect::<String>()) {
            if Text::new(answer).says(&part, End::Stem) && !Text::new(prompt).says(&part, End::Stem) {
                return Some(part);
            }
        }
    }
    None
}

/// A run of words of a training row that the question does not hold.
fn recited(said: &[Word], prompt: &str, identity: &IdentityTerms) -> Option<String> {
    let texts = |words: &[Word]| words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
    let (said, asked) = (texts(said), texts(&words(prompt)));
    let rows: Vec<Vec<String>> = identity.taught.iter().map(|row| texts(&words(row))).collect();
    let holds = |text: &[String], run: &[String]| text.windows(RUN).any(|window| window == run);
    said.windows(RUN).find(|run| rows.iter().any(|row| holds(row, run)) && !holds(&asked, run)).map(|run| run.join(" "))
}
