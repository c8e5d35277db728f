//! Requests that are refused, and with which status.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;

use monoloop_proto::http1::Limits;
use support::{check, check_with};

/// Refused as `error` when it is the request line, with a whole head behind it.
#[track_caller]
fn check_line(line: impl AsRef<[u8]>, error: &str) {
    let mut input = line.as_ref().to_vec();
    input.extend_from_slice(b"\r\nHost: a\r\n\r\n");
    check(input, error);
}

/// Refused as `error` when these lines follow `Host`.
#[track_caller]
fn check_fields(fields: impl AsRef<[u8]>, error: &str) {
    let mut input = b"POST / HTTP/1.1\r\nHost: a\r\n".to_vec();
    input.extend_from_slice(fields.as_ref());
    input.extend_from_slice(b"\r\n\r\n");
    check(input, error);
}

/// Refused as `error` when it is the body of a chunked request, of which `body` was decoded.
#[track_caller]
fn check_chunks(chunks: impl AsRef<[u8]>, body: &str, error: &str) {
    let mut input = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    input.extend_from_slice(chunks.as_ref());
    check(input, &format!("POST / chunked | {body}{error}"));
}

#[test]
fn malformed_request_lines() {
    for line in [
        "GET",
        "GET ",
        "GET /",
        "GET / ",
        "GET  / HTTP/1.1",
        "GET /  HTTP/1.1",
        "GET / HTTP/1.1 ",
        " GET / HTTP/1.1",
        "GET\t/ HTTP/1.1",
        "GET /\tHTTP/1.1",
        "GET / a HTTP/1.1",
        "GET HTTP/1.1",
        "/ HTTP/1.1",
        "G@T / HTTP/1.1",
        "G(T / HTTP/1.1",
        "\"GET\" / HTTP/1.1",
        "GET / http/1.1",
        "GET / HTTP/1",
        "GET / HTTP/1.",
        "GET / HTTP/.1",
        "GET / HTTP/11.1",
        "GET / HTTP/1.10",
        "GET / HTTP/1.21",
        "GET / HTTP/1.2 ",
        "GET /HTTP/1.2",
        "HTTP/1.2",
        "GET  / HTTP/1.2",
        "GET / a HTTP/1.2",
        "GET / http/1.2",
        "GET / HTTP/1.:",
        "GET / HTTP/1./",
        "GET / HTTP/01.1",
        "GET / HTTP/2",
        "GET / HTTP /1.1",
        "GET / HTTP/1.1x",
        "GET / HTTPS/1.1",
        "GET / HTTP/a.b",
        "GET / HTTP-1.1",
        "GET / HTTP/1,1",
        "GET /\0 HTTP/1.1",
        "GET /\u{7f} HTTP/1.1",
        "GET /\r HTTP/1.1",
        "GET / HTTP/1.1\r",
        "\0GET / HTTP/1.1",
        "GET / HTTP/-1.1",
        "GET / HTTP/+1.1",
    ] {
        check_line(line, "error RequestLine -> Some(400)");
    }
}

#[test]
fn noise_is_refused_at_its_first_byte() {
    check(
        b"\x16\x03\x01\x02\x00\x01",
        "error RequestLine -> Some(400)",
    );
    check(b"\xff", "error RequestLine -> Some(400)");
    check("\rGET", "error RequestLine -> Some(400)");
    check(" ", "error RequestLine -> Some(400)");
}

#[test]
fn a_malformed_request_line_is_refused_before_the_fields_come() {
    check("GET /\r\n", "error RequestLine -> Some(400)");
    check("GET / HTTP/3.0\r\n", "error Version -> Some(505)");
    check("GET nowhere HTTP/1.1\r\nHo", "error Target -> Some(400)");
}

#[test]
fn a_fault_of_the_request_line_is_told_before_those_behind_it() {
    check(
        "GET / HTTP/3.0\r\nHost: a\n\r\n",
        "error Version -> Some(505)",
    );
    check(
        "GET /# HTTP/1.1\r\nHost : a\r\n\r\n",
        "error Target -> Some(400)",
    );
    check("GET /# HTTP/1.1\r\n\r\n", "error Target -> Some(400)");
}

