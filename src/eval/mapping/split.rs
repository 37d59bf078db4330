//! Which files of a folder or repository hold the questions that are asked.
//!
//! Benchmarks are published with their splits side by side, told apart by folder (`test/anatomy.csv`,
//! `anatomy/test-00000-of-00001.parquet`) or by file name (`anatomy_test.csv`), and some in several configurations of
//! the same questions. Taking all of it would ask questions that serve as examples elsewhere, and others twice.

use anyhow::{Result, bail, ensure};

use super::table::{FORMATS, format_of};

/// Names that splits go by.
const SPLITS: [&str; 8] = ["test", "dev", "val", "validation", "valid", "train", "auxiliary_train", "prompt"];

/// The readable files among `names` (paths with `/`) that belong to a split, in order of their names; of several
/// configurations the one called `config`. Where no name mentions any split, all are taken.
pub(super) fn choose(names: &[String], split: &str, config: Option<&str>) -> Result<Vec<String>> {
    let mut readable: Vec<&String> = names.iter().filter(|name| format_of(name).is_some() && !is_note(name)).collect();
    readable.sort();
    ensure!(!readable.is_empty(), "there is no file ending in {}", FORMATS.join(", "));
    let marked = readable.iter().any(|name| split_of(name).is_some());
    let mut chosen: Vec<&String> = readable.iter().copied().filter(|name| !marked || split_of(name) == Some(split)).collect();
    if chosen.is_empty() {
        let mut others: Vec<&str> = readable.iter().filter_map(|name| split_of(name)).collect();
        others.sort_unstable();
        others.dedup();
        bail!("there is no file of the {split} split, only of {}: name a file or folder to use another", others.join(", "));
    }
    let in_config = |name: &&String| name.split('/').rev().skip(1).any(|folder| Some(folder) == config);
    if chosen.iter().any(in_config) {
        chosen.retain(in_config);
    }
    Ok(chosen.into_iter().cloned().collect())
}

/// The split that a path names: in the file's name, or else the nearest folder called like one.
pub(super) fn split_of(name: &str) -> Option<&'static str> {
    let (folders, file) = name.rsplit_once('/').unwrap_or(("", name));
    let stem = stem(file);
    let in_file = SPLITS.iter().copied().find(|split| stem == *split || is_shard(stem, split) || without(stem, split).is_some());
    in_file.or_else(|| folders.rsplit('/').find_map(|folder| SPLITS.iter().copied().find(|split| *split == folder)))
}

/// What a path says the questions are about: the file's name without its split, or the folder where that is all of it.
pub(super) fn subject_of(name: &str) -> Option<String> {
    let (folders, file) = name.rsplit_once('/').unwrap_or(("", name));
    let stem = stem(file);
    if !SPLITS.iter().any(|split| stem == *split || is_shard(stem, split)) {
        return Some(SPLITS.iter().find_map(|split| without(stem, split)).unwrap_or(stem).to_owned());
    }
    folders.rsplit('/').find(|folder| !folder.is_empty() && !SPLITS.contains(folder) && *folder != "data").map(str::to_owned)
}

/// Files of the hub's library that stand beside the data and hold none.
fn is_note(name: &str) -> bool {
    const NOTES: [&str; 4] = ["dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json"];
    NOTES.contains(&name.rsplit('/').next().unwrap_or(name))
}

/// `test-00000-of-00001`
fn is_shard(stem: &str, split: &str) -> bool {
    stem.strip_prefix(split).is_some_and(|rest| rest.starts_with('-'))
}

/// `anatomy` of `anatomy_test`.
fn without<'a>(stem: &'a str, split: &str) -> Option<&'a str> {
    stem.strip_suffix(split)?.strip_suffix(['-', '_']).filter(|rest| !rest.is_empty())
}

fn stem(file: &str) -> &str {
    let ending = format_of(file).map_or(0, str::len);
    file.get(..file.len() - ending).unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::{choose, split_of, subject_of};

    fn chosen(names: &[&str]) -> Result<Vec<String>, String> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        choose(&names, "test", Some("all")).map_err(|error| error.to_string())
    }

    #[test]
    fn the_split_is_found_in_folders_and_names() {
        for (name, split, subject) in [
            ("test/anatomy.csv", Some("test"), Some("anatomy")),
            ("dev/anatomy_dev.csv", Some("dev"), Some("anatomy")),
            ("anatomy_val.csv", Some("val"), Some("anatomy")),
            ("anatomy/test-00000-of-00001.parquet", Some("test"), Some("anatomy")),
            ("all/auxiliary_train-00000-of-00001.parquet", Some("auxiliary_train"), Some("all")),
            ("auxiliary_train/train-00000-of-00001.parquet", Some("train"), None),
            ("mbpp_test.jsonl", Some("test"), Some("mbpp")),
            ("test.jsonl", Some("test"), None),
            ("data/test-00000-of-00001.parquet", Some("test"), None),
            ("HumanEval.jsonl.gz", None, Some("HumanEval")),
            ("bbh/word_sorting.json", None, Some("word_sorting")),
            ("high_school_us_history.csv", None, Some("high_school_us_history")),
        ] {
            assert_eq!((split_of(name), subject_of(name).as_deref()), (split, subject), "{name}");
        }
    }

    #[test]
    fn one_split_of_one_configuration_is_taken() {
        assert_eq!(chosen(&["b.csv", "a.csv", "README.md"]).unwrap(), ["a.csv", "b.csv"]);
        assert_eq!(chosen(&["test/b.csv", "dev/b.csv", "notes.csv"]).unwrap(), ["test/b.csv"]);
        assert_eq!(
            chosen(&["all/test-0.parquet", "anatomy/test-0.parquet", "all/dev-0.parquet"]).unwrap(),
            ["all/test-0.parquet"],
            "the same questions once"
        );
        assert_eq!(chosen(&["x/test-0.parquet", "y/test-0.parquet"]).unwrap().len(), 2);
        assert_eq!(chosen(&["rows.json", "dataset_infos.json"]).unwrap(), ["rows.json"]);
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(chosen(&["a.zip"]).unwrap_err().contains("no file ending in .csv, .tsv, .jsonl, .jsonl.gz, .json, .parquet"));
        assert!(chosen(&["a_dev.csv", "a_val.csv"]).unwrap_err().contains("no file of the test split, only of dev, val"));
    }
}
