//! What the ledger knows of one connection while it is open.

use super::Reason;
use super::book::LoopBook;
use crate::request_log::{Record, RequestLog};
use monoloop_runtime::time;
use std::sync::Arc;
use std::thread;

/// A connection's account: opened when it is accepted, settled when it is dropped, whatever
/// happens in between.
///
/// "Exactly one reason" is by construction: opening it is the only thing that counts a
/// connection as begun, and dropping it the only thing that counts it as ended. The requests that
/// have begun and not ended are numbers in here; ending one takes it out, and what is left
/// when the account is dropped ends with the connection.
///
/// ```text
/// begin_request ─> running ── answer_is_whole ──> unwritten ── written ──> Ok
///                     │                               │
///                     ├── end_request(reason) ──> reason
///                     └──────── drop ──────────────── ┴──> the connection's reason
/// ```
#[derive(Debug)]
pub(crate) struct Account {
    book: Arc<LoopBook>,
    /// Answers that are whole in the connection's output, and not written.
    unwritten: u32,
    /// A request has begun whose answer is not whole.
    is_running: bool,
    verdict: Option<Reason>,
    /// Where requests leave lines when they end.
    log: Option<Box<RequestLog>>,
}

impl Account {
    pub(crate) fn open(book: Arc<LoopBook>) -> Self {
        book.connections.begin();
        Account {
            book,
            unwritten: 0,
            is_running: false,
            verdict: None,
            log: None,
        }
    }

    /// The head of a request is received.
    #[inline]
    pub(crate) fn begin_request(&mut self) {
        debug_assert!(!self.is_running, "requests are answered one by one");
        self.book.requests.begin();
        self.is_running = true;
    }

    /// The answer to the request that runs is in the output up to its last byte.
    #[inline]
    pub(crate) fn answer_is_whole(&mut self) {
        debug_assert!(self.is_running, "an answer is to a request");
        self.is_running = false;
        self.unwritten += 1;
        if let Some(log) = &mut self.log {
            log.answer_is_whole();
        }
    }

    /// The system has taken all of the output.
    #[inline]
    pub(crate) fn written(&mut self) {
        if self.unwritten > 0 {
            self.book
                .requests
                .end(Reason::Ok, u64::from(self.unwritten));
            self.unwritten = 0;
            if let Some(log) = &mut self.log {
                log.end_unwritten(Reason::Ok);
            }
        }
    }

    /// The request that runs has come to another end than that of being answered. With
    /// `closes` the connection closes behind its answer.
    #[cold]
    pub(crate) fn end_request(&mut self, reason: Reason, closes: bool) {
        debug_assert!(self.is_running, "what has not begun cannot end");
        self.is_running = false;
        self.book.requests.end(reason, 1);
        if let Some(record) = self.log.as_mut().and_then(|log| log.running.take()) {
            record.log(reason, time::now_precise());
        }
        if closes && reason.costs_the_connection() {
            self.judge(reason);
        }
    }

    /// What the connection went on with behind its last request has come to its end, in order
    /// unless it was judged before. It is the connection's as well as that request's.
    #[cold]
    pub(crate) fn end_upgrade(&mut self) {
        self.judge(Reason::Upgraded);
        let reason = self.verdict.unwrap_or(Reason::Upgraded);
        self.end_request(reason, true);
    }

    /// What the peer sent is answered without a handler. A request that had not begun, for it
    /// could not be understood or did not come to its end, begins and ends here.
    #[cold]
    pub(crate) fn refuse_request(&mut self, reason: Reason) {
        if !self.is_running {
            self.begin_request();
        }
        self.end_request(reason, true);
    }

    /// What leaves a line when the request that is about to begin, or runs, ends.
    pub(crate) fn watch(&mut self, record: Record) {
        self.watched().running = Some(record);
    }

    /// Where it is kept what leaves lines.
    pub(crate) fn watched(&mut self) -> &mut RequestLog {
        self.log.get_or_insert_default()
    }

    /// Changes what is remembered of the request that runs, if it is.
    #[cold]
    pub(crate) fn record<R>(&mut self, change: impl FnOnce(&mut Record) -> R) -> Option<R> {
        self.log.as_mut()?.running.as_mut().map(change)
    }

    /// So many bytes of the body of the answer that runs are in the output.
    #[inline]
    pub(crate) fn sent_body(&mut self, bytes: usize) {
        if self.log.is_some() {
            self.record(|record| record.bytes += bytes as u64);
        }
    }

