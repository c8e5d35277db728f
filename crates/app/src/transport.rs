//! What a connection is made of below HTTP: TCP, or TLS over it.
//!
//! A plain connection pays one comparison a call for this, and no memory.

use crate::connection::HandshakeFailure;
#[cfg(feature = "tls")]
use crate::tls::{TlsReloader, TlsStream};
use monoloop_runtime::net::{Chunk, TcpStream};
use std::io;
use std::net::Shutdown;
use std::task::{Context, Poll};
use std::time::Duration;

/// The bytes of a connection, deciphered.
pub(crate) enum Transport {
    Plain(TcpStream),
    /// Boxed, for thousands of plain ones have no room for it.
    #[cfg(feature = "tls")]
    Tls(Box<TlsStream>),
}

const _: () = assert!(size_of::<Transport>() == size_of::<TcpStream>());

/// What the connections that a loop accepts are served over.
#[derive(Default)]
pub(crate) struct Transports {
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsReloader>,
}

impl Transports {
    pub(crate) fn over(&self, stream: TcpStream) -> Transport {
        #[cfg(feature = "tls")]
        if let Some(tls) = &self.tls {
            return Transport::Tls(Box::new(TlsStream::new(stream, tls.current())));
        }
        Transport::Plain(stream)
    }

    /// Whether nothing can be said before the peer and the server have come to terms.
    pub(crate) fn have_handshake(&self) -> bool {
        #[cfg(feature = "tls")]
        return self.tls.is_some();
        #[cfg(not(feature = "tls"))]
        false
    }
}

impl Transport {
    /// Receives what has come; empty when the peer has finished.
    #[inline(always)]
    pub(crate) fn poll_receive(&mut self, cx: &Context<'_>) -> Poll<io::Result<Chunk>> {
        match self {
            Transport::Plain(stream) => stream.poll_receive(cx),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_receive(cx),
        }
    }

    /// Writes what fits and returns how many bytes that were. Who has to wait calls again with the
    /// same bytes, and maybe more behind them.
    #[inline(always)]
    pub(crate) fn poll_write(&mut self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Transport::Plain(stream) => stream.poll_write(cx, bytes),
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_write(cx, bytes),
        }
    }

    /// Whether [`poll_handshake`](Transport::poll_handshake) has something to do.
    pub(crate) fn is_handshaking(&self) -> bool {
        match self {
            Transport::Plain(_) => false,
            #[cfg(feature = "tls")]
            Transport::Tls(_) => true,
        }
    }

    /// Comes to terms with the peer before anything else is received or written.
    pub(crate) fn poll_handshake(
        &mut self,
        cx: &Context<'_>,
    ) -> Poll<Result<(), HandshakeFailure>> {
        match self {
            Transport::Plain(_) => {
                let _ = cx;
                Poll::Ready(Ok(()))
            }
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_handshake(cx),
        }
    }

    /// Tells the peer that all was said, where the transport has a word for it: TLS has
    /// `close_notify`, without which what the peer got may have been cut short (RFC 9112 §9.8).
    /// Ready when that is on its way, or cannot be. To be called when all is written.
    pub(crate) fn poll_goodbye(&mut self, cx: &Context<'_>) -> Poll<()> {
        match self {
            Transport::Plain(_) => {
                let _ = cx;
                Poll::Ready(())
            }
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.poll_goodbye(cx),
        }
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown) -> io::Result<()> {
        self.tcp().shutdown(how)
    }

    pub(crate) fn set_linger(&mut self, linger: Option<Duration>) -> io::Result<()> {
        self.tcp().set_linger(linger)
    }

    fn tcp(&mut self) -> &mut TcpStream {
        match self {
            Transport::Plain(stream) => stream,
            #[cfg(feature = "tls")]
            Transport::Tls(stream) => stream.tcp(),
        }
    }
}
