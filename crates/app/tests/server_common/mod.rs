//! What the tests of the server share: a server and its clients on one loop whose time jumps,
//! the balance at the end, and a client that sees every byte.
//!
//! Clients are plain sockets, and no timeout is waited for: when nothing happens for two
//! milliseconds the loop's clock jumps to the next deadline.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::net::{Shutdown as Direction, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use http::Method;
use monoloop::net::TcpStream;
use monoloop::time::{self, sleep};
use monoloop::{
    ClockMode, DrainReport, Ledger, Limits, Router, Runtime, Server, Shutdown, Timeouts, yield_now,
};
use monoloop_proto::http1::{AtEof, Decoded, ResponseBodyLength, Responses};

/// Longer than all timeouts of the server together. A test that takes longer waits in vain.
const TEST_TIME_MAX: Duration = Duration::from_secs(20 * 365 * 86_400);

pub(crate) fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A server on a port of the kernel's choice.
pub(crate) fn server() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

/// A server that waits for ever.
pub(crate) fn patient_server() -> Server {
    server().timeouts(NO_TIMEOUTS)
}

pub(crate) const NO_TIMEOUTS: Timeouts = Timeouts {
    head: None,
    idle: None,
    body: None,
    body_bytes_per_second_min: None,
    handler: None,
    write: None,
    write_bytes_per_second_min: None,
    tls_handshake: None,
};

/// Runs a test beside a server on the same loop, drains the server, and ends on the balance.
pub(crate) fn serve(app: impl Fn() -> Router, test: impl AsyncFnOnce(&Site)) -> DrainReport {
    serve_with(&server(), app, test)
}

/// [`serve`] with a server that was set up otherwise.
pub(crate) fn serve_with(
    server: &Server,
    app: impl Fn() -> Router,
    test: impl AsyncFnOnce(&Site),
) -> DrainReport {
    serve_by(ClockMode::Jumping, server, app, test)
}

/// [`serve_with`] on the system's clock: for large transfers, in which the kernel takes its
/// time, and a clock that jumps would take that for silence.
pub(crate) fn serve_in_real_time(
    server: &Server,
    app: impl Fn() -> Router,
    test: impl AsyncFnOnce(&Site),
) -> DrainReport {
    serve_by(ClockMode::System, server, app, test)
}

fn serve_by(
    clock: ClockMode,
    server: &Server,
    app: impl Fn() -> Router,
    test: impl AsyncFnOnce(&Site),
) -> DrainReport {
    let mut runtime = Runtime::builder().clock(clock).build().unwrap();
    let ledger = server.ledger();
    let report = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let serving = server.spawn(app, &shutdown).unwrap();
        let site = Site {
            address: serving.local_addr(),
            shutdown: shutdown.clone(),
            started_at: time::now(),
        };
        let time_max = match clock {
            ClockMode::System => secs(30),
            _ => TEST_TIME_MAX,
        };
        let tested = time::timeout(time_max, test(&site)).await;
        tested.expect("the test waits for something that never comes");
        shutdown.drain();
        serving.wait().await
    });
    assert_balance(&mut runtime);
    assert_accounted(&ledger);
    report
}

/// Nothing is in flight, and all that started has ended in one reason.
pub(crate) fn assert_accounted(ledger: &Ledger) {
    let seen = ledger.snapshot();
    seen.check().unwrap();
    let in_flight = (seen.connections.in_flight(), seen.requests.in_flight());
    assert_eq!(in_flight, (0, 0), "{seen:?}");
}

/// Nothing is left of what ran.
pub(crate) fn assert_balance(runtime: &mut Runtime) {
    runtime.block_on(turns(5));
    let stats = runtime.stats();
    assert_eq!(
        (stats.tasks, stats.timers, stats.sockets),
        (0, 0, 0),
        "tasks, timers and sockets are left: {stats:?}"
    );
}

/// Lets the loop take so many turns.
pub(crate) async fn turns(count: usize) {
    for _ in 0..count {
        yield_now().await;
    }
}

