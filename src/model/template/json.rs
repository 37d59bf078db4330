//! `tojson` as transformers has it: Python's `json.dumps(x, ensure_ascii=False, indent, separators, sort_keys)`, with no
//! escapes for HTML and keys in their own order.

use std::fmt::Write;

use minijinja::value::{Kwargs, ValueKind};
use minijinja::{Error, ErrorKind, State, Value};

struct Style {
    ascii: bool,
    indent: Option<String>,
    item: String,
    key: String,
    sorted: bool,
}

/// The filter.
#[allow(clippy::needless_pass_by_value, reason = "minijinja passes named arguments by value")]
pub(super) fn filter(state: &State<'_, '_>, value: &Value, ensure_ascii: Option<bool>, kwargs: Kwargs) -> Result<Value, Error> {
    let named: Option<bool> = kwargs.get("ensure_ascii")?;
    let indent: Option<Value> = kwargs.get::<Option<Value>>("indent")?.filter(|indent| !indent.is_none());
    let indent = match indent {
        None => None,
        Some(indent) => match (indent.as_str(), usize::try_from(indent.clone()).ok()) {
            (Some(text), _) => Some(text.to_owned()),
            (None, Some(spaces)) if spaces <= 64 => Some(" ".repeat(spaces)),
            _ => return Err(Error::new(ErrorKind::InvalidOperation, "tojson: indent is a text or a number up to 64")),
        },
    };
    let separators: Option<Value> = kwargs.get::<Option<Value>>("separators")?.filter(|separators| !separators.is_none());
    let (item, key) = match separators {
        None => (if indent.is_some() { "," } else { ", " }.to_owned(), ": ".to_owned()),
        Some(pair) => {
            let of = |at: usize| pair.get_item_by_index(at).map(|part| part.as_str().unwrap_or_default().to_owned());
            (of(0)?, of(1)?)
        }
    };
    let sorted = kwargs.get::<Option<bool>>("sort_keys")?.unwrap_or(false);
    kwargs.assert_all_used()?;
    let mut writer = Writer { state, out: String::new(), charged: 0 };
    writer.value(value, &Style { ascii: named.or(ensure_ascii).unwrap_or(false), indent, item, key, sorted }, 0)?;
    Ok(Value::from(writer.out))
}

struct Writer<'s, 'a, 'b> {
    state: &'s State<'a, 'b>,
    out: String,
    /// Bytes paid for.
    charged: usize,
}

/// Deepest value that is written; Python gives up a little later.
const DEEPEST: usize = 100;

impl Writer<'_, '_, '_> {
    fn value(&mut self, value: &Value, style: &Style, depth: usize) -> Result<(), Error> {
        if depth > DEEPEST {
            return Err(Error::new(ErrorKind::InvalidOperation, "tojson: the value is too deep"));
        }
        self.state.consume_fuel(1 + (self.out.len() - self.charged) as u64 / 64)?;
        self.charged = self.out.len();
        match value.kind() {
            ValueKind::None => self.out.push_str("null"),
            ValueKind::Bool => self.out.push_str(if value.is_true() { "true" } else { "false" }),
            ValueKind::Number => self.number(value)?,
            ValueKind::String => self.text(value.as_str().unwrap_or_default(), style.ascii),
            ValueKind::Seq | ValueKind::Iterable => {
                let items = value.try_iter()?;
                self.list('[', ']', style, depth, items, |this, item| this.value(&item, style, depth + 1))?;
            }
            ValueKind::Map => {
                let mut keys: Vec<Value> = value.try_iter()?.collect();
                if style.sorted {
                    keys.sort();
                }
                self.list('{', '}', style, depth, keys.into_iter(), |this, key| {
                    match key.kind() {
                        ValueKind::String => this.text(key.as_str().unwrap_or_default(), style.ascii),
                        ValueKind::Number | ValueKind::Bool | ValueKind::None => {
                            this.out.push('"');
                            this.value(&key, style, depth + 1)?;
                            this.out.push('"');
                        }
                        kind => return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: a key that is {kind}"))),
                    }
                    this.out.push_str(&style.key);
                    this.value(&value.get_item(&key)?, style, depth + 1)
                })?;
            }
            kind => return Err(Error::new(ErrorKind::InvalidOperation, format!("tojson: {kind} is not JSON serializable"))),
        }
        Ok(())
    }

    fn list(
        &mut self,
        open: char,
        close: char,
        style: &Style,
        depth: usize,
        items: impl Iterator<Item = Value>,
        mut one: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let line = |this: &mut Self, depth: usize| {
            if let Some(indent) = &style.indent {
                this.out.push('\n');
                (0..depth).for_each(|_| this.out.push_str(indent));
            }
        };
        self.out.push(open);
        let mut any = false;
        for item in items {
            if any {
                self.out.push_str(&style.item);
            }
            any = true;
            line(self, depth + 1);
            one(self, item)?;
        }
        if any {
            line(self, depth);
        }
        self.out.push(close);
        Ok(())
    }

    fn number(&mut self, value: &Value) -> Result<(), Error> {
        if value.is_integer() {
            self.out.push_str(&value.to_string());
            return Ok(());
        }
        let number = f64::try_from(value.clone())?;
        match number {
            _ if number.is_nan() => self.out.push_str("NaN"),
            _ if number.is_infinite() => self.out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" }),
            _ => self.out.push_str(&float(number)),
        }
        Ok(())
    }

    fn text(&mut self, text: &str, ascii: bool) {
        self.out.push('"');
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\""),
                '\\' => self.out.push_str("\\\\"),
                '\n' => self.out.push_str("\\n"),
                '\r' => self.out.push_str("\\r"),
                '\t' => self.out.push_str("\\t"),
                '\u{8}' => self.out.push_str("\\b"),
                '\u{c}' => self.out.push_str("\\f"),
                // Python escapes the delete character where it writes ASCII alone.
                c if c < ' ' || ascii && c > '~' => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        // Writing to a String cannot fail.
                        let _ = write!(self.out, "\\u{unit:04x}");
                    }
                }
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }
}

/// Python's `repr` of a float: the shortest digits that read back, with an exponent from 1e16 and below 1e-4.
pub(super) fn float(number: f64) -> String {
    if !number.is_finite() {
        return format!("{number}").to_lowercase();
    }
    let magnitude = number.abs();
    if magnitude != 0.0 && !(1e-4..1e16).contains(&magnitude) {
        let text = format!("{number:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(("+", exponent), |exponent| ("-", exponent));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    format!("{number:?}")
}

#[cfg(test)]
mod tests {
    use super::float;

    /// `repr` of Python 3.11.
    #[test]
    fn floats_are_written_as_python_writes_them() {
        for (number, text) in [
            (0.0, "0.0"),
            (-1.5, "-1.5"),
            (1e15, "1000000000000000.0"),
            (1e16, "1e+16"),
            (1.25e-5, "1.25e-05"),
            (0.0001, "0.0001"),
            (1e300, "1e+300"),
        ] {
            assert_eq!(float(number), text);
        }
    }
}
