//! Wrong programs that the code suite must tell from right ones: mutants of its reference solutions, drawn before anything was
//! known of which it finds out (`mutants/make.py`), and mistakes written by hand.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::BTreeMap;
use std::time::Duration;

use ballast::eval::program::check_program;
use ballast::eval::suite::{Item, Program};
use ballast::files::sha256;
use ballast::library;
use ballast::sandbox::{Checked, CodeOutcome, Inputs, Limits, Sandbox};
use rayon::prelude::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Mutant {
    item: String,
    /// Start of the sha256 of the reference that it was made of.
    of: Option<String>,
    what: String,
    program: String,
}

fn sandbox() -> Sandbox {
    Sandbox { helper: env!("CARGO_BIN_EXE_ballast").into(), allow_missing_layers: false }
}

/// Enough for every reference; a mutant that never ends is not waited for.
fn limits() -> Limits {
    Limits { cpu: Duration::from_secs(1), wall: Duration::from_secs(30), ..Limits::default() }
}

/// Those that pass, by item and change; and how many there are.
fn survivors(text: &str) -> (Vec<String>, usize) {
    let items: BTreeMap<String, Item> = library::suite("code").unwrap().items.into_iter().map(|item| (item.id.clone(), item)).collect();
    let mutants: Vec<Mutant> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let sandbox = sandbox();
    let passes = |mutant: &Mutant| {
        let program = items[&mutant.item].program().unwrap();
        if let Some(of) = &mutant.of {
            let fresh = sha256(program.reference.as_bytes()).starts_with(of.as_str());
            assert!(fresh, "the reference of {} changed: run tests/mutants/make.py", mutant.item);
        }
        check_program(&sandbox, program, &mutant.program, &limits()).unwrap().outcome == CodeOutcome::Passed
    };
    let alive = mutants.par_iter().filter(|mutant| passes(mutant)).map(|mutant| format!("{}: {}", mutant.item, mutant.what)).collect();
    (alive, mutants.len())
}

#[test]
fn mutants_are_found_out() {
    let (alive, all) = survivors(include_str!("mutants/battery.jsonl"));
    assert!(all >= 500, "the battery has {all} mutants");
    assert!(alive.len() * 100 <= 3 * all, "{} of {all} pass: {alive:#?}", alive.len());
}

#[test]
fn mistakes_are_found_out() {
    let (alive, _) = survivors(include_str!("mutants/handmade.jsonl"));
    assert!(alive.is_empty(), "{alive:#?}");
}

/// Equivalent mutants are kept out of the battery because no input tells them from the reference. One that fails is no such mutant.
#[test]
fn mutants_called_equivalent_pass() {
    let text = include_str!("mutants/equivalent.jsonl");
    let sample: Vec<&str> = text.lines().step_by(8).collect();
    let (alive, all) = survivors(&sample.join("\n"));
    assert_eq!(alive.len(), all, "{alive:#?}");
}

/// Checks a program on drawn inputs alone: the one test says nothing.
fn drawn(reference: &str, inputs: &Inputs, source: &str) -> Checked {
    let tests = ["assert True".to_owned()];
    let program = Program { entry_point: "f", reference, tests: &tests, setup: "", inputs: Some(inputs) };
    check_program(&sandbox(), program, source, &limits()).unwrap()
}

fn inputs(draw: &str, edges: &[&str]) -> Inputs {
    Inputs { draw: draw.to_owned(), edges: edges.iter().map(|edge| (*edge).to_owned()).collect(), loose: false }
}

fn assert_found(detail: &str, reference: &str, inputs: &Inputs, source: &str) {
    let checked = drawn(reference, inputs, source);
    assert_eq!((checked.outcome, checked.passed, checked.total), (CodeOutcome::Failed, 1, 2), "{source}: {checked:?}");
    assert!(checked.detail.contains(detail), "{source}: {}", checked.detail);
}

#[test]
fn types_count() {
    let number = inputs("(g.int(0, 5),)", &["0"]);
    let double = "def f(n):\n    return 2 * n";
    assert_eq!(drawn(double, &number, "def f(n):\n    return n + n").outcome, CodeOutcome::Passed);
    assert_found("f(0): got 0.0", double, &number, "def f(n):\n    return 2.0 * n");
    assert_found("got False", "def f(n):\n    return n and 1", &number, "def f(n):\n    return n > 0");
    assert_found("got 1", "def f(n):\n    return n > 0", &inputs("(1,)", &["1"]), "def f(n):\n    return 1");
    let loose = Inputs { loose: true, ..number.clone() };
    assert_eq!(drawn(double, &loose, "def f(n):\n    return 2.0 * n").outcome, CodeOutcome::Passed);
    assert_found("got True", "def f(n):\n    return 1", &Inputs { loose: true, ..number.clone() }, "def f(n):\n    return True");
    assert_found("got [0]", "def f(n):\n    return (n,)", &number, "def f(n):\n    return [n]");
    assert_found("got {0: True}", "def f(n):\n    return {n: 1}", &inputs("(0,)", &["0"]), "def f(n):\n    return {n: True}");
    let third = "def f(n):\n    return (n + 0.1 + 0.2) / 3";
    assert_eq!(drawn(third, &number, "def f(n):\n    return (0.2 + 0.1 + n) / 3").outcome, CodeOutcome::Passed, "sums in another order");
    let counter = "from collections import Counter\ndef f(n):\n    return Counter([n])";
    assert_eq!(drawn("def f(n):\n    return {n: 1}", &number, counter).outcome, CodeOutcome::Passed, "a Counter is a dict");
}

