//! The tasks of one scope, none of which outlives it.
//!
//! Knows nothing of errors or results: those who use it say what the end of a child means.

use crate::core::{Core, Haven};
use crate::scope::JoinHandle;
use crate::task::{NewTask, TaskId, Waiter, WorkCell};
use pin_project_lite::pin_project;
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::Future;
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll};

pub(crate) struct Children {
    core: Rc<Core>,
    /// The task that waits for them; their parent in listings, whoever spawned them.
    parent: Option<TaskId>,
    /// Oldest first. A child leaves when its future has been dropped.
    live: RefCell<BTreeMap<u64, TaskId>>,
    /// Those who were taken in: waited for, never cancelled.
    guests: Cell<usize>,
    spawned: Cell<u64>,
    closed: Cell<Option<&'static str>>,
    owner: RefCell<Waiter>,
    /// Who has left, for an owner who wants to know each.
    left: Option<RefCell<VecDeque<u64>>>,
}

impl Children {
    pub(crate) fn new(core: Rc<Core>) -> Rc<Self> {
        Rc::new(Children::with_left(core, None))
    }

    /// Children whose numbers can be asked for with [`next_left`](Children::next_left), in the
    /// order of their ends.
    pub(crate) fn in_order_of_completion(core: Rc<Core>) -> Rc<Self> {
        Rc::new(Children::with_left(core, Some(RefCell::default())))
    }

    fn with_left(core: Rc<Core>, left: Option<RefCell<VecDeque<u64>>>) -> Self {
        Children {
            parent: core.running(),
            core,
            live: RefCell::default(),
            guests: Cell::new(0),
            spawned: Cell::new(0),
            closed: Cell::new(None),
            owner: RefCell::new(Waiter::NOBODY),
            left,
        }
    }

    /// Makes a child. Children are numbered from 0. Once the scope is closed the future is
    /// dropped at once.
    pub(crate) fn spawn<F>(
        self: &Rc<Self>,
        name: Option<Cow<'static, str>>,
        future: F,
        place: &'static Location<'static>,
    ) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let number = self.spawned.replace(self.spawned.get() + 1);
        let child = Child {
            future: Some(future),
            seat: Seat {
                core: self.core.clone(),
                haven: self.clone(),
                number: Some(number),
            },
        };
        let id = self.core.spawn_task(NewTask {
            work: Some(Box::pin(WorkCell::new(child))),
            context: self.core.inherited_context(),
            name,
            place,
            parent: self.parent,
        });
        self.live.borrow_mut().insert(number, id);
        if let Some(reason) = self.closed.get() {
            self.core.drop_now(id, reason);
        }
        JoinHandle::new(self.core.clone(), id)
    }

    /// Asks all children to end, oldest first.
    pub(crate) fn cancel_all(&self, reason: &'static str) {
        for id in self.live.borrow().values() {
            self.core.cancel(*id, reason);
        }
    }

    /// Drops all children here and now, oldest first, and takes no more. Guests go on without
    /// anybody who waits for them.
    pub(crate) fn close(&self, reason: &'static str) {
        self.closed.set(Some(reason));
        loop {
            let oldest = self.live.borrow_mut().pop_first();
            let Some((_, id)) = oldest else { break };
            self.core.drop_now(id, reason);
        }
    }

    /// The caller is woken when a child fails or the last one leaves.
    pub(crate) fn wait(&self, cx: &TaskContext<'_>) {
        let caller = self.core.caller(cx);
        caller.wait_in(&mut self.owner.borrow_mut());
    }

    pub(crate) fn wake_owner(&self) {
        let owner = self.owner.borrow_mut().take();
        if let Some(owner) = owner {
            self.core.wake(owner);
        }
    }

    pub(crate) fn next_left(&self) -> Option<u64> {
        self.left.as_ref()?.borrow_mut().pop_front()
    }

    /// Children that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.live.borrow().len()
    }

    /// Whether nobody has to be waited for, guests included.
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0 && self.guests.get() == 0
    }

    pub(crate) fn core(&self) -> &Core {
        &self.core
    }

    /// Runs a part of the scope that is no child: what it leaves behind is waited for, too.
    pub(crate) fn enter<R>(self: &Rc<Self>, part: impl FnOnce() -> R) -> R {
        let _inside = Inside::enter(&self.core, self.clone());
        part()
    }
}

