//! How figures look: the unit of length, colours, markers, dashes, hatches and text.

use plotters::style::RGBColor;
use plotters::style::text_anchor::{HPos, VPos};

/// All lengths are in tenths of a pixel: plotters rounds to whole units, and a curve rounded to pixels is jagged.
pub(super) const PX: i32 = 10;
/// Width of every figure: a Markdown page on GitHub shows it at its own size.
pub(super) const WIDTH: i32 = 860 * PX;
/// Space around a figure.
pub(super) const MARGIN: i32 = 16 * PX;

/// Text, and the base model: the one thing every variant is compared with.
pub(super) const INK: RGBColor = RGBColor(0x1F, 0x1F, 0x1F);
/// Text that explains.
pub(super) const MUTED: RGBColor = RGBColor(0x55, 0x55, 0x55);
/// Axis lines.
pub(super) const AXIS: RGBColor = RGBColor(0x8A, 0x8A, 0x8A);
/// Grid lines.
pub(super) const GRID: RGBColor = RGBColor(0xE4, 0xE4, 0xE4);
/// Paper.
pub(super) const PAPER: RGBColor = RGBColor(0xFF, 0xFF, 0xFF);

/// Okabe and Ito's colours, which stay apart for every kind of colour vision; their yellow is darkened so that a thin
/// line of it shows on white.
const COLOURS: [RGBColor; 8] = [
    INK,
    RGBColor(0xD5, 0x5E, 0x00),
    RGBColor(0x00, 0x72, 0xB2),
    RGBColor(0x00, 0x9E, 0x73),
    RGBColor(0xCC, 0x79, 0xA7),
    RGBColor(0xE6, 0x9F, 0x00),
    RGBColor(0x56, 0xB4, 0xE9),
    RGBColor(0x8F, 0x82, 0x00),
];

/// Corners of the marker shapes around the origin, in hundredths of the radius; none is a circle.
const SHAPES: [&[(i32, i32)]; 8] = [
    &[],
    &[(-88, -88), (88, -88), (88, 88), (-88, 88)],
    &[(0, -118), (108, 76), (-108, 76)],
    &[(0, -124), (124, 0), (0, 124), (-124, 0)],
    &[(0, 118), (-108, -76), (108, -76)],
    &[
        (-36, -110),
        (36, -110),
        (36, -36),
        (110, -36),
        (110, 36),
        (36, 36),
        (36, 110),
        (-36, 110),
        (-36, 36),
        (-110, 36),
        (-110, -36),
        (-36, -36),
    ],
    &[(-104, -53), (-53, -104), (0, -51), (53, -104), (104, -53), (51, 0), (104, 53), (53, 104), (0, 51), (-53, 104), (-104, 53), (-51, 0)],
    &[(0, -112), (107, -35), (66, 91), (-66, 91), (-107, -35)],
];

/// Lengths of ink and gap in turn; the first is solid.
const DASHES: [&[i32]; 4] = [&[], &[6 * PX, 3 * PX], &[15, 25], &[9 * PX, 3 * PX, 15, 3 * PX]];

/// A marker: what tells variants apart without colour.
#[derive(Debug, Clone, Copy)]
pub(super) struct Marker {
    /// Corners in hundredths of the radius; none is a circle.
    pub(super) corners: &'static [(i32, i32)],
    /// Drawn as an outline: the second time round the shapes.
    pub(super) hollow: bool,
    pub(super) color: RGBColor,
}

/// Lines drawn over an area.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hatch {
    None,
    Rising,
    Falling,
    Crossed,
}

/// How an outcome's part of a bar is filled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fill {
    pub(super) color: RGBColor,
    pub(super) hatch: Hatch,
    /// Colour of hatch and text on it.
    pub(super) ink: RGBColor,
}

/// Neighbours differ in lightness, and no two of like lightness in their hatch.
const FILLS: [Fill; 8] = [
    Fill { color: RGBColor(0x00, 0x5F, 0x96), hatch: Hatch::None, ink: PAPER },
    Fill { color: RGBColor(0xF3, 0xC2, 0x6B), hatch: Hatch::None, ink: INK },
    Fill { color: RGBColor(0xA9, 0xD8, 0xF3), hatch: Hatch::Rising, ink: INK },
    Fill { color: RGBColor(0xF7, 0xF0, 0xA6), hatch: Hatch::Falling, ink: INK },
    Fill { color: RGBColor(0x3A, 0x3A, 0x3A), hatch: Hatch::Crossed, ink: PAPER },
    Fill { color: RGBColor(0xE8, 0xC3, 0xD8), hatch: Hatch::Crossed, ink: INK },
    Fill { color: RGBColor(0x00, 0x8A, 0x65), hatch: Hatch::Rising, ink: PAPER },
    Fill { color: RGBColor(0xB5, 0x4A, 0x00), hatch: Hatch::Falling, ink: PAPER },
];