#[test]
fn liars_gain_nothing() {
    let number = inputs("(g.int(0, 5),)", &["0"]);
    let double = "def f(n):\n    return 2 * n";
    let liars = [
        "class Yes(int):\n    __eq__ = lambda a, b: True\n    __hash__ = lambda a: 0\ndef f(n):\n    return Yes(1)",
        "class Yes:\n    __eq__ = lambda a, b: True\ndef f(n):\n    return Yes()",
        "import __main__\n__main__.Peer.answer_to = lambda *a: '[\"return\",0,[]]'\ndef f(n):\n    return 0",
        "import __main__\n__main__.Peer.serve_all = lambda self, call: self.send('[' + ','.join(['[\"same\",0,[]]'] * len(call[1])) + ']')\ndef f(n):\n    return 0",
        "import __main__\n__main__.Peer.serve_all = lambda self, call: self.send('[]')\ndef f(n):\n    return 0",
        "import __main__\n__main__.Peer.serve_all = lambda self, call: self.send('[' + ','.join(['[\"passed\",0,[]]'] * len(call[1])) + ']')\ndef f(n):\n    return 0",
    ];
    for source in liars {
        let verdict = drawn(double, &number, source).outcome;
        assert_eq!(verdict, CodeOutcome::Failed, "{source}");
    }
    let silent = "import os\ndef f(n):\n    os._exit(0)";
    assert_eq!(drawn(double, &number, silent).outcome, CodeOutcome::Killed);
    // The reference is in another process, whose files and memory are out of reach.
    let thief = "import gc\ndef f(n):\n    return [x for x in gc.get_objects() if type(x) is dict and 'reference' in x] or 0";
    assert_eq!(drawn("def f(n):\n    return 'reference'", &number, thief).outcome, CodeOutcome::Failed);
}

#[test]
fn arguments_stay_or_change_as_the_reference_has_it() {
    let list = inputs("(g.list(0, 5, lambda: g.int(0, 9)),)", &["[]", "[2, 1, 3]"]);
    let sorts = "def f(items):\n    return sorted(items)";
    assert_found("changed an argument", sorts, &list, "def f(items):\n    items.sort()\n    return items");
    let in_place = "def f(items):\n    items.sort()";
    assert_eq!(drawn(in_place, &list, "def f(items):\n    items[:] = sorted(items)").outcome, CodeOutcome::Passed);
    assert_found("left one that should change", in_place, &list, "def f(items):\n    sorted(items)");
    assert_found("left an argument as", in_place, &list, "def f(items):\n    items.sort(reverse=True)");
    let piles_up = "def f(items, seen=[]):\n    seen += items\n    return len(seen)";
    assert_found("got", "def f(items):\n    return len(items)", &list, piles_up);
}

#[test]
fn failures_keep_their_kinds() {
    let number = inputs("(g.int(0, 9),)", &["0", "9"]);
    let (same, verdict) = ("def f(n):\n    return n", |source: &str| drawn("def f(n):\n    return n", &number, source).outcome);
    assert_eq!(verdict("def f(n):\n    return n // (9 - n)"), CodeOutcome::Raised);
    assert_eq!(verdict("def f(n):\n    while n == 9: pass\n    return n"), CodeOutcome::TimedOut);
    assert_eq!(verdict("def f(n):\n    return lambda: n"), CodeOutcome::Failed);
    assert_eq!(verdict("def f(n):\n    return [0] * (10 ** 9)"), CodeOutcome::OutOfMemory);
    let broken = |reference: &str, inputs: &Inputs| {
        let program = Program { entry_point: "f", reference, tests: &["pass".to_owned()], setup: "", inputs: Some(inputs) };
        format!("{:#}", check_program(&sandbox(), program, same, &limits()).unwrap_err())
    };
    assert!(broken("def f(n):\n    return 1 // n", &number).contains("the reference gives [\"raise\",[\"ZeroDivisionError\""));
    assert!(broken(same, &inputs("g.int(0, 9)", &["0"])).contains("the inputs drawn are no tuple"));
    assert!(broken(same, &inputs("(g.integer(0, 9),)", &["0"])).contains("no attribute 'integer'"));
    assert!(broken(same, &inputs("(object(),)", &["0"])).contains("no plain data: object"));
}
