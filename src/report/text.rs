//! Numbers as they stand in a report's sentences: fixed digits, and `n/a` where nothing could be measured.

use crate::analysis::share::Share;
use crate::stats::Interval;

/// What stands where nothing could be measured.
pub(super) const NONE: &str = "n/a";

/// A number with so many digits after the point, never a negative zero.
pub(super) fn fixed(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    let text = format!("{value:.digits$}");
    match text.strip_prefix('-') {
        Some(zero) if zero.chars().all(|c| c == '0' || c == '.') => zero.to_owned(),
        _ => text,
    }
}

/// A number with three significant digits.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return fixed(value, 0);
    }
    // The exponent is taken from the rounded text: a logarithm may differ between machines at powers of ten.
    let scientific = format!("{value:.2e}");
    let exponent: i32 = scientific.rsplit('e').next().and_then(|e| e.parse().ok()).unwrap_or(0);
    match exponent {
        -4..=2 => fixed(value, usize::try_from(2 - exponent).unwrap_or(0)),
        3..=6 => fixed(value, 0),
        _ => scientific,
    }
}

/// A fraction of 1 in percent, without the sign.
pub(super) fn percent(fraction: f64) -> String {
    fixed(fraction * 100.0, 1)
}

/// A difference of fractions in percentage points, with its sign.
pub(super) fn points(difference: f64) -> String {
    let text = percent(difference);
    if difference > 0.0 && text != "0.0" && text != NONE { format!("+{text}") } else { text }
}

/// `[51.5, 72.3]`, in percent.
pub(super) fn range(interval: Interval) -> String {
    format!("[{}, {}]", percent(interval.low), percent(interval.high))
}

/// `[-61.2, -36.9]`, in percentage points, with signs.
pub(super) fn point_range(interval: Interval) -> String {
    format!("[{}, {}]", points(interval.low), points(interval.high))
}

/// A share: `62.5 % [51.5, 72.3] n=80`.
pub(crate) fn share_text(share: &Share) -> String {
    format!("{} % {} n={}", percent(share.value), range(share.interval), items(share.n, share.seeds))
}

/// `60`, or `60 x 3` over several seeds.
pub(super) fn items(n: usize, seeds: usize) -> String {
    if seeds > 1 { format!("{n} x {seeds}") } else { n.to_string() }
}

/// A p-value with three digits.
pub(super) fn p_value(p: Option<f64>) -> String {
    match p {
        None => NONE.to_owned(),
        Some(p) if p < 0.001 => "<0.001".to_owned(),
        Some(p) => fixed(p, 3),
    }
}

/// Whatever there is, or `n/a`.
pub(super) fn or_none<T>(value: Option<T>, text: impl FnOnce(T) -> String) -> String {
    value.map_or_else(|| NONE.to_owned(), text)
}

/// At most so many letters of a text.
pub(super) fn trimmed(text: &str, letters: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(letters) {
        Some((end, _)) => format!("{} [...]", text[..end].trim_end()),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_fixed_digits_and_no_negative_zero() {
        assert_eq!([fixed(-0.04, 1), fixed(-0.06, 1), fixed(f64::NAN, 1)], ["0.0", "-0.1", "n/a"]);
        assert_eq!([points(0.031), points(-0.5), points(0.0), points(0.0001)], ["+3.1", "-50.0", "0.0", "0.0"]);
        assert_eq!([p_value(Some(0.0004)), p_value(Some(0.04)), p_value(None)], ["<0.001", "0.040", "n/a"]);
        let digits: Vec<String> = [0.0, 0.000_012_3, 0.0123, 1.0, 12.34, 999.9, 123_456.0, 1e9].map(significant).into();
        assert_eq!(digits, ["0", "1.23e-5", "0.0123", "1.00", "12.3", "1000", "123456", "1.00e9"]);
    }

    #[test]
    fn a_long_text_is_cut_between_letters() {
        assert_eq!(trimmed("  珠穆朗玛峰 ", 3), "珠穆朗 [...]");
        assert_eq!(trimmed("abc", 3), "abc");
    }
}
