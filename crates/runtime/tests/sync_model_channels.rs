//! Notify, watch, broadcast and barrier against slow models: each act is done to both, and after each all
//! that can be seen is compared. A failure prints its seed and the shortest list of acts.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "common/waiting.rs"]
mod waiting;

use monoloop_runtime::sync::broadcast::{self, RecvError, TryRecvError};
use monoloop_runtime::sync::{Barrier, BrokenBarrier, Closed, Notify, watch};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::Poll;
use waiting::Waiting;

#[derive(Debug, Clone)]
enum NotifyAct {
    Wait,
    One,
    All,
    Poll(usize),
    Cancel(usize),
}

fn notify_act() -> impl Strategy<Value = NotifyAct> {
    prop_oneof![
        10 => Just(NotifyAct::Wait),
        8 => Just(NotifyAct::One),
        2 => Just(NotifyAct::All),
        6 => any::<usize>().prop_map(NotifyAct::Poll),
        6 => any::<usize>().prop_map(NotifyAct::Cancel),
    ]
}

/// Who waits, who may go on and whether it alone was meant, and whether one is stored.
#[derive(Default)]
struct NotifyModel {
    line: VecDeque<u32>,
    chosen: Vec<(u32, bool)>,
    is_stored: bool,
}

impl NotifyModel {
    fn one(&mut self) {
        match self.line.pop_front() {
            Some(number) => self.chosen.push((number, true)),
            None => self.is_stored = true,
        }
    }

    fn take_chosen(&mut self, number: u32) -> Option<bool> {
        let index = self.chosen.iter().position(|(of, _)| *of == number)?;
        Some(self.chosen.swap_remove(index).1)
    }
}

proptest! {
    #[test]
    fn no_notification_for_one_is_lost_and_none_is_seen_twice(
        acts in prop::collection::vec(notify_act(), 0..120),
    ) {
        let notify = Rc::new(Notify::new());
        let mut model = NotifyModel::default();
        let mut waiting: Vec<Waiting<()>> = Vec::new();
        for (number, act) in (0..).zip(acts) {
            match act {
                NotifyAct::Wait => {
                    let notify = notify.clone();
                    let notified = Box::pin(async move { notify.notified().await });
                    let was_stored = std::mem::take(&mut model.is_stored);
                    match Waiting::start(number, notified) {
                        Ok(()) => prop_assert!(was_stored),
                        Err(waits) => {
                            prop_assert!(!was_stored);
                            model.line.push_back(number);
                            waiting.push(waits);
                        }
                    }
                }
                NotifyAct::One => {
                    notify.notify_one();
                    model.one();
                }
                NotifyAct::All => {
                    notify.notify_all();
                    let all = model.line.drain(..).map(|number| (number, false));
                    model.chosen.extend(all);
                }
                NotifyAct::Poll(which) if !waiting.is_empty() => {
                    let which = which % waiting.len();
                    let is_chosen = model.take_chosen(waiting[which].number).is_some();
                    prop_assert_eq!(waiting[which].poll().is_ready(), is_chosen);
                    if is_chosen {
                        waiting.swap_remove(which);
                    }
                }
                NotifyAct::Cancel(which) if !waiting.is_empty() => {
                    let number = waiting.swap_remove(which % waiting.len()).number;
                    model.line.retain(|of| *of != number);
                    if model.take_chosen(number) == Some(true) {
                        model.one();
                    }
                }
                NotifyAct::Poll(_) | NotifyAct::Cancel(_) => {}
            }
            for waits in &waiting {
                let is_chosen = model.chosen.iter().any(|(of, _)| *of == waits.number);
                prop_assert_eq!(waits.wakes() > waits.seen, is_chosen, "woken when chosen");
            }
        }
    }
}

/// What is done to a channel of one sender and several receivers.
#[derive(Debug, Clone)]
enum Act {
    Send,
    Subscribe,
    /// Starts to wait.
    Wait(usize),
    /// Looks without waiting.
    Look(usize),
    Drop(usize),
    Poll(usize),
    Cancel(usize),
    Close,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        20 => Just(Act::Send),
        6 => Just(Act::Subscribe),
        20 => any::<usize>().prop_map(Act::Wait),
        20 => any::<usize>().prop_map(Act::Look),
        2 => any::<usize>().prop_map(Act::Drop),
        15 => any::<usize>().prop_map(Act::Poll),
        2 => any::<usize>().prop_map(Act::Cancel),
        1 => Just(Act::Close),
    ]
}

