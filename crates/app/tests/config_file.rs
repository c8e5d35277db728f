//! The shipped file and the defaults say the same, and files are read with their
//! line numbers.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use monoloop::config::{Config, LogOutput, Origin, Sources};

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/server.toml")
}

/// The shipped file with every key switched on. A key is `#name = ...`; prose has a
/// space behind the `#`.
fn enabled() -> String {
    let text = std::fs::read_to_string(shipped()).unwrap();
    let is_key = |line: &str| {
        line.strip_prefix('#')
            .is_some_and(|rest| rest.starts_with(char::is_alphabetic))
    };
    text.lines()
        .map(|line| if is_key(line) { &line[1..] } else { line }.to_owned() + "\n")
        .collect()
}

fn keys(table: &toml::Table) -> BTreeSet<String> {
    let mut keys = BTreeSet::new();
    for (name, value) in table {
        match value.as_table() {
            Some(section) => keys.extend(section.keys().map(|key| format!("{name}.{key}"))),
            None => _ = keys.insert(name.clone()),
        }
    }
    keys
}

/// Writes a file `server.toml`, loads it and returns what came of it, with the
/// directory cut off every path.
fn load(text: &[u8]) -> Result<Config, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    let shorten = |text: String| text.replace(&format!("{}/", directory.path().display()), "");
    match Sources::new().file(path).load() {
        Ok(effective) => Ok(effective.config),
        Err(error) => Err(shorten(error.to_string())),
    }
}

#[track_caller]
fn refuses(text: &str, expected: &str) {
    assert_eq!(load(text.as_bytes()).expect_err(text), expected);
}

#[test]
fn shipped_file_changes_nothing_as_it_stands() {
    let effective = Sources::new().file(shipped()).load().unwrap();
    assert_eq!(effective.config, Config::default());
}

#[test]
fn shipped_file_with_every_key_enabled_is_the_default() {
    assert_eq!(load(enabled().as_bytes()).unwrap(), Config::default());
}

#[test]
fn shipped_file_has_every_key_and_no_other() {
    let in_file = keys(&enabled().parse().unwrap());
    assert_eq!(
        in_file,
        keys(&toml::Table::try_from(Config::default()).unwrap())
    );
}

#[test]
fn shipped_file_explains_every_key() {
    let text = enabled();
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in lines.iter().enumerate() {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(
                lines[index - 1].starts_with("# "),
                "nothing is said about: {line}"
            );
        }
    }
}

#[test]
fn keys_of_a_file_replace_defaults_and_leave_the_others() {
    let config = load(
        b"listen = \"[::1]:9000\"\n[limits]\nhead_bytes_max = 65536\nbody_bytes_max = \"1.5MiB\"\n\
          [timeouts]\nhandler = \"off\"\nidle = \"1m 30s\"\n[log]\noutput = \"/var/log/x\"\n\
          [runtime]\nblocking_threads_max = 8\n",
    )
    .unwrap();
    let mut expected = Config {
        listen: "[::1]:9000".parse().unwrap(),
        ..Config::default()
    };
    expected.limits.head_bytes_max = 65536;
    expected.limits.body_bytes_max = 1536 * 1024;
    expected.timeouts.handler = None;
    expected.timeouts.idle = Some(Duration::from_secs(90));
    expected.log.output = LogOutput::File("/var/log/x".into());
    expected.runtime.blocking_threads_max = Some(8);
    assert_eq!(config, expected);
}

#[test]
fn dotted_and_inline_tables_are_the_same_keys() {
    let config = load(b"limits.header_count_max = 7\ndrain = { delay = \"2s\" }\n").unwrap();
    assert_eq!(config.limits.header_count_max, 7);
    assert_eq!(config.drain.delay, Duration::from_secs(2));
}

