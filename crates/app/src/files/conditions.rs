//! `If-Match` and its kin: what is to be done under which condition (RFC 9110 §13).

use super::validators::{ETag, Validators};
use monoloop_proto::http1::RequestHead;
use std::time::SystemTime;

/// The conditional fields of a request, and the range that one of them is about.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    if_match: Option<Vec<u8>>,
    if_none_match: Option<Vec<u8>>,
    if_modified_since: Option<Vec<u8>>,
    if_unmodified_since: Option<Vec<u8>>,
    if_range: Option<Vec<u8>>,
    range: Option<Vec<u8>>,
}

/// What the conditions come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    /// 200, or 206 with this range.
    Send(Option<&'a [u8]>),
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
}

impl Conditions {
    /// Of a GET or HEAD. Several lines of one name are one list (§5.3); of a field that is none, that
    /// makes something malformed, which is ignored.
    pub(super) fn of(head: &RequestHead, is_get: bool) -> Conditions {
        let mut conditions = Conditions::default();
        for (name, value) in head.headers() {
            let Some(field) = conditions.field(name) else {
                continue;
            };
            let all = field.get_or_insert_default();
            if !all.is_empty() {
                all.extend_from_slice(b", ");
            }
            all.extend_from_slice(value);
        }
        if !is_get {
            // Only GET has ranges (§14.2).
            conditions.range = None;
        }
        conditions
    }

    fn field(&mut self, name: &str) -> Option<&mut Option<Vec<u8>>> {
        // Most fields are none of them.
        if !name.starts_with(['i', 'I', 'r', 'R']) {
            return None;
        }
        let is = |wanted: &str| name.eq_ignore_ascii_case(wanted);
        match name.len() {
            5 if is("range") => Some(&mut self.range),
            8 if is("if-match") => Some(&mut self.if_match),
            8 if is("if-range") => Some(&mut self.if_range),
            13 if is("if-none-match") => Some(&mut self.if_none_match),
            17 if is("if-modified-since") => Some(&mut self.if_modified_since),
            19 if is("if-unmodified-since") => Some(&mut self.if_unmodified_since),
            _ => None,
        }
    }

    /// Judges them in the order of §13.2.2, for a file that is there.
    pub(super) fn judge(&self, file: &Validators) -> Verdict<'_> {
        // What is not there to be compared cannot match, but is no reason to fail for a date.
        let since = |value: &Option<Vec<u8>>| Some(file.modified? <= date(value.as_deref()?)?);
        if let Some(tags) = &self.if_match {
            if !matches(tags, file, Compare::Strongly) {
                return Verdict::PreconditionFailed;
            }
        } else if since(&self.if_unmodified_since) == Some(false) {
            return Verdict::PreconditionFailed;
        }
        if let Some(tags) = &self.if_none_match {
            if matches(tags, file, Compare::Weakly) {
                return Verdict::NotModified;
            }
        } else if since(&self.if_modified_since) == Some(true) {
            return Verdict::NotModified;
        }
        let range = self.range.as_deref();
        Verdict::Send(range.filter(|_| self.is_of_this_version(file)))
    }

    /// Whether the peer has parts of this very version, as far as it tells (§13.1.5).
    fn is_of_this_version(&self, file: &Validators) -> bool {
        let Some(version) = &self.if_range else {
            return true;
        };
        match version.as_slice() {
            [b'"', ..] | [b'W', b'/', ..] => {
                let tag = take_tag(version).filter(|(_, rest)| rest.is_empty());
                tag.is_some_and(|(tag, _)| file.has(tag, Compare::Strongly))
            }
            // A date has to be the very one, and one that no other version can have.
            version => file.is_date_strong && date(version) == file.modified,
        }
    }
}

/// How two tags are compared (§8.8.3.2).
#[derive(Clone, Copy)]
enum Compare {
    /// Both strong, and the same.
    Strongly,
    /// The same.
    Weakly,
}

/// A tag of a peer's: what is between the quotes, and whether it is weak.
type PeerTag<'a> = (&'a [u8], bool);

