//! Context variables follow the work. Where it applies, after CPython's `test_context.py`.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, jumping, ms, on_drop, panic_message, poll_once, quietly, run, turns};
use futures_util::future::join;
use futures_util::stream::{FuturesUnordered, StreamExt};
use monoloop_runtime::{
    Context, ContextVar, call_later, call_soon, context_var, spawn, spawn_blocking, time, yield_now,
};
use proptest::prelude::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

context_var! {
    static USER: String = String::from("nobody");
    static NUMBER: u32;
    static LOCAL: Rc<Cell<u32>>;
    static NOT_CLONE: NotClone;
}

struct NotClone(u32);

#[test]
fn a_variable_knows_its_name_and_prints_it() {
    assert_eq!(USER.name(), "USER");
    assert!(format!("{USER:?}").contains("USER"));
    Context::default().run(|| {
        USER.set("ann".into());
        let token = NUMBER.set(1);
        assert_eq!(format!("{:?}", Context::current()), r#"["NUMBER", "USER"]"#);
        NUMBER.reset(token);
        assert_eq!(format!("{:?}", Context::current()), r#"["USER"]"#);
    });
}

#[test]
fn a_value_that_cannot_be_cloned_can_be_looked_at() {
    Context::default().run(|| {
        assert!(NOT_CLONE.with(|value| value.is_none()));
        NOT_CLONE.set(NotClone(7));
        assert_eq!(NOT_CLONE.with(|value| value.map(|value| value.0)), Some(7));
    });
}

#[test]
fn a_variable_may_be_set_while_its_value_is_looked_at() {
    Context::default().run(|| {
        NUMBER.set(1);
        NUMBER.with(|value| {
            NUMBER.set(2);
            assert_eq!(value, Some(&1));
        });
        assert_eq!(NUMBER.get(), Some(2));
    });
}

#[test]
fn a_value_whose_destructor_uses_the_context_may_be_replaced() {
    context_var! { static GUARD: Rc<dyn std::any::Any>; }
    Context::default().run(|| {
        let guard = on_drop(|| {
            assert_eq!(NUMBER.get(), Some(2));
            NUMBER.set(3);
        });
        GUARD.set(Rc::new(guard));
        NUMBER.set(2);
        drop(GUARD.set(Rc::new(())));
        assert_eq!(NUMBER.get(), Some(3));
    });
}

#[test]
fn running_in_a_context_again_starts_from_what_it_was() {
    NUMBER.sync_scope(1, || {
        let context = Context::current();
        for _ in 0..2 {
            context.run(|| {
                assert_eq!(NUMBER.get(), Some(1));
                NUMBER.set(2);
            });
        }
        // Inside itself, too: a context is a value and not entered exclusively.
        context.run(|| {
            NUMBER.set(5);
            context.run(|| assert_eq!(NUMBER.get(), Some(1)));
            assert_eq!(NUMBER.get(), Some(5));
        });
        assert_eq!(NUMBER.get(), Some(1));
    });
    assert_eq!(NUMBER.get(), None);
}

#[test]
fn each_thread_has_a_context_of_its_own() {
    NUMBER.sync_scope(1, || {
        let seen = std::thread::spawn(|| NUMBER.get()).join().unwrap();
        assert_eq!(seen, None);
    });
}

#[test]
fn a_task_has_a_copy_of_the_context_in_which_it_was_spawned() {
    run(async {
        USER.set("ann".into());
        let child = spawn(async {
            assert_eq!(USER.get().as_deref(), Some("ann"));
            USER.set("bob".into());
            yield_now().await;
            let grandchild = spawn(async { USER.get() });
            (USER.get(), grandchild.await.unwrap())
        });
        // What is set after the spawn does not reach the child.
        USER.set("eve".into());
        let (child, grandchild) = child.await.unwrap();
        assert_eq!(child.as_deref(), Some("bob"));
        assert_eq!(grandchild.as_deref(), Some("bob"));
        assert_eq!(USER.get().as_deref(), Some("eve"));
    });
    assert_eq!(USER.get().as_deref(), Some("nobody"), "nothing leaks out");
}

#[test]
fn tasks_that_interleave_keep_their_own_values() {
    run(async {
        let tasks: Vec<_> = (0..50u32)
            .map(|number| {
                spawn(async move {
                    NUMBER.set(number);
                    for step in 0..10 {
                        match (number + step) % 3 {
                            0 => yield_now().await,
                            1 => time::sleep(ms(u64::from(number % 5))).await,
                            _ => assert!(spawn_blocking(|| ()).await.is_ok()),
                        }
                        assert_eq!(NUMBER.get(), Some(number + step));
                        NUMBER.set(number + step + 1);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(NUMBER.get(), None);
    });
}

#[test]
fn callbacks_run_in_the_context_in_which_they_were_given() {
    run(async {
        let journal = Journal::default();
        let note = |entry: &'static str| {
            let journal = journal.clone();
            move || {
                journal.add((entry, NUMBER.get()));
                NUMBER.set(99);
            }
        };
        NUMBER.set(1);
        call_soon(note("soon"));
        NUMBER.set(2);
        call_later(ms(5), note("later"));
        NUMBER.set(3);
        time::sleep(ms(10)).await;
        assert_eq!(journal.take(), [("soon", Some(1)), ("later", Some(2))]);
        assert_eq!(NUMBER.get(), Some(3));
    });
}

#[test]
fn the_blocking_pool_gets_the_values_that_can_be_sent() {
    run(async {
        USER.set("ann".into());
        NUMBER.set(7);
        LOCAL.set(Rc::new(Cell::new(1)));
        let seen = spawn_blocking(|| {
            let seen = (
                USER.get(),
                NUMBER.get(),
                LOCAL.with(|value| value.is_some()),
            );
            NUMBER.set(8);
            seen
        });
        let (user, number, local) = seen.await.unwrap();
        assert_eq!(
            (user.as_deref(), number, local),
            (Some("ann"), Some(7), false)
        );
        assert_eq!(NUMBER.get(), Some(7));
        // The pool's thread keeps nothing for the next job.
        let next = Context::default().run(|| spawn_blocking(|| NUMBER.get()));
        assert_eq!(next.await.unwrap(), None);
    });
}

#[test]
fn a_scope_holds_its_value_over_waits_and_ends_with_its_future() {
    run(async {
        NUMBER.set(1);
        let inner = NUMBER.scope(2, async {
            assert_eq!(NUMBER.get(), Some(2));
            time::sleep(ms(5)).await;
            assert_eq!(NUMBER.get(), Some(2));
            let child = spawn(async { NUMBER.get() });
            // What is set inside lasts from one poll to the next and ends with the scope.
            NUMBER.set(3);
            USER.set("inside".into());
            yield_now().await;
            assert_eq!(NUMBER.get(), Some(3));
            NUMBER
                .scope(4, async {
                    yield_now().await;
                    assert_eq!(NUMBER.get(), Some(4));
                })
                .await;
            assert_eq!(NUMBER.get(), Some(3));
            child.await.unwrap()
        });
        let beside = async {
            for _ in 0..10 {
                assert_eq!(NUMBER.get(), Some(1));
                yield_now().await;
            }
        };
        let (child, ()) = join(inner, beside).await;
        assert_eq!(child, Some(2));
        assert_eq!(NUMBER.get(), Some(1));
        assert_eq!(USER.get().as_deref(), Some("nobody"));
    });
}

#[test]
fn scopes_that_interleave_in_one_task_do_not_mix() {
    run(async {
        let mut scopes: FuturesUnordered<_> = (0..40u32)
            .map(|number| {
                NUMBER.scope(number, async move {
                    for _ in 0..5 {
                        time::sleep(ms(u64::from(number % 7))).await;
                        assert_eq!(NUMBER.get(), Some(number));
                    }
                })
            })
            .collect();
        while scopes.next().await.is_some() {
            assert_eq!(NUMBER.get(), None);
        }
    });
}

#[test]
fn a_scope_made_in_one_task_may_run_in_another() {
    run(async {
        let scoped = NUMBER.scope(7, async {
            yield_now().await;
            (NUMBER.get(), USER.get())
        });
        USER.set("after the scope was made".into());
        let (number, user) = spawn(scoped).await.unwrap();
        assert_eq!((number, user.as_deref()), (Some(7), Some("nobody")));
        let context = Context::current();
        let in_context = Context::default().run(|| spawn(context.scope(async { USER.get() })));
        assert_eq!(
            in_context.await.unwrap().as_deref(),
            Some("after the scope was made")
        );
    });
}

#[test]
fn a_scope_that_is_dropped_half_way_leaves_the_context_as_it_was() {
    run(async {
        let mut scoped = Box::pin(NUMBER.scope(7, std::future::pending::<()>()));
        assert!(poll_once(&mut scoped).await.is_pending());
        assert_eq!(NUMBER.get(), None);
        drop(scoped);
        assert_eq!(NUMBER.get(), None);
    });
}

#[test]
fn a_panic_inside_a_scope_or_a_task_does_not_leave_its_values_behind() {
    run(async {
        let task = spawn(NUMBER.scope(7, async {
            USER.set("ann".into());
            yield_now().await;
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(task.await.is_err());
        assert_eq!(NUMBER.get(), None);
        assert_eq!(USER.get().as_deref(), Some("nobody"));
        let caught =
            quietly(|| std::panic::catch_unwind(|| NUMBER.sync_scope(7, || panic!("on purpose"))));
        assert!(caught.is_err());
        assert_eq!(NUMBER.get(), None);
    });
}

#[test]
fn the_destructors_of_a_cancelled_task_see_its_context() {
    run(async {
        let seen = Rc::new(RefCell::new(None));
        let task = NUMBER.sync_scope(7, || {
            let seen = seen.clone();
            spawn(async move {
                let _guard = on_drop(move || *seen.borrow_mut() = NUMBER.get());
                NUMBER.set(8);
                std::future::pending::<()>().await;
            })
        });
        turns(1).await;
        task.cancel();
        assert!(task.await.is_err());
        assert_eq!(*seen.borrow(), Some(8));
    });
}

#[test]
fn the_values_of_a_task_are_dropped_with_it() {
    run(async {
        let value = Rc::new(Cell::new(0));
        let task = spawn({
            let value = value.clone();
            async move {
                LOCAL.set(value);
                yield_now().await;
            }
        });
        turns(1).await;
        assert_eq!(Rc::strong_count(&value), 2);
        task.await.unwrap();
        assert_eq!(Rc::strong_count(&value), 1);
    });
}

#[test]
fn the_main_future_starts_with_the_threads_context_and_keeps_its_own() {
    let mut runtime = jumping();
    NUMBER.sync_scope(1, || {
        runtime.block_on(async {
            assert_eq!(NUMBER.get(), Some(1));
            NUMBER.set(2);
        });
        assert_eq!(NUMBER.get(), Some(1));
    });
}

#[test]
fn a_token_of_another_variable_is_refused_by_name() {
    context_var! { static OTHER: u32; }
    Context::default().run(|| {
        let token = OTHER.set(1);
        assert_eq!(
            panic_message(|| NUMBER.reset(token)),
            "a token of the context variable OTHER was given to NUMBER"
        );
    });
}

context_var! {
    static V0: u32;
    static V1: u32;
    static V2: u32;
    static V3: u32;
    static V4: u32;
    static V5: u32;
}

static VARIABLES: [&ContextVar<u32>; 6] = [&V0, &V1, &V2, &V3, &V4, &V5];

#[derive(Debug, Clone)]
enum Act {
    Set(usize, u32),
    /// Undoes the last set that was not undone yet.
    Reset,
    /// Runs the rest of the acts in the context as it was so many acts ago.
    Run(usize),
}

fn values() -> BTreeMap<usize, u32> {
    (0..VARIABLES.len())
        .filter_map(|which| Some((which, VARIABLES[which].get()?)))
        .collect()
}

fn replay(acts: &[Act], mut model: BTreeMap<usize, u32>) {
    let mut tokens = Vec::new();
    let mut past = vec![(Context::current(), model.clone())];
    for (number, act) in acts.iter().enumerate() {
        match act {
            Act::Set(which, value) => {
                let before = model.insert(*which, *value);
                tokens.push((*which, VARIABLES[*which].set(*value), before));
            }
            Act::Reset => {
                if let Some((which, token, before)) = tokens.pop() {
                    VARIABLES[which].reset(token);
                    match before {
                        Some(value) => model.insert(which, value),
                        None => model.remove(&which),
                    };
                }
            }
            Act::Run(ago) => {
                let (context, then) = &past[number.saturating_sub(*ago)];
                context.run(|| {
                    assert_eq!(&values(), then);
                    replay(&acts[number + 1..], then.clone());
                });
                assert_eq!(values(), model);
                return;
            }
        }
        assert_eq!(values(), model);
        past.push((Context::current(), model.clone()));
    }
    // No past context was changed by what came later.
    for (context, then) in past {
        context.run(|| assert_eq!(values(), then));
    }
}

proptest! {
    /// The model: a map that is copied.
    #[test]
    fn a_context_behaves_like_a_map_that_is_copied(
        acts in prop::collection::vec(
            prop_oneof![
                6 => (0usize..6, any::<u32>()).prop_map(|(which, value)| Act::Set(which, value)),
                3 => Just(Act::Reset),
                1 => (0usize..10).prop_map(Act::Run),
            ],
            0..60,
        )
    ) {
        Context::default().run(|| replay(&acts, BTreeMap::new()));
    }
}

#[test]
fn a_thread_local_leaks_from_one_request_into_another_and_a_variable_does_not() {
    thread_local! { static USER_OF_THREAD: Cell<&'static str> = const { Cell::new("nobody") }; }
    context_var! { static USER_OF_TASK: &'static str = "nobody"; }

    run(async {
        let request = |user: &'static str| {
            spawn(async move {
                USER_OF_THREAD.set(user);
                USER_OF_TASK.set(user);
                // Both wait for a database. Meanwhile the other request is served.
                yield_now().await;
                (USER_OF_THREAD.get(), USER_OF_TASK.get().unwrap())
            })
        };
        let (ann, bob) = (request("ann"), request("bob"));
        assert_eq!(ann.await.unwrap(), ("bob", "ann"), "ann is taken for bob");
        assert_eq!(bob.await.unwrap(), ("bob", "bob"));
        assert_eq!(USER_OF_THREAD.get(), "bob", "and so is whoever comes next");
        assert_eq!(USER_OF_TASK.get(), Some("nobody"));
    });
}

#[test]
fn a_variable_that_is_not_inherited_stays_with_the_task_that_set_it() {
    context_var! {
        static SHARED: u32 = 0;
        static PRIVATE: u32 = 0, inherit = false;
    }
    run(async {
        PRIVATE.set(1);
        SHARED.set(1);
        let look = || (SHARED.get().unwrap(), PRIVATE.get().unwrap());
        assert_eq!(spawn(async move { look() }).await.unwrap(), (1, 0));
        assert_eq!(spawn_blocking(look).await.unwrap(), (1, 0));
        let called = Rc::new(Cell::new((0, 0)));
        let seen = called.clone();
        call_soon(move || seen.set(look()));
        yield_now().await;
        yield_now().await;
        assert_eq!(called.get(), (1, 0));
        // Within the task it is carried along as any other.
        assert_eq!(look(), (1, 1));
        assert_eq!(
            Context::current().scope(async move { look() }).await,
            (1, 1)
        );
    });
}
