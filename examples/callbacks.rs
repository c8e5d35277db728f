//! In what order callbacks run, and in which turn of the loop. What becomes ready in a turn
//! runs in the next.
//!
//! `cargo run --example callbacks`

use monoloop::{ClockMode, Runtime, call_later, call_soon, time};
use std::cell::Cell;
use std::time::Duration;

fn main() -> std::io::Result<()> {
    let mut runtime = Runtime::builder().clock(ClockMode::Jumping).build()?;
    runtime.block_on(async {
        say("main queues first, second and third");
        call_soon(|| say("first"));
        call_soon(|| {
            say("second queues fourth");
            call_soon(|| say("fourth"));
        });
        call_soon(|| say("third"));

        call_later(Duration::from_millis(20), || say("20 ms later"));
        call_later(Duration::from_millis(10), || say("10 ms later"));
        call_later(Duration::from_millis(10), || say("10 ms later, too"));
        call_later(Duration::from_millis(15), || say("never: it is called off")).cancel();

        time::sleep(Duration::from_millis(30)).await;
        say("main ends");
    });
    Ok(())
}

thread_local! {
    static TURN: Cell<u32> = const { Cell::new(0) };
    static TURN_IS_NEW: Cell<bool> = const { Cell::new(true) };
}

/// Prints behind the number of the turn, counting those in which something is said.
fn say(what: &str) {
    if TURN_IS_NEW.replace(false) {
        TURN.set(TURN.get() + 1);
        call_soon(|| TURN_IS_NEW.set(true));
    }
    println!("turn {}: {what}", TURN.get());
}
