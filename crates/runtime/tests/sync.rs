//! Locks, events, conditions, semaphores and barriers: their order, and that nothing is lost when
//! one who waits is dropped.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, OnWake, ms, on_drop, panic_message, poll_once, run, turns};
use futures_util::future::{FutureExt, join_all, select};
use monoloop_runtime::sync::{
    Barrier, BrokenBarrier, Closed, Condition, Event, Lock, Notify, Semaphore,
};
use monoloop_runtime::time::{sleep, timeout};
use monoloop_runtime::{JoinHandle, Runtime, spawn, yield_now};
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

/// Spawns so many tasks that note their number when what they wait for has come.
fn waiters<F: Future + 'static>(
    count: usize,
    journal: &Journal<usize>,
    wait: impl Fn() -> F,
) -> Vec<JoinHandle<()>> {
    (0..count)
        .map(|number| {
            let (journal, wait) = (journal.clone(), wait());
            spawn(async move {
                wait.await;
                journal.add(number);
            })
        })
        .collect()
}

async fn end(tasks: Vec<JoinHandle<()>>) {
    for task in tasks {
        task.cancel();
        let _ = task.await;
    }
}

fn boxed<'a, F: Future + 'a>(future: F) -> Pin<Box<dyn Future<Output = F::Output> + 'a>> {
    Box::pin(future)
}

/// Polls with a waker that does nothing, with or without a loop.
fn poll_noop<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

// Event

#[test]
fn setting_an_event_wakes_all_in_their_order_even_if_it_is_cleared_at_once() {
    run(async {
        let (event, journal) = (Rc::new(Event::new()), Journal::default());
        let tasks = waiters(5, &journal, || {
            let event = event.clone();
            async move { event.wait().await }
        });
        turns(2).await;
        event.set();
        event.clear();
        assert_eq!(journal.take(), []);
        turns(1).await;
        assert_eq!(journal.take(), [0, 1, 2, 3, 4]);
        assert!(event.wait().now_or_never().is_none());
        end(tasks).await;
    });
}

#[test]
fn one_that_waits_for_an_event_that_is_always_set_lets_the_others_run() {
    let others = run(async {
        let event = Rc::new(Event::new());
        event.set();
        let ticks = Rc::new(Cell::new(0));
        let ticker = spawn({
            let ticks = ticks.clone();
            async move {
                loop {
                    ticks.set(ticks.get() + 1);
                    yield_now().await;
                }
            }
        });
        for _ in 0..1280 {
            event.wait().await;
        }
        ticker.cancel();
        ticks.get()
    });
    assert!(others >= 9, "it ran {others} times beside 1,280 operations");
}

// Notify

#[test]
fn a_notification_that_nobody_waits_for_is_kept_once() {
    run(async {
        let notify = Notify::new();
        notify.notify_one();
        notify.notify_one();
        assert!(notify.notified().now_or_never().is_some());
        assert!(notify.notified().now_or_never().is_none());
        notify.notify_all();
        assert!(notify.notified().now_or_never().is_none());
    });
}

#[test]
fn notifications_wake_one_each_in_the_order_of_waiting() {
    run(async {
        let (notify, journal) = (Rc::new(Notify::new()), Journal::default());
        let tasks = waiters(6, &journal, || {
            let notify = notify.clone();
            async move { notify.notified().await }
        });
        turns(2).await;
        notify.notify_one();
        notify.notify_one();
        turns(1).await;
        assert_eq!(journal.take(), [0, 1]);
        notify.notify_all();
        turns(1).await;
        assert_eq!(journal.take(), [2, 3, 4, 5]);
        end(tasks).await;
    });
}

#[test]
fn a_notification_of_one_that_is_dropped_goes_to_the_next_or_is_kept() {
    let notify = Notify::new();
    let (mut first, mut second) = (boxed(notify.notified()), boxed(notify.notified()));
    assert!(poll_noop(&mut first).is_pending() && poll_noop(&mut second).is_pending());
    notify.notify_one();
    drop(first);
    assert!(poll_noop(&mut second).is_ready());
    let mut third = boxed(notify.notified());
    assert!(poll_noop(&mut third).is_pending());
    notify.notify_one();
    drop(third);
    assert!(poll_noop(&mut boxed(notify.notified())).is_ready());
    // One of all takes nothing along.
    let mut fourth = boxed(notify.notified());
    assert!(poll_noop(&mut fourth).is_pending());
    notify.notify_all();
    drop(fourth);
    assert!(poll_noop(&mut boxed(notify.notified())).is_pending());
}

