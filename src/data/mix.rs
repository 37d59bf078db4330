//! Draws rows from sources and orders them: pure, and the same for the same seed on every machine.
//!
//! The counts follow ms-swift's `path#N`: up to the number of rows, N of them at random; above it, the whole set
//! again and again, then the rest at random. The random numbers do not. ms-swift hands one `RandomState` through
//! all sources in command-line order, so that adding, moving or resizing one source changes which rows every later
//! one gives, and two variants that should differ in one source differ in all. Here each source has a stream of its
//! own, derived from the seed and its label: `alpaca-zh#500` is the same 500 rows in every mixture, and the first
//! 500 of `alpaca-zh#800`.

use std::fmt;

use anyhow::{Context, Result, ensure};
use rand_chacha::rand_core::RngCore;

use crate::random::{RowStream, shuffle_in_place};

/// A data source as written in a mixture: `path`, or `path#N` for N rows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSpec {
    /// The source's name: what was written before the `#`. Names its random stream and its rows' origin, so a path
    /// that is resolved later must not replace it: the same experiment elsewhere would draw other rows.
    pub label: String,
    /// Where the rows are.
    pub path: String,
    /// How many rows to draw; every row once, in file order, when absent.
    pub count: Option<usize>,
}

impl SourceSpec {
    /// Reads `path` or `path#N`. A `#` can be part of a file's name: where the whole text is a path that `exists`, there is
    /// no count.
    pub fn parse(text: &str, exists: impl Fn(&str) -> bool) -> Result<Self> {
        let (path, count) = match text.rsplit_once('#') {
            Some((path, count)) if !exists(text) => (path, Some(parse_count(count).with_context(|| format!("bad source `{text}`"))?)),
            _ => (text, None),
        };
        ensure!(!path.trim().is_empty(), "bad source `{text}`: expected a path, or path#N for N rows of it");
        Ok(Self { label: path.to_owned(), path: path.to_owned(), count })
    }
}

fn parse_count(text: &str) -> Result<usize> {
    let count = text.parse().with_context(|| format!("expected a number of rows after `#`, or a file of that name; found `{text}`"))?;
    ensure!(count > 0, "0 rows; leave the source out instead");
    Ok(count)
}

impl fmt::Display for SourceSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        self.count.map_or(Ok(()), |count| write!(f, "#{count}"))
    }
}

/// Draws `count` rows of the source called `label`; all rows in file order without a count.
pub fn sample<T: Clone>(rows: Vec<T>, count: Option<usize>, seed: u64, label: &str) -> Result<Vec<T>> {
    let Some(count) = count else { return Ok(rows) };
    ensure!(count == 0 || !rows.is_empty(), "cannot draw {count} rows from `{label}`: it has none");
    Ok(sample_indices(rows.len(), count, seed, label).into_iter().map(|index| rows[index].clone()).collect())
}

/// The indices that [`sample`] takes, below `len`. Empty when `len` is 0.
pub fn sample_indices(len: usize, count: usize, seed: u64, label: &str) -> Vec<usize> {
    if len == 0 {
        return Vec::new();
    }
    let permuted = permutation(len, &mut RowStream::Source { label }.start(seed));
    if count <= len {
        return permuted.into_iter().take(count).collect();
    }
    let tiles = (0..count / len).flat_map(|_| 0..len);
    tiles.chain(permuted.into_iter().take(count % len)).collect()
}

/// The order in which one epoch, counted from 0, visits `len` rows.
pub fn epoch_order(len: usize, seed: u64, epoch: usize) -> Vec<usize> {
    permutation(len, &mut RowStream::Epoch { epoch }.start(seed))
}

