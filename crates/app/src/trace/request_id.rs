//! How a line learns which request it belongs to.

use std::fmt::Display;

use crate::request_id::REQUEST_ID;

/// The name of the field, in lines and in spans.
pub(super) const FIELD: &str = "request_id";

/// Hands the id of the current request to a function, and does nothing outside of
/// one. Must not log.
pub(super) type Source = fn(&mut dyn FnMut(&dyn Display));

/// The id of the request that the running task works for.
pub(super) fn of_the_context(write: &mut dyn FnMut(&dyn Display)) {
    REQUEST_ID.with(|id| {
        if let Some(id) = id {
            write(id);
        }
    });
}
