//! What jinja2 reads and minijinja does not, rewritten in a template's source before it is compiled:
//! `{% generation %}` blocks, which only scope what they hold, become `{% with %}` blocks, and `'text' % values`, which
//! formats as in Python, becomes a filter. What a loop goes over passes through a filter that refuses none, as Python does.
//! Names of jinja2 that minijinja leaves undefined are refused. Comments, raw blocks and texts are left alone.

use anyhow::{Context, Result, bail};

use super::bounds::Tags;
use super::namespaces;

/// The filter that stands for `%` after a text.
pub(super) const PERCENT: &str = "python_percent";

/// The filter that a loop's values pass.
pub(super) const ITERATE: &str = "python_iterable";

/// Defined in every jinja2 template, and nowhere here: a test for them would come out otherwise.
const MISSING: [&str; 6] = ["cycler", "joiner", "kwargs", "lipsum", "self", "varargs"];

/// The source as minijinja reads it.
pub(super) fn rewritten(source: &str) -> Result<String> {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    let (mut tags, mut count) = (Vec::new(), Tags::default());
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = match rest.as_bytes().get(1) {
            Some(b'#') => rest.find("#}").map(|end| end + 2),
            Some(b'{') => Some(inside(rest, "}}")),
            Some(b'%') => Some(inside(rest, "%}")),
            _ => Some(1),
        };
        // What never ends is the compiler's to refuse.
        let (tag, after) = rest.split_at(end.unwrap_or(rest.len()));
        rest = after;
        if tag.len() > 2 && !tag.starts_with("{#") {
            count.check(marks(tag))?;
            tags.push(tag);
        }
        let word = tag.starts_with("{%").then(|| tag[2..].trim_start_matches(['-', '+']).trim_start());
        match word.and_then(|word| word.split(|c: char| !c.is_alphanumeric() && c != '_').next()) {
            Some(name @ ("generation" | "endgeneration")) => {
                out.push_str(&tag.replacen(name, if name == "generation" { "with" } else { "endwith" }, 1));
            }
            Some("raw") => {
                let end = raw_end(rest).context("the model's chat template has a raw block without an end")?;
                out.push_str(tag);
                out.push_str(&rest[..end]);
                rest = &rest[end..];
            }
            Some("for") => {
                refuse_missing(tag)?;
                out.push_str(&percents(&iterated(tag)));
            }
            _ if tag.starts_with("{{") || tag.starts_with("{%") => {
                refuse_missing(tag)?;
                out.push_str(&percents(tag));
            }
            _ => out.push_str(tag),
        }
    }
    out.push_str(rest);
    namespaces::check(&tags)?;
    Ok(out)
}

/// Where a tag ends, past its closing mark; texts in it do not close it.
fn inside(tag: &str, close: &str) -> usize {
    let mut at = 2;
    while at < tag.len() {
        let rest = &tag[at..];
        if rest.starts_with(close) {
            return at + close.len();
        }
        at += match rest.as_bytes()[0] {
            b'\'' | b'"' => literal(rest),
            _ => rest.chars().next().map_or(1, char::len_utf8),
        };
    }
    tag.len()
}

/// Length of a text with its quotes.
fn literal(rest: &str) -> usize {
    let quote = rest.as_bytes()[0];
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            _ if byte == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Where `{% endraw %}` begins.
fn raw_end(rest: &str) -> Option<usize> {
    rest.match_indices("{%").map(|(at, _)| at).find(|at| rest[at + 2..].trim_start_matches(['-', '+']).trim_start().starts_with("endraw"))
}

/// Fails where a tag names what jinja2 defines and minijinja does not.
fn refuse_missing(tag: &str) -> Result<()> {
    for (at, word) in words(tag) {
        if MISSING.contains(&word) && !tag[..at].trim_end().ends_with(['.', '|']) {
            bail!(
                "the model's chat template uses `{word}` of jinja2, which the template engine of Ballast lacks: give the model a template without it"
            );
        }
    }
    Ok(())
}

/// Words outside texts and brackets of any depth, with where they begin.
pub(super) fn words(tag: &str) -> Vec<(usize, &str)> {
    let (mut words, mut at) = (Vec::new(), 0);
    while at < tag.len() {
        let rest = &tag[at..];
        let first = rest.chars().next().unwrap_or(' ');
        let len = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
        if matches!(first, '\'' | '"') {
            at += literal(rest);
        } else if len > 0 {
            words.push((at, &rest[..len]));
            at += len;
        } else {
            at += first.len_utf8();
        }
    }
    words
}

/// First letters of all words, marks and texts after a tag's opening mark.
fn marks(tag: &str) -> impl Iterator<Item = char> + '_ {
    let mut at = 2;
    std::iter::from_fn(move || {
        at += tag.get(at..)?.find(|c: char| !c.is_whitespace())?;
        let rest = &tag[at..];
        let first = rest.chars().next()?;
        let word = |c: char| c.is_alphanumeric() || c == '_';
        at += match first {
            '\'' | '"' => literal(rest),
            _ if word(first) => rest.find(|c: char| !word(c)).unwrap_or(rest.len()),
            _ => first.len_utf8(),
        };
        Some(first)
    })
}

