//! What a server owes its peers by RFC 9110 and RFC 9112, byte for byte: tables of what is sent and
//! what has to come back. Each case is sent at once and in pieces, to a server that is up.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "../server_common/mod.rs"]
mod server_common;

mod answers;
mod chunk;
mod field;
mod framing;
mod host;
mod limit;
mod message;
mod method;
mod request_line;
mod run;
mod target;

use std::path::Path;

use run::{
    Case, check, in_chunked, in_coding, in_field, in_host, in_length, in_line, in_request,
    in_trailer,
};

/// Long enough that a table that went missing would be noticed.
const CASES_MIN: usize = 500;

fn tables() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("request line", in_line(request_line::LINES)),
        ("start of a head", in_request(request_line::HEADS)),
        ("method", in_request(method::REQUESTS)),
        ("target", in_line(target::LINES)),
        ("target seen", in_request(target::SEEN)),
        ("host", in_host(host::VALUES)),
        ("host in a request", in_request(host::REQUESTS)),
        ("field", in_field(field::LINES)),
        ("connection", in_request(field::REQUESTS)),
        ("length", in_length(framing::LENGTHS)),
        ("coding", in_coding(framing::CODINGS)),
        ("framing", in_request(framing::REQUESTS)),
        ("chunk", in_chunked(chunk::BODIES)),
        ("trailer", in_trailer(chunk::TRAILERS)),
        ("message", in_request(message::REQUESTS)),
        ("limit", limit::cases()),
    ]
}

fn table(name: &str) -> Vec<Case> {
    let found = tables().into_iter().find(|(known, _)| *known == name);
    found.expect("one of the tables").1
}

/// A row of the guide ends with the tests that hold it: a file, then names in it.
#[test]
fn each_rule_of_the_guide_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("src/guide/http.md")).unwrap();
    let mut rows = 0;
    for row in table.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let held_by = row.trim_end_matches(" |").rsplit("| ").next().unwrap();
        let (mut source, mut checked) = (None, 0);
        for quoted in held_by.split('`').skip(1).step_by(2) {
            if quoted.ends_with(".rs") {
                let text = std::fs::read_to_string(root.join(quoted));
                source = Some(text.unwrap_or_else(|error| panic!("{quoted}: {error}")));
            } else {
                let source = source.as_ref().expect("a file comes first");
                // One of a table of tests has its table's name behind it.
                let is_there = source.contains(&format!("fn {quoted}("))
                    || source.contains(&format!("    {quoted}: \""));
                assert!(is_there, "no test {quoted}: {row}");
                checked += 1;
            }
        }
        assert!(checked > 0, "nothing holds {row}");
        rows += 1;
    }
    assert!(rows >= 45, "{rows} rows");
}

macro_rules! tables_hold {
    ($($test:ident: $name:literal;)+) => {
        $(#[test]
        fn $test() {
            check(&table($name));
        })+

        #[test]
        fn every_table_is_checked_and_names_its_cases_apart() {
            let checked = [$($name),+];
            let mut names = Vec::new();
            for (name, cases) in tables() {
                assert!(checked.contains(&name), "{name}");
                assert!(!cases.is_empty(), "{name}");
                names.extend(cases.into_iter().map(|case| (name, case.name)));
            }
            assert!(names.len() >= CASES_MIN, "{} cases", names.len());
            names.sort();
            for pair in names.windows(2) {
                assert_ne!(pair[0], pair[1]);
            }
        }
    };
}

tables_hold! {
    a_request_line_is_a_method_a_target_and_a_version: "request line";
    a_head_begins_with_its_request_line: "start of a head";
    each_method_is_answered_as_what_it_is: "method";
    a_target_has_the_form_of_its_method: "target";
    a_target_in_absolute_form_overrides_the_host: "target seen";
    a_host_is_one_of_the_grammar: "host";
    there_is_one_host: "host in a request";
    a_field_is_a_name_a_colon_and_a_value: "field";
    a_connection_is_kept_or_closed_as_it_is_asked_for: "connection";
    a_length_is_one_decimal_number: "length";
    chunked_is_the_only_coding: "coding";
    a_message_has_one_framing: "framing";
    a_chunk_is_a_size_and_as_many_bytes: "chunk";
    trailers_are_fields_that_decide_nothing: "trailer";
    a_request_ends_where_it_says_and_the_next_begins_there: "message";
    each_limit_is_where_it_says: "limit";
}
