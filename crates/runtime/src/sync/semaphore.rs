//! A number of permits, taken and given back.

use crate::sync::Closed;
use crate::sync::line::{Line, Wait};
use crate::sync::wait_list::WaitList;
use std::cell::Cell;
use std::rc::Rc;

/// So many may at once: `asyncio.Semaphore`. A permit gives itself back when it is dropped, so
/// that it cannot be released too often: `asyncio.BoundedSemaphore` is the same.
///
/// Strictly first come, first served: while one waits for many permits, nobody who came later
/// gets the few that are there.
///
/// ```
/// use monoloop_runtime::{spawn, sync::Semaphore, Runtime};
/// use std::rc::Rc;
///
/// Runtime::new()?.block_on(async {
///     let two_at_once = Rc::new(Semaphore::new(2));
///     let mut tasks = Vec::new();
///     for _ in 0..10 {
///         let permit = two_at_once.clone().acquire_owned().await?;
///         tasks.push(spawn(async move {
///             // Work.
///             drop(permit);
///         }));
///     }
///     for task in tasks {
///         task.await.expect("it neither panics nor is cancelled");
///     }
///     assert_eq!(two_at_once.available(), 2);
///     Ok::<(), monoloop_runtime::sync::Closed>(())
/// }).expect("nobody closes it");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Semaphore {
    available: Cell<usize>,
    is_closed: Cell<bool>,
    /// How many permits each wants, and whether it got them.
    waiters: WaitList<usize, Result<usize, Closed>>,
    /// What it is a part of, for those who look.
    what: &'static str,
}

impl Semaphore {
    /// Makes a semaphore with so many permits.
    #[must_use]
    pub const fn new(permits: usize) -> Self {
        Semaphore::of(permits, "semaphore")
    }

    /// One that is a part of something else.
    pub(super) const fn of(permits: usize, what: &'static str) -> Self {
        Semaphore {
            available: Cell::new(permits),
            is_closed: Cell::new(false),
            waiters: WaitList::new(),
            what,
        }
    }

    /// Waits for a permit. Counts as an operation of the step when there is one already.
    ///
    /// # Errors
    /// [`Closed`] when the semaphore is closed, also while it waits.
    ///
    /// # Cancel safety
    /// Nothing is lost: a permit that was meant for one that is dropped goes to the next. The
    /// place in the line is lost.
    pub async fn acquire(&self) -> Result<Permit<'_>, Closed> {
        self.acquire_many(1).await
    }

    /// Waits until so many permits are there at once. One that asks for more than will ever
    /// be there waits, with all behind it, until [`add_permits`](Semaphore::add_permits).
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Semaphore::acquire).
    pub async fn acquire_many(&self, permits: usize) -> Result<Permit<'_>, Closed> {
        let permits = Wait::new(self, permits).await?;
        Ok(Permit {
            semaphore: self,
            permits,
        })
    }

    /// Takes a permit if one is there and nobody waits.
    #[must_use = "a permit that is dropped is given back"]
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes so many permits if they are there and nobody waits.
    #[must_use = "permits that are dropped are given back"]
    pub fn try_acquire_many(&self, permits: usize) -> Option<Permit<'_>> {
        (!self.is_closed() && self.is_free(&permits)).then(|| {
            self.available.set(self.available.get() - permits);
            Permit {
                semaphore: self,
                permits,
            }
        })
    }

    /// [`acquire`](Semaphore::acquire) with a permit that can go anywhere.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Semaphore::acquire).
    pub async fn acquire_owned(self: Rc<Self>) -> Result<OwnedPermit, Closed> {
        self.acquire_many_owned(1).await
    }

    /// [`acquire_many`](Semaphore::acquire_many) with permits that can go anywhere.
    ///
    /// # Errors
    /// As [`acquire`](Semaphore::acquire).
    ///
    /// # Cancel safety
    /// As [`acquire`](Semaphore::acquire).
    pub async fn acquire_many_owned(self: Rc<Self>, permits: usize) -> Result<OwnedPermit, Closed> {
        let permits = Wait::new(&*self, permits).await?;
        Ok(OwnedPermit {
            semaphore: self,
            permits,
        })
    }

    /// Adds permits that were not there before, or were forgotten: `release` without a permit.
    ///
    /// # Panics
    /// When there would be more than a `usize` can count.
    pub fn add_permits(&self, permits: usize) {
        let available = self.available.get().checked_add(permits);
        self.available
            .set(available.expect("more permits than a usize can count"));
        self.serve();
    }

    /// Permits that nobody has.
    #[must_use]
    pub fn available(&self) -> usize {
        self.available.get()
    }

    /// Whether one who comes now would have to wait: asyncio's `locked`.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        !self.is_free(&1)
    }

    /// Refuses everybody from now on, those who wait included. Permits that are out stay good.
    pub fn close(&self) {
        self.is_closed.set(true);
        self.waiters.choose_all(|_| Err(Closed));
        self.waiters.wake_chosen();
    }

    /// Whether it was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.is_closed.get()
    }

    /// Gives what is there to those who wait, in their order.
    fn serve(&self) {
        while self
            .waiters
            .first(|&wanted| wanted <= self.available.get())
            .unwrap_or(false)
        {
            self.waiters.choose_first(|wanted| {
                self.available.set(self.available.get() - wanted);
                Ok(wanted)
            });
        }
        self.waiters.wake_chosen();
    }
}

impl Line for Semaphore {
    type Wants = usize;
    type Grant = Result<usize, Closed>;

    fn waiters(&self) -> &WaitList<usize, Result<usize, Closed>> {
        &self.waiters
    }

    fn is_free(&self, wanted: &usize) -> bool {
        self.is_closed() || (*wanted <= self.available.get() && self.waiters.is_empty())
    }

    fn what(&self) -> &'static str {
        self.what
    }

    fn take(&self, wanted: usize) -> Result<usize, Closed> {
        if self.is_closed() {
            return Err(Closed);
        }
        self.available.set(self.available.get() - wanted);
        Ok(wanted)
    }

    fn left(&self) {
        self.serve();
    }

    fn pass_on(&self, grant: Result<usize, Closed>) {
        if let Ok(permits) = grant {
            self.add_permits(permits);
        }
    }
}

/// Permits of a [`Semaphore`]; dropped, they are given back.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    permits: usize,
}

/// Permits of a [`Semaphore`] that can go anywhere; dropped, they are given back.
#[derive(Debug)]
#[must_use = "a permit that is dropped is given back"]
pub struct OwnedPermit {
    semaphore: Rc<Semaphore>,
    permits: usize,
}

/// What both kinds of permits can do.
macro_rules! permits {
    ($permit:ty) => {
        impl $permit {
            /// How many it stands for.
            #[must_use]
            pub fn count(&self) -> usize {
                self.permits
            }

            /// Does not give them back: the semaphore has fewer from now on.
            pub fn forget(mut self) {
                self.permits = 0;
            }
        }

        impl Drop for $permit {
            fn drop(&mut self) {
                if self.permits > 0 {
                    self.semaphore.add_permits(self.permits);
                }
            }
        }
    };
}

permits!(Permit<'_>);
permits!(OwnedPermit);
