//! Looking at a loop: from its own thread, and from others while it answers and while it does not.

#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod common;

use common::{any_port, manual, ms, run, turns};
use monoloop_runtime::introspect::{
    self, NoAnswer, Probe, Snapshot, TaskSnapshot, TurnTrace, TurnTraces, WaitTarget,
};
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::sync::{Event, Lock, Semaphore, mpsc, oneshot};
use monoloop_runtime::{
    JoinHandle, RunState, Runtime, TaskId, gather, sim, spawn, spawn_blocking, spawn_named, time,
    yield_now,
};
use std::future::{Future, pending};
use std::pin::pin;
use std::rc::Rc;
use std::sync::{Arc, Barrier, mpsc as threads};
use std::time::Duration;

/// Long enough for any loop that is not stuck.
const PATIENCE: Duration = Duration::from_secs(20);

fn waits_of(task: TaskId) -> Vec<String> {
    let snapshot = introspect::snapshot();
    let task = snapshot.task(task).expect("it is alive");
    task.waits_on.iter().map(ToString::to_string).collect()
}

/// What a task that awaits `future` is seen to wait on.
async fn seen_waiting(future: impl Future<Output = ()> + 'static) -> Vec<String> {
    let task = spawn(future);
    turns(3).await;
    let waits = waits_of(task.id());
    task.cancel();
    let _ = task.await;
    waits
}

#[test]
fn what_a_task_waits_on_is_named_by_what_it_awaits() {
    run(async {
        introspect::observe();
        let lock = Rc::new(Lock::new(()));
        let semaphore = Rc::new(Semaphore::new(0));
        let event = Rc::new(Event::new());
        let held = lock.clone();
        let _held = held.lock().await;
        let (_sender, mut receiver) = mpsc::channel::<u32>(1);
        let (full, _never_read) = mpsc::channel(1);
        full.send(1).await.unwrap();
        let (_answers, answer) = oneshot::channel::<u32>();

        let waits = seen_waiting(async move { drop(lock.lock().await) }).await;
        assert_eq!(waits, ["lock"]);
        let waits = seen_waiting(async move { drop(semaphore.acquire().await) }).await;
        assert_eq!(waits, ["semaphore"]);
        assert_eq!(
            seen_waiting(async move { event.wait().await }).await,
            ["event"]
        );
        let waits = seen_waiting(async move { _ = receiver.recv().await }).await;
        assert_eq!(waits, ["channel"]);
        let waits = seen_waiting(async move { _ = full.send(2).await }).await;
        assert_eq!(waits, ["room in a channel"]);
        assert_eq!(seen_waiting(async { _ = answer.await }).await, ["oneshot"]);
        assert_eq!(seen_waiting(pending()).await, Vec::<String>::new());
    });
}

#[test]
fn a_join_names_the_task_and_a_timer_its_time() {
    let mut runtime = manual();
    runtime.block_on(async {
        introspect::observe();
        let slow = spawn(time::sleep(ms(5000)));
        let id = slow.id();
        let joins = spawn(async move { drop(slow.await) });
        let limited = spawn(async { _ = time::timeout(ms(70), pending::<()>()).await });
        turns(3).await;
        assert_eq!(waits_of(joins.id()), [format!("task {id}")]);
        time::advance(ms(20)).await;
        let snapshot = introspect::snapshot();
        let timer = |task: TaskId| snapshot.task(task).unwrap().waits_on[0].on;
        assert_eq!(timer(id), WaitTarget::DueIn(ms(4980)));
        assert_eq!(timer(limited.id()), WaitTarget::DueIn(ms(50)));
        let _drop_with_the_loop = (joins, limited);
    });
}

