//! One client of the socket: a line in, lines out, each within its time.

use super::loops::{Lines, Loops, now};
use super::protocol::{Ask, Line, REQUEST_BYTES_MAX, Reply, VERSION, Versioned};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

/// From being accepted to the end of the request.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);

/// For one line of the answer. That of a server with 100,000 tasks has some 30 MB.
const LINE_TIME_MAX: Duration = Duration::from_secs(10);

/// A write is tried for this long before the time is looked at again.
const WRITE_TIME_MAX: Duration = Duration::from_secs(1);

/// Serves a client to the end. What goes wrong is its own loss.
pub(super) fn serve(mut stream: UnixStream, loops: &Loops) {
    let Ok(request) = read_request(&mut stream) else {
        return;
    };
    let mut lines = JsonLines { stream };
    let _ = match request.and_then(|line| parse(&line)) {
        Ok(ask) => loops.answer(&ask, &mut lines),
        Err(message) => lines.send(&Reply::Error { message }),
    };
}

/// The first line; or what is wrong with it.
fn read_request(stream: &mut UnixStream) -> io::Result<Result<Vec<u8>, String>> {
    let ends_at = now() + REQUEST_TIME_MAX;
    let mut line = Vec::new();
    let mut chunk = [0; 512];
    loop {
        let left = ends_at.saturating_duration_since(now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let count = match stream.read(&mut chunk) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let ended = chunk[..count].iter().position(|byte| *byte == b'\n');
        line.extend_from_slice(&chunk[..ended.unwrap_or(count)]);
        if line.len() > REQUEST_BYTES_MAX {
            let message = format!("a request has at most {REQUEST_BYTES_MAX} bytes");
            return Ok(Err(message));
        }
        if ended.is_some() {
            return Ok(Ok(line));
        }
        if count == 0 {
            return Ok(Err("the request has no end; send one line".to_owned()));
        }
    }
}

fn parse(line: &[u8]) -> Result<Ask, String> {
    let versioned: Versioned = serde_json::from_slice(line).map_err(|error| {
        format!("not a request of the monoloop command: {error}; as in {{\"monoloop\":{VERSION},\"ask\":\"ps\"}}")
    })?;
    if versioned.monoloop != VERSION {
        return Err(format!(
            "the server speaks version {VERSION} of the protocol, the request is of version {}; \
             use the monoloop command of the server's release",
            versioned.monoloop
        ));
    }
    let line: Line<Ask> = serde_json::from_slice(line)
        .map_err(|error| format!("not a request that this server knows: {error}"))?;
    Ok(line.content)
}

struct JsonLines {
    stream: UnixStream,
}

impl Lines for JsonLines {
    fn send(&mut self, reply: &Reply) -> io::Result<()> {
        let bounded = BoundedWriter {
            stream: &mut self.stream,
            ends_at: now() + LINE_TIME_MAX,
        };
        let mut buffered = BufWriter::with_capacity(64 * 1024, bounded);
        serde_json::to_writer(&mut buffered, &Line::new(reply))?;
        buffered.write_all(b"\n")?;
        buffered.flush()
    }
}

/// Gives up on a client that reads nothing, or too slowly.
struct BoundedWriter<'a> {
    stream: &'a mut UnixStream,
    ends_at: Instant,
}

impl Write for BoundedWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left = self.ends_at.saturating_duration_since(now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.stream
            .set_write_timeout(Some(left.min(WRITE_TIME_MAX)))?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
