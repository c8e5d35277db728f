//! The method and the route of a request, for diagnostics.

use monoloop_runtime::context_var;
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

context_var! {
    /// What the running task answers.
    pub(crate) static ROUTE: RouteLabel, shown_as = "route";
}

/// A route as in `GET /users/{id}`, from when the router has found it.
///
/// The text is the route's own, made once: it never has anything in it that a peer has sent.
#[derive(Default)]
pub(crate) struct RouteLabel(RefCell<Option<Rc<str>>>);

/// The request that runs is for this route.
pub(crate) fn set_route(label: &Rc<str>) {
    ROUTE.with(|current| {
        if let Some(current) = current {
            current.0.replace(Some(label.clone()));
        }
    });
}

impl fmt::Display for RouteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.borrow().as_deref().unwrap_or("none"))
    }
}