#[test]
fn of_two_things_both_are_named_with_the_timer_last() {
    run(async {
        introspect::observe();
        let event = Rc::new(Event::new());
        let waits = seen_waiting(async move {
            let _ = time::timeout(ms(1000), event.wait()).await;
        });
        let waits = waits.await;
        assert_eq!((waits.len(), waits[0].as_str()), (2, "event"), "{waits:?}");
        assert!(waits[1].starts_with("timer in "), "{waits:?}");
        assert_eq!(
            seen_waiting(async { drop(gather([pending::<()>()]).await) })
                .await
                .len(),
            1
        );
    });
}

#[test]
fn a_socket_is_named_by_its_other_end_even_when_nobody_observes() {
    run(sockets_are_named(any_port()));
}

#[test]
fn sockets_of_a_simulated_world_are_named_too() {
    sim::run(1, sockets_are_named(any_port()));
}

async fn sockets_are_named(address: std::net::SocketAddr) {
    let mut listener = TcpListener::bind(address).unwrap();
    let address = listener.local_addr().unwrap();
    let accepting: JoinHandle<TcpStream> = spawn(async move { listener.accept().await.unwrap().0 });
    yield_now().await;
    let accepts = waits_of(accepting.id());
    assert_eq!(accepts, [format!("accept at {address}")]);
    let mut client = TcpStream::connect(address).await.unwrap();
    let _served = accepting.await.unwrap();
    let reading = spawn(async move { drop(client.receive().await) });
    turns(2).await;
    assert_eq!(waits_of(reading.id()), [format!("read from {address}")]);
    reading.cancel();
    let _ = reading.await;
}

#[test]
fn tasks_show_name_parent_state_and_steps() {
    run(async {
        let main = monoloop_runtime::current_task().unwrap().id();
        let idle = spawn_named("idle", async {
            yield_now().await;
            pending::<()>().await;
        });
        let ending = spawn(pending::<()>());
        turns(3).await;
        ending.cancel_with("of no use");
        let ready = spawn(async {});
        let snapshot = introspect::snapshot();
        let state = |id| snapshot.task(id).unwrap().state;
        let seen = snapshot.task(idle.id()).unwrap();
        assert_eq!(seen.name.as_deref(), Some("idle"));
        assert_eq!((seen.parent, seen.steps), (Some(main), 2));
        assert!(seen.place.file().ends_with("introspect.rs"));
        assert_eq!(seen.state, RunState::Waiting);
        assert_eq!(state(main), RunState::Running);
        assert_eq!(state(ready.id()), RunState::Ready);
        let ending_seen = snapshot.task(ending.id()).unwrap();
        assert_eq!(ending_seen.state, RunState::Ending);
        assert_eq!(ending_seen.cancelled, Some("of no use"));
        assert_eq!(snapshot.stats.tasks, 4);
        // Nobody observes: what costs something is not known.
        assert_eq!(snapshot.observed_for, None);
        assert_eq!((seen.busy, seen.since), (None, None));
        idle.cancel();
        let _ = (idle.await, ending.await, ready.await);
    });
}

#[test]
fn how_long_a_task_has_waited_counts_from_the_end_of_its_last_step() {
    let mut runtime = manual();
    runtime.block_on(async {
        introspect::observe();
        let early = spawn(pending::<()>());
        turns(2).await;
        time::advance(ms(300)).await;
        let late = spawn(pending::<()>());
        turns(2).await;
        time::advance(ms(200)).await;
        let snapshot = introspect::snapshot();
        let since = |task: &JoinHandle<()>| snapshot.task(task.id()).unwrap().since;
        assert_eq!(
            (since(&early), since(&late)),
            (Some(ms(500)), Some(ms(200)))
        );
        let _drop_with_the_loop = (early, late);
    });
}

/// Keeps the thread busy for some real time.
fn work(duration: Duration) {
    let (_nobody_sends, passes) = threads::channel::<()>();
    let _ = passes.recv_timeout(duration);
}

