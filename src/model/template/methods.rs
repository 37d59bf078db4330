//! Methods of Python's texts, lists and dicts that templates call, where `minijinja-contrib` has none or another.

use minijinja::value::{Kwargs, Rest, ValueKind, from_args};
use minijinja::{Error, ErrorKind, State, Value};

/// Longest text that padding may make.
const LONGEST_PAD: usize = 10_000;

/// Called where minijinja knows no method of the name.
pub(super) fn call(state: &mut State<'_, '_>, value: &Value, method: &str, args: &[Value]) -> Result<Value, Error> {
    let own = match (value.kind(), value.as_str()) {
        (ValueKind::String, Some(text)) => text_method(text, method, args),
        (ValueKind::Seq, _) => list_method(value, method, args),
        (ValueKind::Map, _) if method == "copy" => from_args::<()>(args).map(|()| Some(value.clone())),
        _ => Ok(None),
    };
    match own? {
        Some(value) => Ok(value),
        None => minijinja_contrib::pycompat::unknown_method_callback(state, value, method, args),
    }
}

/// The filter `trim`: `str(value).strip(chars)`.
pub(super) fn trim(value: &Value, chars: Option<&str>) -> Value {
    strip(&value.to_string(), chars, true, true).into()
}

/// The test `sequence`: what has a length and items. An undefined value has both in jinja2.
pub(super) fn is_sequence(value: &Value) -> bool {
    matches!(value.kind(), ValueKind::Undefined | ValueKind::String | ValueKind::Seq | ValueKind::Map)
}

fn invalid(message: impl Into<std::borrow::Cow<'static, str>>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message)
}

/// White space as Python's `str.isspace` and `str.split` have it.
fn is_space(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

fn strip<'t>(text: &'t str, chars: Option<&str>, left: bool, right: bool) -> &'t str {
    let goes = |c: char| chars.map_or_else(|| is_space(c), |chars| chars.contains(c));
    let text = if left { text.trim_start_matches(goes) } else { text };
    if right { text.trim_end_matches(goes) } else { text }
}

/// Positional or named, as `split(sep=None, maxsplit=-1)` takes them.
fn separator_and_limit(args: &[Value]) -> Result<(Option<String>, Option<usize>), Error> {
    let (separator, limit, kwargs): (Option<Value>, Option<i64>, Kwargs) = from_args(args)?;
    let separator = match separator {
        None => kwargs.get("sep")?,
        given => given,
    };
    let limit = limit.or(kwargs.get("maxsplit")?);
    kwargs.assert_all_used()?;
    let separator = match separator.filter(|separator| !separator.is_none()) {
        None => None,
        Some(value) => Some(value.as_str().ok_or_else(|| invalid("split: the separator is a text"))?.to_owned()),
    };
    if separator.as_deref() == Some("") {
        return Err(invalid("split: empty separator"));
    }
    Ok((separator, limit.and_then(|limit| usize::try_from(limit).ok())))
}

fn split(text: &str, args: &[Value]) -> Result<Vec<String>, Error> {
    let (separator, limit) = separator_and_limit(args)?;
    let limit = limit.unwrap_or(usize::MAX);
    if let Some(separator) = separator {
        return Ok(text.splitn(limit.saturating_add(1), &separator).map(str::to_owned).collect());
    }
    let (mut parts, mut rest) = (Vec::new(), text.trim_start_matches(is_space));
    while !rest.is_empty() {
        if parts.len() == limit {
            parts.push(rest.to_owned());
            break;
        }
        let end = rest.find(is_space).unwrap_or(rest.len());
        parts.push(rest[..end].to_owned());
        rest = rest[end..].trim_start_matches(is_space);
    }
    Ok(parts)
}

fn rsplit(text: &str, args: &[Value]) -> Result<Vec<String>, Error> {
    let (separator, limit) = separator_and_limit(args)?;
    let limit = limit.unwrap_or(usize::MAX);
    let mut parts: Vec<String> = Vec::new();
    if let Some(separator) = separator {
        parts.extend(text.rsplitn(limit.saturating_add(1), &separator).map(str::to_owned));
    } else {
        let mut rest = text.trim_end_matches(is_space);
        while !rest.is_empty() {
            if parts.len() == limit {
                parts.push(rest.to_owned());
                break;
            }
            let start = rest.char_indices().rev().find(|(_, c)| is_space(*c)).map_or(0, |(at, c)| at + c.len_utf8());
            parts.push(rest[start..].to_owned());
            rest = rest[..start].trim_end_matches(is_space);
        }
    }
    parts.reverse();
    Ok(parts)
}

