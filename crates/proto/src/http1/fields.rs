//! The fields that decide framing, persistence and routing, noted in one pass over a head.

use super::byte_class::{self, TOKEN};
use super::error::RecvError;
use super::head::{BodyLength, Version};
use super::host;

/// What the fields of a head say. A name is told by its length first: most fields are passed over
/// without a look at their bytes.
#[derive(Debug, Default)]
pub(super) struct Facts<'a> {
    pub(super) host: Option<&'a [u8]>,
    pub(super) request_id: Option<&'a [u8]>,
    pub(super) content_length: Option<u64>,
    pub(super) codings: Codings,
    pub(super) persistence: Persistence,
    expect: Expect,
}

/// The `Expect` fields of a head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expect {
    #[default]
    Nothing,
    Continue,
    Other,
}

impl<'a> Facts<'a> {
    /// Takes note of one field of a request. `known_host` is one that is known to be valid: peers
    /// name the same one over and over.
    #[inline]
    pub(super) fn note(
        &mut self,
        name: &str,
        value: &'a [u8],
        known_host: &[u8],
    ) -> Result<(), RecvError> {
        let name = name.as_bytes();
        match name.len() {
            4 if is_named(name, b"host") => {
                if self.host.is_some() {
                    return Err(RecvError::HostRepeated);
                }
                if value != known_host && !host::is_valid(value) {
                    return Err(RecvError::Host);
                }
                self.host = Some(value);
            }
            6 if is_named(name, b"expect") => self.expect.note(value),
            10 if is_named(name, b"connection") => self.persistence.note(value),
            12 if self.request_id.is_none() && is_named(name, b"x-request-id") => {
                self.request_id = Some(value);
            }
            14 if is_named(name, b"content-length") => {
                note_length(&mut self.content_length, value)?;
            }
            17 if is_named(name, b"transfer-encoding") => self.codings.note(value)?,
            _ => {}
        }
        Ok(())
    }

    /// The framing of a request's body, by RFC 9112 §6.3 in its order.
    #[inline]
    pub(super) fn body_length(
        &self,
        version: Version,
        body_bytes_max: u64,
    ) -> Result<BodyLength, RecvError> {
        if self.codings.is_present() {
            // A recipient that knows only one of the two would see another message than we do.
            if self.content_length.is_some() {
                return Err(RecvError::AmbiguousFraming);
            }
            // HTTP/1.0 has no transfer codings: framing by one is faulty (RFC 9112 §6.1).
            if version == Version::Http10 {
                return Err(RecvError::TransferEncoding);
            }
            self.codings.check()?;
            return Ok(BodyLength::Chunked);
        }
        match self.content_length {
            None => Ok(BodyLength::None),
            Some(length) if length > body_bytes_max => Err(RecvError::BodyTooLarge {
                limit: body_bytes_max,
            }),
            Some(length) => Ok(BodyLength::Sized(length)),
        }
    }

    /// Whether a `100 Continue` is waited for: never by HTTP/1.0, and only with a body to come
    /// (RFC 9110 §10.1.1).
    #[inline]
    pub(super) fn expects_continue(
        &self,
        version: Version,
        body: BodyLength,
    ) -> Result<bool, RecvError> {
        match (self.expect, version) {
            (Expect::Nothing, _) | (_, Version::Http10) => Ok(false),
            (Expect::Other, Version::Http11) => Err(RecvError::Expectation),
            (Expect::Continue, Version::Http11) => {
                Ok(!matches!(body, BodyLength::None | BodyLength::Sized(0)))
            }
        }
    }
}

impl Expect {
    #[cold]
    fn note(&mut self, value: &[u8]) {
        for expectation in list(value).filter(|element| !element.is_empty()) {
            if !expectation.eq_ignore_ascii_case(b"100-continue") {
                *self = Self::Other;
            } else if *self == Self::Nothing {
                *self = Self::Continue;
            }
        }
    }
}

/// `Connection`: whether the peer keeps or closes the connection (RFC 9112 §9.3).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Persistence {
    close: bool,
    keep_alive: bool,
    /// The option that `Upgrade` has to come with.
    pub(super) upgrade: bool,
}