impl Validators {
    fn has(&self, (opaque, is_weak): PeerTag<'_>, compare: Compare) -> bool {
        let is_same = |own: &ETag| {
            let both_strong = !own.is_weak && !is_weak;
            own.opaque.as_bytes() == opaque && (matches!(compare, Compare::Weakly) || both_strong)
        };
        self.etag.as_ref().is_some_and(is_same)
    }
}

/// Whether a list of tags, or the asterisk, matches. What is malformed ends the list.
fn matches(list: &[u8], file: &Validators, compare: Compare) -> bool {
    if list == b"*" {
        return true;
    }
    let mut rest = list;
    loop {
        while let [b',' | b' ' | b'\t', tail @ ..] = rest {
            rest = tail;
        }
        let Some((tag, tail)) = take_tag(rest) else {
            return false;
        };
        if file.has(tag, compare) {
            return true;
        }
        rest = tail;
    }
}

/// The tag at the beginning, and what follows it. A comma may be a part of it.
fn take_tag(text: &[u8]) -> Option<(PeerTag<'_>, &[u8])> {
    let (is_weak, quoted) = match text {
        [b'W', b'/', rest @ ..] => (true, rest),
        _ => (false, text),
    };
    let [b'"', inner @ ..] = quoted else {
        return None;
    };
    let end = inner.iter().position(|&byte| byte == b'"')?;
    let is_tag_byte = |&byte: &u8| byte == 0x21 || (byte >= 0x23 && byte != 0x7f);
    let opaque = &inner[..end];
    (opaque.iter().all(is_tag_byte)).then_some(((opaque, is_weak), &inner[end + 1..]))
}

