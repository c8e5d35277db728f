//! Context variables: values that follow the work instead of the thread.
//!
//! A context is a list of values that is never changed, only extended in front, so that
//! a copy is one reference. A task gets a copy when it is spawned; what it sets afterwards
//! is its own. The semantics are those of Python's `contextvars` (PEP 567).

use crate::introspect::note_context;
use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context as TaskContext, Poll};

use pin_project_lite::pin_project;

thread_local! {
    static CURRENT: Cell<Context> = const { Cell::new(Context { head: None }) };
}

/// Looks at the context in its place. `look` runs no code of the user's, which would find the
/// place empty.
#[inline]
fn peek<R>(place: &Cell<Context>, look: impl FnOnce(&Context) -> R) -> R {
    let context = place.take();
    let seen = look(&context);
    place.set(context);
    seen
}

/// The values of all context variables at one point of the program.
///
/// Cloning copies one reference. Every task has one; [`Context::current`] is that of the
/// running task, or of the thread outside of tasks.
#[derive(Clone, Default)]
pub struct Context {
    head: Option<Rc<Node>>,
}

struct Node {
    key: Key,
    name: &'static str,
    /// `None` hides a value further back: the variable was reset to "not set".
    value: Option<Rc<dyn Any>>,
    about: &'static About,
    /// Whether a task that is spawned gets the value.
    inherit: bool,
    /// Whether this value or one further back is not inherited.
    any_private: bool,
    rest: Option<Rc<Node>>,
}

/// What can be done with the values of a variable.
#[doc(hidden)]
#[derive(Debug)]
pub struct About {
    /// Clones a value for another thread, when its type can go there.
    pub capture: fn(&dyn Any) -> Option<Box<dyn Any + Send>>,
    /// For a variable that is shown in diagnostics: as what, and how.
    pub shown: Option<(&'static str, ShowFn)>,
}

/// Writes a value, for people.
#[doc(hidden)]
pub type ShowFn = fn(&dyn Any, &mut fmt::Formatter<'_>) -> fmt::Result;

/// How many loops are stuck in a step whose context is wanted. While it is not 0, who leaves a
/// context says so to [`on_leave`]: a step may go through many, and only their own thread can read
/// them.
pub(crate) static NOTING: AtomicU32 = AtomicU32::new(0);

static ON_LEAVE: OnceLock<fn(&Context)> = OnceLock::new();

/// Sets who is told of the contexts that are left. The first who asks stays.
pub(crate) fn on_leave(told: fn(&Context)) {
    ON_LEAVE.get_or_init(|| told);
}

/// A variable is its address.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key(usize);

impl Context {
    /// The running task's context.
    #[must_use]
    pub fn current() -> Context {
        CURRENT.with(|current| peek(current, Context::clone))
    }

    /// Runs `f` in this context. What it sets is undone afterwards.
    #[inline]
    pub fn run<R>(&self, f: impl FnOnce() -> R) -> R {
        let _entered = Entered::enter(self.clone());
        f()
    }

    /// Runs a future in this context, whatever task polls it. Changes that the future
    /// makes are its own and last from one poll to the next.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub fn scope<F: Future>(&self, future: F) -> InContext<F> {
        InContext {
            future,
            context: self.clone(),
        }
    }

    /// Sets a variable in this context, which need not be the current one.
    pub fn set<T: 'static>(&mut self, variable: &'static ContextVar<T>, value: T) {
        *self = self.with(variable.node(Some(Rc::new(value))));
    }

