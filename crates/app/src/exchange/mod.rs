//! One request and its response.

mod answering;
mod settling;
mod waiting;

use crate::body::BodyFeed;
use crate::body_pump::BodyPump;
use crate::catch_panic::CatchPanic;
use crate::connection::{Connection, End};
use crate::request::RequestParts;
use crate::request_log::Record;
use crate::route_label::UNMATCHED;
use crate::route_options::RouteOptions;
use crate::running::{RequestPhase, Running};
use crate::trace::access_enabled;
#[cfg(feature = "tls")]
use crate::transport::Transport;
use crate::{Body, Reason, Request, RequestId, Response};
use http::Method;
use monoloop_proto::http1::{AfterResponse, Event, RecvError, RequestHead};
use monoloop_runtime::{InContext, give_up, time};
use std::collections::VecDeque;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Context;
use std::time::Instant;
use waiting::{GivenUp, WaitingForHandler, client_closed_request, handler_timed_out};

/// What became of a request at its first step.
pub(crate) enum Started {
    /// The response is in the connection's output.
    Answered(AfterResponse),
    /// It takes longer.
    Waiting(Box<Exchange>),
    /// The body that came with the head is malformed.
    Refused(RecvError, RequestId),
}

/// A request that was not answered at its first step.
pub(crate) struct Exchange {
    answer: Answer,
    feed: Option<BodyFeed>,
    about: About,
    options: Option<Rc<RouteOptions>>,
}

enum Answer {
    Handler(InContext<CatchPanic>),
    Response(Response),
}

/// What has to be known of a request that its handler has taken.
struct About {
    id: RequestId,
    received_at: Instant,
    is_head: bool,
    /// Whether it is remembered what becomes of it.
    is_watched: bool,
    /// The number of the route.
    route: u32,
}

impl Exchange {
    /// Has the handler take its first step. Most need no more, and then nothing is allocated.
    /// The head is received already.
    #[inline]
    pub(crate) fn start(
        connection: &mut Connection,
        mut parts: Box<RequestParts>,
        cx: &mut Context<'_>,
    ) -> Started {
        connection.account.begin_request();
        connection.requests_left = connection.requests_left.wrapping_sub(1);
        if connection.requests_left == 0 {
            connection.protocol.close_after_response();
        }
        let received_at = time::now();
        let taken = parts.head.request_id().and_then(RequestId::take);
        let id = taken.unwrap_or_else(RequestId::make);
        let mut feed = None;
        if !connection.protocol.is_request_received() {
            match receive_what_came(connection, &parts) {
                Ok((body, rest)) => (parts.body, feed) = (body, rest),
                Err(error) => {
                    watch_refused(connection, &parts, &id, received_at);
                    return Started::Refused(error, id);
                }
            }
        }
        let mut about = About {
            id: id.clone(),
            received_at,
            is_head: *parts.head.method() == Method::HEAD,
            is_watched: access_enabled() || connection.shared().server_timing.get(),
            route: UNMATCHED,
        };
        if about.is_watched {
            about.watch(connection, &parts.head);
        }
        let shared = &connection.place.shared;
        if let Some(overload) = &shared.overload
            && overload.sheds()
            && !shared.app.is_probe(&parts.head)
        {
            let mut response = overload.answer();
            let (feed, response) = (feed.as_ref(), &mut response);
            let after = about.answer_whole(connection, feed, response, received_at);
            return Started::Answered(after);
        }
        parts.id = id.clone();
        parts.peer = connection.peer;
        parts.received_at = received_at;
        #[cfg(feature = "tls")]
        if let Transport::Tls(stream) = &connection.stream {
            parts.tls = stream.about().cloned();
        }

        let shared = &*connection.place.shared;
        let mut request = Some(Request::new(parts, shared.requests.clone()));
        let mut response = None;
        // The response is written where it stays, and not moved out of the closure.
        let handler = shared.in_request(id, |route| {
            let request = request.take().expect("it is answered once");
            let is_leaving = shared.leaving.get();
            let first = shared
                .app
                .start(request, route, is_leaving, cx, &mut response);
            about.route = route.number();
            CatchPanic::after(first, &mut response)
        });
        if about.is_watched {
            connection.account.record(Record::end_first_step);
        }
        let answer = match handler {
            Some(handler) => Answer::Handler(handler),
            None => {
                let mut response = response.expect("a handler that does not wait has answered");
                if response.is_short() {
                    let (feed, response) = (feed.as_ref(), &mut response);
                    let after = about.answer_whole(connection, feed, response, received_at);
                    return Started::Answered(after);
                }
                Answer::Response(response)
            }
        };
        let options = shared.app.take_options();
        Started::Waiting(Box::new(Exchange {
            answer,
            feed,
            about,
            options,
        }))
    }