pub(super) fn color(index: usize) -> RGBColor {
    COLOURS[index % COLOURS.len()]
}

pub(super) fn marker(index: usize) -> Marker {
    Marker { corners: SHAPES[index % SHAPES.len()], hollow: index / SHAPES.len() % 2 == 1, color: color(index) }
}

pub(super) fn dash(index: usize) -> &'static [i32] {
    DASHES[index % DASHES.len()]
}

pub(super) fn fill(index: usize) -> Fill {
    FILLS[index % FILLS.len()]
}

/// How a text is set, and on which side of its position.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) size: i32,
    pub(super) color: RGBColor,
    pub(super) h: HPos,
    pub(super) v: VPos,
    /// Reads upwards.
    pub(super) turned: bool,
}

pub(super) const TITLE: Type = Type { size: 18 * PX, ..BODY };
pub(super) const BODY: Type = Type { size: 125, color: INK, h: HPos::Left, v: VPos::Center, turned: false };
pub(super) const NOTE: Type = Type { size: 12 * PX, color: MUTED, ..BODY };
pub(super) const SMALL: Type = Type { size: 11 * PX, color: MUTED, ..BODY };

impl Type {
    pub(super) fn right(self) -> Self {
        Self { h: HPos::Right, ..self }
    }

    pub(super) fn centred(self) -> Self {
        Self { h: HPos::Center, ..self }
    }

    pub(super) fn top(self) -> Self {
        Self { v: VPos::Top, ..self }
    }

    pub(super) fn upwards(self) -> Self {
        Self { turned: true, ..self }
    }

    pub(super) fn colored(self, color: RGBColor) -> Self {
        Self { color, ..self }
    }

    /// Distance between lines.
    pub(super) fn leading(self) -> i32 {
        self.size * 13 / 10
    }

    /// The width of a text, by Helvetica's widths: the browser chooses the font, and those it chooses are alike.
    pub(super) fn width(self, text: &str) -> i32 {
        text.chars().map(advance).sum::<i32>() * self.size / 1000
    }

    /// The text, or as much of its beginning as the width takes.
    pub(super) fn fit(self, text: &str, width: i32) -> String {
        if self.width(text) <= width {
            return text.to_owned();
        }
        let mut kept = String::new();
        for letter in text.chars() {
            kept.push(letter);
            if self.width(&kept) + self.width("...") > width {
                kept.pop();
                break;
            }
        }
        kept.trim_end().to_owned() + "..."
    }

    /// The text in lines that fit the width, broken between words; a word longer than a line is cut.
    pub(super) fn wrap(self, text: &str, width: i32) -> Vec<String> {
        let mut lines: Vec<String> = Vec::new();
        for word in text.split_whitespace() {
            match lines.last_mut() {
                Some(line) if self.width(&format!("{line} {word}")) <= width => {
                    line.push(' ');
                    line.push_str(word);
                }
                _ => lines.push(self.fit(word, width)),
            }
        }
        lines
    }
}

/// Helvetica's width of a letter in thousandths of its size.
fn advance(letter: char) -> i32 {
    match letter {
        'i' | 'j' | 'l' | '\'' => 222,
        ' ' | '!' | ',' | '.' | '/' | ':' | ';' | 'I' | '[' | ']' | '\\' | 'f' | 't' | '|' => 278,
        '(' | ')' | '-' | '`' | 'r' | '{' | '}' | '"' | '*' => 345,
        'c' | 'k' | 's' | 'v' | 'x' | 'y' | 'z' | 'J' | '^' => 500,
        '+' | '<' | '=' | '>' | '~' | 'F' | 'T' | 'Z' => 600,
        'A' | 'B' | 'E' | 'K' | 'P' | 'S' | 'V' | 'X' | 'Y' | '&' => 667,
        'C' | 'D' | 'H' | 'N' | 'R' | 'U' | 'w' => 722,
        'G' | 'O' | 'Q' => 778,
        'M' | 'm' | '%' => 870,
        'W' | '@' => 980,
        wide if wide >= '\u{1100}' => 1000,
        _ => 556,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_text_is_wrapped_and_cut() {
        let lines = BODY.wrap("accuracy of every variant on every suite", 120 * PX);
        assert_eq!(lines, ["accuracy of every", "variant on every suite"]);
        assert_eq!(BODY.fit("suite", 120 * PX), "suite");
        assert_eq!(BODY.fit("a-suite-with-a-very-long-name", 80 * PX), "a-suite-with-...");
        assert_eq!(BODY.fit("anything", 0), "...");
        assert!(BODY.wrap("", 100).is_empty());
    }

    #[test]
    fn twelve_variants_look_different() {
        let looks: Vec<_> = (0..12).map(|i| (marker(i).corners, marker(i).hollow)).collect();
        for (i, look) in looks.iter().enumerate() {
            assert!(!looks[..i].contains(look), "variant {i} looks like an earlier one");
        }
    }
}