impl Persistence {
    #[inline(always)]
    pub(super) fn note(&mut self, value: &[u8]) {
        match value {
            // What nearly all send, before the list that it may be.
            b"keep-alive" | b"Keep-Alive" => self.keep_alive = true,
            b"close" => self.close = true,
            _ => self.note_list(value),
        }
    }

    #[cold]
    fn note_list(&mut self, value: &[u8]) {
        for option in list(value) {
            match option.len() {
                7 if option.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                5 if option.eq_ignore_ascii_case(b"close") => self.close = true,
                10 if option.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ => {}
            }
        }
    }

    #[inline]
    pub(super) fn keep_alive(self, version: Version) -> bool {
        !self.close && (version == Version::Http11 || self.keep_alive)
    }
}

/// `Transfer-Encoding`: the codings of all its lines, as one list.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Codings {
    count: u32,
    chunked_count: u32,
    ends_in_chunked: bool,
}

impl Codings {
    /// An empty element or one that is no token is refused: no sender has a reason for it, and
    /// recipients have disagreed on what it means.
    pub(super) fn note(&mut self, value: &[u8]) -> Result<(), RecvError> {
        for coding in list(value) {
            // A coding may have parameters; chunked has none (RFC 9112 §7).
            let name_len = byte_class::count_leading(TOKEN, coding);
            let has_parameters = match trim(&coding[name_len..]) {
                [] if name_len == coding.len() => false,
                [b';', ..] => true,
                _ => return Err(RecvError::TransferEncoding),
            };
            if name_len == 0 {
                return Err(RecvError::TransferEncoding);
            }
            let is_chunked = coding[..name_len].eq_ignore_ascii_case(b"chunked");
            if is_chunked && has_parameters {
                return Err(RecvError::TransferEncoding);
            }
            self.count += 1;
            self.chunked_count += u32::from(is_chunked);
            self.ends_in_chunked = is_chunked;
        }
        Ok(())
    }

    #[inline]
    pub(super) fn is_present(&self) -> bool {
        self.count > 0
    }

    #[inline]
    pub(super) fn ends_in_chunked(&self) -> bool {
        self.ends_in_chunked
    }

    /// Refuses what is not exactly one `chunked`. Where the body ends has to be known even to turn
    /// an unknown coding down, so a list that does not end in chunked is the graver fault.
    pub(super) fn check(&self) -> Result<(), RecvError> {
        if !self.ends_in_chunked || self.chunked_count != 1 {
            Err(RecvError::TransferEncoding)
        } else if self.count != 1 {
            Err(RecvError::UnknownCoding)
        } else {
            Ok(())
        }
    }
}

/// Takes note of one `Content-Length` line. Repeated values, in a list or on several lines, have to
/// be the same number (RFC 9112 §6.3).
#[inline]
pub(super) fn note_length(length: &mut Option<u64>, value: &[u8]) -> Result<(), RecvError> {
    match (parse_decimal(value), &length) {
        (Some(given), None) => {
            *length = Some(given);
            Ok(())
        }
        _ => note_lengths(length, value),
    }
}

#[cold]
fn note_lengths(length: &mut Option<u64>, value: &[u8]) -> Result<(), RecvError> {
    for element in list(value) {
        let given = parse_decimal(element).ok_or(RecvError::ContentLength)?;
        match *length {
            None => *length = Some(given),
            Some(before) if before == given => {}
            Some(_) => return Err(RecvError::ContentLength),
        }
    }
    Ok(())
}

/// 1*DIGIT that fits: no sign, no prefix, no space.
#[inline]
fn parse_decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, &byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        number.checked_mul(10)?.checked_add(u64::from(digit))
    })
}

/// The elements of a comma-separated list without the whitespace around them; empty ones too.
#[inline]
pub(super) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&byte| byte == b',').map(trim)
}

/// Without spaces and tabs at both ends.
#[inline]
fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = bytes {
        bytes = rest;
    }
    bytes
}

