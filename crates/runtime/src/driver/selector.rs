//! The driver for readiness: epoll, kqueue and IOCP, through mio.
//!
//! A socket is registered once, edge-triggered: the kernel reports each change once. Room for
//! sending is asked for only once a send did not fit, since most sockets never get there.

use super::Wait;
use super::readiness::{Io, Report, Sockets, Watch};
use crate::config::Config;
use crate::inbox::Notify;
use crate::task::Waiter;
use mio::event::Source;
use mio::{Events, Interest, Poll, Token};
use slotmap::{DefaultKey, Key, KeyData};
use std::io;
use std::time::Duration;

const WAKE: Token = Token(usize::MAX);

const _: () = assert!(
    usize::BITS >= u64::BITS,
    "a token holds a slot and its generation"
);

pub(crate) struct Selector {
    poll: Poll,
    events: Events,
}

impl Selector {
    pub(crate) fn open(config: &Config) -> io::Result<Self> {
        Ok(Selector {
            poll: Poll::new()?,
            events: Events::with_capacity(config.events_per_poll_max as usize),
        })
    }
}

impl Watch for Selector {
    fn add(&mut self, io: &mut Io, key: DefaultKey, room: bool) -> io::Result<()> {
        let interest = match room {
            true => Interest::READABLE | Interest::WRITABLE,
            false => Interest::READABLE,
        };
        let registry = self.poll.registry();
        with_source(io, |source| {
            registry.register(source, token_of(key), interest)
        })
    }

    fn add_room(&mut self, io: &mut Io, key: DefaultKey) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.registry();
        with_source(io, |source| {
            registry.reregister(source, token_of(key), interest)
        })
    }

    fn wait(
        &mut self,
        wait: Wait,
        sockets: &mut Sockets,
        woken: &mut Vec<Waiter>,
    ) -> io::Result<usize> {
        let timeout = match wait {
            Wait::Not => Some(Duration::ZERO),
            Wait::AtMost(timeout) => Some(timeout),
            Wait::Forever => None,
        };
        match self.poll.poll(&mut self.events, timeout) {
            Ok(()) => {}
            // A signal: its own thread deals with it, the loop takes a turn.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(0),
            Err(error) => return Err(error),
        }
        let mut count = 0;
        for event in &self.events {
            count += 1;
            if event.token() == WAKE {
                continue;
            }
            let report = Report {
                readable: event.is_readable(),
                writable: event.is_writable() || event.is_write_closed(),
                read_closed: event.is_read_closed(),
                broken: event.is_error(),
            };
            sockets.report(key_of(event.token()), report, woken);
        }
        Ok(count)
    }

    fn notifier(&mut self) -> io::Result<Box<dyn Notify>> {
        let waker = mio::Waker::new(self.poll.registry(), WAKE)?;
        Ok(Box::new(waker))
    }
}

impl Notify for mio::Waker {
    fn notify(&self) {
        if let Err(error) = self.wake() {
            tracing::error!(%error, "another thread could not wake the event loop");
        }
    }
}

/// What mio registers of a socket.
fn with_source<R>(io: &mut Io, register: impl FnOnce(&mut dyn Source) -> R) -> R {
    match io {
        Io::TcpStream(stream) => register(stream),
        Io::TcpListener(listener, _) => register(listener),
        Io::UdpSocket(socket) => register(socket),
        #[cfg(unix)]
        Io::UnixStream(stream) => register(stream),
        #[cfg(unix)]
        Io::UnixListener(listener) => register(listener),
        #[cfg(unix)]
        Io::UnixDatagram(socket) => register(socket),
        #[cfg(unix)]
        Io::File(file) => {
            let descriptor = std::os::fd::AsRawFd::as_raw_fd(file);
            register(&mut mio::unix::SourceFd(&descriptor))
        }
    }
}

fn token_of(key: DefaultKey) -> Token {
    Token(key.data().as_ffi() as usize)
}

fn key_of(token: Token) -> DefaultKey {
    KeyData::from_ffi(token.0 as u64).into()
}
