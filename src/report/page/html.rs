//! The report's own Markdown as HTML.
//!
//! No general converter: it reads what the sections of `markdown` write and nothing else, so that the page and
//! `report.md` cannot tell two stories. Whatever is not one of those forms is text, and text is escaped.

use std::fmt::Write as _;

use crate::report::figures::Figure;

/// A page's contents.
pub(super) struct Html {
    /// The blocks.
    pub(super) body: String,
    /// Anchor and HTML of each section's heading.
    pub(super) headings: Vec<(String, String)>,
}

/// Converts the report, with its figures in their places.
pub(super) fn from_markdown(markdown: &str, figures: &[Figure]) -> Html {
    let mut html = Html { body: String::new(), headings: Vec::new() };
    let mut lines = markdown.lines().peekable();
    while let Some(line) = lines.next() {
        // Lines of the same block that follow.
        let mut block = |keep: &dyn Fn(&str) -> bool| {
            let mut block = vec![line];
            while let Some(next) = lines.next_if(|next| keep(next)) {
                block.push(next);
            }
            block
        };
        if line.is_empty() {
        } else if let Some(heading) = line.strip_prefix("## ") {
            html.heading(heading);
        } else if let Some(title) = line.strip_prefix("# ") {
            html.push(&format!("<h1>{}</h1>", inline(title)));
        } else if line.starts_with("```") {
            let ticks = line.bytes().take_while(|byte| *byte == b'`').count();
            let close = &line[..ticks];
            let code: Vec<&str> = lines.by_ref().take_while(|next| *next != close).collect();
            html.push(&format!("<pre tabindex=\"0\">{}</pre>", text(&code.join("\n"))));
        } else if line.starts_with("| ") {
            html.push(&table(&block(&|next| next.starts_with("| "))));
        } else if line.starts_with("- ") {
            let items = block(&|next| next.starts_with("- "));
            let items: Vec<String> = items.iter().map(|item| format!("<li>{}</li>", inline(&item[2..]))).collect();
            html.push(&format!("<ul>\n{}\n</ul>", items.join("\n")));
        } else if matches!(line, "<details>" | "</details>") {
            html.push(line);
        } else if let Some(summary) = line.strip_prefix("<summary>").and_then(|rest| rest.strip_suffix("</summary>")) {
            html.push(&format!("<summary>{}</summary>", inline(summary)));
        } else if let Some(figure) = figures.iter().find(|figure| line.ends_with(&format!("]({}.svg)", figure.name))) {
            html.push(&format!(
                "<figure>\n<div class=\"plot\">{}</div>\n<figcaption>{}</figcaption>\n</figure>",
                figure.svg.chars().map(shown).collect::<String>(),
                inline(figure.caption)
            ));
            // The caption is the paragraph after the picture.
            while lines.next_if(|next| next.is_empty() || *next == figure.caption).is_some() {}
        } else {
            html.push(&format!("<p>{}</p>", inline(&block(&|next| !next.is_empty()).join(" "))));
        }
    }
    html
}

impl Html {
    fn push(&mut self, block: &str) {
        self.body.push_str(block);
        self.body.push('\n');
    }

    fn heading(&mut self, heading: &str) {
        let words: Vec<String> =
            heading.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect();
        let id = format!("section-{}", words.join("-"));
        self.push(&format!("<h2 id=\"{id}\">{}</h2>", inline(heading)));
        self.headings.push((id, inline(heading)));
    }
}

/// A table in a box of its own that scrolls sideways where the page is narrow.
fn table(lines: &[&str]) -> String {
    let mut rows = lines.iter().map(|line| cells(line));
    let (Some(header), Some(rules)) = (rows.next(), rows.next()) else { return String::new() };
    let class = |column: usize| if rules.get(column).is_some_and(|rule| rule.ends_with(':')) { " class=\"n\"" } else { "" };
    let mut html = "<div class=\"scroll\" tabindex=\"0\"><table>\n<thead><tr>".to_owned();
    for (column, cell) in header.iter().enumerate() {
        // A string takes every write.
        let _ = if cell.is_empty() {
            write!(html, "<td></td>")
        } else {
            write!(html, "<th scope=\"col\"{}>{}</th>", class(column), inline(cell))
        };
    }
    html.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        html.push_str("<tr>");
        for (column, cell) in row.iter().enumerate() {
            let _ = match column {
                0 => write!(html, "<th scope=\"row\">{}</th>", inline(cell)),
                _ => write!(html, "<td{}>{}</td>", class(column), inline(cell)),
            };
        }
        html.push_str("</tr>\n");
    }
    html.push_str("</tbody>\n</table></div>");
    html
}

