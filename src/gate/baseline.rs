//! A baseline: what the base answered, blessed and committed beside the code that trains adapters.
//!
//! JSON lines, small enough for git: a header with the evidence and the margins, then one line an item of about 30 bytes,
//! `[0,"9f86d081884c7d65","c"]`: place of the suite in the header, content hash of the item, letters of its [`Mark`]. The header
//! ends with a digest of these lines and of all that the header itself says: margins, limits, evidence and history. So whatever
//! is lost or edited by hand is seen. A digest proves that a file is whole, not who wrote it: whoever can write the file can
//! write its digest too, which is what review and signatures are for.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use super::drift::DriftLimit;
use crate::counted::counted;
use crate::error::Invalid;
use crate::eval::suite::SuiteRole;
use crate::files::sha256;
use crate::record::evidence::Evidence;
use crate::record::mark::Mark;

/// Version of the file's format.
pub const SCHEMA: u32 = 2;
/// What the header says the file is.
pub const KIND: &str = "ballast-baseline";
/// Points of accuracy that an adapter may lose on a suite where nothing else is said.
pub const MARGIN_POINTS: f64 = 5.0;
/// Points by which identity text in unrelated answers may rise, all general suites together.
pub const LEAK_POINTS: f64 = 2.0;

/// A suite with what the gate asks of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaselineSuite {
    /// Name, as in rows and tables.
    pub name: String,
    /// Where its questions are: a shipped suite's name, or a folder.
    pub source: String,
    /// What it is for.
    pub role: SuiteRole,
    /// Items, and so lines.
    pub items: usize,
    /// Accuracy without the skill: of a random chooser, or of the best known constants where that is more.
    pub chance: f64,
    /// Points of accuracy that may be lost. None asks nothing.
    pub margin_points: Option<f64>,
    /// Points by which failures of form may rise. None asks nothing.
    pub form_points: Option<f64>,
    /// Accuracy in percent that must be shown to be exceeded. None asks nothing.
    pub floor_percent: Option<f64>,
}

/// Why a later baseline asks for less than the one it replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Loosening {
    /// What was loosened.
    pub changes: Vec<String>,
    /// In the words of who did it.
    pub reason: String,
}

/// The first line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`KIND`].
    pub kind: String,
    /// [`SCHEMA`].
    pub schema: u32,
    /// What the answers were made of.
    pub evidence: Evidence,
    /// In the order of the lines' first number.
    pub suites: Vec<BaselineSuite>,
    /// Points by which identity text in unrelated answers may rise. None asks nothing.
    pub leak_points: Option<f64>,
    /// How far the base's own words may move.
    pub drift: DriftLimit,
    /// Every loosening since the first baseline, the oldest first.
    pub loosened: Vec<Loosening>,
    /// sha256 of the header with this field empty, and of the item lines.
    pub digest: String,
}

/// What every version of the first line says.
#[derive(Deserialize)]
struct Says {
    kind: String,
    schema: u32,
}

/// A baseline.
#[derive(Debug, Clone, PartialEq)]
pub struct Baseline {
    /// The first line.
    pub header: Header,
    /// By suite, then by content hash.
    pub marks: Vec<BTreeMap<String, Mark>>,
}

impl Baseline {
    /// The baseline of a header and its suites' marks, in the header's order. Counts and digest are filled in.
    pub fn new(mut header: Header, marks: Vec<BTreeMap<String, Mark>>) -> Result<Self> {
        ensure!(header.suites.len() == marks.len(), "a baseline needs the marks of every suite");
        for (suite, marks) in header.suites.iter_mut().zip(&marks) {
            suite.items = marks.len();
        }
        let mut baseline = Self { header, marks };
        baseline.check()?;
        baseline.header.digest = baseline.digest()?;
        Ok(baseline)
    }

    /// What the header's digest has to be.
    fn digest(&self) -> Result<String> {
        let unsigned = Header { digest: String::new(), ..self.header.clone() };
        Ok(sha256(format!("{}\n{}", serde_json::to_string(&unsigned)?, lines(&self.marks)?).as_bytes()))
    }

    /// The file's text.
    pub fn render(&self) -> Result<String> {
        Ok(format!("{}\n{}", serde_json::to_string(&self.header)?, lines(&self.marks)?))
    }

