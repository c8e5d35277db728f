//! Connections that are accepted only to be told that there is no place for them.

use crate::ledger::{Account, Reason};
use crate::loop_state::LoopState;
use monoloop_runtime::net::TcpStream;
use monoloop_runtime::{spawn, time};
use std::cell::Cell;
use std::net::Shutdown;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

/// As short as an answer can be that a person understands, too.
const TOO_MANY: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\n\
    content-type: text/plain; charset=utf-8\r\n\
    content-length: 36\r\n\
    retry-after: 1\r\n\
    connection: close\r\n\
    \r\n\
    too many connections from this peer\n";

/// How long one is told and read from, so that a reset does not overtake the answer (RFC 9112 §9.6).
const LINGER: Duration = Duration::from_secs(1);

/// How many are, at a time, and how much of each. More are closed at once: being polite is not to cost
/// what the limit saves.
const LINGERING_MAX: u32 = 64;
const LINGER_BYTES_MAX: usize = 64 * 1024;

/// Connections that were turned away.
#[derive(Debug, Default)]
pub(crate) struct TurnedAway {
    lingering: Cell<u32>,
    pub(crate) count: Cell<u64>,
}

/// Tells a peer that it has all the connections that it may have, and closes.
pub(crate) fn turn_away(mut stream: TcpStream, shared: &Rc<LoopState>) {
    Account::open(shared.book.clone()).judge(Reason::Limit);
    let turned_away = &shared.turned_away;
    turned_away.count.set(turned_away.count.get() + 1);
    // A handshake first would cost what the limit saves.
    if shared.transports.have_handshake() || turned_away.lingering.get() >= LINGERING_MAX {
        return;
    }
    let leaving = Lingering::enter(shared);
    drop(spawn(async move {
        // Whatever comes, and however it ends.
        let _ = time::timeout(LINGER, tell_and_read_away(&mut stream)).await;
        drop(leaving);
    }));
}

async fn tell_and_read_away(stream: &mut TcpStream) {
    let told = stream.write_all(TOO_MANY).await;
    if told.is_err() || stream.shutdown(Shutdown::Write).is_err() {
        return;
    }
    let mut left = LINGER_BYTES_MAX;
    std::future::poll_fn(|cx| {
        loop {
            match stream.poll_receive(cx) {
                Poll::Ready(Ok(chunk)) if !chunk.is_empty() && chunk.len() < left => {
                    left -= chunk.len();
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

struct Lingering(Rc<LoopState>);

impl Lingering {
    fn enter(shared: &Rc<LoopState>) -> Self {
        let lingering = &shared.turned_away.lingering;
        lingering.set(lingering.get() + 1);
        Lingering(shared.clone())
    }
}

impl Drop for Lingering {
    fn drop(&mut self) {
        let lingering = &self.0.turned_away.lingering;
        lingering.set(lingering.get() - 1);
    }
}