#[test]
fn versions_that_are_not_spoken() {
    for version in ["2.0", "3.0", "0.9", "2.1", "9.9", "0.0"] {
        check_line(
            format!("GET / HTTP/{version}"),
            "error Version -> Some(505)",
        );
    }
    check(
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "error Version -> Some(505)",
    );
}

#[test]
fn a_higher_minor_version_is_no_excuse() {
    check_line("GET * HTTP/1.2", "error Target -> Some(400)");
    check("GET / HTTP/1.2\r\n\r\n", "error HostMissing -> Some(400)");
    check(
        "GET / HTTP/1.2\nHost: a\r\n\r\n",
        "error BareLineFeed -> Some(400)",
    );
    check(
        "GET / HTTP/1.2\r\nHost : a\r\n\r\n",
        "error Field -> Some(400)",
    );
    check_with(
        small(),
        "GET /23456789012345678901 HTTP/1.2\r\n\r\n",
        "error TargetTooLong { limit: 20 } -> Some(414)",
    );
}

#[test]
fn targets_in_no_form_their_method_allows() {
    for line in [
        "GET * HTTP/1.1",
        "GET a HTTP/1.1",
        "GET a/b HTTP/1.1",
        "GET example.com:80 HTTP/1.1",
        "GET ?a HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a\"b HTTP/1.1",
        "GET /<a> HTTP/1.1",
        "GET /a\\b HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET /% HTTP/1.1",
        "GET /%zz HTTP/1.1",
        "GET /a%2?b HTTP/1.1",
        "GET http:// HTTP/1.1",
        "GET http:///a HTTP/1.1",
        "GET http://u@a/ HTTP/1.1",
        "GET ftp://a/ HTTP/1.1",
        "GET http://a:99999/ HTTP/1.1",
        "GET http://a\\b/ HTTP/1.1",
        "OPTIONS ** HTTP/1.1",
        "CONNECT / HTTP/1.1",
        "CONNECT a HTTP/1.1",
        "CONNECT a: HTTP/1.1",
        "CONNECT :80 HTTP/1.1",
        "CONNECT http://a:80/ HTTP/1.1",
        "CONNECT u@a:80 HTTP/1.1",
    ] {
        check_line(line, "error Target -> Some(400)");
    }
    // Not even UTF-8, and refused a layer below.
    check_line(b"GET /\xff HTTP/1.1", "error RequestLine -> Some(400)");
}

#[test]
fn bare_line_feeds() {
    for head in [
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\nb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX:\nY: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \nY: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\n\n",
        "GET / HTTP/1.0\n\r\n",
        "GET / HTTP/1.0\r\n\n",
        "GET / HTTP/1.0\n\n",
        "\r\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ] {
        check(head, "error BareLineFeed -> Some(400)");
    }
}

#[test]
fn malformed_fields() {
    for field in [
        "X : a",
        "X\t: a",
        " X: a",
        "\tX: a",
        ": a",
        "X",
        "X a",
        "X\0: a",
        "X\u{7f}: a",
        "X\u{e9}: a",
        "X(: a",
        "X@Y: a",
        "\"X\": a",
        "X/Y: a",
        "X[]: a",
        "X: a\r\n folded",
        "X: a\r\n\tfolded",
        "X:\r\n folded",
        "X: a\r\n ",
        "X: a\0b",
        "X: a\u{1}b",
        "X: a\u{7f}",
        "X: a\u{b}b",
        "X: a\u{c}b",
        "X: a\u{1b}[0m",
        "X: a\rb",
        "X: \ra",
        "X: a\r\rb",
        "X\r: a",
        "\rX: a",
        "X: a\r",
        "X;Y: a",
        "X,Y: a",
        "X{}: a",
    ] {
        check_fields(field, "error Field -> Some(400)");
    }
}

#[test]
fn a_bare_carriage_return_does_not_hide_the_end_of_a_head_or_of_trailers() {
    for head in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\rX",
    ] {
        check(head, "error Field -> Some(400)");
    }
    check("GET /\r ", "error RequestLine -> Some(400)");
    check("GET / HTTP/1.1\r\r", "error RequestLine -> Some(400)");
    check_chunks("0\r\n\r\r\n", "", "error Field -> Some(400)");
    check_chunks("0\r\nX: y\rZ", "", "error Field -> Some(400)");
}

#[test]
fn a_folded_first_field_is_refused() {
    check(
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "error Field -> Some(400)",
    );
    check(
        "GET / HTTP/1.1\r\n\tHost: a\r\nHost: a\r\n\r\n",
        "error Field -> Some(400)",
    );
}

