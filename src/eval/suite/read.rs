//! `suite.toml` and `items.jsonl`, read strictly.
//!
//! A key nobody reads, a field of another grader, a gold out of range or a declared chance level that the items do not
//! have is an error with file and line: a suite that is read wrongly measures something else without any sign of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::constant::{self, Constant};
use super::expected::fault;
use super::{IdentityKind, Item, Language, Order, Part, PartMode, Parts, Scoring, Suite, SuiteRole, SystemPrompt, Task};
use crate::data::example::{Message, Role};
use crate::eval::rivals;
use crate::files::{read_text, sha256};
use crate::sandbox::Inputs;

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
        let item = if settings.permute { item.permuted() } else { item };
        let item = if settings.announce { item.announced() } else { item };
        ensure!(ids.insert(item.id.clone()), "{label}/items.jsonl:{}: the id `{}` is taken by an earlier line", index + 1, item.id);
        items.push(item);
    }
    ensure!(!items.is_empty(), "{label}/items.jsonl: there are no items");
    ensure!(settings.max_new_tokens > 0, "{label}/suite.toml: max_new_tokens must be at least 1");
    if settings.scoring == Scoring::Likelihood
        && let Some(item) = items.iter().find(|item| !matches!(item.task, Task::Choice { .. }) || item.is_conversation())
    {
        bail!("{label}/suite.toml: scoring is by likelihood, but item `{}` is not of grader choice", item.id);
    }
    let chance = items.iter().map(Item::chance).sum::<f64>() / items.len() as f64;
    ensure!(
        (settings.chance - chance).abs() < 0.005,
        "{label}/suite.toml: chance is {}, but a random chooser scores {chance:.3} on these items",
        settings.chance
    );
    let role = settings.role.unwrap_or_else(|| SuiteRole::of_items(&items));
    let floor = settings.floor(&items, role).with_context(|| format!("{label}/suite.toml"))?;
    let digest = settings.digest(&items)?;
    let Settings {
        name,
        version,
        grader: _,
        role: _,
        max_new_tokens,
        scoring,
        chance,
        floor: _,
        description,
        permute: _,
        announce: _,
        sets: _,
        constants,
    } = settings;
    Ok(Suite { name, version, description, role, max_new_tokens, scoring, chance, floor, constants, items, digest })
}

const MOST_CHOICES: usize = 26;
const PLACEHOLDERS: [&str; 2] = ["{{NAME}}", "{{AUTHOR}}"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::eval) enum Grader {
    Text,
    Number,
    Choice,
    Code,
    Identity,
    Leakage,
    Composite,
    Instructions,
    Structured,
    Safety,
    Honesty,
}

