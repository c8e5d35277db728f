//! What several threads take part in: the standard library's, or, where all interleavings are
//! tried, those of loom. Only what `interleavings` tests is made of them.

#[cfg(loom)]
pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicBool};
#[cfg(not(loom))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic::AtomicBool};
