//! The report's page in a real browser. Skipped where no Chromium is installed, unless `BALLAST_REQUIRE_CHROMIUM=1`.

#[path = "page/run.rs"]
mod run;

use std::process::Command;

use assert_cmd::cargo::cargo_bin;

/// What `check.py` exits with where there is no browser.
const NO_BROWSER: i32 = 77;

#[test]
fn a_person_can_filter_open_and_link_items_and_nothing_is_fetched() {
    let required = std::env::var("BALLAST_REQUIRE_CHROMIUM").is_ok_and(|value| value == "1");
    let folder = tempfile::tempdir().expect("a temporary folder");
    // Kept where someone wants to look at it; any number of items.
    let kept = std::env::var_os("BALLAST_PAGE_RUN").map(std::path::PathBuf::from);
    let runs = kept.unwrap_or_else(|| folder.path().join("run"));
    let items = std::env::var("BALLAST_PAGE_ITEMS").ok().and_then(|n| n.parse().ok()).unwrap_or(120);
    run::write(&runs, items);
    let report = Command::new(cargo_bin("ballast")).arg("report").arg(&runs).output().expect("ballast starts");
    assert!(report.status.success(), "{}", String::from_utf8_lossy(&report.stderr));
    let page = runs.join("report/report.html");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/page/check.py");
    let Ok(found) = Command::new("python3").arg(script).arg(&page).output() else {
        assert!(!required, "python3 is not installed, and BALLAST_REQUIRE_CHROMIUM=1 asks for the check");
        eprintln!("skipped: python3 is not installed");
        return;
    };
    let told = format!("{}{}", String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
    if found.status.code() == Some(NO_BROWSER) && !required {
        eprintln!("skipped: {told}");
        return;
    }
    assert!(found.status.success(), "{told}");
    eprintln!("{told}");
}
