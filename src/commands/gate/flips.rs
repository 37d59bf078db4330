//! The worst flips with both answers. A baseline keeps no answers, so the base is asked these few items again.

use anyhow::Result;

use crate::commands::session::Session;
use crate::eval::suite::SuiteRole;
use crate::gate::baseline::Baseline;
use crate::gate::result::Flip;
use crate::plan::PlannedSuite;
use crate::record::mark::Mark;
use crate::record::rows::ItemRow;

/// Flips shown.
const SHOWN: usize = 5;

/// Items of general suites that the base answers and the adapter does not: suites in turn, of each first what failed as
/// text or leaked the identity, then by item id.
pub(super) fn worst(session: &Session, baseline: &Baseline, rows: &[ItemRow]) -> Result<Vec<Flip>> {
    let mut by_suite: Vec<std::vec::IntoIter<(usize, &ItemRow)>> = Vec::new();
    for (place, (suite, marks)) in baseline.header.suites.iter().zip(&baseline.marks).enumerate() {
        let flipped =
            |row: &&ItemRow| row.suite == suite.name && !Mark::of(row).correct() && marks.get(&row.hash).is_some_and(Mark::correct);
        if suite.role != SuiteRole::Identity {
            let mut found: Vec<&ItemRow> = rows.iter().filter(flipped).collect();
            found.sort_by_key(|row| (!(Mark::of(row).form_failed() || Mark::of(row).leaks()), row.item.clone()));
            by_suite.push(found.into_iter().map(|row| (place, row)).collect::<Vec<_>>().into_iter());
        }
    }
    let mut chosen: Vec<(usize, &ItemRow)> = Vec::new();
    while chosen.len() < SHOWN {
        let round: Vec<_> = by_suite.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() {
            break;
        }
        chosen.extend(round);
    }
    chosen.truncate(SHOWN);
    let before = ask_base(session, &chosen)?;
    let flip = |(_, row): &(usize, &ItemRow)| Flip {
        suite: row.suite.clone(),
        item: row.item.clone(),
        hash: row.hash.clone(),
        prompt: row.prompt.clone(),
        before: before
            .iter()
            .find(|base| base.suite == row.suite && base.hash == row.hash && Mark::of(base).correct())
            .map(|base| base.answer.clone()),
        after: row.answer.clone(),
        mark: Mark::of(row).letters(),
        detail: row.detail.clone(),
    };
    Ok(chosen.iter().map(flip).collect())
}

fn ask_base(session: &Session, chosen: &[(usize, &ItemRow)]) -> Result<Vec<ItemRow>> {
    let suites = session.suites.iter().enumerate().map(|(place, planned)| {
        let wanted = |hash: &str| chosen.iter().any(|(of, row)| *of == place && row.hash == hash);
        PlannedSuite {
            suite: planned.suite.clone(),
            items: planned.items.iter().filter(|item| wanted(&item.content_hash())).cloned().collect(),
        }
    });
    let suites: Vec<PlannedSuite> = suites.filter(|planned| !planned.items.is_empty()).collect();
    if suites.is_empty() { Ok(Vec::new()) } else { session.ask_in_groups("base's answers", None, &suites, usize::MAX) }
}
