//! The log as a whole, up to the output, which is a buffer here.

use std::cell::RefCell;
use std::fmt::{self, Display};
use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::{Level, debug, error, info, info_span, warn};

use super::access::{AccessLine, access_enabled};
use super::init::{Guard, assemble};
use super::output::Output;
use crate::Reason;
use crate::config::{LogConfig, LogFormat};

thread_local! {
    static REQUEST_ID: RefCell<Option<&'static str>> = const { RefCell::new(None) };
}

fn request_id(write: &mut dyn FnMut(&dyn Display)) {
    if let Some(id) = REQUEST_ID.with_borrow(|id| *id) {
        write(&id);
    }
}

fn in_request<T>(id: &'static str, run: impl FnOnce() -> T) -> T {
    REQUEST_ID.set(Some(id));
    let result = run();
    REQUEST_ID.set(None);
    result
}

/// Runs `log` with a log of its own and returns what was written.
fn written(config: &LogConfig, is_terminal: bool, log: impl FnOnce()) -> String {
    let output = Buffer::default();
    let guard = with_output(config, output.clone(), is_terminal, log);
    drop(guard);
    output.text()
}

fn with_output(
    config: &LogConfig,
    output: impl Write + Send + 'static,
    is_terminal: bool,
    log: impl FnOnce(),
) -> Guard {
    let output = Output {
        writer: Box::new(output),
        is_terminal,
    };
    let (dispatch, guard) = assemble(config, output, request_id).unwrap();
    tracing::dispatcher::with_default(&dispatch, log);
    guard
}

/// The lines of a text log, each without its time.
fn text(log: impl FnOnce()) -> Vec<String> {
    let lines = written(&LogConfig::default(), false, log);
    assert!(lines.is_empty() || lines.ends_with('\n'), "{lines:?}");
    lines
        .lines()
        .map(|line| {
            let (time, rest) = line.split_once(' ').unwrap();
            assert!(humantime::parse_rfc3339(time).is_ok(), "{line}");
            rest.to_owned()
        })
        .collect()
}

fn json(log: impl FnOnce()) -> Vec<serde_json::Value> {
    let config = LogConfig {
        format: LogFormat::Json,
        ..LogConfig::default()
    };
    let lines = written(&config, true, log);
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect()
}

const HERE: &str = "monoloop::trace::tests";

#[test]
fn text_line_has_level_target_message_and_fields() {
    let lines = text(|| {
        info!(port = 80, ok = true, ratio = 0.5, name = "x", "listening");
        warn!(peer = %"10.0.0.1", state = ?Some(1));
        debug!("below the filter");
    });
    assert_eq!(
        lines,
        [
            format!(" INFO {HERE}: listening port=80 ok=true ratio=0.5 name=x"),
            format!(" WARN {HERE}: peer=10.0.0.1 state=Some(1)"),
        ]
    );
}

#[test]
fn text_line_has_its_spans_with_their_fields() {
    let lines = text(|| {
        let conn = info_span!("conn", peer = "10.0.0.1", late = tracing::field::Empty);
        let _conn = conn.enter();
        conn.record("late", 7);
        let _part = info_span!("part").entered();
        info!("hello");
    });
    assert_eq!(
        lines,
        [format!(
            " INFO conn{{peer=10.0.0.1 late=7}}: part: {HERE}: hello"
        )]
    );
}

#[test]
fn control_characters_cannot_forge_a_line_or_reach_the_terminal() {
    let evil = "a\r\n2026 ERROR fake: \x1b[2J\u{9b}31m\u{202e}\0\u{7f}";
    let escaped = r"a\r\n2026 ERROR fake: \u{1b}[2J\u{9b}31m\u{202e}\u{0}\u{7f}";
    let lines = text(|| {
        let _span = info_span!("conn", evil).entered();
        info!("{evil}");
        info!(evil, "text");
        info!(evil = %evil, "display");
        in_request("x\ny", || info!("id"));
    });
    let head = format!(" INFO conn{{evil=\"{escaped}\"}}: {HERE}:");
    assert_eq!(
        lines,
        [
            format!("{head} {escaped}"),
            format!("{head} text evil=\"{escaped}\""),
            format!("{head} display evil=\"{escaped}\""),
            format!("{head} id request_id=\"x\\ny\""),
        ]
    );
}

