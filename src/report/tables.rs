//! The tables as CSV, one file each, for those who compute on.

use anyhow::Result;

use super::ReportFile;
use super::render::csv::file;
use super::table::{Cell, Table};
use super::text::trimmed;
use crate::analysis::dose::Dose;
use crate::analysis::flips::flipped_cells;
use crate::analysis::outcomes::{FLAGS, Outcomes, VERDICTS};
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::score::Verdict;
use crate::eval::suite::Language;
use crate::record::rows::ItemRow;

/// Letters of what was read as an answer.
const LETTERS: usize = 200;

/// All of them.
pub(super) fn all(results: &Results) -> Result<Vec<ReportFile>> {
    let view = &results.view;
    Ok(vec![
        file("accuracy.csv", &accuracy(view))?,
        file("differences.csv", &differences(results))?,
        file("dose.csv", &dose(view))?,
        file("outcomes.csv", &outcomes(view))?,
        file("flips.csv", &flips(view))?,
    ])
}

fn accuracy(view: &View) -> Table {
    let mut rows = Vec::new();
    for suite in &view.suites {
        for lang in [None, Some(Language::En), Some(Language::Zh)] {
            for subject in &view.subjects {
                let share = |hit: fn(&ItemRow) -> bool| {
                    Share::among(subject, |row| row.suite == *suite && lang.is_none_or(|lang| row.language == lang), hit)
                };
                let readings = (share(|row| row.strict), share(|row| row.lenient), share(|row| row.is_correct() && row.is_clean()));
                rows.extend(share(ItemRow::is_correct).map(|share| (*suite, lang, subject.name, share, readings)));
            }
        }
    }
    Table::of(rows)
        .words("suite", |(suite, ..)| *suite)
        .words("language", |(_, lang, ..)| lang.map_or("all", Language::as_str))
        .words("variant", |(_, _, name, ..)| *name)
        .numbers("seeds", |(.., share, _)| share.seeds)
        .numbers("items", |(.., share, _)| share.n)
        .numbers("accuracy", |(.., share, _)| Cell::percent(share.value))
        .numbers("low", |(.., share, _)| Cell::percent(share.interval.low))
        .numbers("high", |(.., share, _)| Cell::percent(share.interval.high))
        .words("interval_over", |(.., share, _)| if share.over_seeds { "seeds" } else { "items" })
        .numbers("strict", |(.., (strict, ..))| Cell::percent(strict.map(|share| share.value)))
        .numbers("lenient", |(.., (_, lenient, _))| Cell::percent(lenient.map(|share| share.value)))
        .numbers("clean", |(.., (.., clean))| Cell::percent(clean.map(|share| share.value)))
        .numbers("floor", |(suite, ..)| Cell::percent(view.floor(suite)))
        .table()
}

fn differences(results: &Results) -> Table {
    Table::of(results.to_base.iter().chain(&results.to_alone))
        .words("reference", |found| found.reference)
        .words("suite", |found| found.suite)
        .words("variant", |found| found.variant)
        .numbers("seeds", |found| found.seeds)
        .numbers("items", |found| found.n)
        .numbers("before", |found| Cell::percent(found.before))
        .numbers("after", |found| Cell::percent(found.after))
        .numbers("difference", |found| Cell::points(found.difference))
        .numbers("low", |found| Cell::points(found.interval.low))
        .numbers("high", |found| Cell::points(found.interval.high))
        .words("interval_over", |found| found.over.text())
        .numbers("low_over_items", |found| Cell::points(found.items.map(|items| items.low)))
        .numbers("high_over_items", |found| Cell::points(found.items.map(|items| items.high)))
        .numbers("harmful_flips", |found| found.harmful)
        .numbers("beneficial_flips", |found| found.beneficial)
        .numbers("mcnemar_mid_p", |found| Cell::p(found.p))
        .numbers("holm_p", |found| Cell::p(found.adjusted))
        .numbers("retention", |found| Cell::percent(found.retention))
        .table()
}