#[test]
fn hosts_that_are_missing_repeated_or_none() {
    check("GET / HTTP/1.1\r\n\r\n", "error HostMissing -> Some(400)");
    check(
        "GET http://a/ HTTP/1.1\r\n\r\n",
        "error HostMissing -> Some(400)",
    );
    check(
        "GET / HTTP/1.1\r\nHosts: a\r\n\r\n",
        "error HostMissing -> Some(400)",
    );
    check_fields("Host: a", "error HostRepeated -> Some(400)");
    check_fields("HOST:", "error HostRepeated -> Some(400)");
    check(
        "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
        "error HostRepeated -> Some(400)",
    );
    for host in [
        "a b",
        "a/b",
        "u@a",
        "a:b",
        "a:80:80",
        "a:65536",
        "[::1",
        "::1",
        "[::1]x",
        "a#b",
        "a?b",
        "http://a",
        "a\\b",
        "a%",
        "a%zz",
        "a,\tb",
        "<a>",
        "a|b",
        "a:-1",
        "a:+1",
        "\u{e9}",
        "[]",
        "[fe80::1%25lo]",
    ] {
        check(
            format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n"),
            "error Host -> Some(400)",
        );
    }
}

#[test]
fn lengths_that_are_no_numbers_or_do_not_agree() {
    for length in [
        "",
        "+5",
        "-5",
        "-0",
        "0x5",
        "5 5",
        "5.0",
        "5e1",
        "five",
        "5;",
        "18446744073709551616",
        "99999999999999999999999",
        "5,",
        ",5",
        "5,6",
        "5, 6",
        "\"5\"",
        "5_0",
        "0b1",
        "\u{ff15}",
    ] {
        check_fields(
            format!("Content-Length: {length}"),
            "error ContentLength -> Some(400)",
        );
    }
    check_fields(
        "Content-Length: 5\r\nContent-Length: 6",
        "error ContentLength -> Some(400)",
    );
    check_fields(
        "Content-Length: 5\r\nCONTENT-LENGTH:",
        "error ContentLength -> Some(400)",
    );
}

#[test]
fn length_with_encoding_is_refused() {
    for fields in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Transfer-Encoding: chunked\r\nX: y\r\ncontent-length: 0",
        "Transfer-Encoding: gzip\r\nContent-Length: 5",
    ] {
        check_fields(fields, "error AmbiguousFraming -> Some(400)");
    }
}

#[test]
fn encodings_that_do_not_end_in_one_chunked() {
    for coding in [
        "",
        "gzip",
        "identity",
        "chunked, gzip",
        "chunked, identity",
        "chunked, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "xchunked",
        "chunkedx",
        "chunked,",
        ", chunked",
        "chunked,,",
        "chunk ed",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nTransfer-Encoding: identity",
        "chunked\r\nTransfer-Encoding:",
        "'chunked'",
        "chunked/1",
        "chunk\u{e9}d",
    ] {
        check_fields(
            format!("Transfer-Encoding: {coding}"),
            "error TransferEncoding -> Some(400)",
        );
    }
    check(
        "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "error TransferEncoding -> Some(400)",
    );
    check_fields(
        "Transfer-Encoding: \u{b}chunked",
        "error Field -> Some(400)",
    );
    check_fields("Transfer-Encoding : chunked", "error Field -> Some(400)");
    check_fields("Transfer-Encoding:\r\n chunked", "error Field -> Some(400)");
}

#[test]
fn codings_that_are_not_implemented() {
    for coding in [
        "gzip, chunked",
        "identity,chunked",
        "x;a=b, chunked",
        "br\r\nTransfer-Encoding: chunked",
    ] {
        check_fields(
            format!("Transfer-Encoding: {coding}"),
            "error UnknownCoding -> Some(501)",
        );
    }
}

#[test]
fn expectations_that_are_not_met() {
    for expectation in [
        "miracles",
        "100-continue, miracles",
        "200-ok",
        "100-continue=1",
        "100",
    ] {
        check_fields(
            format!("Expect: {expectation}"),
            "error Expectation -> Some(417)",
        );
    }
    check_fields(
        "Expect: 100-continue\r\nExpect: x",
        "error Expectation -> Some(417)",
    );
}

