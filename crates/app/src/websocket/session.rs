//! The connection's end of a WebSocket: what its task does while it is open.

use super::channel::Channel;
use super::codec::{Codec, Event, Kind};
use super::{CloseReason, Message, Options, ReceiveError};
use crate::connection::{Connection, End, deadline_in};
use crate::ledger::Reason;
use crate::peer_deadline::{Since, time_for};
use crate::upgrade::{Followed, Follower, Session};
use crate::upgrade_output::UpgradeOutput;
use bytes::Bytes;
use monoloop_runtime::poll_consume_budget;
use monoloop_runtime::time::{self, Sleep};
use std::io::ErrorKind;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// ```text
///          we close               the peer agrees, or is late
///   Open ────────────▶ Closing ──────────────────────────────▶ Last ──▶ Over
///     └── the peer closes, is at fault, or is gone ─────────────▲
/// ```
#[derive(Debug, Clone, Copy)]
enum Phase {
    Open,
    /// The peer gets a close from us.
    Closing(Close),
    /// Nothing more is received; what is in the output is still written.
    Last(End),
    /// The handler still has so long to find out.
    Over {
        end: End,
        until: Instant,
    },
}

/// How far a close of ours has come.
#[derive(Debug, Clone, Copy)]
enum Close {
    /// Behind what is still to be sent.
    Wanted,
    /// It waits to be written.
    Sent,
    /// The peer is to agree.
    Written { at: Since },
}

/// Whether there is more to be done at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Again,
    Waits,
}

pub(super) struct WebSocketSession {
    channel: Rc<Channel>,
    codec: Codec,
    handler: Follower,
    times: Times,
    phase: Phase,
    /// The rest of a message that goes in several frames.
    rest: Bytes,
    output: UpgradeOutput,
    /// All that was received has been looked at.
    needs_data: bool,
    /// Nothing is read, for there is no place for it.
    is_held: bool,
    /// When something came from the peer.
    heard: Option<Since>,
    pinged_at: Instant,
    /// A message that has begun and is not whole.
    arriving: Option<Arriving>,
}

/// A message that is on its way.
struct Arriving {
    since: Since,
    /// What has come since then.
    bytes: u64,
}

/// What [`Options`] say of time.
struct Times {
    ping_after: Option<Duration>,
    idle: Option<Duration>,
    message_bytes_per_second_min: Option<u32>,
    close: Duration,
}

impl WebSocketSession {
    pub(super) fn new(channel: Rc<Channel>, options: &Options, handler: Follower) -> Self {
        WebSocketSession {
            channel,
            codec: Codec::new(options.message_bytes_max, options.frame_bytes_max),
            handler,
            times: Times {
                ping_after: options.ping_after,
                idle: options.idle_timeout,
                message_bytes_per_second_min: options.message_bytes_per_second_min,
                close: options.close_timeout,
            },
            phase: Phase::Open,
            rest: Bytes::new(),
            output: UpgradeOutput::default(),
            needs_data: false,
            is_held: false,
            heard: None,
            pinged_at: time::now(),
            arriving: None,
        }
    }
}

impl Session for WebSocketSession {
    fn begin(&mut self, received: &[u8], connection: &mut Connection) {
        self.output.begin(connection);
        self.codec.receive(received);
        self.heard = Some(Since::now(&connection.deadline));
        self.pinged_at = time::now();
    }

    fn bytes(&self) -> u64 {
        self.output.bytes()
    }

    fn poll(&mut self, connection: &mut Connection, cx: &mut Context<'_>) -> Poll<End> {
        // It looks by itself until it waits.
        self.channel.stop_waking();
        loop {
            self.channel.take_touched();
            self.step_handler(connection, cx);
            self.look_for_close(connection);
            let sent = self.send(connection, cx);
            let received = self.receive(connection, cx);
            if let Phase::Over { end, .. } = self.phase
                && !self.handler.is_waiting()
            {
                return Poll::Ready(end);
            }
            if [sent, received].contains(&Step::Again) || self.channel.take_touched() {
                // Many small messages let the other connections have their turn.
                if poll_consume_budget(cx).is_pending() {
                    return Poll::Pending;
                }
                continue;
            }
            if self.judge_time(connection, cx) == Step::Again {
                continue;
            }
            self.channel.wake_at_touch(cx);
            let deadline = self.deadline(connection);
            connection.deadline.reset(deadline);
            if connection.deadline.poll_elapsed(cx).is_pending() {
                return Poll::Pending;
            }
        }
    }
}

impl WebSocketSession {
    fn step_handler(&mut self, connection: &mut Connection, cx: &mut Context<'_>) {
        if !self.handler.is_waiting() {
            return;
        }
        let (code, reason) = match self.handler.step(cx) {
            Followed::Waiting => return,
            Followed::Done => (CloseReason::NORMAL, ""),
            Followed::Panicked => {
                connection.account.judge(Reason::Panic);
                (CloseReason::INTERNAL_ERROR, "internal error")
            }
        };
        self.channel.close(CloseReason::new(code, reason));
    }

