//! A mapping of the user's own over tables of the user's own, and what does not fit.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::{choice, folder};
use crate::eval::mapping::{Reference, load_with};
use crate::eval::suite::{Language, PromptFormat, Suite, Task};
use crate::model::fetch::Silent;

const HEAD: &str = "name = \"own\"\ndescription = \"Own rows.\"\nmax_new_tokens = 32\n";

fn load(folder: &Path, options: &str) -> anyhow::Result<Suite> {
    let reference = Reference::parse(&format!("{}{options}", folder.join("own.toml").display())).unwrap()?;
    load_with(&reference, || anyhow::bail!("the hub is not asked"), &Silent)
}

/// A folder with `own.toml` and a table.
fn own(mapping: &str, name: &str, table: &[u8]) -> TempDir {
    let text = format!("{HEAD}{mapping}").replace('@', name);
    folder(&[("own.toml", text.as_bytes()), (name, table)])
}

fn suite(mapping: &str, name: &str, table: &str) -> Suite {
    load(own(mapping, name, table.as_bytes()).path(), "").unwrap()
}

fn error(mapping: &str, name: &str, table: &[u8]) -> String {
    let folder = own(mapping, name, table);
    let error = format!("{:#}", load(folder.path(), "").unwrap_err());
    error.replace(&format!("{}/", folder.path().display()), "")
}

const TEXT: &str = "grader = \"text\"\nlanguage = { column = \"lang\", zh = [\"Chinese\"], en = [\"English\"] }\nid = \"q{nr}\"\nsubject = \"{topic}\"\n\
    cluster = \"{group}\"\nprompt = \"{question}\"\n[source]\nfiles = [\"@\"]\n[answers]\ncolumns = \"answer, also\"\nseparator = \";\"\n\
    [[filter]]\ncolumn = \"use\"\nis_not = [\"no\"]\nwhy = \"marked as unused\"\n";
const TABLE: &str = "nr,lang,topic,group,question,answer,also,use\n1,English,boats,g1,What floats?,cork; wood,,\n2,Chinese,boats,g1,什么能浮？,软木,木头,yes\n3,English,knots,g2,What knot?,bowline,,no\n";

#[test]
fn a_csv_of_ones_own_is_a_suite() {
    let suite = suite(TEXT, "rows.csv", TABLE);
    assert_eq!((suite.name.as_str(), suite.items.len(), suite.chance), ("own", 2, 0.0));
    assert_eq!(suite.description, "Own rows; left out: 1 row (marked as unused).");
    let [first, second] = suite.items.as_slice() else { panic!() };
    assert_eq!((first.id.as_str(), first.cluster.as_str(), first.subject.as_str(), first.language), ("q1", "g1", "boats", Language::En));
    assert!(matches!(&first.task, Task::Text { answers, .. } if answers == &["cork", "wood"]));
    assert!(matches!(&second.task, Task::Text { answers, .. } if answers == &["软木", "木头"]));
    assert_eq!(second.language, Language::Zh);
    // Tabs, and the same as JSON: one suite.
    let tabs = TABLE.replace(',', "\t");
    assert_eq!(self::suite(TEXT, "rows.tsv", &tabs).digest, suite.digest);
    let json = r#"[{"nr": 1, "lang": "English", "topic": "boats", "group": "g1", "question": "What floats?", "answer": ["cork", "wood"]},
        {"nr": 2, "lang": "Chinese", "topic": "boats", "group": "g1", "question": "什么能浮？", "answer": "软木", "also": "木头"}]"#;
    assert_eq!(self::suite(TEXT, "rows.json", json).digest, suite.digest);
}

#[test]
fn examples_may_come_from_another_file() {
    let mapping = "grader = \"choice\"\nlanguage = \"en\"\nid = \"{file|row}-{row}\"\nsubject = \"boats\"\nprompt = \"{q}\"\n[source]\nfiles = [\"@\"]\n\
        [choices]\ncolumns = \"a, b\"\nanswer = \"right\"\nkey = [\"text\", \"letter\"]\n[examples]\nfiles = [\"shots.csv\"]\nshots = 1\n";
    let folder = own(&mapping.replace("{file|row}", "x"), "rows.csv", b"q,a,b,right\nfloats?,lead,cork,cork\nsinks?,lead,cork,A\n");
    fs::write(folder.path().join("shots.csv"), "q,a,b,right\ntied?,rope,sea,rope\nwet?,rope,sea,B\n").unwrap();
    let suite = load(folder.path(), "").unwrap();
    assert_eq!(suite.items.iter().map(|item| choice(item).1).collect::<Vec<_>>(), [1, 0]);
    let lead = suite.items[0].few_shot.as_ref().unwrap();
    assert_eq!((lead.form, lead.shots.len(), lead.shots[0].answer.as_str()), (PromptFormat::Chat, 1, "A"));
    assert_eq!(suite.description, "Own rows (1 example as chat)");
    assert_eq!(load(folder.path(), "#shots=0").unwrap().items[0].few_shot, None);
    let two = load(folder.path(), "#shots=2").unwrap();
    assert_eq!(two.items[0].few_shot.as_ref().unwrap().shots.len(), 2);
    let plain = format!("{:#}", load(folder.path(), "#form=plain").unwrap_err());
    assert!(plain.contains("there is no [text] with the words"), "{plain}");
}

