//! Another bound for the body of one request than that of all.

use super::{Connection, Recv};
use crate::http1::error::RecvError;

impl Connection {
    /// Holds the body of the request in progress to `bytes_max`, instead of to
    /// [`body_bytes_max`](crate::http1::Limits::body_bytes_max): for a resource that takes more or less than the
    /// others. Call it when the request has come, before any of its body is asked for.
    ///
    /// A length that was announced above `body_bytes_max` is refused with the head, so that field
    /// has to be the largest bound of all.
    ///
    /// # Errors
    ///
    /// [`RecvError::BodyTooLarge`] for an announced length above `bytes_max`. Final, as every
    /// `RecvError`. A body in chunks is refused at the chunk that exceeds the bound.
    pub fn limit_body(&mut self, bytes_max: u64) -> Result<(), RecvError> {
        match &mut self.recv {
            Recv::Sized { left } if *left > bytes_max => {
                Err(self.fail(RecvError::BodyTooLarge { limit: bytes_max }))
            }
            Recv::Chunks(chunked) => {
                chunked.limit(bytes_max);
                Ok(())
            }
            Recv::Failed(error) => Err(*error),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http1::{Event, Limits};
    use std::rc::Rc;

    fn connection(head: &str) -> Connection {
        let limits = Limits {
            body_bytes_max: 100,
            ..Limits::default()
        };
        let mut connection = Connection::new(Rc::new(limits));
        connection.receive(head.as_bytes());
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        connection
    }

    #[test]
    fn an_announced_body_over_its_own_bound_is_refused_before_any_of_it_comes() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n";
        assert_eq!(connection(head).limit_body(9), Ok(()));
        let mut refused = connection(head);
        let error = RecvError::BodyTooLarge { limit: 8 };
        assert_eq!(refused.limit_body(8), Err(error));
        assert!(refused.awaits_head(), "it is answered");
        assert_eq!(refused.next_event().unwrap_err(), error);
    }

    #[test]
    fn a_body_in_chunks_is_refused_at_the_chunk_over_its_own_bound() {
        let head = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
        let mut refused = connection(head);
        assert_eq!(refused.limit_body(8), Ok(()));
        refused.receive(b"8\r\nabcdefgh\r\n1\r\n");
        assert!(matches!(refused.next_event(), Ok(Event::Body(_))));
        let error = RecvError::BodyTooLarge { limit: 8 };
        assert_eq!(refused.next_event().unwrap_err(), error);
    }

    #[test]
    fn the_bound_of_one_request_is_not_that_of_the_next() {
        let chunks =
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n";
        let mut connection = connection(chunks);
        assert_eq!(connection.limit_body(2), Ok(()));
        while !matches!(connection.next_event(), Ok(Event::EndOfMessage(_))) {}
        let mut out = Vec::new();
        let status = http::StatusCode::OK;
        let length = crate::http1::ResponseLength::Sized(0);
        connection
            .send_head(status, length, &mut out)
            .unwrap()
            .finish();
        let _ = connection.send_end(&mut out).unwrap();
        connection.receive(chunks.replace("2\r\nhi", "3\r\nhi!").as_bytes());
        assert!(matches!(connection.next_event(), Ok(Event::Request(_))));
        assert!(matches!(connection.next_event(), Ok(Event::Body(_))));
    }
}
