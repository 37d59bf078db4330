//! Data for the figures' tests, and the check they all share.

use anyhow::Result;
use resvg::usvg::{Options, Tree, roxmltree::Document};

use crate::stats::Interval;

use super::{Estimate, Point, Series, Titles, raster};

/// Names as they come, one of them too long for its place and one that XML would trip over.
pub(super) fn name(index: usize) -> String {
    match index {
        0 => "base".to_owned(),
        1 => "identity-only-step-matched-lr-1e-3-lambda-0.5-seed-17".to_owned(),
        2 => "A & <B> \"mixed\"".to_owned(),
        _ => format!("variant-{index}"),
    }
}

pub(super) fn titles() -> Titles {
    Titles { title: "Title".to_owned(), subtitle: "seed 1".to_owned() }
}

pub(super) fn estimate(value: f64) -> Estimate {
    Estimate::new(value, Interval::new(value - 0.1, value + 0.1), 60)
}

/// One line with a point a step; the even points have an interval.
pub(super) fn series(index: usize, points: usize, y: impl Fn(usize) -> f64) -> Series {
    let point = |i| {
        let value = y(i);
        let interval = (i % 2 == 0).then(|| Interval::new(value - 0.05, value + 0.05));
        Point { interval, ..Point::new(i as f64, value) }
    };
    Series { label: name(index), variant_index: index, dash: index % 3, points: (0..points).map(point).collect() }
}

/// The figure is well-formed SVG of the page's width, the same twice, and can be drawn.
pub(super) fn check(draw: impl Fn() -> Result<String>) {
    let svg = draw().expect("the figure is drawn");
    assert_eq!(svg, draw().expect("and drawn again"), "two drawings of the same data differ");
    let document = Document::parse(&svg).expect("well-formed XML");
    assert_eq!(document.root_element().attribute("width"), Some("860"));
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "a number without a value reached the figure");
    let tree = Tree::from_str(&svg, &Options::default()).expect("valid SVG");
    let png = raster::png(&svg, 1.0).expect("the figure as a picture");
    let size = |at: usize| u32::from_be_bytes([png[at], png[at + 1], png[at + 2], png[at + 3]]);
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    assert_eq!((size(16), size(20)), (860, tree.size().height() as u32));
}