/// One text or a tuple of them.
fn any_of(choices: &Value, holds: impl Fn(&str) -> bool) -> Result<bool, Error> {
    if let Some(text) = choices.as_str() {
        return Ok(holds(text));
    }
    for choice in choices.try_iter()? {
        if holds(choice.as_str().ok_or_else(|| invalid("startswith and endswith take a text or a tuple of texts"))?) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// `text[start:end]` in characters, as `startswith` and `find` take their bounds.
fn window(text: &str, start: Option<i64>, end: Option<i64>) -> (usize, &str) {
    let count = text.chars().count() as i64;
    let place = |at: i64| if at < 0 { (at + count).max(0) } else { at.min(count) } as usize;
    let byte = |at: usize| text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte);
    let (start, end) = (start.map_or(0, place), end.map_or(count as usize, place));
    if start >= end { (start, "") } else { (start, &text[byte(start)..byte(end)]) }
}

/// `str.title`: a letter after anything that is no letter is upper, others lower.
fn title(text: &str) -> String {
    let mut after_letter = false;
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if after_letter {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        after_letter = c.is_alphabetic();
    }
    out
}

fn pad(text: &str, width: i64, fill: Option<&str>, left: impl Fn(usize) -> usize) -> Result<String, Error> {
    let missing = usize::try_from(width).unwrap_or(0).saturating_sub(text.chars().count());
    if missing > LONGEST_PAD {
        return Err(invalid(format!("a text of {width} characters is asked for, more than {LONGEST_PAD}")));
    }
    let fill = fill.unwrap_or(" ");
    if fill.chars().count() != 1 {
        return Err(invalid("the fill character must be exactly one character long"));
    }
    let left = left(missing);
    Ok(fill.repeat(left) + text + &fill.repeat(missing - left))
}

fn text_method(text: &str, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "strip" | "lstrip" | "rstrip" => {
            let (chars,): (Option<Value>,) = from_args(args)?;
            let chars = chars.filter(|chars| !chars.is_none());
            let chars = chars.as_ref().map(|chars| chars.as_str().ok_or_else(|| invalid("strip takes a text"))).transpose()?;
            strip(text, chars, method != "rstrip", method != "lstrip").into()
        }
        "split" => split(text, args)?.into_iter().map(Value::from).collect(),
        "rsplit" => rsplit(text, args)?.into_iter().map(Value::from).collect(),
        "splitlines" => {
            let (keep, kwargs): (Option<bool>, Kwargs) = from_args(args)?;
            let keep = keep.or(kwargs.get("keepends")?).unwrap_or(false);
            kwargs.assert_all_used()?;
            lines(text, keep).into_iter().map(Value::from).collect()
        }
        "partition" | "rpartition" => {
            let (separator,): (&str,) = from_args(args)?;
            if separator.is_empty() {
                return Err(invalid("partition: empty separator"));
            }
            let found = if method == "partition" { text.split_once(separator) } else { text.rsplit_once(separator) };
            let parts = match (found, method) {
                (Some((before, after)), _) => [before, separator, after],
                (None, "partition") => [text, "", ""],
                (None, _) => ["", "", text],
            };
            Value::from(minijinja::value::Tuple::from(parts.map(Value::from)))
        }
        "startswith" | "endswith" => {
            let (choices, start, end): (Value, Option<i64>, Option<i64>) = from_args(args)?;
            let (_, part) = window(text, start, end);
            any_of(&choices, |choice| if method == "startswith" { part.starts_with(choice) } else { part.ends_with(choice) })?.into()
        }
        "find" | "rfind" | "index" | "rindex" => {
            let (what, start, end): (&str, Option<i64>, Option<i64>) = from_args(args)?;
            let (first, part) = window(text, start, end);
            let found = if method.starts_with('r') { part.rfind(what) } else { part.find(what) };
            match found {
                Some(byte) => ((first + part[..byte].chars().count()) as i64).into(),
                None if method.ends_with("find") => (-1).into(),
                None => return Err(invalid("substring not found")),
            }
        }
        "removeprefix" => {
            let (prefix,): (&str,) = from_args(args)?;
            text.strip_prefix(prefix).unwrap_or(text).into()
        }
        "removesuffix" => {
            let (suffix,): (&str,) = from_args(args)?;
            text.strip_suffix(suffix).unwrap_or(text).into()
        }
        "title" => from_args::<()>(args).map(|()| title(text).into())?,
        "capitalize" => {
            let () = from_args(args)?;
            let mut rest = text.chars();
            let first: String = rest.next().into_iter().flat_map(char::to_uppercase).collect();
            (first + &rest.as_str().to_lowercase()).into()
        }
        "swapcase" => {
            let () = from_args(args)?;
            let swapped = |c: char| if c.is_uppercase() { c.to_lowercase().to_string() } else { c.to_uppercase().to_string() };
            text.chars().map(swapped).collect::<String>().into()
        }
        "isspace" => from_args::<()>(args).map(|()| (!text.is_empty() && text.chars().all(is_space)).into())?,
        "isdigit" | "isdecimal" if text.is_ascii() => {
            from_args::<()>(args).map(|()| (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).into())?
        }
        "ljust" | "rjust" | "center" => {
            let (width, fill): (i64, Option<&str>) = from_args(args)?;
            let spare = usize::try_from(width).unwrap_or(0);
            pad(text, width, fill, |missing| match method {
                "ljust" => 0,
                "rjust" => missing,
                // Python puts the odd character to the left of a text whose width is odd.
                _ => missing / 2 + (missing & spare & 1),
            })?
            .into()
        }
        "zfill" => {
            let (width,): (i64,) = from_args(args)?;
            let (sign, digits) = if text.starts_with(['+', '-']) { text.split_at(1) } else { ("", text) };
            (sign.to_owned() + &pad(digits, width - sign.len() as i64, Some("0"), |missing| missing)?).into()
        }
        _ => return Ok(None),
    }))
}