    /// Waits for the handler and sends its response.
    pub(crate) async fn finish(
        self: Box<Self>,
        connection: &mut Connection,
    ) -> Result<AfterResponse, End> {
        let Exchange {
            answer,
            feed,
            about,
            options,
        } = *self;
        let phase = match &answer {
            Answer::Handler(_) => RequestPhase::Handler,
            Answer::Response(_) => RequestPhase::Writing,
        };
        let entry = connection.shared().running.enter(Running {
            id: about.id.clone(),
            route: about.route,
            peer: connection.peer,
            received_at: about.received_at,
            phase,
        });
        // Earlier answers do not wait for this one.
        if let Err(end) = connection.flush().await {
            give_up(answer, Reason::from(&end).name());
            return Err(end);
        }
        let response = match answer {
            Answer::Response(response) => response,
            Answer::Handler(handler) => {
                let mut waiting = WaitingForHandler::new(
                    handler,
                    &entry,
                    BodyPump::new(feed.as_ref()),
                    options.as_deref(),
                    about.is_watched,
                    connection,
                );
                let answered = poll_fn(|cx| waiting.poll(connection, cx)).await;
                match answered {
                    Ok(response) => response,
                    Err(given_up) => {
                        give_up(waiting, given_up.reason());
                        match given_up {
                            GivenUp::TimedOut => handler_timed_out(connection, &about.id),
                            GivenUp::ClientClosed => {
                                about.settle(connection, client_closed_request(), 0);
                                return Err(End::ClientClosed);
                            }
                        }
                    }
                }
            }
        };
        entry.set_phase(RequestPhase::Writing);
        about
            .answer_in_pieces(connection, feed.as_ref(), response)
            .await
    }
}

impl About {
    #[cold]
    fn watch(&mut self, connection: &mut Connection, head: &RequestHead) {
        self.is_watched = connection.shared().is_watched.get();
        if self.is_watched {
            let record = Record::begin(self.id.clone(), head, self.received_at);
            connection.account.watch(record);
        }
    }
}

/// A request whose body is refused before it has a handler leaves a line all the same.
#[cold]
fn watch_refused(
    connection: &mut Connection,
    parts: &RequestParts,
    id: &RequestId,
    received_at: Instant,
) {
    if access_enabled() && connection.shared().is_watched.get() {
        let record = Record::begin(id.clone(), &parts.head, received_at);
        connection.account.watch(record);
    }
}

/// The part of the body that was received together with the head, and the way for the rest.
fn receive_what_came(
    connection: &mut Connection,
    parts: &RequestParts,
) -> Result<(Body, Option<BodyFeed>), RecvError> {
    let shared = &connection.place.shared;
    if let Some(bytes_max) = shared.app.body_bytes_max_of(&parts.head) {
        connection.protocol.limit_body(bytes_max)?;
    }
    let mut pieces = VecDeque::new();
    let ended = loop {
        match connection.protocol.next_event()? {
            Event::Body(piece) => pieces.push_back(piece),
            Event::EndOfMessage(_) => break true,
            Event::NeedData => break false,
            Event::Request(_) | Event::Paused | Event::Closed => {
                unreachable!("a body ends before anything else can come")
            }
        }
    };
    if ended && pieces.len() <= 1 {
        return Ok((Body::whole(pieces.pop_front().unwrap_or_default()), None));
    }
    let feed = BodyFeed::new(pieces, ended);
    Ok((Body::stream(feed.clone()), Some(feed)))
}
