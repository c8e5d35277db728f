//! The handler's ends of a WebSocket.

use super::channel::Channel;
use super::{CloseReason, Message, ReceiveError, SendError};
use bytes::Bytes;
use futures_core::Stream;
use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

/// The longest payload of a ping (RFC 6455 §5.5).
const PING_BYTES_MAX: usize = 125;

/// A WebSocket, as its handler has it.
///
/// The connection's own task moves the bytes, answers pings, sends its own and keeps the timeouts,
/// whatever the handler does meanwhile. It receives one message ahead; while nobody takes that one,
/// it reads nothing more, and the peer waits.
///
/// Dropping it closes nothing: the connection ends when the handler's future does, with 1000.
pub struct WebSocket {
    receiver: Receiver,
    sender: Sender,
}

/// The end that receives. When it is dropped, messages that come are thrown away.
pub struct Receiver {
    channel: Rc<Channel>,
}

/// An end that sends, as many as there are clones.
#[derive(Clone)]
pub struct Sender {
    channel: Rc<Channel>,
}

impl WebSocket {
    pub(super) fn new(channel: Rc<Channel>) -> Self {
        WebSocket {
            receiver: Receiver {
                channel: channel.clone(),
            },
            sender: Sender { channel },
        }
    }

    /// Ends for tasks of their own.
    #[must_use]
    pub fn split(self) -> (Sender, Receiver) {
        (self.sender, self.receiver)
    }

    /// [`Receiver::receive`].
    ///
    /// # Errors
    /// See [`ReceiveError`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn receive(&mut self) -> Option<Result<Message, ReceiveError>> {
        self.receiver.receive().await
    }

    /// [`Sender::send`].
    ///
    /// # Errors
    /// [`SendError::Closed`].
    ///
    /// # Cancel safety
    /// Of a message whose sending was dropped, nothing is sent.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.sender.send(message).await
    }

    /// [`Sender::flush`].
    ///
    /// # Errors
    /// [`SendError::Closed`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.sender.flush().await
    }

    /// [`Sender::ping`].
    ///
    /// # Errors
    /// See [`SendError`].
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<(), SendError> {
        self.sender.ping(payload)
    }

    /// [`Sender::close`].
    ///
    /// # Errors
    /// See [`ReceiveError`].
    ///
    /// # Cancel safety
    /// It is closed anyhow.
    pub async fn close(&self, reason: CloseReason) -> Result<Option<CloseReason>, ReceiveError> {
        self.sender.close(reason).await
    }

    /// [`Receiver::close_reason`].
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.receiver.close_reason()
    }
}

impl Receiver {
    /// The next message; `None` when the WebSocket was closed in order, or after an error.
    ///
    /// # Errors
    /// Once, when it ended otherwise; see [`ReceiveError`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn receive(&mut self) -> Option<Result<Message, ReceiveError>> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// Polls for what [`receive`](Receiver::receive) returns.
    pub fn poll_receive(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Option<Result<Message, ReceiveError>>> {
        self.channel.poll_receive(cx)
    }

    /// The reason that the peer gave, when it was closed in order and the peer gave one.
    #[must_use]
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.channel.close_reason()
    }
}

impl Sender {
    /// Hands over a message to be sent; waits while the one before has not begun to go out. What
    /// waits for a peer that does not read is thus one message, one that is half sent, and the
    /// server's `response_buffer_bytes_max`; after the write timeout the connection is cut.
    ///
    /// A message longer than `response_buffer_bytes_max` goes in several frames.
    ///
    /// # Errors
    /// [`SendError::Closed`] when either end closes or the connection is gone.
    ///
    /// # Cancel safety
    /// Of a message whose sending was dropped, nothing is sent.
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.channel.send(message.into()).await
    }

    /// Waits until all messages handed over have been given to the operating system.
    ///
    /// # Errors
    /// [`SendError::Closed`] when the connection ended before.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn flush(&self) -> Result<(), SendError> {
        self.channel.flush().await
    }

    /// Sends a ping, with the next bytes that go out. One that was not sent yet is replaced. The
    /// server sends its own while the peer is silent, so this is for those who want more.
    ///
    /// # Errors
    /// When the connection is closed, or the payload is longer than 125 bytes.
    pub fn ping(&self, payload: impl Into<Bytes>) -> Result<(), SendError> {
        let payload = payload.into();
        if payload.len() > PING_BYTES_MAX {
            return Err(SendError::PingTooLong);
        }
        self.channel.ping(payload)
    }

    /// Closes behind the messages that were handed over, and waits until the peer agrees or the
    /// close timeout is over; returns the peer's reason. What it sends meanwhile is thrown away.
    ///
    /// # Errors
    /// When it ended otherwise; see [`ReceiveError`].
    ///
    /// # Cancel safety
    /// It is closed anyhow.
    pub async fn close(&self, reason: CloseReason) -> Result<Option<CloseReason>, ReceiveError> {
        self.channel.close(reason);
        self.channel.wait_for_end().await
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.channel.drop_receiver();
    }
}

impl Stream for WebSocket {
    type Item = Result<Message, ReceiveError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.receiver.poll_receive(cx)
    }
}

impl Stream for Receiver {
    type Item = Result<Message, ReceiveError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.poll_receive(cx)
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.sender.fmt_as("WebSocket", f)
    }
}

impl fmt::Debug for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").finish_non_exhaustive()
    }
}

impl fmt::Debug for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("Sender", f)
    }
}

impl Sender {
    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field("is_closed", &self.channel.is_closed())
            .finish_non_exhaustive()
    }
}
