//! What a loop knows of its tasks and turns only while somebody may ask: beside the task table,
//! so that a task costs nothing for it while nobody may.

use crate::clock::{self, Clock};
use crate::context::Context;
use crate::core::Core;
use crate::event_loop::drop_quietly;
use crate::introspect::current_step::CurrentStep;
use crate::introspect::{SteppedTask, TurnTrace, WaitsOn};
use crate::stats::TurnStats;
use crate::task::TaskId;
use slotmap::secondary::Entry;
use slotmap::{DefaultKey, SecondaryMap};
use std::cell::{Cell, OnceCell, RefCell};
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant};

/// Notes that are kept of one wait. A task rarely waits on more than two things at once: what it
/// wants, and its timeout.
const NOTES_MAX: usize = 4;

/// Off until [`observe`](super::observe) is called, and then on as long as the loop lives.
#[derive(Default)]
pub(crate) struct Observer {
    observed: OnceCell<Box<Observed>>,
}

pub(crate) struct Observed {
    /// When it was turned on.
    pub(crate) since: Instant,
    pub(crate) current_step: Arc<CurrentStep>,
    /// By slot, with the generation checked.
    extras: RefCell<SecondaryMap<DefaultKey, Extra>>,
    /// The last time the clock was read: the end of the last step, or of the wait for I/O.
    read_at: Cell<Instant>,
    waited: Cell<Duration>,
    turn_began: Cell<Instant>,
    tracers: RefCell<Vec<Tracer>>,
    /// The turn that is being traced.
    stepped: RefCell<Option<Vec<SteppedTask>>>,
}

/// What is known of one task.
#[derive(Default, Clone)]
pub(crate) struct Extra {
    pub(crate) busy: Duration,
    pub(crate) longest_step: Duration,
    /// The end of its last step, by the loop's clock.
    pub(crate) since: Option<Instant>,
    pub(crate) notes: Vec<WaitsOn>,
    /// That in which it waits: a handler's own, inside of that of the connection's task.
    pub(crate) context: Option<Context>,
    /// Whether that is known, or but supposed from where a note was left.
    context_is_inner: bool,
}

/// Somebody who wants to see turns.
struct Tracer {
    turns_left: u32,
    to: Sender<TurnTrace>,
}

impl Observer {
    #[inline]
    pub(crate) fn get(&self) -> Option<&Observed> {
        self.observed.get().map(|observed| &**observed)
    }

    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        self.observed.get().is_some()
    }
}

impl Core {
    pub(crate) fn observe(&self) -> &Observed {
        self.observer.observed.get_or_init(|| {
            let now = clock::read();
            Box::new(Observed {
                since: now,
                current_step: Arc::new(CurrentStep::new()),
                extras: RefCell::default(),
                read_at: Cell::new(now),
                waited: Cell::default(),
                turn_began: Cell::new(now),
                tracers: RefCell::default(),
                stepped: RefCell::default(),
            })
        })
    }

    /// Notes down what the running task waits on. Called where a future has to wait, at each poll
    /// in which it has to.
    #[inline]
    pub(crate) fn note(&self, waits_on: WaitsOn) {
        if self.observer.is_on() {
            self.note_observed(waits_on);
        }
    }

    #[cold]
    fn note_observed(&self, waits_on: WaitsOn) {
        if let (Some(observed), Some(id)) = (self.observer.get(), self.running()) {
            observed.note(id, waits_on);
        }
    }

    /// Notes down that the running task waits inside of the current context, which need not be
    /// its own.
    #[cold]
    pub(crate) fn observe_inner_context(&self) {
        if let (Some(observed), Some(id)) = (self.observer.get(), self.running()) {
            observed.note_context(id);
        }
    }

    #[cold]
    pub(crate) fn observe_step_begins(&self, id: TaskId) {
        let Some(observed) = self.observer.get() else {
            return;
        };
        let behind = self.ready.borrow().len();
        if let Some(task) = self.tasks.borrow().view(id) {
            observed.step_begins(id, (task.name, task.place), behind);
        }
        observed.forget_wait(id);
    }

    #[cold]
    pub(crate) fn observe_step_ended(&self, id: TaskId) {
        if let Some(observed) = self.observer.get() {
            observed.step_ended(id, &self.clock);
        }
    }

    /// The system was asked for I/O, or need not be.
    #[cold]
    pub(crate) fn observe_turn_begins(&self) {
        if let Some(observed) = self.observer.get() {
            observed.turn_begins();
        }
    }

