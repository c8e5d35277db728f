//! Protocols without I/O: bytes go in, events come out, and the other way round.
//!
//! Nothing here knows a socket, a clock, a thread or a log. That is why every rule of the protocol
//! can be tested byte by byte, and why the same code serves under epoll, io_uring and simulation.
//!
//! * [`http1`]: HTTP/1.1 and 1.0, the server's side ([`http1::Connection`]) and the client's side
//!   ([`http1::encode_request`], [`http1::Responses`]).
//! * [`lines`]: line framing for plain TCP protocols.
//! * [`websocket`]: the frames of WebSocket clients, as they come.

pub mod http1;
pub mod lines;
pub mod websocket;