    /// Reads a file's text; `label` is its name in errors.
    pub fn parse(text: &str, label: &str) -> Result<Self> {
        let (first, rest) = text.split_once('\n').with_context(|| format!("{label} is empty: `ballast bless` writes it"))?;
        let not_a_header = || format!("{label} line 1 is not a baseline's header: `ballast bless` writes it");
        // An older header lacks keys of this one, so what it is is read first.
        let says: Says = serde_json::from_str(first).with_context(not_a_header)?;
        ensure!(says.kind == KIND, "{label} line 1: kind is `{}`, not `{KIND}`", says.kind);
        ensure!(says.schema == SCHEMA, "{label} has schema {}, this Ballast reads {SCHEMA}: bless it again", says.schema);
        let header: Header = serde_json::from_str(first).with_context(not_a_header)?;
        let mut marks: Vec<BTreeMap<String, Mark>> = vec![BTreeMap::new(); header.suites.len()];
        for (index, line) in rest.lines().enumerate() {
            let number = index + 2;
            let (suite, hash, letters): (usize, String, String) =
                serde_json::from_str(line).with_context(|| format!("{label} line {number} is not [suite, hash, verdict]"))?;
            let Some(of_suite) = marks.get_mut(suite) else { bail!("{label} line {number}: the header has no suite {suite}") };
            let mark = Mark::parse(&letters).with_context(|| format!("{label} line {number}: `{letters}` is not a verdict"))?;
            ensure!(of_suite.insert(hash.clone(), mark).is_none(), "{label} line {number}: item {hash} is there twice");
        }
        let baseline = Self { header, marks };
        baseline.check().with_context(|| label.to_owned())?;
        for (suite, marks) in baseline.header.suites.iter().zip(&baseline.marks) {
            let (said, found) = (suite.items, marks.len());
            ensure_valid(said == found, || {
                format!("{label}: suite {} has {}, but its header says {said}", suite.name, counted(found, "item"))
            })?;
        }
        let digest = baseline.digest()?;
        ensure_valid(digest == baseline.header.digest, || {
            format!("{label}: the header or the items are not those that were blessed: restore the file, or bless it again")
        })?;
        Ok(baseline)
    }

    /// What holds for every baseline, written or read.
    fn check(&self) -> Result<()> {
        let mut names = BTreeSet::new();
        for suite in &self.header.suites {
            ensure!(names.insert(&suite.name), "suite {} is there twice", suite.name);
            ensure!(self.header.evidence.suites.contains_key(&suite.name), "suite {} has no evidence", suite.name);
            for (what, points) in [("margin", suite.margin_points), ("form margin", suite.form_points)] {
                check_points(&format!("the {what} of suite {}", suite.name), points)?;
            }
            if let Some(floor) = suite.floor_percent {
                ensure!((0.0..100.0).contains(&floor), "the floor of suite {} is {floor} %: it must be from 0 to below 100", suite.name);
            }
        }
        ensure!(self.header.drift.fits(), "the drift limits must be above 0 nats, and above 0 and at most 100 % agreement");
        check_points("the leak margin", self.header.leak_points)
    }
}

fn check_points(what: &str, points: Option<f64>) -> Result<()> {
    let fits = points.is_none_or(|points| points > 0.0 && points < 100.0);
    ensure!(fits, "{what} is {} points: it must lie between 0 and 100", points.unwrap_or_default());
    Ok(())
}

fn ensure_valid(holds: bool, message: impl FnOnce() -> String) -> Result<()> {
    if holds { Ok(()) } else { Err(Invalid(message()).into()) }
}

/// One line an item.
fn lines(marks: &[BTreeMap<String, Mark>]) -> Result<String> {
    let mut text = String::new();
    for (suite, marks) in marks.iter().enumerate() {
        for (hash, mark) in marks {
            text.push_str(&serde_json::to_string(&(suite, hash, mark.letters()))?);
            text.push('\n');
        }
    }
    Ok(text)
}

