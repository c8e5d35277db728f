//! What the behaviour tests share: loops on a clock that jumps, the balance at their end, and
//! small instruments (a journal, a drop guard, a pair of connected sockets, a log capture).

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::{ClockMode, Runtime, yield_now};
use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

pub(crate) fn any_port() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

/// A loop whose time jumps to the next deadline when all is quiet.
pub(crate) fn jumping() -> Runtime {
    Runtime::builder()
        .clock(ClockMode::Jumping)
        .build()
        .unwrap()
}

/// A loop whose time stands still until it is advanced.
pub(crate) fn manual() -> Runtime {
    Runtime::builder().clock(ClockMode::Manual).build().unwrap()
}

/// Runs a test on a loop of its own whose time jumps, and ends on the balance.
#[track_caller]
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let mut runtime = jumping();
    let output = runtime.block_on(test);
    assert_balance(&mut runtime);
    output
}

/// Nothing is left of what ran. Tasks that were cancelled or hung up on last get the turns
/// they need to end.
#[track_caller]
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

/// The waker of the running task.
pub(crate) async fn own_waker() -> Waker {
    poll_fn(|cx| Poll::Ready(cx.waker().clone())).await
}

/// Polls a future once, with the waker of the running task.
pub(crate) async fn poll_once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(std::pin::Pin::new(&mut *future).poll(cx))).await
}

/// What happened, in order.
#[derive(Debug)]
pub(crate) struct Journal<T>(Rc<RefCell<Vec<T>>>);

impl<T> Clone for Journal<T> {
    fn clone(&self) -> Self {
        Journal(self.0.clone())
    }
}

impl<T> Default for Journal<T> {
    fn default() -> Self {
        Journal(Rc::default())
    }
}

impl<T> Journal<T> {
    pub(crate) fn add(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    pub(crate) fn take(&self) -> Vec<T> {
        self.0.take()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }
}

/// Runs a function when it is dropped.
pub(crate) struct OnDrop<F: FnOnce()>(Option<F>);

pub(crate) fn on_drop<F: FnOnce()>(f: F) -> OnDrop<F> {
    OnDrop(Some(f))
}

impl<F: FnOnce()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0.take().unwrap())();
    }
}

/// Two connected sockets: the one that connected, the one that was accepted.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let mut listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    let connecting = monoloop_runtime::spawn(TcpStream::connect(address));
    let (accepted, _) = listener.accept().await.unwrap();
    (connecting.await.unwrap().unwrap(), accepted)
}

/// A socket of the loop's, and its peer as plain blocking socket of the standard library.
pub(crate) async fn with_plain_peer() -> (TcpStream, std::net::TcpStream) {
    let mut listener = TcpListener::bind(any_port()).unwrap();
    let address = listener.local_addr().unwrap();
    // The kernel completes the connection from the backlog.
    let peer = std::net::TcpStream::connect(address).unwrap();
    (listener.accept().await.unwrap().0, peer)
}

/// Waits, in turns of the loop, until `condition` holds.
pub(crate) async fn until(mut condition: impl FnMut() -> bool) {
    while !condition() {
        yield_now().await;
    }
}

/// A waker that runs a function.
pub(crate) struct OnWake<F: Fn() + Send + Sync>(pub(crate) F);

impl<F: Fn() + Send + Sync + 'static> Wake for OnWake<F> {
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

/// The lines logged on this thread while `f` ran: each with its level and its fields.
pub(crate) fn logged<R>(f: impl FnOnce() -> R) -> (R, Vec<String>) {
    logged_live(|_| f())
}

/// [`logged`], for who wants to see the lines meanwhile.
pub(crate) fn logged_live<R>(f: impl FnOnce(&Lines) -> R) -> (R, Vec<String>) {
    let lines = Lines::default();
    let result = tracing::subscriber::with_default(lines.clone(), || f(&lines));
    (result, lines.so_far())
}

#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    pub(crate) fn so_far(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl tracing::Subscriber for Lines {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        let target = event.metadata().target();
        // mio logs each registration.
        if target.starts_with("monoloop") {
            let mut fields = Fields(event.metadata().level().to_string());
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}

struct Fields(String);

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        self.0 += &format!(" {}={value:?}", field.name());
    }
}

thread_local! { static SILENT: Cell<u32> = const { Cell::new(0) }; }

/// Hides the messages of panics that a test makes on purpose, in this thread, until it is
/// dropped.
pub(crate) struct Silence(());

impl Default for Silence {
    fn default() -> Self {
        static HOOK: std::sync::Once = std::sync::Once::new();
        HOOK.call_once(|| {
            let loud = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                if SILENT.get() == 0 {
                    loud(info);
                }
            }));
        });
        SILENT.set(SILENT.get() + 1);
        Silence(())
    }
}

impl Drop for Silence {
    fn drop(&mut self) {
        SILENT.set(SILENT.get() - 1);
    }
}

/// Runs `f` without printing its panics.
pub(crate) fn quietly<R>(f: impl FnOnce() -> R) -> R {
    let _silence = Silence::default();
    f()
}

/// The message of a panic.
pub(crate) fn panic_message(f: impl FnOnce()) -> String {
    let caught = quietly(|| std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)));
    let payload = caught.expect_err("it should have panicked");
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().unwrap().to_string(),
    }
}

/// Closes a connection so that the peer sees a reset.
pub(crate) fn reset(stream: std::net::TcpStream) {
    let socket = socket2::Socket::from(stream);
    socket.set_linger(Some(Duration::ZERO)).unwrap();
}

/// Runs a test in a process of its own: this test binary once more, for the test of that name.
pub(crate) fn child(name: &str, test: impl FnOnce()) {
    const INSIDE: &str = "MONOLOOP_TEST_CHILD";
    if std::env::var_os(INSIDE).is_some() {
        return test();
    }
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