#[test]
fn busy_time_is_that_of_the_tasks_own_steps() {
    run(async {
        introspect::observe();
        yield_now().await;
        let busy = spawn(async {
            for _ in 0..3 {
                work(ms(5));
                yield_now().await;
            }
            pending::<()>().await;
        });
        let idle = spawn(pending::<()>());
        turns(6).await;
        let snapshot = introspect::snapshot();
        let seen = |task: &JoinHandle<()>| snapshot.task(task.id()).unwrap().clone();
        let TaskSnapshot {
            busy: took,
            longest_step,
            ..
        } = seen(&busy);
        assert!(took.unwrap() >= ms(15), "{took:?}");
        assert!(longest_step.unwrap() >= ms(5) && longest_step < took);
        assert!(seen(&idle).busy < took);
        busy.cancel();
        idle.cancel();
        let _ = (busy.await, idle.await);
    });
}

#[test]
fn what_is_kept_of_a_task_is_gone_with_it() {
    run(async {
        introspect::observe();
        yield_now().await;
        let value = Rc::new(());
        monoloop_runtime::context_var! { static HELD: Rc<()>; }
        let inside = HELD.scope(value.clone(), async {
            time::sleep(ms(10)).await;
        });
        let task = spawn(inside);
        turns(2).await;
        assert!(!waits_of(task.id()).is_empty());
        task.cancel();
        let _ = task.await;
        assert_eq!(Rc::strong_count(&value), 1, "a note keeps no context alive");
    });
}

/// A loop in a thread of its own that runs until it is told to stop.
fn in_thread<R>(test: impl FnOnce(&Probe) -> R) -> R {
    let (to, probe) = threads::channel();
    let (stop, mut stopped) = monoloop_runtime::sync::remote::channel::<()>(1);
    let thread = std::thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            let bystander = spawn_named("bystander", pending::<()>());
            yield_now().await;
            to.send(introspect::probe()).unwrap();
            stopped.recv().await;
            drop(bystander);
        });
    });
    let probe = probe.recv().unwrap();
    let result = test(&probe);
    drop(stop);
    thread.join().unwrap();
    assert!(probe.has_ended());
    assert!(matches!(probe.snapshot(PATIENCE), Err(NoAnswer::Ended)));
    result
}

fn bystander(snapshot: &Snapshot) -> &TaskSnapshot {
    let mut tasks = snapshot.tasks.iter();
    let found = tasks.find(|task| task.name.as_deref() == Some("bystander"));
    found.expect("it is there until somebody ends it")
}

#[test]
fn a_probe_sees_the_loop_from_another_thread_and_not_itself() {
    in_thread(|probe| {
        let snapshot = probe.snapshot(PATIENCE).unwrap();
        assert_eq!(snapshot.tasks.len(), 2, "{snapshot:?}");
        assert_eq!(snapshot.stats.tasks, 2);
        assert_eq!(bystander(&snapshot).state, RunState::Waiting);
        assert!(snapshot.observed_for.is_some());
    });
}

#[test]
fn a_probe_cancels_a_task_once() {
    in_thread(|probe| {
        let id = bystander(&probe.snapshot(PATIENCE).unwrap()).id;
        assert!(probe.cancel(id, "from outside", PATIENCE).unwrap());
        let finished = || bystander(&probe.snapshot(PATIENCE).unwrap()).state == RunState::Finished;
        while !finished() {}
        assert!(!probe.cancel(id, "again", PATIENCE).unwrap());
        let nobody = "999.1".parse().unwrap();
        assert!(!probe.cancel(nobody, "never there", PATIENCE).unwrap());
    });
}

/// Has the loop take turns, of which each question is one, until one was traced.
fn next_turn(probe: &Probe, traces: &TurnTraces) -> TurnTrace {
    loop {
        probe.snapshot(PATIENCE).unwrap();
        if let Ok(turn) = traces.next(ms(5)) {
            return turn.expect("there are more to come");
        }
    }
}

