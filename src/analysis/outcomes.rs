//! How answers ended: right, wrong, or lost to form, and what marked them.

use crate::eval::score::{Flag, Verdict};
use crate::record::rows::ItemRow;

use super::share::Share;
use super::view::{Subject, View};
use crate::eval::suite::SuiteRole;

/// Verdicts in the order of tables and bars.
pub(crate) const VERDICTS: [(Verdict, &str); 5] = [
    (Verdict::Correct, "correct"),
    (Verdict::Wrong, "wrong"),
    (Verdict::Unparsed, "unparsed"),
    (Verdict::Truncated, "truncated"),
    (Verdict::Error, "error"),
];

/// Flags in the order of tables.
pub(crate) const FLAGS: [(Flag, &str); 10] = [
    (Flag::IdentityLeak, "leak"),
    (Flag::Residue, "old identity"),
    (Flag::Loop, "loop"),
    (Flag::WrongLanguage, "wrong language"),
    (Flag::Refusal, "refusal"),
    (Flag::Echo, "echo"),
    (Flag::Empty, "empty"),
    (Flag::Timeout, "timeout"),
    (Flag::ExecutionError, "raised"),
    (Flag::UnclosedThinking, "still thinking"),
];

/// Answers of one subject on one suite, all seeds together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcomes<'a> {
    /// Suite.
    pub(crate) suite: &'a str,
    /// Base or variant.
    pub(crate) subject: &'a str,
    /// Answers.
    pub(crate) answers: usize,
    /// In the order of [`VERDICTS`].
    pub(crate) verdicts: [usize; 5],
    /// In the order of [`FLAGS`].
    pub(crate) flags: [usize; 10],
}

impl<'a> Outcomes<'a> {
    /// Counts.
    pub(crate) fn of(subject: &Subject<'a>, suite: &'a str) -> Self {
        let rows: Vec<&ItemRow> = subject.rows(suite).into_iter().flatten().collect();
        Self {
            suite,
            subject: subject.name,
            answers: rows.len(),
            verdicts: VERDICTS.map(|(verdict, _)| rows.iter().filter(|row| row.verdict == verdict).count()),
            flags: FLAGS.map(|(flag, _)| rows.iter().filter(|row| row.flags.contains(&flag)).count()),
        }
    }

    /// Suite by suite, the base first.
    pub(crate) fn all(view: &View<'a>) -> Vec<Self> {
        view.suites.iter().flat_map(|suite| view.subjects.iter().map(|subject| Self::of(subject, suite))).collect()
    }

    /// Answers with each of [`VERDICTS`], then those with each of [`FLAGS`].
    pub(crate) fn counts(&self) -> impl Iterator<Item = usize> {
        self.verdicts.into_iter().chain(self.flags)
    }

    /// Answers with a flag.
    pub(crate) fn flagged(&self, flag: Flag) -> usize {
        FLAGS.iter().position(|(known, _)| *known == flag).map_or(0, |at| self.flags[at])
    }

    /// Answers with a verdict.
    pub(crate) fn with(&self, verdict: Verdict) -> usize {
        VERDICTS.iter().position(|(known, _)| *known == verdict).map_or(0, |at| self.verdicts[at])
    }
}

/// How often identity text stands in answers to unrelated questions.
pub(crate) fn leakage(subject: &Subject) -> Option<Share> {
    Share::among(subject, |row| row.role() != SuiteRole::Identity, |row| row.flags.contains(&Flag::IdentityLeak))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::sample::run;
    use crate::report::text::share_text;

    #[test]
    fn every_answer_counts_once() {
        let run = run();
        let all = Outcomes::all(&View::new(&run));
        assert_eq!(all.len(), 12);
        for outcome in &all {
            assert_eq!(outcome.verdicts.iter().sum::<usize>(), outcome.answers);
        }
        let a = all.iter().find(|o| (o.subject, o.suite) == ("A", "fact-qa")).unwrap();
        assert_eq!((a.with(Verdict::Correct), a.flagged(Flag::IdentityLeak)), (18, 14));
    }

    #[test]
    fn leakage_leaves_the_identity_suite_out() {
        let run = run();
        let view = View::new(&run);
        assert_eq!(share_text(&leakage(view.variant("A").unwrap()).unwrap()), "23.3 % [16.7, 31.7] n=120");
        assert_eq!(share_text(&leakage(view.base()).unwrap()), "0.0 % [0.0, 3.1] n=120");
    }
}