const NUMBER: &str = "grader = \"number\"\nlanguage = \"en\"\nprompt = \"{q}\"\n[source]\nfiles = [\"@\"]\n[answers]\ncolumns = \"n\"\n";

#[test]
fn what_does_not_fit_is_named_with_file_column_row_and_reason() {
    let cases: &[(&str, &str, &str, &str)] = &[
        (NUMBER, "a.csv", "p,n\nx,1\n", "a.csv:2: `q` is missing: the columns are n, p"),
        (NUMBER, "a.csv", "q,n\nx,1\ny,\n", "a.csv:3: `n` is missing: the cell is empty or null"),
        (NUMBER, "a.csv", "q,n\nx,many\n", "a.csv:2: `n` is `many`, which has no number in digits"),
        (NUMBER, "a.csv", "q,n,q\nx,1,y\n", "a.csv:1: two columns are called `q`"),
        (NUMBER, "a.csv", "q,n\nx,1,2\n", "a.csv:2: not csv, or another number of cells"),
        (NUMBER, "a.jsonl", "{\"q\": \"x\", \"n\": 1}\n[1]\n", "a.jsonl:2: not a JSON object"),
        (NUMBER, "a.jsonl", "{\"q\": \"x\", \"n\": NaN}", "a.jsonl:1: not a JSON object: expected value"),
        (NUMBER, "a.jsonl", "{\"q\": {\"deep\": 1}, \"n\": 1}", "a.jsonl:1: `q` is not a text"),
        (
            NUMBER,
            "a.json",
            "{\"rows\": [], \"n\": 1}",
            "a.json: holds an object, not a list of rows: say with `records` which of its keys holds them (n, rows)",
        ),
        (NUMBER, "a.json", "[1]", "a.json, row 0: not an object"),
        (NUMBER, "a.json", "7", "a.json: holds neither a list of rows nor an object"),
        (NUMBER, "a.json", "[{\"q\": 1}", "a.json: not JSON"),
        (NUMBER, "a.json", "[]", "a.json: there is no row"),
        (NUMBER, "a.txt", "q", "a.txt cannot be read: tables are files ending in"),
        (TEXT, "a.csv", &TABLE.replace("Chinese", "French"), "a.csv:3: `lang` is `French`, which `language` gives no meaning"),
        (TEXT, "a.csv", &TABLE.replace("bowline", "...").replace(",no", ",yes"), "a.csv:4: `answer` has no letter or digit"),
        (TEXT, "a.csv", &TABLE.replace("\n2,", "\n1,"), "a.csv:3: the id `q1` is taken by"),
    ];
    for (mapping, name, table, expected) in cases {
        let message = error(mapping, name, table.as_bytes());
        assert!(message.contains(expected), "{message}\nshould say\n{expected}");
    }
    let utf16 = error(NUMBER, "a.csv", b"q,n\n\xFF\xFEx,1\n");
    assert!(utf16.contains("a.csv:2: not valid UTF-8"), "{utf16}");
}

#[test]
fn a_mapping_is_read_strictly() {
    let cases = [
        (NUMBER.replace("prompt =", "promt ="), "unknown field `promt`"),
        (NUMBER.replace("columns = \"n\"", "columns = \"n\"\ncolumn = \"n\""), "unknown field `column`"),
        (NUMBER.replace("\"number\"", "\"regex\""), "unknown variant `regex`"),
        (NUMBER.replace("\"number\"", "\"choice\""), "[choices] is missing: grader choice needs it"),
        (format!("{NUMBER}[safety]\ncolumn = \"a\"\nharmful = []\nharmless = []\n"), "grader number does not read [safety]"),
        (NUMBER.replace("{q}", "{q"), "has a single brace"),
        (NUMBER.replace("\"en\"", "\"fr\""), "`language` is \"en\", \"zh\", or { column"),
        (NUMBER.replace("[source]", "[source]\nrevision = \"v1\""), "[source] has a revision, but no `hub`"),
        (NUMBER.replace("[source]", "[source]\nsha256 = { \"a.csv\" = \"12\" }"), "`12` is not 64 hexadecimal digits"),
        (
            NUMBER.replace("prompt", "scoring = \"likelihood\"\nprompt"),
            "scoring is by likelihood, which takes items of grader choice alone",
        ),
        (NUMBER.replace("prompt", "asked = \"cloze\"\nprompt"), "asked is cloze, but there is no [text]"),
        (NUMBER.replace("prompt", "chance = 1.5\nprompt"), "`chance` is not a share"),
        (format!("{NUMBER}[[filter]]\ncolumn = \"q\"\nwhy = \"x\"\n"), "[[filter]] takes either `is` or `is_not`"),
    ];
    for (mapping, expected) in cases {
        let message = error(&mapping, "a.csv", b"q,n\nx,1\n");
        assert!(message.contains("own.toml") && message.contains(expected), "{message}\nshould say\n{expected}");
    }
}