#[test]
fn malformed_chunk_sizes() {
    for size in [
        "",
        "+5",
        "-5",
        "-0",
        "0x5",
        " 5",
        "\t5",
        "5 ",
        "5\t",
        "5 5",
        "g",
        "5g",
        "5,",
        "5\0",
        "5\u{e9}",
        "\"5\"",
        "10000000000000000",
        "010000000000000000",
        "00000000000000000x",
        "ffffffffffffffffff",
        "5\rx",
        "5\r\r",
        "5.0",
        "5_0",
        "5 \t",
    ] {
        check_chunks(
            format!("{size}\r\nhello\r\n"),
            "",
            "error ChunkSize -> Some(400)",
        );
    }
    // A bare LF would do for a lenient recipient.
    check_chunks("5\nhello\r\n", "", "error ChunkSize -> Some(400)");
    check_chunks("5\rhello\r\n", "", "error ChunkSize -> Some(400)");
    check_chunks("0\n\n", "", "error ChunkSize -> Some(400)");
    check_chunks(
        "5\r\nhello\r\n0\n\r\n",
        "\"hello\" | ",
        "error ChunkSize -> Some(400)",
    );
}

#[test]
fn chunks_that_do_not_end_where_they_say() {
    for end in ["\n", "!\r\n", "\rx", "\r\r\n", "0\r\n\r\n"] {
        check_chunks(
            format!("5\r\nhello{end}"),
            "\"hello\" | ",
            "error ChunkEnd -> Some(400)",
        );
    }
}

#[test]
fn malformed_chunk_extensions() {
    for extension in [
        ";",
        "; ",
        ";;",
        ";a;",
        ";=b",
        ";a=",
        ";a=;",
        ";a b",
        ";a=b c",
        ";a=\"b\"c",
        ";a=\"b\n\"",
        ";a=b\n",
        ";a\n",
        ";a\0",
        ";a=\0",
        ";a=\"\0\"",
        ";a=\"\\\0\"",
        ";a@b",
        " ;",
        ";a =",
        ";a ",
        ";a=b ",
        ";\r",
        ";a=\"b\r\n\"",
        ";a=\"\u{7f}\"",
        ";a=(b)",
        ";\u{e9}",
    ] {
        check_chunks(
            format!("5{extension}\r\nhello\r\n"),
            "",
            "error ChunkExtension -> Some(400)",
        );
    }
    check_chunks("5;a\rhello\r\n", "", "error ChunkSize -> Some(400)");
    check_chunks("5;a=b\rhello\r\n", "", "error ChunkSize -> Some(400)");
}

#[test]
fn malformed_trailers() {
    for trailer in [
        "X : a",
        " X: a",
        "X",
        ": a",
        "X: a\r\n b",
        "X: a\0",
        "X: a\rb",
        "X\u{e9}: a",
        "X: a\u{7f}",
        "\rX: a",
    ] {
        check_chunks(
            format!("0\r\n{trailer}\r\n\r\n"),
            "",
            "error Field -> Some(400)",
        );
    }
    for trailers in [
        "0\r\n\n",
        "0\r\nX: a\n\r\n",
        "0\r\nX: a\r\n\n",
        "0\r\nX: a\n\n",
    ] {
        check_chunks(trailers, "", "error BareLineFeed -> Some(400)");
    }
}

fn small() -> Limits {
    Limits {
        target_bytes_max: 20,
        head_bytes_max: 60,
        header_count_max: 3,
        body_bytes_max: 10,
        chunk_extension_bytes_max: 6,
        trailer_bytes_max: 12,
        ..Limits::default()
    }
}

#[test]
fn a_target_may_be_as_long_as_its_limit() {
    let limits = Limits {
        head_bytes_max: 200,
        ..small()
    };
    let target = |len: usize| format!("/{}", "a".repeat(len - 1));
    let error = "error TargetTooLong { limit: 20 } -> Some(414)";
    for method in ["GET", "M", &"M".repeat(54)] {
        check_with(
            limits.clone(),
            format!("{method} {} HTTP/1.0\r\n\r\n", target(20)),
            &format!("{method} {} 1.0 close | end | closed", target(20)),
        );
        check_with(
            limits.clone(),
            format!("{method} {} HTTP/1.0\r\n\r\n", target(21)),
            error,
        );
    }
    // Not whole yet, and too long already.
    check_with(limits.clone(), format!("GET {}", target(82)), error);
    check_with(limits.clone(), format!("GET {}", target(80)), "waiting");
    // A fault of the line's grammar is told first where the line is there to be seen.
    check_with(
        limits,
        format!("GET {}\r\n", target(21)),
        "error RequestLine -> Some(400)",
    );
}

