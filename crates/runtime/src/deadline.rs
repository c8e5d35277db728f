//! The deadline that travels with the context: to the tasks that are spawned inside a timeout and
//! to their jobs in the blocking pool. It says when the work is no longer wanted and ends nothing
//! by itself; the timeout does.

use crate::context::Context;
use crate::context_var;
use std::time::Instant;

context_var! {
    pub(crate) static DEADLINE: Instant;
}

/// What is inherited, for a task that no deadline of its surroundings may cut short.
pub(crate) fn inherited_without_deadline() -> Context {
    let mut context = Context::inherited();
    if DEADLINE.with(|deadline| deadline.is_some()) {
        context.unset(&DEADLINE);
    }
    context
}

pub(crate) fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
