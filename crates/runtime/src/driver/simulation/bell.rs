//! How other threads end the wait of a simulated world.

use crate::inbox::Notify;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    /// Whether it was rung since the last time somebody looked.
    pub(crate) fn take(&self) -> bool {
        std::mem::take(&mut *self.lock())
    }

    /// Waits, in real time, until it is rung.
    pub(crate) fn wait(&self) {
        let waited = self.0.1.wait_while(self.lock(), |rung| !*rung);
        *waited.unwrap_or_else(PoisonError::into_inner) = false;
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Notify for Bell {
    fn notify(&self) {
        *self.lock() = true;
        self.0.1.notify_one();
    }
}
