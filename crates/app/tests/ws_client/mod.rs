//! A WebSocket client for simulated worlds: tungstenite's other role over a socket of the loop's,
//! and under it raw frames for those who break the rules.

use http::Method;
use monoloop::net::TcpStream;
use monoloop::{Limits, time};
use monoloop_proto::http1::{Decoded, Responses};
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;
use tungstenite::Message;
use tungstenite::protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext};

/// The key of the example in RFC 6455 §1.3, and what it is answered with.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// What waits to be looked at, at most, in any test.
const RECEIVED_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request for a WebSocket, with further fields, each ended by CRLF.
pub(crate) fn request(path: &str, fields: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{fields}\r\n"
    )
}

/// A frame as clients send it, masked with `mask`.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    frame_announcing(first, payload.len(), payload)
}

/// A frame that says it had `length` bytes.
pub(crate) fn frame_announcing(first: u8, length: usize, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0x56, 0x78];
    let mut frame = vec![first];
    match length {
        0..126 => frame.push(0x80 | length as u8),
        126..0x1_0000 => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            frame.push(0x80 | 127);
            frame.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    let masked = payload.iter().zip(mask.iter().cycle());
    frame.extend(masked.map(|(byte, mask)| byte ^ mask));
    frame
}

/// The answer to the handshake.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut found = self.fields.iter().filter(|(field, _)| field == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} is there twice: {self:?}");
        value
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    context: WebSocketContext,
    received: Vec<u8>,
    output: Vec<u8>,
}

impl Client {
    /// Connects and sends `request`; what comes is not looked at yet.
    pub(crate) async fn send(server: SocketAddr, request: impl AsRef<[u8]>) -> io::Result<Client> {
        let mut stream = TcpStream::connect(server).await?;
        stream.write_all(request.as_ref()).await?;
        let config = WebSocketConfig::default()
            .write_buffer_size(0)
            .max_message_size(None)
            .max_frame_size(None);
        Ok(Client {
            stream,
            context: WebSocketContext::new(Role::Client, Some(config)),
            received: Vec::new(),
            output: Vec::new(),
        })
    }

    /// A WebSocket that is open.
    pub(crate) async fn open(server: SocketAddr, path: &str) -> io::Result<Client> {
        let mut client = Client::send(server, request(path, "")).await?;
        let answer = client.answer().await?;
        assert_eq!(answer.status, 101, "{answer:?}");
        assert_eq!(answer.field("sec-websocket-accept"), Some(ACCEPT));
        Ok(client)
    }

    pub(crate) async fn answer(&mut self) -> io::Result<Answer> {
        loop {
            let end = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end
                && self.received.starts_with(b"HTTP/1.1 101 ")
            {
                let rest = self.received.split_off(end + 4);
                let head = std::mem::replace(&mut self.received, rest);
                let head = String::from_utf8(head).unwrap();
                let lines = head.split("\r\n").skip(1).filter(|line| !line.is_empty());
                let fields = lines.map(|line| {
                    let (name, value) = line.split_once(": ").unwrap();
                    (name.to_owned(), value.to_owned())
                });
                return Ok(Answer {
                    status: 101,
                    fields: fields.collect(),
                    body: String::new(),
                });
            }
            if end.is_some()
                && let Some(answer) = refusal(&self.received)
            {
                return Ok(answer);
            }
            self.more().await?;
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await
    }

    /// Sends a message.
    pub(crate) async fn say(&mut self, message: impl Into<Message>) -> io::Result<()> {
        let mut port = self.port();
        match port.0.write(&mut port.1, message.into()) {
            Ok(()) => {}
            Err(tungstenite::Error::ConnectionClosed) => {}
            Err(error) => panic!("{error}"),
        }
        self.flush().await
    }

    pub(crate) async fn close(&mut self, code: u16) -> io::Result<()> {
        let frame = CloseFrame {
            code: code.into(),
            reason: "".into(),
        };
        let mut port = self.port();
        port.0.close(&mut port.1, Some(frame)).unwrap();
        self.flush().await
    }

    /// What comes next. Pings are answered; `None` at the end of the connection.
    pub(crate) async fn hear(&mut self) -> io::Result<Option<Message>> {
        loop {
            let mut port = self.port();
            let read = port.0.read(&mut port.1);
            if read.is_ok() {
                let _ = port.0.flush(&mut port.1);
            }
            self.flush().await?;
            match read {
                Ok(message) => return Ok(Some(message)),
                Err(tungstenite::Error::Io(error)) if error.kind() == ErrorKind::WouldBlock => {}
                Err(tungstenite::Error::ConnectionClosed | tungstenite::Error::AlreadyClosed) => {
                    let rest = self.stream.receive().await?;
                    assert!(rest.is_empty(), "bytes behind the close");
                    return Ok(None);
                }
                Err(error) => panic!("the server is at fault: {error}"),
            }
            match self.more().await {
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
                other => other?,
            }
        }
    }

    /// The code of the close that comes next, after which the server closes the connection.
    pub(crate) async fn hear_close(&mut self) -> u16 {
        let heard = self.hear().await.unwrap();
        let Some(Message::Close(Some(frame))) = heard else {
            panic!("{heard:?} instead of a close");
        };
        let ended = time::timeout(Duration::from_secs(5), self.hear()).await;
        assert_eq!(ended.expect("the server closes first").unwrap(), None);
        frame.code.into()
    }

    /// Whatever has come and was not looked at.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        let chunk = self.stream.receive().await?;
        if chunk.is_empty() {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        self.received.extend_from_slice(&chunk);
        // A server that never stops is a failure, and not the end of the machine's memory.
        assert!(self.received.len() < RECEIVED_BYTES_MAX, "it never ends");
        Ok(())
    }

    fn port(&mut self) -> (&mut WebSocketContext, Port<'_>) {
        let port = Port {
            received: &mut self.received,
            output: &mut self.output,
        };
        (&mut self.context, port)
    }

    async fn flush(&mut self) -> io::Result<()> {
        let output = std::mem::take(&mut self.output);
        // Who has closed already does not read; what it sent may still be heard.
        match self.stream.write_all(&output).await {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
            written => written,
        }
    }
}

/// A response that is no 101, when it is whole.
fn refusal(bytes: &[u8]) -> Option<Answer> {
    let mut responses = Responses::new(Rc::new(Limits::default()));
    responses.expect(&Method::GET);
    let mut input = bytes;
    let mut answer = None;
    loop {
        match responses.decode(&mut input).expect("a response") {
            Decoded::Head(head) => {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                answer = Some(Answer {
                    status: head.status.as_u16(),
                    fields: head
                        .headers()
                        .filter(|(name, _)| !name.is_empty())
                        .map(|(name, value)| (text(name), text(value)))
                        .collect(),
                    body: String::new(),
                });
            }
            Decoded::Body(piece) => {
                let piece = std::str::from_utf8(piece).unwrap();
                answer.as_mut()?.body.push_str(piece);
            }
            Decoded::End { .. } => return answer,
            Decoded::NeedData => return None,
        }
    }
}

struct Port<'a> {
    received: &'a mut Vec<u8>,
    output: &'a mut Vec<u8>,
}

impl Read for Port<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = buffer.len().min(self.received.len());
        if count == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        buffer[..count].copy_from_slice(&self.received[..count]);
        self.received.drain(..count);
        Ok(count)
    }
}

impl Write for Port<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
