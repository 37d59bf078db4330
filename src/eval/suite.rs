//! The questions of a suite: a folder with `suite.toml` and `items.jsonl`, read strictly into plain values.
//!
//! A key nobody reads, a field of another grader, a gold out of range or a declared chance level that the items do not
//! have is an error with file and line: a suite that is read wrongly measures something else without any sign of it.
//! Nothing here knows how an answer is graded; that is `score`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};

use super::run::Asking;
use crate::files::{read_text, sha256};

/// A set of questions that is reported as one number.
#[derive(Debug, Clone, PartialEq)]
pub struct Suite {
    /// Name, as in tables and on the command line.
    pub name: String,
    /// Raised when items change meaning.
    pub version: u32,
    /// One sentence for reports.
    pub description: String,
    /// Longest answer a model may give.
    pub max_new_tokens: usize,
    /// What a verdict rests on.
    pub scoring: Scoring,
    /// Accuracy of a random chooser.
    pub chance: f64,
    /// In file order.
    pub items: Vec<Item>,
    /// sha256 over the values of `suite.toml` and the items in the order of their ids: two files with the same digest ask the same.
    pub digest: String,
}

/// What a verdict rests on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scoring {
    /// The answer the model generates.
    #[default]
    Generated,
    /// The option the model finds most probable; nothing is generated. For suites of choices only.
    Likelihood,
}

/// One question and its key.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Unique in the suite.
    pub id: String,
    /// Items of one cluster are variations or translations of each other and share their luck.
    pub cluster: String,
    /// Language of the question, and so of the expected answer.
    pub language: Lang,
    /// What the question is about; strata of a subset.
    pub subject: String,
    /// How it is asked: plain, paraphrase, adversarial.
    pub style: Option<String>,
    /// The system prompt it is asked under.
    pub system: SystemPrompt,
    /// The question as written, without options and instructions.
    pub prompt: String,
    /// The user's message with `{prompt}` where the prompt goes, for a benchmark that is asked in words of its own; None puts
    /// the usual instruction after the prompt. Apart from the prompt, so that rows trained on are compared with the question
    /// and not with an instruction that half the field uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub form: Option<String>,
    /// What a right answer is.
    pub task: Task,
}

/// The program that an item asks for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Program<'a> {
    /// Name of the function.
    pub entry_point: &'a str,
    /// A right solution.
    pub reference: &'a str,
    /// What must hold of it.
    pub tests: &'a [String],
    /// Python that runs before it and before the tests; may be empty.
    pub setup: &'a str,
}

/// Which system prompt a question is asked under.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SystemPrompt {
    /// The experiment's.
    #[default]
    Own,
    /// No system message: the model's chat template puts its own default, which may itself state an identity.
    Default,
    /// A system message without text.
    Empty,
}

/// Language of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Lang {
    /// Chinese.
    Zh,
    /// English.
    En,
}

/// What a right answer is, by grader.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "grader", rename_all = "lowercase")]
pub enum Task {
    /// A short answer in words.
    Text {
        /// Accepted answers, spelling variants and aliases included.
        answers: Vec<String>,
        /// The same question as multiple choice, for scoring by likelihood; also the alternatives an answer must not list.
        choices: Option<Vec<String>>,
        /// Index of the right choice.
        gold: Option<usize>,
    },
    /// A number.
    Number {
        /// Accepted answers; number words only count where they are written here.
        answers: Vec<String>,
    },
    /// The letter of an option.
    Choice {
        /// Option texts, in the order shown.
        choices: Vec<String>,
        /// Index of the right one.
        gold: usize,
    },
    /// A Python function.
    Code {
        /// Name of the function.
        entry_point: String,
        /// Imports and helper functions that the answer and the tests may use: run before each of them, in its own process.
        #[serde(skip_serializing_if = "String::is_empty")]
        setup: String,
        /// A right solution.
        reference: String,
        /// `assert` statements, never shown to the model.
        tests: Vec<String>,
    },
    /// A statement about the model itself.
    Identity {
        /// Groups of alternatives; one of each group must be said.
        require: Vec<Vec<String>>,
        /// What must not be said.
        forbid: Vec<String>,
    },
    /// Anything that does not name the new identity: nobody asked for it.
    Leakage,
    /// An explanation, an analogy and a Python function, asked for at once.
    Composite {
        /// Name of the function.
        entry_point: String,
        /// A right solution.
        reference: String,
        /// `assert` statements, never shown to the model.
        tests: Vec<String>,
        /// Groups of alternatives; an explanation says one of each group.
        explain: Vec<Vec<String>>,
        /// Words of which an analogy says one.
        analogy: Vec<String>,
        /// A complete right answer, for checks of the suite.
        answer: String,
    },
}

