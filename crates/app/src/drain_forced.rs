//! What a drain cuts off that has no request to name it by.

use std::cell::Cell;
use std::fmt;

/// Connections without a running request that were cut off at the end of a drain, by what was waited
/// for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ForcedConnections {
    /// The TLS handshake had not ended.
    pub handshaking: usize,
    /// The head of a request had begun to come.
    pub sending_head: usize,
    /// The rest of a body was coming that nobody wanted any more.
    pub sending_body: usize,
    /// The peer had not taken all of an answer.
    pub not_reading: usize,
    /// All was said, and the peer still sent.
    pub parting: usize,
    /// Nothing had come, and no moment of grace was over.
    pub silent: usize,
}

impl ForcedConnections {
    /// All of them.
    #[must_use]
    pub fn count(&self) -> usize {
        let ForcedConnections {
            handshaking,
            sending_head,
            sending_body,
            not_reading,
            parting,
            silent,
        } = self;
        handshaking + sending_head + sending_body + not_reading + parting + silent
    }
}

impl fmt::Display for ForcedConnections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = [
            (self.handshaking, "in a handshake"),
            (self.sending_head, "sending a head"),
            (self.sending_body, "sending a body that nobody wants"),
            (self.not_reading, "not reading an answer"),
            (self.parting, "parting"),
            (self.silent, "silent"),
        ];
        let mut told = told.into_iter().filter(|(count, _)| *count > 0);
        match told.next() {
            None => return f.write_str("none"),
            Some((count, what)) => write!(f, "{count} {what}")?,
        }
        told.try_for_each(|(count, what)| write!(f, ", {count} {what}"))
    }
}

/// Where a loop counts them as they go.
#[derive(Debug, Default)]
pub(crate) struct Forced {
    is_on: Cell<bool>,
    seen: Cell<ForcedConnections>,
}

impl Forced {
    /// From now on connections are cut off.
    pub(crate) fn begin(&self) {
        self.is_on.set(true);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.is_on.get()
    }

    pub(crate) fn note(&self, count: impl FnOnce(&mut ForcedConnections)) {
        let mut seen = self.seen.get();
        count(&mut seen);
        self.seen.set(seen);
    }

    pub(crate) fn seen(&self) -> ForcedConnections {
        self.seen.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_there_is_is_told() {
        let mut forced = ForcedConnections::default();
        assert_eq!((forced.to_string(), forced.count()), ("none".into(), 0));
        forced.sending_head = 2;
        forced.not_reading = 1;
        let told = "2 sending a head, 1 not reading an answer";
        assert_eq!((forced.to_string(), forced.count()), (told.into(), 3));
    }
}
