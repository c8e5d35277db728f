//! Whatever is in a configuration file: it is read or it is told what is wrong with it. Under
//! `cargo test` the corpus beside this file is replayed, with a thousand random inputs.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use monoloop::config::{Effective, Sources};

fn load(path: &Path, text: &[u8]) -> Result<Effective, String> {
    std::fs::write(path, text).unwrap();
    let loaded = Sources::new().file(path).load();
    loaded.map_err(|error| error.to_string())
}

#[test]
fn a_file_is_read_or_refused_with_its_name_and_what_is_read_is_printed_to_be_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    bolero::check!(name = "config").for_each(|text: &[u8]| match load(&path, text) {
        Ok(read) => {
            let printed = read.to_string();
            let again = load(&path, printed.as_bytes()).expect("it was accepted before");
            assert_eq!(again.config, read.config, "{printed}");
        }
        Err(told) => {
            assert!(told.contains("server.toml"), "{told}");
            // It goes to a terminal, whatever was in the file.
            assert!(
                !told
                    .chars()
                    .any(|it| it.is_control() && it != '\n' && it != '\t'),
                "{told:?}"
            );
        }
    });
}
