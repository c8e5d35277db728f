//! Connecting to a host that has several addresses (RFC 8305, "Happy Eyeballs").

use crate::driver::ConnectOptions;
use crate::net::{TcpStream, lookup_host};
use crate::time::{Sleep, sleep};
use std::collections::VecDeque;
use std::error::Error;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// How long an attempt has for itself before the next is made beside it (RFC 8305, section 5:
/// "Connection Attempt Delay", recommended 250 ms).
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

impl TcpStream {
    /// Connects to a host by name, or to a literal address: `db.example:5432`, `10.0.0.1:80`,
    /// `[::1]:80`.
    ///
    /// Of several addresses the families take turns. An attempt that fails is followed by the
    /// next at once; beside one that takes 250 ms the next is made, and the first connection there
    /// is ends all other attempts (RFC 8305, in its simple form: IPv4 and IPv6 are asked for in
    /// one question, and nothing is remembered).
    ///
    /// ```
    /// use monoloop_runtime::{Runtime, net::{TcpListener, TcpStream}};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// Runtime::new()?.block_on(async {
    ///     let listener = TcpListener::bind("127.0.0.1:0".parse().unwrap())?;
    ///     let port = listener.local_addr()?.port();
    ///     let stream = TcpStream::connect_host(&format!("localhost:{port}")).await?;
    ///     assert_eq!(stream.peer_addr()?.port(), port);
    ///     Ok(())
    /// })
    /// # }
    /// ```
    ///
    /// # Errors
    /// That of [`lookup_host`], or a [`ConnectError`] with all that was tried; `InvalidInput` when
    /// `host` has no port.
    ///
    /// # Cancel safety
    /// The attempts are given up.
    pub async fn connect_host(host: &str) -> io::Result<TcpStream> {
        TcpStream::connect_host_with(host, &ConnectOptions::default()).await
    }

    /// [`connect_host`](TcpStream::connect_host), from a given address, to addresses of its
    /// family only, or with other options.
    ///
    /// # Errors
    /// As [`connect_host`](TcpStream::connect_host).
    ///
    /// # Cancel safety
    /// The attempts are given up.
    pub async fn connect_host_with(host: &str, options: &ConnectOptions) -> io::Result<TcpStream> {
        connect_host(host, options).await
    }
}

async fn connect_host(host: &str, options: &ConnectOptions) -> io::Result<TcpStream> {
    let (name, port) = split_port(host)?;
    let mut addresses = lookup_host(name, port).await?;
    if let Some(local) = options.local_addr {
        // From an address of one family there is no way to the other.
        addresses.retain(|address| address.is_ipv4() == local.is_ipv4());
    }
    let attempts = Attempts {
        host,
        options,
        left: alternate_families(addresses),
        running: Vec::new(),
        failed: Vec::new(),
        next_at: None,
    };
    attempts.await
}

fn split_port(host: &str) -> io::Result<(&str, u16)> {
    let parts = host.rsplit_once(':');
    let parts = parts.and_then(|(name, port)| Some((name, port.parse().ok()?)));
    // An IPv6 address needs its brackets here: its last part looks like a port.
    match parts.filter(|(name, _)| !name.contains(':') || name.starts_with('[')) {
        Some(parts) => Ok(parts),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            format!(
                "{host:?} is not a host and a port, like db.example:5432, 10.0.0.1:80 or [::1]:80"
            ),
        )),
    }
}

/// The families by turns, beginning with that of the first address, each in its order (RFC 8305,
/// section 4, "First Address Family Count" 1).
fn alternate_families(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (same, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|it| it.is_ipv6() == first);
    let (mut same, mut other) = (VecDeque::from(same), VecDeque::from(other));
    let mut order = VecDeque::with_capacity(same.len() + other.len());
    while !same.is_empty() || !other.is_empty() {
        order.extend(same.pop_front());
        order.extend(other.pop_front());
    }
    order
}

type Attempt<'a> = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + 'a>>;

/// Attempts that run side by side, a new one every 250 ms and whenever one has failed. The first
/// that succeeds ends the others.
struct Attempts<'a> {
    host: &'a str,
    options: &'a ConnectOptions,
    left: VecDeque<SocketAddr>,
    running: Vec<(SocketAddr, Attempt<'a>)>,
    failed: Vec<(SocketAddr, io::Error)>,
    /// When the next is made beside those that run.
    next_at: Option<Sleep>,
}

