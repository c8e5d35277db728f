//! Environment and flags: names, precedence, and what is refused.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use monoloop::cli::ServerArgs;
#[cfg(feature = "tls")]
use monoloop::config::{ClientAuth, TlsVersion};
use monoloop::config::{Config, LogFormat, Origin, Sources};

#[derive(Debug, Parser)]
struct Flags {
    #[command(flatten)]
    server: ServerArgs,
}

fn variables(pairs: &[(&str, &str)]) -> Vec<(OsString, OsString)> {
    pairs
        .iter()
        .map(|(name, value)| (name.into(), value.into()))
        .collect()
}

/// Loads from an environment and a command line, both written as one would.
fn load(environment: &[(&str, &str)], flags: &[&str]) -> Result<Config, String> {
    let flags = Flags::try_parse_from(["server"].iter().chain(flags)).unwrap();
    let sources = flags.server.sources(variables(environment));
    let effective = sources.load().map_err(|error| error.to_string())?;
    Ok(effective.config)
}

#[track_caller]
fn refuses(environment: &[(&str, &str)], flags: &[&str], expected: &str) {
    assert_eq!(load(environment, flags).unwrap_err(), expected);
}

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("server.toml");
    std::fs::write(&path, text).unwrap();
    (directory, path)
}

#[test]
fn every_key_has_a_variable_named_after_it() {
    let defaults = toml::Table::try_from(Config::default()).unwrap();
    let mut environment = Vec::new();
    for (name, value) in &defaults {
        let prefix = format!("MONOLOOP_{}", name.to_uppercase());
        match value.as_table() {
            Some(section) => {
                environment.extend(section.iter().map(|(key, value)| {
                    (format!("{prefix}_{}", key.to_uppercase()), value.clone())
                }));
            }
            None => environment.push((prefix, value.clone())),
        }
    }
    assert_eq!(
        environment.len(),
        45,
        "a key was added: add it here and in server.toml"
    );
    let environment = environment.into_iter().map(|(name, value)| match value {
        toml::Value::String(text) => (name.into(), text.into()),
        other => (name.into(), other.to_string().into()),
    });
    let effective = Sources::new().environment(environment).load().unwrap();
    assert_eq!(effective.config, Config::default());
    for origin in [effective.origin("threads"), effective.origin("log.access")] {
        assert!(matches!(origin, Origin::Environment(_)), "{origin:?}");
    }
}

#[test]
fn values_of_every_kind_are_read_from_text() {
    let config = load(
        &[
            ("MONOLOOP_LISTEN", "[::]:80"),
            ("MONOLOOP_LIMITS_CONNECTIONS_MAX", " 1_000 "),
            ("MONOLOOP_LIMITS_BODY_BYTES_MAX", "2097152"),
            ("MONOLOOP_TIMEOUTS_WRITE", "off"),
            ("MONOLOOP_LOG_ACCESS", "true"),
            ("MONOLOOP_RUNTIME_BLOCKING_THREADS_MAX", "6"),
        ],
        &[],
    )
    .unwrap();
    assert_eq!(config.listen, "[::]:80".parse().unwrap());
    assert_eq!(config.limits.connections_max, 1000);
    assert_eq!(config.limits.body_bytes_max, 2 * 1024 * 1024);
    assert_eq!(config.timeouts.write, None);
    assert!(config.log.access);
    assert_eq!(config.runtime.blocking_threads_max, Some(6));
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let (_directory, path) = file("threads = 2\n[drain]\ntimeout = \"2s\"\ndelay = \"2s\"\n");
    let path = path.to_str().unwrap();
    let config = load(
        &[
            ("MONOLOOP_DRAIN_TIMEOUT", "3s"),
            ("MONOLOOP_DRAIN_DELAY", "3s"),
        ],
        &["--config", path, "--drain-timeout", "4s"],
    )
    .unwrap();
    assert_eq!(config.threads, 2);
    assert_eq!(config.drain.delay, Duration::from_secs(3));
    assert_eq!(config.drain.timeout, Duration::from_secs(4));
    assert_eq!(config.timeouts, Config::default().timeouts);
}

#[test]
fn environment_names_the_file_and_a_flag_names_another() {
    let (_one, first) = file("threads = 2\n");
    let (_two, second) = file("threads = 3\n");
    let environment = [("MONOLOOP_CONFIG", first.to_str().unwrap())];
    assert_eq!(load(&environment, &[]).unwrap().threads, 2);
    let flags = ["--config", second.to_str().unwrap()];
    assert_eq!(load(&environment, &flags).unwrap().threads, 3);
    let error = load(&[("MONOLOOP_CONFIG", "")], &[]).unwrap_err();
    assert!(error.starts_with("\"\": cannot be read: "), "{error}");
}