    /// Sets a variable in place, when nobody else has a copy of it or of what was set after it: for
    /// whoever makes a context for each of many pieces of work.
    ///
    /// # Errors
    /// Gives the value back, for [`set`](Context::set).
    #[inline]
    pub fn set_in_place<T: 'static>(
        &mut self,
        variable: &'static ContextVar<T>,
        value: T,
    ) -> Result<(), T> {
        match self.unshared_value(variable) {
            Some(place) => {
                *place = value;
                Ok(())
            }
            None => Err(value),
        }
    }

    /// Takes a variable out of this context.
    pub(crate) fn unset<T: 'static>(&mut self, variable: &'static ContextVar<T>) {
        self.head = Self::without(self.head.as_ref(), variable.key());
    }

    /// A variable's value, if nobody else can see it or one in front of it.
    #[inline]
    fn unshared_value<T: 'static>(&mut self, variable: &'static ContextVar<T>) -> Option<&mut T> {
        let mut next = &mut self.head;
        loop {
            let node = Rc::get_mut(next.as_mut()?)?;
            // Lists share values, too.
            let value = Rc::get_mut(node.value.as_mut()?)?;
            if node.key == variable.key() {
                return value.downcast_mut();
            }
            next = &mut node.rest;
        }
    }

    /// What a task spawned here starts with: the current context without the variables that
    /// are not inherited.
    #[inline]
    pub(crate) fn inherited() -> Context {
        let context = Context::current();
        match &context.head {
            Some(node) if node.any_private => context.without_private(),
            Some(_) | None => context,
        }
    }

    #[cold]
    fn without_private(&self) -> Context {
        let nodes = std::iter::successors(self.head.as_deref(), |node| node.rest.as_deref());
        let inherited: Vec<&Node> = nodes.filter(|node| node.inherit).collect();
        let head = inherited.into_iter().rev().fold(None, |rest, node| {
            Some(Rc::new(Node {
                value: node.value.clone(),
                any_private: false,
                rest,
                ..*node
            }))
        });
        Context { head }
    }

    /// Whether no variable is set.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Leaves an empty context behind.
    #[inline]
    pub(crate) fn take(&mut self) -> Context {
        Context {
            head: self.head.take(),
        }
    }

    /// Makes this the current context and returns the one before.
    #[inline]
    pub(crate) fn swap_in(self) -> Context {
        CURRENT.with(|current| current.replace(self))
    }

    /// The values whose types are `Send` (and `Clone`), copied for another thread.
    pub(crate) fn capture(&self) -> Captured {
        let mut values: Vec<CapturedValue> = Vec::new();
        let mut seen: Vec<Key> = Vec::new();
        let mut next = &self.head;
        while let Some(node) = next {
            if !seen.contains(&node.key) {
                seen.push(node.key);
                let copy = node
                    .value
                    .as_ref()
                    .and_then(|value| (node.about.capture)(&**value));
                values.extend(copy.map(|value| CapturedValue {
                    key: node.key,
                    name: node.name,
                    value,
                    about: node.about,
                }));
            }
            next = &node.rest;
        }
        Captured { values }
    }

    /// The values of the variables that are shown in diagnostics, each with its name, the last
    /// one set first.
    pub(crate) fn described(&self) -> Vec<(&'static str, String)> {
        let nodes = std::iter::successors(self.head.as_deref(), |node| node.rest.as_deref());
        nodes
            .filter_map(|node| {
                let (label, show) = node.about.shown?;
                let value = &**node.value.as_ref()?;
                Some((label, Shown { value, show }.to_string()))
            })
            .collect()
    }

    #[cold]
    fn tell_left(&self) {
        if let Some(told) = ON_LEAVE.get() {
            told(self);
        }
    }

    /// The values of the variables that are shown in diagnostics, as `name=value`.
    pub(crate) fn shown(&self) -> String {
        let mut text = String::new();
        let nodes = std::iter::successors(self.head.as_deref(), |node| node.rest.as_deref());
        for node in nodes {
            let Some((label, show)) = node.about.shown else {
                continue;
            };
            if let Some(value) = &node.value {
                let separator = if text.is_empty() { "" } else { " " };
                text += &format!(
                    "{separator}{label}={}",
                    Shown {
                        value: &**value,
                        show
                    }
                );
            }
        }
        text
    }

    fn get(&self, key: Key) -> Option<&Rc<dyn Any>> {
        let mut next = &self.head;
        while let Some(node) = next {
            if node.key == key {
                return node.value.as_ref();
            }
            next = &node.rest;
        }
        None
    }

    /// The context with one value changed. The list has each variable at most once, so it
    /// cannot grow beyond the number of variables.
    fn with(&self, changed: Node) -> Context {
        let rest = Self::without(self.head.as_ref(), changed.key);
        Context {
            head: Some(Rc::new(changed.in_front_of(rest))),
        }
    }

    /// The list without a variable: shares what lies behind it.
    fn without(list: Option<&Rc<Node>>, key: Key) -> Option<Rc<Node>> {
        let node = list?;
        if node.key == key {
            return node.rest.clone();
        }
        let mut in_front = vec![node];
        let mut next = node.rest.as_ref();
        loop {
            let Some(node) = next else {
                // Not in the list: all of it can be shared.
                return list.cloned();
            };
            next = node.rest.as_ref();
            if node.key == key {
                break;
            }
            in_front.push(node);
        }
        in_front
            .into_iter()
            .rev()
            .fold(next.cloned(), |rest, node| {
                let copy = Node {
                    value: node.value.clone(),
                    rest: None,
                    ..**node
                };
                Some(Rc::new(copy.in_front_of(rest)))
            })
    }
}

