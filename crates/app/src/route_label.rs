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
pub(crate) struct RouteLabel {
    label: Cell<Option<Rc<str>>>,
    number: Cell<u32>,
}

/// The number of what no route is for.
pub(crate) const UNMATCHED: u32 = 0;

/// The number of the server's own answers to those who ask how it is.
pub(crate) const PROBE: u32 = 1;

/// The number of the first route.
pub(crate) const FIRST_ROUTE: u32 = 2;

impl RouteLabel {
    /// The request that runs is for this route.
    #[inline]
    pub(crate) fn set(&self, label: &Rc<str>, number: u32) {
        self.label.set(Some(label.clone()));
        self.number.set(number);
    }

    /// The request that runs is for none; the number is [`UNMATCHED`] or [`PROBE`].
    pub(crate) fn clear(&self, number: u32) {
        self.label.set(None);
        self.number.set(number);
    }

    /// The number of the route, by which it is counted.
    #[inline]
    pub(crate) fn number(&self) -> u32 {
        self.number.get()
    }

    pub(crate) fn label(&self) -> Option<Rc<str>> {
        let label = self.label.take();
        self.label.set(label.clone());
        label
    }
}

impl fmt::Display for RouteLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label().as_deref().unwrap_or("none"))
    }
}