/// Waits until all is quiet: sockets have nothing to report and no task is ready. Costs a
/// millisecond of the loop's time.
pub(crate) async fn quiet() {
    sleep(ms(1)).await;
}

/// A server that is up.
pub(crate) struct Site {
    pub(crate) address: SocketAddr,
    pub(crate) shutdown: Shutdown,
    started_at: Instant,
}

impl Site {
    pub(crate) async fn connect(&self) -> Client {
        Client::new(TcpStream::connect(self.address).await.unwrap())
    }

    /// A client that has sent something.
    pub(crate) async fn send(&self, bytes: impl AsRef<[u8]>) -> Client {
        let mut client = self.connect().await;
        client.send(bytes).await;
        client
    }

    /// One request on a connection of its own.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.connect().await.get(path).await
    }

    /// The loop's time since the server started, in whole seconds.
    pub(crate) fn seconds(&self) -> u64 {
        (time::now() - self.started_at).as_secs()
    }
}

/// The head of a GET, and so all of it.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

/// A POST whose length is announced.
pub(crate) fn post(path: &str, body: &str) -> String {
    let length = body.len();
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}")
}

/// The head of a chunked POST.
pub(crate) fn post_chunked(path: &str) -> String {
    format!("POST {path} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
}

/// The other end of a connection.
pub(crate) struct Client {
    stream: TcpStream,
    responses: Responses,
    /// What was received and not looked at yet.
    received: Vec<u8>,
}

/// A response as it arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) length: ResponseBodyLength,
    pub(crate) body: Vec<u8>,
    /// Whether the response says that the connection is kept.
    pub(crate) keep_alive: bool,
    /// Whether all of it came.
    pub(crate) is_whole: bool,
}

impl Answer {
    /// The value of the field of this name, which is there once at most.
    #[track_caller]
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// Asserts a status and that the connection is closed behind it.
    #[track_caller]
    pub(crate) fn assert_last(&self, status: u16) {
        assert_eq!(
            (self.status, self.field("connection"), self.is_whole),
            (status, Some("close"), true),
            "{self:?}"
        );
    }

    /// Asserts a status and that the connection is kept.
    #[track_caller]
    pub(crate) fn assert_kept(&self, status: u16) {
        assert_eq!(
            (self.status, self.keep_alive, self.is_whole),
            (status, true, true),
            "{self:?}"
        );
    }
}

