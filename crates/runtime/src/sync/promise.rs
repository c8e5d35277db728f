//! A container for a result that is not there yet: `asyncio.Future`.

use crate::context::Context;
use crate::debug;
use crate::runtime::try_current;
use crate::scope::call_soon;
use crate::sync::caller::{WaiterCell, poll_budget};
use crate::task::Cancelled;
use std::cell::{Cell, RefCell};
use std::error::Error;
use std::fmt;
use std::future::{Future, poll_fn};
use std::panic::Location;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context as TaskContext, Poll, ready};

/// Makes the two sides of a result: who has the [`Promise`] gives it, who has the [`Promised`]
/// awaits it.
///
/// It is settled once: with a value, an error, a cancellation from either side, or, when the
/// promise is dropped, as broken. Callbacks run then. To await it in several tasks, share it
/// with `futures_util::FutureExt::shared`.
///
/// ```
/// use monoloop_runtime::{call_soon, sync::promise::{promise, PromiseError}, Runtime};
///
/// Runtime::new()?.block_on(async {
///     let (answer, answered) = promise::<u32, &str>();
///     call_soon(move || {
///         answer.set(42).expect("somebody waits for it");
///     });
///     assert_eq!(answered.await, Ok(42));
///
///     let (answer, answered) = promise::<u32, &str>();
///     answered.on_settled(|outcome| println!("{outcome:?}"));
///     answer.fail("no such question").expect("somebody waits for it");
///     assert_eq!(answered.await, Err(PromiseError::Failed("no such question")));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// In [debug mode](crate::debug) a [`Promised`] that is dropped without anybody having looked at
/// it is reported.
#[track_caller]
pub fn promise<T, E>() -> (Promise<T, E>, Promised<T, E>) {
    let shared = Rc::new(Shared {
        outcome: Cell::new(None),
        result: Cell::new(None),
        is_detached: Cell::new(false),
        is_looked_at: Cell::new(false),
        promised: WaiterCell::new(),
        promise: WaiterCell::new(),
        callbacks: RefCell::default(),
    });
    (
        Promise {
            shared: shared.clone(),
        },
        Promised {
            shared,
            answered: false,
            made_at: Location::caller(),
        },
    )
}

/// How a promise was settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It has a value.
    Set,
    /// It has an error.
    Failed,
    /// One of the sides cancelled it.
    Cancelled,
    /// The promise was dropped.
    Broken,
}

struct Shared<T, E> {
    outcome: Cell<Option<Outcome>>,
    /// From when it is settled until it is taken.
    result: Cell<Option<Result<T, PromiseError<E>>>>,
    /// Nobody will take the result.
    is_detached: Cell<bool>,
    /// Somebody awaits it, has taken the result, or wants to be called.
    is_looked_at: Cell<bool>,
    promised: WaiterCell,
    promise: WaiterCell,
    callbacks: RefCell<Vec<Callback>>,
}

struct Callback {
    function: Box<dyn FnOnce(Outcome)>,
    context: Context,
}

impl Callback {
    /// Queues it behind everything that is ready now.
    fn run_soon(self, outcome: Outcome) {
        let Callback { function, context } = self;
        context.run(|| match try_current() {
            Some(_) => drop(call_soon(move || function(outcome))),
            None => function(outcome),
        });
    }
}

impl<T, E> Shared<T, E> {
    /// The first to settle it wins; the result comes back from all others, and from the first
    /// when nobody will take it.
    fn settle(
        &self,
        outcome: Outcome,
        result: Result<T, PromiseError<E>>,
    ) -> Result<(), Result<T, PromiseError<E>>> {
        if self.outcome.get().is_some() {
            return Err(result);
        }
        self.outcome.set(Some(outcome));
        let unwanted = match self.is_detached.get() {
            true => Err(result),
            false => {
                self.result.set(Some(result));
                Ok(())
            }
        };
        let callbacks = self.callbacks.take();
        self.promised.wake();
        self.promise.wake();
        for callback in callbacks {
            callback.run_soon(outcome);
        }
        unwanted
    }

    fn cancel(&self, reason: &'static str) -> bool {
        let cancelled = PromiseError::Cancelled(Cancelled { reason });
        let was_settled = self.outcome.get().is_some();
        let _unwanted = self.settle(Outcome::Cancelled, Err(cancelled));
        !was_settled
    }

    fn on_settled(&self, callback: impl FnOnce(Outcome) + 'static) {
        self.is_looked_at.set(true);
        let callback = Callback {
            function: Box::new(callback),
            context: Context::current(),
        };
        match self.outcome.get() {
            Some(outcome) => callback.run_soon(outcome),
            None => self.callbacks.borrow_mut().push(callback),
        }
    }
}

/// What both sides can do.
macro_rules! either_side {
    () => {
        /// Settles it as cancelled: the result is not needed, or will not come. Returns whether
        /// it was not settled yet.
        pub fn cancel(&self, reason: &'static str) -> bool {
            self.shared.cancel(reason)
        }

        /// How it was settled, if it was: asyncio's `done`, `cancelled` and `exception`.
        #[must_use]
        pub fn outcome(&self) -> Option<Outcome> {
            self.shared.outcome.get()
        }

        /// Runs a function when it is settled, or soon when it is already: asyncio's
        /// `add_done_callback`. Callbacks are queued as by [`call_soon`], in the order in which
        /// they were added and each in the context in which it was; without a loop they run at
        /// once.
        pub fn on_settled(&self, callback: impl FnOnce(Outcome) + 'static) {
            self.shared.on_settled(callback);
        }
    };
}

