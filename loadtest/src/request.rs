//! The HTTP request of a run: put together once, checked, and encoded as it goes over the wire.

use http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, Method};
use monoloop_proto::http1::encode_request;

use crate::cli::RequestArgs;
use crate::target::HttpTarget;
use crate::usage::UsageError;

/// What is requested, and the bytes that ask for it.
#[derive(Debug, Clone)]
pub(crate) struct HttpRequest {
    pub(crate) target: HttpTarget,
    pub(crate) method: Method,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) body_bytes: usize,
    /// Whether the fields ask for the end of the connection after each answer.
    pub(crate) asks_to_close: bool,
    /// The whole request, as it goes over the wire each time.
    pub(crate) encoded: Vec<u8>,
}

impl HttpRequest {
    /// Encodes what `--method`, `--header` and `--body` ask for.
    pub(crate) fn new(target: HttpTarget, request: &RequestArgs) -> Result<Self, UsageError> {
        let body = match &request.body {
            Some(text) => read_body(text)?,
            None => Vec::new(),
        };
        let method = match &request.method {
            Some(name) => parse_method(name)?,
            None if request.body.is_some() => Method::POST,
            None => Method::GET,
        };
        let mut host = target.authority.clone();
        let mut headers = Vec::new();
        for text in &request.header {
            let (name, value) = parse_header(text)?;
            if name == HOST {
                host = value
                    .to_str()
                    .map_err(|_| bad_header(text, "not text"))?
                    .to_owned();
            } else {
                headers.push((name, value));
            }
        }
        let mut encoded = Vec::new();
        encode_request(&method, &target.path, &host, &headers, &body, &mut encoded).map_err(
            |error| {
                let input = format!("{method} {} with Host: {host}", target.path);
                UsageError::new(
                    input,
                    error.to_string(),
                    "Check the URL and the --header options.",
                )
            },
        )?;
        Ok(Self {
            target,
            method,
            asks_to_close: headers.iter().any(is_close),
            headers,
            body_bytes: body.len(),
            encoded,
        })
    }
}

/// Whether a field is `Connection` with `close` among its options.
fn is_close((name, value): &(HeaderName, HeaderValue)) -> bool {
    let mut options = value.as_bytes().split(|byte| *byte == b',');
    name == CONNECTION && options.any(|option| option.trim_ascii().eq_ignore_ascii_case(b"close"))
}

fn parse_method(name: &str) -> Result<Method, UsageError> {
    let refuse = |reason: &str, remedy: &str| {
        Err(UsageError::new(format!("--method {name}"), reason, remedy))
    };
    match Method::from_bytes(name.as_bytes()) {
        Ok(Method::CONNECT) => refuse(
            "makes a tunnel, to which no answer follows",
            "Load with another method.",
        ),
        Ok(method) => Ok(method),
        Err(_) => refuse("not a method", "Write a token such as GET, POST or PUT."),
    }
}

fn parse_header(text: &str) -> Result<(HeaderName, HeaderValue), UsageError> {
    let Some((name, value)) = text.split_once(':') else {
        return Err(bad_header(text, "there is no colon in it"));
    };
    let Ok(name) = HeaderName::from_bytes(name.as_bytes()) else {
        return Err(bad_header(
            text,
            "the part before the colon is not a field name",
        ));
    };
    if name == CONTENT_LENGTH || name == TRANSFER_ENCODING {
        return Err(UsageError::new(
            format!("--header '{text}'"),
            "the framing of the body is the client's own",
            "Leave it out and give the body with --body.",
        ));
    }
    match HeaderValue::from_str(value.trim()) {
        Ok(value) => Ok((name, value)),
        Err(_) => Err(bad_header(text, "the value has control characters")),
    }
}

fn bad_header(text: &str, reason: &str) -> UsageError {
    UsageError::new(
        format!("--header '{text}'"),
        reason,
        "Write 'Name: value', such as 'Accept: text/plain'.",
    )
}

fn read_body(text: &str) -> Result<Vec<u8>, UsageError> {
    let Some(path) = text.strip_prefix('@') else {
        return Ok(text.as_bytes().to_vec());
    };
    std::fs::read(path).map_err(|error| {
        UsageError::new(
            format!("--body @{path}"),
            format!("the file cannot be read: {error}"),
            "Check the path, or give the text itself.",
        )
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    fn request(options: &[&str]) -> Result<HttpRequest, String> {
        let line = ["loadtest", "http", "http://127.0.0.1:1/x"]
            .iter()
            .chain(options);
        let cli = Cli::try_parse_from(line).expect("the shape is good");
        let Command::Http(args) = cli.command else {
            unreachable!("the line says http");
        };
        let target = HttpTarget::parse(&args.url).expect("a good URL");
        HttpRequest::new(target, &args.request).map_err(|error| error.to_string())
    }

    #[test]
    fn a_body_makes_it_a_post_and_may_come_from_a_file() {
        let post = request(&["--body", "hello"]).expect("request");
        assert_eq!(post.method, Method::POST);
        assert!(post.encoded.ends_with(b"content-length: 5\r\n\r\nhello"));

        let file = tempfile::NamedTempFile::new().expect("file");
        std::fs::write(file.path(), "from a file").expect("write");
        let path = format!("@{}", file.path().display());
        let put = request(&["-X", "PUT", "--body", &path]).expect("request");
        assert_eq!(put.method, Method::PUT);
        assert!(put.encoded.ends_with(b"\r\n\r\nfrom a file"));
    }

    #[test]
    fn headers_are_kept_in_order_and_host_replaces_the_urls() {
        let get = request(&["-H", "Accept: a/b", "-H", "host: other", "-H", "x-empty:"]);
        let expected = "GET /x HTTP/1.1\r\nhost: other\r\naccept: a/b\r\nx-empty: \r\n\r\n";
        assert_eq!(
            String::from_utf8_lossy(&get.expect("request").encoded),
            expected
        );
    }

    #[test]
    fn a_field_may_ask_for_the_end_of_the_connection() {
        let asks = |field| request(&["-H", field]).expect("request").asks_to_close;
        assert!(asks("Connection: close"));
        assert!(asks("connection: x, CLOSE"));
        assert!(!asks("Connection: keep-alive"));
        assert!(!asks("X-Connection: close"));
    }

    #[test]
    fn a_request_that_cannot_be_is_refused_with_input_and_remedy() {
        let checks: [(&[&str], &str, &str); 7] = [
            (
                &["-H", "Accept"],
                "--header 'Accept': there is no colon",
                "Name: value",
            ),
            (&["-H", "a b: c"], "--header 'a b: c'", "Name: value"),
            (&["-H", "Host: a b"], "Host: a b", "--header"),
            (
                &["-H", "Content-Length: 3"],
                "the framing of the body",
                "--body",
            ),
            (&["-X", "GE T"], "--method GE T", "GET, POST"),
            (&["-X", "CONNECT"], "--method CONNECT", "another method"),
            (
                &["--body", "@/no/such/file"],
                "--body @/no/such/file",
                "Check the path",
            ),
        ];
        for (options, input, remedy) in checks {
            let error = request(options).expect_err("accepted");
            assert!(error.contains(input), "{options:?}: {error}");
            assert!(error.contains(remedy), "{options:?}: {error}");
        }
    }
}