// Semaphore and lock

#[test]
fn permits_are_handed_over_in_the_order_of_waiting_and_nobody_gets_in_between() {
    run(async {
        let (semaphore, journal) = (Rc::new(Semaphore::new(1)), Journal::default());
        let held = semaphore.try_acquire().unwrap();
        let tasks = waiters(3, &journal, || {
            let semaphore = semaphore.clone();
            async move {
                let _permit = semaphore.acquire().await.unwrap();
                yield_now().await;
            }
        });
        turns(2).await;
        drop(held);
        // It is the first one's already, though that has not run.
        assert_eq!(semaphore.available(), 0);
        assert!(semaphore.try_acquire().is_none() && semaphore.is_locked());
        turns(10).await;
        assert_eq!(journal.take(), [0, 1, 2]);
        assert_eq!(semaphore.available(), 1);
        end(tasks).await;
    });
}

#[test]
fn who_wants_many_permits_is_not_overtaken_by_those_who_want_few() {
    let semaphore = Semaphore::new(3);
    let held = semaphore.try_acquire().unwrap();
    let mut many = boxed(semaphore.acquire_many(3));
    let mut one = boxed(semaphore.acquire());
    assert!(poll_noop(&mut many).is_pending() && poll_noop(&mut one).is_pending());
    assert!(semaphore.try_acquire().is_none(), "two are there");
    drop(held);
    assert!(poll_noop(&mut one).is_pending());
    let Poll::Ready(Ok(permits)) = poll_noop(&mut many) else {
        panic!("they are there");
    };
    assert_eq!(permits.count(), 3);
    drop(permits);
    assert!(poll_noop(&mut one).is_ready());
}

#[test]
fn when_one_who_wants_many_gives_up_those_behind_get_what_is_there() {
    let semaphore = Semaphore::new(2);
    let mut many = boxed(semaphore.acquire_many(5));
    let (mut one, mut two) = (boxed(semaphore.acquire()), boxed(semaphore.acquire()));
    assert!(poll_noop(&mut many).is_pending());
    assert!(poll_noop(&mut one).is_pending() && poll_noop(&mut two).is_pending());
    drop(many);
    assert!(poll_noop(&mut one).is_ready() && poll_noop(&mut two).is_ready());
}

