//! A row as an item.

use anyhow::{Result, anyhow, bail, ensure};
use serde_json::Value;

use super::cell::{Columns, plain, whole};
use super::file::{Answers, By, Choices, Key, Mapping, QuestionLanguage, Safety};
use super::orders::Read;
use super::table::Record;
use super::template::Template;
use super::{code, orders};
use crate::eval::suite::{Item, Language, SystemPrompt, Task, choice_letter};
use crate::random::{derive, shuffle};

/// What becomes of a row.
#[derive(Debug)]
pub(super) enum Made {
    Item(Box<Item>),
    /// It is not asked, for this reason.
    LeftOut(String),
}

/// Where a row stands among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place<'a> {
    /// What it is about.
    pub(super) subject: &'a str,
    /// Rows of the subject before it.
    pub(super) row: usize,
}

impl Mapping {
    /// What a row is about: as the mapping says, or a column `subject`, or what the file's name says.
    pub(super) fn subject(&self, record: &Record, file: &str) -> Result<String> {
        match &self.subject {
            Some(template) => template.fill(record, &[("file", file)]),
            None => Ok(record.text(&["subject".to_owned()]).unwrap_or_else(|_| file.to_owned())),
        }
    }

    pub(super) fn item(&self, record: &Record, place: Place) -> Result<Made> {
        if let Some(why) = self.filtered(record, place.subject)? {
            return Ok(Made::LeftOut(why));
        }
        let row = place.row.to_string();
        let own = [("row", row.as_str()), ("subject", place.subject)];
        let text = |template: &Option<Template>| template.as_ref().map(|template| template.fill(record, &own)).transpose();
        let id = text(&self.id)?.unwrap_or_else(|| format!("{}-{row}", place.subject));
        let cluster = text(&self.cluster)?.unwrap_or_else(|| id.clone());
        let language = self.language(record)?;
        // A space left at the end would be asked after: it moves the boundary between prompt and answer.
        let mut prompt = self.replaced(self.prompt.fill(record, &[])?).trim().to_owned();
        let Some(grading) = self.grading(place.subject) else { bail!("{}: no grader is given for it", record.place) };
        let mut tests = String::new();
        let task = match &grading.by {
            By::Choice(choices) => {
                let options = self.options(choices, record, &mut prompt)?;
                choices.task(record, options, &id)?
            }
            By::Text(answers) => Task::Text { answers: answers.read(record)?, choices: None, gold: None },
            By::Number(answers) => Task::Number { answers: answers.numbers(record)? },
            By::Code(keys) => {
                let task = code::task(keys, record)?;
                if let Task::Code { tests: all, .. } = &task {
                    tests = all.join("\n");
                }
                task
            }
            By::Instructions(keys) => match orders::read(keys, record)? {
                Read::Orders(orders) => Task::Instructions { about: Vec::new(), orders, answer: String::new() },
                Read::NoCheck(name) => return Ok(Made::LeftOut(format!("no check for {name}"))),
            },
            By::Safety(safety) => {
                Task::Safety { harmful: safety.harmful(record)?, content: Vec::new(), require: Vec::new(), answer: String::new() }
            }
        };
        ensure!(!prompt.is_empty(), "{}: the prompt is empty", record.place);
        let shown = options_shown(&task);
        let own = [("prompt", "{prompt}"), ("choices", shown.as_str()), ("tests", tests.as_str())];
        let form = grading.form.as_ref().map(|form| form.fill(record, &own)).transpose()?;
        if let Some(form) = &form {
            let count = form.matches("{prompt}").count();
            ensure!(count == 1, "{}: `form` has {{prompt}} {count} times, values of columns included", record.place);
        }
        Ok(Made::Item(Box::new(Item {
            id,
            cluster,
            language,
            subject: place.subject.to_owned(),
            style: text(&self.style)?,
            system: SystemPrompt::Own,
            prompt,
            form,
            few_shot: None,
            history: Vec::new(),
            task,
            parts: None,
        })))
    }

    /// Why a row is not asked.
    fn filtered(&self, record: &Record, subject: &str) -> Result<Option<String>> {
        for filter in &self.filter {
            let names = filter.column.single("column")?;
            let value = record.first(&names).as_ref().and_then(plain);
            let value = value.or_else(|| (names == ["subject"]).then(|| subject.to_owned())).unwrap_or_default();
            let among = |values: &[String]| values.iter().any(|known| *known == value.trim());
            if among(&filter.is_not) || !filter.is.is_empty() && !among(&filter.is) {
                return Ok(Some(filter.why.clone()));
            }
        }
        Ok(None)
    }

