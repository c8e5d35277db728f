//! Waiting for each other: locks, events, queues and channels for the tasks of one loop, and a
//! channel into it from other threads.
//!
//! All but [`remote`] live on one thread: nothing is atomic, nothing is `Send`, sharing is by
//! `Rc`. They need no loop; they work under any combinator and any `block_on`.
//!
//! | asyncio | here |
//! |---|---|
//! | `Lock` | [`Lock`]: it holds what it protects |
//! | `Event` | [`Event`] |
//! | - | [`Notify`]: wakes one or all, and remembers one that nobody waited for |
//! | `Condition` | [`Condition`], with the guard of a [`Lock`] |
//! | `Semaphore`, `BoundedSemaphore` | [`Semaphore`], whose permits give themselves back |
//! | `Barrier`, `BrokenBarrierError` | [`Barrier`], [`BrokenBarrier`] |
//! | `Queue`: `put`, `get`, `put_nowait`, `get_nowait`, `shutdown` | [`mpsc`]: `send`, `recv`, `try_send`, `try_recv`, `close` |
//! | `QueueFull`, `QueueEmpty`, `QueueShutDown` | [`TrySendError`], [`TryRecvError`], [`SendError`] |
//! | `Future`: `set_result`, `set_exception`, `cancel`, `add_done_callback` | [`promise`](promise::promise): `set`, `fail`, `cancel`, `on_settled` |
//! | `InvalidStateError` | none: to settle uses a [`Promise`](promise::Promise) up |
//! | - | [`oneshot`]: one value; each side sees when the other is gone |
//! | - | [`watch`]: the latest value |
//! | - | [`broadcast`]: every value to everybody |
//! | `call_soon_threadsafe(queue.put_nowait, ..)`, `run_coroutine_threadsafe` | [`remote`]: any thread sends, the loop receives |
//!
//! # Fairness
//! Strictly first come, first served, where coming is the first poll. What is freed is handed
//! to who has waited longest, at that moment; nobody who comes later gets it, not even by
//! `try_`.
//!
//! What could go on for ever without waiting (receiving from a queue that is always full,
//! acquiring what is always free) counts as an operation of the step
//! ([`Config::ops_per_step_max`](crate::Config::ops_per_step_max)). When there are none left the
//! task lets the others run, and comes in its next step.
//!
//! # Cancel safety
//! A future that is dropped leaves its line. What it was given meanwhile, a permit, a
//! notification, room in a queue, goes to the next. Where a value may have changed hands the
//! function says so.
//!
//! # Destructors and wakers
//! Nothing is borrowed while a waker is woken or a value is dropped: both may use the very same
//! primitive.

mod barrier;
pub mod broadcast;
mod caller;
mod condition;
mod error;
mod event;
mod line;
mod lock;
pub mod mpsc;
mod notify;
pub mod oneshot;
pub mod promise;
pub mod remote;
mod semaphore;
mod wait_list;
pub mod watch;

pub use barrier::{Barrier, BrokenBarrier};
pub use condition::Condition;
pub use error::{Closed, SendError, TryRecvError, TrySendError};
pub use event::Event;
pub use lock::{Lock, LockGuard};
pub use notify::Notify;
pub use semaphore::{OwnedPermit, Permit, Semaphore};
