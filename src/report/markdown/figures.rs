//! The figures with how to read them.

use super::under;
use crate::report::figures::Figure;
use crate::report::text::plain;

/// The section. The picture is the PNG, which every Markdown viewer shows; it links to the SVG.
pub(super) fn section(figures: &[Figure]) -> Option<String> {
    let blocks = figures.iter().map(|figure| {
        let Figure { name, title, caption, .. } = figure;
        format!("[![{}]({name}.png)]({name}.svg)\n\n{caption}", plain(title))
    });
    under("Figures", &blocks.collect::<Vec<_>>())
}
