//! Dropping what was given up, and saying why.

use crate::runtime::try_current;

/// Drops `work`; the tasks that end with it, such as the children of a
/// [`task_group`](crate::task_group) in it, end [`Cancelled`](crate::Cancelled) with this reason instead of
/// the general one of what held them.
///
/// What `work` has done so far stays done, and its [`on_cancel`](crate::on_cancel) cleanups run.
///
/// ```
/// use monoloop_runtime::{Runtime, give_up};
///
/// Runtime::new()?.block_on(async {
///     let work = std::future::pending::<()>();
///     give_up(work, "client_closed");
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn give_up<T>(work: T, reason: &'static str) {
    let _reason = Reason::enter(reason);
    drop(work);
}

/// The reason stands until this is dropped, also by a panic in a destructor.
struct Reason {
    before: Option<&'static str>,
}

impl Reason {
    fn enter(reason: &'static str) -> Option<Reason> {
        // Without a loop there is no task that could end.
        let core = try_current()?;
        let before = core.set_given_up(Some(reason));
        Some(Reason { before })
    }
}

impl Drop for Reason {
    fn drop(&mut self) {
        if let Some(core) = try_current() {
            core.set_given_up(self.before);
        }
    }
}
