//! The id that a request has before anything else happens.

use monoloop_proto::http1::{FieldName, FieldWriter, SendError};
use monoloop_runtime::context_var;
use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

context_var! {
    /// The id of the request that the running task works for: set for the handler and for
    /// every task, callback and blocking job that it starts.
    pub static REQUEST_ID: RequestId, shown_as = "request_id";
}

/// Longest id that is taken from a peer, in bytes; a longer one is replaced. Precedent:
/// 64 is twice a trace id, 128 leaves room for those who chain theirs.
pub const REQUEST_ID_BYTES_MAX: usize = 128;

/// Names one request in logs, in the response and in what it causes elsewhere.
///
/// Taken from the peer's `X-Request-Id` when that is well-formed, else made: 32 hexadecimal
/// digits, of which the first half is random for each loop and the second counts.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RequestId(Repr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Repr {
    Made { loop_seed: u64, number: u64 },
    Taken(Arc<str>),
}

const X_REQUEST_ID: FieldName = FieldName::from_static("x-request-id: ");

thread_local! {
    static NEXT: Cell<(u64, u64)> = Cell::new((RandomState::new().build_hasher().finish(), 0));
}

impl RequestId {
    /// Of no request.
    pub(crate) const NONE: RequestId = RequestId(Repr::Made {
        loop_seed: 0,
        number: 0,
    });

    /// A new id, unlike any other.
    #[must_use]
    pub fn make() -> Self {
        let (loop_seed, number) = NEXT.get();
        NEXT.set((loop_seed, number + 1));
        RequestId(Repr::Made { loop_seed, number })
    }

    /// The id that a peer gave: 1 to [`REQUEST_ID_BYTES_MAX`] letters, digits and `-._~+/=:@`.
    /// `None` when it is anything else, for it will stand in logs and headers.
    #[must_use]
    pub fn take(value: &[u8]) -> Option<Self> {
        let fits = !value.is_empty() && value.len() <= REQUEST_ID_BYTES_MAX;
        let well_formed = fits && value.iter().all(|byte| is_id_byte(*byte));
        let text = std::str::from_utf8(value).ok().filter(|_| well_formed)?;
        Some(RequestId(Repr::Taken(text.into())))
    }

    /// Writes the id into a response's head.
    #[inline]
    pub(crate) fn push_field(&self, fields: &mut FieldWriter<'_>) -> Result<(), SendError> {
        match &self.0 {
            Repr::Made { loop_seed, number } => {
                fields.named_hex(X_REQUEST_ID, *loop_seed, *number);
                Ok(())
            }
            Repr::Taken(text) => fields.named(X_REQUEST_ID, text.as_bytes()),
        }
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(&byte)
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Made { loop_seed, number } => match f.width() {
                None => write!(f, "{loop_seed:016x}{number:016x}"),
                Some(_) => f.pad(&format!("{loop_seed:016x}{number:016x}")),
            },
            Repr::Taken(text) => f.pad(text),
        }
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RequestId({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_are_made_differ_and_have_32_digits() {
        let (one, two) = (RequestId::make(), RequestId::make());
        assert_ne!(one, two);
        assert_eq!(one.to_string().len(), 32);
        assert!(one.to_string().bytes().all(|byte| byte.is_ascii_hexdigit()));
        let elsewhere = std::thread::spawn(|| RequestId::make().to_string()).join();
        assert_ne!(elsewhere.unwrap()[..16], one.to_string()[..16]);
    }

    #[test]
    fn an_id_is_padded_like_any_text() {
        let id = RequestId::make();
        assert_eq!(format!("{id:>34}"), format!("  {id}"));
        let taken = RequestId::take(b"abc").unwrap();
        assert_eq!(format!("{taken:<5}|"), "abc  |");
    }

    #[test]
    fn only_a_well_formed_id_is_taken_from_a_peer() {
        assert_eq!(
            RequestId::take(b"a-1.B_2~").unwrap().to_string(),
            "a-1.B_2~"
        );
        for bad in [&b""[..], b"a b", b"a\"b", b"a\nb", b"\xff", &[b'a'; 129]] {
            assert_eq!(RequestId::take(bad), None, "{bad:?}");
        }
        assert!(RequestId::take(&[b'a'; 128]).is_some());
    }
}
