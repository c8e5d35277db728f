//! TLS over TCP, as a connection uses it.

use super::certificates::asked_name;
use super::info::TlsSession;
use super::session::Session;
use crate::connection::HandshakeFailure;
use monoloop_runtime::net::{Chunk, TcpStream};
use rustls::ServerConfig;
use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::task::{Context, Poll, ready};

/// Bytes that a handshake may take of a peer. rustls bounds each message to 64 KiB, and none but a
/// chain of certificates comes near it; OpenSSL takes a chain of 100 KiB (`SSL_MAX_CERT_LIST`).
const HANDSHAKE_BYTES_MAX: usize = 128 * 1024;

/// Bytes that are enciphered before the socket has taken those before: two records, so that large
/// responses need few system calls and a peer that does not read holds little.
const SEALED_BYTES_MAX: usize = 32 * 1024;

pub(crate) struct TlsStream {
    tcp: TcpStream,
    state: State,
    /// Bytes that were received, until the handshake is done.
    handshake_bytes: usize,
    /// Bytes of the caller's that were enciphered and not reported as written, because the socket
    /// has not taken all of them.
    unreported: usize,
    /// Bytes that the socket has taken since something was reported last.
    progress: usize,
    about: Option<Arc<TlsSession>>,
}

enum State {
    /// Nothing has come, and a session would be memory for nothing.
    Silent(Arc<ServerConfig>),
    Speaking(Box<Session>),
    /// The peer does not speak TLS.
    Plain,
}

impl TlsStream {
    /// Serves a connection by `config`, whatever comes after it.
    pub(crate) fn new(tcp: TcpStream, config: Arc<ServerConfig>) -> Self {
        TlsStream {
            tcp,
            state: State::Silent(config),
            handshake_bytes: 0,
            unreported: 0,
            progress: 0,
            about: None,
        }
    }

    pub(crate) fn tcp(&mut self) -> &mut TcpStream {
        &mut self.tcp
    }

    /// What was agreed upon, once it was.
    pub(crate) fn about(&self) -> Option<&Arc<TlsSession>> {
        self.about.as_ref()
    }

