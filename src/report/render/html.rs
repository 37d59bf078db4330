//! A document as HTML. All text is escaped, so that nothing in it is markup but what the blocks are.

use std::fmt::Write as _;

use crate::report::document::{Block, Span, Text};
use crate::report::figures::Figure;
use crate::report::table::Table;

/// The blocks, each on lines of its own.
pub(in crate::report) fn document(blocks: &[Block]) -> String {
    blocks.iter().map(|block| self::block(block) + "\n").collect()
}

/// Anchor and words of each section's heading.
pub(in crate::report) fn headings(blocks: &[Block]) -> Vec<(String, String)> {
    let heading = |block: &Block| match block {
        Block::Heading(heading) => Some((anchor(heading), text(heading))),
        _ => None,
    };
    blocks.iter().filter_map(heading).collect()
}

fn block(block: &Block) -> String {
    match block {
        Block::Title(title) => format!("<h1>{}</h1>", inline(title)),
        Block::Heading(heading) => format!("<h2 id=\"{}\">{}</h2>", anchor(heading), text(heading)),
        Block::Paragraph(words) => format!("<p>{}</p>", inline(words)),
        Block::List(lines) => {
            let items: Vec<String> = lines.iter().map(|line| format!("<li>{}</li>", inline(line))).collect();
            format!("<ul>\n{}\n</ul>", items.join("\n"))
        }
        Block::Table(table) => self::table(table),
        Block::Folded(summary, blocks) => format!("<details>\n<summary>{}</summary>\n{}</details>", text(summary), document(blocks)),
        Block::Verbatim(_, verbatim) => format!("<pre tabindex=\"0\">{}</pre>", text(verbatim)),
        Block::Figure(figure) => self::figure(figure),
        Block::Picture(shows, file) => format!("<img src=\"{}\" alt=\"{}\">", text(file), text(shows)),
        Block::Alert(kind, words) => format!("<blockquote class=\"{}\">{}</blockquote>", kind.to_lowercase(), inline(words)),
        Block::Mark(mark) => format!("<!-- {mark} -->"),
        Block::Rule => "<hr>".to_owned(),
    }
}

fn anchor(heading: &str) -> String {
    let words = heading.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.fold("section".to_owned(), |anchor, word| format!("{anchor}-{}", word.to_ascii_lowercase()))
}

/// The picture itself, so that the page is one file.
fn figure(figure: &Figure) -> String {
    let svg: String = figure.svg.chars().map(shown).collect();
    format!("<figure>\n<div class=\"plot\">{svg}</div>\n<figcaption>{}</figcaption>\n</figure>", text(figure.caption))
}

/// A table in a box of its own that scrolls sideways where the page is narrow.
fn table(table: &Table) -> String {
    let class = |column: usize| if table.header[column].numbers { " class=\"n\"" } else { "" };
    let mut html = "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>".to_owned();
    for (column, heading) in table.header.iter().enumerate() {
        // A string takes every write.
        let _ = match inline(&heading.words) {
            empty if empty.is_empty() => write!(html, "<td></td>"),
            words => write!(html, "<th scope=\"col\"{}>{words}</th>", class(column)),
        };
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in &table.rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let words = inline(&cell.text());
            let _ = match column {
                0 => write!(html, "<th scope=\"row\">{words}</th>"),
                _ => write!(html, "<td{}>{words}</td>", class(column)),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>");
    html
}

/// Spans in one line.
fn inline(words: &Text) -> String {
    let span = |span: &Span| match span {
        Span::Own(words) | Span::Foreign(words) => text(words),
        Span::Code(name) => format!("<code>{}</code>", text(name)),
        Span::Strong(words) => format!("<strong>{}</strong>", inline(words)),
        Span::Emphasis(words) => format!("<em>{}</em>", text(words)),
        Span::Link(words, target) => format!("<a href=\"{}\">{}</a>", text(target), text(words)),
    };
    words.0.iter().map(span).collect()
}

/// Escaped text. Control characters become visible, and Chinese is marked as such so that browsers choose its glyphs.
pub(in crate::report) fn text(plain: &str) -> String {
    let mut html = String::with_capacity(plain.len());
    let mut chinese = false;
    for letter in plain.chars() {
        if is_han(letter) != chinese {
            html.push_str(if chinese { "</span>" } else { "<span lang=\"zh-Hans\">" });
            chinese = !chinese;
        }
        match letter {
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            '>' => html.push_str("&gt;"),
            '"' => html.push_str("&quot;"),
            _ => html.push(shown(letter)),
        }
    }
    if chinese {
        html.push_str("</span>");
    }
    html
}

fn is_han(letter: char) -> bool {
    matches!(letter, '\u{3000}'..='\u{303F}' | '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}' | '\u{FF00}'..='\u{FFEF}')
}

/// A letter, or what stands for one that would be obeyed instead of read: controls, and those that turn a line's direction.
fn shown(letter: char) -> char {
    match letter {
        '\n' | '\t' => letter,
        '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => '\u{FFFD}',
        _ if letter.is_control() => '\u{FFFD}',
        _ => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{code, foreign, paragraph, quoted, strong, text as words};

    fn body(block: Block) -> String {
        document(&[block])
    }

    #[test]
    fn every_block_has_its_element() {
        let line = words!("plain {} {} {}", strong("bold [-1.0, +2.0]"), Span::Emphasis("it"), code("x<y"));
        assert_eq!(body(paragraph(line.clone())), "<p>plain <strong>bold [-1.0, +2.0]</strong> <em>it</em> <code>x&lt;y</code></p>\n");
        assert_eq!(body(Block::Title("A".into())), "<h1>A</h1>\n");
        assert_eq!(body(Block::List(vec!["a".into(), "b".into()])), "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n");
        let table = Table::of([("x|y", "<0.001")]).words(code("a"), |row| row.0).numbers("n", |row| row.1).table();
        let table = body(table.block());
        assert!(table.contains("<th scope=\"col\"><code>a</code></th><th scope=\"col\" class=\"n\">n</th>"), "{table}");
        assert!(table.contains("<th scope=\"row\">x|y</th><td class=\"n\">&lt;0.001</td>"), "{table}");
        let folded = body(Block::Folded("a <b>".to_owned(), vec![paragraph("text")]));
        assert_eq!(folded, "<details>\n<summary>a &lt;b&gt;</summary>\n<p>text</p>\n</details>\n");
        let heading = Block::Heading("Liveness, drift".to_owned());
        assert_eq!(headings(std::slice::from_ref(&heading)), [("section-liveness-drift".to_owned(), "Liveness, drift".to_owned())]);
        assert_eq!(body(heading), "<h2 id=\"section-liveness-drift\">Liveness, drift</h2>\n");
        assert_eq!(body(paragraph(Span::Link("all", "report.md"))), "<p><a href=\"report.md\">all</a></p>\n");
    }

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(body(paragraph("<script>alert(1)</script>")), "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n");
        assert_eq!(inline(&foreign("*a*_b_[c](d)`e`\\&lt;").into()), "*a*_b_[c](d)`e`\\&amp;lt;");
        assert_eq!(inline(&code("a``b`<i>").into()), "<code>a``b`&lt;i&gt;</code>");
        assert_eq!(
            body(quoted("```\n</pre><b>\u{1b}\u{202e}", 300)),
            "<pre tabindex=\"0\">```\n&lt;/pre&gt;&lt;b&gt;\\u001b\\u202e</pre>\n"
        );
        assert_eq!(text("a 珠穆朗玛峰 b"), "a <span lang=\"zh-Hans\">珠穆朗玛峰</span> b");
    }
}