/// A date in one of the three forms there are (§5.6.7).
fn date(value: &[u8]) -> Option<SystemTime> {
    httpdate::parse_http_date(std::str::from_utf8(value).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    const SAME: &str = "Sun, 09 Sep 2001 01:46:40 GMT";
    const BEFORE: &str = "Sun, 09 Sep 2001 01:46:39 GMT";
    const AFTER: &str = "Sun, 09 Sep 2001 01:46:41 GMT";

    fn file() -> Validators {
        Validators {
            etag: Some(ETag {
                opaque: "a,b".into(),
                is_weak: false,
            }),
            modified: Some(UNIX_EPOCH + Duration::from_secs(1_000_000_000)),
            is_date_strong: true,
        }
    }

    fn weak_file() -> Validators {
        let mut file = file();
        file.etag = file.etag.map(|tag| ETag {
            is_weak: true,
            ..tag
        });
        file.is_date_strong = false;
        file
    }

    fn conditions(fields: &[(&str, &str)]) -> Conditions {
        let mut conditions = Conditions::default();
        for (name, value) in fields {
            let field = conditions.field(name).expect("a conditional field");
            *field = Some(value.as_bytes().to_vec());
        }
        conditions
    }

    fn judged(file: &Validators, fields: &[(&str, &str)]) -> &'static str {
        match conditions(fields).judge(file) {
            Verdict::Send(None) => "200",
            Verdict::Send(Some(_)) => "206",
            Verdict::NotModified => "304",
            Verdict::PreconditionFailed => "412",
        }
    }

    /// All combinations of what the four conditions may come to, against the five steps of
    /// §13.2.2 written down anew.
    #[test]
    fn conditions_are_judged_in_the_order_of_the_rfc() {
        let tags = [None, Some("\"a,b\""), Some("\"other\""), Some("*")];
        let dates = [
            None,
            Some(SAME),
            Some(BEFORE),
            Some(AFTER),
            Some("yesterday"),
        ];
        let ranges = [None, Some("bytes=0-0")];
        let versions = [
            None,
            Some("\"a,b\""),
            Some("\"other\""),
            Some(SAME),
            Some(AFTER),
        ];
        let mut count = 0;
        for if_match in tags {
            for unmodified in dates {
                for none_match in tags {
                    for modified in dates {
                        for range in ranges {
                            for version in versions {
                                let all = [
                                    ("if-match", if_match),
                                    ("if-unmodified-since", unmodified),
                                    ("if-none-match", none_match),
                                    ("if-modified-since", modified),
                                    ("range", range),
                                    ("if-range", version),
                                ];
                                let given: Vec<_> = all
                                    .iter()
                                    .filter_map(|(name, value)| Some((*name, (*value)?)))
                                    .collect();
                                let holds = |tag: &str| tag == "*" || tag == "\"a,b\"";
                                let expected = if if_match.is_some_and(|tag| !holds(tag))
                                    || if_match.is_none() && unmodified == Some(BEFORE)
                                {
                                    "412"
                                } else if none_match.is_some_and(holds)
                                    || none_match.is_none()
                                        && [Some(SAME), Some(AFTER)].contains(&modified)
                                {
                                    "304"
                                } else if range.is_some()
                                    && [None, Some("\"a,b\""), Some(SAME)].contains(&version)
                                {
                                    "206"
                                } else {
                                    "200"
                                };
                                assert_eq!(judged(&file(), &given), expected, "{given:?}");
                                count += 1;
                            }
                        }
                    }
                }
            }
        }
        assert_eq!(count, 4 * 5 * 4 * 5 * 2 * 5);
    }

    #[test]
    fn tags_are_compared_as_each_field_wants() {
        for (name, value, of_strong, of_weak) in [
            ("if-none-match", "\"a,b\"", "304", "304"),
            ("if-none-match", "W/\"a,b\"", "304", "304"),
            ("if-none-match", "\"x\", W/\"y\" ,\t\"a,b\"", "304", "304"),
            ("if-none-match", ",, \"a,b\",", "304", "304"),
            ("if-none-match", "*", "304", "304"),
            ("if-none-match", "\"a\", \"b\"", "200", "200"),
            ("if-none-match", "\"A,B\"", "200", "200"),
            ("if-none-match", "a,b", "200", "200"),
            ("if-none-match", "w/\"a,b\"", "200", "200"),
            ("if-none-match", "\"a,b", "200", "200"),
            ("if-none-match", "\"x y\", \"a,b\"", "200", "200"),
            ("if-none-match", "\"x\", *", "200", "200"),
            ("if-none-match", "", "200", "200"),
            ("if-match", "\"a,b\"", "200", "412"),
            ("if-match", "\"x\", \"a,b\"", "200", "412"),
            ("if-match", "W/\"a,b\"", "412", "412"),
            ("if-match", "*", "200", "200"),
            ("if-match", "x", "412", "412"),
            ("if-range", "\"a,b\"", "206", "200"),
            ("if-range", "W/\"a,b\"", "200", "200"),
            ("if-range", "\"a,b\", \"a,b\"", "200", "200"),
            ("if-range", "*", "200", "200"),
            ("if-range", SAME, "206", "200"),
            ("if-range", "Sunday, 09-Sep-01 01:46:40 GMT", "206", "200"),
            ("if-range", "Sun Sep  9 01:46:40 2001", "206", "200"),
            ("if-range", BEFORE, "200", "200"),
            ("if-range", AFTER, "200", "200"),
            ("if-range", "", "200", "200"),
        ] {
            let mut fields = vec![(name, value)];
            if name == "if-range" {
                fields.push(("range", "bytes=0-0"));
            }
            assert_eq!(judged(&file(), &fields), of_strong, "{name}: {value}");
            assert_eq!(
                judged(&weak_file(), &fields),
                of_weak,
                "{name}: {value}, weak"
            );
        }
    }

    #[test]
    fn a_file_without_validators_matches_nothing_but_the_asterisk() {
        let none = Validators::default();
        for (name, value, status) in [
            ("if-match", "\"\"", "412"),
            ("if-match", "*", "200"),
            ("if-none-match", "\"\"", "200"),
            ("if-none-match", "*", "304"),
            ("if-modified-since", AFTER, "200"),
            ("if-unmodified-since", BEFORE, "200"),
        ] {
            assert_eq!(judged(&none, &[(name, value)]), status, "{name}: {value}");
        }
        let range = [("range", "bytes=0-0"), ("if-range", "never")];
        assert_eq!(judged(&none, &range), "200");
        assert_eq!(judged(&none, &range[..1]), "206");
    }
}