/// Whether a field has this name, given in lower case, whatever its own case. The bit that is set to
/// lower a letter is set already in the rest of what a token may hold of these names, the hyphen.
#[inline]
pub(super) fn is_named<const LEN: usize>(name: &[u8], lower: &[u8; LEN]) -> bool {
    // Without an exit in between, so that a few words are compared and not many bytes.
    <&[u8; LEN]>::try_from(name).is_ok_and(|name| {
        let differences = name.iter().zip(lower);
        differences.fold(0, |all, (byte, lower)| all | ((byte | 0x20) ^ lower)) == 0
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(values: &[&str]) -> Result<Option<u64>, RecvError> {
        let mut length = None;
        for value in values {
            note_length(&mut length, value.as_bytes())?;
        }
        Ok(length)
    }

    #[test]
    fn lengths_are_plain_decimal_numbers() {
        assert_eq!(length(&["0"]), Ok(Some(0)));
        assert_eq!(length(&["007"]), Ok(Some(7)));
        assert_eq!(length(&["18446744073709551615"]), Ok(Some(u64::MAX)));
        for value in [
            "",
            " ",
            "+5",
            "-5",
            "-0",
            "0x5",
            "5 5",
            "5.0",
            "5e3",
            "18446744073709551616",
            "five",
            "5;",
            "\"5\"",
            "99999999999999999999999999",
            "5\u{b}",
            "\u{665}",
            "5,",
            ",5",
            ",",
        ] {
            assert_eq!(length(&[value]), Err(RecvError::ContentLength), "{value:?}");
        }
    }

    #[test]
    fn repeated_lengths_have_to_agree() {
        assert_eq!(length(&["5", "5"]), Ok(Some(5)));
        assert_eq!(length(&["5, 5\t,5"]), Ok(Some(5)));
        for values in [&["5", "6"][..], &["5, 6"], &["5, 5", "6"], &["5", ""]] {
            assert_eq!(length(values), Err(RecvError::ContentLength), "{values:?}");
        }
    }

    fn codings(values: &[&str]) -> Result<(), RecvError> {
        let mut codings = Codings::default();
        for value in values {
            codings.note(value.as_bytes())?;
        }
        codings.check()
    }

    #[test]
    fn chunked_once_and_last_is_the_only_coding() {
        assert_eq!(codings(&["chunked"]), Ok(()));
        assert_eq!(codings(&["CHUNKED"]), Ok(()));
        for values in [
            &["gzip, chunked"][..],
            &["gzip", "chunked"],
            &["x;a=b, chunked"],
        ] {
            assert_eq!(codings(values), Err(RecvError::UnknownCoding), "{values:?}");
        }
        for values in [
            &[""][..],
            &["gzip"],
            &["identity"],
            &["chunked, gzip"],
            &["chunked, chunked"],
            &["chunked", "chunked"],
            &["chunked", "identity"],
            &["chunked;a=b"],
            &["chunked ;a"],
            &["\"chunked\""],
            &["xchunked"],
            &["chunkedx"],
            &[",chunked"],
            &["chunked,"],
            &["chu nked"],
            &["chunked\u{b}"],
            &["chunked", ""],
            &["chunked chunked"],
            &["\u{b}chunked"],
            &["chunk\u{c9}d"],
        ] {
            assert_eq!(
                codings(values),
                Err(RecvError::TransferEncoding),
                "{values:?}"
            );
        }
    }

    #[test]
    fn close_wins_over_keep_alive() {
        let keeps = |value: &str, version| {
            let mut persistence = Persistence::default();
            persistence.note(value.as_bytes());
            persistence.keep_alive(version)
        };
        assert!(keeps("", Version::Http11));
        assert!(!keeps("Close", Version::Http11));
        assert!(!keeps("keep-alive, close", Version::Http11));
        assert!(!keeps("x ,\tclose ", Version::Http11));
        assert!(keeps("closed, x-close", Version::Http11));
        assert!(!keeps("", Version::Http10));
        assert!(keeps("Keep-Alive", Version::Http10));
        assert!(!keeps("keep-alive, close", Version::Http10));
    }
}