/// Reads `suite.toml` and `items.jsonl` of a folder.
pub fn load_suite(folder: &Path) -> Result<Suite> {
    let settings = read_text(&folder.join("suite.toml"))?;
    let items = read_text(&folder.join("items.jsonl"))?;
    parse_suite(&settings, &items, &folder.display().to_string())
}

/// The suite of two texts; `label` is the folder named in errors.
pub fn parse_suite(suite_toml: &str, items_jsonl: &str, label: &str) -> Result<Suite> {
    let settings: Settings = toml::from_str(suite_toml).with_context(|| format!("{label}/suite.toml"))?;
    let mut items = Vec::new();
    let mut ids = BTreeSet::new();
    for (index, line) in items_jsonl.lines().enumerate() {
        let item = parse_item(line, &settings).with_context(|| format!("{label}/items.jsonl:{}", index + 1))?;
        ensure!(ids.insert(item.id.clone()), "{label}/items.jsonl:{}: the id `{}` is taken by an earlier line", index + 1, item.id);
        items.push(item);
    }
    ensure!(!items.is_empty(), "{label}/items.jsonl: there is no item");
    ensure!(settings.max_new_tokens > 0, "{label}/suite.toml: max_new_tokens must be at least 1");
    if settings.scoring == Scoring::Likelihood
        && let Some(item) = items.iter().find(|item| !matches!(item.task, Task::Choice { .. }))
    {
        bail!("{label}/suite.toml: scoring is by likelihood, but item `{}` is not of grader choice", item.id);
    }
    let chance = items.iter().map(Item::chance).sum::<f64>() / items.len() as f64;
    ensure!(
        (settings.chance - chance).abs() < 0.005,
        "{label}/suite.toml: chance is {}, but a random chooser scores {chance:.3} on these items",
        settings.chance
    );
    let digest = settings.digest(&items)?;
    let Settings { name, version, grader: _, max_new_tokens, scoring, chance, description, sets: _ } = settings;
    Ok(Suite { name, version, description, max_new_tokens, scoring, chance, items, digest })
}

impl Suite {
    /// How its items are asked.
    pub fn asking(&self) -> Asking {
        Asking { max_new_tokens: self.max_new_tokens, scoring: self.scoring }
    }

    /// The items of a language, or of both, and of these a seeded subset in file order.
    ///
    /// The subset is stratified by language and subject in proportion to their sizes, and nested: with the same seed a
    /// smaller count is a subset of a larger one. The draw sees ids only, so the order of lines in the file is free.
    pub fn select(&self, lang: Option<Lang>, count: Option<usize>, seed: u64) -> Vec<&Item> {
        let candidates: Vec<&Item> = self.items.iter().filter(|item| lang.is_none_or(|lang| item.language == lang)).collect();
        let Some(count) = count.filter(|count| *count < candidates.len()) else { return candidates };
        let mut strata: BTreeMap<(Lang, &str), Vec<&str>> = BTreeMap::new();
        for item in &candidates {
            strata.entry((item.language, &item.subject)).or_default().push(&item.id);
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut ranked: Vec<(f64, u64, &str)> = Vec::with_capacity(candidates.len());
        for ids in strata.values_mut() {
            ids.sort_unstable();
            shuffle(ids, &mut rng);
            // The k-th of a stratum of n sits at (k + 1/2) / n of the whole ranking, so every prefix is proportional.
            let size = ids.len() as f64;
            ranked.extend(ids.iter().enumerate().map(|(rank, id)| ((rank as f64 + 0.5) / size, rng.next_u64(), *id)));
        }
        ranked.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let chosen: BTreeSet<&str> = ranked.into_iter().take(count).map(|(_, _, id)| id).collect();
        candidates.into_iter().filter(|item| chosen.contains(item.id.as_str())).collect()
    }
}

impl Item {
    /// The first 16 hexadecimal digits of the sha256 of what defines the question and its key: language, system prompt, prompt
    /// and task.
    pub fn content_hash(&self) -> String {
        let definition = serde_json::to_vec(&(self.language, self.system, &self.prompt, &self.form, &self.task));
        sha256(&definition.expect("plain texts and numbers are JSON"))[..16].to_owned()
    }

