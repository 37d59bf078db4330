//! What an answer came to, as short as a baseline keeps it: one letter for the verdict, one for each flag.

use crate::eval::score::{Flag, Verdict};
use crate::record::rows::ItemRow;

/// Verdicts by letter.
const VERDICTS: [(Verdict, char); 5] =
    [(Verdict::Correct, 'c'), (Verdict::Wrong, 'w'), (Verdict::Unparsed, 'u'), (Verdict::Truncated, 't'), (Verdict::Error, 'e')];

/// Flags by letter.
const FLAGS: [(Flag, char); 10] = [
    (Flag::Empty, 'E'),
    (Flag::Loop, 'L'),
    (Flag::WrongLanguage, 'W'),
    (Flag::IdentityLeak, 'I'),
    (Flag::Residue, 'O'),
    (Flag::Refusal, 'R'),
    (Flag::Echo, 'P'),
    (Flag::ExecutionError, 'X'),
    (Flag::Timeout, 'T'),
    (Flag::UnclosedThinking, 'U'),
];

/// Verdict and flags of one answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// What it counts as.
    pub verdict: Verdict,
    /// How it went wrong, in no order.
    pub flags: Vec<Flag>,
}

impl Mark {
    /// Of an answered item.
    pub fn of(row: &ItemRow) -> Self {
        Self { verdict: row.verdict, flags: row.flags.clone() }
    }

    /// The letters: `c` for a right answer, `uEL` for an unread one with two flags.
    pub fn letters(&self) -> String {
        let verdict = VERDICTS.iter().filter(|(verdict, _)| *verdict == self.verdict).map(|(_, letter)| *letter);
        verdict.chain(FLAGS.iter().filter(|(flag, _)| self.flags.contains(flag)).map(|(_, letter)| *letter)).collect()
    }

    /// Read back; `None` for letters that mean nothing.
    pub fn parse(letters: &str) -> Option<Self> {
        let mut letters = letters.chars();
        let first = letters.next()?;
        let verdict = VERDICTS.iter().find(|(_, letter)| *letter == first)?.0;
        let flags = letters.map(|letter| FLAGS.iter().find(|(_, known)| *known == letter).map(|(flag, _)| *flag));
        Some(Self { verdict, flags: flags.collect::<Option<_>>()? })
    }

    /// Counts as right.
    pub fn correct(&self) -> bool {
        self.verdict == Verdict::Correct
    }

    /// The answer failed as text, whatever it knows: cut off, unreadable, empty, looping, in the wrong language, declining, the question given back.
    pub fn form_failed(&self) -> bool {
        let flagged =
            [Flag::Empty, Flag::Loop, Flag::WrongLanguage, Flag::Refusal, Flag::Echo].iter().any(|flag| self.flags.contains(flag));
        flagged || matches!(self.verdict, Verdict::Unparsed | Verdict::Truncated)
    }

    /// Says the fine-tuned name or author where nobody asked.
    pub fn leaks(&self) -> bool {
        self.flags.contains(&Flag::IdentityLeak)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_come_back_as_the_same_mark() {
        for (verdict, _) in VERDICTS {
            for (flag, _) in FLAGS {
                let mark = Mark { verdict, flags: vec![flag] };
                assert_eq!(Mark::parse(&mark.letters()), Some(mark));
            }
        }
        assert_eq!(Mark { verdict: Verdict::Correct, flags: vec![] }.letters(), "c");
        assert_eq!(["", "z", "cz", "C"].map(Mark::parse), [None, None, None, None]);
    }

    #[test]
    fn form_is_how_it_was_said_not_what() {
        let form = |letters: &str| Mark::parse(letters).unwrap().form_failed();
        assert_eq!(["c", "w", "wI", "eX", "eT"].map(form), [false; 5]);
        assert_eq!(["u", "t", "cL", "wW", "wR", "uE", "wP"].map(form), [true; 7]);
    }
}