#[test]
fn rust_log_is_weaker_than_our_variable_and_stronger_than_the_file() {
    let (_directory, path) = file("[log]\nfilter = \"error\"\n");
    let flags = ["--config", path.to_str().unwrap()];
    let filter = |environment: &[(&str, &str)]| load(environment, &flags).unwrap().log.filter;
    assert_eq!(filter(&[]), "error");
    assert_eq!(filter(&[("RUST_LOG", "")]), "error");
    assert_eq!(filter(&[("RUST_LOG", "debug")]), "debug");
    assert_eq!(
        filter(&[("MONOLOOP_LOG_FILTER", "warn"), ("RUST_LOG", "debug")]),
        "warn"
    );
    // There, unlike in our key, a lone target is all of it.
    assert_eq!(filter(&[("RUST_LOG", "info,mylib")]), "info,mylib=trace");
}

#[test]
fn rust_log_that_is_no_filter_is_refused_by_its_name() {
    let error = load(&[("RUST_LOG", "a=loud")], &[]).unwrap_err();
    assert!(
        error.starts_with("RUST_LOG=a=loud: expected a level"),
        "{error}"
    );
    assert!(
        error.ends_with("write for example RUST_LOG=info (the default)"),
        "{error}"
    );
}

#[test]
fn bad_value_in_the_environment_names_the_variable() {
    refuses(
        &[("MONOLOOP_LIMITS_HEADER_COUNT_MAX", "lots")],
        &[],
        "MONOLOOP_LIMITS_HEADER_COUNT_MAX=lots: expected a whole number from 1 to 10000; write \
         for example MONOLOOP_LIMITS_HEADER_COUNT_MAX=100 (the default)",
    );
    refuses(
        &[("MONOLOOP_LOG_ACCESS", "1")],
        &[],
        "MONOLOOP_LOG_ACCESS=1: expected true or false; write for example \
         MONOLOOP_LOG_ACCESS=false (the default)",
    );
}

#[test]
fn unknown_variable_of_ours_is_refused_with_the_likely_one() {
    refuses(
        &[("MONOLOOP_TIMEOUT_HEAD", "5s")],
        &[],
        "MONOLOOP_TIMEOUT_HEAD: unknown variable; did you mean \"MONOLOOP_TIMEOUTS_HEAD\"? unset it, or \
         see --check-config for the known keys (limits.head_bytes_max is \
         MONOLOOP_LIMITS_HEAD_BYTES_MAX)",
    );
    assert!(
        load(&[("MONOLOOP_DEBGU", "1")], &[])
            .unwrap_err()
            .contains("\"MONOLOOP_DEBUG\"")
    );
}

#[test]
fn variables_of_others_and_of_the_runtime_are_left_alone() {
    let environment = [
        ("PATH", "/bin"),
        ("MONOLOOPS", "1"),
        ("MONOLOOP_DEBUG", "2"),
        ("MONOLOOP_DRIVER", "selector"),
    ];
    assert_eq!(load(&environment, &[]).unwrap(), Config::default());
}

#[test]
fn service_that_shares_our_name_in_a_cluster_does_not_stop_us() {
    let environment = [
        ("MONOLOOP_SERVICE_HOST", "10.0.0.1"),
        ("MONOLOOP_SERVICE_PORT", "80"),
        ("MONOLOOP_SERVICE_PORT_HTTP", "80"),
        ("MONOLOOP_PORT", "tcp://10.0.0.1:80"),
        ("MONOLOOP_PORT_80_TCP", "tcp://10.0.0.1:80"),
        ("MONOLOOP_PORT_80_TCP_ADDR", "10.0.0.1"),
        ("MONOLOOP_WEB_PORT_53_UDP_PROTO", "udp"),
        ("MONOLOOP_WEB_SERVICE_HOST", "10.0.0.2"),
    ];
    assert_eq!(load(&environment, &[]).unwrap(), Config::default());
    assert!(
        load(&[("MONOLOOP_PORT", "8080")], &[]).is_err(),
        "somebody means us"
    );
}

#[cfg(unix)]
#[test]
fn variable_that_is_not_utf8_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![0xff]);
    let sources = Sources::new().environment([("MONOLOOP_LISTEN".into(), value)]);
    let error = sources.load().unwrap_err().to_string();
    assert_eq!(
        error,
        "MONOLOOP_LISTEN=\"\\xFF\": is not UTF-8; write plain text"
    );
}

#[test]
fn flags_set_their_keys() {
    let config = load(
        &[],
        &[
            "--listen=0.0.0.0:1",
            "--threads=4",
            "--access-log",
            "--log-format=json",
            "--log-filter=debug",
            "--drain-timeout=1s",
            "--set=limits.body_bytes_max=4MiB",
            "--set=health.enabled=false",
        ],
    )
    .unwrap();
    assert_eq!(config.listen, "0.0.0.0:1".parse().unwrap());
    assert_eq!(config.threads, 4);
    assert!(config.log.access);
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.filter, "debug");
    assert_eq!(config.drain.timeout, Duration::from_secs(1));
    assert_eq!(config.limits.body_bytes_max, 4 * 1024 * 1024);
    assert!(!config.health.enabled);
    let environment = [("MONOLOOP_LOG_ACCESS", "true")];
    assert!(
        !load(&environment, &["--access-log=false"])
            .unwrap()
            .log
            .access
    );
}

