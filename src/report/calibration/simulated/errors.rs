//! False verdicts, and what twins would do to them.

use super::{ACCURACY, CHURNS, Gates};
use crate::gate::simulate::{DecisionCounts, SimulatedAdapter};
use crate::report::table::Table;
use crate::report::text::{code, or_none, percent};

pub(super) fn errors(gates: &Gates) -> String {
    let header = [
        "asked",
        "items",
        "churn %",
        "no loss: pass %",
        "no loss: regress %",
        "half the margin: regress %",
        "at the margin: pass %",
        "at the margin: regress %",
    ];
    let mut table = Table::new(header, 1);
    let mut push = |name: String, items: usize, churn: f64, of: &dyn Fn(f64) -> Option<DecisionCounts>| {
        let (none, half, margin) = (of(0.0), of(gates.draws.margin / 2.0), of(gates.draws.margin));
        let (pass, regress) = (|found: DecisionCounts| percent(found.pass_rate()), |found: DecisionCounts| percent(found.regress_rate()));
        table.push(vec![
            name,
            items.to_string(),
            percent(churn),
            or_none(none, pass),
            or_none(none, regress),
            or_none(half, regress),
            or_none(margin, pass),
            or_none(margin, regress),
        ]);
    };
    for (place, churn) in gates.cases() {
        let (name, n) = &gates.suites[place];
        push(code(name), *n, churn, &|loss| gates.alone(place, churn, loss));
    }
    let items = gates.suites.iter().map(|(_, n)| n).sum();
    for churn in CHURNS {
        push("all, the loss on all".to_owned(), items, churn, &|loss| gates.everywhere(churn, loss));
    }
    let largest = gates.suites.iter().enumerate().max_by_key(|(_, (_, n))| *n).map_or(0, |(place, _)| place);
    for churn in CHURNS {
        push("all, the loss on the largest".to_owned(), items, churn, &|loss| gates.only(largest, churn, loss));
    }
    format!(
        "## False verdicts\n\nNeither \"no loss: regress\" nor \"at the margin: pass\" may exceed 5 %. What a Regress means is in the columns between: a loss is shown, and it is *seen* to be \
         the margin or more; its true size may be somewhat smaller. An adapter that truly loses exactly the margin is called a regression about half the time where only one suite shows it, more often where all do.\n\n{}",
        table.markdown()
    )
}

/// Items that share their luck.
pub(super) fn twins(gates: &Gates) -> String {
    let mut table = Table::new(["suite", "pairs of twins", "churn %", "pass at the margin %: as twins", "as if strangers"], 1);
    for (suite, n) in gates.suites {
        for churn in CHURNS {
            let found = gates.draws.twins(n / 2, SimulatedAdapter { accuracy: ACCURACY, churn, loss: gates.draws.margin });
            table.push(vec![
                code(suite),
                (n / 2).to_string(),
                percent(churn),
                or_none(found, |(worth, _)| percent(worth.pass_rate())),
                or_none(found, |(_, strangers)| percent(strangers.pass_rate())),
            ]);
        }
    }
    format!(
        "## Twins\n\nThe same number of items, but in pairs that always flip together: the worst case of paraphrases and translations. The gate counts them by their design effect; counting them as strangers would pass an adapter at the margin too often.\n\n{}",
        table.markdown()
    )
}