#[test]
fn a_method_that_leaves_no_room_for_a_target_is_not_implemented() {
    let error = "error MethodTooLong -> Some(501)";
    check_with(
        small(),
        "A".repeat(86),
        "error HeadTooLarge { limit: 60 } -> Some(431)",
    );
    let limits = Limits {
        head_bytes_max: 200,
        ..small()
    };
    check_with(limits.clone(), "A".repeat(85), "waiting");
    check_with(limits.clone(), "A".repeat(86), error);
    check_with(limits.clone(), "A".repeat(150), error);
    check_with(
        limits,
        format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(76)),
        error,
    );
    check(format!("{} / HTTP/1.1\r\n\r\n", "A".repeat(10_000)), error);
}

#[test]
fn a_request_line_is_too_long_whatever_ends_it() {
    let limits = Limits {
        head_bytes_max: 200,
        ..small()
    };
    check_with(
        limits.clone(),
        format!("GET /{} HTTP/1.0\n", "a".repeat(80)),
        "error TargetTooLong { limit: 20 } -> Some(414)",
    );
    check_with(
        limits,
        "GET /234567 HTTP/1.0\n",
        "error BareLineFeed -> Some(400)",
    );
}

#[test]
fn a_head_may_be_as_long_as_its_limit() {
    let of_length = |len: usize| {
        let head = "GET / HTTP/1.0\r\nX: \r\n\r\n";
        head.replace("X: ", &format!("X: {}", "x".repeat(len - head.len())))
    };
    check_with(small(), of_length(60), "GET / 1.0 close | end | closed");
    check_with(
        small(),
        of_length(61),
        "error HeadTooLarge { limit: 60 } -> Some(431)",
    );
    check_with(small(), &of_length(60)[..59], "waiting");
    check_with(
        small(),
        &of_length(61)[..60],
        "error HeadTooLarge { limit: 60 } -> Some(431)",
    );
    check_with(
        small(),
        of_length(1000),
        "error HeadTooLarge { limit: 60 } -> Some(431)",
    );
}

#[test]
fn there_may_be_as_many_fields_as_the_limit() {
    check_with(
        small(),
        "GET / HTTP/1.0\r\na:\r\nb:\r\nc:\r\n\r\n",
        "GET / 1.0 close | end | closed",
    );
    check_with(
        small(),
        "GET / HTTP/1.0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n",
        "error TooManyFields { limit: 3 } -> Some(431)",
    );
}

#[test]
fn more_fields_than_fit_the_stack_are_counted_alike() {
    let limits = |header_count_max| Limits {
        header_count_max,
        ..Limits::default()
    };
    let with = |count: usize| format!("GET / HTTP/1.0\r\n{}\r\n", "a: b\r\n".repeat(count));
    for count in [128, 129, 1000] {
        check_with(
            limits(count),
            with(usize::from(count)),
            "GET / 1.0 close | end | closed",
        );
        check_with(
            limits(count),
            with(usize::from(count) + 1),
            &format!("error TooManyFields {{ limit: {count} }} -> Some(431)"),
        );
    }
    check_with(
        limits(0),
        with(1),
        "error TooManyFields { limit: 0 } -> Some(431)",
    );
    check_with(limits(0), with(0), "GET / 1.0 close | end | closed");
}

#[test]
fn a_fault_within_a_line_is_told_after_those_that_end_one() {
    check(
        "GET / HTTP/1.1\r\nHost: a b\r\nX: a\n\r\n",
        "error BareLineFeed -> Some(400)",
    );
    check(
        "GET * HTTP/1.1\r\nHost: a\n\r\n",
        "error Target -> Some(400)",
    );
}

