//! `strftime_now` of a fixed day: Monday, the 1st of January 2024, at midnight.

use minijinja::{Error, ErrorKind};

/// Python's `strftime` in its C locale.
pub(super) fn format(format: &str) -> Result<String, Error> {
    let mut out = String::new();
    let mut rest = format.chars();
    while let Some(c) = rest.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let directive = rest.next();
        let (plain, directive) = if directive == Some('-') { (true, rest.next()) } else { (false, directive) };
        let number = |padded: &'static str, short: &'static str| if plain { short } else { padded };
        out.push_str(match directive {
            Some('a') => "Mon",
            Some('A') => "Monday",
            Some('b' | 'h') => "Jan",
            Some('B') => "January",
            Some('c') => "Mon Jan  1 00:00:00 2024",
            Some('d' | 'm') => number("01", "1"),
            Some('D' | 'x') => "01/01/24",
            Some('e') => number(" 1", "1"),
            Some('F') => "2024-01-01",
            Some('H' | 'M' | 'S') => number("00", "0"),
            Some('I') => "12",
            Some('j') => number("001", "1"),
            Some('p') => "AM",
            Some('R') => "00:00",
            Some('T' | 'X') => "00:00:00",
            Some('u' | 'w') => "1",
            Some('f') => "000000",
            Some('y') => "24",
            Some('Y') => "2024",
            Some('z' | 'Z') => "",
            Some('%') => "%",
            other => {
                let directive = other.map_or_else(String::new, String::from);
                return Err(Error::new(ErrorKind::InvalidOperation, format!("strftime_now does not know %{directive}")));
            }
        });
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    /// `datetime(2024, 1, 1).strftime(...)` of Python 3.11.
    #[test]
    fn the_day_is_written_as_python_writes_it() {
        let text = super::format("%d %b %Y|%A %-d %B|%Y-%m-%d %H:%M:%S|%e|%j|%I %p|%y%%|%c").unwrap();
        assert_eq!(text, "01 Jan 2024|Monday 1 January|2024-01-01 00:00:00| 1|001|12 AM|24%|Mon Jan  1 00:00:00 2024");
    }
}
