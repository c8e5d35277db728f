//! The semaphore and the queue against slow models: each act is done to both, and after each all
//! that can be seen is compared. A failure prints its seed and the shortest list of acts.

#![allow(clippy::unwrap_used, reason = "these are tests")]

#[path = "common/waiting.rs"]
mod waiting;

use monoloop_runtime::sync::{Closed, OwnedPermit, Semaphore, SendError, mpsc};
use proptest::prelude::*;
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use waiting::Waiting;

#[derive(Debug, Clone)]
enum PermitAct {
    Acquire(usize),
    TryAcquire(usize),
    Release(usize),
    Poll(usize),
    Cancel(usize),
    Add(usize),
    Close,
}

fn permit_act() -> impl Strategy<Value = PermitAct> {
    prop_oneof![
        40 => (0usize..5).prop_map(PermitAct::Acquire),
        10 => (0usize..5).prop_map(PermitAct::TryAcquire),
        30 => any::<usize>().prop_map(PermitAct::Release),
        20 => any::<usize>().prop_map(PermitAct::Poll),
        20 => any::<usize>().prop_map(PermitAct::Cancel),
        5 => (0usize..3).prop_map(PermitAct::Add),
        1 => Just(PermitAct::Close),
    ]
}

/// First come, first served, written down as it is said.
#[derive(Default)]
struct PermitModel {
    available: usize,
    line: VecDeque<(u32, usize)>,
    chosen: Vec<(u32, Result<usize, Closed>)>,
    is_closed: bool,
}

impl PermitModel {
    fn serve(&mut self) {
        while let Some(&(number, wanted)) = self.line.front() {
            if wanted > self.available {
                return;
            }
            self.available -= wanted;
            self.line.pop_front();
            self.chosen.push((number, Ok(wanted)));
        }
    }

    fn add(&mut self, permits: usize) {
        self.available += permits;
        self.serve();
    }

    fn is_free(&self, wanted: usize) -> bool {
        self.line.is_empty() && wanted <= self.available
    }

    fn take_chosen(&mut self, number: u32) -> Option<Result<usize, Closed>> {
        let index = self.chosen.iter().position(|(of, _)| *of == number)?;
        Some(self.chosen.swap_remove(index).1)
    }
}

proptest! {
    #[test]
    fn a_semaphore_is_first_come_first_served(
        permits in 0usize..6,
        acts in prop::collection::vec(permit_act(), 0..120),
    ) {
        let semaphore = Rc::new(Semaphore::new(permits));
        let mut model = PermitModel { available: permits, ..PermitModel::default() };
        let mut held: Vec<OwnedPermit> = Vec::new();
        let mut waiting: Vec<Waiting<Result<OwnedPermit, Closed>>> = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            match act {
                PermitAct::Acquire(wanted) => {
                    let acquire = Box::pin(semaphore.clone().acquire_many_owned(wanted));
                    match Waiting::start(number as u32, acquire) {
                        Ok(Ok(permit)) => {
                            prop_assert!(!model.is_closed && model.is_free(wanted));
                            model.available -= wanted;
                            held.push(permit);
                        }
                        Ok(Err(Closed)) => prop_assert!(model.is_closed),
                        Err(waits) => {
                            prop_assert!(!model.is_closed && !model.is_free(wanted));
                            model.line.push_back((number as u32, wanted));
                            waiting.push(waits);
                        }
                    }
                }
                PermitAct::TryAcquire(wanted) => {
                    let taken = semaphore.try_acquire_many(wanted);
                    prop_assert_eq!(taken.is_some(), !model.is_closed && model.is_free(wanted));
                }
                PermitAct::Release(which) if !held.is_empty() => {
                    let permit = held.swap_remove(which % held.len());
                    model.add(permit.count());
                }
                PermitAct::Poll(which) if !waiting.is_empty() => {
                    let which = which % waiting.len();
                    match (waiting[which].poll(), model.take_chosen(waiting[which].number)) {
                        (Poll::Pending, None) => {}
                        (Poll::Ready(Ok(permit)), Some(Ok(count))) => {
                            prop_assert_eq!(permit.count(), count);
                            held.push(permit);
                            waiting.swap_remove(which);
                        }
                        (Poll::Ready(Err(Closed)), Some(Err(Closed))) => {
                            waiting.swap_remove(which);
                        }
                        (polled, chosen) => panic!("{polled:?} but {chosen:?}"),
                    }
                }
                PermitAct::Cancel(which) if !waiting.is_empty() => {
                    let number = waiting.swap_remove(which % waiting.len()).number;
                    match model.take_chosen(number) {
                        Some(Ok(count)) => model.add(count),
                        Some(Err(Closed)) => {}
                        None => {
                            model.line.retain(|(of, _)| *of != number);
                            model.serve();
                        }
                    }
                }
                PermitAct::Add(count) => {
                    semaphore.add_permits(count);
                    model.add(count);
                }
                PermitAct::Close => {
                    semaphore.close();
                    model.is_closed = true;
                    let refused = model.line.drain(..).map(|(number, _)| (number, Err(Closed)));
                    model.chosen.extend(refused);
                }
                PermitAct::Release(_) | PermitAct::Poll(_) | PermitAct::Cancel(_) => {}
            }
            prop_assert_eq!(semaphore.available(), model.available);
            for waits in &waiting {
                let is_chosen = model.chosen.iter().any(|(of, _)| *of == waits.number);
                prop_assert_eq!(waits.wakes() > waits.seen, is_chosen, "woken when chosen");
            }
        }
        let out: usize = held.iter().map(OwnedPermit::count).sum();
        drop(waiting);
        drop(held);
        let chosen: usize = model.chosen.iter().filter_map(|(_, got)| got.ok()).sum();
        prop_assert_eq!(semaphore.available(), model.available + out + chosen);
    }
}

