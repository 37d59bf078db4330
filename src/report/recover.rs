//! What a search for a repair found, as a page, a figure and a few lines for a terminal.

use std::collections::BTreeMap;

use anyhow::Result;

use super::ReportFile;
use super::document::{Block, Text, code, foreign, paragraph, strong, strong_if, text};
use super::figures::Figure;
use super::plot::pareto::{ParetoData, ParetoPoint, pareto};
use super::render::{markdown, terminal as plain};
use super::table::{Cell, Table};
use super::text::{fixed, percent};
use crate::counted::counted;
use crate::gate::decision::{ALPHA, Decision, LossTest};
use crate::gate::judge::SuiteResult;
use crate::gate::result::GateResult;
use crate::recover::path::Kind;
use crate::recover::result::RecoverResult;
use crate::recover::search::{Certainty, Trial, front};

/// `report.md`, `pareto.svg` and `pareto.png`.
pub fn files(result: &RecoverResult, gate: &GateResult) -> Result<Vec<ReportFile>> {
    let figure = figure(result)?;
    let pictures = ReportFile::pictures(&figure.name, figure.svg.clone())?;
    let page = markdown::document(&page(result, gate, figure));
    let page = ReportFile { name: "report.md".to_owned(), bytes: page.into_bytes() };
    Ok(std::iter::once(page).chain(pictures).collect())
}

/// The result in a few lines, and where the rest is.
pub fn terminal(result: &RecoverResult, folder: &str) -> String {
    let blocks = [
        paragraph(lead(result)),
        paragraph(text!("Adapter, gate, figure and all candidates: {}", foreign(folder))),
        paragraph(strong(result.verdict.word())),
    ];
    plain::document(&blocks)
}

fn lead(result: &RecoverResult) -> Text {
    let sentence = result.sentence();
    let mut letters = sentence.chars();
    let capital = letters.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    (capital + letters.as_str()).into()
}

fn page(result: &RecoverResult, gate: &GateResult, figure: Figure) -> Vec<Block> {
    let kind = match result.verdict {
        Decision::Pass => "NOTE",
        Decision::Inconclusive => "WARNING",
        Decision::Regress | Decision::Invalid => "CAUTION",
    };
    let mut blocks = vec![Block::Title("What brings the adapter back".into()), Block::Alert(kind, lead(result))];
    if !result.reasons.is_empty() {
        blocks.push(Block::List(result.reasons.iter().map(|reason| foreign(reason).into()).collect()));
    }
    blocks.push(Block::Heading("On held-out items".to_owned()));
    blocks.push(held_out(result, gate).block());
    blocks.push(paragraph(
        "The verdict is the gate's on these items alone, which the search never saw (`gate/`). Identity is held against the adapter that was given, item by item.",
    ));
    blocks.push(Block::Heading("What was tried".to_owned()));
    blocks.push(Block::Figure(figure));
    blocks.push(candidates(result).folded_if_long("All candidates"));
    blocks.push(Block::Heading("How".to_owned()));
    blocks.push(Block::List(method(result)));
    blocks
}

/// A suite on the held-out part, or identity as a whole.
struct Row<'a> {
    suite: Text,
    n: usize,
    base: Option<f64>,
    before: Option<f64>,
    after: Option<f64>,
    test: Option<&'a LossTest>,
    verdict: Option<Decision>,
    against: &'static str,
}

fn held_out(result: &RecoverResult, gate: &GateResult) -> Table {
    let before = |suite: &SuiteResult| result.held_out.before.iter().find(|other| other.suite == suite.suite).and_then(|other| other.after);
    let mut rows: Vec<Row> = gate
        .suites
        .iter()
        .map(|suite| Row {
            suite: code(&suite.suite).into(),
            n: suite.n,
            base: suite.before,
            before: before(suite),
            after: suite.after,
            test: suite.loss.as_ref(),
            verdict: suite.verdict,
            against: "base",
        })
        .collect();
    let identity = &result.held_out.identity;
    rows.push(Row {
        suite: "identity kept".into(),
        n: identity.n,
        base: result.held_out.identity_base,
        before: result.held_out.identity_before,
        after: result.held_out.identity_after,
        test: Some(identity),
        verdict: Some(identity.verdict),
        against: "adapter as given",
    });
    Table::of(rows)
        .words("suite", |row| row.suite.clone())
        .words("verdict", |row| row.verdict.map_or("not asked".into(), |verdict| Text::from(strong(verdict.word()))))
        .numbers("n", |row| row.n)
        .numbers("base %", |row| Cell::percent(row.base))
        .numbers("adapter as given %", |row| Cell::percent(row.before))
        .numbers("result %", |row| Cell::percent(row.after))
        .words("tested against", |row| if row.test.is_some() { row.against } else { "" })
        .numbers("difference", |row| Cell::points(row.test.and_then(|test| test.difference)))
        .numbers("91 % interval", |row| Cell::point_range(row.test.and_then(|test| test.interval)))
        .numbers("margin", |row| Cell::percent(row.test.map(|test| test.margin)))
        .table()
}