    #[cold]
    pub(crate) fn observe_turn_ended(&self, turn: TurnStats) {
        if let Some(observed) = self.observer.get() {
            observed.turn_ended(self.stats().turns, turn);
        }
    }

    /// A task has ended; it is `gone` when nobody will join it.
    #[cold]
    pub(crate) fn observe_end(&self, id: TaskId, gone: bool) {
        let Some(observed) = self.observer.get() else {
            return;
        };
        observed.forget_wait(id);
        if gone {
            observed.extras.borrow_mut().remove(id.0);
        }
    }
}

impl Observed {
    /// What is known of a task; nothing when it has not been stepped since.
    pub(crate) fn extra(&self, id: TaskId) -> Option<Extra> {
        self.extras.borrow().get(id.0).cloned()
    }

    /// Sends so many turns to somebody, from the next one on.
    pub(crate) fn trace(&self, turns: u32, to: Sender<TurnTrace>) {
        self.tracers.borrow_mut().push(Tracer {
            turns_left: turns,
            to,
        });
    }

    fn note(&self, id: TaskId, waits_on: WaitsOn) {
        let mut extras = self.extras.borrow_mut();
        if let Some(extra) = extra_of(&mut extras, id)
            && extra.notes.len() < NOTES_MAX
            && !extra.notes.contains(&waits_on)
        {
            extra.notes.push(waits_on);
            extra.context.get_or_insert_with(Context::current);
        }
    }

    /// The first of a step is kept, since what lies deepest comes first; it is a better one than
    /// that of a note.
    fn note_context(&self, id: TaskId) {
        let mut unneeded = None;
        let mut extras = self.extras.borrow_mut();
        if let Some(extra) = extra_of(&mut extras, id)
            && !std::mem::replace(&mut extra.context_is_inner, true)
        {
            unneeded = extra.context.replace(Context::current());
        }
        drop(extras);
        drop(unneeded);
    }

    /// What it waited on is over. Its context may be the last copy of something of the user's.
    fn forget_wait(&self, id: TaskId) {
        let context = self.extras.borrow_mut().get_mut(id.0).map(|extra| {
            extra.notes.clear();
            extra.context_is_inner = false;
            extra.context.take()
        });
        drop_quietly(context);
    }

    fn step_begins(
        &self,
        id: TaskId,
        label: (Option<&str>, &'static std::panic::Location<'static>),
        behind: usize,
    ) {
        self.current_step
            .begin(id, label, self.read_at.get(), behind);
        extra_of(&mut self.extras.borrow_mut(), id);
        if let Some(stepped) = &mut *self.stepped.borrow_mut()
            && stepped.len() < TurnTrace::STEPPED_MAX
        {
            stepped.push(SteppedTask {
                id,
                name: label.0.map(str::to_owned),
                place: label.1,
                took: Duration::ZERO,
            });
        }
    }

    fn step_ended(&self, id: TaskId, clock: &Clock) {
        let began = self.read_at.get();
        let ended = clock::read();
        self.read_at.set(ended);
        self.current_step.end(ended);
        let took = ended.saturating_duration_since(began);
        if let Some(extra) = self.extras.borrow_mut().get_mut(id.0) {
            extra.busy += took;
            extra.longest_step = extra.longest_step.max(took);
            extra.since = Some(clock.shown_at(ended));
        }
        if let Some(stepped) = &mut *self.stepped.borrow_mut()
            && let Some(last) = stepped.last_mut()
            && last.id == id
        {
            last.took = took;
        }
    }

    fn turn_begins(&self) {
        let now = clock::read();
        let ended = self.read_at.replace(now);
        self.waited.set(now.saturating_duration_since(ended));
        self.turn_began.set(now);
        if !self.tracers.borrow().is_empty() {
            *self.stepped.borrow_mut() = Some(Vec::new());
        }
    }

    fn turn_ended(&self, number: u64, stats: TurnStats) {
        let Some(stepped) = self.stepped.take() else {
            return;
        };
        let turn = TurnTrace {
            number,
            stats,
            waited: self.waited.get(),
            took: self.read_at.get() - self.turn_began.get(),
            stepped,
        };
        self.tracers.borrow_mut().retain_mut(|tracer| {
            tracer.turns_left -= 1;
            tracer.to.send(turn.clone()).is_ok() && tracer.turns_left > 0
        });
    }
}

/// Makes one when there is none: in the turn in which observing begins, a task leaves notes
/// before its first observed step.
fn extra_of(extras: &mut SecondaryMap<DefaultKey, Extra>, id: TaskId) -> Option<&mut Extra> {
    extras.entry(id.0).map(Entry::or_default)
}
