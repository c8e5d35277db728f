//! What a peer can do about a refusal, for the body of its answer.

use super::error::RecvError;

impl RecvError {
    /// What the peer has to do to be understood, in a few words: nothing of what it sent is in them,
    /// so they may go into an answer as they are.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::RequestLine => {
                "send a method, a space, a target, a space and HTTP/1.1, and CRLF behind it"
            }
            Self::Target => {
                "send a path that begins with /, or http:// with a host, in visible ASCII without a \
                 fragment, and encode other bytes as % and two hexadecimal digits; * is for OPTIONS \
                 and host:port for CONNECT"
            }
            Self::TargetTooLong { .. } => "shorten its query, or send it as the body of a POST",
            Self::MethodTooLong => "send one of the methods of RFC 9110",
            Self::Version => "send HTTP/1.1 or HTTP/1.0",
            Self::BareLineFeed => "end each line in CRLF",
            Self::EmptyLines { .. } => "begin with the request line",
            Self::Field => {
                "send a name, a colon without space before it and a value without control bytes, on \
                 one line"
            }
            Self::TooManyFields { .. } => "send fewer",
            Self::HeadTooLarge { .. } => {
                "send fewer or shorter fields; cookies are the usual cause"
            }
            Self::HostMissing => "HTTP/1.1 asks for a Host in every request",
            Self::HostRepeated => "send one",
            Self::Host => "send the host of the URL, and its port where it has one",
            Self::ContentLength => "send one decimal number of bytes, without a sign",
            Self::TransferEncoding => "send chunked once and last, and by HTTP/1.1",
            Self::UnknownCoding => "send chunked alone, and name others in Content-Encoding",
            Self::AmbiguousFraming => "send one of them",
            Self::Expectation => "send 100-continue or no Expect",
            Self::BodyTooLarge { .. } => "send less, or in parts",
            Self::ChunkSize => "send each size in hexadecimal digits, with CRLF right behind it",
            Self::ChunkExtension => "send no extensions",
            Self::ChunkExtensionsTooLarge { .. } => "send no extensions, and sizes without zeros",
            Self::ChunkEnd => "send CRLF behind as many bytes as the size says",
            Self::TrailersTooLarge { .. } => "send fewer or shorter ones",
            Self::UnexpectedEof => "send all of the message before the end",
            Self::StatusLine => "send HTTP/1.1, a space and a status of three digits",
            Self::UnexpectedResponse => "send one response to each request",
            Self::TooManyInformational { .. } => "send the final response",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_names_the_limit_and_says_what_to_do() {
        let error = RecvError::HeadTooLarge { limit: 16384 };
        assert_eq!(
            format!("{error}; {}", error.remedy()),
            "head over the limit of 16384 bytes; send fewer or shorter fields; cookies are the usual \
             cause"
        );
    }
}