#[test]
fn a_permit_of_one_that_is_dropped_after_it_was_chosen_goes_to_the_next() {
    let semaphore = Rc::new(Semaphore::new(1));
    let held = semaphore.try_acquire().unwrap();
    let mut first = boxed(semaphore.acquire());
    let mut second = boxed(semaphore.clone().acquire_owned());
    assert!(poll_noop(&mut first).is_pending() && poll_noop(&mut second).is_pending());
    drop(held);
    drop(first);
    let Poll::Ready(Ok(permit)) = poll_noop(&mut second) else {
        panic!("its turn was passed on");
    };
    assert_eq!(semaphore.available(), 0);
    drop(permit);
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn closing_a_semaphore_refuses_who_waits_and_leaves_permits_good() {
    let semaphore = Semaphore::new(1);
    let mut waiting_many = boxed(semaphore.acquire_many(2));
    assert!(poll_noop(&mut waiting_many).is_pending());
    semaphore.add_permits(1);
    let mut waiting = boxed(semaphore.acquire());
    assert!(poll_noop(&mut waiting).is_pending());
    semaphore.close();
    // It was chosen before.
    let Poll::Ready(Ok(permits)) = poll_noop(&mut waiting_many) else {
        panic!("permits that were granted stay good");
    };
    assert!(matches!(poll_noop(&mut waiting), Poll::Ready(Err(Closed))));
    let mut late = boxed(semaphore.acquire());
    assert!(matches!(poll_noop(&mut late), Poll::Ready(Err(Closed))));
    drop(permits);
    assert!(semaphore.try_acquire().is_none());
    assert_eq!(semaphore.available(), 2);
}

#[test]
fn a_permit_that_is_forgotten_is_not_given_back() {
    let semaphore = Semaphore::new(2);
    semaphore.try_acquire_many(2).unwrap().forget();
    assert_eq!(semaphore.available(), 0);
    semaphore.add_permits(1);
    assert!(semaphore.try_acquire().is_some());
    let too_many = panic_message(|| semaphore.add_permits(usize::MAX));
    assert_eq!(too_many, "more permits than a usize can count");
}

#[test]
fn who_acquires_what_is_always_free_lets_the_others_run() {
    let others = run(async {
        let (lock, ticks) = (Lock::new(()), Rc::new(Cell::new(0)));
        let ticker = spawn({
            let ticks = ticks.clone();
            async move {
                loop {
                    ticks.set(ticks.get() + 1);
                    yield_now().await;
                }
            }
        });
        for _ in 0..1280 {
            drop(lock.lock().await);
        }
        ticker.cancel();
        ticks.get()
    });
    assert!(others >= 9, "it ran {others} times beside 1,280 operations");
}

#[test]
fn a_lock_is_held_by_one_at_a_time_and_each_comes_in_its_turn() {
    run(async {
        let (lock, journal) = (Rc::new(Lock::new(0)), Journal::default());
        let tasks: Vec<_> = (0..20)
            .map(|number| {
                let (lock, journal) = (lock.clone(), journal.clone());
                spawn(async move {
                    for _ in 0..3 {
                        let mut value = lock.lock().await;
                        let before = *value;
                        yield_now().await;
                        *value = before + 1;
                        journal.add(number);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*lock.lock().await, 60);
        let rounds: Vec<usize> = (0..20).chain(0..20).chain(0..20).collect();
        assert_eq!(journal.take(), rounds);
    });
}

#[test]
fn a_lock_is_free_again_after_its_holder_was_cancelled_panicked_or_timed_out() {
    run(async {
        let lock = Rc::new(Lock::new(0));
        let hold = |lock: &Rc<Lock<i32>>| {
            let lock = lock.clone();
            async move {
                let mut value = lock.lock().await;
                *value += 1;
                sleep(ms(50)).await;
            }
        };
        let holder = spawn(hold(&lock));
        turns(1).await;
        holder.cancel();
        assert!(holder.await.is_err());
        assert!(timeout(ms(5), hold(&lock)).await.is_err());
        let panicking = spawn({
            let lock = lock.clone();
            async move {
                let _value = lock.lock().await;
                panic!("on purpose");
            }
        });
        let silence = common::Silence::default();
        assert!(panicking.await.is_err());
        drop(silence);
        assert_eq!(*lock.try_lock().unwrap(), 2);
    });
}

#[test]
fn a_cancelled_task_that_was_about_to_get_the_lock_leaves_it_to_the_next() {
    run(async {
        let (lock, journal) = (Rc::new(Lock::new(())), Journal::default());
        let held = lock.lock().await;
        let tasks = waiters(3, &journal, || {
            let lock = lock.clone();
            async move { drop(lock.lock().await) }
        });
        turns(2).await;
        drop(held);
        // The first has it, and has not run.
        tasks[0].cancel();
        turns(3).await;
        assert_eq!(journal.take(), [1, 2]);
        assert!(!lock.is_locked());
        end(tasks).await;
    });
}

#[test]
fn waiting_works_under_combinators_and_moves_from_one_waker_to_another() {
    run(async {
        let semaphore = Rc::new(Semaphore::new(0));
        let many = join_all((0..100).map(|_| semaphore.acquire()));
        let giving = async {
            for _ in 0..100 {
                yield_now().await;
                semaphore.add_permits(1);
            }
        };
        let (permits, ()) = futures_util::future::join(many, giving).await;
        assert_eq!(permits.len(), 100);
        for permit in permits {
            permit.unwrap().forget();
        }
        // First by this task, then under a combinator, then by another task.
        let mut waiting = boxed(semaphore.clone().acquire_owned());
        assert!(poll_once(&mut waiting).await.is_pending());
        let waiting = select(waiting, boxed(std::future::pending::<()>()));
        assert!(timeout(ms(1), waiting).await.is_err());
        let mut waiting = boxed(semaphore.clone().acquire_owned());
        assert!(poll_once(&mut waiting).await.is_pending());
        let task = spawn(waiting);
        turns(1).await;
        semaphore.add_permits(1);
        assert!(task.await.unwrap().is_ok());
    });
}

#[test]
fn everything_works_without_a_loop() {
    struct Unpark(std::thread::Thread);
    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let (lock, event) = (Lock::new(0), Event::new());
    let mut both = boxed(futures_util::future::join(
        async {
            let mut value = lock.lock().await;
            event.wait().await;
            *value += 1;
        },
        async {
            event.set();
            *lock.lock().await += 1;
        },
    ));
    while Pin::new(&mut both)
        .poll(&mut Context::from_waker(&waker))
        .is_pending()
    {
        std::thread::park();
    }
    drop(both);
    assert_eq!(lock.into_inner(), 2);
}

#[test]
fn what_waited_on_a_loop_that_is_gone_can_be_chosen_and_dropped() {
    let semaphore = Rc::new(Semaphore::new(0));
    let mut waiting = boxed(semaphore.clone().acquire_owned());
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async { assert!(poll_once(&mut waiting).await.is_pending()) });
    drop(runtime);
    semaphore.add_permits(1);
    assert_eq!(semaphore.available(), 0);
    drop(waiting);
    assert_eq!(semaphore.available(), 1);
}

// Condition

#[test]
fn a_condition_gives_the_lock_up_while_it_waits_and_has_it_afterwards() {
    run(async {
        let shared = Rc::new((Lock::new(0), Condition::new()));
        let consumer = spawn({
            let shared = shared.clone();
            async move {
                let value = shared.0.lock().await;
                let value = shared.1.wait_for(value, |value| *value == 3).await;
                assert!(shared.0.is_locked());
                *value
            }
        });
        for _ in 0..3 {
            turns(2).await;
            *shared.0.try_lock().expect("it was given up") += 1;
            shared.1.notify_one();
        }
        assert_eq!(consumer.await.unwrap(), 3);
        assert!(!shared.0.is_locked());
    });
}

#[test]
fn a_condition_wakes_so_many_as_it_is_told_in_their_order() {
    run(async {
        let shared = Rc::new((Lock::new(()), Condition::new()));
        let journal = Journal::default();
        let tasks = waiters(6, &journal, || {
            let shared = shared.clone();
            async move {
                let guard = shared.0.lock().await;
                drop(shared.1.wait(guard).await);
            }
        });
        turns(8).await;
        shared.1.notify(2);
        turns(4).await;
        assert_eq!(journal.take(), [0, 1]);
        shared.1.notify_all();
        shared.1.notify_one();
        turns(8).await;
        assert_eq!(journal.take(), [2, 3, 4, 5]);
        end(tasks).await;
    });
}

#[test]
fn a_notification_of_one_cancelled_before_it_has_the_lock_goes_to_the_next() {
    // Cancelled as soon as it was notified, or while it waits for the lock.
    for turns_before in [0, 3] {
        run(async move {
            let shared = Rc::new((Lock::new(()), Condition::new()));
            let journal = Journal::default();
            let tasks = waiters(2, &journal, || {
                let shared = shared.clone();
                async move {
                    let guard = shared.0.lock().await;
                    drop(shared.1.wait(guard).await);
                }
            });
            turns(4).await;
            let held = shared.0.lock().await;
            shared.1.notify_one();
            turns(turns_before).await;
            tasks[0].cancel();
            turns(2).await;
            drop(held);
            turns(4).await;
            assert_eq!(journal.take(), [1]);
            end(tasks).await;
        });
    }
}

// Barrier

#[test]
fn a_barrier_lets_all_pass_when_the_last_has_come_and_again() {
    run(async {
        let barrier = Rc::new(Barrier::new(3));
        for _ in 0..2 {
            let tasks: Vec<_> = (0..3)
                .map(|_| {
                    let barrier = barrier.clone();
                    spawn(async move { barrier.wait().await })
                })
                .collect();
            for (number, task) in tasks.into_iter().enumerate() {
                assert_eq!(task.await.unwrap(), Ok(number));
            }
            assert_eq!(barrier.waiting(), 0);
        }
    });
}

#[test]
fn one_that_gives_up_at_a_barrier_has_not_come() {
    let barrier = Barrier::new(2);
    let mut first = boxed(barrier.wait());
    assert!(poll_noop(&mut first).is_pending());
    drop(first);
    assert_eq!(barrier.waiting(), 0);
    let mut second = boxed(barrier.wait());
    assert!(poll_noop(&mut second).is_pending());
    assert_eq!(poll_noop(&mut boxed(barrier.wait())), Poll::Ready(Ok(1)));
    assert_eq!(poll_noop(&mut second), Poll::Ready(Ok(0)));
}

#[test]
fn one_dropped_after_all_have_come_holds_up_nobody() {
    let barrier = Barrier::new(3);
    let (mut first, mut second) = (boxed(barrier.wait()), boxed(barrier.wait()));
    assert!(poll_noop(&mut first).is_pending() && poll_noop(&mut second).is_pending());
    assert!(poll_noop(&mut boxed(barrier.wait())).is_ready());
    drop(first);
    assert_eq!(poll_noop(&mut second), Poll::Ready(Ok(1)));
}

#[test]
fn a_barrier_that_is_aborted_refuses_all_until_it_is_reset() {
    let barrier = Barrier::new(2);
    let mut waiting = boxed(barrier.wait());
    assert!(poll_noop(&mut waiting).is_pending());
    barrier.abort();
    assert_eq!(poll_noop(&mut waiting), Poll::Ready(Err(BrokenBarrier)));
    assert!(barrier.is_broken());
    let mut late = boxed(barrier.wait());
    assert_eq!(poll_noop(&mut late), Poll::Ready(Err(BrokenBarrier)));
    barrier.reset();
    let mut waiting = boxed(barrier.wait());
    assert!(poll_noop(&mut waiting).is_pending());
    barrier.reset();
    assert_eq!(poll_noop(&mut waiting), Poll::Ready(Err(BrokenBarrier)));
    assert!(!barrier.is_broken());
}

// Wakers and destructors that use the primitive

thread_local! {
    static SEMAPHORE: Rc<Semaphore> = Rc::new(Semaphore::new(0));
    static EVENT: Rc<Event> = Rc::new(Event::new());
    static BARRIER: Rc<Barrier> = Rc::new(Barrier::new(2));
    static LOCK: Rc<Lock<u32>> = Rc::new(Lock::new(0));
    static SECOND: RefCell<Option<Pin<Box<dyn Future<Output = ()>>>>> = const { RefCell::new(None) };
}

#[test]
fn a_waker_may_take_and_give_permits_of_the_semaphore_that_wakes_it() {
    let semaphore = SEMAPHORE.with(Rc::clone);
    let waker = Waker::from(Arc::new(OnWake(|| {
        SEMAPHORE.with(|semaphore| {
            drop(semaphore.try_acquire());
            semaphore.add_permits(1);
        });
    })));
    let cx = &mut Context::from_waker(&waker);
    let (mut one, mut two) = (boxed(semaphore.acquire()), boxed(semaphore.acquire()));
    assert!(one.as_mut().poll(cx).is_pending() && two.as_mut().poll(cx).is_pending());
    semaphore.add_permits(1);
    // The first waker gave what the second waited for.
    assert!(one.as_mut().poll(cx).is_ready() && two.as_mut().poll(cx).is_ready());
    assert_eq!(semaphore.available(), 3);
}

#[test]
fn a_waker_may_drop_another_who_was_chosen_with_it() {
    let event = EVENT.with(Rc::clone);
    let waker = Waker::from(Arc::new(OnWake(|| {
        SECOND.with(|second| drop(second.take()));
    })));
    let mut first = boxed(event.wait());
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    let mut second = Box::pin({
        let event = event.clone();
        async move { event.wait().await }
    });
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    SECOND.with(|slot| *slot.borrow_mut() = Some(second));
    event.set();
    assert!(SECOND.with(|second| second.borrow().is_none()));
    assert!(poll_noop(&mut first).is_ready());
}

#[test]
fn a_waker_that_comes_to_the_barrier_again_belongs_to_the_next_round() {
    let barrier = BARRIER.with(Rc::clone);
    let waker = Waker::from(Arc::new(OnWake(|| {
        let mut again = Box::pin(async {
            let _ = BARRIER.with(Rc::clone).wait().await;
        });
        assert!(poll_noop(&mut again).is_pending());
        SECOND.with(|second| *second.borrow_mut() = Some(again));
    })));
    let mut first = boxed(barrier.wait());
    assert!(
        first
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(poll_noop(&mut boxed(barrier.wait())), Poll::Ready(Ok(1)));
    assert_eq!(barrier.waiting(), 1);
    assert_eq!(poll_noop(&mut first), Poll::Ready(Ok(0)));
    SECOND.with(|second| drop(second.take()));
    assert_eq!(barrier.waiting(), 0);
}

#[test]
fn who_is_woken_by_an_unlock_finds_the_value_free() {
    let lock = LOCK.with(Rc::clone);
    let waker = Waker::from(Arc::new(OnWake(|| {
        // Runs who waits right here, inside the unlock.
        let second = SECOND.with(RefCell::take);
        assert!(poll_noop(&mut second.unwrap()).is_ready());
    })));
    let held = lock.try_lock().unwrap();
    let mut second: Pin<Box<dyn Future<Output = ()>>> = Box::pin({
        let lock = lock.clone();
        async move { *lock.lock().await += 1 }
    });
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    SECOND.with(|slot| *slot.borrow_mut() = Some(second));
    drop(held);
    assert_eq!(*lock.try_lock().unwrap(), 1);
}

#[test]
fn a_waker_that_is_replaced_may_use_the_semaphore_in_its_destructor() {
    struct GiveOnDrop;
    impl std::task::Wake for GiveOnDrop {
        fn wake(self: Arc<Self>) {}
    }
    impl Drop for GiveOnDrop {
        fn drop(&mut self) {
            SEMAPHORE.with(|semaphore| semaphore.add_permits(1));
        }
    }
    let semaphore = SEMAPHORE.with(Rc::clone);
    let mut waiting = boxed(semaphore.acquire());
    {
        let waker = Waker::from(Arc::new(GiveOnDrop));
        assert!(
            waiting
                .as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    // Its waker is displaced by another one, and gives it the permit.
    let woken = Arc::new(AtomicUsize::new(0));
    let count = woken.clone();
    let waker = Waker::from(Arc::new(OnWake(move || {
        count.fetch_add(1, Ordering::Relaxed);
    })));
    assert!(
        waiting
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
    );
    assert_eq!(woken.load(Ordering::Relaxed), 1);
    assert!(poll_noop(&mut waiting).is_ready());
}

#[test]
fn a_lock_can_be_printed_while_it_is_held_and_by_its_own_value() {
    struct PrintsItsLock(Rc<RefCell<Option<Rc<Lock<PrintsItsLock>>>>>);
    impl std::fmt::Debug for PrintsItsLock {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            match &*self.0.borrow() {
                Some(lock) => write!(f, "inside {lock:?}"),
                None => f.write_str("nothing"),
            }
        }
    }
    let own = Rc::new(RefCell::new(None));
    let lock = Rc::new(Lock::new(PrintsItsLock(own.clone())));
    *own.borrow_mut() = Some(lock.clone());
    assert_eq!(format!("{lock:?}"), "Lock { value: inside Lock { .. } }");
    own.take();
    let _held = lock.try_lock().unwrap();
    assert_eq!(format!("{lock:?}"), "Lock { .. }");
}

#[test]
fn a_value_in_a_lock_is_dropped_once_with_it() {
    let drops = Rc::new(Cell::new(0));
    let count = drops.clone();
    let lock = Lock::new(on_drop(move || count.set(count.get() + 1)));
    drop(lock.try_lock());
    assert_eq!(drops.get(), 0);
    drop(lock);
    assert_eq!(drops.get(), 1);
}