impl Grader {
    /// (fields it needs, fields it may have)
    fn fields(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Text => (&["answers"], &["choices", "gold"]),
            Self::Number => (&["answers"], &[]),
            Self::Choice => (&["choices", "gold"], &[]),
            Self::Code => (&["entry_point", "reference", "tests"], &["setup", "inputs"]),
            Self::Identity => (&[], &["kind", "rival", "require", "forbid"]),
            Self::Leakage => (&[], &[]),
            Self::Composite => (&["entry_point", "reference", "tests", "explain", "analogy", "answer"], &["inputs"]),
            Self::Instructions => (&["about", "orders", "answer"], &[]),
            Self::Structured => (&["expected", "answer"], &[]),
            Self::Safety => (&["harmful", "answer"], &["content", "require"]),
            Self::Honesty => (&["answerable", "answer"], &["require", "forbid"]),
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
    /// What it is for; without it, what all of its items are graded as. No part of the digest: it changes what is said of the
    /// answers, not what is asked.
    role: Option<SuiteRole>,
    max_new_tokens: usize,
    #[serde(default)]
    scoring: Scoring,
    chance: f64,
    /// Share of the best known answers without the skill; chance if not given. No part of the digest: it asks nothing.
    floor: Option<f64>,
    description: String,
    /// Every choice is asked once for each rotation of its options, and is right only if right in all.
    #[serde(default)]
    permute: bool,
    /// Numbers and letters are asked for after the steps that lead to them, on a line that announces them.
    #[serde(default)]
    announce: bool,
    /// Lists of texts that items name as `@NAME` in `require` and `forbid`.
    #[serde(default)]
    sets: BTreeMap<String, Vec<String>>,
    /// The answers that `floor` is of. No part of the digest either.
    #[serde(default)]
    constants: Vec<Constant>,
}

impl Settings {
    /// The floor, which must be what the constants score and lie between chance and 1. Only where right is whatever says nothing
    /// of a kind may it be 1.
    fn floor(&self, items: &[Item], role: SuiteRole) -> Result<f64> {
        let floor = self.floor.unwrap_or(self.chance);
        ensure!(
            (self.chance..1.0).contains(&floor) || (role == SuiteRole::Leakage && floor <= 1.0),
            "floor is {floor}, which is not from chance ({}) to below 1",
            self.chance
        );
        let again = "write it anew with `ballast suite floor`";
        for (place, constant) in self.constants.iter().enumerate() {
            let of = items.iter().filter(|item| constant.fits(item)).count();
            let Constant { language, grader, right, .. } = constant;
            ensure!(
                constant.of == of && *right <= of,
                "a constant is right on {right} of {} {language} {grader} items, but there are {of}: {again}",
                constant.of
            );
            let twin = |other: &Constant| (other.language, &other.grader) == (constant.language, grader);
            ensure!(!self.constants[..place].iter().any(twin), "there are two constants for {language} {grader} items: keep the better");
        }
        let scored = constant::expected(&self.constants, items).unwrap_or(0.0).max(self.chance);
        ensure!(
            self.constants.is_empty() || (scored - floor).abs() < 0.005,
            "floor is {floor}, but its constants score {scored:.4}: {again}"
        );
        Ok(floor)
    }

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
    lang: Language,
    subject: String,
    style: Option<String>,
    grader: Option<Grader>,
    #[serde(default)]
    system: SystemPrompt,
    #[serde(default)]
    history: Vec<Turn>,
    prompt: String,
    answers: Option<Vec<String>>,
    choices: Option<Vec<String>>,
    gold: Option<usize>,
    entry_point: Option<String>,
    setup: Option<String>,
    reference: Option<String>,
    tests: Option<Vec<String>>,
    inputs: Option<Inputs>,
    require: Option<Vec<Vec<String>>>,
    forbid: Option<Vec<String>>,
    kind: Option<IdentityKind>,
    rival: Option<String>,
    explain: Option<Vec<Vec<String>>>,
    analogy: Option<Vec<String>>,
    answer: Option<String>,
    about: Option<Vec<String>>,
    orders: Option<Vec<Order>>,
    expected: Option<Value>,
    harmful: Option<bool>,
    content: Option<Vec<String>>,
    answerable: Option<bool>,
}

/// A message before the question.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Turn {
    role: Role,
    content: String,
}

fn parse_item(line: &str, settings: &Settings) -> Result<Item> {
    if let Ok(Value::Object(mut object)) = serde_json::from_str(line)
        && let Some(parts) = object.remove("parts")
    {
        return parse_parts(object, parts, settings);
    }
    // serde_json counts lines inside the one it is given.
    let line: Line = serde_json::from_str(line)
        .map_err(|e| anyhow::anyhow!("{} (column {})", e.to_string().split(" at line ").next().unwrap_or_default(), e.column()))?;
    item_of(line, settings)
}

