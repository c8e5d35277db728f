//! One connection of the load, kept up for the whole run: connect, exchange, and again.
//!
//! The hot path is [`Exchange::run`]: one write of prepared bytes, one receive, one look at
//! the clock and one histogram entry for each answer. Nothing in it allocates or arms a timer.

use std::future::poll_fn;
use std::ops::Range;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use monoloop_runtime::net::{Chunk, ConnectOptions, TcpStream};
use monoloop_runtime::time;

use crate::answers::{Answer, Answers};
use crate::backoff::Backoff;
use crate::fault::{Fault, FaultKind};
use crate::load::{End, Load};
use crate::pace::Batch;
use crate::plan::Stop;
use crate::roster::Slot;

/// While nothing has ever connected, an address is believed to be wrong after so many attempts.
const ATTEMPTS_AT_FIRST_MAX: u32 = 3;

/// How long a peer that has announced the end of the connection may take to close it. Who closes
/// first keeps the port for a minute (TIME_WAIT), and the client has fewer to spare.
const PEER_CLOSES_WITHIN: Duration = Duration::from_millis(200);

/// Keeps connection `number` up and busy. Ends when it gives up; otherwise with the run.
pub(crate) async fn keep<A: Answers>(load: Rc<Load>, number: usize, fresh: impl Fn() -> A) {
    let mut backoff = Backoff::new(number);
    let mut is_first_attempt = true;
    let mut was_up = false;
    // Work that a connection held when it ended without having failed it.
    let mut carried: Option<Batch> = None;
    loop {
        let attempt = connect(&load, number).await;
        if std::mem::take(&mut is_first_attempt) {
            load.settle();
        }
        let stream = match attempt {
            Ok(stream) => stream,
            Err(fault) => {
                load.record().connections.failed.add(&fault, 1);
                let delay = backoff.next();
                if is_hopeless(&load, &fault, &backoff) {
                    load.give_up(&fault, carried);
                    return;
                }
                time::sleep(delay).await;
                continue;
            }
        };
        if std::mem::replace(&mut was_up, true) {
            load.record().connections.reconnects += 1;
        }

        load.connected();
        let mut exchange = Exchange::new(&load, number, stream, fresh(), carried.take());
        let end = exchange.run().await;
        carried = exchange.work_to_carry();
        let has_answered = exchange.has_answered;
        drop(exchange);
        load.disconnected();
        load.roster.unpark(number);

        if has_answered {
            backoff.reset();
        }
        load.ended(end);
        if end != End::ByAnswer {
            time::sleep(backoff.next()).await;
        }
    }
}

async fn connect(load: &Load, number: usize) -> Result<TcpStream, Fault> {
    let plan = &load.plan;
    let mut options = ConnectOptions::default();
    options.local_addr = plan.sources.of(number);
    let started_at = time::now_precise();
    let attempt = TcpStream::connect_with(plan.address, &options);
    match time::timeout(plan.timeout, attempt).await {
        Ok(Ok(stream)) => {
            load.record()
                .connections
                .connect
                .record(time::now_precise() - started_at);
            Ok(stream)
        }
        Ok(Err(error)) => Err(Fault::of_connect(&error)),
        Err(_) => Err(Fault::new(
            FaultKind::ConnectTimeout,
            format!(
                "no connection within {}",
                humantime::format_duration(plan.timeout)
            ),
        )),
    }
}

/// Whether further attempts would only make the user wait.
fn is_hopeless(load: &Load, fault: &Fault, backoff: &Backoff) -> bool {
    if !load.has_ever_connected() {
        let waited_long = fault.kind == FaultKind::ConnectTimeout;
        return waited_long || backoff.failures() >= ATTEMPTS_AT_FIRST_MAX;
    }
    // A run that ends by time waits for the server to come back; one that is counted in
    // requests would never end.
    match load.plan.stop {
        Stop::After(_) => false,
        Stop::Requests(_) => backoff.waited() > load.plan.timeout,
    }
}

/// The exchange of requests and answers on one connection.
struct Exchange<'a, A> {
    load: &'a Load,
    slot: &'a Slot,
    number: usize,
    stream: TcpStream,
    answers: A,
    /// The requests in flight, or those to begin with.
    batch: Option<Batch>,
    /// How many of them are answered.
    answered: u32,
    /// What of the prepared bytes did not fit the socket yet.
    unsent: Range<usize>,
    sent_at: Instant,
    has_answered: bool,
}

