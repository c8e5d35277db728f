//! An HTTP client for simulated worlds that knows, byte by byte, what it has to be answered, and
//! has the manners of real ones: it sends in pieces, pipelines, uploads in chunks, reads slowly,
//! closes its half.

use monoloop::net::{ConnectOptions, OwnedReadHalf, OwnedWriteHalf, TcpStream};
use monoloop::{spawn, time};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// A request and the body of its answer.
pub(crate) struct Question {
    pub(crate) request: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

/// How a client takes what it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// As it comes.
    Eager,
    /// Up to two kilobytes at a time, every few milliseconds, with a pause now and then.
    Slow,
}

/// Why a client did not get all of its answers.
#[derive(Debug)]
pub(crate) struct Failed {
    /// Bytes of the answer that it was receiving.
    pub(crate) came: usize,
    #[allow(dead_code, reason = "printed when nothing explains it")]
    why: Why,
}

#[derive(Debug)]
enum Why {
    #[allow(dead_code, reason = "printed when nothing explains it")]
    Io(io::Error),
    Ended,
}

pub(crate) struct Client {
    reader: Reader,
    /// `None` when it has told the server that no more will come.
    writer: Option<OwnedWriteHalf>,
    random: fastrand::Rng,
}

impl Client {
    pub(crate) async fn connect(
        from: IpAddr,
        server: SocketAddr,
        pace: Pace,
        mut random: fastrand::Rng,
    ) -> Result<Client, Failed> {
        let options = ConnectOptions::default().local_addr(SocketAddr::new(from, 0));
        let stream = TcpStream::connect_with(server, &options).await;
        let (half, writer) = stream.map_err(|error| Failed::io(0, error))?.into_split();
        Ok(Client {
            reader: Reader {
                half,
                pace,
                random: random.fork(),
                buffer: Vec::new(),
                at: 0,
                came: 0,
            },
            writer: Some(writer),
            random,
        })
    }

    /// Sends all of these requests, one right behind the other, and meanwhile receives their
    /// answers. With `ends` nothing will be sent after them, and the server is told so.
    pub(crate) async fn ask(
        &mut self,
        questions: &[Question],
        ends: bool,
        mut answered: impl FnMut(),
    ) -> Result<(), Failed> {
        let requests: Vec<u8> = questions.iter().flat_map(|it| it.request.clone()).collect();
        let mut writer = self.writer.take().expect("it has not ended");
        let random = self.random.fork();
        let writing = spawn(async move {
            // The reader sees what went wrong.
            let _ = write_in_pieces(&mut writer, &requests, random).await;
            (!ends).then_some(writer)
        });
        for question in questions {
            if let Err(failed) = self.reader.answer(&question.body).await {
                writing.cancel();
                let _ = writing.await;
                return Err(failed);
            }
            answered();
        }
        self.writer = writing.await.unwrap();
        match ends {
            true => self.reader.end().await,
            false => Ok(()),
        }
    }

    /// Asks, and takes so many bytes of what comes, at least as long as any comes.
    pub(crate) async fn begin(&mut self, question: &Question, bytes: usize) -> Result<(), Failed> {
        let writer = self.writer.as_mut().expect("it has not ended");
        let written = writer.write_all(&question.request).await;
        written.map_err(|error| Failed::io(0, error))?;
        while self.reader.came < bytes {
            self.reader.more().await?;
        }
        Ok(())
    }

    /// Receives the rest of the answer that was begun.
    pub(crate) async fn finish(&mut self, question: &Question) -> Result<(), Failed> {
        self.reader.answer(&question.body).await
    }
}

/// In two parts, with a pause between.
async fn write_in_pieces(
    writer: &mut OwnedWriteHalf,
    bytes: &[u8],
    mut random: fastrand::Rng,
) -> io::Result<()> {
    let (first, second) = bytes.split_at(random.usize(0..bytes.len()));
    writer.write_all(first).await?;
    time::sleep(Duration::from_millis(random.u64(0..300))).await;
    writer.write_all(second).await
}

impl Failed {
    fn io(came: usize, error: io::Error) -> Self {
        Failed {
            came,
            why: Why::Io(error),
        }
    }
}

