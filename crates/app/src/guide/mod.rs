//! The ideas behind the functions, for those who come from elsewhere or want the whole picture.
//!
//! | | |
//! |---|---|
//! | [`http`] | what the server makes of HTTP, rule by rule, and the test that holds each |
//! | [`web`] | what a web application is made of: forms, files, cookies, middleware |
//! | [`incidents`] | the server is slow, refuses clients or does not end: where to look, what to do |
//! | [`operations`](crate::operations) | a new version takes the place of the old one, and no client notices |
//! | [`asyncio`] | what takes the place of an asyncio name |
//! | [`promises`] | what the runtime promises, and the test that holds each |
//! | [`cancel_safety`] | what is lost when a future is dropped |
//! | [`simulation`] | how to test without waiting |

pub use monoloop_runtime::guide::*;

#[doc = include_str!("http.md")]
pub mod http {}

#[doc = include_str!("incidents.md")]
pub mod incidents {}

#[cfg_attr(feature = "full", doc = include_str!("web.md"))]
#[cfg_attr(
    not(feature = "full"),
    doc = "What a web application is made of: shown when the documentation is built with the feature `full`, for it needs most of the others."
)]
pub mod web {}
