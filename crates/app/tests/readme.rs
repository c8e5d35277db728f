//! What the README names is there: files, functions, examples.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::path::{Path, PathBuf};

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn what_the_readme_says_is_somewhere_is_there() {
    let (root, readme) = (root(), readme());
    let mut checked = 0;
    for row in readme.lines().filter(|line| line.contains(".rs` `")) {
        let mut quoted = row.split('`').skip(1).step_by(2);
        let (file, name) = (quoted.next().unwrap(), quoted.next().unwrap());
        let source = std::fs::read_to_string(root.join(file))
            .unwrap_or_else(|error| panic!("README names {file}: {error}"));
        let defined = ["fn ", "struct ", "enum "]
            .iter()
            .any(|keyword| source.contains(&format!("{keyword}{name}")));
        assert!(defined, "README says that {file} has `{name}`");
        checked += 1;
    }
    assert!(checked >= 10, "the table was found");
}

#[test]
fn files_that_the_readme_links_to_or_quotes_are_there() {
    let readme = readme();
    let linked = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'));
    let linked = linked
        .map(|(target, _)| target)
        .filter(|target| !target.contains("://"));
    let is_place = |word: &&str| {
        let folders = ["crates/", "config/", "loadtest/", "examples/", ".ci/"];
        folders.iter().any(|folder| word.starts_with(folder)) && !word.contains(':')
    };
    let words = readme.split([' ', '`', '\n']).filter(is_place);
    let mut checked = 0;
    for path in linked.chain(words.filter(|word| !word.contains("]("))) {
        assert!(root().join(path).exists(), "README names {path}");
        checked += 1;
    }
    assert!(checked >= 20, "links and paths were found");
}

#[test]
fn examples_that_the_readme_runs_are_there() {
    let readme = readme();
    let mut words = readme.split_whitespace();
    let mut checked = 0;
    while words.any(|word| word == "--example") {
        let name = words.next().unwrap();
        let places = ["examples", "crates/runtime/examples"];
        let file = |place: &str| root().join(place).join(format!("{name}.rs"));
        assert!(
            places.iter().any(|place| file(place).exists()),
            "README runs the example {name}"
        );
        checked += 1;
    }
    assert!(checked >= 8, "examples were found");
}