#[test]
fn effective_configuration_prints_as_a_file_that_means_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    std::fs::write(
        &path,
        "threads = 3\n[timeouts]\nhead = \"1500ms\"\nwrite = \"off\"\n",
    )
    .unwrap();
    let effective = Sources::new()
        .file(&path)
        .flag("--listen", "listen", "0.0.0.0:80")
        .load()
        .unwrap();

    let printed = effective.to_string();
    assert!(printed.contains("\nthreads = 3 # "), "{printed}");
    assert!(
        printed.contains("listen = \"0.0.0.0:80\" # --listen\n"),
        "{printed}"
    );
    assert!(printed.contains("\nidle = \"1m 15s\"\n"), "{printed}");
    assert_eq!(load(printed.as_bytes()).unwrap(), effective.config);

    let origin = Origin::Line {
        path,
        line: 3,
        column: None,
    };
    assert_eq!(*effective.origin("timeouts.head"), origin);
    assert_eq!(*effective.origin("timeouts.idle"), Origin::Default);
}

#[test]
fn unknown_key_is_refused_with_its_line_and_the_likely_one() {
    refuses(
        "\n\n[timeouts]\nheed = \"5s\"\n",
        "server.toml:4: timeouts.heed: unknown key; did you mean \"head\"? known keys in \
         [timeouts]: body, body_bytes_per_second_min, handler, head, idle, tls_handshake, write, \
         write_bytes_per_second_min",
    );
}

#[test]
fn unknown_key_that_resembles_none_lists_what_there_is() {
    refuses(
        "[drain]\ncolour = 1\n",
        "server.toml:2: drain.colour: unknown key; known keys in [drain]: delay, timeout",
    );
}

#[test]
fn key_in_the_wrong_place_is_told_the_right_one() {
    refuses(
        "connections_max = 5\n",
        "server.toml:1: connections_max: unknown key; did you mean \"limits.connections_max\"? known \
         keys and sections: [admin], [disconnect], [drain], [handover], [health], [limits], listen, \
         [log], [overload], [runtime], socket, threads, [timeouts], [tls]",
    );
}

#[test]
fn unknown_section_is_refused_once_however_many_keys_it_has() {
    refuses(
        "[timeout]\nhead = \"5s\"\nidle = \"5s\"\n",
        "server.toml:1: timeout: unknown section; did you mean \"timeouts\"? known keys and \
         sections: [admin], [disconnect], [drain], [handover], [health], [limits], listen, \
         [log], [overload], [runtime], socket, threads, [timeouts], [tls]",
    );
}

#[test]
fn section_that_is_written_as_a_key_is_refused() {
    refuses(
        "limits = 5\n",
        "server.toml:1: limits: is a section; write [limits] and its keys below it",
    );
}

#[test]
fn wrong_type_is_refused_with_what_was_expected_and_an_example() {
    refuses(
        "[limits]\nconnections_max = \"many\"\n",
        "server.toml:2: limits.connections_max = \"many\": expected a whole number from 1 to \
         10000000; write for example connections_max = 25000 (the default)",
    );
    refuses(
        "[log]\naccess = \"yes\"\n",
        "server.toml:2: log.access = \"yes\": expected true or false; write for example access = \
         false (the default)",
    );
    refuses(
        "[listen]\nport = 80\n",
        "server.toml:1: listen = { port = 80 }: expected an IP address and a port; names are not \
         looked up; write for example listen = \"127.0.0.1:8080\" (the default)",
    );
}

#[test]
fn number_out_of_range_is_refused() {
    for value in ["0", "-1", "1025", "1.5", "9223372036854775807"] {
        refuses(
            &format!("threads = {value}\n"),
            &format!(
                "server.toml:1: threads = {value}: expected a whole number from 1 to 1024; write \
                 for example threads = 1 (the default)"
            ),
        );
    }
    let error = load(b"threads = 92233720368547758070\n").unwrap_err();
    assert!(error.starts_with("server.toml:1: threads: "), "{error}");
}

#[test]
fn size_out_of_range_or_in_an_unknown_unit_is_refused() {
    for value in ["63", "\"17MiB\"", "\"8 bushels\"", "-1", "\"\"", "true"] {
        refuses(
            &format!("[limits]\ntarget_bytes_max = {value}\n"),
            &format!(
                "server.toml:2: limits.target_bytes_max = {value}: expected a size from 64B to \
                 16MiB; write for example target_bytes_max = \"8KiB\" (the default)"
            ),
        );
    }
}

