//! Reading the standard input.

use crate::runtime::current;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, Read};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::thread;

/// Bytes that are asked for at a time: what a pipe gives at once at most (pipe(7)).
const READ_BYTES: usize = 64 * 1024;

static STDIN: LazyLock<Shared> = LazyLock::new(Shared::default);

/// The standard input.
#[must_use]
pub fn stdin() -> Stdin {
    Stdin {
        shared: &STDIN,
        line_bytes_max: Stdin::LINE_BYTES_MAX,
    }
}

/// The standard input. There is one in the process, so all of these read from the same buffer:
/// each byte goes to one of them.
///
/// A thread asks the system for input while somebody waits for some, and not before; what comes
/// when nobody waits any more stays in the buffer. So the input that a child process, or
/// [`std::io::stdin`], is to have should not be waited for here.
pub struct Stdin {
    shared: &'static Shared,
    line_bytes_max: usize,
}

impl Stdin {
    /// The longest line by default: 1 MiB. It bounds memory, no line that is meant to be one
    /// comes near it.
    pub const LINE_BYTES_MAX: usize = 1024 * 1024;

    /// Sets how long a line may be.
    #[must_use]
    pub fn line_bytes_max(mut self, bytes: usize) -> Self {
        self.line_bytes_max = bytes;
        self
    }

    /// Reads what has come into `buffer`, and returns how many bytes that were; 0 at the end of
    /// the input, or when `buffer` is empty. At a terminal there may be more after an end.
    ///
    /// # Errors
    /// What the operating system says.
    ///
    /// # Panics
    /// When the thread has no loop.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || current().is_simulated() {
            return Ok(0);
        }
        poll_fn(|cx| {
            ready!(current().poll_budget(cx));
            self.shared.poll(cx, |state| state.take_some(buffer))
        })
        .await
    }

    /// Reads a line, and returns it without its end (`\n` or `\r\n`); `None` at the end of the
    /// input. What comes before that without the end of a line counts as one.
    ///
    /// # Errors
    /// What the operating system says. `InvalidData` when the line is not UTF-8, then it is
    /// dropped; and when it is longer than [allowed](Stdin::line_bytes_max), then it stays, for
    /// [`read`](Stdin::read) or a higher limit.
    ///
    /// # Panics
    /// When the thread has no loop.
    ///
    /// # Cancel safety
    /// Nothing is lost: half a line stays in the buffer.
    pub async fn read_line(&mut self) -> io::Result<Option<String>> {
        if current().is_simulated() {
            return Ok(None);
        }
        let bytes_max = self.line_bytes_max;
        let line = poll_fn(|cx| {
            ready!(current().poll_budget(cx));
            self.shared.poll(cx, |state| state.take_line(bytes_max))
        })
        .await?;
        let text = line.map(String::from_utf8).transpose();
        text.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stdin")
            .field("line_bytes_max", &self.line_bytes_max)
            .finish_non_exhaustive()
    }
}

/// What those who want input and the thread that gets it have in common.
#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    wanted: Condvar,
}

#[derive(Default)]
struct State {
    bytes: Vec<u8>,
    /// Those before it were handed out.
    start: usize,
    /// In those before it there is no end of a line.
    scanned: usize,
    phase: Phase,
    waiting: Vec<Waker>,
    has_thread: bool,
}

/// ```text
///   Idle --somebody wants more--> Reading --bytes--> Idle
///                                    \--end, error--> Ended --told to one--> Idle
/// ```
#[derive(Default)]
enum Phase {
    #[default]
    Idle,
    Reading,
    Ended(io::Result<()>),
}

impl Shared {
    /// Takes from the buffer; when that has not enough, asks for more.
    fn poll<T>(
        &'static self,
        cx: &Context<'_>,
        mut take: impl FnMut(&mut State) -> Option<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        // Cloning and dropping a waker may run user code: not under the lock.
        let waker = cx.waker().clone();
        let mut state = self.lock();
        if let Some(taken) = take(&mut state) {
            return Poll::Ready(taken);
        }
        if matches!(state.phase, Phase::Idle) {
            if !state.has_thread {
                start_thread(self)?;
                state.has_thread = true;
            }
            state.phase = Phase::Reading;
            self.wanted.notify_one();
        }
        if !state.waiting.iter().any(|other| other.will_wake(&waker)) {
            state.waiting.push(waker);
        }
        Poll::Pending
    }

