//! The numbered parts of an answer.

/// A line that begins a part or an entry of a list.
struct Head {
    number: usize,
    /// How the number is written; parts of one answer are written alike.
    style: String,
    indent: usize,
    /// Where the line begins, in bytes.
    at: usize,
}

/// Where the three numbered parts of an answer begin, in bytes; None where it does not number three.
///
/// Lists inside a part may be numbered as well: parts are the heads 1, 2 and 3 that are written alike, indented least, and
/// leave whole lists between them.
pub(super) fn starts(talk: &str) -> Option<[usize; 3]> {
    let heads = heads(talk);
    let mut kinds: Vec<(usize, &str)> = heads.iter().map(|head| (head.indent, head.style.as_str())).collect();
    kinds.dedup();
    let mut seen = Vec::new();
    kinds.retain(|kind| {
        !seen.contains(kind) && {
            seen.push(*kind);
            true
        }
    });
    // Least indented first; of these the kind that begins first.
    kinds.sort_by_key(|(indent, _)| *indent);
    let chain = |(indent, style): &(usize, &str)| {
        let alike: Vec<&Head> = heads.iter().filter(|head| head.indent == *indent && head.style == *style).collect();
        outer(&alike)
    };
    kinds.iter().find_map(chain)
}

/// Where the parts 1, 2 and 3 begin among heads that are written alike.
fn outer(heads: &[&Head]) -> Option<[usize; 3]> {
    let first = heads.iter().position(|head| head.number == 1)?;
    let third = heads.iter().rposition(|head| head.number == 3).filter(|third| *third > first)?;
    let between = |from: usize, to: usize| are_lists(&heads[from + 1..to]);
    let second = (first + 1..third).find(|i| heads[*i].number == 2 && between(first, *i) && between(*i, third))?;
    Some([heads[first].at, heads[second].at, heads[third].at])
}

/// Whether heads are the entries of lists, one after the other, each counted from 1.
fn are_lists(heads: &[&Head]) -> bool {
    let mut last = 0;
    heads.iter().all(|head| {
        let follows = head.number == 1 || (last > 0 && head.number == last + 1);
        last = head.number;
        follows
    })
}

fn heads(talk: &str) -> Vec<Head> {
    let mut at = 0;
    let mut heads = Vec::new();
    for line in talk.split_inclusive('\n') {
        if let Some((number, style, indent)) = head(line) {
            heads.push(Head { number, style, indent, at });
        }
        at += line.len();
    }
    heads
}

/// The number that a line begins with: `1.`, `1)`, `(1)`, `1、`, `一、`, `Part 1`, also inside a heading or bold.
fn head(line: &str) -> Option<(usize, String, usize)> {
    const CHINESE: &str = "一二三四五六七八九";
    let indent = line.chars().take_while(|c| c.is_whitespace()).count();
    let line = line.trim_start();
    let bare = line.trim_start_matches(|c: char| c.is_whitespace() || "#*->(（【[_".contains(c));
    let opened = if line[..line.len() - bare.len()].contains(['(', '（', '【', '[']) { "(" } else { "" };
    let word = ["Part ", "part ", "PART ", "第"].into_iter().find(|word| bare.starts_with(word)).unwrap_or_default();
    let rest = bare[word.len()..].trim_start();
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let (number, rest) = match (digits.parse::<usize>(), rest.chars().next().and_then(|c| CHINESE.chars().position(|other| other == c))) {
        (Ok(number), _) => (number, &rest[digits.len()..]),
        (_, Some(place)) => (place + 1, &rest[rest.chars().next().map_or(0, char::len_utf8)..]),
        _ => return None,
    };
    let rest = rest.strip_prefix(' ').filter(|_| word == "第").unwrap_or(rest);
    let mark = rest.chars().next().filter(|c| ".):：、，。．）】]部*".contains(*c))?;
    let written = if digits.is_empty() { "一" } else { "1" };
    // 1.5 is a number, not a part.
    let decimal = rest.strip_prefix('.').is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let closed = if opened.is_empty() { mark } else { ')' };
    (number > 0 && !decimal).then(|| (number, format!("{opened}{word}{written}{closed}"), indent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(talk: &str) -> Option<(&str, &str)> {
        starts(talk).map(|[first, second, third]| (&talk[first..second], &talk[second..third]))
    }

    #[test]
    fn numbers_are_not_parts() {
        assert!(parts("1.5 is a number\n2.5 too\n3.5 as well").is_none());
        assert!(parts("1. a\n2. b").is_none(), "three are asked for");
        assert_eq!(parts("一、甲\n二、乙\n三、丙"), Some(("一、甲\n", "二、乙\n")));
        assert_eq!(parts("Part 1: a\nPart 2: b\nPart 3: c"), Some(("Part 1: a\n", "Part 2: b\n")));
        assert_eq!(parts("第1部分：甲\n第2部分：乙\n第3部分：丙"), Some(("第1部分：甲\n", "第2部分：乙\n")));
        assert_eq!(parts("### 1) a\n### 2) b\n### 3) c"), Some(("### 1) a\n", "### 2) b\n")));
    }

    #[test]
    fn lists_inside_a_part_are_not_parts() {
        for (text, first, second) in [
            ("(1) x\n1. a\n2. b\n(2) y\n(3) z", "(1) x\n1. a\n2. b\n", "(2) y\n"),
            ("(1) x\n1. a\n2. b\n3. c\n(2) y\n(3) z", "(1) x\n1. a\n2. b\n3. c\n", "(2) y\n"),
            ("1. x\n   1. a\n   2. b\n   3. c\n2. y\n3. z", "1. x\n   1. a\n   2. b\n   3. c\n", "2. y\n"),
            ("1. x\n1. a\n2. b\n2. y\n3. z", "1. x\n1. a\n2. b\n", "2. y\n"),
            ("1. x\n1. a\n2. b\n3. c\n2. y\n3. z", "1. x\n1. a\n2. b\n3. c\n", "2. y\n"),
            ("1. x\n2. y\n1. a\n2. b\n3. z", "1. x\n", "2. y\n1. a\n2. b\n"),
            ("**1.** x\n- 1. a\n**2.** y\n**3.** z", "**1.** x\n- 1. a\n", "**2.** y\n"),
        ] {
            assert_eq!(parts(text), Some((first, second)), "{text}");
        }
    }
}