impl<'a, A: Answers> Exchange<'a, A> {
    fn new(
        load: &'a Load,
        number: usize,
        stream: TcpStream,
        answers: A,
        carried: Option<Batch>,
    ) -> Self {
        let slot = &load.roster.slots[number];
        Self {
            load,
            slot,
            number,
            stream,
            answers,
            batch: carried,
            answered: 0,
            unsent: 0..0,
            sent_at: time::now_precise(),
            has_answered: false,
        }
    }

    /// Sends and receives until the connection ends.
    async fn run(&mut self) -> End {
        // The time of the last receive is the time of the send that follows it at once.
        let mut now = self.sent_at;
        loop {
            let batch = match self.batch.take().or_else(|| self.load.take(now)) {
                Some(batch) => batch,
                None => match self.wait_for_work().await {
                    Ok(batch) => {
                        now = time::now_precise();
                        self.record_send_lag(batch, now);
                        batch
                    }
                    Err(end) => return end,
                },
            };
            self.send(batch, now);
            while self.is_busy() {
                let received = poll_fn(|cx| self.poll_exchange(cx)).await;
                now = time::now_precise();
                match received.and_then(|chunk| self.take_answers(&chunk, now)) {
                    Ok(Next::KeepOpen) => {}
                    Ok(Next::Close) => return self.close().await,
                    Err(fault) => return self.fail(&fault),
                }
            }
            self.slot.sent_at.set(None);
        }
    }

    /// Whether something of the batch is still to be sent or to be answered.
    fn is_busy(&self) -> bool {
        self.batch.is_some() || !self.unsent.is_empty()
    }

    fn send(&mut self, batch: Batch, now: Instant) {
        self.answers.expect(batch.count);
        self.load.sent(batch.count);
        self.batch = Some(batch);
        self.answered = 0;
        self.sent_at = now;
        self.slot.sent_at.set(Some(now));
        self.slot.overdue.set(false);
        self.unsent = 0..self.load.request_bytes * batch.count as usize;
    }

    fn count_sent(&mut self, bytes: usize) {
        self.unsent.start += bytes;
        if self.load.is_measuring() {
            self.load.record().sent_bytes += bytes as u64;
        }
    }

    /// Sends what is unsent, then receives: either may have to wait for the other.
    fn poll_exchange(&mut self, cx: &mut Context<'_>) -> Poll<Result<Chunk, Fault>> {
        while !self.unsent.is_empty() {
            match self
                .stream
                .poll_write(cx, &self.load.requests[self.unsent.clone()])
            {
                Poll::Ready(Ok(bytes)) => self.count_sent(bytes),
                // The peer may have answered and closed without having read everything: what it
                // said is received before the error counts.
                Poll::Ready(Err(_)) => self.unsent = 0..0,
                Poll::Pending => break,
            }
        }
        match self.stream.poll_receive(cx) {
            Poll::Ready(received) => {
                Poll::Ready(received.map_err(|error| Fault::of_stream(&error)))
            }
            // Looked at last: an answer that is there is taken, however late it is.
            Poll::Pending if self.slot.overdue.get() => Poll::Ready(Err(self.overdue())),
            Poll::Pending => Poll::Pending,
        }
    }

    fn overdue(&self) -> Fault {
        let limit = humantime::format_duration(self.load.plan.timeout);
        Fault::new(FaultKind::Timeout, format!("no answer within {limit}"))
    }

