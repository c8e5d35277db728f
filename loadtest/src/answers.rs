//! What a protocol has to know: how to find the answers in what a connection received.

use crate::fault::Fault;

/// One whole answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// HTTP status; `None` for protocols without one.
    pub(crate) status: Option<u16>,
    /// Whether another request may follow on the connection.
    pub(crate) keep_alive: bool,
}

/// Finds the answers in the bytes of one connection. No socket, no clock.
pub(crate) trait Answers {
    /// `count` more requests are sent; their answers come after those expected before.
    fn expect(&mut self, count: u32);

    /// Takes the next bytes received and calls `answered` for each answer that is now whole.
    ///
    /// After an answer that ends the connection the rest of `bytes` is not looked at. A fault is
    /// final.
    fn receive(&mut self, bytes: &[u8], answered: &mut impl FnMut(Answer)) -> Result<(), Fault>;

    /// The peer has finished sending. Some answers are whole only then.
    fn receive_eof(&mut self, answered: &mut impl FnMut(Answer)) -> Result<(), Fault>;
}
