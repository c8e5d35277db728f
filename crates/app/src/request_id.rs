//! The id that a request has before anything else happens.

use bytes::Bytes;
use monoloop_runtime::context_var;
use std::cell::Cell;
use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

context_var! {
    /// The id of the request that the running task works for: set for the handler and for
    /// every task, callback and blocking job that it starts.
    pub static REQUEST_ID: RequestId;
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
    Taken(Bytes),
}

const MADE_BYTES: usize = 32;

thread_local! {
    static NEXT: Cell<(u64, u64)> = Cell::new((RandomState::new().build_hasher().finish(), 0));
}

impl RequestId {
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
        well_formed.then(|| RequestId(Repr::Taken(Bytes::copy_from_slice(value))))
    }

    /// Hands the id over as text without an allocation.
    pub(crate) fn with_bytes<R>(&self, f: impl FnOnce(&[u8]) -> R) -> R {
        match &self.0 {
            Repr::Made { loop_seed, number } => {
                let mut text = [0; MADE_BYTES];
                write_hex(*loop_seed, &mut text[..16]);
                write_hex(*number, &mut text[16..]);
                f(&text)
            }
            Repr::Taken(text) => f(text),
        }
    }
}

fn is_id_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=:@".contains(&byte)
}

/// Sixteen lower-case digits.
fn write_hex(number: u64, out: &mut [u8]) {
    out[..8].copy_from_slice(&hex_digits((number >> 32) as u32));
    out[8..16].copy_from_slice(&hex_digits(number as u32));
}

/// Eight digits at once, one in each byte of a word.
fn hex_digits(number: u32) -> [u8; 8] {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut nibbles = u64::from(number);
    nibbles = (nibbles | nibbles << 16) & 0x0000_ffff_0000_ffff;
    nibbles = (nibbles | nibbles << 8) & 0x00ff_00ff_00ff_00ff;
    nibbles = (nibbles | nibbles << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    // Adding 6 carries into the upper half of a byte from ten on.
    let letters = ((nibbles + EACH * 6) >> 4) & EACH;
    let digits = nibbles + EACH * u64::from(b'0') + letters * u64::from(b'a' - b'0' - 10);
    digits.to_be_bytes()
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.with_bytes(|text| {
            f.pad(std::str::from_utf8(text).expect("an id is ASCII, which take() has checked"))
        })
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
    fn digits_are_those_of_the_standard_library() {
        for number in [0, 1, 9, 10, 0x9abc_def0, 0x0f0f_a5a5, u32::MAX] {
            let expected = format!("{number:08x}");
            assert_eq!(hex_digits(number), expected.as_bytes(), "{number:#x}");
        }
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
