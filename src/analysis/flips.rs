//! Items that the base answers and a variant no longer does.

use crate::record::rows::ItemRow;

use super::pair::pairs;
use super::view::{Subject, View, suite_rows};
use crate::record::run_dir::Cell;

/// An item the base got right, with the variants that got it wrong.
#[derive(Debug)]
pub(crate) struct Flip<'a> {
    /// The base's answer.
    pub(crate) base: &'a ItemRow,
    /// Variants that flipped it, in the experiment's order, each with the answer of its first seed that did.
    pub(crate) wrong: Vec<(&'a str, &'a ItemRow)>,
}

/// The worst flips: of each suite first the item that most variants flipped, suites in turn.
pub(crate) fn worst<'a>(view: &View<'a>, most: usize) -> Vec<Flip<'a>> {
    let mut suites: Vec<std::vec::IntoIter<Flip>> = view.suites.iter().map(|suite| of_suite(view, suite).into_iter()).collect();
    let mut flips = Vec::new();
    loop {
        let mut round: Vec<Flip> = suites.iter_mut().filter_map(Iterator::next).collect();
        if round.is_empty() || flips.len() >= most {
            flips.truncate(most);
            return flips;
        }
        // Stable: suites keep their order among equals.
        round.sort_by_key(|flip| std::cmp::Reverse(flip.wrong.len()));
        flips.append(&mut round);
    }
}

/// All flips of a suite, those by most variants first, then by id.
fn of_suite<'a>(view: &View<'a>, suite: &str) -> Vec<Flip<'a>> {
    let mut flips: Vec<Flip> = suite_rows(&view.run.base, suite)
        .into_iter()
        .filter(|base| base.is_correct())
        .map(|base| Flip {
            base,
            wrong: view.variants().iter().filter_map(|variant| Some((variant.name, flipped(variant, base)?))).collect(),
        })
        .filter(|flip| !flip.wrong.is_empty())
        .collect();
    flips.sort_by(|a, b| b.wrong.len().cmp(&a.wrong.len()).then_with(|| a.base.item.cmp(&b.base.item)));
    flips
}

/// The first wrong answer of a variant that answers the item wrongly in most of its seeds.
fn flipped<'a>(variant: &Subject<'a>, base: &ItemRow) -> Option<&'a ItemRow> {
    let answers: Vec<&ItemRow> =
        variant.cells.iter().filter_map(|cell| cell.items.iter().find(|row| row.suite == base.suite && row.hash == base.hash)).collect();
    let wrong: Vec<&ItemRow> = answers.iter().copied().filter(|row| !row.is_correct()).collect();
    (2 * wrong.len() > answers.len()).then(|| wrong[0])
}

/// Every flip of every cell in either direction: cell, the base's row, the cell's row.
pub(crate) fn flipped_cells<'a>(view: &View<'a>) -> Vec<(&'a Cell, &'a ItemRow, &'a ItemRow)> {
    let cells = view.variants().iter().flat_map(|variant| variant.cells.iter().copied());
    cells
        .flat_map(|cell| pairs(&view.run.base.items, &cell.items).into_iter().map(move |pair| (cell, pair)))
        .filter(|(_, pair)| pair.before.is_correct() != pair.after.is_correct())
        .map(|(cell, pair)| (cell, pair.before, pair.after))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::{cell, run};

    #[test]
    fn the_most_flipped_come_first_and_suites_take_turns() {
        let mut run = run();
        run.cells = vec![cell("A", 42, 0.3, 1.0), cell("B", 42, 0.7, 1.0), cell("mixed", 42, 0.78, 1.0)];
        let view = View::new(&run);
        let flips = worst(&view, 10);
        assert_eq!(flips.len(), 10);
        let suites: Vec<&str> = flips.iter().map(|flip| flip.base.suite.as_str()).collect();
        assert_eq!(suites, ["fact-qa", "reasoning-zh"].repeat(5));
        let counts: Vec<usize> = flips.iter().map(|flip| flip.wrong.len()).collect();
        assert_eq!(counts[..4], [3, 3, 2, 2], "{counts:?}");
        assert!(counts.is_sorted_by(|a, b| a >= b));
        assert!(flips[2].base.item < flips[4].base.item);
        assert_eq!(flips[0].wrong[0].0, "A");
    }

    #[test]
    fn a_flip_holds_in_most_seeds_and_needs_a_right_base() {
        let mut run = run();
        run.cells = vec![cell("A", 1, 0.8, 1.0), cell("A", 2, 0.8, 1.0), cell("A", 3, 0.3, 1.0)];
        assert!(worst(&View::new(&run), 10).is_empty());
        run.cells[1] = cell("A", 2, 0.3, 1.0);
        assert_eq!(worst(&View::new(&run), 10).len(), 10);
        run.base.items.clear();
        assert!(worst(&View::new(&run), 10).is_empty());
    }
}
