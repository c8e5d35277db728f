//! Responses on their way into a connection's output.

use crate::connection::Connection;
use crate::response::ResponseBody;
use crate::{IntoResponse, RequestId, Response};
use http::header::{CONNECTION, DATE, HeaderName, SERVER, UPGRADE};
use http::{HeaderValue, StatusCode};
use monoloop_proto::http1::{AfterResponse, ResponseLength, SendError};
use monoloop_runtime::time;
use std::time::Instant;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Encodes the head of a response, in the turn that began at `now`.
// Into both callers, for the one of a whole response knows how its body is framed.
#[inline(always)]
pub(crate) fn push_head(
    connection: &mut Connection,
    response: &Response,
    length: ResponseLength,
    id: &RequestId,
    now: Instant,
) -> Result<(), SendError> {
    let shared = &connection.place.shared;
    if shared.draining.get() || response.wants_close() {
        connection.protocol.close_after_response();
    }
    if connection.output.capacity() == 0 {
        connection.output = shared.take_output();
    }
    let mut fields =
        connection
            .protocol
            .send_head(response.status, length, &mut connection.output)?;
    shared.book.count_response(response.status);
    fields.encoded(shared.standard_fields.borrow_mut().at(now));
    if let Some(content_type) = response.content_type {
        fields.line(content_type.line);
    }
    id.push_field(&mut fields)?;
    for (name, value) in &response.headers {
        // Said above, each of them once (RFC 9110 §5.3).
        if [CONNECTION, DATE, SERVER, X_REQUEST_ID].contains(name) {
            continue;
        }
        if let Err(error) = fields.field(name, value) {
            report_field(name, value, error);
        }
    }
    Ok(())
}

/// Encodes the head that accepts to go on in `protocol`.
#[cold]
pub(crate) fn push_upgrade_head(
    connection: &mut Connection,
    protocol: &HeaderValue,
    response: &Response,
    id: &RequestId,
    now: Instant,
) -> Result<(), SendError> {
    let shared = &connection.place.shared;
    let mut fields = connection
        .protocol
        .send_upgrade(protocol, &mut connection.output)?;
    fields.encoded(shared.standard_fields.borrow_mut().at(now));
    id.push_field(&mut fields)?;
    for (name, value) in &response.headers {
        if [CONNECTION, DATE, SERVER, UPGRADE, X_REQUEST_ID].contains(name) {
            continue;
        }
        if let Err(error) = fields.field(name, value) {
            report_field(name, value, error);
        }
    }
    Ok(())
}

/// Encodes a response that is all there, in the turn that began at `now`.
///
/// # Panics
/// When the response has a streamed body.
#[inline]
pub(crate) fn push_whole_response(
    connection: &mut Connection,
    response: &Response,
    id: &RequestId,
    now: Instant,
) -> AfterResponse {
    let ResponseBody::Bytes(body) = &response.body else {
        unreachable!("a streamed body is sent piece by piece")
    };
    let length = ResponseLength::Sized(body.len() as u64);
    if let Err(error) = push_head(connection, response, length, id, now) {
        return push_fault(connection, error, id);
    }
    let (protocol, output) = (&mut connection.protocol, &mut connection.output);
    protocol
        .send_body(body, output)
        .and_then(|()| protocol.send_end(output))
        .expect("the length announced is that of the body")
}

/// A response that cannot be sent, such as one with status 101, is a fault of the handler's.
#[cold]
pub(crate) fn push_fault(
    connection: &mut Connection,
    error: SendError,
    id: &RequestId,
) -> AfterResponse {
    tracing::error!(%error, "a handler's response cannot be sent");
    assert!(
        connection.protocol.awaits_head(),
        "a response that was refused has sent nothing"
    );
    let response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    push_whole_response(connection, &response, id, time::now())
}

#[cold]
fn report_field(name: &HeaderName, value: &HeaderValue, error: SendError) {
    tracing::error!(%name, ?value, %error, "a header field of a response was left out");
}