fn permutation(len: usize, rng: &mut impl RngCore) -> Vec<usize> {
    let mut indices: Vec<usize> = (0..len).collect();
    shuffle_in_place(&mut indices, rng);
    indices
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{below, shuffle};
    use proptest::prelude::*;

    /// Checked against ChaCha8, Lemire's draw and Fisher-Yates written from their papers in Python, on the standard
    /// library alone. A change here changes every training run: bump the stream's version string with it.
    #[test]
    fn the_order_of_rows_never_changes() {
        assert_eq!(sample_indices(10, 10, 42, "alpaca-zh"), [9, 2, 8, 5, 0, 3, 7, 1, 4, 6]);
        assert_eq!(shuffle((0..10).collect(), 42), [5, 4, 1, 0, 3, 9, 7, 6, 2, 8]);
        assert_eq!(epoch_order(10, 42, 0), [0, 6, 2, 4, 5, 8, 3, 1, 7, 9]);
        assert_eq!(epoch_order(10, 42, 1), [7, 1, 3, 9, 5, 4, 2, 0, 8, 6]);
        assert_eq!(epoch_order(1000, 42, 1)[..10], [890, 850, 604, 770, 489, 240, 508, 63, 93, 577]);
    }

    #[test]
    fn without_a_count_rows_keep_their_order() -> Result<()> {
        assert_eq!(sample(vec!['a', 'b', 'c'], None, 7, "x")?, ['a', 'b', 'c']);
        Ok(())
    }

    #[test]
    fn nothing_can_be_drawn_from_nothing() {
        let error = sample(Vec::<u8>::new(), Some(3), 7, "x").expect_err("there are no rows");
        assert_eq!(error.to_string(), "cannot draw 3 rows from `x`: it has none");
    }

    #[test]
    fn sources_with_other_labels_draw_apart() {
        assert_ne!(sample_indices(100, 100, 42, "a"), sample_indices(100, 100, 42, "b"));
        assert_ne!(sample_indices(100, 100, 42, "a"), sample_indices(100, 100, 43, "a"));
        assert_ne!(epoch_order(100, 42, 0), shuffle((0..100).collect(), 42));
    }

    /// Every order of three rows is equally likely: 6000 draws, 1000 each, within five standard deviations.
    #[test]
    fn orders_are_uniform() {
        let mut seen = std::collections::BTreeMap::new();
        for seed in 0..6000 {
            *seen.entry(shuffle(vec![0, 1, 2], seed)).or_insert(0_i32) += 1;
        }
        assert_eq!(seen.len(), 6);
        assert!(seen.values().all(|count| (count - 1000).abs() < 145), "{seen:?}");
    }

    #[test]
    fn specs_read_and_write() -> Result<()> {
        for (text, path, count) in [
            ("data/zh.json#500", "data/zh.json", Some(500)),
            ("data/zh.json", "data/zh.json", None),
            ("c#/rows.csv#12", "c#/rows.csv", Some(12)),
            ("here/#1 set.json", "here/#1 set.json", None),
            ("here/zh.json#5", "here/zh.json#5", None),
            ("here/zh.json#5#6", "here/zh.json#5", Some(6)),
        ] {
            let spec = SourceSpec::parse(text, |path| ["here/#1 set.json", "here/zh.json#5"].contains(&path))?;
            assert_eq!((spec.label.as_str(), spec.path.as_str(), spec.count), (path, path, count));
            assert_eq!(spec.to_string(), text);
        }
        Ok(())
    }

    #[test]
    fn bad_specs_say_what_was_expected() {
        for (text, expected) in [
            ("zh.json#many", "bad source `zh.json#many`: expected a number of rows after `#`, or a file of that name; found `many`"),
            ("zh.json#", "expected a number of rows after `#`, or a file of that name; found ``"),
            ("zh.json#-3", "expected a number of rows"),
            ("zh.json#0", "0 rows; leave the source out instead"),
            ("#5", "expected a path"),
            ("", "expected a path"),
        ] {
            let error = format!("{:#}", SourceSpec::parse(text, |_| false).expect_err("the spec is bad"));
            assert!(error.contains(expected), "{error:?} should hold {expected:?}");
        }
    }

    fn times_each(indices: &[usize], len: usize) -> Vec<usize> {
        let mut times = vec![0; len];
        for &index in indices {
            times[index] += 1;
        }
        times
    }

    proptest! {
        #[test]
        fn an_epoch_visits_each_row_once(len in 0_usize..300, seed: u64, epoch in 0_usize..20) {
            prop_assert_eq!(times_each(&epoch_order(len, seed, epoch), len), vec![1; len]);
        }

        #[test]
        fn shuffling_keeps_the_rows(rows: Vec<u8>, seed: u64) {
            let (mut before, mut after) = (rows.clone(), shuffle(rows, seed));
            before.sort_unstable();
            after.sort_unstable();
            prop_assert_eq!(before, after);
        }

        #[test]
        fn tiles_are_exact(len in 1_usize..60, count in 0_usize..300, seed: u64) {
            let indices = sample_indices(len, count, seed, "x");
            prop_assert_eq!(indices.len(), count);
            let whole = count / len;
            prop_assert!(times_each(&indices, len).iter().all(|&times| times == whole || times == whole + 1));
            if count > len {
                prop_assert!(indices[..whole * len].iter().enumerate().all(|(place, &index)| index == place % len));
            }
        }

        #[test]
        fn a_smaller_sample_starts_a_larger_one(len in 1_usize..60, seed: u64) {
            let all = sample_indices(len, len, seed, "x");
            let half = sample_indices(len, len / 2, seed, "x");
            prop_assert_eq!(&all[..len / 2], &half[..]);
        }

        #[test]
        fn draws_stay_below_the_bound(bound in 1_u64.., seed: u64) {
            prop_assert!(below(bound, &mut RowStream::Mixture.start(seed)) < bound);
        }
    }
}
