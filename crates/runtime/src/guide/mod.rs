//! The ideas behind the functions, for those who come from elsewhere or want the whole picture.

#[doc = include_str!("asyncio.md")]
pub mod asyncio {}

#[doc = include_str!("cancel_safety.md")]
pub mod cancel_safety {}

#[doc = include_str!("simulation.md")]
pub mod simulation {}

#[doc = include_str!("promises.md")]
pub mod promises {}