/// In what the new policy asks for less than the old one.
pub fn loosened(old: &Header, new: &Header) -> Vec<String> {
    let mut changes = Vec::new();
    let points = |value: Option<f64>| value.map_or("nothing asked".to_owned(), |points| format!("{points}"));
    let mut higher = |what: String, before: Option<f64>, after: Option<f64>| {
        if before.is_some_and(|before| after.is_none_or(|after| after > before)) {
            changes.push(format!("{what}: {} -> {}", points(before), points(after)));
        }
    };
    higher("leak margin".to_owned(), old.leak_points, new.leak_points);
    higher("drift limit".to_owned(), old.drift.nats, new.drift.nats);
    for before in &old.suites {
        let Some(after) = new.suites.iter().find(|after| after.name == before.name) else { continue };
        higher(format!("margin of {}", before.name), before.margin_points, after.margin_points);
        higher(format!("form margin of {}", before.name), before.form_points, after.form_points);
    }
    // Floors are loosened downwards.
    let mut lower = |what: String, before: Option<f64>, after: Option<f64>| {
        if before.is_some_and(|before| after.is_none_or(|after| after < before)) {
            changes.push(format!("{what}: {} -> {}", points(before), points(after)));
        }
    };
    lower("agreement floor".to_owned(), old.drift.agreement_percent, new.drift.agreement_percent);
    for before in &old.suites {
        let Some(after) = new.suites.iter().find(|after| after.name == before.name) else { continue };
        lower(format!("floor of {}", before.name), before.floor_percent, after.floor_percent);
    }
    for before in &old.suites {
        match new.suites.iter().find(|after| after.name == before.name) {
            Some(after) if after.role != before.role && after.role == SuiteRole::Identity => {
                changes.push(format!("role of {}: {} -> {}", before.name, before.role, after.role));
            }
            None => changes.push(format!("suite {} left out", before.name)),
            Some(after) if after.items < before.items => {
                changes.push(format!("items of {}: {} -> {}", before.name, before.items, after.items));
            }
            Some(_) => {}
        }
    }
    changes
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::record::evidence::tests::evidence;

    pub(crate) fn header() -> Header {
        let suite = |name: &str, role, margin, floor| BaselineSuite {
            name: name.to_owned(),
            source: name.to_owned(),
            role,
            items: 0,
            chance: 0.0,
            margin_points: margin,
            form_points: margin,
            floor_percent: floor,
        };
        Header {
            kind: KIND.to_owned(),
            schema: SCHEMA,
            evidence: evidence(),
            suites: vec![suite("fact-qa", SuiteRole::General, Some(5.0), None), suite("identity", SuiteRole::Identity, None, Some(80.0))],
            leak_points: Some(2.0),
            drift: DriftLimit::default(),
            loosened: Vec::new(),
            digest: String::new(),
        }
    }

    /// So many items of each suite, all with the same letters.
    pub(crate) fn baseline(fact: usize, identity: usize) -> Baseline {
        let marks = |n: usize, letters: &str| (0..n).map(|i| (format!("{i:016x}"), Mark::parse(letters).unwrap())).collect();
        Baseline::new(header(), vec![marks(fact, "c"), marks(identity, "w")]).unwrap()
    }

    #[test]
    fn a_file_comes_back_and_its_lines_are_short() {
        let baseline = baseline(200, 100);
        let text = baseline.render().unwrap();
        assert_eq!(Baseline::parse(&text, "b.jsonl").unwrap(), baseline);
        assert_eq!(text.lines().nth(1), Some(r#"[0,"0000000000000000","c"]"#));
        assert!(text.lines().skip(1).all(|line| line.len() <= 30));
    }

    #[test]
    fn a_lost_or_edited_line_is_no_baseline() {
        let text = baseline(60, 2).render().unwrap();
        let lost = text.replacen("[0,\"0000000000000007\",\"c\"]\n", "", 1);
        let edited = text.replacen("\"0000000000000007\",\"c\"", "\"0000000000000007\",\"w\"", 1);
        for (damaged, named) in [(lost, "59 items"), (edited, "bless it again")] {
            let error = Baseline::parse(&damaged, "b.jsonl").unwrap_err();
            assert!(error.is::<Invalid>() && format!("{error:#}").contains(named), "{error:#}");
        }
    }

    /// Every number, flag and word of the header is under the digest.
    #[test]
    fn a_header_edited_by_hand_is_no_baseline() {
        let mut blessed = baseline(60, 2);
        blessed.header.loosened.push(Loosening { changes: vec!["margin of fact-qa: 3 -> 5".to_owned()], reason: "small".to_owned() });
        let text = Baseline::new(blessed.header, blessed.marks).unwrap().render().unwrap();
        let edits = [
            ("\"margin_points\":5.0", "\"margin_points\":90.0"),
            ("\"margin_points\":5.0", "\"margin_points\":null"),
            ("\"form_points\":5.0", "\"form_points\":null"),
            ("\"floor_percent\":80.0", "\"floor_percent\":null"),
            ("\"leak_points\":2.0", "\"leak_points\":null"),
            ("\"nats\":2.0", "\"nats\":null"),
            ("\"agreement_percent\":50.0", "\"agreement_percent\":1.0"),
            ("\"chance\":0.0", "\"chance\":0.9"),
            ("\"role\":\"general\"", "\"role\":\"identity\""),
            ("\"reason\":\"small\"", "\"reason\":\"none\""),
        ];
        for (from, to) in edits {
            assert!(text.contains(from), "{from}");
            let error = Baseline::parse(&text.replacen(from, to, 1), "b.jsonl").unwrap_err();
            assert!(error.is::<Invalid>() && error.to_string().contains("not those that were blessed"), "{to}: {error:#}");
        }
    }

    #[test]
    fn what_is_no_baseline_names_file_and_line() {
        let text = baseline(3, 2).render().unwrap();
        let case = |damaged: &str, named: &str| {
            let error = format!("{:#}", Baseline::parse(damaged, "b.jsonl").unwrap_err());
            assert!(error.contains("b.jsonl") && error.contains(named), "{error}");
        };
        case("", "empty");
        case("{}\n", "line 1");
        case(&text.replacen(KIND, "other", 1), "`other`");
        case(&text.replacen("\"schema\":2", "\"schema\":9", 1), "schema 9");
        case("{\"kind\":\"ballast-baseline\",\"schema\":1,\"lines\":\"x\"}\n", "schema 1");
        case(&text.replacen("\"c\"]", "\"z\"]", 1), "line 2: `z`");
        case(&text.replacen("[0,", "[7,", 1), "no suite 7");
        case(&format!("{text}[0,\"0000000000000000\",\"c\"]\n"), "twice");
        case(&text.replacen("\"margin_points\":5.0", "\"margin_points\":-1.0", 1), "margin of suite fact-qa is -1");
    }

    #[test]
    fn asking_for_less_is_seen_and_asking_for_more_is_free() {
        let old = baseline(60, 10).header;
        assert_eq!(loosened(&old, &old), Vec::<String>::new());
        let change = |change: fn(&mut Header)| {
            let mut new = old.clone();
            change(&mut new);
            loosened(&old, &new)
        };
        assert_eq!(change(|h| h.suites[0].margin_points = Some(3.0)), Vec::<String>::new());
        assert_eq!(change(|h| h.suites[1].floor_percent = Some(90.0)), Vec::<String>::new());
        assert_eq!(change(|h| h.suites[0].margin_points = Some(8.0)), ["margin of fact-qa: 5 -> 8"]);
        assert_eq!(change(|h| h.suites[0].margin_points = None), ["margin of fact-qa: 5 -> nothing asked"]);
        assert_eq!(change(|h| h.suites[1].floor_percent = Some(50.0)), ["floor of identity: 80 -> 50"]);
        assert_eq!(change(|h| h.drift.nats = Some(9.0)), ["drift limit: 2 -> 9"]);
        assert_eq!(change(|h| h.drift.agreement_percent = None), ["agreement floor: 50 -> nothing asked"]);
        assert_eq!(change(|h| h.suites[0].role = SuiteRole::Identity), ["role of fact-qa: general -> identity"]);
        assert_eq!(change(|h| h.suites[1].role = SuiteRole::General), Vec::<String>::new());
        assert_eq!(change(|h| h.leak_points = None).len(), 1);
        assert_eq!(change(|h| h.suites.truncate(1)), ["suite identity left out"]);
        assert_eq!(change(|h| h.suites[0].items = 20), ["items of fact-qa: 60 -> 20"]);
    }
}
