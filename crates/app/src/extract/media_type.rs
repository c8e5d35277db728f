//! What the body of a request is declared to be: `Content-Type` (RFC 9110 §8.3).

use super::RequestError;

/// What one way of reading takes.
pub(super) struct Expected {
    /// As it stands in `Accept`.
    name: &'static str,
    takes: fn(&MediaType<'_>) -> bool,
    /// Whether it may be undeclared.
    is_default: bool,
}

pub(super) const JSON: Expected = Expected {
    name: "application/json",
    takes: |declared| {
        let subtype = declared.essence_after("application/");
        subtype.is_some_and(|subtype| {
            subtype.eq_ignore_ascii_case("json") || ends_with(subtype, "+json")
        })
    },
    is_default: false,
};

#[cfg(feature = "forms")]
pub(super) const FORM: Expected = Expected {
    name: "application/x-www-form-urlencoded",
    takes: |declared| declared.is("application/x-www-form-urlencoded"),
    is_default: false,
};

/// Whatever it is, somebody wants to read it as text.
pub(super) const TEXT: Expected = Expected {
    name: "text/plain",
    takes: |_| true,
    is_default: true,
};

impl Expected {
    pub(super) fn check(&self, declared: Option<&str>) -> Result<(), RequestError> {
        let Some(declared) = declared.map(MediaType::parse) else {
            return match self.is_default {
                true => Ok(()),
                false => Err(self.refusal(false)),
            };
        };
        if !(self.takes)(&declared) {
            return Err(self.refusal(true));
        }
        let charset = declared.param("charset");
        match charset.is_none_or(|charset| is_utf8(&charset)) {
            true => Ok(()),
            false => Err(RequestError::Charset),
        }
    }

    fn refusal(&self, is_declared: bool) -> RequestError {
        RequestError::MediaType {
            expected: self.name,
            is_declared,
        }
    }
}

/// US-ASCII is a part of UTF-8.
fn is_utf8(charset: &str) -> bool {
    let names = ["utf-8", "utf8", "us-ascii", "ascii"];
    names.iter().any(|name| charset.eq_ignore_ascii_case(name))
}

fn ends_with(text: &str, end: &str) -> bool {
    let from = text.len().checked_sub(end.len());
    from.and_then(|from| text.get(from..))
        .is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

/// A media type and its parameters.
pub(crate) struct MediaType<'a> {
    essence: &'a str,
    params: &'a str,
}

impl<'a> MediaType<'a> {
    pub(crate) fn parse(text: &'a str) -> Self {
        let (essence, params) = text.split_once(';').unwrap_or((text, ""));
        MediaType {
            essence: essence.trim(),
            params,
        }
    }

    #[cfg(any(feature = "forms", feature = "multipart"))]
    pub(crate) fn is(&self, essence: &str) -> bool {
        self.essence.eq_ignore_ascii_case(essence)
    }

    fn essence_after(&self, start: &str) -> Option<&'a str> {
        let head = self.essence.get(..start.len())?;
        head.eq_ignore_ascii_case(start)
            .then(|| &self.essence[start.len()..])
    }

    /// The first parameter of this name, without its quotes (RFC 9110 §5.6.6).
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let mut rest = self.params;
        loop {
            let (key, after) = rest.split_once('=')?;
            // A parameter without a value is none; the name is behind the last of them.
            let key = key.rsplit(';').next().unwrap_or(key).trim();
            let (value, after) = take_value(after);
            if key.eq_ignore_ascii_case(name) {
                return Some(value);
            }
            rest = after;
        }
    }
}

/// A value, quoted or not, and what is behind it.
fn take_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let (value, rest) = text.split_once(';').unwrap_or((text, ""));
        return (value.trim().to_owned(), rest);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, char)| char)),
            _ => value.push(char),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_found_behind_whatever_is_quoted() {
        let charset = |text| MediaType::parse(text).param("charset");
        assert_eq!(charset("text/plain"), None);
        assert_eq!(
            charset("text/plain; Charset=UTF-8").as_deref(),
            Some("UTF-8")
        );
        assert_eq!(
            charset("text/plain;charset=\"utf\\-8\" ; x=y").as_deref(),
            Some("utf-8")
        );
        assert_eq!(
            charset("a/b; x=\"; charset=no\"; charset=yes").as_deref(),
            Some("yes")
        );
        assert_eq!(charset("a/b; nothing; charset=yes").as_deref(), Some("yes"));
        assert_eq!(charset("a/b; charset=\"open").as_deref(), Some("open"));
    }

    #[test]
    fn whatever_is_sent_is_read() {
        bolero::check!().with_type::<String>().for_each(|text| {
            let parsed = MediaType::parse(text);
            let _ = parsed.param("charset");
            let _ = (JSON.check(Some(text)), TEXT.check(Some(text)));
        });
    }

    #[test]
    fn json_is_taken_by_its_name_or_its_ending_alone() {
        let takes = |text| JSON.check(Some(text)).is_ok();
        for taken in [
            "application/json",
            "Application/JSON; charset=utf-8",
            "application/problem+json",
            "application/vnd.a.b+JSON ; x=y",
        ] {
            assert!(takes(taken), "{taken}");
        }
        for refused in [
            "text/plain",
            "text/json",
            "application/jsonp",
            "application/xjson",
            "application/json, text/plain",
            "",
            "application/\u{e9}json",
            "application/json; charset=latin1",
        ] {
            assert!(!takes(refused), "{refused}");
        }
    }
}
