//! What the handler's ends and the connection's end of a WebSocket share.
//!
//! The connection's task owns the socket; a handler, and whoever it shares its ends with, leaves
//! here what is to be sent and finds what was received: one message each, so that either side waits
//! for the other.

use super::{CloseReason, Message, ReceiveError, SendError};
use crate::changed::Changed;
use bytes::Bytes;
use std::cell::{Cell, RefCell};
use std::task::{Context, Poll, Waker};

/// How a WebSocket ended, and the peer's reason where it gave one.
pub(super) type Ended = Result<Option<CloseReason>, ReceiveError>;

#[derive(Default)]
pub(super) struct Channel {
    received: RefCell<Option<Message>>,
    /// Somebody may still receive.
    has_receiver: Cell<bool>,
    receiver: RefCell<Option<Waker>>,
    to_send: RefCell<Option<Message>>,
    to_ping: RefCell<Option<Bytes>>,
    close: RefCell<Option<CloseReason>>,
    /// There is room for a message to send, all was written, or all is over.
    senders: Changed,
    /// Messages were taken that were not all written.
    is_sending: Cell<bool>,
    ended: RefCell<Option<Ended>>,
    /// The error was handed out, which happens once.
    was_told: Cell<bool>,
    connection: RefCell<Option<Waker>>,
    /// Somebody left something, or took the message received.
    was_touched: Cell<bool>,
}

/// The handler's side.
impl Channel {
    pub(super) fn new() -> Self {
        let channel = Channel::default();
        channel.has_receiver.set(true);
        channel
    }

    pub(super) fn poll_receive(
        &self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Message, ReceiveError>>> {
        if let Some(message) = self.received.take() {
            self.touch();
            return Poll::Ready(Some(Ok(message)));
        }
        match &*self.ended.borrow() {
            None => {}
            Some(Err(error)) if !self.was_told.replace(true) => {
                return Poll::Ready(Some(Err(*error)));
            }
            Some(_) => return Poll::Ready(None),
        }
        self.receiver.replace(Some(cx.waker().clone()));
        Poll::Pending
    }

    pub(super) fn drop_receiver(&self) {
        self.has_receiver.set(false);
        let unread = self.received.take();
        self.touch();
        drop(unread);
    }

    pub(super) async fn send(&self, message: Message) -> Result<(), SendError> {
        let is_free = || self.is_closed() || self.to_send.borrow().is_none();
        self.senders.wait_until(is_free).await;
        self.check_open()?;
        self.to_send.replace(Some(message));
        self.is_sending.set(true);
        self.touch();
        Ok(())
    }

    pub(super) async fn flush(&self) -> Result<(), SendError> {
        let is_over = || self.ended.borrow().is_some();
        let is_written = || !self.is_sending.get() || is_over();
        self.senders.wait_until(is_written).await;
        match self.is_sending.get() && is_over() {
            true => Err(SendError::Closed),
            false => Ok(()),
        }
    }

    pub(super) fn ping(&self, payload: Bytes) -> Result<(), SendError> {
        self.check_open()?;
        self.to_ping.replace(Some(payload));
        self.touch();
        Ok(())
    }

    /// The first reason stands.
    pub(super) fn close(&self, reason: CloseReason) {
        if !self.is_closed() {
            self.close.replace(Some(reason));
            self.senders.notify();
            self.touch();
        }
    }

    pub(super) async fn wait_for_end(&self) -> Ended {
        let is_over = || self.ended.borrow().is_some();
        self.senders.wait_until(is_over).await;
        let ended = self.ended.borrow();
        ended.clone().expect("it was waited for")
    }

    pub(super) fn is_closed(&self) -> bool {
        self.close.borrow().is_some() || self.ended.borrow().is_some()
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        let ended = self.ended.borrow();
        ended.as_ref()?.as_ref().ok()?.clone()
    }

    fn check_open(&self) -> Result<(), SendError> {
        match self.is_closed() {
            true => Err(SendError::Closed),
            false => Ok(()),
        }
    }

    fn touch(&self) {
        self.was_touched.set(true);
        if let Some(connection) = self.connection.take() {
            connection.wake();
        }
    }
}

/// The connection's side.
impl Channel {
    /// Whether it was touched since the last time.
    pub(super) fn take_touched(&self) -> bool {
        self.was_touched.replace(false)
    }

    /// Has nobody woken when something is left here.
    pub(super) fn stop_waking(&self) {
        self.connection.take();
    }

    /// Has the connection's task woken when something is left here.
    pub(super) fn wake_at_touch(&self, cx: &Context<'_>) {
        self.connection.replace(Some(cx.waker().clone()));
    }

    /// Whether a message that is received has a place.
    pub(super) fn has_room(&self) -> bool {
        self.received.borrow().is_none()
    }

    /// Hands a message to whoever receives; without anybody it is thrown away. `here` is the task
    /// that looks for itself.
    pub(super) fn push(&self, message: Message, here: &Context<'_>) {
        if !self.has_receiver.get() {
            return;
        }
        self.received.replace(Some(message));
        self.wake_receiver(here);
    }

    pub(super) fn has_message(&self) -> bool {
        self.to_send.borrow().is_some()
    }

    pub(super) fn take_message(&self) -> Option<Message> {
        let message = self.to_send.take();
        if message.is_some() {
            self.senders.notify();
        }
        message
    }

    pub(super) fn take_ping(&self) -> Option<Bytes> {
        self.to_ping.take()
    }

    /// What is to be told to the peer, when all messages before are sent.
    pub(super) fn close_wanted(&self) -> Option<CloseReason> {
        self.close.borrow().clone()
    }

    /// All that was taken is written.
    pub(super) fn end_sending(&self) {
        if self.is_sending.get() && self.to_send.borrow().is_none() {
            self.is_sending.set(false);
            self.senders.notify();
        }
    }

    /// The first end stands.
    pub(super) fn end(&self, ended: Ended, here: &Context<'_>) {
        self.ended.borrow_mut().get_or_insert(ended);
        self.senders.notify();
        self.wake_receiver(here);
    }

    fn wake_receiver(&self, here: &Context<'_>) {
        if let Some(receiver) = self.receiver.take()
            && !receiver.will_wake(here.waker())
        {
            receiver.wake();
        }
    }
}
