//! WebSocket (RFC 6455): messages both ways over one connection.
//!
//! ```
//! use monoloop::websocket::{self, WebSocket};
//! use monoloop::{Request, Response, Router};
//!
//! async fn echo(request: Request) -> Response {
//!     websocket::accept(&request, async |mut socket: WebSocket| {
//!         while let Some(Ok(message)) = socket.receive().await {
//!             if socket.send(message).await.is_err() {
//!                 break;
//!             }
//!         }
//!     })
//! }
//!
//! let router = Router::new().get("/echo", echo);
//! # assert!(router.check().is_ok());
//! ```
//!
//! # What the connection does by itself
//! It answers pings, sends its own while the peer is silent, closes in order when the handler's
//! future is over (1000), when it panics (1011), and when the server drains (1001). A peer that
//! breaks the protocol is told 1002, one that sends text which is no UTF-8 1007, as soon as the
//! wrong byte is there, one that sends too much 1009. A peer that does not read is cut off at the
//! write timeout.
//!
//! # Compression
//! None: tungstenite, which speaks the protocol here, has no permessage-deflate (RFC 7692). A peer
//! that offers it is answered without, and sends as it is.

mod channel;
mod codec;
#[cfg(test)]
mod codec_tests;
mod error;
mod handshake;
mod message;
mod options;
mod session;
mod socket;

pub use error::{ReceiveError, SendError};
pub use handshake::HandshakeError;
pub use message::{CloseReason, Message, Text};
pub use monoloop_proto::websocket::FrameError;
pub use options::{Options, Origins};
pub use socket::{Receiver, Sender, WebSocket};

use crate::upgrade::{Follower, Upgrade};
use crate::{IntoResponse, Request, Response};
use channel::Channel;
use session::WebSocketSession;
use std::rc::Rc;

/// [`Options::accept`] with the defaults.
#[must_use]
pub fn accept(request: &Request, handler: impl AsyncFnOnce(WebSocket) + 'static) -> Response {
    Options::default().accept(request, handler)
}

impl Options {
    /// Answers a request for a WebSocket: with 101, behind which `handler` goes on, in the task and
    /// the context of the request; else with what is wrong ([`HandshakeError`]).
    ///
    /// The WebSocket is closed when the handler's future is over. When it ended otherwise, the
    /// future has the server's handler timeout to find out, and is then dropped.
    ///
    /// # Panics
    /// When a limit is zero: a mistake in the program.
    #[must_use]
    pub fn accept(
        &self,
        request: &Request,
        handler: impl AsyncFnOnce(WebSocket) + 'static,
    ) -> Response {
        assert!(
            self.message_bytes_max > 0 && self.frame_bytes_max > 0,
            "a WebSocket has room for a byte at least"
        );
        let agreed = match handshake::agree(request, self) {
            Ok(agreed) => agreed,
            Err(error) => return error.into_response(),
        };
        let channel = Rc::new(Channel::new());
        let socket = WebSocket::new(channel.clone());
        let handler = Follower::new(async move { handler(socket).await });
        let session = WebSocketSession::new(channel, self, handler);
        let mut response = Upgrade::response(handshake::PROTOCOL, session);
        agreed.add_to(&mut response);
        response
    }
}
