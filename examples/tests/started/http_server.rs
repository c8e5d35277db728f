//! The example `http_server`.

use crate::client::Client;
use crate::example::{Example, Server, address_in, path};
use serde_json::Value;
use std::process::Command;

fn start() -> Server {
    Server::start("http_server", &[])
}

#[test]
fn plaintext_is_a_greeting_with_length_date_and_server() {
    let server = start();
    let (head, body) = server.connect().get("/plaintext");
    assert_eq!((head.status, body.as_str()), (200, "Hello, World!"));
    assert_eq!(
        head.field("content-type"),
        Some("text/plain; charset=utf-8")
    );
    assert_eq!(head.field("content-length"), Some("13"));
    assert!(head.field("date").unwrap().ends_with(" GMT"), "{head:?}");
    assert!(head.field("server").is_some(), "{head:?}");
    assert!(head.field("x-request-id").is_some(), "{head:?}");
}

#[test]
fn json_is_an_object() {
    let server = start();
    let (head, body) = server.connect().get("/json");
    assert_eq!(head.field("content-type"), Some("application/json"));
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(body["message"], "Hello, World!");
}

#[test]
fn echo_answers_the_whole_body_however_it_is_sent() {
    let server = start();
    let mut client = server.connect();
    // More than comes with the head.
    let long: String = (0..100_000).map(|number| format!("{number} ")).collect();
    for body in ["", "short", &long] {
        let length = body.len();
        client.write(format!(
            "POST /echo HTTP/1.1\r\nhost: example\r\ncontent-length: {length}\r\n\r\n"
        ));
        client.write(body);
        assert!(client.response().1 == body, "{length} bytes come back");
    }
    client.write("POST /echo HTTP/1.1\r\nhost: example\r\ntransfer-encoding: chunked\r\n\r\n");
    client.write("5\r\nin tw\r\n");
    client.write("7\r\no parts\r\n0\r\n\r\n");
    assert_eq!(client.response().1, "in two parts");
}

#[test]
fn body_above_the_limit_is_refused() {
    let server = Server::start("http_server", &["--set", "limits.body_bytes_max=1KiB"]);
    let mut client = server.connect();
    client.write("POST /echo HTTP/1.1\r\nhost: example\r\ncontent-length: 1025\r\n\r\n");
    assert_eq!(client.response().0.status, 413);
    assert!(client.is_closed());
}

#[test]
fn user_is_the_one_in_the_path() {
    let server = start();
    let (_, body) = server.connect().get("/users/a%20b?c=d");
    assert_eq!(body, "user a b\n");
}

#[test]
fn what_there_is_not_is_404_and_what_may_not_be_405() {
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.get("/nothing").0.status, 404);
    client.write("DELETE /json HTTP/1.1\r\nhost: example\r\n\r\n");
    let (head, _) = client.response();
    assert_eq!(head.status, 405);
    assert!(head.field("allow").unwrap().contains("GET"), "{head:?}");
}

#[test]
fn delay_and_block_take_the_time_they_are_given() {
    let server = start();
    let mut client = server.connect();
    assert_eq!(client.get("/delay?ms=1").1, "waited 1ms\n");
    assert_eq!(client.get("/delay").1, "waited 100ms\n");
    let (_, body) = client.get("/block?ms=1");
    assert_eq!(body, "blocked a thread of the pool for 1ms\n");
    for target in ["/delay?ms=-1", "/delay?ms=60001", "/block?ms=x"] {
        let (head, body) = client.get(target);
        assert_eq!(head.status, 400, "{target}");
        assert!(body.contains("from 0 to 60000"), "{body}");
    }
}

#[test]
fn waiting_and_blocking_leave_the_others_served() {
    let server = start();
    let (mut waiting, mut blocking) = (server.connect(), server.connect());
    // The greeting in front shows that the request behind it has come.
    for (client, target) in [(&mut waiting, "/delay"), (&mut blocking, "/block")] {
        pipeline(client, &["/plaintext", &format!("{target}?ms=60000")]);
        assert_eq!(client.response().1, "Hello, World!");
    }
    assert_eq!(server.connect().get("/plaintext").1, "Hello, World!");
    assert!(waiting.is_silent() && blocking.is_silent());
}

#[test]
fn stream_comes_in_pieces_while_it_is_made() {
    let server = start();
    let mut client = server.connect();
    let mut came_alone = 0;
    // On a machine that is busy, several pieces may have come before the first is looked at.
    for _ in 0..20 {
        client.ask("/stream", "");
        let head = client.head();
        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
        assert_eq!(head.field("content-length"), None);
        let first = client.chunk().unwrap();
        came_alone += u32::from(client.is_silent());
        let mut chunks = vec![first];
        chunks.extend(client.chunks());
        let expected: Vec<_> = (1..=5)
            .map(|number| format!("chunk {number} of 5\n"))
            .collect();
        assert_eq!(chunks, expected);
        if came_alone > 0 {
            return;
        }
    }
    panic!("the first piece never comes before the others are made");
}