impl Node {
    fn in_front_of(self, rest: Option<Rc<Node>>) -> Node {
        let rest_is_private = rest.as_ref().is_some_and(|rest| rest.any_private);
        Node {
            any_private: !self.inherit || rest_is_private,
            rest,
            ..self
        }
    }
}

/// A value as its variable shows it.
struct Shown<'a> {
    value: &'a dyn Any,
    show: ShowFn,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (self.show)(self.value, f)
    }
}

/// Prints the names of the variables that are set.
impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut list = f.debug_list();
        let mut next = &self.head;
        while let Some(node) = next {
            if node.value.is_some() {
                list.entry(&node.name);
            }
            next = &node.rest;
        }
        list.finish()
    }
}

/// Puts the context before back when it is dropped, also when a panic unwinds.
struct Entered {
    before: Context,
}

impl Entered {
    #[inline]
    fn enter(context: Context) -> Self {
        Entered {
            before: context.swap_in(),
        }
    }

    /// Leaves, and returns what the context has become.
    fn leave(self) -> Context {
        let changed = Context::current();
        drop(self);
        changed
    }
}

impl Drop for Entered {
    #[inline]
    fn drop(&mut self) {
        let left = self.before.take().swap_in();
        if NOTING.load(Ordering::Relaxed) > 0 {
            left.tell_left();
        }
    }
}

pin_project! {
    /// A future that runs in a context of its own, made by [`Context::scope`] and
    /// [`ContextVar::scope`].
    #[must_use = "futures do nothing unless awaited"]
    pub struct InContext<F> {
        #[pin]
        future: F,
        context: Context,
    }
}

impl<F: Future> Future for InContext<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<F::Output> {
        let this = self.project();
        let entered = Entered::enter(this.context.take());
        let polled = this.future.poll(cx);
        if polled.is_pending() {
            note_context();
        }
        *this.context = entered.leave();
        polled
    }
}

/// The values that travel to another thread.
pub(crate) struct Captured {
    values: Vec<CapturedValue>,
}

struct CapturedValue {
    key: Key,
    name: &'static str,
    value: Box<dyn Any + Send>,
    about: &'static About,
}

impl Captured {
    /// Runs `f` with these values as the thread's context.
    pub(crate) fn run<R>(self, f: impl FnOnce() -> R) -> R {
        let head = self.values.into_iter().rev().fold(None, |rest, captured| {
            Some(Rc::new(Node {
                key: captured.key,
                name: captured.name,
                value: Some(Rc::from(captured.value as Box<dyn Any>)),
                about: captured.about,
                inherit: true,
                any_private: false,
                rest,
            }))
        });
        Context { head }.run(f)
    }
}

/// A variable whose value follows the work: the task, the tasks it spawns, its timers
/// and callbacks, and its jobs in the blocking pool (for types that are `Send`).
///
/// Declared with [`context_var!`](crate::context_var).
///
/// ```
/// use monoloop_runtime::{context_var, spawn, Runtime};
///
/// context_var! { static USER: String = String::from("nobody"); }
///
/// let mut runtime = Runtime::new().unwrap();
/// runtime.block_on(async {
///     USER.set("ann".to_string());
///     let child = spawn(async {
///         assert_eq!(USER.get().as_deref(), Some("ann")); // copied at spawn
///         USER.set("bob".to_string());                    // the child's own
///     });
///     child.await.unwrap();
///     assert_eq!(USER.get().as_deref(), Some("ann"));
/// });
/// ```
pub struct ContextVar<T: 'static> {
    name: &'static str,
    default: Option<fn() -> T>,
    inherit: bool,
    about: About,
    // A variable holds no value itself; it may be a `static` whatever `T` is.
    value: PhantomData<fn() -> T>,
}

