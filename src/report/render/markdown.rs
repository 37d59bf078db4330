//! A document as Markdown, as GitHub and every other viewer read it.

use crate::report::document::{Block, Span, Text, foreign};
use crate::report::table::Table;

/// The blocks with an empty line between each two, and a line's end.
pub(in crate::report) fn document(blocks: &[Block]) -> String {
    join(blocks) + "\n"
}

fn join(blocks: &[Block]) -> String {
    blocks.iter().map(block).collect::<Vec<_>>().join("\n\n")
}

fn block(block: &Block) -> String {
    match block {
        Block::Title(text) => format!("# {}", inline(text)),
        Block::Heading(text) => format!("## {text}"),
        Block::Paragraph(text) => inline(text),
        Block::List(lines) => lines.iter().map(|line| format!("- {}", inline(line))).collect::<Vec<_>>().join("\n"),
        Block::Table(table) => self::table(table),
        Block::Folded(summary, blocks) => {
            format!("<details>\n<summary>{}</summary>\n\n{}\n\n</details>", inline(&foreign(summary).into()), join(blocks))
        }
        Block::Verbatim(language, text) => {
            let fence = "`".repeat((longest_run(text) + 1).max(3));
            format!("{fence}{language}\n{text}\n{fence}")
        }
        // The picture is the PNG, which every viewer shows; it links to the SVG.
        Block::Figure(figure) => {
            let (name, title) = (&figure.name, inline(&foreign(&figure.title).into()));
            format!("[![{title}]({name}.png)]({name}.svg)\n\n{}", figure.caption)
        }
        Block::Picture(shows, file) => format!("![{shows}]({file})"),
        Block::Alert(kind, text) => format!("> [!{kind}]\n> {}", inline(text)),
        Block::Mark(mark) => format!("<!-- {mark} -->"),
        Block::Rule => "---".to_owned(),
    }
}

fn table(table: &Table) -> String {
    let header = table.header.iter().map(|heading| inline(&heading.words)).collect();
    let rules = table.header.iter().map(|heading| if heading.numbers { "---:" } else { "---" }.to_owned()).collect();
    let rows = table.rows.iter().map(|row| row.iter().map(|cell| inline(&cell.text())).collect());
    [header, rules].into_iter().chain(rows).map(|cells: Vec<String>| line(&cells)).collect::<Vec<_>>().join("\n")
}

fn line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace(['\n', '\r'], " ").replace('|', "\\|")).collect();
    format!("| {} |", cells.join(" | "))
}

/// Spans in one line.
pub(in crate::report) fn inline(text: &Text) -> String {
    let span = |span: &Span| match span {
        Span::Own(text) => text.clone(),
        Span::Foreign(text) => escaped(text),
        Span::Code(text) => {
            let fence = "`".repeat(longest_run(text) + 1);
            let space = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
            format!("{fence}{space}{text}{space}{fence}")
        }
        Span::Strong(text) => format!("**{}**", inline(text)),
        Span::Emphasis(text) => format!("*{text}*"),
        Span::Link(text, target) => format!("[{text}]({target})"),
    };
    text.0.iter().map(span).collect()
}

/// Nothing in it is markup, of Markdown or of the HTML that may stand in it.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '*' | '_' | '`' | '[' | ']' | '\\' => escaped.extend(['\\', letter]),
            _ => escaped.push(letter),
        }
    }
    escaped
}

fn longest_run(text: &str) -> usize {
    text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::document::{code, quoted};

    fn verbatim(text: &str) -> String {
        block(&quoted(text, 300))
    }

    #[test]
    fn a_fence_is_longer_than_any_run_of_backticks_inside() {
        assert_eq!(verbatim("plain"), "```text\nplain\n```");
        assert_eq!(verbatim(" "), "*(nothing)*");
        let block = verbatim("a\n```python\nx\n````\n.");
        assert!(block.starts_with("`````text\n") && block.ends_with("\n`````"), "{block}");
        assert_eq!(inline(&code("a`b").into()), "``a`b``");
        assert_eq!(inline(&code("`a").into()), "`` `a ``");
    }

    #[test]
    fn foreign_text_cannot_break_out() {
        assert_eq!(inline(&foreign("</details><b>*x*").into()), "&lt;/details&gt;&lt;b&gt;\\*x\\*");
        assert_eq!(verbatim("a\u{1b}[2J\r\nb"), "```text\na\\u001b[2J\nb\n```");
        let folded = block(&Block::Folded("all <b>".to_owned(), vec![Block::Rule]));
        assert_eq!(folded, "<details>\n<summary>all &lt;b&gt;</summary>\n\n---\n\n</details>");
    }

    #[test]
    fn a_cell_cannot_end_itself() {
        let table = Table::of([("x|y\nz", 1)]).words("a", |row| row.0).numbers("b", |row| row.1).table();
        assert_eq!(self::table(&table), "| a | b |\n| --- | ---: |\n| x\\|y z | 1 |");
    }
}
