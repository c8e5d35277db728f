//! What each byte may be part of. All classes are in one table, so that little of the cache is
//! needed for it.

/// A registered name of a host, beside percent-encodings (RFC 3986 §3.2.2). IPv4 addresses are
/// among them.
pub(super) const HOST_NAME: u8 = 1;

/// The path of a request target.
///
/// This is RFC 3986 and what the URL standard has browsers send raw beyond it: `[`, `]`, `^`, `` ` ``,
/// `{`, `|` and `}`. A fragment is never sent, so `#` is refused, and a backslash in a path is what
/// path traversals are made of. `%` is not among them: what follows it has to be looked at.
pub(super) const PATH: u8 = 2;

/// The query of a request target: what a path may hold, `?`, `\` and `%`, which browsers send raw as
/// well, also where nothing is encoded by it.
pub(super) const QUERY: u8 = 4;

/// A token (`tchar` of RFC 9110 §5.6.2).
pub(super) const TOKEN: u8 = 8;

static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        classes[byte] = classes_of(byte as u8);
        byte += 1;
    }
    classes
};

const fn classes_of(byte: u8) -> u8 {
    let in_target = match byte {
        b'"' | b'#' | b'<' | b'>' => 0,
        b'?' | b'\\' | b'%' => QUERY,
        b'!'..=b'~' => PATH | QUERY,
        _ => 0,
    };
    let in_token = match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => TOKEN,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' => TOKEN,
        b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~' => TOKEN,
        _ => 0,
    };
    let in_host_name = match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => HOST_NAME,
        b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' => HOST_NAME,
        _ => 0,
    };
    in_target | in_token | in_host_name
}

/// Whether a byte is of this class.
#[inline]
pub(super) const fn is(class: u8, byte: u8) -> bool {
    CLASSES[byte as usize] & class != 0
}

/// How many bytes at the front are of this class.
#[inline]
pub(super) fn count_leading(class: u8, bytes: &[u8]) -> usize {
    let mut count = 0;
    // Four at a time: half the instructions, and this looks at every byte of a target.
    for four in bytes.as_chunks::<4>().0 {
        let in_all = four
            .iter()
            .fold(class, |classes, &byte| classes & CLASSES[usize::from(byte)]);
        if in_all == 0 {
            break;
        }
        count += 4;
    }
    count
        + bytes[count..]
            .iter()
            .take_while(|&&byte| is(class, byte))
            .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leading_bytes_are_counted_up_to_the_first_of_another_class() {
        for len in 0..20 {
            let bytes = vec![b'a'; len];
            assert_eq!(count_leading(TOKEN, &bytes), len);
            for other in 0..len {
                let mut bytes = bytes.clone();
                bytes[other] = b':';
                assert_eq!(count_leading(TOKEN, &bytes), other, "of {len}");
            }
        }
    }
}
