//! The lines that go over the socket, each a JSON object with the protocol's version.

use super::report::{Report, TurnReport};
use serde::{Deserialize, Serialize};

/// The version that this release speaks.
pub(super) const VERSION: u32 = 1;

/// Bytes of a request at most. The longest that makes sense has about 100.
pub(super) const REQUEST_BYTES_MAX: usize = 4096;

/// Turns that one request may trace.
pub(super) const TURNS_MAX: u32 = 10_000;

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "snake_case")]
pub enum Ask {
    /// All tasks. Answered by [`Reply::Tasks`].
    Ps,
    /// What the next turns do. Answered by a [`Reply::Turn`] each, and [`Reply::End`].
    Trace {
        /// Of which loop.
        #[serde(rename = "loop")]
        number: usize,
        /// How many; at most 10,000.
        turns: u32,
        /// When to stop although not all have come; at most a minute.
        timeout_ms: u64,
    },
    /// To cancel a task. Answered by [`Reply::Cancelled`].
    Cancel {
        /// Of which loop; `null` when there is but one.
        #[serde(rename = "loop")]
        number: Option<usize>,
        /// The task's id.
        task: String,
    },
}

/// What a server says to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "snake_case")]
pub enum Reply {
    /// All tasks.
    Tasks(Report),
    /// One turn.
    Turn(TurnReport),
    /// No more turns come. Why there are fewer than were asked for, if there are.
    End {
        /// In words.
        reason: Option<String>,
    },
    /// The task was asked to end.
    Cancelled {
        /// Its id.
        task: String,
        /// Its name.
        name: Option<String>,
    },
    /// The request cannot be fulfilled.
    Error {
        /// Why, and what to do.
        message: String,
    },
}

/// Any line: its version comes first, so that it can be looked at without the rest.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Line<T> {
    pub(super) monoloop: u32,
    #[serde(flatten)]
    pub(super) content: T,
}

/// What every version has.
#[derive(Debug, Deserialize)]
pub(super) struct Versioned {
    pub(super) monoloop: u32,
}

impl<T> Line<T> {
    pub(super) fn new(content: T) -> Self {
        Line {
            monoloop: VERSION,
            content,
        }
    }
}