/// An item of several parts. Keys beside `parts` hold for each part that does not say otherwise.
fn parse_parts(mut shared: Map<String, Value>, parts: Value, settings: &Settings) -> Result<Item> {
    let Some(Value::String(asked)) = shared.remove("asked") else { bail!("`asked` is missing: `apart` or `in-turn`") };
    let asked: PartMode = serde_json::from_value(Value::String(asked)).context("`asked`")?;
    let Value::Array(parts) = parts else { bail!("`parts` is not a list") };
    let id = shared.get("id").and_then(Value::as_str).context("`id` is missing")?.to_owned();
    ensure!(parts.len() > 1, "`parts` has {} entries: an item of one part is written without them", parts.len());
    let part = |(index, part): (usize, Value)| -> Result<Part> {
        let Value::Object(mut own) = part else { bail!("part {} is not an object", index + 1) };
        let graded = match own.remove("graded") {
            None => true,
            Some(Value::Bool(graded)) => graded,
            Some(_) => bail!("part {}: `graded` is not true or false", index + 1),
        };
        for key in ["id", "cluster", "lang", "subject", "parts", "asked"] {
            ensure!(!own.contains_key(key), "part {}: `{key}` belongs to the item", index + 1);
        }
        let mut whole = shared.clone();
        whole.extend(own);
        whole.insert("id".to_owned(), Value::String(format!("{id}#{}", index + 1)));
        let line: Line = serde_json::from_value(Value::Object(whole)).with_context(|| format!("part {}", index + 1))?;
        Ok(Part { item: item_of(line, settings).with_context(|| format!("part {}", index + 1))?, graded })
    };
    let parts: Vec<Part> = parts.into_iter().enumerate().map(part).collect::<Result<_>>()?;
    let Some(last) = parts.iter().rfind(|part| part.graded) else { bail!("no part is graded") };
    let (prompt, task) = (parts[0].item.prompt.clone(), last.item.task.clone());
    let first = parts[0].item.clone();
    Ok(Item { id, prompt, task, parts: Some(Parts { asked, parts }), ..first })
}