impl<T: 'static> ContextVar<T> {
    /// What [`context_var!`](crate::context_var) expands to.
    #[doc(hidden)]
    pub const fn declare(
        name: &'static str,
        default: Option<fn() -> T>,
        inherit: bool,
        about: About,
    ) -> Self {
        ContextVar {
            name,
            default,
            inherit,
            about,
            value: PhantomData,
        }
    }

    /// The name it was declared with.
    pub fn name(&'static self) -> &'static str {
        self.name
    }

    /// The value in the current context, else the declared default.
    pub fn get(&'static self) -> Option<T>
    where
        T: Clone,
    {
        self.with(|value| match value {
            Some(value) => Some(value.clone()),
            None => self.default.map(|default| default()),
        })
    }

    /// Looks at the value in the current context without cloning it; `None` when it is not
    /// set (a declared default is not a set value). `f` may set variables itself.
    pub fn with<R>(&'static self, f: impl FnOnce(Option<&T>) -> R) -> R {
        // While the thread ends its locals may be gone: then nothing is set.
        let look = |current: &Context| current.get(self.key()).cloned();
        let value = CURRENT.try_with(|current| peek(current, look));
        let value = value.ok().flatten();
        f(value.as_deref().and_then(<dyn Any>::downcast_ref))
    }

    /// Sets the value in the current context: for the running task from here on, and for
    /// what it spawns. Returns what [`reset`](ContextVar::reset) needs to undo it.
    pub fn set(&'static self, value: T) -> Token<T> {
        Token {
            before: self.replace(Some(Rc::new(value))),
            variable: self,
        }
    }

    /// Puts back what was there before the [`set`](ContextVar::set) that made the token.
    ///
    /// # Panics
    /// When the token is of another variable: a mistake in the program.
    pub fn reset(&'static self, token: Token<T>) {
        assert!(
            std::ptr::eq(self, token.variable),
            "a token of the context variable {} was given to {}",
            token.variable.name,
            self.name
        );
        self.replace(token.before);
    }

    /// Runs a future with the value set, whatever task polls it.
    ///
    /// # Cancel safety
    /// That of `future`.
    pub fn scope<F: Future>(&'static self, value: T, future: F) -> InContext<F> {
        InContext {
            context: Context::current().with(self.node(Some(Rc::new(value)))),
            future,
        }
    }

    /// Runs a closure with the value set.
    pub fn sync_scope<R>(&'static self, value: T, f: impl FnOnce() -> R) -> R {
        Context::current()
            .with(self.node(Some(Rc::new(value))))
            .run(f)
    }

    /// Returns the value so far. No borrow is held when a value is dropped.
    fn replace(&'static self, value: Option<Rc<dyn Any>>) -> Option<Rc<dyn Any>> {
        let before = Context::current();
        let previous = before.get(self.key()).cloned();
        drop(before.with(self.node(value)).swap_in());
        previous
    }

    fn node(&'static self, value: Option<Rc<dyn Any>>) -> Node {
        Node {
            key: self.key(),
            name: self.name,
            value,
            about: &self.about,
            inherit: self.inherit,
            any_private: !self.inherit,
            rest: None,
        }
    }

    fn key(&'static self) -> Key {
        Key(std::ptr::from_ref(self) as usize)
    }
}

impl<T> fmt::Debug for ContextVar<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ContextVar")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Undoes one [`ContextVar::set`].
#[derive(Debug)]
pub struct Token<T: 'static> {
    before: Option<Rc<dyn Any>>,
    variable: &'static ContextVar<T>,
}