/// The side that gives the result. Dropped without, it breaks the promise.
pub struct Promise<T, E> {
    shared: Rc<Shared<T, E>>,
}

impl<T, E> Promise<T, E> {
    either_side!();

    /// Settles it with a value: asyncio's `set_result`.
    ///
    /// # Errors
    /// The value comes back when nobody will take it: it was cancelled, or the other side was
    /// dropped.
    pub fn set(self, value: T) -> Result<(), T> {
        match self.shared.settle(Outcome::Set, Ok(value)) {
            Err(Ok(value)) => Err(value),
            Ok(()) | Err(Err(_)) => Ok(()),
        }
    }

    /// Settles it with an error: asyncio's `set_exception`.
    ///
    /// # Errors
    /// The error comes back when nobody will take it, as with [`set`](Promise::set).
    pub fn fail(self, error: E) -> Result<(), E> {
        let failed = Err(PromiseError::Failed(error));
        match self.shared.settle(Outcome::Failed, failed) {
            Err(Err(PromiseError::Failed(error))) => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Whether nobody will take the result: it was cancelled, or the other side was dropped.
    #[must_use]
    pub fn is_unwanted(&self) -> bool {
        self.outcome().is_some() || self.shared.is_detached.get()
    }

    /// Waits until nobody will take the result: then the work for it can be left undone.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn unwanted(&mut self) {
        poll_fn(|cx| {
            if !self.is_unwanted() {
                self.shared.promise.wait(cx, "promise");
                if !self.is_unwanted() {
                    return Poll::Pending;
                }
            }
            poll_budget(cx)
        })
        .await;
    }
}

impl<T, E> Drop for Promise<T, E> {
    fn drop(&mut self) {
        self.shared.promise.clear();
        let _unwanted = self
            .shared
            .settle(Outcome::Broken, Err(PromiseError::Broken));
    }
}

impl<T, E> fmt::Debug for Promise<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promise")
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

/// The side that awaits the result: a future of it. Dropping it cancels nothing; the other
/// side can see that nobody will take the result.
///
/// # Panics
/// When it is polled after it had answered.
///
/// # Cancel safety
/// Awaited by reference nothing is lost: the result stays until it is taken.
#[must_use = "futures do nothing unless awaited"]
pub struct Promised<T, E> {
    shared: Rc<Shared<T, E>>,
    answered: bool,
    made_at: &'static Location<'static>,
}

impl<T, E> Promised<T, E> {
    either_side!();

    /// Whether there is a result, or has been: asyncio's `done`.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.outcome().is_some()
    }

    /// Takes the result, if it is there: asyncio's `result`.
    pub fn try_take(&mut self) -> Option<Result<T, PromiseError<E>>> {
        self.shared.is_looked_at.set(true);
        let result = self.shared.result.take();
        self.answered |= result.is_some();
        result
    }
}

impl<T, E> Future for Promised<T, E> {
    type Output = Result<T, PromiseError<E>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Self::Output> {
        assert!(
            !self.answered,
            "a Promised was polled after it had answered"
        );
        self.shared.is_looked_at.set(true);
        if !self.is_settled() {
            self.shared.promised.wait(cx, "promise");
            if !self.is_settled() {
                return Poll::Pending;
            }
        }
        ready!(poll_budget(cx));
        let result = self.try_take();
        Poll::Ready(result.expect("a result stays until it is taken"))
    }
}

impl<T, E> Drop for Promised<T, E> {
    fn drop(&mut self) {
        if !self.shared.is_looked_at.get() {
            tell_never_awaited(self.made_at, self.outcome());
        }
        self.shared.is_detached.set(true);
        self.shared.promised.clear();
        self.shared.promise.wake();
        drop(self.shared.result.take());
    }
}

impl<T, E> fmt::Debug for Promised<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Promised")
            .field("outcome", &self.outcome())
            .finish_non_exhaustive()
    }
}

/// A mistake, unless it was cancelled.
#[cold]
fn tell_never_awaited(made_at: &'static Location<'static>, outcome: Option<Outcome>) {
    let outcome = match outcome {
        None => "not settled yet",
        Some(Outcome::Set) => "a value",
        Some(Outcome::Failed) => "an error",
        Some(Outcome::Broken) => "the promise was dropped",
        Some(Outcome::Cancelled) => return,
    };
    if try_current().is_some_and(|core| core.debug.is_on) {
        debug::never_awaited(made_at, outcome);
    }
}

/// Why a promise has no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PromiseError<E> {
    /// This took its place.
    Failed(E),
    /// One of the sides cancelled it.
    Cancelled(Cancelled),
    /// The promise was dropped.
    Broken,
}

impl<E: fmt::Display> fmt::Display for PromiseError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PromiseError::Failed(error) => error.fmt(f),
            PromiseError::Cancelled(Cancelled { reason }) => {
                write!(f, "the promise was cancelled: {reason}")
            }
            PromiseError::Broken => f.write_str("the promise was dropped"),
        }
    }
}

impl<E: Error + 'static> Error for PromiseError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            // It prints as the error itself, so that what comes next is what is behind that.
            PromiseError::Failed(error) => error.source(),
            PromiseError::Cancelled(_) | PromiseError::Broken => None,
        }
    }
}