    /// Records the answers in `bytes`, which are the end of the stream when empty.
    fn take_answers(&mut self, bytes: &[u8], now: Instant) -> Result<Next, Fault> {
        let Self {
            load,
            answers,
            answered,
            sent_at,
            has_answered,
            ..
        } = self;
        let (batch, before) = (self.batch, *answered);
        let mut next = Next::KeepOpen;
        let mut record = load.record();
        if load.is_measuring() {
            record.received_bytes += bytes.len() as u64;
        }
        let mut on_answer = |answer: Answer| {
            *has_answered = true;
            if !answer.keep_alive {
                next = Next::Close;
            }
            if let Some(batch) = batch
                && batch.counted
            {
                record
                    .service
                    .record(now.saturating_duration_since(*sent_at));
                if let Some(due) = load.roster.due(batch.first + u64::from(*answered)) {
                    record.corrected.record(now.saturating_duration_since(due));
                }
                if let Some(status) = answer.status {
                    record.status(status);
                }
            }
            *answered += 1;
        };
        let taken = match bytes {
            [] => answers.receive_eof(&mut on_answer),
            bytes => answers.receive(bytes, &mut on_answer),
        };
        drop(record);

        if let Some(batch) = batch {
            load.answered(self.answered - before, batch.counted);
            if self.answered == batch.count {
                self.batch = None;
            }
        }
        taken?;
        match next {
            Next::KeepOpen if bytes.is_empty() => Err(Fault::new(
                FaultKind::ClosedEarly,
                "closed before the answer was complete",
            )),
            next => Ok(next),
        }
    }

    /// Waits until there is something to send. Hears of the peer's end meanwhile.
    async fn wait_for_work(&mut self) -> Result<Batch, End> {
        let (load, number) = (self.load, self.number);
        let received = poll_fn(|cx| {
            if let Some(batch) = load.roster.take_idle(number, time::now()) {
                return Poll::Ready(Ok(batch));
            }
            load.roster.park(number);
            self.stream.poll_receive(cx).map(Err)
        })
        .await;
        load.roster.unpark(number);
        match received {
            Ok(batch) => Ok(batch),
            Err(Ok(chunk)) if !chunk.is_empty() => {
                let fault = Fault::new(FaultKind::Protocol, "data that answers no request");
                Err(self.fail(&fault))
            }
            Err(_) => Err(End::Idle),
        }
    }

    /// How late work that was handed over is sent: all of it is the client's own doing.
    fn record_send_lag(&self, batch: Batch, now: Instant) {
        if !batch.counted {
            return;
        }
        for number in batch.first..batch.first + u64::from(batch.count) {
            if let Some(due) = self.load.roster.due(number) {
                self.load
                    .record()
                    .send_lag
                    .record(now.saturating_duration_since(due));
            }
        }
    }

    /// The last answer ended the connection: what was sent behind it was not looked at.
    async fn close(&mut self) -> End {
        self.slot.sent_at.set(None);
        self.batch = self
            .batch
            .take()
            .and_then(|batch| batch.after(self.answered));
        if let Some(left) = self.batch {
            self.load.taken_back(left.count, left.counted);
        }
        let closed_by_peer = async {
            while self
                .stream
                .receive()
                .await
                .is_ok_and(|chunk| !chunk.is_empty())
            {}
        };
        // Whether it did or not: this connection is over.
        let _ = time::timeout(PEER_CLOSES_WITHIN, closed_by_peer).await;
        End::ByAnswer
    }

    fn fail(&mut self, fault: &Fault) -> End {
        self.slot.sent_at.set(None);
        match self.batch.take() {
            Some(batch) => self
                .load
                .failed(fault, batch.count - self.answered, batch.counted),
            // Nothing was asked: the fault is the connection's alone.
            None => self.load.record().connections.failed.add(fault, 1),
        }
        End::Broken
    }

    /// Work for the next connection. To be called when this one has ended.
    fn work_to_carry(&mut self) -> Option<Batch> {
        self.batch.take()
    }
}

/// What becomes of the connection after an answer.
enum Next {
    KeepOpen,
    Close,
}

/// Looks for overdue answers, for all connections at once: cheaper than a timer for each request,
/// and late by at most a twentieth of the timeout.
pub(crate) async fn sweep(load: Rc<Load>) {
    let timeout = load.plan.timeout;
    let period = (timeout / 20).clamp(Duration::from_millis(2), Duration::from_millis(200));
    loop {
        time::sleep(period).await;
        let now = time::now();
        for slot in &load.roster.slots {
            let is_overdue = slot
                .sent_at
                .get()
                .is_some_and(|sent_at| now >= sent_at + timeout);
            if is_overdue && !slot.overdue.replace(true) {
                slot.wake();
            }
        }
    }
}
