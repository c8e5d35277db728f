//! What the server keeps to, and the ideas behind the functions.

pub use monoloop_runtime::guide::*;

#[doc = include_str!("http.md")]
pub mod http {}