    fn language(&self, record: &Record) -> Result<Language> {
        let column = match &self.language {
            QuestionLanguage::Fixed(language) => return Ok(*language),
            QuestionLanguage::Column(column) => column,
        };
        let names = column.column.single("language.column")?;
        let value = record.text(&names)?;
        let is = |values: &[String], usual: &str| {
            values.iter().any(|known| *known == value.trim()) || values.is_empty() && value.trim().eq_ignore_ascii_case(usual)
        };
        match (is(&column.en, "en"), is(&column.zh, "zh")) {
            (true, false) => Ok(Language::En),
            (false, true) => Ok(Language::Zh),
            _ => bail!("{}: `{}` is `{value}`, which `language` gives no meaning", record.place, names[0]),
        }
    }

    fn replaced(&self, text: String) -> String {
        self.replace.iter().fold(text, |text, (from, to)| text.replace(from, to))
    }

    /// The options; those that the prompt itself lists are taken off it.
    fn options(&self, choices: &Choices, record: &Record, prompt: &mut String) -> Result<Vec<String>> {
        let options = if let Some(texts) = &choices.texts {
            texts.clone()
        } else if let Some(line) = &choices.lines_after {
            let (question, lines) = prompt
                .rsplit_once(line.as_str())
                .ok_or_else(|| anyhow!("{}: the prompt has no `{line}`, after which its options would be", record.place))?;
            let options = lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(without_mark).collect();
            *prompt = question.trim().to_owned();
            options
        } else {
            let Some(columns) = &choices.columns else { bail!("[choices] has no options") };
            match columns.present(record) {
                [list] => record.texts(std::slice::from_ref(list), choices.separator.as_deref())?,
                several => several.iter().map(|name| record.text(std::slice::from_ref(name))).collect::<Result<_>>()?,
            }
        };
        let options: Vec<String> = options.into_iter().map(|option| self.replaced(option).trim().to_owned()).collect();
        ensure!((2..=26).contains(&options.len()), "{}: there are {} options: 2 to 26 are possible", record.place, options.len());
        if let Some(index) = options.iter().position(String::is_empty) {
            bail!("{}: option {} is empty", record.place, choice_letter(index));
        }
        Ok(options)
    }
}

/// `text` of `(A) text`, `A. text` and `- text`.
fn without_mark(line: &str) -> String {
    let marked = line.strip_prefix('(').and_then(|rest| rest.split_once(')')).filter(|(mark, _)| mark.chars().count() <= 2);
    let lettered = || line.split_once(['.', ')', ':']).filter(|(mark, _)| mark.chars().count() == 1);
    let rest = line.strip_prefix("- ").or_else(|| marked.or_else(lettered).map(|(_, rest)| rest));
    rest.unwrap_or(line).trim().to_owned()
}

/// Options as a question shows them, for a form of the mapping's own.
fn options_shown(task: &Task) -> String {
    let Task::Choice { choices, .. } = task else { return String::new() };
    let line = |(index, choice): (usize, &String)| format!("{}. {choice}", choice_letter(index));
    choices.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
}

impl Choices {
    fn task(&self, record: &Record, mut options: Vec<String>, id: &str) -> Result<Task> {
        let names = self.answer.single("answer")?;
        let answer = record.need(&names).map_err(|error| match &self.hint {
            Some(hint) => error.context(hint.clone()),
            None => error,
        })?;
        let labels = match &self.labels {
            Some(labels) => record.texts(&labels.single("labels")?, None)?,
            None => Vec::new(),
        };
        ensure!(
            labels.is_empty() || labels.len() == options.len(),
            "{}: there are {} labels for {} options",
            record.place,
            labels.len(),
            options.len()
        );
        let found = self.key.iter().find_map(|key| key.find(&answer, &options, &labels));
        let mut gold = found.ok_or_else(|| {
            let kinds: Vec<&str> = self.key.iter().map(|key| key.expected()).collect();
            let shown = plain(&answer).unwrap_or_else(|| answer.to_string());
            anyhow!("{}: `{}` is `{shown}`: expected {} of {} options", record.place, names[0], kinds.join(" or "), options.len())
        })?;
        if self.shuffle {
            let order = shuffle((0..options.len()).collect::<Vec<_>>(), derive(0, &["options", id]));
            gold = order.iter().position(|index| *index == gold).unwrap_or(gold);
            options = order.into_iter().map(|index| options[index].clone()).collect();
        }
        Ok(Task::Choice { choices: options, gold })
    }
}