#[test]
fn timeout_without_a_unit_or_of_zero_is_refused() {
    for value in ["10", "\"10\"", "\"0s\"", "0", "\"25h\"", "\"never\""] {
        refuses(
            &format!("[timeouts]\nhead = {value}\n"),
            &format!(
                "server.toml:2: timeouts.head = {value}: expected a duration with its unit from \
                 1ms to 24h, as in \"250ms\" or \"1m 30s\", or \"off\" to wait for ever; write for \
                 example head = \"10s\" (the default)"
            ),
        );
    }
    assert_eq!(
        load(b"[drain]\ntimeout = \"0s\"\n").unwrap().drain.timeout,
        Duration::ZERO
    );
}

#[test]
fn listen_address_is_refused_with_the_likely_remedy() {
    for (written, remedy) in [
        (
            "8080",
            "\"0.0.0.0:8080\" is that port on every IPv4 interface",
        ),
        (
            ":8080",
            "\"0.0.0.0:8080\" is that port on every IPv4 interface, \"[::]:8080\" on every IPv6 one",
        ),
        (
            "localhost:80",
            "names are not looked up: \"127.0.0.1:80\" is localhost",
        ),
        ("10.0.0.1", "the port is missing: \"10.0.0.1:8080\""),
        (
            "::1",
            "IPv6 addresses stand in brackets before their port: \"[::1]:8080\"",
        ),
        ("example.org:80", "names are not looked up"),
        ("127.0.0.1:99999", "names are not looked up"),
    ] {
        refuses(
            &format!("listen = \"{written}\"\n"),
            &format!(
                "server.toml:1: listen = \"{written}\": expected an IP address and a port; \
                 {remedy}; write for example listen = \"127.0.0.1:8080\" (the default)"
            ),
        );
    }
}

#[test]
fn filter_that_would_silence_the_log_by_a_slip_is_refused() {
    let error = load(b"[log]\nfilter = \"inof\"\n").unwrap_err();
    assert!(
        error.contains("\"inof\" is no level, and to log a target of that name"),
        "{error}"
    );
    let error = load(b"[log]\nfilter = \"monoloop=loud\"\n").unwrap_err();
    assert!(
        error.starts_with("server.toml:2: log.filter = \"monoloop=loud\": expected a level"),
        "{error}"
    );
    assert!(load(b"[log]\nfilter = \"\"\n").is_err());
    for good in [
        "off",
        "INFO",
        "warn, monoloop=debug",
        "info,[request{id=7}]=trace",
    ] {
        load(format!("[log]\nfilter = \"{good}\"\n").as_bytes()).expect(good);
    }
}

#[test]
fn log_output_that_is_a_bare_word_is_taken_for_a_slip() {
    let error = load(b"[log]\noutput = \"stdin\"\n").unwrap_err();
    assert!(
        error.contains("expected \"stderr\", \"stdout\" or the path of a file"),
        "{error}"
    );
}

#[test]
fn health_path_that_could_never_match_is_refused() {
    for path in ["healthz", "", "/a b", "/a?b", "/{id}"] {
        let error = load(format!("[health]\nlive_path = \"{path}\"\n").as_bytes()).unwrap_err();
        assert!(
            error.contains("expected a path that begins with /"),
            "{error}"
        );
    }
}

#[test]
fn contradictory_values_are_refused_where_one_of_them_was_set() {
    refuses(
        "[limits]\nhead_bytes_max = \"4KiB\"\ntarget_bytes_max = \"5KiB\"\n",
        "server.toml:3: limits.target_bytes_max = \"5KiB\": is more than head_bytes_max = \"4KiB\", yet \
         the first line is a part of the head; lower the one or raise the other",
    );
    refuses(
        "[health]\nlive_path = \"/readyz\"\n",
        "server.toml:2: health.live_path = \"/readyz\": is the same as ready_path = \"/readyz\", yet a draining \
         server is alive and not ready; give each its own",
    );
    load(b"[limits]\nhead_bytes_max = \"4KiB\"\n").expect("the first line's default follows");
    load(b"[health]\nenabled = false\nlive_path = \"/readyz\"\n").expect("neither is answered");
}