/// `{% for a in b if c %}` as `{% for a in (b)|python_iterable if c %}`.
fn iterated(tag: &str) -> String {
    let words = words(tag);
    let depth = |end: usize| {
        let (mut depth, mut at) = (0i32, 2);
        while at < end {
            match tag.as_bytes()[at] {
                b'\'' | b'"' => at += literal(&tag[at..]) - 1,
                b'(' | b'[' | b'{' => depth += 1,
                b')' | b']' | b'}' => depth -= 1,
                _ => {}
            }
            at += 1;
        }
        depth
    };
    let Some((start, _)) = words.iter().find(|(_, word)| *word == "in") else { return tag.to_owned() };
    let start = start + 2;
    let close = tag.rfind(['-', '+', '%']).map_or(tag.len(), |_| tag.trim_end_matches('}').trim_end_matches(['%', '-', '+']).len());
    let end =
        words.iter().find(|(at, word)| *at > start && matches!(*word, "if" | "recursive") && depth(*at) == 0).map_or(close, |(at, _)| *at);
    format!("{} ({})|{ITERATE} {}", &tag[..start], tag[start..end].trim(), &tag[end..])
}

/// A tag with `'text' % operand` as `'text'|python_percent(operand)`.
fn percents(tag: &str) -> String {
    let mut out = String::with_capacity(tag.len());
    let mut at = 0;
    while at < tag.len() {
        let rest = &tag[at..];
        let first = rest.as_bytes()[0];
        if first != b'\'' && first != b'"' {
            let len = rest.chars().next().map_or(1, char::len_utf8);
            out.push_str(&rest[..len]);
            at += len;
            continue;
        }
        let text = literal(rest);
        out.push_str(&rest[..text]);
        at += text;
        let after = tag[at..].trim_start();
        let Some(after) = after.strip_prefix('%').filter(|after| !after.starts_with('}')) else { continue };
        let operand = after.trim_start();
        let len = operand_len(operand);
        if len > 0 {
            out.extend(["|", PERCENT, "(", &percents(&operand[..len]), ")"]);
            at = tag.len() - operand.len() + len;
        }
    }
    out
}

/// Length of a name, number, text, list or parenthesis with what is called, indexed and looked up on it; 0 for others.
fn operand_len(rest: &str) -> usize {
    let word = |text: &str| text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let mut len = match rest.as_bytes().first() {
        Some(b'(' | b'[') => bracket(rest),
        Some(b'\'' | b'"') => literal(rest),
        _ => word(rest),
    };
    while len > 0 {
        len += match rest.as_bytes().get(len) {
            Some(b'(' | b'[') => bracket(&rest[len..]),
            Some(b'.') => 1 + word(&rest[len + 1..]),
            _ => return len,
        };
    }
    0
}

/// Length of a bracket with what it holds.
fn bracket(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        match rest.as_bytes()[at] {
            b'\'' | b'"' => {
                at += literal(&rest[at..]);
                continue;
            }
            b'(' | b'[' | b'{' => depth += 1,
            b')' | b']' | b'}' => depth -= 1,
            _ => {}
        }
        at += 1;
        if depth == 0 {
            break;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_minijinja_does_not_read_is_rewritten() {
        let same = |source: &str| assert_eq!(rewritten(source).unwrap(), source);
        same("plain { text } {{ 'a' ~ \"b\" }} {% if x %}{{ 7 % 3 }}{% endif %}");
        same("{# {% generation %} #}{{ '{% generation %}' }}{% raw %}{{ 'a' % b }}{% generation %}{% endraw %}");
        same("{% if x == 'a' %}{% set y = 'b' -%}");
        same("{{ 'never closed");
        same("{% generationx %}");
        let becomes = |source: &str, expected: &str| assert_eq!(rewritten(source).unwrap(), expected);
        becomes("{%- generation -%}x{% endgeneration %}", "{%- with -%}x{% endwith %}");
        becomes("{{ '%s' % x.y[0](1) + 'b' }}", "{{ '%s'|python_percent(x.y[0](1)) + 'b' }}");
        becomes("{{ \"%s:%s\" % ('a)', 1) }}", "{{ \"%s:%s\"|python_percent(('a)', 1)) }}");
        becomes("{% set a = 'é%s' % é %}", "{% set a = 'é%s'|python_percent(é) %}");
        becomes("{% for a, b in x.items() if a in y -%}", "{% for a, b in (x.items())|python_iterable if a in y -%}");
        becomes("{%- for m in (a if b else c)[::-1] -%}", "{%- for m in ((a if b else c)[::-1])|python_iterable -%}");
        becomes("{% for c in '%}if' recursive %}", "{% for c in ('%}if')|python_iterable recursive %}");
        rewritten("{% raw %} never ends").unwrap_err();
        rewritten("{{ varargs }}").unwrap_err();
        same("{{ x.self }}");
    }
}
