//! The tables as CSV, one file each, for those who compute on.

use anyhow::{Context, Result};

use super::ReportFile;
use super::text::trimmed;
use crate::analysis::comparison::Comparison;
use crate::analysis::dose::Dose;
use crate::analysis::flips::flipped_cells;
use crate::analysis::outcomes::{FLAGS, Outcomes, VERDICTS};
use crate::analysis::results::Results;
use crate::analysis::share::Share;
use crate::analysis::view::View;
use crate::eval::score::Verdict;
use crate::eval::suite::Language;
use crate::record::rows::ItemRow;
use crate::stats::Interval;

/// Letters of what was read as an answer.
const LETTERS: usize = 200;

/// All of them.
pub(super) fn all(results: &Results) -> Result<Vec<ReportFile>> {
    Ok(vec![accuracy(&results.view)?, differences(results)?, dose(&results.view)?, outcomes(&results.view)?, flips(&results.view)?])
}

fn accuracy(view: &View) -> Result<ReportFile> {
    let header = ["suite", "language", "variant", "seeds", "items", "accuracy", "low", "high", "interval_over", "strict", "lenient"];
    let mut rows = Vec::new();
    for suite in &view.suites {
        for lang in [None, Some(Language::En), Some(Language::Zh)] {
            for subject in &view.subjects {
                let kept = |row: &ItemRow| row.suite == *suite && lang.is_none_or(|lang| row.language == lang);
                let Some(share) = Share::among(subject, kept, ItemRow::is_correct) else { continue };
                let read = |hit: fn(&ItemRow) -> bool| Share::among(subject, kept, hit).map(|share| share.value);
                let mut row = vec![(*suite).to_owned(), lang.map_or("all", Language::as_str).to_owned(), subject.name.to_owned()];
                row.extend([share.seeds.to_string(), share.n.to_string(), number(share.value)]);
                row.extend(bounds(Some(share.interval)));
                row.push(if share.over_seeds { "seeds" } else { "items" }.to_owned());
                row.extend([maybe(read(|row| row.strict)), maybe(read(|row| row.lenient))]);
                rows.push(row);
            }
        }
    }
    file("accuracy.csv", &header, &rows)
}

fn differences(results: &Results) -> Result<ReportFile> {
    let header = [
        "reference",
        "suite",
        "variant",
        "seeds",
        "items",
        "before",
        "after",
        "difference",
        "low",
        "high",
        "interval_over",
        "low_over_items",
        "high_over_items",
        "harmful_flips",
        "beneficial_flips",
        "mcnemar_mid_p",
        "holm_p",
        "retention",
    ];
    let row = |found: &Comparison| {
        let mut row = vec![found.reference.to_owned(), found.suite.to_owned(), found.variant.to_owned()];
        row.extend([found.seeds.to_string(), found.n.to_string(), number(found.before), number(found.after), number(found.difference)]);
        row.extend(bounds(Some(found.interval)));
        row.push(found.over.text().to_owned());
        row.extend(bounds(found.items));
        row.extend([
            found.harmful.to_string(),
            found.beneficial.to_string(),
            maybe(found.p),
            maybe(found.adjusted),
            maybe(found.retention),
        ]);
        row
    };
    let rows: Vec<Vec<String>> = results.to_base.iter().chain(&results.to_alone).map(row).collect();
    file("differences.csv", &header, &rows)
}

fn dose(view: &View) -> Result<ReportFile> {
    let header = [
        "variant",
        "stage",
        "source",
        "rows",
        "label_tokens",
        "steps",
        "learning_rate",
        "share_of_steps",
        "last_loss",
        "label_tokens_seen",
    ];
    let mut rows = Vec::new();
    for dose in Dose::all(view) {
        for (source, count, tokens) in &dose.sources {
            let mut row = vec![dose.variant.to_owned(), dose.stage.to_owned(), (*source).to_owned(), count.to_string(), tokens.to_string()];
            row.extend([
                dose.steps.to_string(),
                format!("{:e}", dose.learning_rate),
                number(dose.share),
                maybe(dose.loss),
                dose.seen.to_string(),
            ]);
            rows.push(row);
        }
    }
    file("dose.csv", &header, &rows)
}

fn outcomes(view: &View) -> Result<ReportFile> {
    let names = VERDICTS.iter().map(|(_, name)| *name).chain(FLAGS.iter().map(|(_, name)| *name));
    let header: Vec<String> = ["suite", "variant", "answers"].into_iter().chain(names).map(|name| name.replace(' ', "_")).collect();
    let rows = Outcomes::all(view).into_iter().map(|outcome| {
        let counts = std::iter::once(&outcome.answers).chain(&outcome.verdicts).chain(&outcome.flags).map(ToString::to_string);
        [outcome.suite.to_owned(), outcome.subject.to_owned()].into_iter().chain(counts).collect()
    });
    file("outcomes.csv", &header, &rows.collect::<Vec<Vec<String>>>())
}

fn flips(view: &View) -> Result<ReportFile> {
    let header = [
        "variant",
        "seed",
        "suite",
        "item",
        "hash",
        "cluster",
        "language",
        "flip",
        "base_verdict",
        "variant_verdict",
        "base_extracted",
        "variant_extracted",
    ];
    let rows = flipped_cells(view).into_iter().map(|(cell, base, row)| {
        let mut line = vec![cell.record.variant.clone(), cell.record.seed.map(|seed| seed.to_string()).unwrap_or_default()];
        line.extend([row.suite.clone(), row.item.clone(), row.hash.clone(), row.cluster.clone(), row.language.to_string()]);
        line.push(if base.is_correct() { "harmful" } else { "beneficial" }.to_owned());
        line.extend([verdict(base.verdict), verdict(row.verdict), extracted(base), extracted(row)]);
        line
    });
    file("flips.csv", &header, &rows.collect::<Vec<_>>())
}

fn file<H: AsRef<str>>(name: &str, header: &[H], rows: &[Vec<String>]) -> Result<ReportFile> {
    let bytes = crate::shown::csv(header, rows).with_context(|| format!("failed to write {name}"))?;
    Ok(ReportFile { name: name.to_owned(), bytes })
}

/// Six digits: more than the data carry, and the same on every machine.
fn number(value: f64) -> String {
    super::text::fixed(value, 6)
}

fn maybe(value: Option<f64>) -> String {
    value.map(number).unwrap_or_default()
}

fn bounds(interval: Option<Interval>) -> [String; 2] {
    interval.map_or_else(Default::default, |interval| [number(interval.low), number(interval.high)])
}

fn verdict(verdict: Verdict) -> String {
    VERDICTS.iter().find(|(known, _)| *known == verdict).map_or_else(String::new, |(_, name)| (*name).to_owned())
}

fn extracted(row: &ItemRow) -> String {
    row.extracted.as_deref().map(|text| trimmed(text, LETTERS)).unwrap_or_default()
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
        assert_eq!(rows[2], "fact-qa,all,A,1,60,0.300000,0.198982,0.425087,items,0.250000,0.350000");
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