/// Lines at Python's line ends.
fn lines(text: &str, keep: bool) -> Vec<&str> {
    const ENDS: [char; 10] = ['\n', '\r', '\u{b}', '\u{c}', '\u{1c}', '\u{1d}', '\u{1e}', '\u{85}', '\u{2028}', '\u{2029}'];
    let (mut lines, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let Some(end) = rest.find(ENDS) else {
            lines.push(rest);
            break;
        };
        let mark = if rest[end..].starts_with("\r\n") { 2 } else { rest[end..].chars().next().map_or(1, char::len_utf8) };
        lines.push(&rest[..if keep { end + mark } else { end }]);
        rest = &rest[end + mark..];
    }
    lines
}

fn list_method(value: &Value, method: &str, args: &[Value]) -> Result<Option<Value>, Error> {
    Ok(Some(match method {
        "index" => {
            let (what,): (&Value,) = from_args(args)?;
            let place = value.try_iter()?.position(|item| item == *what).ok_or_else(|| invalid("the value is not in the list"))?;
            (place as i64).into()
        }
        "copy" => from_args::<()>(args).map(|()| value.clone())?,
        // Methods that change a list are forbidden in jinja2's immutable sandbox.
        "append" | "extend" | "insert" | "pop" | "remove" | "reverse" | "sort" | "clear" => {
            let _: (Rest<Value>,) = from_args(args)?;
            return Err(invalid(format!("lists cannot be changed in a template: `{method}`")));
        }
        _ => return Ok(None),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values by Python 3.11.
    #[test]
    fn methods_of_texts_are_pythons() {
        let of = |text: &str, method: &str, args: &[Value]| text_method(text, method, args).unwrap().unwrap();
        let joined = |value: Value| value.try_iter().unwrap().map(|part| part.to_string()).collect::<Vec<_>>().join("|");
        assert_eq!(joined(of(" a b  c ", "split", &[Value::from(()), 1.into()])), "a|b  c ");
        assert_eq!(joined(of(" a b  c ", "rsplit", &[Value::from(()), 1.into()])), " a b|c");
        assert_eq!(joined(of("a,,b", "split", &[",".into()])), "a||b");
        assert_eq!(joined(of("a\r\nb\u{2028}c\n", "splitlines", &[])), "a|b|c");
        assert_eq!(of("\u{1f} a\u{a0}", "strip", &[]).to_string(), "a");
        assert_eq!(of("a1b éc'd", "title", &[]).to_string(), "A1B Éc'D");
        assert_eq!(of("-7", "zfill", &[5.into()]).to_string(), "-0007");
        assert_eq!(of("abc", "center", &[6.into(), "*".into()]).to_string(), "*abc**");
        assert_eq!(of("abcd", "center", &[7.into(), "*".into()]).to_string(), "**abcd*");
        assert_eq!(of("héllo", "find", &["l".into(), 3.into()]).to_string(), "3");
        assert_eq!(of("abcabc", "rfind", &["b".into(), 0.into(), (-1).into()]).to_string(), "4");
        assert_eq!(of("abc", "startswith", &["b".into(), 1.into()]).to_string(), "True");
        assert!(text_method("abc", "index", &["x".into()]).is_err());
        assert!(text_method("abc", "split", &["".into()]).is_err());
    }
}