    /// What the model is asked: the prompt, the options of a choice and, where the form matters, how to answer.
    pub fn user_prompt(&self) -> String {
        if let Some(form) = &self.form {
            return form.replacen("{prompt}", &self.prompt, 1);
        }
        let mut text = self.prompt.clone();
        match &self.task {
            Task::Text { .. } | Task::Number { .. } | Task::Identity { .. } | Task::Leakage | Task::Composite { .. } => {}
            Task::Choice { choices, .. } => {
                for (index, choice) in choices.iter().enumerate() {
                    text.extend(["\n", &choice_letter(index).to_string(), ". ", choice]);
                }
                text += match self.language {
                    Lang::Zh => "\n请只回答选项字母。",
                    Lang::En => "\nAnswer with the letter only.",
                };
            }
            Task::Code { .. } => {
                text += match self.language {
                    Lang::Zh => "\n请只用一个 Python 代码块作答。",
                    Lang::En => "\nAnswer with a single Python code block.",
                }
            }
        }
        text
    }

    /// The program it asks for, if it asks for one.
    pub fn program(&self) -> Option<Program<'_>> {
        match &self.task {
            Task::Code { entry_point, reference, tests, setup } => Some(Program { entry_point, reference, tests, setup }),
            Task::Composite { entry_point, reference, tests, .. } => Some(Program { entry_point, reference, tests, setup: "" }),
            _ => None,
        }
    }

    /// How often a random chooser is right.
    pub fn chance(&self) -> f64 {
        match &self.task {
            Task::Choice { choices, .. } => 1.0 / choices.len() as f64,
            _ => 0.0,
        }
    }
}

/// The letter of an option: A for the first.
pub fn choice_letter(index: usize) -> char {
    char::from(b'A' + index as u8)
}

const MOST_CHOICES: usize = 26;
const PLACEHOLDERS: [&str; 2] = ["{{NAME}}", "{{AUTHOR}}"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Grader {
    Text,
    Number,
    Choice,
    Code,
    Identity,
    Leakage,
    Composite,
}

impl Grader {
    /// (fields it needs, fields it may have)
    fn fields(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Text => (&["answers"], &["choices", "gold"]),
            Self::Number => (&["answers"], &[]),
            Self::Choice => (&["choices", "gold"], &[]),
            Self::Code => (&["entry_point", "reference", "tests"], &["setup"]),
            Self::Identity => (&["require", "forbid"], &[]),
            Self::Leakage => (&[], &[]),
            Self::Composite => (&["entry_point", "reference", "tests", "explain", "analogy", "answer"], &[]),
        }
    }
}

/// `suite.toml` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    name: String,
    version: u32,
    grader: Grader,
    max_new_tokens: usize,
    #[serde(default)]
    scoring: Scoring,
    chance: f64,
    description: String,
    /// Lists of texts that items name as `@NAME` in `require` and `forbid`.
    #[serde(default)]
    sets: BTreeMap<String, Vec<String>>,
}

impl Settings {
    /// A list with its `@NAME` entries replaced by the sets they name.
    fn expand(&self, texts: Vec<String>) -> Result<Vec<String>> {
        let mut expanded = Vec::with_capacity(texts.len());
        for text in texts {
            match text.strip_prefix('@') {
                None => expanded.push(text),
                Some(name) => {
                    let set =
                        self.sets.get(name).with_context(|| format!("`{text}` names no set: suite.toml has no [sets] entry `{name}`"))?;
                    expanded.extend_from_slice(set);
                }
            }
        }
        Ok(expanded)
    }

