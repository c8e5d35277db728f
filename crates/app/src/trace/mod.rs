//! Structured logs: one line an event, written by a thread of their own so that a
//! slow disk or a stopped reader never stops the loop.
//!
//! Every line that is logged inside a request carries the request's id, in child
//! tasks too, without a span: the formatter asks for the id while it writes.
//! Libraries log with [`tracing`]; nothing outside this module knows where lines
//! go.

mod access;
mod escape;
mod fields;
mod filter;
mod init;
mod json;
mod output;
mod queue;
mod request_id;
mod sink;
mod text;

#[cfg(test)]
mod tests;

pub use self::access::{ACCESS_TARGET, AccessLine, access_enabled};
pub use self::init::{Guard, InitError, init, init_default};
pub use self::queue::lost_lines;

pub(crate) use self::filter::parse as parse_filter;
