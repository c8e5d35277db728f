//! The line that replays a seed, and the variables that it sets.

use std::env::{self, VarError};
use std::ops::Range;
use std::thread;

const SEED: &str = "MONOLOOP_SIM_SEED";
const SEEDS: &str = "MONOLOOP_SIM_SEEDS";

/// The one seed that the environment asks for.
pub(crate) fn seed_asked_for() -> Option<u64> {
    let text = variable(SEED)?;
    let seed = text.parse();
    Some(seed.unwrap_or_else(|_| panic!("{SEED} is a number, not {text:?}")))
}

/// The seeds that the environment asks for.
pub(crate) fn seeds_asked_for() -> Option<Range<u64>> {
    let text = variable(SEEDS)?;
    let range = parse_range(&text);
    Some(range.unwrap_or_else(|| panic!("{SEEDS} is a range like 1000..2000, not {text:?}")))
}

fn parse_range(text: &str) -> Option<Range<u64>> {
    let (first, end) = text.split_once("..")?;
    Some(first.parse().ok()?..end.parse().ok()?)
}

fn variable(name: &str) -> Option<String> {
    match env::var(name) {
        Ok(text) => Some(text),
        Err(VarError::NotPresent) => None,
        Err(VarError::NotUnicode(_)) => panic!("{name} is not text"),
    }
}

/// What to type to see a seed fail again. Test threads are named after their tests, and cargo
/// tells a test which package it is of.
pub(crate) fn line(seed: u64) -> String {
    let package = env::var("CARGO_PKG_NAME").ok();
    let thread = thread::current();
    line_for(seed, package.as_deref(), thread.name())
}

fn line_for(seed: u64, package: Option<&str>, thread: Option<&str>) -> String {
    let package = package.map(|package| format!(" -p {package}"));
    // With one test thread it is the main one.
    let test = thread.filter(|name| *name != "main");
    let test = test.map(|name| format!(" {name}"));
    format!(
        "{SEED}={seed} cargo test{}{}",
        package.unwrap_or_default(),
        test.unwrap_or_default()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_names_the_package_and_the_test_when_they_are_known() {
        assert_eq!(
            line_for(7, Some("shop"), Some("orders::none_is_lost")),
            "MONOLOOP_SIM_SEED=7 cargo test -p shop orders::none_is_lost"
        );
        assert_eq!(
            line_for(7, None, Some("main")),
            "MONOLOOP_SIM_SEED=7 cargo test"
        );
    }

    #[test]
    fn a_range_of_seeds_is_two_numbers() {
        assert_eq!(parse_range("10..20"), Some(10..20));
        for bad in ["", "10", "10..", "..20", "a..b", "10..=20"] {
            assert_eq!(parse_range(bad), None, "{bad:?}");
        }
    }
}
