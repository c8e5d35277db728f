//! From the path of a URL to names below a root, or to nothing. Knows no file system.

use percent_encoding::percent_decode_str;

/// Names that a path may have. Precedent: Linux's `PATH_MAX` of 4,096 bytes is reached by names of
/// 64 bytes on average.
const NAMES_MAX: usize = 64;

/// What a URL names below a root: none of its names leads anywhere but down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FilePath {
    /// At least one, unless it is that of the root.
    pub(super) names: Vec<String>,
    /// It ended in a slash, and so names what is to be shown for a directory.
    pub(super) is_directory: bool,
}

impl FilePath {
    /// Decodes the path behind the root's slash, once. `None` when it names nothing that is
    /// served: the reasons are not told apart, since whoever asks for such a thing is not helped.
    pub(super) fn parse(encoded: &str, shows_dotfiles: bool) -> Option<FilePath> {
        let (path, is_directory) = match encoded.strip_suffix('/') {
            Some(path) => (path, true),
            None => (encoded, encoded.is_empty()),
        };
        if encoded.is_empty() {
            return Some(FilePath {
                names: Vec::new(),
                is_directory,
            });
        }
        let mut names = Vec::new();
        for segment in path.split('/') {
            let name = decode(segment)?;
            let is_known = names.is_empty() && name == ".well-known";
            if name.starts_with('.') && !shows_dotfiles && !is_known || names.len() == NAMES_MAX {
                return None;
            }
            names.push(name);
        }
        Some(FilePath {
            names,
            is_directory,
        })
    }

    /// The path of a file in the directory that this names.
    pub(super) fn join(mut self, name: &str) -> FilePath {
        self.names.push(name.to_owned());
        self.is_directory = false;
        self
    }

    /// The path of the file beside it that is called the same and something more.
    pub(super) fn with_suffix(&self, suffix: &str) -> FilePath {
        let mut beside = self.clone();
        if let Some(name) = beside.names.last_mut() {
            name.push_str(suffix);
        }
        beside
    }

    pub(super) fn file_name(&self) -> &str {
        self.names.last().map_or("", String::as_str)
    }
}

/// One name, unless some system would read it as more, or as another one.
fn decode(segment: &str) -> Option<String> {
    if !is_well_encoded(segment) {
        return None;
    }
    let name = percent_decode_str(segment).decode_utf8().ok()?;
    // An encoded slash is a slash to every file system; a backslash is one to some.
    let is_path = matches!(&*name, "" | "." | "..") || name.contains(['/', '\\', '\0']);
    let means_another = cfg!(windows) && is_another_on_windows(&name);
    (!is_path && !means_another).then(|| name.into_owned())
}

/// Whether each percent sign begins an encoded byte (RFC 3986 §2.1).
fn is_well_encoded(segment: &str) -> bool {
    let mut parts = segment.split('%');
    parts.next();
    parts.all(|part| {
        let digits = part.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Whether Windows takes a name for a device, a drive, a stream of a file, or for the name without
/// its last dots and spaces.
/// <https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file>
fn is_another_on_windows(name: &str) -> bool {
    const DEVICES: [&str; 7] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"];
    let stem = name.split('.').next().unwrap_or("").trim_end();
    let is_numbered = |device: &str| {
        let (letters, number) = stem.split_at_checked(3).unwrap_or((stem, ""));
        let mut digits = number.chars();
        let digit = digits.next().filter(|_| digits.next().is_none());
        letters.eq_ignore_ascii_case(device)
            && digit.is_some_and(|c| c.is_ascii_digit() || "¹²³".contains(c))
    };
    name.ends_with(['.', ' '])
        || name.contains(|c: char| c.is_control() || "<>:\"|?*".contains(c))
        || DEVICES
            .iter()
            .any(|device| stem.eq_ignore_ascii_case(device))
        || is_numbered("COM")
        || is_numbered("LPT")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(encoded: &str) -> Option<String> {
        let path = FilePath::parse(encoded, false)?;
        let slash = if path.is_directory { "/" } else { "" };
        Some(format!("{}{slash}", path.names.join("|")))
    }

    #[test]
    fn a_path_is_decoded_once() {
        for (encoded, names) in [
            ("", "/"),
            ("a", "a"),
            ("a/b.txt", "a|b.txt"),
            ("a/", "a/"),
            ("a%20b", "a b"),
            ("%C3%A4", "ä"),
            ("ä", "ä"),
            ("a%2Eb", "a.b"),
            ("%252e%252e", "%2e%2e"),
            ("%25", "%"),
            ("a..b", "a..b"),
            (".well-known/acme", ".well-known|acme"),
        ] {
            assert_eq!(parsed(encoded).as_deref(), Some(names), "{encoded}");
        }
    }

    #[test]
    fn a_path_that_leads_out_or_astray_names_nothing() {
        for encoded in [
            "..",
            "../a",
            "a/..",
            "a/../b",
            "a/../../b",
            "%2e%2e/a",
            "%2E%2e",
            ".%2e/a",
            "./a",
            "a/.",
            "a/./b",
            "/",
            "/etc/passwd",
            "//etc/passwd",
            "a//b",
            "a//",
            "%2fetc%2fpasswd",
            "..%2fa",
            "a%2f..%2f..%2fb",
            "..\\a",
            "..%5ca",
            "a%5cb",
            "C:\\a",
            "a%00",
            "a%00.txt",
            "%",
            "%2",
            "%zz",
            "a%+1",
            "%c0%ae%c0%ae/a",
            "%c0%af",
            "%ff",
            "%ed%a0%80",
            ".git/config",
            ".env",
            "a/.htaccess",
            "%2eenv",
            "a/.well-known/b",
        ] {
            assert_eq!(parsed(encoded), None, "{encoded}");
        }
    }

    #[test]
    fn names_that_begin_with_a_dot_are_shown_to_those_who_want_them() {
        assert!(FilePath::parse(".env", true).is_some());
        assert_eq!(FilePath::parse("..", true), None);
        assert_eq!(FilePath::parse("a/.", true), None);
    }

    #[test]
    fn a_path_has_no_more_names_than_a_file_system_takes() {
        let deep = |names: usize| vec!["a"; names].join("/");
        assert!(FilePath::parse(&deep(NAMES_MAX), false).is_some());
        assert_eq!(FilePath::parse(&deep(NAMES_MAX + 1), false), None);
    }

    #[test]
    fn names_that_windows_takes_for_others_are_known() {
        for name in [
            "con",
            "CON",
            "nul.txt",
            "Aux.tar.gz",
            "com1",
            "COM9.log",
            "lpt¹",
            "conin$",
            "con .txt",
            "a.",
            "a ",
            "a:b",
            "a.txt::$DATA",
            "c:",
            "a|b",
            "a?",
            "a*",
            "\u{1}",
        ] {
            assert!(is_another_on_windows(name), "{name:?}");
        }
        for name in [
            "a", "a.txt", "console", "com", "com10", "lpta", "nul-1", "ä.txt", "null.js",
        ] {
            assert!(!is_another_on_windows(name), "{name:?}");
        }
    }
}
