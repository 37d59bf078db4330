//! The page of the made-up run, with answers that try to get out.

use serde_json::Value;

use super::*;
use crate::analysis::sample::{run, with_seeds};
use crate::analysis::view::View;
use crate::plan::run::Run;
use crate::report::figures;

fn html(run: &Run) -> String {
    let results = Results::new(View::new(run));
    page(&results, &figures::all(&results.view).unwrap()).unwrap()
}

fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

#[test]
fn the_page_says_what_the_markdown_says_and_holds_every_item() {
    let page = html(&run());
    assert_eq!(page, html(&run()));
    for part in [
        "<h1>Collapse and recovery of a sample</h1>",
        "<strong>What the fine-tune cost.</strong>",
        "<h2 id=\"section-accuracy\">",
        "<strong>-50.0</strong>",
    ] {
        assert!(page.contains(part), "{part}");
    }
    assert_eq!(page.matches("<svg ").count(), 5);
    assert!(!page.contains("Worst flips"));
    let data = data(&page);
    assert_eq!(data["items"].as_array().unwrap().len(), 180);
    assert_eq!(data["cells"].as_array().unwrap().len(), 4);
    assert!(data["items"].as_array().unwrap().iter().all(|item| item[5].as_array().unwrap().iter().all(|answer| !answer.is_null())));
    assert_eq!(self::data(&html(&with_seeds()))["cells"][3], serde_json::json!(["A", 3]));
}

#[test]
fn nothing_is_fetched() {
    let page = html(&run());
    for part in ["http://", "https://", "src=", "@import", "url("] {
        let outside = page.replace("http://www.w3.org/2000/svg", "");
        assert!(!outside.contains(part), "{part}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_hostile_answer_stays_in_the_data() {
    let mut run = run();
    let hostile = "</script><script>alert(1)</script><!--<img src=x onerror=alert(2)>\u{2028}\u{0}\u{1b}[2J\u{9b}\u{202e}&lt;";
    for row in run.cells.iter_mut().flat_map(|cell| &mut cell.items) {
        (row.answer, row.extracted) = (hostile.to_owned(), Some(hostile.to_owned()));
        row.item.push_str("\"><b>");
    }
    run.base.items[0].prompt = hostile.to_owned();
    run.experiment.title = hostile.to_owned();
    run.meta.model = hostile.to_owned();
    let page = html(&run);
    assert_eq!(page.matches("</script").count(), 2, "the data's own end and the script's");
    assert!(!page.contains("<img") && !page.contains("<!--") && !page.contains("<b>"));
    assert!(!page.contains(['\u{202e}', '\u{2028}', '\u{0}', '\u{1b}', '\u{9b}'].as_slice()));
    let data = data(&page);
    let item = data["items"].as_array().unwrap().iter().find(|item| item[5][1].is_array()).unwrap();
    assert_eq!(item[5][1][3], hostile);
    assert_eq!(item[5][1][4], serde_json::json!([0, hostile.encode_utf16().count()]));
}

#[test]
fn an_item_that_a_cell_was_not_asked_is_null_there() {
    let mut run = run();
    run.cells[1].items.retain(|row| row.suite != "reasoning-zh");
    run.base.items.retain(|row| row.item != "fact-qa-00");
    let data = data(&html(&run));
    let items = data["items"].as_array().unwrap();
    assert_eq!(items.len(), 180);
    assert!(items.iter().any(|item| item[1] == "fact-qa-00" && item[5][0].is_null() && item[5][1].is_array()));
    assert!(items.iter().filter(|item| item[0] == 1).all(|item| item[5][2].is_null()));
}