    fn digest(&self, items: &[Item]) -> Result<String> {
        let mut rows: Vec<_> =
            items.iter().map(|item| (&item.id, &item.cluster, &item.subject, &item.style, item.content_hash())).collect();
        rows.sort();
        let settings = (&self.name, self.version, self.grader, self.max_new_tokens, self.scoring, self.chance, &self.description);
        Ok(sha256(&serde_json::to_vec(&(settings, rows))?))
    }
}

/// A line of `items.jsonl` as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    cluster: String,
    lang: Lang,
    subject: String,
    style: Option<String>,
    grader: Option<Grader>,
    #[serde(default)]
    system: SystemPrompt,
    prompt: String,
    answers: Option<Vec<String>>,
    choices: Option<Vec<String>>,
    gold: Option<usize>,
    entry_point: Option<String>,
    setup: Option<String>,
    reference: Option<String>,
    tests: Option<Vec<String>>,
    require: Option<Vec<Vec<String>>>,
    forbid: Option<Vec<String>>,
    explain: Option<Vec<Vec<String>>>,
    analogy: Option<Vec<String>>,
    answer: Option<String>,
}

fn parse_item(line: &str, settings: &Settings) -> Result<Item> {
    // serde_json counts lines inside the one it is given.
    let line: Line = serde_json::from_str(line)
        .map_err(|e| anyhow::anyhow!("{} (column {})", e.to_string().split(" at line ").next().unwrap_or_default(), e.column()))?;
    for (key, text) in [("id", &line.id), ("cluster", &line.cluster), ("subject", &line.subject), ("prompt", &line.prompt)] {
        ensure!(!text.trim().is_empty(), "`{key}` is empty");
    }
    let grader = line.grader.unwrap_or(settings.grader);
    check_fields(&line, grader)?;
    let task = match grader {
        Grader::Text => {
            ensure!(line.choices.is_some() == line.gold.is_some(), "`choices` and `gold` only make sense together");
            Task::Text { answers: line.answers.unwrap_or_default(), choices: line.choices, gold: line.gold }
        }
        Grader::Number => Task::Number { answers: line.answers.unwrap_or_default() },
        Grader::Choice => Task::Choice { choices: line.choices.unwrap_or_default(), gold: line.gold.unwrap_or_default() },
        Grader::Code => Task::Code {
            entry_point: line.entry_point.unwrap_or_default(),
            setup: line.setup.unwrap_or_default(),
            reference: line.reference.unwrap_or_default(),
            tests: line.tests.unwrap_or_default(),
        },
        Grader::Identity => Task::Identity {
            require: line.require.unwrap_or_default().into_iter().map(|group| settings.expand(group)).collect::<Result<_>>()?,
            forbid: settings.expand(line.forbid.unwrap_or_default())?,
        },
        Grader::Leakage => Task::Leakage,
        Grader::Composite => Task::Composite {
            entry_point: line.entry_point.unwrap_or_default(),
            reference: line.reference.unwrap_or_default(),
            tests: line.tests.unwrap_or_default(),
            explain: line.explain.unwrap_or_default(),
            analogy: line.analogy.unwrap_or_default(),
            answer: line.answer.unwrap_or_default(),
        },
    };
    check_task(&task)?;
    let Line { id, cluster, lang, subject, style, system, prompt, .. } = line;
    Ok(Item { id, cluster, language: lang, subject, style, system, prompt, form: None, task })
}

fn check_fields(line: &Line, grader: Grader) -> Result<()> {
    let given = [
        ("answers", line.answers.is_some()),
        ("choices", line.choices.is_some()),
        ("gold", line.gold.is_some()),
        ("entry_point", line.entry_point.is_some()),
        ("setup", line.setup.is_some()),
        ("reference", line.reference.is_some()),
        ("tests", line.tests.is_some()),
        ("require", line.require.is_some()),
        ("forbid", line.forbid.is_some()),
        ("explain", line.explain.is_some()),
        ("analogy", line.analogy.is_some()),
        ("answer", line.answer.is_some()),
    ];
    let (needed, allowed) = grader.fields();
    for (key, given) in given {
        ensure!(given || !needed.contains(&key), "`{key}` is missing: grader {grader:?} needs it");
        ensure!(!given || needed.contains(&key) || allowed.contains(&key), "grader {grader:?} does not read `{key}`");
    }
    Ok(())
}

