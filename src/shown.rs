//! Text that others wrote, as it may be shown: on a terminal, in Markdown and HTML, and in a spreadsheet.
//!
//! Models, suites, templates and logs put whatever they like into texts that end up before a person. A control character can
//! move a terminal's cursor and hide what was printed, a bidirectional override can show a text backwards, and a spreadsheet runs
//! a cell that begins like a formula.

use std::fmt::Write as _;

use anyhow::Result;

/// The text with every control character but line feed and tab written as `\u001b`, and so with characters that change the
/// direction of what follows. That is JSON's own way to write them, so JSON stays the same JSON.
pub fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        let hides = c.is_control() && c != '\n' && c != '\t'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if hides {
            // Writing to a String cannot fail.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

/// Rows as csv. A cell that a spreadsheet would take for a formula gets an apostrophe in front; a number stays a number.
pub fn csv<H: AsRef<str>, C: AsRef<str>>(header: &[H], rows: impl IntoIterator<Item = impl IntoIterator<Item = C>>) -> Result<Vec<u8>> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    writer.write_record(header.iter().map(|cell| cell_text(cell.as_ref())))?;
    for row in rows {
        writer.write_record(row.into_iter().map(|cell| cell_text(cell.as_ref())))?;
    }
    Ok(writer.into_inner()?)
}

fn cell_text(text: &str) -> String {
    let text = visible(text);
    let formula = text.starts_with(['=', '+', '-', '@', '\t']) && text.parse::<f64>().is_err();
    if formula { format!("'{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_hide_is_shown() {
        assert_eq!(visible("a\u{1b}[2Jb\r\n\tc\u{9b}"), "a\\u001b[2Jb\\u000d\n\tc\\u009b");
        assert_eq!(visible("\u{202e}txt.exe"), "\\u202etxt.exe");
        assert_eq!(visible("普通文字 é 🙂"), "普通文字 é 🙂");
        let json = serde_json::to_string("\u{9b}x\u{202e}").unwrap();
        assert_eq!(serde_json::from_str::<String>(&visible(&json)).unwrap(), "\u{9b}x\u{202e}");
    }

    #[test]
    fn no_cell_is_a_formula() {
        let rows = [vec!["=1+2", "-0.5", "+3.1e2"], vec!["@x", "-cmd", "a=b"]];
        let text = String::from_utf8(csv(&["a", "b", "c"], rows).unwrap()).unwrap();
        assert_eq!(text, "a,b,c\n'=1+2,-0.5,+3.1e2\n'@x,'-cmd,a=b\n");
    }
}