#[test]
fn other_bytes_than_the_mapping_was_written_for_are_refused() {
    let table = b"q,n\nx,1\n";
    let with = |name: &str, digest: &str| NUMBER.replace("[source]", &format!("[source]\nsha256 = {{ \"{name}\" = \"{digest}\" }}"));
    let right = crate::files::sha256(table);
    assert!(load(own(&with("a.csv", &right), "a.csv", table).path(), "").is_ok());
    let changed = error(&with("a.csv", &right), "a.csv", b"q,n\nx,2\n");
    assert!(changed.contains("a.csv: sha256 is") && changed.contains("it is another version"), "{changed}");
    assert!(error(&with("b.csv", &right), "a.csv", table).contains("sha256 has no digest for a.csv"));
}

#[test]
fn so_many_rows_may_not_fit_and_one_more_is_an_error() {
    let table = "q,n\na,1\nb,many\nc,few\nd,4\n";
    let two = suite(&NUMBER.replace("prompt", "unfit = 2\nprompt"), "a.csv", table);
    assert_eq!(two.items.iter().map(|item| item.id.as_str()).collect::<Vec<_>>(), ["a-0", "a-3"], "ids count the rows left out");
    assert!(two.description.contains("a.csv:3: `n` is `many`") && two.description.contains("a.csv:4: `n` is `few`"));
    assert!(error(&NUMBER.replace("prompt", "unfit = 1\nprompt"), "a.csv", table.as_bytes()).contains("a.csv:4: `n` is `few`"));
}

#[test]
fn columns_of_every_type_are_read() {
    let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tables/kinds.parquet")).unwrap();
    let mapping = NUMBER.replace("{q}", "{number} {share} {flag} {category} {day} {text?}").replace("\"n\"", "\"number\"");
    let suite = load(own(&mapping, "kinds.parquet", &bytes).path(), "").unwrap();
    assert!(suite.items[0].prompt.starts_with("1 0.5 true a 2026-01-02"), "{}", suite.items[0].prompt);
    assert!(suite.items[0].prompt.ends_with(" x") && !suite.items[1].prompt.ends_with('x'));
    for (column, why) in [
        ("gap", "kinds.parquet, row 1: `gap` is missing: the cell is empty or null"),
        ("nothing", "kinds.parquet, row 0: `nothing` is missing: the cell is empty or null"),
        ("nested", "kinds.parquet, row 0: `nested` is not a list of texts"),
        ("flag", "kinds.parquet, row 0: `flag` is `true`, which has no number in digits"),
    ] {
        let text = error(&NUMBER.replace("{q}", "{number}").replace("\"n\"", &format!("\"{column}\"")), "kinds.parquet", &bytes);
        assert!(text.contains(why), "{text}");
    }
}

#[test]
fn a_file_that_unpacks_to_more_than_memory_is_refused() {
    let bytes = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/tables/bomb.parquet")).unwrap();
    let text = error(&NUMBER.replace("{q}", "{question}"), "bomb.parquet", &bytes);
    assert!(text.contains("bomb.parquet unpacks to more than 268435456 bytes"), "{text}");
    let half = error(NUMBER, "half.parquet", &bytes[..bytes.len() / 2]);
    assert!(half.contains("half.parquet is not a Parquet file that can be read"), "{half}");
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_waited_for() {
    let folder = own(&NUMBER.replace('@', "/dev/zero"), "a.csv", b"");
    assert!(format!("{:#}", load(folder.path(), "").unwrap_err()).contains("there is no file or folder"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever the bytes, there is an answer or one error.
    #[test]
    fn no_table_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), kind in 0..6_usize) {
        let name = ["a.csv", "a.tsv", "a.jsonl", "a.jsonl.gz", "a.json", "a.parquet"][kind];
        let folder = own(NUMBER, name, &bytes);
        let _ = load(folder.path(), "");
    }

    #[test]
    fn no_mapping_panics(text in ".{0,80}") {
        let folder = folder(&[("own.toml", text.as_bytes())]);
        prop_assert!(load(folder.path(), "").is_err());
    }
}