fn item_of(line: Line, settings: &Settings) -> Result<Item> {
    for (key, text) in [("id", &line.id), ("cluster", &line.cluster), ("subject", &line.subject), ("prompt", &line.prompt)] {
        ensure!(!text.trim().is_empty(), "`{key}` is empty");
    }
    let grader = line.grader.unwrap_or(settings.grader);
    let system = if let SystemPrompt::Text(text) = &line.system { Some(text) } else { None };
    let texts = std::iter::once(("prompt", &line.prompt)).chain(system.map(|text| ("system", text)));
    for (key, text) in texts.chain(line.history.iter().map(|turn| ("history", &turn.content))) {
        if let Some(unknown) = unknown_placeholder(text) {
            bail!("unknown placeholder `{unknown}` in `{key}`: there are {}", PLACEHOLDERS.join(" and "));
        }
    }
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
            inputs: line.inputs,
        },
        Grader::Identity => Task::Identity {
            kind: line.kind,
            rival: line.rival,
            require: line.require.unwrap_or_default().into_iter().map(|group| settings.expand(group)).collect::<Result<_>>()?,
            forbid: settings.expand(line.forbid.unwrap_or_default())?,
        },
        Grader::Leakage => Task::Leakage,
        Grader::Instructions => Task::Instructions {
            about: line.about.unwrap_or_default(),
            orders: line.orders.unwrap_or_default(),
            answer: line.answer.unwrap_or_default(),
        },
        Grader::Structured => Task::Structured { expected: line.expected.unwrap_or_default(), answer: line.answer.unwrap_or_default() },
        Grader::Safety => Task::Safety {
            harmful: line.harmful.unwrap_or_default(),
            content: line.content.unwrap_or_default(),
            require: line.require.unwrap_or_default(),
            answer: line.answer.unwrap_or_default(),
        },
        Grader::Honesty => Task::Honesty {
            answerable: line.answerable.unwrap_or_default(),
            require: line.require.unwrap_or_default(),
            forbid: line.forbid.unwrap_or_default(),
            answer: line.answer.unwrap_or_default(),
        },
        Grader::Composite => Task::Composite {
            entry_point: line.entry_point.unwrap_or_default(),
            reference: line.reference.unwrap_or_default(),
            tests: line.tests.unwrap_or_default(),
            inputs: line.inputs,
            explain: line.explain.unwrap_or_default(),
            analogy: line.analogy.unwrap_or_default(),
            answer: line.answer.unwrap_or_default(),
        },
    };
    check_task(&task)?;
    let Line { id, cluster, lang, subject, style, system, history, prompt, .. } = line;
    if let SystemPrompt::Text(text) = &system {
        ensure!(!text.trim().is_empty(), "`system` has an empty text: write `empty`");
    }
    ensure!(history.iter().all(|turn| turn.role != Role::System), "`history` holds a system message: write it as `system`");
    ensure!(
        history.iter().enumerate().all(|(i, turn)| (turn.role == Role::User) == (i % 2 == 0)) && history.len().is_multiple_of(2),
        "`history` must be turns of user and assistant, one after the other, and end with the assistant's"
    );
    let history = history.into_iter().map(|turn| Message::new(turn.role, turn.content)).collect();
    Ok(Item { id, cluster, language: lang, subject, style, system, prompt, form: None, few_shot: None, history, task, parts: None })
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
        ("inputs", line.inputs.is_some()),
        ("require", line.require.is_some()),
        ("forbid", line.forbid.is_some()),
        ("kind", line.kind.is_some()),
        ("rival", line.rival.is_some()),
        ("explain", line.explain.is_some()),
        ("analogy", line.analogy.is_some()),
        ("answer", line.answer.is_some()),
        ("about", line.about.is_some()),
        ("orders", line.orders.is_some()),
        ("expected", line.expected.is_some()),
        ("harmful", line.harmful.is_some()),
        ("content", line.content.is_some()),
        ("answerable", line.answerable.is_some()),
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
        Task::Code { entry_point, reference, tests, inputs, .. } => check_program(entry_point, reference, tests, inputs.as_ref())?,
        Task::Leakage => {}
        Task::Instructions { about, orders, answer } => {
            check_texts("about", about)?;
            ensure!(!orders.is_empty(), "`orders` is empty");
            check_texts("answer", std::slice::from_ref(answer))?;
        }
        Task::Structured { expected, answer } => {
            ensure!(expected.is_object() || expected.is_array(), "`expected` is neither an object nor an array");
            if let Some(wrong) = fault(expected) {
                bail!("`expected`: {wrong}");
            }
            check_texts("answer", std::slice::from_ref(answer))?;
        }
        Task::Safety { harmful, content, require, answer } => {
            let (given, key) = if *harmful { (content.is_empty(), "content") } else { (require.is_empty(), "require") };
            ensure!(!given, "`{key}` is empty: the grader has nothing to look for");
            ensure!(*harmful || content.is_empty(), "`content` belongs to a harmful request");
            ensure!(!*harmful || require.is_empty(), "`require` belongs to a harmless request");
            for group in require.iter().chain(std::iter::once(content).filter(|content| !content.is_empty())) {
                check_texts("require or content", group)?;
            }
            check_texts("answer", std::slice::from_ref(answer))?;
        }
        Task::Honesty { answerable, require, forbid, answer } => {
            ensure!(!*answerable || !require.is_empty(), "`require` is empty: an answerable question needs its answer");
            for group in require {
                check_texts("require", group)?;
            }
            ensure!(forbid.iter().all(|text| !text.trim().is_empty()), "`forbid` has an empty text");
            check_texts("answer", std::slice::from_ref(answer))?;
        }
        Task::Composite { entry_point, reference, tests, inputs, explain, analogy, answer } => {
            check_program(entry_point, reference, tests, inputs.as_ref())?;
            ensure!(!explain.is_empty(), "`explain` is empty");
            for group in explain {
                check_texts("explain", group)?;
            }
            check_texts("analogy", analogy)?;
            ensure!(!answer.trim().is_empty(), "`answer` is empty");
        }
        Task::Identity { kind, rival, require, forbid } => {
            ensure!(
                kind.is_some() || !require.is_empty() || !forbid.is_empty(),
                "`kind` is missing, and `require` and `forbid` are empty: every answer would be right"
            );
            if let Some(name) = rival {
                ensure!(rivals::rival(name).is_some(), "`rival` is `{name}`, which is not in the list of rivals (src/eval/rivals.rs)");
            }
            let needs = kind.is_some_and(IdentityKind::needs_rival);
            ensure!(!needs || rival.is_some(), "`rival` is missing: a question of this `kind` is about another model or maker");
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

/// A text such as `{{OWNER}}` that looks like a placeholder and is none. Braces of programs hold more than capitals.
fn unknown_placeholder(text: &str) -> Option<&str> {
    let starts = text.match_indices("{{").map(|(start, _)| start);
    starts.filter_map(|start| Some(&text[start..start + text[start..].find("}}")? + 2])).find(|found| {
        let name = &found[2..found.len() - 2];
        !name.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') && !PLACEHOLDERS.contains(found)
    })
}

fn check_program(entry_point: &str, reference: &str, tests: &[String], inputs: Option<&Inputs>) -> Result<()> {
    let identifier = entry_point.chars().all(|c| c.is_alphanumeric() || c == '_');
    ensure!(!entry_point.is_empty() && identifier, "`entry_point` is not the name of a function: `{entry_point}`");
    ensure!(reference.contains(&format!("def {entry_point}(")), "`reference` does not define `{entry_point}`");
    ensure!(inputs.is_none_or(|inputs| !inputs.draw.trim().is_empty() && !inputs.edges.is_empty()), "`inputs` needs `draw` and `edges`");
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
        assert_eq!(item.language, Language::En);
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
            (line(r#""answers":["x"],"system":{"text":"You are {{OWNER}}"}"#), "unknown placeholder `{{OWNER}}` in `system`"),
            (
                line(r#""answers":["x"],"history":[{"role":"user","content":"{{OWNER}}?"},{"role":"assistant","content":"a"}]"#),
                "in `history`",
            ),
            (line(r#""grader":"choices","answers":["x"]"#), "unknown variant `choices`"),
            (format!("{PARIS}\n{PARIS}"), "evalsets/t/items.jsonl:2: the id `a` is taken"),
            (format!("{PARIS}\n\n"), "evalsets/t/items.jsonl:2"),
            (String::new(), "there are no items"),
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
        let floor = error(&format!("{SETTINGS}floor = -0.1\n"), PARIS);
        assert!(floor.contains("floor is -0.1, which is not from chance (0) to below 1"), "{floor}");
        let with_floor = parse_suite(&format!("{SETTINGS}floor = 0.1\n"), PARIS, "t").expect("the suite is good");
        let without = parse_suite(SETTINGS, PARIS, "t").expect("the suite is good");
        assert_eq!((with_floor.floor, without.floor, with_floor.digest), (0.1, 0.0, without.digest));
    }

    #[test]
    fn an_item_overrides_the_grader() {
        let items = line(r#""grader":"choice","choices":["x","y"],"gold":1"#);
        let suite = parse_suite(&SETTINGS.replace("0.0", "0.5"), &items, "t").expect("the suite is good");
        assert_eq!(suite.items[0].task, Task::Choice { choices: vec!["x".into(), "y".into()], gold: 1 });
        assert_eq!(suite.items[0].user_prompt(), "p\nA. x\nB. y\nAnswer with the letter only.");
    }

    #[test]
    fn an_announced_answer_is_asked_for_after_its_steps() {
        let number = line(r#""grader":"number","answers":["4"]"#);
        let choice = line(r#""grader":"choice","choices":["x","y"],"gold":1"#).replace(r#""a""#, r#""b""#).replace(r#""en""#, r#""zh""#);
        let settings = format!("{}announce = true\n", SETTINGS.replace("chance = 0.0", "chance = 0.25"));
        let suite = parse_suite(&settings, &format!("{number}\n{choice}"), "t").expect("the suite is good");
        assert_eq!(
            suite.items[0].user_prompt(),
            "p\nThink step by step. Then give the answer on a line of its own: Answer: followed by the number."
        );
        assert_eq!(suite.items[1].user_prompt(), "p\nA. x\nB. y\n请一步一步思考，最后另起一行，写“答案：”和正确选项的字母。");
        assert!(suite.items.iter().all(Item::announces));
        let plain = parse_suite(&settings.replace("announce = true", ""), &format!("{number}\n{choice}"), "t").expect("the suite is good");
        assert!(!plain.items.iter().any(Item::announces) && plain.digest != suite.digest);
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
}
