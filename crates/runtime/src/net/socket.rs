//! A socket of the driver's, closed when it is dropped; the operations of all types here.

use crate::core::Core;
use crate::driver::SocketId;
use crate::net::Chunk;
use std::io::{self, IoSlice};
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
        let mut buffer = self.core.buffers.take();
        let received = {
            let caller = self.core.caller(cx);
            let mut driver = self.core.driver.borrow_mut();
            driver.receive(self.id, &mut buffer, &caller)
        };
        match received {
            Poll::Ready(Ok(count)) => Poll::Ready(Ok(Chunk::new(self.core.clone(), buffer, count))),
            Poll::Ready(Err(error)) => {
                self.core.buffers.give_back(buffer);
                Poll::Ready(Err(error))
            }
            Poll::Pending => {
                self.core.buffers.give_back(buffer);
                Poll::Pending
            }
        }
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
}

impl Drop for Socket {
    fn drop(&mut self) {
        let waited = self.core.driver.borrow_mut().close(self.id);
        drop(waited);
    }
}
