//! The method and the route of a request, for diagnostics.

use monoloop_runtime::context_var;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

context_var! {
    /// What the running task answers.
    pub(crate) static ROUTE: Rc<RouteLabel>, shown_as = "route";
}

/// A route as in `GET /users/{id}`, from when the router has found it.
///
/// The text is the route's own, made once: it never has anything in it that a peer has sent.
#[derive(Default)]
pub(crate) struct RouteLabel(Cell<Option<Rc<str>>>);

impl RouteLabel {
    /// The request that runs is for this route.
    #[inline]
    pub(crate) fn set(&self, label: &Rc<str>) {
        self.0.set(Some(label.clone()));
    }

    /// The request that runs is for none.
    pub(crate) fn clear(&self) {
        self.0.set(None);
    }
}

impl fmt::Display for RouteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.0.take();
        let written = f.write_str(label.as_deref().unwrap_or("none"));
        self.0.set(label);
        written
    }
}