fn check_task(task: &Task) -> Result<()> {
    match task {
        Task::Text { answers, choices, gold } => {
            check_texts("answers", answers)?;
            if let (Some(choices), Some(gold)) = (choices, gold) {
                check_choices(choices, *gold)?;
            }
        }
        Task::Number { answers } => {
            check_texts("answers", answers)?;
            ensure!(
                answers.iter().any(|answer| answer.contains(|c: char| c.is_ascii_digit())),
                "`answers` of a number item has no answer in digits"
            );
        }
        Task::Choice { choices, gold } => check_choices(choices, *gold)?,
        Task::Code { entry_point, reference, tests, .. } => check_program(entry_point, reference, tests)?,
        Task::Leakage => {}
        Task::Composite { entry_point, reference, tests, explain, analogy, answer } => {
            check_program(entry_point, reference, tests)?;
            ensure!(!explain.is_empty(), "`explain` is empty");
            for group in explain {
                check_texts("explain", group)?;
            }
            check_texts("analogy", analogy)?;
            ensure!(!answer.trim().is_empty(), "`answer` is empty");
        }
        Task::Identity { require, forbid } => {
            ensure!(!require.is_empty() || !forbid.is_empty(), "`require` and `forbid` are both empty: every answer would be right");
            for group in require {
                check_texts("require", group)?;
            }
            ensure!(forbid.iter().all(|text| !text.trim().is_empty()), "`forbid` has an empty text");
            for text in require.iter().flatten().chain(forbid) {
                let rest = PLACEHOLDERS.iter().fold(text.clone(), |rest, name| rest.replace(name, ""));
                ensure!(!rest.contains("{{"), "unknown placeholder in `{text}`: there are {}", PLACEHOLDERS.join(" and "));
            }
        }
    }
    Ok(())
}

fn check_program(entry_point: &str, reference: &str, tests: &[String]) -> Result<()> {
    let identifier = entry_point.chars().all(|c| c.is_alphanumeric() || c == '_');
    ensure!(!entry_point.is_empty() && identifier, "`entry_point` is not the name of a function: `{entry_point}`");
    ensure!(reference.contains(&format!("def {entry_point}(")), "`reference` does not define `{entry_point}`");
    check_texts("tests", tests)
}

fn check_texts(key: &str, texts: &[String]) -> Result<()> {
    ensure!(!texts.is_empty(), "`{key}` is empty");
    ensure!(texts.iter().all(|text| !text.trim().is_empty()), "`{key}` has an empty text");
    Ok(())
}

fn check_choices(choices: &[String], gold: usize) -> Result<()> {
    check_texts("choices", choices)?;
    ensure!((2..=MOST_CHOICES).contains(&choices.len()), "`choices` has {} options: 2 to {MOST_CHOICES} are possible", choices.len());
    ensure!(gold < choices.len(), "`gold` is {gold}, but there are {} choices, counted from 0", choices.len());
    let mut seen = BTreeSet::new();
    for choice in choices {
        if !seen.insert(choice.trim().to_lowercase()) {
            bail!("`choices` has `{choice}` twice");
        }
    }
    Ok(())
}

