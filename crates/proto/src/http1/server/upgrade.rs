//! Going on in another protocol (RFC 9110 §7.8).

use std::mem;

use bytes::Bytes;
use http::HeaderValue;

use super::{Connection, Recv};
use crate::http1::encode::{FieldWriter, push_field};
use crate::http1::error::SendError;
use crate::http1::response::Send;

impl Connection {
    /// Accepts to go on in `protocol`, one of those that the request
    /// [asks for](super::super::RequestHead::upgrades): writes `101 Switching Protocols` with the two
    /// fields it has to have. More are written to what it returns, and the head ends when that is
    /// dropped.
    ///
    /// With that this connection is over. What was received behind the request, and what is still
    /// given to [`receive`](Self::receive), is in the other protocol: see
    /// [`take_buffered`](Self::take_buffered). [`close_after_response`](Self::close_after_response)
    /// says nothing about it.
    ///
    /// ```
    /// # use std::rc::Rc;
    /// # use http::HeaderValue;
    /// # use monoloop_proto::http1::{Connection, Event};
    /// let mut connection = Connection::new(Rc::default());
    /// connection.receive(
    ///     b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nfirst words",
    /// );
    /// let Event::Request(head) = connection.next_event()? else { panic!("the head is whole") };
    /// assert!(head.upgrades().any(|protocol| protocol.eq_ignore_ascii_case(b"echo")));
    ///
    /// let mut out = Vec::new();
    /// connection.send_upgrade(&HeaderValue::from_static("echo"), &mut out)?.finish();
    /// assert_eq!(
    ///     out,
    ///     b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n"
    /// );
    /// assert_eq!(connection.take_buffered(), "first words");
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When no request waits for a head, or it asks for no other protocol. Nothing is written then,
    /// and the request still waits for its response.
    #[cold]
    pub fn send_upgrade<'a>(
        &mut self,
        protocol: &HeaderValue,
        out: &'a mut Vec<u8>,
    ) -> Result<FieldWriter<'a>, SendError> {
        self.check_awaits_head()?;
        // It has no body, or it would not ask. One that was told to close meanwhile is not received
        // from any more.
        if !self.request.asks_upgrade || !self.is_request_received() {
            return Err(SendError::UpgradeNotAsked);
        }
        self.send = Send::Nothing;
        self.recv = Recv::Upgraded;
        out.extend_from_slice(b"HTTP/1.1 101 Switching Protocols\r\n");
        push_field(out, "connection", b"upgrade");
        push_field(out, "upgrade", protocol.as_bytes());
        Ok(FieldWriter::new(out))
    }

    /// Whether it went on in another protocol.
    #[inline]
    #[must_use]
    pub fn is_upgraded(&self) -> bool {
        matches!(self.recv, Recv::Upgraded)
    }

    /// Takes what was received in the other protocol; empty unless there
    /// [is one](Self::is_upgraded). It shares the received bytes.
    pub fn take_buffered(&mut self) -> Bytes {
        if self.is_upgraded() {
            mem::take(&mut self.buffer).freeze()
        } else {
            Bytes::new()
        }
    }
}