/// All that was ever sent is numbered, and so is what each receiver gets next.
struct BroadcastModel {
    capacity: u64,
    sent: u64,
    is_closed: bool,
}

impl BroadcastModel {
    fn look(&self, next: &mut u64) -> Result<u64, TryRecvError> {
        let first = self.sent.saturating_sub(self.capacity);
        if *next < first {
            let missed = first - *next;
            *next = first;
            return Err(TryRecvError::Lagged(missed));
        }
        if *next == self.sent {
            return Err(match self.is_closed {
                true => TryRecvError::Closed,
                false => TryRecvError::Empty,
            });
        }
        *next += 1;
        Ok(*next - 1)
    }

    fn receive(&self, next: &mut u64) -> Poll<Result<u64, RecvError>> {
        Poll::Ready(match self.look(next) {
            Ok(value) => Ok(value),
            Err(TryRecvError::Empty) => return Poll::Pending,
            Err(TryRecvError::Lagged(missed)) => Err(RecvError::Lagged(missed)),
            Err(TryRecvError::Closed) => Err(RecvError::Closed),
        })
    }
}

type Received = (broadcast::Receiver<u64>, Result<u64, RecvError>);

proptest! {
    #[test]
    fn everybody_receives_everything_since_it_subscribed_or_learns_how_much_it_missed(
        capacity in 1usize..5,
        acts in prop::collection::vec(act(), 0..150),
    ) {
        let (sender, receiver) = broadcast::channel(capacity);
        let mut sender = Some(sender);
        let mut model = BroadcastModel {
            capacity: capacity as u64,
            sent: 0,
            is_closed: false,
        };
        let mut idle = vec![(receiver, 0)];
        let mut waiting: Vec<(Waiting<Received>, u64)> = Vec::new();
        for (number, act) in (0..).zip(acts) {
            match act {
                Act::Send => if let Some(sender) = &sender {
                    let receivers = idle.len() + waiting.len();
                    let sent = sender.send(model.sent);
                    prop_assert_eq!(sent.is_ok(), receivers > 0);
                    model.sent += u64::from(receivers > 0);
                },
                Act::Subscribe => if let Some(sender) = &sender {
                    idle.push((sender.subscribe(), model.sent));
                },
                Act::Wait(which) if !idle.is_empty() => {
                    let (mut receiver, mut next) = idle.swap_remove(which % idle.len());
                    let recv = Box::pin(async move {
                        let received = receiver.recv().await;
                        (receiver, received)
                    });
                    match (Waiting::start(number, recv), model.receive(&mut next)) {
                        (Ok((receiver, received)), Poll::Ready(expected)) => {
                            prop_assert_eq!(received, expected);
                            idle.push((receiver, next));
                        }
                        (Err(waits), Poll::Pending) => waiting.push((waits, next)),
                        (_, expected) => panic!("not {expected:?}"),
                    }
                }
                Act::Look(which) if !idle.is_empty() => {
                    let which = which % idle.len();
                    let (receiver, next) = &mut idle[which];
                    prop_assert_eq!(receiver.len() as u64, model.sent - *next);
                    prop_assert_eq!(receiver.try_recv(), model.look(next));
                }
                Act::Drop(which) if !idle.is_empty() => {
                    idle.swap_remove(which % idle.len());
                }
                Act::Poll(which) if !waiting.is_empty() => {
                    let (mut waits, mut next) = waiting.swap_remove(which % waiting.len());
                    match (waits.poll(), model.receive(&mut next)) {
                        (Poll::Ready((receiver, received)), Poll::Ready(expected)) => {
                            prop_assert_eq!(received, expected);
                            idle.push((receiver, next));
                        }
                        (Poll::Pending, Poll::Pending) => waiting.push((waits, next)),
                        (_, expected) => panic!("not {expected:?}"),
                    }
                }
                Act::Cancel(which) if !waiting.is_empty() => {
                    waiting.swap_remove(which % waiting.len());
                }
                Act::Close => {
                    sender = None;
                    model.is_closed = true;
                }
                Act::Wait(_) | Act::Look(_) | Act::Drop(_) | Act::Poll(_) | Act::Cancel(_) => {}
            }
            if let Some(sender) = &sender {
                let nexts = idle.iter().map(|it| it.1).chain(waiting.iter().map(|it| it.1));
                let slowest = nexts.min().unwrap_or(model.sent);
                let kept = (model.sent - slowest).min(model.capacity);
                prop_assert_eq!(sender.len() as u64, kept, "kept for the slowest");
            }
            for (waits, next) in &waiting {
                let has_answer = model.receive(&mut next.clone()).is_ready();
                prop_assert_eq!(waits.wakes() > waits.seen, has_answer, "woken when there is one");
            }
        }
    }
}