fn shuffle<T>(values: &mut [T], rng: &mut ChaCha8Rng) {
    for last in (1..values.len()).rev() {
        // Multiply and shift: a uniform index without the bias of a remainder that matters at these sizes.
        let index = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        values.swap(last, index as usize);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: &str = "name = \"t\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";
    const PARIS: &str =
        r#"{"id":"a","cluster":"c","lang":"en","subject":"s","prompt":"p","answers":["Paris"],"choices":["Paris","Lyon"],"gold":0}"#;

    fn line(rest: &str) -> String {
        format!(r#"{{"id":"a","cluster":"c","lang":"en","subject":"s","prompt":"p",{rest}}}"#)
    }

    fn error(settings: &str, items: &str) -> String {
        format!("{:#}", parse_suite(settings, items, "evalsets/t").expect_err(items))
    }

    #[test]
    fn reads_a_suite() {
        let suite = parse_suite(SETTINGS, PARIS, "t").expect("the suite is good");
        assert_eq!((suite.name.as_str(), suite.max_new_tokens, suite.items.len()), ("t", 8, 1));
        let item = &suite.items[0];
        assert_eq!(item.language, Lang::En);
        assert_eq!(item.user_prompt(), "p");
        assert_eq!(suite.digest.len(), 64);
        assert_eq!(item.content_hash().len(), 16);
    }

    #[test]
    fn errors_name_the_place_and_the_reason() {
        let cases = [
            (line(r#""answers":["x"],"answr":1"#), "evalsets/t/items.jsonl:1: unknown field `answr`"),
            (line(r#""answers":["x"],"answer":"x""#), "grader Text does not read `answer`"),
            (line(r#""grader":"identity","require":[["@makers"]],"forbid":[]"#), "`@makers` names no set"),
            (line(r#""answers":["x"],"system":"none""#), "unknown variant `none`"),
            (line(r#""answers":["x"],"lang":"zh""#), "duplicate field `lang`"),
            (line(r#""choices":["x","y"],"gold":0"#), "`answers` is missing: grader Text needs it"),
            (line(r#""answers":["x"],"tests":["t"]"#), "grader Text does not read `tests`"),
            (line(r#""answers":["x"],"choices":["x","y"]"#), "`choices` and `gold` only make sense together"),
            (line(r#""answers":["x"],"choices":["x","y"],"gold":2"#), "`gold` is 2, but there are 2 choices"),
            (line(r#""answers":["x"],"choices":["x","X "],"gold":0"#), "`choices` has `X ` twice"),
            (line(r#""answers":["x"],"choices":["x"],"gold":0"#), "1 options"),
            (line(r#""answers":[]"#), "`answers` is empty"),
            (line(r#""answers":[" "]"#), "`answers` has an empty text"),
            (line(r#""grader":"number","answers":["ten"]"#), "no answer in digits"),
            (line(r#""grader":"code","entry_point":"f","reference":"def g(): 1","tests":["t"]"#), "does not define `f`"),
            (line(r#""grader":"code","entry_point":"f","reference":"def f(): 1","tests":[]"#), "`tests` is empty"),
            (line(r#""grader":"identity","require":[],"forbid":[]"#), "every answer would be right"),
            (line(r#""grader":"identity","require":[["{{OWNER}}"]],"forbid":[]"#), "unknown placeholder"),
            (line(r#""grader":"choices","answers":["x"]"#), "unknown variant `choices`"),
            (format!("{PARIS}\n{PARIS}"), "evalsets/t/items.jsonl:2: the id `a` is taken"),
            (format!("{PARIS}\n\n"), "evalsets/t/items.jsonl:2"),
            (String::new(), "there is no item"),
        ];
        for (items, expected) in cases {
            let message = error(SETTINGS, &items);
            assert!(message.contains(expected), "{message}\nshould say\n{expected}");
        }
    }

    #[test]
    fn settings_are_strict_too() {
        let unknown = error(&format!("{SETTINGS}extra = 1\n"), PARIS);
        assert!(unknown.contains("evalsets/t/suite.toml") && unknown.contains("line 7") && unknown.contains("extra"), "{unknown}");
        let likelihood = error(&format!("{SETTINGS}scoring = \"likelihood\"\n"), PARIS);
        assert!(likelihood.contains("item `a` is not of grader choice"), "{likelihood}");
        let chance = error(&SETTINGS.replace("chance = 0.0", "chance = 0.25"), PARIS);
        assert!(chance.contains("a random chooser scores 0.000"), "{chance}");
    }

    #[test]
    fn an_item_overrides_the_grader() {
        let items = line(r#""grader":"choice","choices":["x","y"],"gold":1"#);
        let suite = parse_suite(&SETTINGS.replace("0.0", "0.5"), &items, "t").expect("the suite is good");
        assert_eq!(suite.items[0].task, Task::Choice { choices: vec!["x".into(), "y".into()], gold: 1 });
        assert_eq!(suite.items[0].user_prompt(), "p\nA. x\nB. y\nAnswer with the letter only.");
    }

    #[test]
    fn hashes_follow_the_meaning() {
        let digest = |settings: &str, items: &str| parse_suite(settings, items, "t").expect("the suite is good").digest;
        let second = PARIS.replace(r#""id":"a""#, r#""id":"b""#);
        let base = digest(SETTINGS, &format!("{PARIS}\n{second}"));
        assert_eq!(base, digest(SETTINGS, &format!("{second}\n{PARIS}")), "the order of lines is free");
        assert_ne!(base, digest(&SETTINGS.replace("= 8", "= 9"), &format!("{PARIS}\n{second}")));
        assert_ne!(base, digest(SETTINGS, &format!("{PARIS}\n{}", second.replace("Lyon", "Nice"))));

        let hash = |items: &str| parse_suite(SETTINGS, items, "t").expect("the suite is good").items[0].content_hash();
        assert_eq!(hash(PARIS), hash(&second), "the id is only a name");
        assert_ne!(hash(PARIS), hash(&PARIS.replace(r#""gold":0"#, r#""gold":1"#)));
        assert_ne!(hash(PARIS), hash(&PARIS.replace(r#""p""#, r#""q""#)));
        assert_ne!(hash(PARIS), hash(&PARIS.replace(r#""en""#, r#""zh""#)));
    }

    /// 30 items: en/x 12, en/y 6, zh/x 12.
    fn mixed() -> Suite {
        let row = |index: usize| {
            let (lang, subject) = [("en", "x"), ("en", "y"), ("zh", "x"), ("zh", "x"), ("en", "x")][index % 5];
            format!(r#"{{"id":"i{index:02}","cluster":"c","lang":"{lang}","subject":"{subject}","prompt":"p{index}","answers":["x"]}}"#)
        };
        let items: Vec<String> = (0..30).map(row).collect();
        parse_suite(SETTINGS, &items.join("\n"), "t").expect("the suite is good")
    }

    #[test]
    fn a_subset_is_seeded_stratified_nested_and_in_file_order() {
        let suite = mixed();
        let ids = |count, seed| -> Vec<&str> { suite.select(None, Some(count), seed).iter().map(|item| item.id.as_str()).collect() };
        for seed in 0..20 {
            let ten = suite.select(None, Some(10), seed);
            let size = |lang, subject: &str| ten.iter().filter(|item| item.language == lang && item.subject == subject).count();
            assert_eq!((size(Lang::En, "x"), size(Lang::En, "y"), size(Lang::Zh, "x")), (4, 2, 4));
            assert_eq!(ids(10, seed), ids(10, seed));
            assert!(ids(10, seed).is_sorted(), "file order");
            assert!(ids(7, seed).iter().all(|id| ids(11, seed).contains(id)), "nested");
        }
        assert_ne!(ids(10, 1), ids(10, 2));
        let never_first = (0..20).filter(|seed| ids(10, *seed) == (0..10).map(|i| format!("i{i:02}")).collect::<Vec<_>>()).count();
        assert_eq!(never_first, 0);
        assert_eq!(suite.select(Some(Lang::Zh), None, 0).len(), 12);
        assert_eq!(suite.select(Some(Lang::Zh), Some(5), 0).len(), 5);
        assert_eq!(suite.select(None, Some(99), 0).len(), 30);
        assert!(suite.select(None, Some(0), 0).is_empty());
    }

    #[test]
    fn a_subset_does_not_depend_on_the_order_of_lines() {
        let suite = mixed();
        let mut turned = suite.clone();
        turned.items.reverse();
        let chosen = |suite: &Suite| -> BTreeSet<String> { suite.select(None, Some(9), 4).iter().map(|item| item.id.clone()).collect() };
        assert_eq!(chosen(&suite), chosen(&turned));
    }
}
