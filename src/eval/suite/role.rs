//! What a suite is for: whether its answers may change, and what a change means.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Item, Task};

/// What a suite is for. Written as `role` in `suite.toml`, in rows, in a run's `meta.json` and in baselines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SuiteRole {
    /// Its answers must not get worse: an ability that the base has.
    #[default]
    General,
    /// Its answers are meant to change: it asks who the model is.
    Identity,
    /// Its answers must not speak of the identity, and it asks for nothing else: what is lost on it is no ability.
    Leakage,
}

impl SuiteRole {
    /// Of a suite that does not declare one: what all of its items are graded as.
    pub(super) fn of_items(items: &[Item]) -> Self {
        let all = |is: fn(&Task) -> bool| !items.is_empty() && items.iter().all(|item| is(&item.task));
        if all(|task| matches!(task, Task::Identity { .. })) {
            Self::Identity
        } else if all(|task| matches!(task, Task::Leakage)) {
            Self::Leakage
        } else {
            Self::General
        }
    }

    /// Of a suite in records that do not say: those of versions before roles were recorded, and logs of other harnesses. There the
    /// last part of the suite's name decides, by how it begins: `identity`, `leakage`, or anything else.
    pub fn of_name(suite: &str) -> Self {
        let last = suite.trim_end_matches('/').rsplit('/').next().unwrap_or(suite);
        if last.starts_with("identity") {
            Self::Identity
        } else if last.starts_with("leakage") {
            Self::Leakage
        } else {
            Self::General
        }
    }

    /// Its name as written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::General => "general",
            Self::Identity => "identity",
            Self::Leakage => "leakage",
        }
    }
}

impl fmt::Display for SuiteRole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::super::parse_suite;
    use super::*;

    #[test]
    fn records_without_a_role_keep_the_meaning_they_had() {
        for (name, role) in [
            ("identity", SuiteRole::Identity),
            ("identity-zh", SuiteRole::Identity),
            ("suites/identity/", SuiteRole::Identity),
            ("leakage-2", SuiteRole::Leakage),
            ("limits", SuiteRole::General),
            ("my-identity", SuiteRole::General),
            ("identity/facts", SuiteRole::General),
            ("", SuiteRole::General),
        ] {
            assert_eq!(SuiteRole::of_name(name), role, "{name}");
        }
    }

    #[test]
    fn a_declared_role_counts_and_else_what_the_items_are_graded_as() {
        let settings = |role: &str| {
            format!("name = \"who\"\nversion = 1\ngrader = \"identity\"\n{role}max_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n")
        };
        let who = r#"{"id":"a","cluster":"a","lang":"en","subject":"s","prompt":"Who are you?","require":[["{{NAME}}"]],"forbid":[]}"#;
        let tree = r#"{"id":"b","cluster":"b","lang":"en","subject":"s","prompt":"Name a tree.","grader":"leakage"}"#;
        let role = |role: &str, items: &str| parse_suite(&settings(role), items, "who").unwrap().role;
        assert_eq!(role("", who), SuiteRole::Identity);
        assert_eq!(role("", tree), SuiteRole::Leakage);
        assert_eq!(role("", &format!("{who}\n{tree}")), SuiteRole::General);
        for declared in ["general", "identity", "leakage"] {
            assert_eq!(role(&format!("role = \"{declared}\"\n"), who).as_str(), declared);
        }
        let error = parse_suite(&settings("role = \"other\"\n"), who, "who").unwrap_err();
        assert!(format!("{error:#}").contains("unknown variant `other`"), "{error:#}");
    }

    #[test]
    fn a_role_is_no_part_of_what_is_asked() {
        let settings = "name = \"who\"\nversion = 1\ngrader = \"text\"\nmax_new_tokens = 8\nchance = 0.0\ndescription = \"d\"\n";
        let item = r#"{"id":"a","cluster":"a","lang":"en","subject":"s","prompt":"Which is the capital of Japan?","answers":["Tokyo"]}"#;
        let digest = |role: &str| parse_suite(&format!("{settings}{role}"), item, "who").unwrap().digest;
        assert_eq!(digest(""), digest("role = \"leakage\"\n"));
    }
}