/// Declares context variables.
///
/// ```
/// use monoloop_runtime::context_var;
///
/// context_var! {
///     /// Who asked.
///     pub static USER: String = String::from("nobody");
///     /// Not set until somebody sets it.
///     pub static TRACE: u64;
/// }
/// assert_eq!(USER.get().as_deref(), Some("nobody"));
/// assert_eq!(TRACE.get(), None);
/// ```
///
/// A variable that is declared with `inherit = false` belongs to the one task that sets it:
/// tasks spawned by it, its callbacks and its jobs in the blocking pool start without.
///
/// ```
/// use monoloop_runtime::{context_var, spawn, Runtime};
///
/// context_var! {
///     static HOLDS_THE_LOCK: bool = false, inherit = false;
/// }
///
/// Runtime::new()?.block_on(async {
///     HOLDS_THE_LOCK.set(true);
///     let child = spawn(async { HOLDS_THE_LOCK.get() });
///     assert_eq!(child.await.unwrap(), Some(false));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// One that is declared with `shown_as = "name"` is told, as `name=value`, wherever the runtime has
/// to say what a task was working for, as when it [stopped the loop](crate::debug). Its type is
/// `Display`, and its value should be safe to log.
///
/// ```
/// monoloop_runtime::context_var! {
///     pub static ORDER: u64, shown_as = "order";
/// }
/// ```
#[macro_export]
macro_rules! context_var {
    ($($(#[$attribute:meta])* $visibility:vis static $name:ident : $type:ty $(= $default:expr)? $(, inherit = $inherit:literal)? $(, shown_as = $shown:literal)? ;)+) => {
        $(
            $(#[$attribute])*
            $visibility static $name: $crate::ContextVar<$type> = $crate::ContextVar::declare(
                ::core::stringify!($name),
                $crate::context_var!(@default $($default)?),
                $crate::context_var!(@inherit $($inherit)?),
                $crate::__private::About {
                    capture: |value| {
                        #[allow(unused_imports, reason = "which of the two is used depends on the type")]
                        use $crate::__private::{CaptureSend, KeepLocal};
                        // Method lookup takes the implementation for `Send + Clone` types when
                        // there is one, else that for a reference more.
                        (&$crate::__private::Probe::<$type>::NEW).capture(value)
                    },
                    shown: $crate::context_var!(@shown $type $(, $shown)?),
                },
            );
        )+
    };
    (@default) => { ::core::option::Option::None };
    (@default $default:expr) => { ::core::option::Option::Some(|| $default) };
    (@inherit) => { true };
    (@inherit $inherit:literal) => { $inherit };
    (@shown $type:ty) => { ::core::option::Option::None };
    (@shown $type:ty, $shown:literal) => {
        ::core::option::Option::Some(($shown, $crate::__private::show::<$type>))
    };
}

/// What `context_var!` uses to find out whether a type can go to another thread.
#[doc(hidden)]
pub mod probe {
    use std::any::Any;
    use std::fmt;
    use std::marker::PhantomData;

    pub use super::{About, ShowFn};

    /// Writes a value of the type `T`.
    pub fn show<T: fmt::Display + 'static>(
        value: &dyn Any,
        f: &mut fmt::Formatter<'_>,
    ) -> fmt::Result {
        match value.downcast_ref::<T>() {
            Some(value) => value.fmt(f),
            None => unreachable!("a variable holds values of its type"),
        }
    }

    /// Stands for the type `T`.
    #[derive(Debug)]
    pub struct Probe<T>(PhantomData<T>);

    impl<T> Probe<T> {
        /// The only one.
        pub const NEW: Probe<T> = Probe(PhantomData);
    }

    /// For types that can be copied to another thread.
    pub trait CaptureSend {
        /// The copy.
        fn capture(&self, value: &dyn Any) -> Option<Box<dyn Any + Send>>;
    }

    impl<T: Clone + Send + 'static> CaptureSend for Probe<T> {
        fn capture(&self, value: &dyn Any) -> Option<Box<dyn Any + Send>> {
            let value: T = value.downcast_ref::<T>()?.clone();
            Some(Box::new(value))
        }
    }

    /// For all others: the value stays on its thread.
    pub trait KeepLocal {
        /// Nothing.
        fn capture(&self, _value: &dyn Any) -> Option<Box<dyn Any + Send>> {
            None
        }
    }

    impl<T> KeepLocal for &Probe<T> {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    context_var! {
        static NAME: String = String::from("nobody");
        static COUNT: u32;
        static LOCAL: Rc<Cell<u32>>;
    }

    fn length(context: &Context) -> usize {
        std::iter::successors(context.head.as_ref(), |node| node.rest.as_ref()).count()
    }

    #[test]
    fn a_variable_has_its_default_until_it_is_set() {
        Context::default().run(|| {
            assert_eq!(NAME.get().as_deref(), Some("nobody"));
            NAME.with(|value| assert_eq!(value, None));
            assert_eq!(COUNT.get(), None);
            COUNT.set(1);
            assert_eq!(COUNT.get(), Some(1));
        });
    }

    #[test]
    fn reset_puts_back_what_was_there_before_that_set() {
        Context::default().run(|| {
            let first = COUNT.set(1);
            let second = COUNT.set(2);
            NAME.set("ann".into());
            COUNT.reset(second);
            assert_eq!(COUNT.get(), Some(1));
            assert_eq!(NAME.get().as_deref(), Some("ann"));
            COUNT.reset(first);
            assert_eq!(COUNT.get(), None);
        });
    }

    #[test]
    #[should_panic(expected = "a token of the context variable")]
    fn a_token_of_another_variable_is_refused() {
        context_var! { static OTHER: u32; }
        COUNT.reset(OTHER.set(1));
    }

    #[test]
    fn what_is_set_inside_run_is_undone_afterwards_even_by_a_panic() {
        Context::default().run(|| {
            COUNT.set(1);
            let inner = Context::current();
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                inner.run(|| {
                    COUNT.set(2);
                    panic!("on purpose");
                })
            }));
            assert!(caught.is_err());
            assert_eq!(COUNT.get(), Some(1));
            COUNT.sync_scope(9, || assert_eq!(COUNT.get(), Some(9)));
            assert_eq!(COUNT.get(), Some(1));
        });
    }

    #[test]
    fn setting_again_and_again_does_not_grow_the_context() {
        Context::default().run(|| {
            for round in 0..100 {
                COUNT.set(round);
                NAME.set(round.to_string());
                LOCAL.set(Rc::new(Cell::new(round)));
            }
            assert_eq!(length(&Context::current()), 3);
            assert_eq!(COUNT.get(), Some(99));
            assert_eq!(NAME.get().as_deref(), Some("99"));
        });
    }

    #[test]
    fn setting_in_a_context_of_ones_own_reuses_memory_but_never_changes_a_copy() {
        let mut context = Context::default();
        assert_eq!(context.set_in_place(&COUNT, 1), Err(1));
        context.set(&COUNT, 1);
        let place = Rc::as_ptr(context.head.as_ref().unwrap());
        assert_eq!(context.set_in_place(&COUNT, 2), Ok(()));
        assert_eq!(Rc::as_ptr(context.head.as_ref().unwrap()), place);
        let copy = context.clone();
        assert_eq!(context.set_in_place(&COUNT, 3), Err(3));
        context.set(&COUNT, 3);
        assert_eq!(copy.run(|| COUNT.get()), Some(2));
        assert_eq!(context.run(|| COUNT.get()), Some(3));
        assert_eq!(length(&context), 1);
    }

    #[test]
    fn a_variable_that_is_not_inherited_is_left_behind_and_the_others_keep_their_order() {
        context_var! {
            static PRIVATE: u32, inherit = false;
            static SHARED: u32 = 3, inherit = true;
        }
        Context::default().run(|| {
            NAME.set("ann".into());
            let unchanged = Context::inherited();
            assert!(Rc::ptr_eq(
                unchanged.head.as_ref().unwrap(),
                Context::current().head.as_ref().unwrap()
            ));
            PRIVATE.set(1);
            // Also when it lies behind others, and after one of those was set again.
            SHARED.set(2);
            NAME.set("bob".into());
            let inherited = Context::inherited();
            assert_eq!(length(&inherited), 2);
            inherited.run(|| {
                assert_eq!(NAME.get().as_deref(), Some("bob"));
                assert_eq!((SHARED.get(), PRIVATE.get()), (Some(2), None));
                let again = Context::inherited();
                assert!(
                    !again.head.unwrap().any_private,
                    "nothing is left to leave out"
                );
            });
            assert_eq!(PRIVATE.get(), Some(1));
        });
    }

    #[test]
    fn only_values_that_can_be_sent_are_captured_for_another_thread() {
        Context::default().run(|| {
            NAME.set("ann".into());
            LOCAL.set(Rc::new(Cell::new(5)));
            let captured = Context::current().capture();
            let seen = std::thread::spawn(move || {
                captured.run(|| (NAME.get(), LOCAL.with(|value| value.is_some())))
            })
            .join()
            .unwrap();
            assert_eq!(seen, (Some("ann".to_string()), false));
        });
    }
}
