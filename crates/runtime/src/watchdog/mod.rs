//! Seeing from another thread what the loop is at.

mod pulse;

pub(crate) use pulse::{Beat, Doing, Pulse};
