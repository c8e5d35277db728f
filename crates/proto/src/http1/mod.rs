//! HTTP/1.1 and 1.0 (RFC 9110, RFC 9112).
//!
//! The server's side is one [`Connection`] per socket:
//!
//! ```
//! use std::rc::Rc;
//! use http::StatusCode;
//! use monoloop_proto::http1::{AfterResponse, Connection, Event, Limits, ResponseLength};
//!
//! let mut connection = Connection::new(Rc::new(Limits::default()));
//! connection.receive(b"GET /hello HTTP/1.1\r\nHost: example.com\r\n\r\n");
//!
//! let Event::Request(head) = connection.next_event()? else { panic!("the head is whole") };
//! assert_eq!(head.path(), "/hello");
//!
//! let mut out = Vec::new();
//! connection.send_head(StatusCode::OK, ResponseLength::Sized(3), &mut out)?.finish();
//! connection.send_body(b"hi\n", &mut out)?;
//! assert_eq!(connection.send_end(&mut out)?, AfterResponse::KeepAlive);
//! assert_eq!(out, b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nhi\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # One request at a time
//!
//! A connection has one request in progress. Once it was received to its end, [`Event::Paused`] is
//! all that [`Connection::next_event`] returns until [`Connection::send_end`] has completed the
//! response: pipelined requests wait in the buffer, and answers cannot overtake each other. An
//! error found in the next request is therefore also reported only after every earlier answer has
//! gone out.
//!
//! # When the peer is at fault
//!
//! A [`RecvError`] is final and repeats. It is answered like a request: [`RecvError::status`] says
//! with which status, [`Connection::send_head`] writes a head that always carries
//! `connection: close`, and [`Connection::send_end`] returns [`AfterResponse::Close`].
//! [`Connection::refuse`] does all of that for those who have nothing to add.
//! [`Connection::awaits_head`] says whether there still is a head to be sent: when the response
//! had already begun, or the peer is gone, the connection can only be closed.

mod byte_class;
mod chunked;
mod client;
mod client_request;
mod client_response;
mod encode;
mod error;
mod fields;
mod framing;
mod head;
mod hex;
mod host;
mod limits;
mod parse;
mod prepared;
mod remedy;
mod response;
mod server;
mod target;
mod trailers;

pub use client::{AtEof, Decoded, Responses};
pub use client_request::encode_request;
pub use client_response::{ResponseBodyLength, ResponseHead};
pub use encode::{EncodedFields, FieldWriter};
pub use error::{RecvError, SendError};
pub use head::{BodyLength, RequestHead, Version};
pub use limits::Limits;
pub use prepared::{FieldLine, FieldName};
pub use response::{AfterResponse, ResponseLength};
pub use server::{Connection, Event};