struct WatchModel {
    version: u64,
    is_closed: bool,
}

impl WatchModel {
    fn changed(&self, seen: &mut u64) -> Poll<Result<(), Closed>> {
        if std::mem::replace(seen, self.version) != self.version {
            return Poll::Ready(Ok(()));
        }
        match self.is_closed {
            true => Poll::Ready(Err(Closed)),
            false => Poll::Pending,
        }
    }
}

type Changed = (watch::Receiver<u64>, Result<(), Closed>);

proptest! {
    #[test]
    fn everybody_sees_the_latest_value_once_and_the_end_behind_it(
        acts in prop::collection::vec(act(), 0..150),
    ) {
        let (sender, receiver) = watch::channel(0);
        let mut sender = Some(sender);
        let mut model = WatchModel { version: 0, is_closed: false };
        let mut idle = vec![(receiver, 0)];
        let mut waiting: Vec<(Waiting<Changed>, u64)> = Vec::new();
        for (number, act) in (0..).zip(acts) {
            match act {
                Act::Send => if let Some(sender) = &sender {
                    model.version += 1;
                    sender.send_replace(model.version);
                },
                Act::Subscribe => if let Some(sender) = &sender {
                    idle.push((sender.subscribe(), model.version));
                },
                Act::Wait(which) if !idle.is_empty() => {
                    let (mut receiver, mut seen) = idle.swap_remove(which % idle.len());
                    let changed = Box::pin(async move {
                        let changed = receiver.changed().await;
                        (receiver, changed)
                    });
                    match (Waiting::start(number, changed), model.changed(&mut seen)) {
                        (Ok((receiver, changed)), Poll::Ready(expected)) => {
                            prop_assert_eq!(changed, expected);
                            idle.push((receiver, seen));
                        }
                        (Err(waits), Poll::Pending) => waiting.push((waits, seen)),
                        (_, expected) => panic!("not {expected:?}"),
                    }
                }
                Act::Look(which) if !idle.is_empty() => {
                    let which = which % idle.len();
                    let (receiver, seen) = &mut idle[which];
                    prop_assert_eq!(receiver.has_changed(), *seen != model.version);
                    prop_assert_eq!(*receiver.get(), model.version);
                    prop_assert_eq!(receiver.is_closed(), model.is_closed);
                    if number % 2 == 0 {
                        prop_assert_eq!(*receiver.get_and_mark_seen(), model.version);
                        *seen = model.version;
                    }
                }
                Act::Drop(which) if !idle.is_empty() => {
                    idle.swap_remove(which % idle.len());
                }
                Act::Poll(which) if !waiting.is_empty() => {
                    let (mut waits, mut seen) = waiting.swap_remove(which % waiting.len());
                    match (waits.poll(), model.changed(&mut seen)) {
                        (Poll::Ready((receiver, changed)), Poll::Ready(expected)) => {
                            prop_assert_eq!(changed, expected);
                            idle.push((receiver, seen));
                        }
                        (Poll::Pending, Poll::Pending) => waiting.push((waits, seen)),
                        (_, expected) => panic!("not {expected:?}"),
                    }
                }
                Act::Cancel(which) if !waiting.is_empty() => {
                    waiting.swap_remove(which % waiting.len());
                }
                Act::Close => {
                    sender = None;
                    model.is_closed = true;
                }
                Act::Wait(_) | Act::Look(_) | Act::Drop(_) | Act::Poll(_) | Act::Cancel(_) => {}
            }
            if let Some(sender) = &sender {
                prop_assert_eq!(sender.receiver_count(), idle.len() + waiting.len());
            }
            for (waits, seen) in &waiting {
                let has_answer = model.changed(&mut seen.clone()).is_ready();
                prop_assert_eq!(waits.wakes() > waits.seen, has_answer, "woken when there is one");
            }
        }
    }
}