impl Attempts<'_> {
    fn start_next(&mut self) {
        let Some(address) = self.left.pop_front() else {
            self.next_at = None;
            return;
        };
        let options = self.options;
        let attempt = Box::pin(TcpStream::connect_with(address, options));
        self.running.push((address, attempt));
        self.next_at = Some(sleep(ATTEMPT_DELAY)).filter(|_| !self.left.is_empty());
    }

    /// Polls those that run; `Pending` when none of them has ended.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Poll<Option<TcpStream>> {
        let mut has_failed = false;
        let mut next = 0;
        while let Some((address, attempt)) = self.running.get_mut(next) {
            match attempt.as_mut().poll(cx) {
                Poll::Pending => next += 1,
                Poll::Ready(Ok(stream)) => return Poll::Ready(Some(stream)),
                Poll::Ready(Err(error)) => {
                    self.failed.push((*address, error));
                    drop(self.running.remove(next));
                    has_failed = true;
                }
            }
        }
        match has_failed {
            true => Poll::Ready(None),
            false => Poll::Pending,
        }
    }

    fn is_time_for_next(&mut self, cx: &mut Context<'_>) -> bool {
        let next_at = self.next_at.as_mut();
        next_at.is_some_and(|next_at| Pin::new(next_at).poll(cx).is_ready())
    }
}

impl Future for Attempts<'_> {
    type Output = io::Result<TcpStream>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = &mut *self;
        loop {
            match this.poll_running(cx) {
                Poll::Ready(Some(stream)) => return Poll::Ready(Ok(stream)),
                Poll::Ready(None) => this.start_next(),
                Poll::Pending if this.running.is_empty() => this.start_next(),
                Poll::Pending if this.is_time_for_next(cx) => this.start_next(),
                Poll::Pending => return Poll::Pending,
            }
            if this.running.is_empty() {
                let tried = std::mem::take(&mut this.failed);
                return Poll::Ready(Err(ConnectError::wrap(this.host, tried)));
            }
        }
    }
}

/// A host none of whose addresses could be connected to: inside of the [`io::Error`] of
/// [`TcpStream::connect_host`], whose kind is that of the last attempt to fail.
#[derive(Debug)]
pub struct ConnectError {
    host: String,
    tried: Vec<(SocketAddr, io::Error)>,
}

impl ConnectError {
    fn wrap(host: &str, tried: Vec<(SocketAddr, io::Error)>) -> io::Error {
        let last = tried.last();
        let kind = last.map_or(io::ErrorKind::AddrNotAvailable, |(_, error)| error.kind());
        let host = host.to_owned();
        io::Error::new(kind, ConnectError { host, tried })
    }

    /// The host and port that were given.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The addresses that were tried and what became of it, in the order in which they failed.
    #[must_use]
    pub fn tried(&self) -> &[(SocketAddr, io::Error)] {
        &self.tried
    }
}

impl fmt::Display for ConnectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot connect to {}: ", self.host)?;
        if self.tried.is_empty() {
            return f.write_str("it has no address of the local address's family");
        }
        for (count, (address, error)) in self.tried.iter().enumerate() {
            let comma = if count > 0 { ", " } else { "" };
            write!(f, "{comma}{address} ({error})")?;
        }
        Ok(())
    }
}

impl Error for ConnectError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        let (_, last) = self.tried.last()?;
        Some(last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_and_its_port_are_told_apart() {
        for (text, parts) in [
            ("db.example:5432", Some(("db.example", 5432))),
            ("10.0.0.1:80", Some(("10.0.0.1", 80))),
            ("[::1]:80", Some(("[::1]", 80))),
            ("::1", None),
            ("fe80::1:80", None),
            ("db.example", None),
            ("db.example:", None),
            ("db.example:http", None),
            ("db.example:65536", None),
        ] {
            assert_eq!(split_port(text).ok(), parts, "{text:?}");
        }
    }

    #[test]
    fn families_are_tried_by_turns_beginning_with_the_first() {
        let four = |last| SocketAddr::from(([10, 0, 0, last], 80));
        let six = |last| SocketAddr::from(([0xfd00, 0, 0, 0, 0, 0, 0, last], 80));
        let order = alternate_families(vec![six(1), six(2), six(3), four(1), four(2)]);
        assert_eq!(order, [six(1), four(1), six(2), four(2), six(3)]);
        assert_eq!(alternate_families(vec![four(1), six(1)]), [four(1), six(1)]);
        assert!(alternate_families(Vec::new()).is_empty());
    }
}
