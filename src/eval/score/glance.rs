//! A look at an answer that tells quickly that it cannot be right: a word that every right answer holds is missing. What is let
//! through still has to be graded.

use super::text::is_number;
use super::words::{fold, needle};
use crate::eval::suite::{Item, Task};

/// An answer's letters and digits alone.
pub struct Glance(String);

impl Glance {
    /// Of an answer.
    pub fn of(answer: &str) -> Self {
        Self(bare(answer))
    }

    /// Whether grading could come to Correct. False is certain.
    pub fn could_be_right(&self, item: &Item) -> bool {
        let says = |text: &String| text.contains("{{") || self.0.contains(&bare(text));
        let all_groups = |groups: &[Vec<String>]| groups.iter().all(|group| group.iter().any(says));
        match &item.task {
            Task::Text { answers, .. } => answers.iter().any(|answer| {
                let needle = needle(answer);
                is_number(answer) || needle.iter().filter(|word| !word.is_article()).all(|word| self.0.contains(&bare(&word.text)))
            }),
            Task::Number { answers } => self.0.contains(|c: char| c.is_numeric()) || answers.iter().any(says),
            Task::Instructions { about, .. } => about.is_empty() || about.iter().any(says),
            Task::Identity { require, .. }
            | Task::Safety { harmful: false, require, .. }
            | Task::Honesty { answerable: true, require, .. } => all_groups(require),
            Task::Code { entry_point, .. } | Task::Composite { entry_point, .. } => says(entry_point),
            _ => true,
        }
    }
}

fn bare(text: &str) -> String {
    fold(&text.replace(['%', '％'], "percent")).chars().filter(|c| c.is_alphanumeric()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::floor::candidates;
    use crate::eval::score::{Answer, IdentityTerms, Verdict, grade};
    use crate::library;

    #[test]
    fn no_answer_that_is_right_is_kept_from_grading() {
        let identity = IdentityTerms { name_en: "Robin".to_owned(), name_zh: "知更鸟".to_owned(), ..IdentityTerms::default() };
        let (mut right, mut kept) = (0, 0);
        for name in library::suite_names() {
            let items = library::suite(name).unwrap().items;
            // An item and its neighbours, of which one may be right where another is; some of all, for time.
            for few in items.chunks(3).step_by(4) {
                let leaves: Vec<&Item> = few.iter().flat_map(Item::graded_leaves).filter(|leaf| leaf.program().is_none()).collect();
                let mut answers = candidates(few, &identity).split_off(40);
                answers.extend(leaves.iter().filter_map(|leaf| match &leaf.task {
                    Task::Text { answers, .. } => answers.last().map(|answer| format!("It is {}.", answer.to_uppercase())),
                    _ => None,
                }));
                for (leaf, answer) in leaves.iter().flat_map(|leaf| answers.iter().map(move |answer| (leaf, answer))) {
                    let could = Glance::of(answer).could_be_right(leaf);
                    kept += usize::from(!could);
                    if !could || leaf.id.ends_with('7') {
                        let graded = grade(leaf, &Answer { text: answer, truncated: false }, &identity).verdict;
                        right += usize::from(graded == Verdict::Correct);
                        assert!(could || graded != Verdict::Correct, "{}: {answer}", leaf.id);
                    }
                }
            }
        }
        assert!(right > 20 && kept > 300, "{right} {kept}");
    }
}