/// The cells of a line, without the escapes of their borders.
fn cells(line: &str) -> Vec<String> {
    let inner = line.strip_prefix('|').unwrap_or(line);
    let inner = inner.strip_suffix('|').unwrap_or(inner);
    let mut cells = vec![String::new()];
    let mut letters = inner.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '|' => cells.push(String::new()),
            '\\' if letters.next_if_eq(&'|').is_some() => cells.last_mut().into_iter().for_each(|cell| cell.push('|')),
            _ => cells.last_mut().into_iter().for_each(|cell| cell.push(letter)),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

/// Text with emphasis, code and links.
fn inline(markdown: &str) -> String {
    let mut html = String::new();
    // Text waiting to be escaped, as a reader sees it.
    let mut plain = String::new();
    let mut rest = markdown;
    while let Some(letter) = rest.chars().next() {
        let found = match letter {
            '`' => code(rest),
            '*' => emphasis(rest),
            '[' => link(rest),
            _ => None,
        };
        if let Some((element, after)) = found {
            html.push_str(&text(&std::mem::take(&mut plain)));
            html.push_str(&element);
            rest = after;
            continue;
        }
        let (shown, length) = match letter {
            '\\' => match rest[1..].chars().next().filter(char::is_ascii_punctuation) {
                Some(escaped) => (escaped, 2),
                None => (letter, 1),
            },
            '&' => entity(rest).unwrap_or((letter, 1)),
            _ => (letter, letter.len_utf8()),
        };
        plain.push(shown);
        rest = &rest[length..];
    }
    html + &text(&plain)
}

/// The entities that the report's own text is escaped with.
fn entity(rest: &str) -> Option<(char, usize)> {
    let known = [("&amp;", '&'), ("&lt;", '<'), ("&gt;", '>'), ("&quot;", '"')];
    known.into_iter().find(|(name, _)| rest.starts_with(name)).map(|(name, letter)| (letter, name.len()))
}

fn code(rest: &str) -> Option<(String, &str)> {
    let ticks = rest.bytes().take_while(|byte| *byte == b'`').count();
    let inner = &rest[ticks..];
    let mut at = 0;
    while let Some(found) = inner[at..].find('`') {
        let start = at + found;
        let run = inner[start..].bytes().take_while(|byte| *byte == b'`').count();
        if run == ticks {
            let content = &inner[..start];
            // One space on either side keeps backticks of the content from the fence.
            let content = content.strip_prefix(' ').and_then(|content| content.strip_suffix(' ')).unwrap_or(content);
            return Some((format!("<code>{}</code>", text(content)), &inner[start + run..]));
        }
        at = start + run;
    }
    None
}

fn emphasis(rest: &str) -> Option<(String, &str)> {
    for (mark, element) in [("**", "strong"), ("*", "em")] {
        if let Some(inner) = rest.strip_prefix(mark).filter(|inner| !inner.starts_with([' ', '*'])) {
            let end = inner.find(mark).filter(|end| *end > 0 && !inner[..*end].ends_with([' ', '\\']))?;
            return Some((format!("<{element}>{}</{element}>", inline(&inner[..end])), &inner[end + mark.len()..]));
        }
    }
    None
}

/// Links to files beside the page alone.
fn link(rest: &str) -> Option<(String, &str)> {
    let (label, after) = rest[1..].split_once("](")?;
    let (target, after) = after.split_once(')')?;
    let beside = !target.is_empty() && target.chars().all(|c| c.is_ascii_alphanumeric() || "._-#".contains(c));
    (beside && !label.contains(['[', ']'])).then(|| (format!("<a href=\"{target}\">{}</a>", inline(label)), after))
}

/// Escaped text. Control characters become visible, and Chinese is marked as such so that browsers choose its glyphs.
pub(super) fn text(plain: &str) -> String {
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

    fn body(markdown: &str) -> String {
        from_markdown(markdown, &[]).body
    }

    #[test]
    fn the_forms_of_the_report_become_html() {
        assert_eq!(
            body("# A\n\nplain **bold [-1.0, +2.0]** *it* `x<y`\n"),
            "<h1>A</h1>\n<p>plain <strong>bold [-1.0, +2.0]</strong> <em>it</em> <code>x&lt;y</code></p>\n"
        );
        assert_eq!(body("- a\n- **b.** c"), "<ul>\n<li>a</li>\n<li><strong>b.</strong> c</li>\n</ul>\n");
        let table = body("| `a` | n |\n| --- | ---: |\n| x\\|y | <0.001 |");
        assert!(table.contains("<th scope=\"col\"><code>a</code></th><th scope=\"col\" class=\"n\">n</th>"), "{table}");
        assert!(table.contains("<th scope=\"row\">x|y</th><td class=\"n\">&lt;0.001</td>"), "{table}");
        let folded = body("<details>\n<summary>a &lt;b&gt;</summary>\n\ntext\n\n</details>");
        assert_eq!(folded, "<details>\n<summary>a &lt;b&gt;</summary>\n<p>text</p>\n</details>\n");
        let html = from_markdown("## Liveness, drift\n", &[]);
        assert_eq!(html.headings, [("section-liveness-drift".to_owned(), "Liveness, drift".to_owned())]);
        assert_eq!(inline("[all](report.md) and [no](javascript:x)"), "<a href=\"report.md\">all</a> and [no](javascript:x)");
    }

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(body("<script>alert(1)</script>"), "<p>&lt;script&gt;alert(1)&lt;/script&gt;</p>\n");
        assert_eq!(inline(&crate::report::text::plain("*a*_b_[c](d)`e`\\&lt;")), "*a*_b_[c](d)`e`\\&amp;lt;");
        assert_eq!(inline(&crate::report::text::code("a``b`<i>")), "<code>a``b`&lt;i&gt;</code>");
        assert_eq!(inline("5 * 3 * 2 ** x [y `z"), "5 * 3 * 2 ** x [y `z");
        assert_eq!(
            body(&crate::report::text::fenced("```\n</pre><b>\u{1b}\u{202e}")),
            "<pre tabindex=\"0\">```\n&lt;/pre&gt;&lt;b&gt;\\u001b\\u202e</pre>\n"
        );
        assert_eq!(text("a 珠穆朗玛峰 b"), "a <span lang=\"zh-Hans\">珠穆朗玛峰</span> b");
    }
}