#[test]
fn pipelined_requests_are_answered_in_order_over_one_connection() {
    let server = start();
    let mut client = server.connect();
    pipeline(
        &mut client,
        &[
            "/delay?ms=20",
            "/users/1",
            "/stream",
            "/block?ms=1",
            "/users/2",
        ],
    );
    let bodies: Vec<_> = (0..5).map(|_| client.response().1).collect();
    assert_eq!(bodies[0], "waited 20ms\n");
    assert_eq!(bodies[1], "user 1\n");
    assert!(bodies[2].ends_with("chunk 5 of 5\n"));
    assert!(bodies[3].starts_with("blocked"));
    assert_eq!(bodies[4], "user 2\n");
    client.ask("/plaintext", "connection: close\r\n");
    assert_eq!(client.response().1, "Hello, World!");
    assert!(client.is_closed());
}

#[test]
fn id_of_a_request_is_in_the_response_and_in_the_log() {
    let server = Server::start("http_server", &["--access-log", "--log-format", "json"]);
    let mut client = server.connect();
    client.ask("/users/1", "x-request-id: from-a-test\r\n");
    let (kept, _) = client.response();
    assert_eq!(kept.field("x-request-id"), Some("from-a-test"));
    let (made, _) = client.get("/users/2");
    let made = made.field("x-request-id").unwrap();
    assert_ne!(made, "from-a-test");

    for (path, id) in [("/users/1", "from-a-test"), ("/users/2", made)] {
        let line = server.wait_for_line(path);
        let line: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(line["request_id"], id, "{line}");
        assert_eq!(line["status"], 200, "{line}");
    }
}

#[test]
fn requests_leave_no_line_in_the_log_unless_that_is_asked_for() {
    let server = start();
    assert_eq!(server.connect().get("/plaintext").0.status, 200);
    server.ask_to_end();
    let log = server.wait_until_stopped();
    assert!(!log.contains("/plaintext"), "{log}");
}

#[test]
fn asked_to_end_it_finishes_what_runs() {
    let server = start();
    let (mut client, mut idle) = (server.connect(), server.connect());
    assert_eq!(idle.get("/plaintext").0.status, 200);
    pipeline(&mut client, &["/plaintext", "/delay?ms=500"]);
    assert_eq!(client.response().1, "Hello, World!");
    server.ask_to_end();
    server.wait_for_line("draining");
    assert!(idle.is_closed());
    assert_eq!(client.response().1, "waited 500ms\n");
    assert!(client.is_closed());
    server.wait_until_stopped();
}

/// Sends several requests in one piece.
fn pipeline(client: &mut Client, targets: &[&str]) {
    let head = |target| format!("GET {target} HTTP/1.1\r\nhost: example\r\n\r\n");
    client.write(targets.iter().map(head).collect::<String>());
}

#[cfg(unix)]
#[test]
fn with_a_socket_it_can_be_looked_into_while_it_runs() {
    use monoloop::introspect::{Ask, Client, LoopState, Reply};
    use std::os::unix::fs::PermissionsExt;

    let name = format!("monoloop-example-{}.sock", std::process::id());
    let path = std::env::temp_dir().join(name);
    let server = Server::start("http_server", &["--socket", path.to_str().unwrap()]);
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    let mut client = server.connect();
    client.ask("/delay?ms=60000", "x-request-id: from-a-test\r\n");
    loop {
        let mut reports = Vec::new();
        let asked = Client::new(&path).ask(&Ask::Ps, |reply| reports.push(reply));
        asked.unwrap();
        let [Reply::Tasks(report)] = &reports[..] else {
            panic!("{reports:?}");
        };
        assert_eq!((&*report.program, report.loops.len()), ("http_server", 1));
        assert_eq!(report.loops[0].state, LoopState::Turning);
        let mut tasks = report.loops[0].tasks.iter();
        let request = tasks.find(|task| task.context.values().any(|value| value == "from-a-test"));
        if let Some(task) = request {
            // For its time to pass, and for its client to go away.
            let waits_on = |what: &str| task.waits_on.iter().any(|it| it.what.starts_with(what));
            assert!(waits_on("timer") && waits_on("read"), "{task:?}");
            break;
        }
    }
    // Killed, it leaves the socket behind.
    drop(server);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn stall_is_not_there_unless_it_is_allowed() {
    let server = start();
    assert_eq!(server.connect().get("/stall?ms=1").0.status, 404);
}

#[test]
fn stalling_the_loop_is_logged_with_the_request_its_route_and_where_it_is_stuck() {
    let flags = ["--allow-stall", "--set", "log.format=json"];
    let server = Server::start("http_server", &flags);
    let mut others = server.connect();
    let mut client = server.connect();
    // Both are accepted before the loop is stopped.
    others.get("/plaintext");
    client.get("/plaintext");
    client.ask("/stall?ms=500", "x-request-id: the-culprit\r\n");
    others.ask("/plaintext", "");
    assert_eq!(client.response().1, "stopped the loop for 500ms\n");
    assert_eq!(others.response().1, "Hello, World!");

    let line: Value = serde_json::from_str(&server.wait_for_line("stopped the loop")).unwrap();
    let text = line.to_string();
    for part in ["WARN", "request_id=the-culprit", "route=GET /stall"] {
        assert!(text.contains(part), "{part} is missing: {text}");
    }
    let number = |name: &str| line.pointer(&format!("/{name}")).and_then(Value::as_u64);
    assert!(number("ran_ms").is_some_and(|ms| ms >= 450), "{text}");
    assert!(number("waiting").is_some_and(|tasks| tasks >= 1), "{text}");
    if cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        assert!(text.contains("http_server::stop_the_loop"), "{text}");
    }
}

