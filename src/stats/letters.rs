//! Answers in letters without the preference for a letter.
//!
//! A model that always says B is right wherever B is, and one that moves from B to C is right elsewhere without having learned
//! anything. How often a model says a letter that is *not* right shows how it likes that letter; what it would score by
//! liking alone is taken off, and the rest put on a scale where liking alone is 0 and all right is 1, as Cohen's kappa does
//! with the agreement of two raters.
//!
//! Chosen over asking every question once for each rotation of its options: `tests/letters.rs` compares the two at equal cost,
//! and rotations see less as soon as a model errs now and then on what it knows.

/// The letter that was given, None for none, and the right one, None where it is not known; counted from 0.
pub type Lettered = (Option<usize>, Option<usize>);

/// What the liking for letters adds to each answer: 1 for a right one, less how often the model says this letter where
/// another is right. None where a letter that is right somewhere is right everywhere, or nothing was answered.
pub fn without_liking(answers: &[Lettered]) -> Option<Vec<f64>> {
    let letters = answers.iter().flat_map(|(given, right)| [*given, *right]).flatten().max()? + 1;
    let liking: Vec<Option<f64>> = (0..letters)
        .map(|letter| {
            let elsewhere: Vec<_> = answers.iter().filter(|(_, right)| right.is_some_and(|right| right != letter)).collect();
            let said = elsewhere.iter().filter(|(given, _)| *given == Some(letter)).count();
            (!elsewhere.is_empty()).then(|| said as f64 / elsewhere.len() as f64)
        })
        .collect();
    let known: Vec<f64> = answers.iter().filter_map(|(_, right)| liking[(*right)?]).collect();
    if known.is_empty() {
        return None;
    }
    // Where the right letter is not known, what liking earns on average.
    let average = known.iter().sum::<f64>() / known.len() as f64;
    let rest = |(given, right): &Lettered| {
        let earned = right.map_or(Some(average), |right| liking[right])?;
        Some(f64::from(u8::from(right.is_some() && given == right)) - earned)
    };
    answers.iter().map(rest).collect()
}

/// The share of right answers without what the liking for letters earns: 0 for liking alone, 1 for all right, below 0 for less
/// than that. None where [`without_liking`] is, or where liking alone is right everywhere.
pub fn score(answers: &[Lettered]) -> Option<f64> {
    let rest = without_liking(answers)?;
    let right = answers.iter().filter(|(given, right)| right.is_some() && given == right).count() as f64;
    let (sum, n) = (rest.iter().sum::<f64>(), answers.len() as f64);
    // Earned by liking: what is right less the rest.
    let possible = n - (right - sum);
    (possible > 1e-9).then(|| sum / possible)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(given: impl Fn(usize) -> Option<usize>) -> Vec<Lettered> {
        (0..40).map(|i| (given(i), Some(i % 4))).collect()
    }

    #[test]
    fn liking_alone_is_nothing_and_knowledge_is_all() {
        let close = |answers: &[Lettered], expected: f64| {
            let found = score(answers).unwrap();
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        };
        close(&asked(|_| Some(1)), 0.0);
        close(&asked(|i| Some(i % 4)), 1.0);
        close(&asked(|_| None), 0.0);
        // Every second question known, B where not: B's items are right either way.
        let half = asked(|i| Some(if i / 4 % 2 == 0 { i % 4 } else { 1 }));
        assert_eq!(half.iter().filter(|(given, right)| given == right).count(), 25);
        // B is said to 15 of the 30 items where it is wrong; the other letters never are.
        close(&half, (25.0 - 5.0) / (40.0 - 5.0));
    }

    #[test]
    fn a_table_worked_by_hand() {
        // Two letters, table given x right: AA 30, AB 10, BA 5, BB 15. Liking of A: 10 of 25, of B: 5 of 35.
        let table = [(0, 0, 30), (0, 1, 10), (1, 0, 5), (1, 1, 15)];
        let answers: Vec<Lettered> = table.iter().flat_map(|(given, right, n)| vec![(Some(*given), Some(*right)); *n]).collect();
        let earned = 35.0 * 10.0 / 25.0 + 25.0 * 5.0 / 35.0;
        assert!((score(&answers).unwrap() - (45.0 - earned) / (60.0 - earned)).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_told_apart_is_none() {
        assert_eq!(score(&[]), None);
        assert_eq!(score(&[(Some(1), Some(1)), (Some(0), Some(1))]), None, "B is right everywhere");
        assert_eq!(score(&[(None, None)]), None);
        let unknown = [asked(|_| Some(1)), vec![(None, None); 4]].concat();
        assert!(score(&unknown).unwrap() < 0.0, "what was not answered is not right");
    }
}
