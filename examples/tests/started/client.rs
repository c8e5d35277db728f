//! Just enough of an HTTP client to see what the wire carries.

use crate::PATIENCE;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

/// A connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// A response without its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    fields: Vec<(String, String)>,
}

impl Head {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut named = self.fields.iter().filter(|(field, _)| field == name);
        let value = named.next().map(|(_, value)| value.as_str());
        assert!(named.next().is_none(), "{name} comes twice: {self:?}");
        value
    }
}

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Client {
            reader: BufReader::new(stream),
        }
    }

    pub(crate) fn write(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn shutdown(&mut self, how: Shutdown) {
        self.reader.get_mut().shutdown(how).unwrap();
    }

    /// Asks for `target` with further header fields, each ended by CRLF.
    pub(crate) fn ask(&mut self, target: &str, fields: &str) {
        self.write(format!(
            "GET {target} HTTP/1.1\r\nhost: example\r\n{fields}\r\n"
        ));
    }

    /// Asks for `target` and waits for the response.
    pub(crate) fn get(&mut self, target: &str) -> (Head, String) {
        self.ask(target, "");
        self.response()
    }

    /// The next response with its whole body.
    pub(crate) fn response(&mut self) -> (Head, String) {
        let head = self.head();
        let body = match head.field("content-length") {
            Some(length) => self.text(length.parse().unwrap()),
            None => self.chunks().concat(),
        };
        (head, body)
    }

    pub(crate) fn head(&mut self) -> Head {
        let first = self.line();
        let status = first.strip_prefix("HTTP/1.1 ").unwrap();
        let mut fields = Vec::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else {
                assert_eq!(line, "");
                break;
            };
            fields.push((name.to_owned(), value.to_owned()));
        }
        Head {
            status: status[..3].parse().unwrap(),
            fields,
        }
    }

    /// The chunks that are left of a chunked body.
    pub(crate) fn chunks(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.chunk()).collect()
    }

    /// The next chunk; `None` at the end of the body.
    pub(crate) fn chunk(&mut self) -> Option<String> {
        let length = usize::from_str_radix(&self.line(), 16).unwrap();
        let chunk = self.text(length);
        assert_eq!(self.line(), "");
        Some(chunk).filter(|_| length > 0)
    }

    /// Whether nothing more has come so far.
    pub(crate) fn is_silent(&mut self) -> bool {
        if !self.reader.buffer().is_empty() {
            return false;
        }
        let stream = self.reader.get_mut();
        stream.set_nonblocking(true).unwrap();
        let peeked = stream.peek(&mut [0]);
        stream.set_nonblocking(false).unwrap();
        peeked.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }

    /// Whether the peer has closed the connection, in order or not. Waits for it.
    pub(crate) fn is_closed(&mut self) -> bool {
        match self.reader.read(&mut [0]) {
            Ok(count) => count == 0,
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    pub(crate) fn text(&mut self, length: usize) -> String {
        String::from_utf8(self.bytes(length)).unwrap()
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        let ended = line.strip_suffix("\r\n");
        ended
            .unwrap_or_else(|| panic!("a line ends halfway: {line:?}"))
            .to_owned()
    }
}
