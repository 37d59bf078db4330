//! `report.html`: the report as one file that needs no network, and every item with all its answers to look through.
//!
//! What `report.md` says it says in the same words: it renders the same blocks, with the figures inside. Only the worst flips give way to the item browser, which has all of them. `page.js` builds the browser
//! from the data at the end of the file and writes text alone, never HTML; should an answer get out of its place
//! nevertheless, the page's own policy lets no script run but that one and nothing load at all.

mod data;

use anyhow::Result;

use super::figures::Figure;
use super::render::html;
use super::sections::{self, Medium};
use crate::analysis::results::Results;
use crate::files::base64_sha256;

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole of `report.html`.
pub(super) fn page(results: &Results, figures: &[Figure]) -> Result<String> {
    let report = sections::page(results, figures, Medium::Html);
    let title = html::text(&results.view.run.experiment.title);
    let links = html::headings(&report).into_iter().map(|(id, heading)| format!("<li><a href=\"#{id}\">{heading}</a></li>"));
    let contents = links.collect::<Vec<_>>().join("\n");
    let policy = format!("default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{}'", base64_sha256(SCRIPT.as_bytes()));
    let (body, data) = (html::document(&report), data::json(&results.view)?);
    Ok(format!(
        r##"<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
{STYLE}</style>
</head>
<body>
<a class="skip" href="#items">Skip to the items</a>
<nav id="contents" aria-label="Contents">
<ul>
<li><a href="#items" class="strong">Every item</a></li>
{contents}
</ul>
</nav>
<main>
<article id="report">
{body}
<section id="items" aria-labelledby="items-heading" tabindex="-1">
<h2 id="items-heading">Every item</h2>
<noscript><p>The items are listed and filtered by a script inside this file. Without scripts, see flips.csv beside it.</p></noscript>
</section>
</article>
<article id="reader" hidden></article>
</main>
<script type="application/json" id="data">{data}</script>
<script>{SCRIPT}</script>
</body>
</html>
"##
    ))
}

#[cfg(test)]
mod tests;
