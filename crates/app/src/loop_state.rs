//! What the connections of one loop share.

use crate::bounds::Bounds;
use crate::changed::Changed;
use crate::drain_forced::Forced;
use crate::ledger::LoopBook;
use crate::overload::Overload;
use crate::peers::Peers;
use crate::request_pool::RequestPool;
use crate::route_label::{ROUTE, RouteLabel};
use crate::router::App;
use crate::running::RunningRequests;
use crate::standard_fields::StandardFields;
use crate::successor::Successor;
use crate::timeouts::Timeouts;
use crate::transport::Transports;
use crate::turn_away::TurnedAway;
use crate::{REQUEST_ID, RequestId};
use monoloop_proto::http1::Limits;
use monoloop_runtime::{Context, TaskHandle};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;

/// Output buffers kept for reuse, and the size above which one is not kept. A response is
/// mostly written in the step that made it, so a few hot ones serve all connections.
const OUTPUTS_KEPT_MAX: usize = 4;
const OUTPUT_KEPT_BYTES_MAX: usize = 256 * 1024;

pub(crate) struct LoopState {
    pub(crate) app: App,
    /// What is counted of connections and requests.
    pub(crate) book: Arc<LoopBook>,
    pub(crate) timeouts: Timeouts,
    pub(crate) protocol_limits: Rc<Limits>,
    pub(crate) response_buffer_bytes_max: usize,
    pub(crate) bounds: Bounds,
    /// Set when requests are shed.
    pub(crate) overload: Option<Rc<Overload>>,
    /// Set when the connections of each peer are counted.
    pub(crate) peers: Option<Rc<Peers>>,
    pub(crate) turned_away: TurnedAway,
    pub(crate) transports: Transports,
    /// What requests are received into.
    pub(crate) requests: Rc<RequestPool>,
    pub(crate) standard_fields: RefCell<StandardFields>,
    /// Those that take longer than a step.
    pub(crate) running: Rc<RunningRequests>,
    /// Whether requests leave lines in the access log, where that is on.
    pub(crate) is_watched: Cell<bool>,
    /// Whether responses say where their time went.
    pub(crate) server_timing: Cell<bool>,
    /// Being drained: not ready any more.
    pub(crate) leaving: Cell<bool>,
    /// Nothing is accepted any more, and no connection is kept for another request.
    pub(crate) draining: Cell<bool>,
    /// What the end of the drain cuts off.
    pub(crate) forced: Forced,
    /// The tasks of the open connections.
    pub(crate) connections: RefCell<Slab<Option<TaskHandle>>>,
    /// A connection was closed.
    pub(crate) connections_changed: Changed,
    pub(crate) draining_began: Changed,
    /// Who serves when this loop does not any more.
    pub(crate) successor: Cell<Successor>,
    outputs: RefCell<Vec<Vec<u8>>>,
    /// The context of the last request, to be that of the next when nobody has kept it.
    request_context: RefCell<Context>,
    /// Where the route of a request is shown that is in that context.
    request_route: RefCell<Rc<RouteLabel>>,
}

impl LoopState {
    pub(crate) fn new(
        app: App,
        timeouts: Timeouts,
        protocol_limits: Limits,
        bounds: Bounds,
        book: Arc<LoopBook>,
        transports: Transports,
    ) -> Rc<Self> {
        Rc::new(LoopState {
            app,
            book,
            timeouts,
            protocol_limits: Rc::new(protocol_limits),
            response_buffer_bytes_max: bounds.response_buffer_bytes_max,
            overload: bounds.shedding.map(Overload::new),
            peers: bounds.connections_per_peer_max.map(Peers::new),
            turned_away: TurnedAway::default(),
            bounds,
            transports,
            requests: Rc::default(),
            standard_fields: RefCell::new(StandardFields::new()),
            running: Rc::default(),
            is_watched: Cell::new(true),
            server_timing: Cell::new(false),
            leaving: Cell::new(false),
            draining: Cell::new(false),
            forced: Forced::default(),
            connections: RefCell::default(),
            connections_changed: Changed::default(),
            draining_began: Changed::default(),
            successor: Cell::default(),
            outputs: RefCell::default(),
            request_context: RefCell::new(Context::current()),
            request_route: RefCell::default(),
        })
    }