impl Client {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Client {
            stream,
            responses: Responses::new(Rc::new(Limits::default())),
            received: Vec::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    /// Sends as much as the server takes before it closes.
    pub(crate) async fn send_until_closed(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    /// Sends, if there still is somebody to be sent to.
    pub(crate) async fn send_and_see(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends nothing more; still reads.
    pub(crate) fn finish(&mut self) {
        self.stream.shutdown(Direction::Write).unwrap();
    }

    /// Goes away with a reset: the kernel sends one when a socket is closed that has bytes
    /// nobody has read.
    pub(crate) async fn reset(mut self, site_path: &str) {
        self.send(get(site_path)).await;
        quiet().await;
        drop(self);
        quiet().await;
    }

    pub(crate) async fn get(&mut self, path: &str) -> Answer {
        self.send(get(path)).await;
        self.answer().await
    }

    /// The next response.
    pub(crate) async fn answer(&mut self) -> Answer {
        self.answer_to(&Method::GET).await
    }

    /// The next response, to a request with this method.
    pub(crate) async fn answer_to(&mut self, method: &Method) -> Answer {
        let (answer, error) = self.try_answer_to(method).await;
        assert!(error.is_none(), "{error:?} in {answer:?}");
        answer.expect("the connection was closed instead of answered")
    }

    /// The next response as far as it came, and what broke it off.
    pub(crate) async fn try_answer_to(
        &mut self,
        method: &Method,
    ) -> (Option<Answer>, Option<io::Error>) {
        self.responses.expect(method);
        let mut answer: Option<Answer> = None;
        loop {
            let mut input = &self.received[..];
            let ended = loop {
                match self.responses.decode(&mut input).expect("a response") {
                    Decoded::Head(head) => {
                        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                        answer = Some(Answer {
                            status: head.status.as_u16(),
                            fields: head
                                .headers()
                                .filter(|(name, _)| !name.is_empty())
                                .map(|(name, value)| (text(name), text(value)))
                                .collect(),
                            length: head.length,
                            body: Vec::new(),
                            keep_alive: head.keep_alive,
                            is_whole: false,
                        });
                    }
                    Decoded::Body(piece) => {
                        answer.as_mut().unwrap().body.extend_from_slice(piece);
                    }
                    Decoded::End { .. } => break true,
                    Decoded::NeedData => break false,
                }
            };
            let left = input.len();
            self.received.drain(..self.received.len() - left);
            if ended {
                answer.as_mut().unwrap().is_whole = true;
                return (answer, None);
            }
            match self.stream.receive().await {
                Ok(chunk) if chunk.is_empty() => {
                    if let Ok(AtEof::EndOfMessage) = self.responses.decode_eof()
                        && let Some(answer) = &mut answer
                    {
                        answer.is_whole = true;
                    }
                    return (answer, None);
                }
                Ok(chunk) => self.received.extend_from_slice(&chunk),
                Err(error) => return (answer, Some(error)),
            }
        }
    }

    /// Exactly so many bytes, as text.
    pub(crate) async fn take(&mut self, count: usize) -> String {
        while self.received.len() < count {
            let chunk = self.stream.receive().await.unwrap();
            assert!(
                !chunk.is_empty(),
                "closed behind {:?}",
                self.received_text()
            );
            self.received.extend_from_slice(&chunk);
        }
        let rest = self.received.split_off(count);
        let taken = std::mem::replace(&mut self.received, rest);
        String::from_utf8(taken).unwrap()
    }

    /// What is there by now, without waiting for more.
    pub(crate) async fn take_what_came(&mut self) -> String {
        String::from_utf8_lossy(&self.take_what_came_bytes().await).into_owned()
    }

    /// What is there by now, without waiting for more.
    pub(crate) async fn take_what_came_bytes(&mut self) -> Vec<u8> {
        quiet().await;
        loop {
            let mut receiving = pin!(self.stream.receive());
            let polled = poll_fn(|cx| Poll::Ready(receiving.as_mut().poll(cx))).await;
            match polled {
                Poll::Ready(Ok(chunk)) if !chunk.is_empty() => {
                    self.received.extend_from_slice(&chunk);
                }
                _ => break,
            }
        }
        std::mem::take(&mut self.received)
    }

    /// All that comes until the server closes, which it does without a reset.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        loop {
            let chunk = self.stream.receive().await.expect("closed, not reset");
            if chunk.is_empty() {
                return std::mem::take(&mut self.received);
            }
            self.received.extend_from_slice(&chunk);
        }
    }

    /// Asserts that the server closes without another word, and without a reset.
    pub(crate) async fn assert_closed(&mut self) {
        let rest = self.rest().await;
        assert_eq!(rest.escape_ascii().to_string(), "");
    }

    /// Reads so many bytes at most.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> usize {
        self.stream.read(buffer).await.unwrap()
    }

    /// Reads so many bytes at most, or learns why it cannot.
    pub(crate) async fn read_result(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    fn received_text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }
}

/// Tells whether something was dropped.
#[derive(Clone, Default)]
pub(crate) struct Dropped(Rc<Cell<bool>>);

impl Dropped {
    pub(crate) fn get(&self) -> bool {
        self.0.get()
    }

    /// What tells when it is dropped.
    pub(crate) fn guard(&self) -> DropGuard {
        DropGuard(self.0.clone())
    }
}

pub(crate) struct DropGuard(Rc<Cell<bool>>);

impl Drop for DropGuard {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// A number that handlers and tests share.
#[derive(Clone, Default)]
pub(crate) struct Counter(Rc<Cell<usize>>);

impl Counter {
    pub(crate) fn add(&self) -> usize {
        self.0.set(self.0.get() + 1);
        self.0.get()
    }

    pub(crate) fn get(&self) -> usize {
        self.0.get()
    }
}