fn dose(view: &View) -> Table {
    let doses = Dose::all(view);
    Table::of(doses.iter().flat_map(|dose| dose.sources.iter().map(move |source| (dose, source))))
        .words("variant", |(dose, _)| dose.variant)
        .words("stage", |(dose, _)| dose.stage)
        .words("source", |(_, source)| source.0)
        .numbers("rows", |(_, source)| source.1)
        .numbers("label_tokens", |(_, source)| source.2)
        .numbers("steps", |(dose, _)| dose.steps)
        .numbers("learning_rate", |(dose, _)| format!("{:e}", dose.learning_rate))
        .numbers("share_of_steps", |(dose, _)| Cell::percent(dose.share))
        .numbers("last_loss", |(dose, _)| Cell::fixed(dose.loss, 3))
        .numbers("label_tokens_seen", |(dose, _)| dose.seen)
        .table()
}

fn outcomes(view: &View) -> Table {
    let names = VERDICTS.iter().map(|(_, name)| *name).chain(FLAGS.iter().map(|(_, name)| *name));
    Table::of(Outcomes::all(view))
        .words("suite", |outcome| outcome.suite)
        .words("variant", |outcome| outcome.subject)
        .numbers("answers", |outcome| outcome.answers)
        .across(names.enumerate(), |(_, name)| name.replace(' ', "_").into(), |outcome, (place, _)| outcome.counts().nth(*place))
        .table()
}

fn flips(view: &View) -> Table {
    Table::of(flipped_cells(view))
        .words("variant", |(cell, ..)| cell.record.variant.as_str())
        .words("seed", |(cell, ..)| cell.record.seed.map(|seed| seed.to_string()))
        .words("suite", |(.., row)| row.suite.as_str())
        .words("item", |(.., row)| row.item.as_str())
        .words("hash", |(.., row)| row.hash.as_str())
        .words("cluster", |(.., row)| row.cluster.as_str())
        .words("language", |(.., row)| row.language.as_str())
        .words("flip", |(_, base, _)| if base.is_correct() { "harmful" } else { "beneficial" })
        .words("base_verdict", |(_, base, _)| verdict(base.verdict))
        .words("variant_verdict", |(.., row)| verdict(row.verdict))
        .words("base_extracted", |(_, base, _)| extracted(base))
        .words("variant_extracted", |(.., row)| extracted(row))
        .table()
}

fn verdict(verdict: Verdict) -> Option<&'static str> {
    VERDICTS.iter().find(|(known, _)| *known == verdict).map(|(_, name)| *name)
}

fn extracted(row: &ItemRow) -> Option<String> {
    row.extracted.as_deref().map(|text| trimmed(text, LETTERS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;

    fn table(name: &str) -> Vec<String> {
        let run = run();
        let files = all(&Results::new(View::new(&run))).unwrap();
        let file = files.into_iter().find(|file| file.name == name).unwrap();
        String::from_utf8(file.bytes).unwrap().lines().map(str::to_owned).collect()
    }

    #[test]
    fn accuracy_has_both_languages_apart() {
        let rows = table("accuracy.csv");
        assert_eq!(rows[2], "fact-qa,all,A,1,60,0.300000,0.198982,0.425087,items,0.250000,0.350000,0.300000,0.000000");
        assert!(rows.iter().any(|row| row.starts_with("fact-qa,zh,A,1,30,")), "{rows:#?}");
        assert!(!rows.iter().any(|row| row.starts_with("reasoning-zh,en")));
    }

    #[test]
    fn differences_hold_both_references() {
        let rows = table("differences.csv");
        assert_eq!(rows.len(), 1 + 9 + 6);
        assert!(rows[1].starts_with("base,fact-qa,A,1,60,0.800000,0.300000,-0.500000,"), "{}", rows[1]);
        assert!(rows[10].starts_with("A,fact-qa,B,"));
    }

    #[test]
    fn every_flip_has_a_row() {
        let rows = table("flips.csv");
        assert_eq!(rows.iter().filter(|row| row.starts_with("A,42,fact-qa,") && row.contains(",harmful,")).count(), 30);
        assert_eq!(rows.iter().filter(|row| row.starts_with("A,42,identity,") && row.contains(",beneficial,")).count(), 57);
    }

    #[test]
    fn doses_and_outcomes_are_complete() {
        assert_eq!(table("dose.csv").len(), 1 + 1 + 2 + 1 + 2 + 1);
        assert_eq!(table("outcomes.csv").len(), 1 + 12);
        assert!(table("outcomes.csv")[0].contains(",wrong_language,"));
    }
}
