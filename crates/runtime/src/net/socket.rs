//! A socket of the driver's, closed when it is dropped; the operations of all types here.

use crate::core::Core;
use crate::driver::{Address, SocketId, Take};
use crate::net::Chunk;
use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

pub(crate) struct Socket {
    pub(crate) core: Rc<Core>,
    pub(crate) id: SocketId,
}

impl Socket {
    pub(crate) fn new(core: Rc<Core>, id: SocketId) -> Self {
        Socket { core, id }
    }

    #[inline]
    pub(crate) fn poll_receive(&self, cx: &Context<'_>) -> Poll<io::Result<Chunk>> {
        ready!(self.core.poll_budget(cx));
        let caller = self.core.caller(cx);
        let lent = self.core.buffers.lend(|buffer| {
            let mut driver = self.core.driver.borrow_mut();
            driver.receive(self.id, buffer, &caller)
        });
        let (buffer, count) = ready!(lent)?;
        Poll::Ready(Ok(Chunk::new(self.core.clone(), buffer, count)))
    }

    /// One connection of a listener, and who is at its other end.
    pub(crate) fn poll_accept(&self, cx: &Context<'_>) -> Poll<io::Result<(Socket, Address)>> {
        ready!(self.core.poll_budget(cx));
        let caller = self.core.caller(cx);
        let accepted = self.core.driver.borrow_mut().accept(self.id, &caller);
        accepted.map_ok(|(id, peer)| (Socket::new(self.core.clone(), id), peer))
    }

    /// One datagram, in a lent buffer, and who has sent it.
    pub(crate) fn poll_receive_from(&self, cx: &Context<'_>) -> Poll<io::Result<(Chunk, Address)>> {
        let mut sender = None;
        let lent = self.core.buffers.lend(|buffer| {
            let (count, from) = ready!(self.poll_read_from(cx, buffer, Take::Out))?;
            sender = Some(from);
            Poll::Ready(Ok(count))
        });
        let (buffer, count) = ready!(lent)?;
        let from = sender.expect("a datagram that came has a sender");
        Poll::Ready(Ok((Chunk::new(self.core.clone(), buffer, count), from)))
    }

    pub(crate) fn poll_read(&self, cx: &Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.core.poll_budget(cx));
        let caller = self.core.caller(cx);
        let mut driver = self.core.driver.borrow_mut();
        driver.receive(self.id, buffer, &caller)
    }

    #[inline]
    pub(crate) fn poll_write(
        &self,
        cx: &Context<'_>,
        buffers: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        ready!(self.core.poll_budget(cx));
        let caller = self.core.caller(cx);
        let mut driver = self.core.driver.borrow_mut();
        driver.send(self.id, buffers, &caller)
    }

    /// Writes what is left, and takes off what was written.
    #[inline]
    pub(crate) fn poll_write_all(
        &self,
        cx: &Context<'_>,
        left: &mut &[u8],
    ) -> Poll<io::Result<()>> {
        while !left.is_empty() {
            match ready!(self.poll_write(cx, &[IoSlice::new(left)]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                count => *left = &left[count..],
            }
        }
        Poll::Ready(Ok(()))
    }

    /// One datagram, taken or looked at, and who has sent it.
    pub(crate) fn poll_read_from(
        &self,
        cx: &Context<'_>,
        buffer: &mut [u8],
        what: Take,
    ) -> Poll<io::Result<(usize, Address)>> {
        ready!(self.core.poll_budget(cx));
        let caller = self.core.caller(cx);
        let mut driver = self.core.driver.borrow_mut();
        driver.receive_from(self.id, buffer, what, &caller)
    }

    /// One datagram, to whom the socket is connected with.
    pub(crate) fn poll_send(&self, cx: &Context<'_>, bytes: &[u8]) -> Poll<io::Result<()>> {
        // It goes whole or not at all.
        self.poll_write(cx, &[IoSlice::new(bytes)]).map_ok(drop)
    }

    pub(crate) fn poll_send_to(
        &self,
        cx: &Context<'_>,
        bytes: &[u8],
        to: &Address,
    ) -> Poll<io::Result<()>> {
        ready!(self.core.poll_budget(cx));
        let caller = self.core.caller(cx);
        let mut driver = self.core.driver.borrow_mut();
        driver.send_to(self.id, bytes, to, &caller).map_ok(drop)
    }

    pub(crate) fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.core.driver.borrow_mut().shutdown(self.id, how)
    }

    /// Reads or sets an option of the operating system's socket.
    pub(crate) fn option<T>(
        &self,
        option: impl FnOnce(&socket2::Socket) -> io::Result<T>,
    ) -> io::Result<T> {
        option(&*self.core.driver.borrow().os_socket(self.id)?)
    }

    pub(crate) fn local_addr(&self) -> io::Result<Address> {
        self.core.driver.borrow().local_addr(self.id)
    }

    pub(crate) fn peer_addr(&self) -> io::Result<Address> {
        self.core.driver.borrow().peer_addr(self.id)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let waited = self.core.driver.borrow_mut().close(self.id);
        drop(waited);
    }
}