    pub(crate) fn poll_handshake(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<(), HandshakeFailure>> {
        let broken = |error: io::Error| HandshakeFailure::Broken(error.kind());
        loop {
            if let State::Speaking(session) = &mut self.state {
                let flushed = poll_flush(&mut self.tcp, session, &mut self.progress, cx);
                if !session.state().is_handshaking() {
                    // What is left of the last flight goes out with what is written next.
                    return Poll::Ready(Ok(()));
                }
                // A peer that does not read gets no answer to what it says meanwhile.
                ready!(flushed).map_err(broken)?;
            }
            let mut chunk = ready!(self.tcp.poll_receive(cx)).map_err(broken)?;
            if chunk.is_empty() {
                return Poll::Ready(Err(match self.handshake_bytes {
                    0 => HandshakeFailure::NeverBegan,
                    _ => HandshakeFailure::Closed,
                }));
            }
            self.receive_handshake(&mut chunk)?;
        }
    }

    fn receive_handshake(&mut self, received: &mut [u8]) -> Result<(), HandshakeFailure> {
        self.handshake_bytes += received.len();
        if let State::Silent(config) = &self.state {
            // Types of records are below 32, and the old hello of SSL 2 begins above 127
            // (RFC 8446 §5.1, RFC 5246 §E.2); methods are letters.
            if received[0].is_ascii_uppercase() {
                self.state = State::Plain;
                return Err(HandshakeFailure::PlainHttp);
            }
            let session = Session::new(config.clone());
            let session = session.expect("one was made of it when it was loaded");
            self.state = State::Speaking(Box::new(session));
        }
        let State::Speaking(session) = &mut self.state else {
            return Err(HandshakeFailure::PlainHttp);
        };
        if let Err(error) = session.receive(received, None) {
            tracing::debug!(peer = ?self.tcp.peer_addr().ok(), %error, "TLS handshake refused");
            return Err(HandshakeFailure::Refused);
        }
        let name = asked_name();
        let about = self.about.get_or_insert_default();
        if let (Some(name), Some(about)) = (name, Arc::get_mut(about)) {
            about.server_name = Some(name);
        }
        if session.state().is_handshaking() {
            return match self.handshake_bytes > HANDSHAKE_BYTES_MAX {
                true => Err(HandshakeFailure::TooLong),
                false => Ok(()),
            };
        }
        if let Some(about) = Arc::get_mut(about) {
            about.learn(session.state());
            tracing::debug!(
                peer = ?self.tcp.peer_addr().ok(),
                version = about.version(),
                cipher_suite = about.cipher_suite(),
                server_name = about.server_name(),
                resumed = about.is_resumed(),
                "TLS handshake done"
            );
        }
        Ok(())
    }

    pub(crate) fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<io::Result<Chunk>> {
        let session = match &mut self.state {
            State::Speaking(session) if !session.has_failed => session,
            // Of no matter; but who looks whether something comes gets to know.
            State::Silent(_) | State::Speaking(_) | State::Plain => {
                return self.tcp.poll_receive(cx);
            }
        };
        loop {
            // Tickets, and what the socket had no room for: whoever waits for the peer has to
            // have told it everything. Who is broken says so to the receive below.
            let _ = poll_flush(&mut self.tcp, session, &mut self.progress, cx);
            if session.has_opened() || session.peer_has_closed {
                let mut chunk = Chunk::empty();
                session.take_opened(&mut chunk);
                return Poll::Ready(Ok(chunk));
            }
            let mut received = ready!(self.tcp.poll_receive(cx))?;
            if received.is_empty() {
                // Without close_notify. Requests say how long they are, so one that was cut short
                // is known to be (RFC 9112 §9.8 has clients care, whose responses may not).
                return Poll::Ready(Ok(received));
            }
            let mut opened = Chunk::empty();
            if let Err(error) = session.receive(&mut received, Some(&mut opened)) {
                let _ = poll_flush(&mut self.tcp, session, &mut self.progress, cx);
                tracing::debug!(peer = ?self.tcp.peer_addr().ok(), %error, "TLS broken");
                return Poll::Ready(Err(io::Error::new(ErrorKind::InvalidData, error)));
            }
            if !opened.is_empty() {
                return Poll::Ready(Ok(opened));
            }
        }
    }

    /// Bytes count as written when the socket has taken them, so that a peer that does not read is
    /// known by it. Until then the caller calls again with the same ones.
    pub(crate) fn poll_write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let session = match &mut self.state {
            State::Plain => return self.tcp.poll_write(cx, bytes),
            State::Speaking(session) if !session.has_failed => session,
            State::Silent(_) | State::Speaking(_) => {
                return Poll::Ready(Err(ErrorKind::NotConnected.into()));
            }
        };
        if self.unreported == 0 {
            let sealed = &bytes[..bytes.len().min(SEALED_BYTES_MAX)];
            session
                .seal(sealed)
                .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
            self.unreported = sealed.len();
            self.progress = 0;
        }
        let flushed = poll_flush(&mut self.tcp, session, &mut self.progress, cx)?;
        let count = match flushed {
            Poll::Ready(()) => self.unreported,
            // Some of them are out, and one is kept back for the last.
            Poll::Pending => self.progress.min(self.unreported.saturating_sub(1)),
        };
        debug_assert!(
            self.unreported <= bytes.len(),
            "the same bytes again, or more"
        );
        let count = count.min(bytes.len());
        self.progress = 0;
        self.unreported -= count;
        match flushed {
            Poll::Pending if count == 0 => Poll::Pending,
            _ => Poll::Ready(Ok(count)),
        }
    }

    /// Sends `close_notify`; ready when the socket has taken it, or never will.
    pub(crate) fn poll_goodbye(&mut self, cx: &Context<'_>) -> Poll<()> {
        let State::Speaking(session) = &mut self.state else {
            return Poll::Ready(());
        };
        // The caller has given up in the middle of what was enciphered, and that is no orderly end.
        if self.unreported > 0 {
            return Poll::Ready(());
        }
        session.say_goodbye();
        poll_flush(&mut self.tcp, session, &mut self.progress, cx).map(|_| ())
    }
}

/// Sends what waits; ready when all of it is out.
fn poll_flush(
    tcp: &mut TcpStream,
    session: &mut Session,
    progress: &mut usize,
    cx: &Context<'_>,
) -> Poll<io::Result<()>> {
    while !session.outgoing().is_empty() {
        match ready!(tcp.poll_write(cx, session.outgoing()))? {
            0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
            count => {
                session.advance(count);
                *progress += count;
            }
        }
    }
    Poll::Ready(Ok(()))
}

const _: () = assert!(size_of::<TlsStream>() <= 80);
