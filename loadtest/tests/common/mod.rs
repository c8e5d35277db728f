//! Runs the `loadtest` binary, against servers that a test writes itself.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::thread;

use serde_json::Value;

/// What a run printed, how it ended, and what it wrote.
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub code: Option<i32>,
    /// The JSON file; null when none was written.
    pub json: Value,
}

/// Runs `loadtest` with the words of `line`, and with `--json`.
pub fn loadtest(line: &str) -> Run {
    let directory = tempfile::tempdir().expect("a directory");
    let json = directory.path().join("result.json");
    let output = command(line)
        .arg("--json")
        .arg(&json)
        .output()
        .expect("the binary runs");
    Run::of(&output, &std::fs::read_to_string(json).unwrap_or_default())
}

/// Runs `loadtest` with exactly these arguments.
pub fn loadtest_args(arguments: &[&str]) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_loadtest"))
        .args(arguments)
        .output();
    Run::of(&output.expect("the binary runs"), "")
}

/// Starts `loadtest` and leaves it running.
pub fn start(line: &str) -> Child {
    command(line)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts")
}

fn command(line: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_loadtest"));
    command.args(line.split_ascii_whitespace());
    command
}

impl Run {
    pub fn of(output: &Output, json: &str) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout.clone()).expect("text"),
            stderr: String::from_utf8(output.stderr.clone()).expect("text"),
            code: output.status.code(),
            json: serde_json::from_str(json).unwrap_or(Value::Null),
        }
    }

    /// The number at `pointer`, such as `/requests/answered`.
    pub fn number(&self, pointer: &str) -> u64 {
        let value = self.json.pointer(pointer);
        let number = value.and_then(Value::as_u64);
        number.unwrap_or_else(|| panic!("no number at {pointer}: {value:?}\n{self:?}"))
    }

    pub fn assert_code(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self:?}");
    }
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "exit {:?}\n{}\n{}\n{:#}",
            self.code, self.stdout, self.stderr, self.json
        )
    }
}

/// Serves each connection of a new port with `serve`, on a thread of its own, until the test ends.
pub fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    address
}

/// A port on which nothing listens.
pub fn refused_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}

/// Answers each request with `answer(number of the request on this connection)`, until the peer
/// closes or there is no answer.
pub fn answer_each(mut stream: TcpStream, answer: impl Fn(usize) -> Option<String>) {
    let mut number = 0;
    while read_head(&mut stream).is_some() {
        let Some(answer) = answer(number) else {
            return finish(stream);
        };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
        number += 1;
    }
}

/// Closes without a reset: closing with bytes unread would destroy answers on their way.
fn finish(mut stream: TcpStream) {
    if stream.shutdown(Shutdown::Write).is_ok() {
        let _ = std::io::copy(&mut stream, &mut std::io::sink());
    }
}

/// Reads one request without a body; `None` when the peer has finished.
pub fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 {
            return None;
        }
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}

/// A response of 200 with this body.
pub fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
