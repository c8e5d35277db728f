//! The ideas behind the functions, for those who come from elsewhere or want the whole picture.

pub use monoloop_runtime::guide::*;

#[doc = include_str!("http.md")]
pub mod http {}

#[doc = include_str!("web.md")]
pub mod web {}