impl Key {
    fn expected(self) -> &'static str {
        match self {
            Self::Letter => "a letter",
            Self::Index => "an index from 0",
            Self::IndexFrom1 => "an index from 1",
            Self::Text => "the text",
            Self::Label => "the label",
            Self::Flags => "a list with one 1",
        }
    }

    /// The option that an answer means.
    fn find(self, answer: &Value, options: &[String], labels: &[String]) -> Option<usize> {
        let text = plain(answer).map(|text| text.trim().to_owned());
        let only = |found: Vec<usize>| if let [one] = found.as_slice() { Some(*one) } else { None };
        let within = |index: i64| usize::try_from(index).ok().filter(|index| *index < options.len());
        match self {
            Self::Letter => {
                let text = text?;
                let letter = text.trim_matches(|c: char| !c.is_alphanumeric());
                (0..options.len()).find(|index| letter.eq_ignore_ascii_case(&choice_letter(*index).to_string()))
            }
            Self::Index => within(whole(&text?)?),
            Self::IndexFrom1 => within(whole(&text?)?.checked_sub(1)?),
            Self::Text => {
                let text = text?;
                only((0..options.len()).filter(|index| options[*index].trim() == text).collect())
            }
            Self::Label => {
                let text = text?;
                only((0..labels.len()).filter(|index| labels[*index].trim() == text).collect())
            }
            Self::Flags => {
                let parsed: Option<Value> = text.and_then(|text| serde_json::from_str(&text).ok());
                let flags = parsed.as_ref().unwrap_or(answer).as_array()?;
                let is_set = |flag: &Value| flag == &Value::Bool(true) || plain(flag).as_deref().and_then(whole) == Some(1);
                if flags.len() == options.len() { only((0..flags.len()).filter(|index| is_set(&flags[*index])).collect()) } else { None }
            }
        }
    }
}

impl Answers {
    /// The accepted answers of a row.
    fn read(&self, record: &Record) -> Result<Vec<String>> {
        let mut answers: Vec<String> = Vec::new();
        let names = self.columns.present(record);
        for name in names {
            let one = std::slice::from_ref(name);
            match record.first(one) {
                // Further columns hold spellings that not every row has.
                None if !answers.is_empty() => {}
                None => drop(record.need(one)?),
                Some(Value::Array(_)) => answers.extend(record.texts(one, None)?),
                Some(Value::String(text)) if text.trim_start().starts_with("[\"") => answers.extend(record.texts(one, None)?),
                Some(_) if self.separator.is_some() => {
                    let text = record.text(one)?;
                    answers.extend(text.split(self.separator.as_deref().unwrap_or_default()).map(str::to_owned));
                }
                Some(_) => answers.push(record.text(one)?),
            }
        }
        if let Some(mark) = &self.after {
            let after = |answer: &String| answer.rsplit_once(mark.as_str()).map(|(_, answer)| answer.to_owned());
            answers = answers
                .iter()
                .map(after)
                .collect::<Option<_>>()
                .ok_or_else(|| anyhow!("{}: `{}` has no `{mark}`, after which its answer would be", record.place, names[0]))?;
        }
        let answers: Vec<String> = answers.iter().map(|answer| answer.trim().to_owned()).filter(|answer| !answer.is_empty()).collect();
        let told = answers.iter().any(|answer| answer.chars().any(char::is_alphanumeric));
        ensure!(told, "{}: `{}` has no letter or digit that an answer could be known by", record.place, names[0]);
        Ok(answers)
    }

    /// The same, as numbers.
    fn numbers(&self, record: &Record) -> Result<Vec<String>> {
        let answers: Vec<String> = self.read(record)?.iter().map(|answer| answer.replace([',', '$'], "")).collect();
        let in_digits = answers.iter().any(|answer| answer.chars().any(|c| c.is_ascii_digit()));
        ensure!(
            in_digits,
            "{}: `{}` is `{}`, which has no number in digits",
            record.place,
            self.columns.present(record)[0],
            answers.join(", ")
        );
        Ok(answers)
    }
}

impl Safety {
    fn harmful(&self, record: &Record) -> Result<bool> {
        let names = self.column.single("column")?;
        let value = record.text(&names)?;
        let among = |values: &[String]| values.iter().any(|known| known == value.trim());
        match (among(&self.harmful), among(&self.harmless)) {
            (true, false) => Ok(true),
            (false, true) => Ok(false),
            _ => bail!("{}: `{}` is `{value}`, which [safety] lists neither as harmful nor as harmless", record.place, names[0]),
        }
    }
}

/// Texts of the columns that are there, for code.
pub(super) fn present_texts(columns: &Columns, record: &Record) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for name in columns.0.iter().flatten() {
        let one = std::slice::from_ref(name);
        match record.get(name) {
            None => {}
            Some(Value::Array(_)) => texts.extend(record.texts(one, None)?),
            Some(value) if plain(&value).is_some_and(|text| text.trim().is_empty()) => {}
            Some(_) => texts.push(record.text(one)?),
        }
    }
    Ok(texts)
}