#[derive(Debug, Clone)]
enum BarrierAct {
    Wait,
    Poll(usize),
    Cancel(usize),
    Abort,
    Reset,
}

fn barrier_act() -> impl Strategy<Value = BarrierAct> {
    prop_oneof![
        20 => Just(BarrierAct::Wait),
        15 => any::<usize>().prop_map(BarrierAct::Poll),
        8 => any::<usize>().prop_map(BarrierAct::Cancel),
        1 => Just(BarrierAct::Abort),
        2 => Just(BarrierAct::Reset),
    ]
}

type Passed = Result<usize, BrokenBarrier>;

/// Who has come, and what became of those who waited.
#[derive(Default)]
struct BarrierModel {
    come: Vec<u32>,
    answered: Vec<(u32, Passed)>,
    is_broken: bool,
}

impl BarrierModel {
    fn come(&mut self, number: u32, parties: usize) -> Option<Passed> {
        if self.is_broken {
            return Some(Err(BrokenBarrier));
        }
        if self.come.len() + 1 < parties {
            self.come.push(number);
            return None;
        }
        let all = std::mem::take(&mut self.come).into_iter().zip(0..);
        self.answered
            .extend(all.map(|(of, before)| (of, Ok(before))));
        Some(Ok(parties - 1))
    }

    fn refuse_all(&mut self) {
        let all = self.come.drain(..).map(|of| (of, Err(BrokenBarrier)));
        self.answered.extend(all);
    }

    fn take_answer(&mut self, number: u32) -> Option<Passed> {
        let index = self.answered.iter().position(|(of, _)| *of == number)?;
        Some(self.answered.swap_remove(index).1)
    }
}

proptest! {
    #[test]
    fn a_barrier_lets_all_pass_with_the_last_or_refuses_them(
        parties in 1usize..5,
        acts in prop::collection::vec(barrier_act(), 0..120),
    ) {
        let barrier = Rc::new(Barrier::new(parties));
        let mut model = BarrierModel::default();
        let mut waiting: Vec<Waiting<Passed>> = Vec::new();
        for (number, act) in (0..).zip(acts) {
            match act {
                BarrierAct::Wait => {
                    let barrier = barrier.clone();
                    let wait = Box::pin(async move { barrier.wait().await });
                    match (Waiting::start(number, wait), model.come(number, parties)) {
                        (Ok(passed), Some(expected)) => prop_assert_eq!(passed, expected),
                        (Err(waits), None) => waiting.push(waits),
                        (_, expected) => panic!("not {expected:?}"),
                    }
                }
                BarrierAct::Poll(which) if !waiting.is_empty() => {
                    let which = which % waiting.len();
                    match (waiting[which].poll(), model.take_answer(waiting[which].number)) {
                        (Poll::Ready(passed), Some(expected)) => {
                            prop_assert_eq!(passed, expected);
                            waiting.swap_remove(which);
                        }
                        (Poll::Pending, None) => {}
                        (polled, expected) => panic!("{polled:?}, not {expected:?}"),
                    }
                }
                BarrierAct::Cancel(which) if !waiting.is_empty() => {
                    let number = waiting.swap_remove(which % waiting.len()).number;
                    model.come.retain(|of| *of != number);
                    model.take_answer(number);
                }
                BarrierAct::Abort => {
                    barrier.abort();
                    model.is_broken = true;
                    model.refuse_all();
                }
                BarrierAct::Reset => {
                    barrier.reset();
                    model.is_broken = false;
                    model.refuse_all();
                }
                BarrierAct::Poll(_) | BarrierAct::Cancel(_) => {}
            }
            prop_assert_eq!(barrier.waiting(), model.come.len());
            prop_assert_eq!(barrier.is_broken(), model.is_broken);
            for waits in &waiting {
                let has_answer = model.answered.iter().any(|(of, _)| *of == waits.number);
                prop_assert_eq!(waits.wakes() > waits.seen, has_answer, "woken when answered");
            }
        }
    }
}