struct Reader {
    half: OwnedReadHalf,
    pace: Pace,
    random: fastrand::Rng,
    buffer: Vec<u8>,
    /// What of the buffer was looked at.
    at: usize,
    /// Bytes of the answer that is being received.
    came: usize,
}

impl Reader {
    /// An answer of status 200 with this body, in either framing.
    async fn answer(&mut self, body: &[u8]) -> Result<(), Failed> {
        self.came = self.buffer.len() - self.at;
        let status = self.line().await?;
        assert_eq!(status, "HTTP/1.1 200 OK");
        let (mut length, mut is_chunked) = (None::<usize>, false);
        loop {
            let line = self.line().await?.to_lowercase();
            match line.split_once(": ") {
                None if line.is_empty() => break,
                Some(("content-length", value)) => length = Some(value.parse().unwrap()),
                Some(("transfer-encoding", value)) => is_chunked = value == "chunked",
                Some(_) => {}
                None => panic!("not a field: {line:?}"),
            }
        }
        match (length, is_chunked) {
            (Some(length), false) => {
                assert_eq!(body.len(), length);
                self.exactly(body).await
            }
            (None, true) => self.chunks(body).await,
            framing => panic!("neither or both of two framings: {framing:?}"),
        }
    }

    async fn chunks(&mut self, mut body: &[u8]) -> Result<(), Failed> {
        loop {
            let size = usize::from_str_radix(&self.line().await?, 16).unwrap();
            assert!(size <= body.len(), "a chunk too long by {size} bytes");
            let (chunk, rest) = body.split_at(size);
            self.exactly(chunk).await?;
            self.exactly(b"\r\n").await?;
            if size == 0 {
                assert!(rest.is_empty(), "{} bytes are missing", rest.len());
                return Ok(());
            }
            body = rest;
        }
    }

    async fn line(&mut self) -> Result<String, Failed> {
        let mut searched = self.at;
        loop {
            let new = &self.buffer[searched..];
            if let Some(end) = new.windows(2).position(|two| two == b"\r\n") {
                let line = self.buffer[self.at..searched + end].to_vec();
                self.at = searched + end + 2;
                return Ok(String::from_utf8(line).unwrap());
            }
            searched = self.at.max(self.buffer.len().saturating_sub(1));
            self.more().await?;
        }
    }

    /// These bytes, compared as they come.
    async fn exactly(&mut self, mut expected: &[u8]) -> Result<(), Failed> {
        loop {
            let count = expected.len().min(self.buffer.len() - self.at);
            let (now, rest) = expected.split_at(count);
            assert!(
                now == &self.buffer[self.at..self.at + count],
                "wrong bytes, {} before the end",
                expected.len()
            );
            self.at += count;
            expected = rest;
            if expected.is_empty() {
                return Ok(());
            }
            self.buffer.clear();
            self.at = 0;
            self.more().await?;
        }
    }

    /// The server says that nothing more will come, and nothing has.
    async fn end(&mut self) -> Result<(), Failed> {
        self.came = self.buffer.len() - self.at;
        match self.more().await {
            Err(Failed {
                why: Why::Ended, ..
            }) => Ok(()),
            Err(failed) => Err(failed),
            Ok(()) => panic!("{} bytes that nobody asked for", self.came),
        }
    }

    async fn more(&mut self) -> Result<(), Failed> {
        let before = self.buffer.len();
        let received = match self.pace {
            Pace::Eager => self.half.receive().await.map(|chunk| {
                self.buffer.extend_from_slice(&chunk);
            }),
            Pace::Slow => {
                let pause = match self.random.u32(0..500) {
                    0 => self.random.u64(0..20_000),
                    _ => self.random.u64(0..5),
                };
                time::sleep(Duration::from_millis(pause)).await;
                self.buffer.resize(before + self.random.usize(1..2048), 0);
                let read = self.half.read(&mut self.buffer[before..]).await;
                read.map(|count| self.buffer.truncate(before + count))
            }
        };
        received.map_err(|error| Failed::io(self.came, error))?;
        if self.buffer.len() == before {
            return Err(Failed {
                came: self.came,
                why: Why::Ended,
            });
        }
        self.came += self.buffer.len() - before;
        Ok(())
    }
}
