//! What a file is, going by its name.

use http::HeaderValue;

/// The type that a file's extension stands for. Text is UTF-8, as all that is written today; what
/// no one knows is bytes, which no browser shows or runs.
pub(super) fn of_name(name: &str) -> HeaderValue {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    match mime_guess::from_ext(extension).first_raw() {
        None => HeaderValue::from_static("application/octet-stream"),
        // What it was called before RFC 9239.
        Some("text/javascript" | "application/javascript" | "application/x-javascript") => {
            HeaderValue::from_static("text/javascript; charset=utf-8")
        }
        Some(text) if text.starts_with("text/") => {
            let with_charset = HeaderValue::try_from(format!("{text}; charset=utf-8"));
            with_charset.unwrap_or(HeaderValue::from_static(text))
        }
        Some(known) => HeaderValue::from_static(known),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_tell_types_and_text_its_charset() {
        for (name, content_type) in [
            ("index.html", "text/html; charset=utf-8"),
            ("INDEX.HTML", "text/html; charset=utf-8"),
            ("a.css", "text/css; charset=utf-8"),
            ("a.js", "text/javascript; charset=utf-8"),
            ("a.mjs", "text/javascript; charset=utf-8"),
            ("a.txt", "text/plain; charset=utf-8"),
            ("a.json", "application/json"),
            ("a.svg", "image/svg+xml"),
            ("a.png", "image/png"),
            ("a.woff2", "font/woff2"),
            ("a.wasm", "application/wasm"),
            ("a.mp4", "video/mp4"),
            ("a.webp", "image/webp"),
            ("a.pdf", "application/pdf"),
            ("a.tar.gz", "application/gzip"),
            ("a.unheard-of", "application/octet-stream"),
            ("README", "application/octet-stream"),
            ("html", "application/octet-stream"),
            ("", "application/octet-stream"),
        ] {
            assert_eq!(of_name(name), content_type, "{name}");
        }
    }
}