    /// So many bytes of the output are not taken by the system.
    #[cold]
    pub(crate) fn set_untaken(&mut self, bytes: usize) {
        if let Some(log) = &mut self.log {
            log.untaken = bytes as u64;
        }
    }

    /// What it is waited for, for the report of a drain.
    pub(crate) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Whether answers wait to be written.
    pub(crate) fn is_writing(&self) -> bool {
        self.unwritten > 0
    }

    /// The connection ends in this reason, whatever may happen while it is closed. What was
    /// said first stands.
    pub(crate) fn judge(&mut self, reason: Reason) {
        self.verdict.get_or_insert(reason);
    }

    fn reason(&self) -> Reason {
        let is_owing = self.is_running || self.unwritten > 0;
        match self.verdict {
            // It did not take the last answers.
            Some(Reason::Ok) if is_owing => Reason::ClientClosed,
            Some(reason) => reason,
            // Its task ends without having said so.
            None if thread::panicking() => Reason::Panic,
            None if self.book.is_forcing() => Reason::DrainForced,
            None => Reason::Cancelled,
        }
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let reason = self.reason();
        let owed = u64::from(self.unwritten) + u64::from(self.is_running);
        if owed > 0 {
            self.book.requests.end(reason, owed);
        }
        if let Some(log) = &mut self.log {
            log.answer_is_whole();
            log.take_back_untaken();
            log.end_unwritten(reason);
        }
        self.book.connections.end(reason, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a connection that does `what` leaves in the ledger: its reason, and those of its
    /// requests with their numbers.
    fn booked(what: impl FnOnce(&mut Account)) -> (Reason, Vec<(Reason, u64)>) {
        let book = Arc::new(LoopBook::default());
        let mut account = Account::open(book.clone());
        what(&mut account);
        drop(account);
        let (connections, requests) = (book.connections.read(), book.requests.read());
        assert_eq!((connections.in_flight(), requests.in_flight()), (0, 0));
        let mut ended = connections.ended().filter(|(_, count)| *count > 0);
        let (reason, count) = ended.next().expect("it has ended");
        assert_eq!((count, ended.next()), (1, None));
        let requests = requests.ended().filter(|(_, count)| *count > 0);
        (reason, requests.collect())
    }

    fn answer(account: &mut Account) {
        account.begin_request();
        account.answer_is_whole();
    }

    #[test]
    fn a_request_is_ok_when_its_answer_is_written() {
        let seen = booked(|account| {
            answer(account);
            answer(account);
            account.written();
            answer(account);
            account.written();
            account.judge(Reason::Ok);
        });
        assert_eq!(seen, (Reason::Ok, vec![(Reason::Ok, 3)]));
    }

    #[test]
    fn what_was_not_written_ends_with_its_connection() {
        let seen = booked(|account| {
            answer(account);
            account.written();
            answer(account);
            account.begin_request();
            account.judge(Reason::WriteTimeout);
            account.judge(Reason::Ok);
        });
        let requests = vec![(Reason::Ok, 1), (Reason::WriteTimeout, 2)];
        assert_eq!(seen, (Reason::WriteTimeout, requests));
    }

    #[test]
    fn an_orderly_end_with_an_answer_left_is_none() {
        let seen = booked(|account| {
            answer(account);
            account.judge(Reason::Ok);
        });
        let requests = vec![(Reason::ClientClosed, 1)];
        assert_eq!(seen, (Reason::ClientClosed, requests));
    }

    #[test]
    fn a_refusal_is_a_request_and_costs_the_connection() {
        let seen = booked(|account| {
            account.refuse_request(Reason::ParseError);
            account.judge(Reason::Ok);
        });
        assert_eq!(seen, (Reason::ParseError, vec![(Reason::ParseError, 1)]));
    }

    #[test]
    fn a_panic_costs_its_request_alone() {
        let seen = booked(|account| {
            account.begin_request();
            account.end_request(Reason::Panic, true);
            account.judge(Reason::Ok);
        });
        assert_eq!(seen, (Reason::Ok, vec![(Reason::Panic, 1)]));
    }

    #[test]
    fn a_connection_that_is_dropped_says_why() {
        assert_eq!(booked(|_| ()).0, Reason::Cancelled);
        let forced = booked(|account| {
            account.book.set_forcing();
            account.begin_request();
        });
        assert_eq!(
            forced,
            (Reason::DrainForced, vec![(Reason::DrainForced, 1)])
        );
    }

    #[test]
    fn a_panic_in_between_is_booked() {
        let book = Arc::new(LoopBook::default());
        let account = Account::open(book.clone());
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
            let _account = account;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_eq!(book.connections.read().ended_in(Reason::Panic), 1);
    }
}