#[test]
fn a_trace_tells_each_turn_from_the_next_on() {
    in_thread(|probe| {
        let traces = probe.trace(3).unwrap();
        let mut numbers = Vec::new();
        for _ in 0..3 {
            let turn = next_turn(probe, &traces);
            assert_eq!(turn.stats.steps, turn.stepped.len());
            assert!(turn.stats.polled);
            numbers.push(turn.number);
        }
        assert!(
            numbers.is_sorted_by(|one, next| *next == one + 1),
            "{numbers:?}"
        );
        assert!(traces.next(PATIENCE).unwrap().is_none());
        assert!(probe.trace(0).unwrap().next(PATIENCE).unwrap().is_none());
    });
}

#[test]
fn a_loop_that_is_stuck_is_told_by_task_place_and_time() {
    let (at_the_gate, gate) = (Arc::new(Barrier::new(2)), Arc::new(Barrier::new(2)));
    let (to, probe) = threads::channel();
    let (stuck_at, opens) = (at_the_gate.clone(), gate.clone());
    let thread = std::thread::spawn(move || {
        Runtime::new().unwrap().block_on(async {
            to.send(introspect::probe()).unwrap();
            // The questions of the test are heard first.
            for _ in 0..2 {
                stuck_at.wait();
                let stuck_at = stuck_at.clone();
                drop(spawn_blocking(move || stuck_at.wait()).await);
                let opens = opens.clone();
                let blocks = spawn_named("blocks", async move {
                    opens.wait();
                    opens.wait();
                });
                let behind = spawn(async {});
                let _ = (blocks.await, behind.await);
            }
        });
    });
    let probe = probe.recv().unwrap();
    for round in 0..2 {
        at_the_gate.wait();
        if round == 1 {
            probe.snapshot(PATIENCE).unwrap();
        }
        at_the_gate.wait();
        gate.wait();
        let Err(NoAnswer::Stuck(stuck)) = probe.snapshot(ms(20)) else {
            panic!("it cannot answer");
        };
        let task = stuck.task.clone().unwrap();
        assert_eq!(task.name.as_deref(), Some("blocks"));
        assert!(task.place.file().ends_with("introspect.rs"));
        assert!(stuck.since >= ms(20), "{stuck:?}");
        assert_eq!(stuck.waiting_behind, 1);
        assert_eq!(
            stuck.last.is_some(),
            round == 1,
            "the last snapshot, if there was one"
        );
        let told = stuck.to_string();
        assert!(
            told.contains(&format!("stuck in task {} (blocks", task.id)),
            "{told}"
        );

        // A thousand who ask in vain leave nothing behind, and a cancellation stays.
        for _ in 0..1100 {
            assert!(probe.snapshot(Duration::ZERO).is_err());
        }
        assert!(matches!(
            probe.cancel(task.id, "while it is stuck", ms(1)),
            Err(NoAnswer::Stuck(_))
        ));
        gate.wait();
    }
    thread.join().unwrap();
}

#[test]
fn those_who_are_told_nothing_leave_the_loop_as_it_was() {
    // The receiver of a trace is gone before its turns come.
    in_thread(|probe| {
        drop(probe.trace(1000).unwrap());
        for _ in 0..3 {
            probe.snapshot(PATIENCE).unwrap();
        }
        let traces = probe.trace(1).unwrap();
        assert_eq!(next_turn(probe, &traces).stepped.len(), 1);
        assert!(traces.next(PATIENCE).unwrap().is_none());
    });
}

#[test]
fn a_note_of_a_futures_own_is_shown_while_it_waits() {
    run(async {
        introspect::observe();
        let waits = seen_waiting(std::future::poll_fn(|_| {
            introspect::note("the tide");
            std::task::Poll::Pending
        }));
        assert_eq!(pin!(waits).await, ["the tide"]);
    });
    // Without a loop nobody looks.
    introspect::note("nothing");
    introspect::note_context();
}