#[test]
fn control_characters_are_escaped_on_a_terminal_too() {
    let lines = written(&LogConfig::default(), true, || {
        info!(evil = "\x1b[2J", "\x1b]0;title\x07");
    });
    assert!(lines.contains("\x1b[32m INFO\x1b[0m"), "{lines:?}");
    assert!(
        !lines.contains("\x1b[2J") && !lines.contains("\x1b]"),
        "{lines:?}"
    );
}

#[test]
fn value_cannot_pass_for_other_fields() {
    let lines = text(|| {
        info!(
            path = "/a status=200",
            quote = "\"",
            empty = "",
            equals = "a=b",
            slash = "a\\b",
            plain = "ä/b:c",
            "m"
        );
    });
    let fields =
        r#"path="/a status=200" quote="\"" empty="" equals="a=b" slash="a\\b" plain=ä/b:c"#;
    assert_eq!(lines, [format!(" INFO {HERE}: m {fields}")]);
}

#[test]
fn line_inside_a_request_has_its_id_once() {
    let lines = text(|| {
        in_request("r1", || {
            info!("plain");
            info!(request_id = "own", "field");
            let _span = info_span!("request", request_id = "span").entered();
            info!("span");
        });
        in_request("r2", || {
            let _span = info_span!("request", request_id = tracing::field::Empty).entered();
            info!("not recorded");
        });
        info!("outside");
    });
    assert_eq!(
        lines,
        [
            format!(" INFO {HERE}: plain request_id=r1"),
            format!(" INFO {HERE}: field request_id=own"),
            format!(" INFO request{{request_id=span}}: {HERE}: span"),
            format!(" INFO request: {HERE}: not recorded request_id=r2"),
            format!(" INFO {HERE}: outside"),
        ]
    );
}

#[test]
fn coloured_line_inside_a_request_has_its_id_once() {
    let lines = written(&LogConfig::default(), true, || {
        in_request("r1", || {
            let _span = info_span!("request", request_id = "r1").entered();
            info!("hello");
        });
    });
    assert_eq!(lines.matches("request_id").count(), 1, "{lines:?}");
}

#[test]
fn json_line_is_one_object_with_typed_fields() {
    let lines = json(|| {
        let span = info_span!("conn", peer = "10.0.0.1", late = tracing::field::Empty).entered();
        span.record("late", 7);
        in_request("r1", || {
            info!(
                port = 80,
                ok = true,
                ratio = 0.5,
                name = "x\"\n\x1b",
                big = u64::MAX,
                "listening"
            );
        });
    });
    let [line] = &lines[..] else {
        panic!("{lines:?}")
    };
    let mut line = line.clone();
    let time = line["timestamp"].take();
    assert!(
        humantime::parse_rfc3339(time.as_str().unwrap()).is_ok(),
        "{time}"
    );
    assert_eq!(
        line,
        serde_json::json!({
            "timestamp": null, "level": "INFO", "target": HERE, "message": "listening",
            "port": 80, "ok": true, "ratio": 0.5, "name": "x\"\n\x1b", "big": u64::MAX,
            "spans": [{"name": "conn", "peer": "10.0.0.1", "late": 7}], "request_id": "r1",
        })
    );
}

