//! The echo protocol: a message goes out, the same bytes come back.

use std::rc::Rc;

use crate::answers::{Answer, Answers};
use crate::fault::{Fault, FaultKind};

/// A message of printable bytes that ends a line, so that servers that echo lines answer too.
pub(crate) fn message(bytes: usize) -> Vec<u8> {
    let mut message: Vec<u8> = (b'a'..=b'z').cycle().take(bytes).collect();
    if let Some(last) = message.last_mut() {
        *last = b'\n';
    }
    message
}

/// Counts messages coming back, and compares every byte.
#[derive(Debug, Clone)]
pub(crate) struct EchoAnswers {
    message: Rc<[u8]>,
    /// Bytes of the current message that have come back.
    received: usize,
    expected: u64,
}

impl EchoAnswers {
    pub(crate) fn new(message: Rc<[u8]>) -> Self {
        assert!(!message.is_empty(), "the plan refuses empty messages");
        Self {
            message,
            received: 0,
            expected: 0,
        }
    }
}

impl Answers for EchoAnswers {
    fn expect(&mut self, count: u32) {
        self.expected += u64::from(count);
    }

    fn receive(
        &mut self,
        mut bytes: &[u8],
        answered: &mut impl FnMut(Answer),
    ) -> Result<(), Fault> {
        while !bytes.is_empty() {
            if self.expected == 0 {
                return Err(Fault::new(
                    FaultKind::Protocol,
                    "more came back than was sent",
                ));
            }
            let missing = &self.message[self.received..];
            let length = missing.len().min(bytes.len());
            if bytes[..length] != missing[..length] {
                return Err(Fault::new(
                    FaultKind::Protocol,
                    "other bytes came back than were sent",
                ));
            }
            bytes = &bytes[length..];
            self.received += length;
            if self.received == self.message.len() {
                self.received = 0;
                self.expected -= 1;
                answered(Answer {
                    status: None,
                    keep_alive: true,
                });
            }
        }
        Ok(())
    }

    fn receive_eof(&mut self, _answered: &mut impl FnMut(Answer)) -> Result<(), Fault> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echoes(message: &[u8], sent: u32, back: &[u8], at_a_time: usize) -> Result<u32, FaultKind> {
        let mut answers = EchoAnswers::new(message.into());
        answers.expect(sent);
        let mut count = 0;
        for part in back.chunks(at_a_time) {
            answers
                .receive(part, &mut |_| count += 1)
                .map_err(|fault| fault.kind)?;
        }
        Ok(count)
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(message(1), b"\n");
        assert_eq!(message(4), b"abc\n");
        assert_eq!(message(64).len(), 64);
    }

    #[test]
    fn messages_are_counted_however_they_are_cut() {
        for at_a_time in [1, 2, 7, 100] {
            assert_eq!(echoes(b"abc\n", 3, b"abc\nabc\nab", at_a_time), Ok(2));
        }
    }

    #[test]
    fn other_bytes_and_too_many_bytes_are_faults() {
        for at_a_time in [1, 2, 7, 100] {
            assert_eq!(
                echoes(b"abc\n", 1, b"abC\n", at_a_time),
                Err(FaultKind::Protocol)
            );
            assert_eq!(
                echoes(b"abc\n", 1, b"abc\nabc\n", at_a_time),
                Err(FaultKind::Protocol)
            );
        }
    }
}
