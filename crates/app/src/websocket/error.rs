//! What can go wrong on a WebSocket, by whose fault it is.

use super::CloseReason;
use crate::upgrade::UpgradeFault;
use monoloop_proto::websocket::FrameError;
use std::fmt;

/// Why nothing more is received.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReceiveError {
    /// The peer broke the protocol in a frame. It was told 1002.
    Frame(FrameError),
    /// The peer broke the protocol in the order or the content of its frames. It was told 1002.
    Protocol,
    /// The peer sent text that is no UTF-8 (RFC 6455 §8.1). It was told 1007.
    NotUtf8,
    /// The peer sent a message that is too long. It was told 1009.
    TooLong {
        /// Bytes that a message may have.
        limit: usize,
    },
    /// A message that had begun came too slowly. The peer was told 1008.
    TooSlow,
    /// Nothing came from the peer for longer than the idle timeout, not even the answer to a ping.
    Silent,
    /// The peer does not read what is sent to it: the write timeout.
    DoesNotRead,
    /// The connection is gone without a close.
    Disconnected,
}

/// Why something cannot be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The connection is closed, or being closed, by either end.
    Closed,
    /// A ping carries 125 bytes at most (RFC 6455 §5.5).
    PingTooLong,
}

impl ReceiveError {
    /// What it is to the connection.
    pub(super) fn fault(self) -> UpgradeFault {
        match self {
            ReceiveError::TooLong { .. } | ReceiveError::Frame(FrameError::TooLong { .. }) => {
                UpgradeFault::Limit
            }
            ReceiveError::TooSlow => UpgradeFault::TooSlow,
            _ => UpgradeFault::Protocol,
        }
    }

    /// What the peer is told, where it is told anything.
    pub(super) fn close_reason(self) -> Option<CloseReason> {
        let (code, reason) = match self {
            ReceiveError::Frame(FrameError::TooLong { .. }) | ReceiveError::TooLong { .. } => {
                (CloseReason::TOO_LONG, "too long")
            }
            ReceiveError::Frame(_) | ReceiveError::Protocol => {
                (CloseReason::PROTOCOL_ERROR, "protocol error")
            }
            ReceiveError::TooSlow => (CloseReason::POLICY, "too slow"),
            ReceiveError::NotUtf8 => (CloseReason::INVALID_PAYLOAD, "not UTF-8"),
            ReceiveError::Silent | ReceiveError::DoesNotRead | ReceiveError::Disconnected => {
                return None;
            }
        };
        Some(CloseReason::new(code, reason))
    }
}

impl fmt::Display for ReceiveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReceiveError::Frame(error) => write!(f, "the peer broke the protocol: {error}"),
            ReceiveError::Protocol => f.write_str("the peer broke the protocol"),
            ReceiveError::NotUtf8 => f.write_str("the peer sent text that is not UTF-8"),
            ReceiveError::TooLong { limit } => write!(f, "a message exceeds {limit} bytes"),
            ReceiveError::TooSlow => f.write_str("a message comes too slowly"),
            ReceiveError::Silent => f.write_str("nothing came from the peer, no pong either"),
            ReceiveError::DoesNotRead => f.write_str("the peer does not read"),
            ReceiveError::Disconnected => f.write_str("the peer is gone without a close"),
        }
    }
}

impl std::error::Error for ReceiveError {}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SendError::Closed => "the WebSocket is closed",
            SendError::PingTooLong => "a ping carries 125 bytes at most",
        })
    }
}

impl std::error::Error for SendError {}