#[test]
fn json_keys_are_never_double() {
    let log = || {
        in_request("r1", || {
            info!(
                level = "mine",
                target = 1,
                timestamp = 2,
                spans = 3,
                nan = f64::NAN,
                "m"
            );
            let _span = info_span!("request", name = "n", request_id = "r1").entered();
            info!("hello");
        });
    };
    let config = LogConfig {
        format: LogFormat::Json,
        ..LogConfig::default()
    };
    for line in written(&config, false, log).lines() {
        for key in [
            "level",
            "target",
            "timestamp",
            "spans",
            "name",
            "request_id",
        ] {
            assert!(
                line.matches(&format!("\"{key}\":")).count() <= 1,
                "{key} in {line}"
            );
        }
    }
    let lines = json(log);
    assert_eq!(lines[0]["level"], "INFO");
    assert_eq!(lines[0]["field.level"], "mine");
    assert_eq!(lines[0]["nan"], "NaN");
    assert_eq!(lines[1]["spans"][0]["field.name"], "n");
}

#[test]
fn error_is_logged_with_its_causes() {
    let error = io::Error::other(crate::trace::InitError::Open {
        path: "x".into(),
        source: io::Error::other("no space"),
    });
    let lines = text(|| error!(error = &error as &dyn std::error::Error, "failed"));
    assert!(lines[0].ends_with(": no space\""), "{lines:?}");
}

#[test]
fn value_that_fails_to_format_does_not_cost_the_line() {
    struct Broken;
    impl fmt::Debug for Broken {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }
    let lines = text(|| {
        let _span = info_span!("span", value = ?Broken).entered();
        info!(value = ?Broken, port = 80, "still here");
    });
    let value = "value=\"<failed to format>\"";
    assert_eq!(
        lines,
        [format!(
            " INFO span{{{value}}}: {HERE}: still here {value} port=80"
        )]
    );
}

#[test]
fn access_lines_follow_their_switch_whatever_the_filter_says() {
    let line = AccessLine {
        method: "GET",
        path: "/a b",
        status: 200,
        bytes: 13,
        duration: Duration::from_micros(1500),
        reason: Reason::Ok,
        queue: Duration::from_micros(100),
        cpu: Duration::from_micros(300),
        wait: Duration::from_micros(1000),
        write: Duration::from_micros(100),
    };
    for (filter, access) in [("error", true), ("trace,monoloop::access=trace", false)] {
        let config = LogConfig {
            filter: filter.to_owned(),
            access,
            ..LogConfig::default()
        };
        let lines = written(&config, false, || {
            in_request("r1", || {
                assert_eq!(access_enabled(), access);
                line.log();
            });
        });
        let expected = " INFO monoloop::access: request method=GET path=\"/a b\" status=200 bytes=13 \
                        duration_us=1500 reason=ok queue_us=100 cpu_us=300 wait_us=1000 write_us=100 \
                        request_id=r1\n";
        assert_eq!(lines.contains(expected), access, "{lines}");
    }
}

#[test]
fn lines_that_a_full_queue_refuses_are_counted_and_reported() {
    let (output, gate) = Gate::new();
    let config = LogConfig {
        queue_lines_max: 2,
        ..LogConfig::default()
    };
    let guard = with_output(&config, output, false, || {
        info!("written first");
        gate.wait_reached();
        // The log thread is stuck in that write. Two lines fit, three do not.
        for number in 0..5 {
            info!(number);
        }
    });
    assert_eq!(guard.lost(), 3);
    let output = gate.open();
    drop(guard);

    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    let loss = "monoloop::trace: log lines were lost: the output failed or was too slow lines=3";
    assert!(lines.iter().any(|line| line.ends_with(loss)), "{text}");
    assert!(
        text.contains("number=0") && text.contains("number=1"),
        "{text}"
    );
}

#[test]
fn end_does_not_wait_for_ever_for_an_output_that_is_stuck() {
    let (output, gate) = Gate::new();
    let guard = with_output(&LogConfig::default(), output, false, || {
        info!("one");
        gate.wait_reached();
        info!("two");
    });
    // Comes back, although nobody opens the gate.
    drop(guard);
    gate.open();
}