#[test]
fn messages_come_back_over_a_web_socket() {
    let server = Server::start("http_server", &[]);
    let mut client = server.connect();
    client.ask(
        "/ws",
        "connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    );
    let head = client.head();
    assert_eq!(head.status, 101);
    let accept = head.field("sec-websocket-accept");
    assert_eq!(accept, Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    // Masked with zeros: text, binary.
    client.write(b"\x81\x82\0\0\0\0hi\x82\x81\0\0\0\0\xff");
    assert_eq!(client.bytes(7), b"\x81\x02hi\x82\x01\xff");
    server.ask_to_end();
    let close = client.bytes(19);
    assert_eq!(&close[..4], b"\x88\x11\x03\xe9", "1001: going away");
    client.write(b"\x88\x82\0\0\0\0\x03\xe9");
    assert!(client.is_closed());
}

#[test]
fn a_watchdog_that_is_off_says_nothing() {
    let flags = ["--allow-stall", "--set", "runtime.watchdog=off"];
    let server = Server::start("http_server", &flags);
    server.connect().get("/stall?ms=300");
    server.ask_to_end();
    let log = server.wait_until_stopped();
    assert!(!log.contains("stopped the loop"), "{log}");
}

#[test]
fn in_debug_mode_a_server_that_ends_in_order_leaves_nothing_behind() {
    let mut command = Command::new(path("http_server"));
    command.args(["--listen", "127.0.0.1:0"]);
    let server = Server::wait_until_listening(Example::start_debugging(command));
    server.connect().get("/json");
    server.ask_to_end();
    let log = server.wait_until_stopped();
    assert!(!log.contains("monoloop_runtime::debug"), "{log}");
}

#[test]
fn a_debug_mode_that_there_is_not_is_refused_with_what_there_is() {
    let mut command = Command::new(path("http_server"));
    command.args(["--listen", "127.0.0.1:0"]);
    command.env("MONOLOOP_DEBUG", "maybe");
    let ended = command.output().unwrap();
    let text = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(2), "{text}");
    assert!(
        text.contains("MONOLOOP_DEBUG=\"maybe\"") && text.contains("set 1"),
        "{text}"
    );
}

#[test]
fn watched_from_beside_it_tells_what_it_has_done() {
    let flags = ["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    let timing = ["--set", "admin.server_timing=true"];
    let example = Example::start("http_server", &[&flags[..], &timing].concat());
    let admin = address_in(&example.wait_for_line("metrics and health"));
    let server = Server::wait_until_listening(example);

    let (head, _) = server.connect().get("/plaintext");
    let timing = head.field("server-timing").unwrap();
    assert!(timing.starts_with("queue;dur="), "{timing}");

    let (_, metrics) = Client::connect(admin).get("/metrics");
    let counted = "monoloop_route_responses_total{route=\"GET /plaintext\",class=\"2xx\"} 1\n";
    assert!(metrics.contains(counted), "{metrics}");
    let (_, ledger) = Client::connect(admin).get("/ledger");
    let ledger: Value = serde_json::from_str(&ledger).unwrap();
    assert_eq!(ledger["requests"]["ended"]["ok"], 1);
    server.ask_to_end();
    server.wait_until_stopped();
}

#[test]
#[cfg(unix)]
fn hangup_ends_no_server_that_has_nothing_to_reload() {
    let server = Server::start("http_server", &[]);
    server.ask_to_reload();
    server.wait_for_line("SIGHUP: there are no certificates to be reloaded");
    assert_eq!(server.connect().get("/plaintext").1, "Hello, World!");
    server.ask_to_end();
    server.wait_until_stopped();
}
