//! What became of every connection and every request.
//!
//! Each ends in exactly one [`Reason`], so that at any moment
//!
//! ```text
//! started = the sum of all reasons + in flight
//! ```
//!
//! A connection has an account from when it is accepted until it is dropped; the numbers are in
//! a book for each loop, which other threads may read. Counting a plain request costs some
//! ten instructions, none of them locked.
//!
//! When a request starts: when its head is whole, or when it is refused instead. When it ends:
//! when the system has taken the last byte of its answer, or when something else has put an end
//! to it. Whatever is left over when a connection ends has ended with it; of several answers that
//! were to be written together and broke off, that is all of them.

mod account;
mod book;
mod reason;
mod routes;
mod snapshot;
mod verdict;

pub(crate) use account::Account;
pub(crate) use book::LoopBook;
pub use reason::Reason;
pub(crate) use routes::{BUCKETS, RouteBook, RouteTally, bucket_end};
pub use snapshot::{LedgerSnapshot, Responses, Tally, Unbalanced};

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The ledger of a server: reads the books of all of its loops, from any thread.
///
/// ```no_run
/// use monoloop::{Reason, Router, Server};
///
/// let server = Server::bind("127.0.0.1:8080")?.start(|| Router::new())?;
/// let ledger = server.ledger();
/// server.stop();
/// let seen = ledger.snapshot();
/// assert_eq!(seen.check(), Ok(()));
/// println!("{} of {} requests", seen.requests.ended_in(Reason::Ok), seen.requests.started());
/// # Ok::<(), monoloop::ServerError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    books: Arc<Mutex<Vec<Arc<LoopBook>>>>,
}

impl Ledger {
    /// The sum of all loops, those that have ended included.
    #[must_use]
    pub fn snapshot(&self) -> LedgerSnapshot {
        self.books().iter().map(|book| book.snapshot()).sum()
    }

    /// What was answered for each route, of all loops.
    pub(crate) fn routes(&self) -> Vec<RouteTally> {
        let books = self.books();
        let mut routes = books.iter().filter_map(|book| book.routes.as_ref());
        let Some(mut all) = routes.next().map(RouteBook::read) else {
            return Vec::new();
        };
        for more in routes {
            routes::add(&mut all, more.read());
        }
        all
    }

    /// Whether a loop still serves.
    pub(crate) fn is_serving(&self) -> bool {
        self.books().iter().any(|book| !book.is_over())
    }

    /// A book for one more loop.
    pub(crate) fn new_book(&self, routes: Option<RouteBook>) -> Arc<LoopBook> {
        let book = Arc::new(LoopBook::new(routes));
        self.books().push(book.clone());
        book
    }

    fn books(&self) -> MutexGuard<'_, Vec<Arc<LoopBook>>> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LoopBook {
    pub(crate) fn snapshot(&self) -> LedgerSnapshot {
        LedgerSnapshot {
            requests: self.requests.read(),
            connections: self.connections.read(),
            responses: self.read_responses(),
            open: self.open(),
            accept_errors: self.accept_errors.get(),
        }
    }
}