impl Haven for Children {
    fn is_open(&self) -> bool {
        self.closed.get().is_none()
    }

    fn admit(&self) {
        self.guests.set(self.guests.get() + 1);
    }

    fn leave(&self, child: Option<u64>) {
        match child {
            None => self.guests.set(self.guests.get() - 1),
            Some(number) => {
                self.live.borrow_mut().remove(&number);
            }
        }
        if let (Some(left), Some(number)) = (&self.left, child) {
            left.borrow_mut().push_back(number);
            self.wake_owner();
        }
        if self.is_empty() {
            self.wake_owner();
        }
    }
}

/// Dropped when its scope's future is, with all children that are left.
pub(crate) struct CloseOnDrop {
    pub(crate) children: Rc<Children>,
    pub(crate) reason: &'static str,
}

impl CloseOnDrop {
    pub(crate) fn new(children: Rc<Children>, reason: &'static str) -> Self {
        CloseOnDrop { children, reason }
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.children.close(self.reason);
    }
}

/// Wraps a future that is to run as a task of its own and must be finished though the caller is
/// given up: the scope around the caller waits for it, when there is one.
pub(crate) fn guest<F: Future>(core: &Rc<Core>, future: F) -> Guest<F> {
    let haven = core.haven().filter(|haven| haven.is_open());
    match haven {
        None => Guest::Free { future },
        Some(haven) => {
            haven.admit();
            Guest::TakenIn {
                child: Child {
                    future: Some(future),
                    seat: Seat {
                        core: core.clone(),
                        haven,
                        number: None,
                    },
                },
            }
        }
    }
}

pin_project! {
    /// Made by [`guest`].
    #[project = GuestProjection]
    pub(crate) enum Guest<F> {
        Free { #[pin] future: F },
        TakenIn { #[pin] child: Child<F> },
    }
}

impl<F: Future> Future for Guest<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        match self.project() {
            GuestProjection::Free { future } => future.poll(cx),
            GuestProjection::TakenIn { child } => child.poll(cx),
        }
    }
}

pin_project! {
    /// The future of a task that a scope waits for.
    pub(crate) struct Child<F> {
        #[pin]
        future: Option<F>,
        // Given up last: a child counts as ended when its future is gone.
        seat: Seat,
    }

    impl<F> PinnedDrop for Child<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _inside = this.seat.enter();
            this.future.set(None);
        }
    }
}

impl<F: Future> Future for Child<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = this.seat.enter();
        let future = this.future.as_pin_mut();
        future
            .expect("only the destructor takes the future")
            .poll(cx)
    }
}

/// A task's place in its scope.
struct Seat {
    core: Rc<Core>,
    haven: Rc<dyn Haven>,
    /// `None` for a guest.
    number: Option<u64>,
}

impl Seat {
    /// `None` when the scope no longer waits: then what surrounds the caller may.
    fn enter(&self) -> Option<Inside<'_>> {
        let open = self.haven.is_open();
        open.then(|| Inside::enter(&self.core, self.haven.clone()))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.haven.leave(self.number);
    }
}

/// Puts the haven before back when it is dropped, also when a panic unwinds.
struct Inside<'a> {
    core: &'a Core,
    before: Option<Rc<dyn Haven>>,
}

impl<'a> Inside<'a> {
    fn enter(core: &'a Core, haven: Rc<dyn Haven>) -> Self {
        Inside {
            before: core.set_haven(Some(haven)),
            core,
        }
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        drop(self.core.set_haven(self.before.take()));
    }
}