    /// Reads whenever somebody wants more, for as long as the process lives.
    fn serve(&self, mut input: impl Read) {
        let mut buffer = vec![0; READ_BYTES];
        loop {
            let mut state = self.lock();
            while !matches!(state.phase, Phase::Reading) {
                let woken = self.wanted.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            drop(state);
            let read = loop {
                match input.read(&mut buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    read => break read,
                }
            };
            let mut state = self.lock();
            state.phase = match read {
                Ok(0) => Phase::Ended(Ok(())),
                Ok(count) => {
                    state.append(&buffer[..count]);
                    Phase::Idle
                }
                Err(error) => Phase::Ended(Err(error)),
            };
            let waiting = std::mem::take(&mut state.waiting);
            drop(state);
            for waker in waiting {
                waker.wake();
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nobody panics while holding it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn start_thread(shared: &'static Shared) -> io::Result<()> {
    thread::Builder::new()
        .name("monoloop-stdin".into())
        .spawn(move || shared.serve(io::stdin()))?;
    Ok(())
}

impl State {
    fn append(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.scanned -= self.start;
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    fn hand_out(&mut self, count: usize) {
        self.start += count;
        self.scanned = self.scanned.max(self.start);
    }

    /// The end of the input, or why it cannot be read: told once.
    fn take_end(&mut self) -> Option<io::Result<()>> {
        match std::mem::take(&mut self.phase) {
            Phase::Ended(how) => Some(how),
            other @ (Phase::Idle | Phase::Reading) => {
                self.phase = other;
                None
            }
        }
    }

    /// Bytes into `buffer`; 0 at the end.
    fn take_some(&mut self, buffer: &mut [u8]) -> Option<io::Result<usize>> {
        let there = &self.bytes[self.start..];
        if there.is_empty() {
            return self.take_end().map(|how| how.map(|()| 0));
        }
        let count = there.len().min(buffer.len());
        buffer[..count].copy_from_slice(&there[..count]);
        self.hand_out(count);
        Some(Ok(count))
    }

    /// A line without its end; `None` inside at the end of the input.
    fn take_line(&mut self, bytes_max: usize) -> Option<io::Result<Option<Vec<u8>>>> {
        let unseen = &self.bytes[self.scanned..];
        let end = unseen.iter().position(|byte| *byte == b'\n');
        let length = match end {
            Some(end) => self.scanned + end - self.start,
            None => self.bytes.len() - self.start,
        };
        if length > bytes_max {
            return Some(Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("a line of input is longer than the {bytes_max} bytes allowed"),
            )));
        }
        if end.is_some() {
            let mut line = self.bytes[self.start..self.start + length].to_vec();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
            self.hand_out(length + 1);
            return Some(Ok(Some(line)));
        }
        self.scanned = self.bytes.len();
        match self.take_end()? {
            Err(error) => Some(Err(error)),
            Ok(()) if length == 0 => Some(Ok(None)),
            Ok(()) => {
                let line = self.bytes[self.start..].to_vec();
                self.hand_out(length);
                Some(Ok(Some(line)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, Sender, channel};

    /// An input whose pieces a test gives one by one.
    struct Pieces(Receiver<io::Result<Vec<u8>>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let piece = self.0.recv().unwrap_or(Ok(Vec::new()))?;
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    /// A standard input of the test's own.
    fn input() -> (&'static Shared, Sender<io::Result<Vec<u8>>>) {
        let shared: &'static Shared = Box::leak(Box::default());
        shared.lock().has_thread = true;
        let (give, pieces) = channel();
        thread::spawn(move || shared.serve(Pieces(pieces)));
        (shared, give)
    }

    fn bytes(text: &str) -> io::Result<Vec<u8>> {
        Ok(text.as_bytes().to_vec())
    }

    fn poll_line(shared: &'static Shared, bytes_max: usize) -> Poll<io::Result<Option<String>>> {
        let cx = Context::from_waker(Waker::noop());
        let line = ready!(shared.poll(&cx, |state| state.take_line(bytes_max)));
        Poll::Ready(line.map(|line| line.map(|line| String::from_utf8(line).unwrap())))
    }

    /// Waits for a line, polling: each poll is one whose future is dropped.
    fn line(shared: &'static Shared) -> io::Result<Option<String>> {
        loop {
            if let Poll::Ready(line) = poll_line(shared, 100) {
                return line;
            }
            thread::yield_now();
        }
    }

    #[test]
    fn a_line_that_comes_in_pieces_survives_every_reader_that_gives_up() {
        let (shared, give) = input();
        for piece in ["he", "l", "lo\nwor", "ld\r\n", "\n", "rest"] {
            give.send(bytes(piece)).unwrap();
        }
        // From here on the input has ended.
        drop(give);
        let mut lines = Vec::new();
        while let Some(line) = line(shared).unwrap() {
            lines.push(line);
        }
        assert_eq!(lines, ["hello", "world", "", "rest"]);
    }

    #[test]
    fn nothing_is_asked_of_the_system_before_somebody_wants_it() {
        let (shared, give) = input();
        give.send(bytes("first\n")).unwrap();
        give.send(bytes("second\n")).unwrap();
        assert_eq!(line(shared).unwrap().as_deref(), Some("first"));
        let state = shared.lock();
        assert!(state.bytes[state.start..].is_empty());
        assert!(matches!(state.phase, Phase::Idle));
        drop(state);
        assert_eq!(line(shared).unwrap().as_deref(), Some("second"));
    }

    #[test]
    fn a_line_that_is_too_long_stays_for_who_takes_it_otherwise() {
        let (shared, give) = input();
        give.send(bytes("0123456789\nnext\n")).unwrap();
        assert!(poll_line(shared, 9).is_pending());
        while !matches!(shared.lock().phase, Phase::Idle) {
            thread::yield_now();
        }
        for _ in 0..2 {
            let Poll::Ready(Err(error)) = poll_line(shared, 9) else {
                panic!("it is too long");
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let mut buffer = [0; 4];
        let taken = shared.lock().take_some(&mut buffer);
        assert_eq!(taken.unwrap().unwrap(), 4);
        assert_eq!(line(shared).unwrap().as_deref(), Some("456789"));
        assert_eq!(line(shared).unwrap().as_deref(), Some("next"));
    }

    #[test]
    fn an_error_and_an_end_are_told_once_and_then_it_is_asked_again() {
        let (shared, give) = input();
        give.send(Err(io::ErrorKind::PermissionDenied.into()))
            .unwrap();
        assert_eq!(
            line(shared).unwrap_err().kind(),
            io::ErrorKind::PermissionDenied
        );
        give.send(Ok(Vec::new())).unwrap();
        assert_eq!(line(shared).unwrap(), None);
        give.send(bytes("after the end\n")).unwrap();
        assert_eq!(line(shared).unwrap().as_deref(), Some("after the end"));
    }
}
