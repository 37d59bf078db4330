//! Names as they are looked for in a text, those of other makers' models among them.

use std::sync::LazyLock;

use fancy_regex::Regex;

use crate::eval::rivals::{RIVALS, Rival};
use crate::eval::score::identity::match_end;
use crate::eval::score::words::{compose, is_cjk};

/// A name of a rival as it is looked for: lower case, no spaces.
pub(super) struct RivalForm {
    pub(super) sought: Vec<char>,
    text: String,
    pub(super) form: &'static str,
    pub(super) rival: &'static Rival,
}

static FORMS: LazyLock<Vec<RivalForm>> = LazyLock::new(|| {
    let forms = RIVALS.iter().flat_map(|rival| rival.forms().map(move |form| (form, rival)));
    let made = forms.map(|(form, rival)| {
        let sought = sought(form);
        RivalForm { text: sought.iter().collect(), sought, form, rival }
    });
    made.collect()
});

fn sought(name: &str) -> Vec<char> {
    compose(name).to_lowercase().chars().filter(|c| !c.is_whitespace()).collect()
}

/// Which rivals a text could name: a look that costs little, since most answers name none.
pub(super) fn candidates(text: &str) -> Vec<&'static RivalForm> {
    let plain: String = text.chars().filter(|c| !c.is_whitespace()).collect();
    FORMS.iter().filter(|form| plain.contains(&form.text)).collect()
}

/// Whether a text could name a rival.
pub(in crate::eval::score) fn could_name_a_rival(text: &str) -> bool {
    !candidates(&compose(text).to_lowercase()).is_empty()
}

/// Where a name stands: from the start of a word, spaces inside ignored; a version may follow (Qwen2.5).
pub(super) fn places(text: &str, name: &str) -> Vec<(usize, usize)> {
    places_of(text, &sought(name))
}

pub(super) fn places_of(text: &str, sought: &[char]) -> Vec<(usize, usize)> {
    let (Some(first), Some(last)) = (sought.first(), sought.last()) else { return Vec::new() };
    // A quick look before the slow one.
    if !text.contains(*first) {
        return Vec::new();
    }
    let chars: Vec<(usize, char)> = text.char_indices().collect();
    let plain: Vec<char> = chars.iter().map(|(_, c)| *c).collect();
    let latin = |c: char| c.is_alphabetic() && !is_cjk(c);
    (0..plain.len())
        .filter(|start| plain[*start] == *first && (!latin(*first) || *start == 0 || !latin(plain[start - 1])))
        .filter_map(|start| {
            let end = start + match_end(&plain[start..], sought, true)?;
            let whole = !latin(*last) || plain.get(end).is_none_or(|c| !latin(*c));
            whole.then(|| (chars[start].0, chars.get(end).map_or(text.len(), |(at, _)| *at)))
        })
        .collect()
}

/// Spanish says "se llama" of whatever has a name: that is no model called Llama.
pub(super) fn without_llamarse(text: &str) -> String {
    static CALLED: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(se|te|me) llama\b").expect("a fixed pattern"));
    CALLED.replace_all(text, "$1 llamaba").into_owned()
}