fn candidates(result: &RecoverResult) -> Table {
    let mut order: Vec<usize> = (0..result.candidates.len()).collect();
    let candidate = |place: usize| &result.candidates[place];
    order.sort_by(|a, b| candidate(*a).change.total_cmp(&candidate(*b).change));
    let beats = front(&points(&result.candidates));
    let adapters = result.adapters.len();
    let level = result.settings.level;
    let expected = |trial: &Trial| -> Text {
        match trial.outlook.broken.first() {
            Some(why) => foreign(why).into(),
            None if trial.outlook.holds(level) => "passes".into(),
            None if trial.outlook.holds(ALPHA) => "may pass".into(),
            None if trial.outlook.forgets(level) => text!("forgets: {}", foreign(&trial.outlook.weakest)),
            None => "loses the identity".into(),
        }
    };
    Table::of(order)
        .words("candidate", |place| strong_if(*place == result.chosen, candidate(*place).candidate.words(adapters)))
        .numbers("change %", |place| Cell::percent(candidate(*place).change))
        .numbers("identity %", |place| Cell::percent(candidate(*place).identity))
        .numbers("retention %", |place| Cell::percent(candidate(*place).retention))
        .numbers("drift, nats", |place| Cell::significant(candidate(*place).kl))
        .numbers("worst p", |place| Cell::p(candidate(*place).outlook.worst()))
        .words("on the front", |place| if beats[*place] { "yes" } else { "" })
        .words("expected", |place| expected(candidate(*place)))
        .table()
}

/// Items of a part, all suites together.
fn items(part: &BTreeMap<String, Vec<String>>) -> usize {
    part.values().map(Vec::len).sum()
}

/// Identity and retention; not a number where one was not measured.
fn points(trials: &[Trial]) -> Vec<(f64, f64)> {
    trials.iter().map(|trial| (trial.identity.unwrap_or(f64::NAN), trial.retention.unwrap_or(f64::NAN))).collect()
}

fn method(result: &RecoverResult) -> Vec<Text> {
    let settings = &result.settings;
    let choice = match result.certainty {
        Certainty::Likely => "expected to pass in four of five cases, as far as its own items tell",
        Certainty::Even => "expected to pass every other time, as far as its own items tell",
        Certainty::Nearest => "not expected to pass: it is the one nearest to it",
    };
    let not_reached = if result.not_reached == 0 {
        String::new()
    } else {
        format!(" {} more were planned, which --candidates {} did not reach.", result.not_reached, settings.budget)
    };
    let mut lines = vec![
        text!(
            "Items: {} to search by, {} for the verdict, no cluster in both, drawn with seed {}; their ids are in {}.",
            items(&result.split.development),
            items(&result.split.held_out),
            settings.seed.to_string(),
            code("recover.json")
        ),
        text!("{} tried.{} The choice was {}.", counted(result.candidates.len(), "candidate"), not_reached, choice),
        text!(
            "Mildest is the smallest relative change of the update, the Frobenius norm of the difference over that of the update, over all linears{}.",
            if result.adapters.len() > 1 { ", from the nearest adapter that was given" } else { "" }
        ),
        text!(
            "Worst p is the largest p-value of all that the gate and identity ask, if the verdict's items came out like those of the search; a candidate is expected to pass at {} or less, and may pass at {} or less.",
            fixed(settings.level, 4),
            fixed(ALPHA, 3)
        ),
        text!(
            "Base {}, baseline {}; identity may lose {} points.",
            code(&result.model),
            code(&result.baseline),
            fixed(settings.identity_margin_points, 1)
        ),
    ];
    for (i, given) in result.adapters.iter().enumerate() {
        let whose = if result.adapters.len() > 1 && i == result.reference { ", whose identity is to be kept" } else { "" };
        lines.push(text!("Adapter {}: {}{}.", i + 1, code(&given.folder), whose));
    }
    if result.held_out.identity_before.zip(result.held_out.identity_base).is_some_and(|(before, base)| before <= base) {
        lines.push("The adapter as given knows no more of its identity than the base, so there was nothing to keep.".into());
    }
    lines
}

fn figure(result: &RecoverResult) -> Result<Figure> {
    let trials = &result.candidates;
    let beats = front(&points(trials));
    let given = result.adapters.len();
    let label = |place: usize, trial: &Trial| {
        let words = trial.candidate.words(given);
        if place == result.chosen { Some(format!("chosen: {words}")) } else { (place < given).then_some(words) }
    };
    let kind = |trial: &Trial| Kind::ALL.iter().position(|kind| *kind == Kind::of(trial.candidate.repair)).unwrap_or(0);
    let drawn = points(trials).into_iter().enumerate().map(|(place, (x, y))| ParetoPoint {
        label: label(place, &trials[place]),
        kind: kind(&trials[place]),
        x,
        y,
        front: beats[place],
        chosen: place == result.chosen,
    });
    let reference = trials.iter().take(given).filter_map(|trial| trial.identity).fold(f64::NAN, f64::max);
    let keeps = reference - result.settings.identity_margin_points / 100.0;
    let subtitle = format!(
        "{} on {} items of the development part, seed {}; base {}; identity of the adapter as given {} %",
        counted(trials.len(), "candidate"),
        items(&result.split.development),
        result.settings.seed,
        result.model,
        percent(reference)
    );
    let data = ParetoData {
        keeps: keeps.is_finite().then_some(keeps.max(0.0)),
        kinds: Kind::ALL.iter().map(|kind| kind.word().to_owned()).collect(),
        points: drawn.collect(),
    };
    Figure::draw(
        "pareto",
        "Identity kept against general ability brought back",
        subtitle,
        "Each marker is a candidate on the items that the search looked at. The line is the front: what lies left of it and below is beaten in both. The ring is the choice: the mildest change that is expected to pass.",
        |titles| pareto(titles, &data),
    )
}