#[test]
fn the_defaults_are_the_documented_ones() {
    check(
        format!("GET /{} HTTP/1.0\r\n\r\n", "a".repeat(8192)),
        "error TargetTooLong { limit: 8192 } -> Some(414)",
    );
    check(
        format!("GET / HTTP/1.0\r\nX: {}\r\n\r\n", "a".repeat(16384)),
        "error HeadTooLarge { limit: 16384 } -> Some(431)",
    );
    check(
        format!("GET / HTTP/1.0\r\n{}\r\n", "a:\r\n".repeat(101)),
        "error TooManyFields { limit: 100 } -> Some(431)",
    );
    check_fields(
        "Content-Length: 1048577",
        "error BodyTooLarge { limit: 1048576 } -> Some(413)",
    );
    check_fields("Content-Length: 1048576", "POST / sized 1048576 | waiting");
    check(
        "\r\n\r\n\r\nGET",
        "error EmptyLines { limit: 2 } -> Some(400)",
    );
}

#[test]
fn a_body_over_its_limit_is_refused_before_it_comes() {
    check_with(
        small(),
        "POST / HTTP/1.0\r\nContent-Length: 11\r\n\r\n",
        "error BodyTooLarge { limit: 10 } -> Some(413)",
    );
    check_with(
        small(),
        "POST / HTTP/1.0\r\nContent-Length: 10\r\n\r\n0123456789",
        r#"POST / 1.0 sized 10 close | "0123456789" | end | closed"#,
    );
}

fn chunked(chunks: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost:\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
}

#[test]
fn chunks_that_add_up_over_the_limit_are_refused_at_their_size() {
    let limits = Limits {
        head_bytes_max: 100,
        ..small()
    };
    check_with(
        limits.clone(),
        chunked("6\r\n012345\r\n4\r\n6789\r\n0\r\n\r\n"),
        r#"POST / chunked | "0123456789" | end | idle"#,
    );
    check_with(
        limits.clone(),
        chunked("6\r\n012345\r\n5\r\n"),
        r#"POST / chunked | "012345" | error BodyTooLarge { limit: 10 } -> Some(413)"#,
    );
    check_with(
        limits,
        chunked("1\r\n0\r\nffffffffffffffff\r\n"),
        r#"POST / chunked | "0" | error BodyTooLarge { limit: 10 } -> Some(413)"#,
    );
}

#[test]
fn zeros_before_a_chunk_size_are_bounded_beyond_sixteen_digits() {
    let limits = Limits {
        head_bytes_max: 100,
        ..small()
    };
    // Six in all, in two sizes.
    check_with(
        limits.clone(),
        chunked("000000000000000001\r\nx\r\n00000000000000000000\r\n\r\n"),
        r#"POST / chunked | "x" | end | idle"#,
    );
    check_with(
        limits,
        chunked("000000000000000001\r\nx\r\n000000000000000000000\r\n\r\n"),
        r#"POST / chunked | "x" | error ChunkExtensionsTooLarge { limit: 6 } -> Some(400)"#,
    );
}

#[test]
fn chunk_extensions_are_bounded_over_the_whole_body() {
    let limits = Limits {
        head_bytes_max: 100,
        ..small()
    };
    check_with(
        limits.clone(),
        chunked("1;ab\r\nx\r\n0;ab\r\n\r\n"),
        r#"POST / chunked | "x" | end | idle"#,
    );
    check_with(
        limits,
        chunked("1;ab\r\nx\r\n0;abc\r\n\r\n"),
        r#"POST / chunked | "x" | error ChunkExtensionsTooLarge { limit: 6 } -> Some(400)"#,
    );
}

#[test]
fn trailers_are_bounded_in_bytes_and_number() {
    let limits = Limits {
        head_bytes_max: 100,
        ..small()
    };
    check_with(
        limits.clone(),
        chunked("0\r\na: 456789\r\n\r\n"),
        "POST / chunked | error TrailersTooLarge { limit: 12 } -> Some(431)",
    );
    check_with(
        limits.clone(),
        chunked("0\r\na: 45678\r\n\r\n"),
        "POST / chunked | end a=45678 | idle",
    );
    check_with(
        limits.clone(),
        chunked("0\r\na: 456789012345"),
        "POST / chunked | error TrailersTooLarge { limit: 12 } -> Some(431)",
    );
    let limits = Limits {
        trailer_bytes_max: 100,
        ..limits
    };
    check_with(
        limits,
        chunked("0\r\na:\r\nb:\r\nc:\r\nd:\r\n\r\n"),
        "POST / chunked | error TooManyFields { limit: 3 } -> Some(431)",
    );
}