#[derive(Debug, Clone)]
enum QueueAct {
    Send,
    TrySend,
    Recv,
    TryRecv,
    PollSend(usize),
    CancelSend(usize),
    Close,
}

fn queue_act() -> impl Strategy<Value = QueueAct> {
    prop_oneof![
        40 => Just(QueueAct::Send),
        15 => Just(QueueAct::TrySend),
        25 => Just(QueueAct::Recv),
        15 => Just(QueueAct::TryRecv),
        15 => any::<usize>().prop_map(QueueAct::PollSend),
        15 => any::<usize>().prop_map(QueueAct::CancelSend),
        1 => Just(QueueAct::Close),
    ]
}

/// What is in, who waits to get in, and what became of those who waited.
#[derive(Default)]
struct QueueModel {
    values: VecDeque<u32>,
    line: VecDeque<u32>,
    answered: Vec<(u32, Result<(), SendError<u32>>)>,
    is_closed: bool,
}

impl QueueModel {
    fn pop(&mut self) -> Option<u32> {
        let value = self.values.pop_front()?;
        if let Some(next) = self.line.pop_front() {
            self.values.push_back(next);
            self.answered.push((next, Ok(())));
        }
        Some(value)
    }

    fn take_answer(&mut self, number: u32) -> Option<Result<(), SendError<u32>>> {
        let index = self.answered.iter().position(|(of, _)| *of == number)?;
        Some(self.answered.swap_remove(index).1)
    }
}

proptest! {
    #[test]
    fn a_queue_gives_what_was_sent_in_the_order_in_which_the_sends_began(
        capacity in 1usize..4,
        acts in prop::collection::vec(queue_act(), 0..150),
    ) {
        let (sender, mut receiver) = mpsc::channel(capacity);
        let mut model = QueueModel::default();
        let mut waiting: Vec<Waiting<Result<(), SendError<u32>>>> = Vec::new();
        for (number, act) in acts.into_iter().enumerate() {
            let number = number as u32;
            match act {
                QueueAct::Send => {
                    let sender = sender.clone();
                    let send = Box::pin(async move { sender.send(number).await });
                    let is_full = model.values.len() == capacity;
                    match Waiting::start(number, send) {
                        Ok(Ok(())) => {
                            prop_assert!(!model.is_closed && !is_full);
                            model.values.push_back(number);
                        }
                        Ok(Err(SendError(back))) => {
                            prop_assert!(model.is_closed && back == number);
                        }
                        Err(waits) => {
                            prop_assert!(!model.is_closed && is_full);
                            model.line.push_back(number);
                            waiting.push(waits);
                        }
                    }
                }
                QueueAct::TrySend => {
                    let is_sent = sender.try_send(number).is_ok();
                    prop_assert_eq!(is_sent, !model.is_closed && model.values.len() < capacity);
                    if is_sent {
                        model.values.push_back(number);
                    }
                }
                QueueAct::Recv => {
                    let received = receiver.poll_recv(&Context::from_waker(Waker::noop()));
                    let expected = match model.pop() {
                        Some(value) => Poll::Ready(Some(value)),
                        None if model.is_closed => Poll::Ready(None),
                        None => Poll::Pending,
                    };
                    prop_assert_eq!(received, expected);
                }
                QueueAct::TryRecv => prop_assert_eq!(receiver.try_recv().ok(), model.pop()),
                QueueAct::PollSend(which) if !waiting.is_empty() => {
                    let which = which % waiting.len();
                    match (waiting[which].poll(), model.take_answer(waiting[which].number)) {
                        (Poll::Pending, None) => {}
                        (Poll::Ready(polled), Some(answer)) => {
                            prop_assert_eq!(polled, answer);
                            waiting.swap_remove(which);
                        }
                        (polled, answer) => panic!("{polled:?} but {answer:?}"),
                    }
                }
                QueueAct::CancelSend(which) if !waiting.is_empty() => {
                    let number = waiting.swap_remove(which % waiting.len()).number;
                    // What was accepted before is sent.
                    model.take_answer(number);
                    model.line.retain(|of| *of != number);
                }
                QueueAct::Close => {
                    receiver.close();
                    model.is_closed = true;
                    let refused = model.line.drain(..).map(|of| (of, Err(SendError(of))));
                    model.answered.extend(refused);
                }
                QueueAct::PollSend(_) | QueueAct::CancelSend(_) => {}
            }
            prop_assert_eq!(receiver.len(), model.values.len());
            for waits in &waiting {
                let is_answered = model.answered.iter().any(|(of, _)| *of == waits.number);
                prop_assert_eq!(waits.wakes() > waits.seen, is_answered, "woken when answered");
            }
        }
    }
}