#[test]
fn every_problem_of_a_file_is_told_at_once_by_line() {
    let error =
        load(b"threads = 0\n[zzz]\na = 1\n[log]\nacess = true\nformat = \"xml\"\n").unwrap_err();
    let places: Vec<&str> = error
        .lines()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "server.toml:1",
            "server.toml:2",
            "server.toml:5",
            "server.toml:6"
        ],
        "{error}"
    );
}

#[test]
fn broken_syntax_is_told_with_line_column_and_text() {
    let error = load("# \u{e9}\n[timeouts]\nhead = 10s\n".as_bytes()).unwrap_err();
    assert!(error.starts_with("server.toml:3:"), "{error}");
    assert!(error.contains("is not TOML: "), "{error}");
    assert!(error.contains("the line reads `head = 10s`"), "{error}");
    assert_eq!(error.lines().count(), 1, "{error}");

    let error = load(b"threads = 1\nthreads = 2\n").unwrap_err();
    assert!(
        error.starts_with("server.toml:2:1: is not TOML: duplicate key"),
        "{error}"
    );
    assert!(
        load(b"\xff\xfe")
            .unwrap_err()
            .starts_with("server.toml: cannot be read: ")
    );
}

#[test]
fn file_that_cannot_be_read_is_named() {
    let error = Sources::new()
        .file("/does/not/exist.toml")
        .load()
        .unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with("/does/not/exist.toml: cannot be read: No such file"),
        "{text}"
    );
    assert_eq!(error.problems().len(), 1);
    assert_eq!(error.problems()[0].key, None);

    let error = Sources::new().file("/").load().unwrap_err().to_string();
    assert!(error.starts_with("/: cannot be read: "), "{error}");
}

#[test]
fn admin_listener_is_an_address_or_off() {
    let listen = |text: &[u8]| load(text).unwrap().admin.listen;
    assert_eq!(listen(b""), None);
    assert_eq!(listen(b"[admin]\nlisten = \"off\"\n"), None);
    let address = "127.0.0.1:9100".parse().unwrap();
    assert_eq!(
        listen(b"[admin]\nlisten = \"127.0.0.1:9100\"\n"),
        Some(address)
    );
    refuses(
        "[admin]\nlisten = \"127.0.0.1\"\n",
        "server.toml:2: admin.listen = \"127.0.0.1\": expected an IP address and a port; the port is \
         missing: \"127.0.0.1:8080\", or \"off\"; write for example listen = \"off\" (the default)",
    );
}

#[test]
#[cfg(feature = "tls")]
fn several_certificates_are_an_array_and_are_printed_as_one() {
    let text =
        "[tls]\ncertificate = [\"./a,b.pem\", \"./c.pem\"]\nkey = [\"./a.key\", \"./c.key\"]\n";
    let config = load(text.as_bytes()).unwrap();
    assert_eq!(
        config.tls.certificate,
        ["./a,b.pem", "./c.pem"].map(PathBuf::from)
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    let printed = Sources::new().file(path).load().unwrap().to_string();
    assert_eq!(load(printed.as_bytes()).unwrap(), config);

    refuses(
        "[tls]\ncertificate = []\n",
        "server.toml:2: tls.certificate = []: expected \"off\", the path of a PEM file, as in \
         \"/etc/tls/server.pem\" or \"./server.pem\", or several; write for example \
         certificate = \"off\" (the default)",
    );
}

#[test]
fn overload_is_not_asked_for_what_the_timers_cannot_see() {
    let config = load(b"[overload]\nqueue_delay_max = \"2ms\"\ninterval = \"10ms\"\n").unwrap();
    assert_eq!(
        config.overload.queue_delay_max,
        Some(Duration::from_millis(2))
    );
    assert_eq!(config.overload.interval, Duration::from_millis(10));
    refuses(
        "[overload]\nqueue_delay_max = \"1ms\"\n",
        "server.toml:2: overload.queue_delay_max = \"1ms\": expected a duration with its unit from \
         2ms to 24h, as in \"50ms\", or \"off\"; write for example queue_delay_max = \"off\" (the \
         default)",
    );
    for value in ["off", "9ms"] {
        let text = format!("[overload]\ninterval = \"{value}\"\n");
        assert!(load(text.as_bytes()).is_err(), "{value}");
    }
}
