//! HTTP/1.1 as the load client speaks it: one request, encoded once; answers, decoded whole.

use std::rc::Rc;

use http::Method;
use monoloop_proto::http1::{AtEof, Decoded, Limits, RecvError, Responses};

use crate::answers::{Answer, Answers};
use crate::fault::{Fault, FaultKind};

/// Finds responses: status line, fields and body are decoded, however they are framed.
#[derive(Debug)]
pub(crate) struct HttpAnswers {
    method: Method,
    /// Each request asks for the end of the connection, so its answer is the last whether it says
    /// so or not (RFC 9112 §9.6).
    asks_to_close: bool,
    responses: Responses,
    /// Status of the response in progress.
    status: u16,
}

impl HttpAnswers {
    /// `method` is that of all requests: responses to HEAD have no body.
    pub(crate) fn new(method: Method, asks_to_close: bool, limits: Rc<Limits>) -> Self {
        Self {
            method,
            asks_to_close,
            responses: Responses::new(limits),
            status: 0,
        }
    }
}

impl Answers for HttpAnswers {
    #[inline]
    fn expect(&mut self, count: u32) {
        for _ in 0..count {
            self.responses.expect(&self.method);
        }
    }

    #[inline]
    fn receive(
        &mut self,
        mut bytes: &[u8],
        answered: &mut impl FnMut(Answer),
    ) -> Result<(), Fault> {
        loop {
            match self.responses.decode(&mut bytes).map_err(not_understood)? {
                Decoded::Head(head) => self.status = head.status.as_u16(),
                Decoded::Body(_) => {}
                Decoded::End { keep_alive } => {
                    let keep_alive = keep_alive && !self.asks_to_close;
                    answered(Answer {
                        status: Some(self.status),
                        keep_alive,
                    });
                    if !keep_alive {
                        return Ok(());
                    }
                }
                Decoded::NeedData => return Ok(()),
            }
        }
    }

    fn receive_eof(&mut self, answered: &mut impl FnMut(Answer)) -> Result<(), Fault> {
        match self.responses.decode_eof() {
            Ok(AtEof::EndOfMessage) => {
                answered(Answer {
                    status: Some(self.status),
                    keep_alive: false,
                });
                Ok(())
            }
            Ok(AtEof::Closed) => Ok(()),
            Err(RecvError::UnexpectedEof) => Err(Fault::new(
                FaultKind::ClosedEarly,
                "closed before the answer was complete",
            )),
            Err(error) => Err(not_understood(error)),
        }
    }
}

fn not_understood(error: RecvError) -> Fault {
    Fault::new(FaultKind::Protocol, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers found in `stream`, fed in pieces, as `status` or `status/close`, and how it ended.
    fn check(method: &Method, count: u32, stream: &str, eof: bool, expected: &str) {
        for at_a_time in [1, 2, 7, usize::MAX] {
            let mut answers = HttpAnswers::new(method.clone(), false, Rc::default());
            answers.expect(count);
            let mut found: Vec<String> = Vec::new();
            let mut note = |answer: Answer| {
                let status = answer.status.expect("HTTP has a status");
                found.push(format!(
                    "{status}{}",
                    if answer.keep_alive { "" } else { "/close" }
                ));
            };
            let mut end = Ok(());
            for part in stream.as_bytes().chunks(at_a_time) {
                end = end.and_then(|()| answers.receive(part, &mut note));
            }
            if eof {
                end = end.and_then(|()| answers.receive_eof(&mut note));
            }
            if let Err(fault) = end {
                found.push(fault.kind.name().to_owned());
            }
            assert_eq!(
                found.join(" "),
                expected,
                "{at_a_time} at a time: {stream:?}"
            );
        }
    }

    #[test]
    fn answers_are_found_however_they_are_framed() {
        let sized = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";
        let chunked = "HTTP/1.1 404 No\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n";
        let bodyless = "HTTP/1.1 204 No\r\n\r\n";
        let stream = [sized, chunked, bodyless, sized].concat();
        check(&Method::GET, 4, &stream, false, "200 404 204 200");
    }

    #[test]
    fn an_answer_to_head_has_no_body() {
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n";
        check(&Method::HEAD, 2, &head.repeat(2), false, "200 200");
    }

    #[test]
    fn an_answer_may_end_the_connection() {
        let close = "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        check(&Method::GET, 2, close, false, "200/close");
        let until_close = "HTTP/1.1 200 OK\r\n\r\nall of it";
        check(&Method::GET, 1, until_close, true, "200/close");
    }

    #[test]
    fn the_answer_to_a_request_that_asks_to_close_is_the_last() {
        let mut answers = HttpAnswers::new(Method::GET, true, Rc::default());
        answers.expect(1);
        let mut found = Vec::new();
        let taken = answers.receive(b"HTTP/1.1 204 No\r\n\r\n", &mut |answer| found.push(answer));
        assert_eq!(taken, Ok(()));
        assert_eq!(
            found,
            [Answer {
                status: Some(204),
                keep_alive: false
            }]
        );
    }

    #[test]
    fn an_incomplete_answer_is_closed_early() {
        check(&Method::GET, 1, "", true, "closed_early");
        check(&Method::GET, 1, "HTTP/1.1 200", true, "closed_early");
        check(
            &Method::GET,
            1,
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nh",
            true,
            "closed_early",
        );
    }

    #[test]
    fn what_is_no_answer_is_a_fault_of_the_protocol() {
        check(
            &Method::GET,
            1,
            "SSH-2.0-OpenSSH\r\n\r\n",
            false,
            "protocol",
        );
        check(
            &Method::GET,
            0,
            "HTTP/1.1 408 Late\r\n\r\n",
            false,
            "protocol",
        );
    }
}
