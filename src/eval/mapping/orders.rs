//! Orders as IFEval's files give them: a list of names such as `punctuation:no_comma`, and a list of objects with the arguments
//! of each (J. Zhou et al., arXiv 2311.07911).

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use super::cell::whole;
use super::file::Orders;
use super::table::Record;
use crate::eval::suite::{Language, Order};

/// What the orders of a row are here.
#[derive(Debug, PartialEq)]
pub(super) enum Read {
    Orders(Vec<Order>),
    /// One of them has no check, by its name.
    NoCheck(String),
}

pub(super) fn read(keys: &Orders, record: &Record) -> Result<Read> {
    let place = &record.place;
    let ids = record.texts(&keys.ids.single("ids")?, None)?;
    ensure!(!ids.is_empty(), "{place}: `{}` is empty", keys.ids.0[0][0]);
    let names = keys.arguments.single("arguments")?;
    let arguments = match record.need(&names)? {
        Value::Array(list) => list,
        Value::String(text) => {
            serde_json::from_str(&text).map_err(|_| anyhow::anyhow!("{place}: `{}` is not a list of objects", names[0]))?
        }
        _ => bail!("{place}: `{}` is not a list of objects", names[0]),
    };
    ensure!(ids.len() == arguments.len(), "{place}: there are {} orders and {} entries of `{}`", ids.len(), arguments.len(), names[0]);
    let mut orders = Vec::new();
    for (id, arguments) in ids.iter().zip(&arguments) {
        let none = Map::new();
        let object = match arguments {
            Value::Object(object) => object,
            Value::Null => &none,
            _ => bail!("{place}: an entry of `{}` is not an object", names[0]),
        };
        match order(id, &Arguments(object)).with_context(|| format!("{place}: `{id}` in `{}`", keys.ids.0[0][0]))? {
            Some(found) => orders.extend(found),
            None => return Ok(Read::NoCheck(named(id, object))),
        }
    }
    Ok(Read::Orders(orders))
}

/// The name, with the language where it is one of those that cannot be told.
fn named(id: &str, arguments: &Map<String, Value>) -> String {
    arguments.get("language").and_then(Value::as_str).map_or_else(|| id.to_owned(), |language| format!("{id} ({language})"))
}

struct Arguments<'a>(&'a Map<String, Value>);

impl Arguments<'_> {
    fn text(&self, key: &str) -> Result<String> {
        let text = self.0.get(key).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty());
        text.map(str::to_owned).with_context(|| format!("`{key}` is missing or not a text"))
    }

    fn texts(&self, key: &str) -> Result<Vec<String>> {
        let list = self.0.get(key).and_then(Value::as_array).filter(|list| !list.is_empty());
        let texts = list.and_then(|list| list.iter().map(|text| text.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>());
        texts.with_context(|| format!("`{key}` is missing or not a list of texts"))
    }

    fn count(&self, key: &str) -> Result<usize> {
        let count = self.0.get(key).and_then(super::cell::plain).as_deref().and_then(whole).and_then(|n| usize::try_from(n).ok());
        count.with_context(|| format!("`{key}` is missing or not a whole number"))
    }

    /// `at least` or `less than` so many, as (at least, at most).
    fn bounds(&self, relation: &str, count: &str) -> Result<(Option<usize>, Option<usize>)> {
        let n = self.count(count)?;
        match self.text(relation)?.as_str() {
            "at least" => Ok((Some(n), None)),
            "less than" => Ok((None, Some(n.checked_sub(1).with_context(|| format!("`{count}` is less than 0"))?))),
            other => bail!("`{relation}` is `{other}`: expected `at least` or `less than`"),
        }
    }
}

/// An order of IFEval as orders of ours; None where there is no check that is the same.
fn order(id: &str, given: &Arguments) -> Result<Option<Vec<Order>>> {
    let one = |order| Ok(Some(vec![order]));
    match id {
        "keywords:existence" => {
            let once = |text: String| Order::Occurrences { text, min: Some(1), max: None };
            Ok(Some(given.texts("keywords")?.into_iter().map(once).collect()))
        }
        "keywords:frequency" => {
            let (min, max) = given.bounds("relation", "frequency")?;
            one(Order::Occurrences { text: given.text("keyword")?, min, max })
        }
        "keywords:letter_frequency" => {
            let (min, max) = given.bounds("let_relation", "let_frequency")?;
            one(Order::Occurrences { text: given.text("letter")?, min, max })
        }
        "keywords:forbidden_words" => one(Order::Exclude { words: given.texts("forbidden_words")? }),
        "language:response_language" => match given.text("language")?.as_str() {
            "en" => one(Order::Language { language: Language::En }),
            "zh" | "zh-cn" | "zh-tw" => one(Order::Language { language: Language::Zh }),
            _ => Ok(None),
        },
        "length_constraints:number_sentences" => {
            let (min, max) = given.bounds("relation", "num_sentences")?;
            one(Order::Sentences { min, max })
        }
        "length_constraints:number_words" => {
            let (min, max) = given.bounds("relation", "num_words")?;
            one(Order::Words { min, max })
        }
        "length_constraints:number_paragraphs" => one(Order::Divided { by: "***".to_owned(), exactly: given.count("num_paragraphs")? }),
        "length_constraints:nth_paragraph_first_word" => one(Order::ParagraphStart {
            of: given.count("num_paragraphs")?,
            nth: given.count("nth_paragraph")?,
            word: given.text("first_word")?,
        }),
        "detectable_content:number_placeholders" => one(Order::Placeholders { min: given.count("num_placeholders")? }),
        "detectable_content:postscript" => one(Order::Occurrences { text: given.text("postscript_marker")?, min: Some(1), max: None }),
        "detectable_format:number_highlighted_sections" => one(Order::Highlights { min: given.count("num_highlights")? }),
        "detectable_format:multiple_sections" => {
            one(Order::Headed { by: given.text("section_spliter")?, min: given.count("num_sections")? })
        }
        "detectable_format:constrained_response" => {
            let texts = ["My answer is yes.", "My answer is no.", "My answer is maybe."].map(str::to_owned).to_vec();
            one(Order::OneOf { texts })
        }
        "detectable_format:json_format" => one(Order::AnyJson),
        "combination:repeat_prompt" => one(Order::Repeat { text: given.text("prompt_to_repeat")? }),
        "startend:end_checker" => one(Order::Closes { text: given.text("end_phrase")? }),
        "change_case:capital_word_frequency" => {
            let (min, max) = given.bounds("capital_relation", "capital_frequency")?;
            one(Order::Capitals { min, max })
        }
        "change_case:english_capital" => one(Order::Uppercase),
        "detectable_format:number_bullet_lists" => one(Order::Bullets { exactly: given.count("num_bullets")? }),
        "detectable_format:title" => one(Order::Title),
        "combination:two_responses" => one(Order::TwoAnswers),
        "startend:quotation" => one(Order::Quoted),
        "change_case:english_lowercase" => one(Order::Lowercase),
        "punctuation:no_comma" => one(Order::NoCharacters { characters: ",".to_owned() }),
        _ => Ok(None),
    }
}
