//! The order of the code map holds: a stage uses earlier stages and tools, tools use tools, and within a stage no two concepts
//! use each other.
#![allow(clippy::unwrap_used, clippy::missing_docs_in_private_items, reason = "a failed unwrap is a failed test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// Files of one stage that use each other and are one concept all the same.
const TOGETHER: [(&str, &str, &str, &str); 2] = [
    ("report", "document", "table", "a table is a block of a document, and its cells are the document's text"),
    ("eval", "run", "whole", "answers to an item's parts become the item's answer while the run goes on"),
];

/// A file of the library: its path as a module, and the paths it uses, without tests.
struct Source {
    module: Vec<String>,
    uses: Vec<Vec<String>>,
}

impl Source {
    fn stage(&self) -> &str {
        &self.module[0]
    }
}

/// Text without comments and without the test module at its end.
fn code(text: &str) -> String {
    let tests = text.match_indices("#[cfg(test)]\n").find(|(at, _)| {
        let next = text[*at..].lines().nth(1).unwrap_or_default();
        next.contains("mod ") && next.ends_with('{')
    });
    let text = &text[..tests.map_or(text.len(), |(at, _)| at)];
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

/// Paths of a tree such as `a::{b, c::{d, e}}`.
fn paths(tree: &str) -> Vec<Vec<String>> {
    let (head, branches) = tree.split_once('{').map_or((tree, None), |(head, rest)| (head, rest.rsplit_once('}').map(|(inner, _)| inner)));
    let head: Vec<String> = head.split("::").map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect();
    let Some(branches) = branches else { return vec![head] };
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in branches.char_indices().chain([(branches.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let branch = branches[start..at].trim();
                found.extend(paths(branch).into_iter().filter(|_| !branch.is_empty()).map(|tail| [head.clone(), tail].concat()));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// What a module uses, as paths from the crate's root; a path in the middle of code counts as far as its first two names.
fn uses(module: &[String], is_folder: bool, code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("use ").filter(|(at, _)| *at == 0 || !code[..*at].ends_with(|c: char| c.is_alphanumeric())) {
        let tree = code[at + 4..].split(';').next().unwrap_or_default();
        for path in paths(tree) {
            let here = if is_folder { module } else { &module[..module.len() - 1] };
            let ups = path.iter().take_while(|part| *part == "super").count();
            match path[0].as_str() {
                "crate" => found.push(path[1..].to_vec()),
                // In a folder's own file, `super` is the folder's parent.
                "super" if is_folder && ups <= module.len() => found.push([&module[..module.len() - ups], &path[ups..]].concat()),
                "super" if !is_folder && ups <= here.len() + 1 => found.push([&here[..here.len() + 1 - ups], &path[ups..]].concat()),
                _ => {}
            }
        }
    }
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with("use ")) {
        let names = code[at + 7..].split("::").take(2);
        let names = names.map(|name| name.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>());
        found.push(names.take_while(|name| !name.is_empty()).collect());
    }
    found.retain(|path: &Vec<String>| !path.is_empty());
    found
}

fn sources(folder: &Path, module: &[String], into: &mut Vec<Source>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            sources(&path, &[module, std::slice::from_ref(&name)].concat(), into);
        } else if path.extension().is_some_and(|end| end == "rs") && !["tests", "lib", "main"].contains(&name.as_str()) {
            let is_folder = name == "mod";
            let module = if is_folder { module.to_vec() } else { [module, &[name]].concat() };
            let code = code(&fs::read_to_string(&path).unwrap());
            into.push(Source { uses: uses(&module, is_folder, &code), module });
        }
    }
}

fn library() -> Vec<Source> {
    let mut found = Vec::new();
    sources(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src"), &[], &mut found);
    assert!(found.len() > 200, "{} files", found.len());
    found
}

/// Modules of the code map with their places: one per row of the table of stages, and the tools before them all.
fn places() -> BTreeMap<String, usize> {
    let map = fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs")).unwrap();
    let rows = |table: &str| {
        let (_, rows) = map.split_once(&format!("//! | {table} |")).expect(table);
        let rows: Vec<String> = rows.lines().skip(2).take_while(|line| line.starts_with("//! |")).map(str::to_owned).collect();
        rows
    };
    let names = |row: &str| {
        let cell = row.split('|').nth(1).unwrap().to_owned();
        cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()
    };
    let tools = rows("tool").iter().flat_map(|row| names(row)).map(|name| (name, 0)).collect::<Vec<_>>();
    let stages = rows("stage")
        .iter()
        .enumerate()
        .flat_map(|(place, row)| names(row).into_iter().map(move |name| (name, place + 1)))
        .collect::<Vec<_>>();
    assert!(tools.len() > 5 && stages.len() > 10, "{tools:?} {stages:?}");
    tools.into_iter().chain(stages).collect()
}

#[test]
fn a_stage_uses_earlier_stages_and_tools_only() {
    let places = places();
    let mut wrong = BTreeSet::new();
    for source in library() {
        let here = places.get(source.stage()).unwrap_or_else(|| panic!("`{}` has no row in the code map of src/lib.rs", source.stage()));
        for used in &source.uses {
            // Other names at the root are items, such as macros.
            if places.get(&used[0]).is_some_and(|there| there > here) {
                wrong.insert(format!("{} uses {}", source.module.join("/"), used.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "these arrows point at later stages:\n{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}

#[test]
fn no_two_concepts_of_a_stage_use_each_other() {
    let library = library();
    let concepts: BTreeSet<(&str, &str)> =
        library.iter().filter(|source| source.module.len() > 1).map(|source| (source.stage(), source.module[1].as_str())).collect();
    let mut arrows: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for source in library.iter().filter(|source| source.module.len() > 1) {
        let here = (source.stage(), source.module[1].as_str());
        for used in source.uses.iter().filter(|used| used.len() > 1 && used[0] == here.0) {
            if let Some((_, there)) = concepts.get(&(here.0, used[1].as_str())).filter(|there| **there != here) {
                arrows.entry(here).or_default().insert(there);
            }
        }
    }
    for (stage, one, other, _) in TOGETHER {
        arrows.entry((stage, one)).or_default().remove(other);
    }
    let mut circles = BTreeSet::new();
    for (stage, from) in arrows.keys().copied() {
        let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
        while let Some(at) = open.pop() {
            for next in arrows.get(&(stage, at)).into_iter().flatten().filter(|next| seen.insert(**next)) {
                open.push(next);
            }
        }
        if seen.contains(from) {
            circles.insert(format!("{stage}/{from}, which reaches itself through {seen:?}"));
        }
    }
    assert!(circles.is_empty(), "{circles:#?}");
}

#[test]
fn arrows_are_read_as_the_compiler_reads_them() {
    let module = |path: &str| path.split('/').map(str::to_owned).collect::<Vec<_>>();
    let read = |path: &str, is_folder: bool, text: &str| {
        uses(&module(path), is_folder, &code(text)).iter().map(|path| path.join("::")).collect::<Vec<_>>()
    };
    let text = "//! use crate::no;\npub use super::{b::{c, d}, e};\nuse crate::x::y;\nfn f() { crate::p::q(); }\n#[cfg(test)]\nmod tests {\n    use crate::z;\n}\n";
    assert_eq!(read("s/a", false, text), ["s::b::c", "s::b::d", "s::e", "x::y", "p::q"]);
    assert_eq!(read("s/a", true, "use super::b;\nuse super::super::t::u;"), ["s::b", "t::u"]);
    assert_eq!(read("s/a/deep", false, "use super::super::b;\nuse super::c;"), ["s::b", "s::a::c"]);
}
