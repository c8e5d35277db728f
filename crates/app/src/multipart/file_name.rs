//! Names of files that somebody else has chosen.

/// Longest name of a file, in bytes, on the file systems there are.
const BYTES_MAX: usize = 255;

/// What Windows opens a device for, whatever ending it has.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// What is left of a name when it has to name a file, in any directory of any system.
pub(super) fn cleaned(name: &str) -> Option<String> {
    // Some browsers have sent whole paths, of either kind.
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let is_kept =
        |char: &char| !char.is_control() && !r#"<>:"|?*"#.contains(*char) && !is_invisible(*char);
    let kept: String = last.chars().filter(is_kept).collect();
    // Neither hidden, nor the directory itself, nor one that Windows would shorten.
    let trimmed = kept.trim_matches(is_shortened);
    if trimmed.is_empty() {
        return None;
    }
    let mut name = match is_device(trimmed) {
        true => format!("_{trimmed}"),
        false => trimmed.to_owned(),
    };
    let mut end = name.len().min(BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    // It begins with something else.
    name.truncate(name.trim_end_matches(is_shortened).len());
    Some(name)
}

fn is_shortened(char: char) -> bool {
    char == '.' || char.is_whitespace()
}

/// Characters that make a name look like another: marks of direction, of width none.
fn is_invisible(char: char) -> bool {
    matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let letters = stem.trim_end_matches(|char: char| char.is_ascii_digit());
    DEVICES
        .iter()
        .any(|device| letters.eq_ignore_ascii_case(device))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_name_what_is_left_of_it_is_one() {
        bolero::check!().with_type::<String>().for_each(|name| {
            let Some(left) = cleaned(name) else { return };
            let is_one =
                |text: &str| !text.is_empty() && !text.starts_with('.') && text.len() <= BYTES_MAX;
            assert!(is_one(&left), "{name:?} {left:?}");
            assert!(!left.contains(['/', '\\', '\0', ':']), "{name:?} {left:?}");
        });
    }

    #[test]
    fn a_name_is_cleaned_of_what_means_something_to_a_file_system() {
        for (name, expected) in [
            ("cat.png", Some("cat.png")),
            ("../../etc/passwd", Some("passwd")),
            ("C:\\Users\\me\\cat.png", Some("cat.png")),
            (".htaccess", Some("htaccess")),
            ("a\0b\r\n.txt", Some("ab.txt")),
            ("what?<is>:\"this\"|*.txt", Some("whatisthis.txt")),
            ("exe\u{202e}gnp.txt", Some("exegnp.txt")),
            ("COM1.txt", Some("_COM1.txt")),
            ("nul", Some("_nul")),
            ("console.txt", Some("console.txt")),
            (" . ", None),
            ("..", None),
            ("a/", None),
            ("", None),
        ] {
            assert_eq!(cleaned(name).as_deref(), expected, "{name:?}");
        }
        let long = cleaned(&"\u{20ac}".repeat(100)).expect("a name is left");
        assert_eq!(long.len(), 255);
        let ends_in_a_dot = cleaned(&("x".repeat(254) + ".txt"));
        assert_eq!(ends_in_a_dot, Some("x".repeat(254)));
    }
}
