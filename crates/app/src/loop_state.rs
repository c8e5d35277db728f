//! What the connections of one loop share.

use crate::changed::Changed;
use crate::request_pool::RequestPool;
use crate::route_label::{ROUTE, RouteLabel};
use crate::router::App;
use crate::standard_fields::StandardFields;
use crate::successor::Successor;
use crate::timeouts::Timeouts;
use crate::{REQUEST_ID, RequestId};
use monoloop_proto::http1::Limits;
use monoloop_runtime::{Context, TaskHandle};
use slab::Slab;
use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;

/// Output buffers kept for reuse, and the size above which one is not kept. A response is
/// mostly written in the step that made it, so a few hot ones serve all connections.
const OUTPUTS_KEPT_MAX: usize = 4;
const OUTPUT_KEPT_BYTES_MAX: usize = 256 * 1024;

pub(crate) struct LoopState {
    pub(crate) app: App,
    pub(crate) timeouts: Timeouts,
    pub(crate) protocol_limits: Rc<Limits>,
    pub(crate) response_buffer_bytes_max: usize,
    /// What requests are received into.
    pub(crate) requests: Rc<RequestPool>,
    pub(crate) standard_fields: RefCell<StandardFields>,
    /// Being drained: not ready any more.
    pub(crate) leaving: Cell<bool>,
    /// Nothing is accepted any more, and no connection is kept for another request.
    pub(crate) draining: Cell<bool>,
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
        response_buffer_bytes_max: usize,
    ) -> Rc<Self> {
        Rc::new(LoopState {
            app,
            timeouts,
            protocol_limits: Rc::new(protocol_limits),
            response_buffer_bytes_max,
            requests: Rc::default(),
            standard_fields: RefCell::new(StandardFields::new()),
            leaving: Cell::new(false),
            draining: Cell::new(false),
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
        lent.context.run(|| f(&route))
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
        Place {
            shared: self.clone(),
            key: u32::try_from(key).expect("descriptors run out long before"),
        }
    }

    pub(crate) fn set_task(&self, key: u32, task: TaskHandle) {
        self.connections.borrow_mut()[key as usize] = Some(task);
    }

    /// Has all connections look at what has changed for them.
    pub(crate) fn wake_connections(&self) {
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

impl Drop for LentContext<'_> {
    #[inline]
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
        self.shared.connections_changed.notify();
    }
}