#[test]
fn output_that_fails_and_recovers_loses_only_what_it_refused() {
    let output = Buffer::default();
    // Takes five bytes of the first line and refuses its rest and the next line,
    // and each attempt to say so.
    let flaky = Flaky {
        output: output.clone(),
        script: vec![Ok(5), Err(()), Err(()), Err(()), Err(()), Err(())],
    };
    let config = LogConfig {
        format: LogFormat::Json,
        ..LogConfig::default()
    };
    let writer = Output {
        writer: Box::new(flaky),
        is_terminal: false,
    };
    let (dispatch, guard) = assemble(&config, writer, request_id).unwrap();
    tracing::dispatcher::with_default(&dispatch, || {
        info!("torn");
        // Each line is seen through before the next, so that they are not one batch.
        assert!(guard.wait_idle(Duration::from_secs(60)));
        info!("refused");
        assert!(guard.wait_idle(Duration::from_secs(60)));
        assert_eq!(guard.lost(), 2);
        info!("taken");
    });
    drop(guard);

    let text = output.text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert_eq!(lines[0], "{\"tim", "the torn line stands alone");
    let loss: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
    assert_eq!(
        (&loss["level"], &loss["lines"]),
        (&"WARN".into(), &2.into())
    );
    let taken: serde_json::Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(taken["message"], "taken");
}

#[test]
fn colour_needs_a_terminal_that_wants_it() {
    let wants = |is_terminal, name: &'static str, value: &'static str| {
        super::output::wants_colour(is_terminal, |asked| (asked == name).then(|| value.into()))
    };
    assert!(wants(true, "TERM", "xterm"));
    assert!(wants(true, "NO_COLOR", ""), "empty is not set");
    assert!(!wants(true, "NO_COLOR", "1"));
    assert!(!wants(true, "TERM", "dumb"));
    assert!(!wants(false, "TERM", "xterm"));
}

#[test]
fn only_auto_colours_a_terminal() {
    for (format, coloured) in [
        (LogFormat::Auto, true),
        (LogFormat::Text, false),
        (LogFormat::Json, false),
    ] {
        let config = LogConfig {
            format,
            ..LogConfig::default()
        };
        let lines = written(&config, true, || info!("hello"));
        assert_eq!(lines.contains('\x1b'), coloured, "{lines:?}");
    }
}

#[test]
fn events_below_the_filter_cost_no_line_and_are_off() {
    let config = LogConfig {
        filter: "warn".to_owned(),
        ..LogConfig::default()
    };
    let lines = written(&config, false, || {
        assert!(!tracing::enabled!(Level::INFO));
        info!("no");
    });
    assert_eq!(lines, "");
}

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl Buffer {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output whose first write says that it was reached and waits to be let through.
struct Gated {
    output: Buffer,
    reached: Sender<()>,
    opened: Option<Receiver<()>>,
}

struct Gate {
    output: Buffer,
    reached: Receiver<()>,
    open: Sender<()>,
}

impl Gate {
    fn new() -> (Gated, Gate) {
        let output = Buffer::default();
        let (say_reached, reached) = channel();
        let (open, opened) = channel();
        let gated = Gated {
            output: output.clone(),
            reached: say_reached,
            opened: Some(opened),
        };
        (
            gated,
            Gate {
                output,
                reached,
                open,
            },
        )
    }

    fn wait_reached(&self) {
        self.reached.recv().unwrap();
    }

    fn open(self) -> Buffer {
        self.open.send(()).unwrap();
        self.output
    }
}

impl Write for Gated {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(opened) = self.opened.take() {
            self.reached.send(()).unwrap();
            opened.recv().unwrap();
        }
        self.output.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An output that follows a script (how many bytes it takes, or that it fails) and
/// takes everything afterwards.
struct Flaky {
    output: Buffer,
    script: Vec<Result<usize, ()>>,
}

impl Write for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.script.is_empty() {
            return self.output.write(bytes);
        }
        match self.script.remove(0) {
            Ok(count) => self.output.write(&bytes[..count]),
            Err(()) => Err(io::ErrorKind::StorageFull.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
