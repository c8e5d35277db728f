//! How busy a loop is, and what it knows of the delay.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{jumping, turns};
use monoloop_runtime::time::{self, sleep};
use monoloop_runtime::{ClockMode, Runtime, lag, sim, spawn};
use std::time::{Duration, SystemTime};

#[test]
fn time_that_a_loop_waits_is_not_busy() {
    let mut runtime = jumping();
    runtime.block_on(sleep(Duration::from_secs(3600)));
    let lag = runtime.lag();
    assert_eq!(lag.waiting(), Duration::from_secs(3600));
    assert_eq!((lag.busy(), lag.utilisation()), (Duration::ZERO, 0.0));
}

#[test]
fn every_step_is_counted_once_by_its_delay() {
    let mut runtime = jumping();
    runtime.block_on(async {
        let tasks: Vec<_> = (0..50).map(|_| spawn(turns(40))).collect();
        sleep(Duration::from_millis(1)).await;
        for task in tasks {
            task.await.unwrap();
        }
        let before = lag();
        let task = spawn(turns(1000));
        task.await.unwrap();
        // What ran since the last look at the system is not known yet.
        sleep(Duration::from_millis(1)).await;
        let steps = lag().since(&before).queue_delay().count();
        assert!((1000..1100).contains(&steps), "{steps}");
    });
}

#[test]
fn work_on_the_loop_is_busy_and_is_the_longest_turn() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        sleep(Duration::from_millis(20)).await;
        let before = lag();
        let began = SystemTime::now();
        while began.elapsed().unwrap() < Duration::from_millis(40) {}
        // From the beginning of the turn on, which is that long ago.
        sleep(Duration::from_millis(80)).await;
        let lag = lag().since(&before);
        assert!(lag.busy() >= Duration::from_millis(40), "{lag:?}");
        assert!(lag.waiting() >= Duration::from_millis(15), "{lag:?}");
        assert!(
            lag.turn_time().max() >= Duration::from_millis(40),
            "{lag:?}"
        );
        assert!(
            lag.queue_delay().quantile(1.0) >= Duration::from_millis(40),
            "{lag:?}"
        );
        assert!(
            lag.utilisation() > 0.05 && lag.utilisation() < 1.0,
            "{lag:?}"
        );
    });
}

#[test]
fn what_is_done_between_two_calls_of_block_on_is_not_the_loops() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {});
    let before = runtime.lag();
    let began = SystemTime::now();
    while began.elapsed().unwrap() < Duration::from_millis(60) {}
    runtime.block_on(async {});
    let lag = runtime.lag().since(&before);
    assert!(
        lag.busy() + lag.waiting() < Duration::from_millis(60),
        "{lag:?}"
    );
}

#[test]
fn in_a_simulated_world_it_is_the_worlds_time() {
    let lag = sim::run(1, async {
        let before = lag();
        sleep(Duration::from_secs(86_400)).await;
        lag().since(&before)
    });
    assert_eq!(lag.waiting().as_secs(), 86_400);
    assert_eq!(lag.utilisation(), 0.0);
}

#[test]
fn a_loop_is_stuck_while_it_does_not_look_for_a_tenth_of_a_second() {
    sim::run(1, async {
        let begun = time::stuck();
        sim::burn(Duration::from_millis(99));
        sleep(Duration::from_secs(1)).await;
        assert_eq!(time::stuck(), begun);
        sim::burn(Duration::from_secs(6));
        assert_eq!(time::stuck(), begun, "nobody has looked since");
        let timer = sleep(Duration::from_secs(1));
        assert_eq!(timer.stuck(), time::stuck());
        timer.await;
        assert_eq!(time::stuck() - begun, Duration::from_secs(6));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(time::stuck() - begun, Duration::from_secs(6));
    });
}

#[test]
fn a_clock_that_is_moved_by_hand_leaves_no_loop_stuck() {
    let mut runtime = Runtime::builder().clock(ClockMode::Manual).build().unwrap();
    runtime.block_on(async {
        time::advance(Duration::from_secs(60)).await;
        assert_eq!(time::stuck(), Duration::ZERO);
    });
}
