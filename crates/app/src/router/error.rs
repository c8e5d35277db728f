//! A router that cannot be.

use std::fmt;

/// A route or a middleware that cannot be: a mistake in the program, found before the server
/// starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteError {
    /// Empty when it is about no route.
    pub(super) path: String,
    pub(super) reason: String,
}

impl fmt::Display for RouteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.is_empty() {
            true => f.write_str(&self.reason),
            false => write!(f, "route \"{}\": {}", self.path, self.reason),
        }
    }
}

impl std::error::Error for RouteError {}
