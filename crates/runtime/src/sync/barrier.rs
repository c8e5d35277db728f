//! A point that tasks pass together.

use crate::sync::line::{Line, Wait};
use crate::sync::wait_list::WaitList;
use std::cell::Cell;
use std::error::Error;
use std::fmt;

/// Holds tasks up until so many have come, then lets them pass together: `asyncio.Barrier`.
/// It can be used again at once.
///
/// ```
/// use monoloop_runtime::{spawn, sync::Barrier, Runtime};
/// use std::rc::Rc;
///
/// Runtime::new()?.block_on(async {
///     let start = Rc::new(Barrier::new(2));
///     let other = spawn({
///         let start = start.clone();
///         async move { start.wait().await }
///     });
///     let mine = start.wait().await;
///     assert_eq!((mine, other.await.expect("it ends by itself")), (Ok(0), Ok(1)));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Barrier {
    parties: usize,
    is_broken: Cell<bool>,
    waiters: WaitList<(), Result<usize, BrokenBarrier>>,
}

impl Barrier {
    /// Makes a barrier that so many tasks pass together.
    ///
    /// # Panics
    /// When `parties` is 0.
    #[must_use]
    pub const fn new(parties: usize) -> Self {
        assert!(parties > 0, "a barrier for nobody");
        Barrier {
            parties,
            is_broken: Cell::new(false),
            waiters: WaitList::new(),
        }
    }

    /// Waits for the others. Returns how many had come before: 0 for the first, so that one of
    /// them can be told from the rest. For the last, who need not wait, it counts as an
    /// operation of the step.
    ///
    /// # Errors
    /// [`BrokenBarrier`] when the barrier is aborted, or reset while it waits.
    ///
    /// # Cancel safety
    /// One that is dropped has not come. Dropped when all had come already, it takes nothing
    /// from the others: they pass.
    pub async fn wait(&self) -> Result<usize, BrokenBarrier> {
        Wait::new(self, ()).await
    }

    /// Breaks the barrier: who waits, and who comes before it is [reset](Barrier::reset), gets
    /// an error.
    pub fn abort(&self) {
        self.is_broken.set(true);
        self.refuse_all();
    }

    /// Makes it new. Who waits gets an error.
    pub fn reset(&self) {
        self.is_broken.set(false);
        self.refuse_all();
    }

    /// How many pass together.
    #[must_use]
    pub fn parties(&self) -> usize {
        self.parties
    }

    /// How many have come and wait for the others: asyncio's `n_waiting`.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiters.len()
    }

    /// Whether it was aborted.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    fn refuse_all(&self) {
        self.waiters.choose_all(|()| Err(BrokenBarrier));
        self.waiters.wake_chosen();
    }
}

impl Line for Barrier {
    type Wants = ();
    type Grant = Result<usize, BrokenBarrier>;

    fn waiters(&self) -> &WaitList<(), Result<usize, BrokenBarrier>> {
        &self.waiters
    }

    fn is_free(&self, (): &()) -> bool {
        self.is_broken() || self.waiters.len() + 1 == self.parties
    }

    fn what(&self) -> &'static str {
        "barrier"
    }

    fn take(&self, (): ()) -> Result<usize, BrokenBarrier> {
        if self.is_broken() {
            return Err(BrokenBarrier);
        }
        let mut before = 0..;
        self.waiters
            .choose_all(|()| before.next().ok_or(BrokenBarrier));
        self.waiters.wake_chosen();
        Ok(self.parties - 1)
    }
}

/// A barrier was aborted, or reset while somebody waited.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenBarrier;

impl fmt::Display for BrokenBarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the barrier is broken")
    }
}

impl Error for BrokenBarrier {}