    /// Begins to close when the server drains, or when somebody wants it.
    fn look_for_close(&mut self, connection: &Connection) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        if connection.shared().draining.get() {
            let reason = CloseReason::new(CloseReason::GOING_AWAY, "the server ends");
            self.channel.close(reason);
        }
        if self.channel.close_wanted().is_some() {
            self.phase = Phase::Closing(Close::Wanted);
        }
    }

    /// Encodes what is to be sent, as far as there is room, and writes it.
    fn send(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Step {
        if matches!(self.phase, Phase::Over { .. }) {
            return Step::Waits;
        }
        self.fill(connection);
        let written = self.output.poll_write(connection, cx);
        match (written, self.phase) {
            (Poll::Pending, _) => Step::Waits,
            (Poll::Ready(Err(end)), _) => {
                self.lose(connection, end, ReceiveError::Disconnected, cx);
                Step::Waits
            }
            (Poll::Ready(Ok(())), Phase::Last(end)) => {
                // The server closes first (RFC 6455 §7.1.1).
                if self.output.poll_close(connection, cx).is_pending() {
                    return Step::Waits;
                }
                self.enter_over(connection, end);
                Step::Again
            }
            (Poll::Ready(Ok(())), _) => {
                let has_more = !self.rest.is_empty();
                if !has_more {
                    self.channel.end_sending();
                }
                if matches!(self.phase, Phase::Closing(Close::Sent)) {
                    let at = Since::now(&connection.deadline);
                    self.phase = Phase::Closing(Close::Written { at });
                }
                match has_more || self.channel.take_touched() {
                    true => Step::Again,
                    false => Step::Waits,
                }
            }
        }
    }

    /// Encodes messages, a piece at a time, and behind them the close.
    fn fill(&mut self, connection: &mut Connection) {
        if !matches!(self.phase, Phase::Open | Phase::Closing(Close::Wanted)) {
            return;
        }
        if let Some(payload) = self.channel.take_ping() {
            self.codec.ping(payload, &mut connection.output);
        }
        while self.has_room(connection) {
            let (kind, message) = match std::mem::take(&mut self.rest) {
                rest if !rest.is_empty() => (Kind::Rest, rest),
                _ => match self.channel.take_message() {
                    None => break,
                    Some(Message::Binary(bytes)) => (Kind::Binary, bytes),
                    Some(message @ Message::Text(_)) => (Kind::Text, message.into_bytes()),
                },
            };
            let mut piece = message;
            let piece_bytes = connection.shared().response_buffer_bytes_max.max(1);
            if piece.len() > piece_bytes {
                self.rest = piece.split_off(piece_bytes);
            }
            let is_last = self.rest.is_empty();
            let output = &mut connection.output;
            self.codec.send(kind, piece, is_last, output);
        }
        if matches!(self.phase, Phase::Closing(Close::Wanted))
            && self.rest.is_empty()
            && !self.channel.has_message()
        {
            self.phase = Phase::Closing(Close::Sent);
            let reason = self.channel.close_wanted();
            self.codec.close(reason.as_ref(), &mut connection.output);
        }
    }

    fn has_room(&self, connection: &Connection) -> bool {
        self.output.left(connection) < connection.shared().response_buffer_bytes_max
    }

    /// Takes one event out of what has come, and reads when there is none.
    fn receive(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Step {
        let was_held = self.is_held;
        self.is_held = match self.phase {
            // What comes is thrown away, but not faster than what it is answered with goes out.
            Phase::Closing(_) => !self.has_room(connection),
            Phase::Open => !self.has_room(connection) || !self.channel.has_room(),
            Phase::Last(_) | Phase::Over { .. } => return Step::Waits,
        };
        if self.is_held {
            return Step::Waits;
        }
        if was_held {
            // The peer was not listened to.
            let now = Since::now(&connection.deadline);
            self.heard = Some(now);
            if let Some(arriving) = &mut self.arriving {
                arriving.since = now;
                arriving.bytes = 0;
            }
        }
        if !self.needs_data {
            if connection.output.capacity() == 0 {
                connection.output = connection.shared().take_output();
            }
            return match self.codec.next(&mut connection.output) {
                Ok(Event::NeedData) => {
                    self.needs_data = true;
                    match self.codec.awaits_more() {
                        false => self.arriving = None,
                        true => {
                            self.arriving.get_or_insert_with(|| Arriving {
                                since: Since::now(&connection.deadline),
                                bytes: 0,
                            });
                        }
                    }
                    Step::Again
                }
                Ok(Event::Control | Event::Pause) => Step::Again,
                Ok(Event::Message(message)) => {
                    self.arriving = None;
                    if matches!(self.phase, Phase::Open) {
                        self.channel.push(message, cx);
                    }
                    Step::Again
                }
                Ok(Event::Closed(reason)) => {
                    self.channel.end(Ok(reason), cx);
                    self.phase = Phase::Last(End::Closed);
                    Step::Again
                }
                Err(error) => self.refuse(connection, error, cx),
            };
        }
        match connection.stream.poll_receive(cx) {
            Poll::Pending => Step::Waits,
            Poll::Ready(Ok(chunk)) if !chunk.is_empty() => {
                self.heard = Some(Since::now(&connection.deadline));
                if let Some(arriving) = &mut self.arriving {
                    arriving.bytes += chunk.len() as u64;
                }
                self.needs_data = false;
                self.codec.receive(&chunk);
                Step::Again
            }
            Poll::Ready(ended) => {
                let end = match ended {
                    Ok(_eof) => End::Broken(ErrorKind::UnexpectedEof),
                    Err(error) => error.into(),
                };
                self.lose(connection, end, ReceiveError::Disconnected, cx);
                Step::Again
            }
        }
    }

    /// The peer is at fault: it is told so, and nothing more is received.
    fn refuse(
        &mut self,
        connection: &mut Connection,
        error: ReceiveError,
        cx: &Context<'_>,
    ) -> Step {
        tracing::debug!(peer = %connection.peer, %error, "a WebSocket was refused");
        self.channel.end(Err(error), cx);
        let reason = error.close_reason();
        self.codec.close(reason.as_ref(), &mut connection.output);
        // Behind this end the connection lingers, so that the peer sees why.
        self.phase = Phase::Last(End::Upgraded(error.fault()));
        Step::Again
    }

    /// There is nobody to be told anything.
    fn lose(&mut self, connection: &mut Connection, end: End, why: ReceiveError, cx: &Context<'_>) {
        self.channel.end(Err(why), cx);
        self.rest = Bytes::new();
        self.output.give_up(connection);
        self.enter_over(connection, end);
    }

    fn enter_over(&mut self, connection: &Connection, end: End) {
        let until = match self.phase {
            // It was lost while it was waited for.
            Phase::Over { until, .. } => until,
            _ => deadline_in(connection.shared().timeouts.handler),
        };
        self.phase = Phase::Over { end, until };
    }
}

/// What is due when. Time in which the loop was stuck is not the peer's.
impl WebSocketSession {
    fn ping_due(&self, timer: &Sleep) -> Option<Instant> {
        let after = self.times.ping_after?;
        if !matches!(self.phase, Phase::Open) {
            return None;
        }
        let heard = self.heard?.due_after(after, timer)?;
        Some(heard.max(self.pinged_at.checked_add(after)?))
    }

    fn idle_due(&self, timer: &Sleep) -> Option<Instant> {
        match self.phase {
            Phase::Open if !self.is_held => self.heard?.due_after(self.times.idle?, timer),
            _ => None,
        }
    }

    /// When the message that is on its way is too slow.
    fn message_due(&self, timer: &Sleep) -> Option<Instant> {
        let arriving = self.arriving.as_ref()?;
        if self.is_held || !matches!(self.phase, Phase::Open) {
            return None;
        }
        let rate = self.times.message_bytes_per_second_min;
        let time = time_for(self.times.idle?, arriving.bytes, rate);
        arriving.since.due_after(time, timer)
    }

    fn phase_due(&self, timer: &Sleep) -> Option<Instant> {
        match self.phase {
            Phase::Closing(Close::Written { at }) => at.due_after(self.times.close, timer),
            Phase::Over { until, .. } => Some(until),
            // The write timeout watches over what is to be sent.
            Phase::Open | Phase::Closing(_) | Phase::Last(_) => None,
        }
    }

    fn deadline(&self, connection: &Connection) -> Instant {
        let timer = &connection.deadline;
        let due = [
            self.output.due(connection).map(|(due, _)| due),
            self.ping_due(timer),
            self.idle_due(timer),
            self.message_due(timer),
            self.phase_due(timer),
        ];
        let first = due.into_iter().flatten().min();
        first.unwrap_or_else(|| deadline_in(None))
    }

    /// Does what is due. What came in time was looked at before.
    fn judge_time(&mut self, connection: &mut Connection, cx: &Context<'_>) -> Step {
        let (now, timer) = (time::now(), &connection.deadline);
        let is_due = |due: Option<Instant>| due.is_some_and(|due| due <= now);
        if let Some((due, end)) = self.output.due(connection)
            && due <= now
        {
            self.lose(connection, end, ReceiveError::DoesNotRead, cx);
        } else if is_due(self.phase_due(timer)) {
            match self.phase {
                Phase::Over { .. } => {
                    let late = "a handler was stopped: its WebSocket has ended long since";
                    self.handler.in_context(|| tracing::warn!("{late}"));
                    self.handler.stop();
                }
                _ => {
                    tracing::debug!(peer = %connection.peer, "a peer did not agree to a close");
                    self.channel.end(Ok(None), cx);
                    // Pongs may wait, which it does not read either.
                    self.output.give_up(connection);
                    self.enter_over(connection, End::Closed);
                }
            }
        } else if is_due(self.idle_due(timer)) {
            self.lose(connection, End::IdleTimeout, ReceiveError::Silent, cx);
        } else if is_due(self.message_due(timer)) {
            return self.refuse(connection, ReceiveError::TooSlow, cx);
        } else if is_due(self.ping_due(timer)) {
            self.pinged_at = now;
            self.codec.ping(Bytes::new(), &mut connection.output);
        } else {
            return Step::Waits;
        }
        Step::Again
    }
}