#[test]
fn bad_value_of_a_flag_names_the_flag() {
    refuses(
        &[],
        &["--threads", "many"],
        "--threads=many: expected a whole number from 1 to 1024; write for example --threads=1 (the \
         default)",
    );
    refuses(
        &[],
        &["--set", "timeouts.idle=5"],
        "--set timeouts.idle=5: expected a duration with its unit from 1ms to 24h, as in \"250ms\" or \
         \"1m 30s\", or \"off\" to wait for ever; write for example --set timeouts.idle=\"1m 15s\" (the \
         default)",
    );
    refuses(
        &[],
        &["--set", "timeouts.idel=5s"],
        "--set timeouts.idel=5s: unknown key; did you mean \"idle\"? known keys in [timeouts]: body, \
         body_bytes_per_second_min, handler, head, idle, tls_handshake, write, \
         write_bytes_per_second_min",
    );
}

#[test]
fn key_that_is_set_by_two_flags_is_refused() {
    refuses(
        &[],
        &["--threads", "2", "--set", "threads=3"],
        "--set threads=3: is already set by --threads; give it once",
    );
}

#[test]
fn problems_are_told_from_file_to_environment_to_flags() {
    let (_directory, path) = file("threads = 0\nthread = 1\n");
    let flags = ["--config", path.to_str().unwrap(), "--listen", "x"];
    let error = load(&[("MONOLOOP_X", "1"), ("MONOLOOP_THREADS", "0")], &flags).unwrap_err();
    let starts = [
        ":1: threads",
        ":2: thread",
        "MONOLOOP_THREADS=",
        "MONOLOOP_X:",
        "--listen=x:",
    ];
    assert_eq!(error.lines().count(), starts.len(), "{error}");
    for start in starts {
        assert!(error.contains(start), "{error}");
    }
}

const CERTIFICATES: &str = "MONOLOOP_TLS_CERTIFICATE";
const KEYS: &str = "MONOLOOP_TLS_KEY";

#[test]
#[cfg(feature = "tls")]
fn certificates_are_one_file_or_several_and_say_what_clients_have_to_show() {
    let config = load(
        &[
            (KEYS, "./a.key, ./b.key"),
            ("MONOLOOP_TLS_VERSION_MIN", "1.3"),
        ],
        &[
            "--tls-cert=./a.pem,./b.pem",
            "--tls-key=./a.key,./b.key",
            "--set",
            "tls.client_auth=required",
            "--set",
            "tls.client_ca=/etc/ca.pem",
        ],
    );
    let tls = config.unwrap().tls;
    assert_eq!(tls.certificate, ["./a.pem", "./b.pem"].map(PathBuf::from));
    assert_eq!(tls.key, ["./a.key", "./b.key"].map(PathBuf::from));
    assert_eq!(tls.client_ca, [PathBuf::from("/etc/ca.pem")]);
    assert_eq!(tls.client_auth, ClientAuth::Required);
    assert_eq!(tls.version_min, TlsVersion::V1_3);
}

#[test]
#[cfg(not(feature = "tls"))]
fn certificates_are_refused_by_a_program_without_tls() {
    refuses(
        &[(CERTIFICATES, "./a.pem"), (KEYS, "./a.key")],
        &[],
        "MONOLOOP_TLS_CERTIFICATE=\"./a.pem\": stands beside key = \"./a.key\", yet this program \
         was built without TLS; build it with the feature `tls` of monoloop",
    );
}

#[test]
#[cfg(feature = "tls")]
fn tls_that_is_half_configured_is_refused() {
    refuses(
        &[(CERTIFICATES, "./a.pem")],
        &[],
        "MONOLOOP_TLS_CERTIFICATE=\"./a.pem\": is not as many files as key = \"off\", yet a \
         certificate is of no use without its key; give one key for each, in the same order",
    );
    refuses(
        &[("MONOLOOP_TLS_CLIENT_AUTH", "optional")],
        &[],
        "MONOLOOP_TLS_CLIENT_AUTH=\"optional\": stands beside client_ca = \"off\", yet \
         certificates of clients have to come from somebody; name the authorities",
    );
    refuses(
        &[("MONOLOOP_TLS_CLIENT_CA", "./ca.pem")],
        &[],
        "MONOLOOP_TLS_CLIENT_CA=\"./ca.pem\": stands beside client_auth = \"off\", yet no client \
         is asked for a certificate; write \"required\" or \"optional\"",
    );
    refuses(
        &[
            ("MONOLOOP_TLS_KEY", "key"),
            ("MONOLOOP_TLS_VERSION_MIN", "1.1"),
        ],
        &[],
        "MONOLOOP_TLS_KEY=key: expected \"off\", the path of a PEM file, as in \
         \"/etc/tls/server.pem\" or \"./server.pem\", or several; write for example \
         MONOLOOP_TLS_KEY=off (the default)\n\
         MONOLOOP_TLS_VERSION_MIN=1.1: expected \"1.2\" or \"1.3\"; write for example \
         MONOLOOP_TLS_VERSION_MIN=1.2 (the default)",
    );
}
