//! Sending the bodies of responses piece by piece, no faster than the peer reads.

use crate::BodyError;
use crate::body_pump::BodyPump;
use crate::catch_panic::report_panic;
use crate::connection::{Connection, End};
use crate::peer_deadline::Passed;
use crate::response::BodyStream;
use bytes::Bytes;
use monoloop_proto::http1::SendError;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, ready};

/// Returns how many bytes of body were sent.
pub(crate) async fn send_bytes(connection: &mut Connection, body: &Bytes) -> Result<u64, End> {
    let piece_bytes = connection.shared().response_buffer_bytes_max;
    for piece in body.chunks(piece_bytes) {
        push_piece(connection, piece).expect("the length announced is that of the body");
        flush_full(connection).await?;
    }
    Ok(body.len() as u64)
}

/// Writes a stream as it comes: what is there goes out before the next piece is waited for, and
/// while the peer does not read no further piece is asked for.
/// It may be made of the request's body, which is received meanwhile.
pub(crate) async fn send_stream(
    connection: &mut Connection,
    stream: &mut BodyStream,
    mut pump: BodyPump<'_>,
) -> Result<u64, End> {
    let mut sent = 0;
    loop {
        let at_once = poll_fn(|cx| Poll::Ready(poll_piece(stream, cx))).await;
        let next = match at_once {
            Poll::Ready(next) => next,
            Poll::Pending => {
                connection.flush().await?;
                poll_fn(|cx| poll_piece_and_pump(connection, stream, &mut pump, cx)).await
            }
        };
        match next {
            Some(Ok(piece)) => {
                sent += piece.len() as u64;
                let pushed = push_piece(connection, &piece);
                // The copy waits for the peer; one is enough.
                drop(piece);
                if let Err(error) = pushed {
                    return Err(break_off(connection, &error).await);
                }
                flush_full(connection).await?;
            }
            Some(Err(end)) => {
                // What was good still goes out; that the end is missing tells the peer.
                connection.flush().await?;
                return Err(end);
            }
            None => return Ok(sent),
        }
    }
}

fn poll_piece_and_pump(
    connection: &mut Connection,
    stream: &mut BodyStream,
    pump: &mut BodyPump<'_>,
    cx: &mut Context<'_>,
) -> Poll<Option<Result<Bytes, End>>> {
    loop {
        if let Poll::Ready(next) = poll_piece(stream, cx) {
            return Poll::Ready(next);
        }
        if pump.poll(connection, cx).is_ready() {
            continue;
        }
        let Some(deadline) = pump.deadline() else {
            // Who has reset the connection is not found out by writing when there is nothing to
            // be written.
            return connection.poll_broken(cx).map(|end| Some(Err(end)));
        };
        match ready!(deadline.poll_passed(&mut connection.deadline, cx)) {
            Passed::Over => pump.time_out(),
            Passed::Later => {}
        }
    }
}

/// The next piece of a response's body. An error or a panic is reported here.
fn poll_piece(stream: &mut BodyStream, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, End>>> {
    match catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(cx))) {
        Ok(polled) => polled.map(|item| {
            item.map(|piece| {
                piece.map_err(|error| {
                    report_failed_body(&*error);
                    End::BodyFailed
                })
            })
        }),
        Err(payload) => {
            report_panic(payload, "a response's body panicked; its connection closes");
            Poll::Ready(Some(Err(End::BodyFailed)))
        }
    }
}

fn push_piece(connection: &mut Connection, piece: &[u8]) -> Result<(), SendError> {
    let (protocol, output) = (&mut connection.protocol, &mut connection.output);
    protocol.send_body(piece, output)?;
    connection.account.sent_body(piece.len());
    Ok(())
}

/// Waits for the peer once there is enough to be written.
async fn flush_full(connection: &mut Connection) -> Result<(), End> {
    if connection.output.len() >= connection.shared().response_buffer_bytes_max {
        connection.flush().await?;
    }
    Ok(())
}

/// A stream is not as long as was said. What was good still goes out; that the end is missing tells
/// the peer.
#[cold]
pub(crate) async fn break_off(connection: &mut Connection, error: &SendError) -> End {
    tracing::error!(%error, "a response's body is not as long as announced; its connection closes");
    match connection.flush().await {
        Ok(()) => End::BodyFailed,
        Err(end) => end,
    }
}

/// A peer that breaks off what is sent back to it is no error of ours, and cannot fill the log.
#[cold]
fn report_failed_body(error: &(dyn std::error::Error + 'static)) {
    const FAILED: &str = "a response's body failed halfway; its connection closes";
    match error.downcast_ref::<BodyError>() {
        Some(of_the_peer) => tracing::debug!(error = %of_the_peer, "{FAILED}"),
        None => tracing::error!(%error, "{FAILED}"),
    }
}