    /// An empty buffer, with room when there is one that was used before.
    #[inline]
    pub(crate) fn take_output(&self) -> Vec<u8> {
        self.outputs.borrow_mut().pop().unwrap_or_default()
    }

    #[inline]
    pub(crate) fn give_back_output(&self, mut output: Vec<u8>) {
        let mut outputs = self.outputs.borrow_mut();
        if outputs.len() < OUTPUTS_KEPT_MAX && output.capacity() <= OUTPUT_KEPT_BYTES_MAX {
            output.clear();
            outputs.push(output);
        }
    }

    /// Runs `f` in the context of a request, with the place where its route is shown.
    #[inline]
    pub(crate) fn in_request<R>(&self, id: RequestId, f: impl FnOnce(&RouteLabel) -> R) -> R {
        let mut lent = LentContext {
            home: &self.request_context,
            context: self.request_context.take(),
        };
        let route = match lent.context.set_in_place(&REQUEST_ID, id) {
            Ok(()) => self.request_route.borrow().clone(),
            Err(id) => self.new_request(&mut lent.context, id),
        };
        let result = lent.context.run(|| f(&route));
        lent.give_back();
        result
    }

    /// Somebody has kept something of the context of the request before.
    #[cold]
    fn new_request(&self, context: &mut Context, id: RequestId) -> Rc<RouteLabel> {
        let route = Rc::new(RouteLabel::default());
        context.set(&REQUEST_ID, id);
        // The last one: nobody else can set it, so whoever has kept anything of a request's
        // context has kept this.
        context.set(&ROUTE, route.clone());
        self.request_route.replace(route.clone());
        route
    }

    /// A connection's place among the open ones, given up when it is dropped.
    pub(crate) fn enter(self: &Rc<Self>) -> Place {
        let key = self.connections.borrow_mut().insert(None);
        self.book.set_open(self.open_connections());
        Place {
            shared: self.clone(),
            key: u32::try_from(key).expect("descriptors run out long before"),
        }
    }

    pub(crate) fn set_task(&self, key: u32, task: TaskHandle) {
        self.connections.borrow_mut()[key as usize] = Some(task);
    }

    /// Has the loop accept no more, and its connections end when they can.
    pub(crate) fn begin_draining(&self) {
        self.draining.set(true);
        self.draining_began.notify();
        self.connections_changed.notify();
        self.wake_connections();
    }

    /// Has all connections look at what has changed for them.
    fn wake_connections(&self) {
        for task in self.tasks() {
            task.wake();
        }
    }

    /// Cuts all connections off.
    pub(crate) fn cancel_connections(&self, reason: &'static str) {
        for task in self.tasks() {
            task.cancel_with(reason);
        }
    }

    fn tasks(&self) -> Vec<TaskHandle> {
        let connections = self.connections.borrow();
        connections
            .iter()
            .filter_map(|(_, task)| task.clone())
            .collect()
    }

    pub(crate) fn open_connections(&self) -> usize {
        self.connections.borrow().len()
    }
}

/// A context that goes back where it was when it is dropped, also by a panic.
struct LentContext<'a> {
    home: &'a RefCell<Context>,
    context: Context,
}

impl LentContext<'_> {
    /// What dropping does, where it is not the end of a panic.
    #[inline(always)]
    fn give_back(mut self) {
        self.home.replace(mem::take(&mut self.context));
        // An empty context is left, which owns nothing.
        mem::forget(self);
    }
}

impl Drop for LentContext<'_> {
    #[cold]
    fn drop(&mut self) {
        self.home.replace(mem::take(&mut self.context));
    }
}

/// A connection among the open ones.
pub(crate) struct Place {
    pub(crate) shared: Rc<LoopState>,
    key: u32,
}

impl Place {
    /// Names the connection to [`LoopState::set_task`].
    pub(crate) fn key(&self) -> u32 {
        self.key
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let task = self
            .shared
            .connections
            .borrow_mut()
            .remove(self.key as usize);
        drop(task);
        self.shared.book.set_open(self.shared.open_connections());
        self.shared.connections_changed.notify();
    }
}
