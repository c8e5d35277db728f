//! Running the production loop in a made-up world: a network in memory, a clock that jumps, and
//! everything random under one seed.
//!
//! The future given to [`run`], and all that it spawns, uses the same sockets, timers and
//! blocking pool as in production; only the driver below the loop is another. Nothing waits:
//! when all is quiet, the time jumps to the next thing that happens. A day of timeouts passes in
//! milliseconds, and the same seed makes the same history, byte for byte.
//!
//! ```
//! use monoloop_runtime::net::{TcpListener, TcpStream};
//! use monoloop_runtime::sim::{self, Faults};
//! use monoloop_runtime::spawn;
//!
//! let world = sim::Builder::new().faults(Faults { one_byte_reads: 0.5, ..Faults::default() });
//! world.seeds(0..20, |_seed| async {
//!     let mut listener = TcpListener::bind("10.0.0.1:80".parse().unwrap()).unwrap();
//!     let server = spawn(async move {
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     let mut stream = TcpStream::connect("10.0.0.1:80".parse().unwrap()).await.unwrap();
//!     let mut came = Vec::new();
//!     loop {
//!         let chunk = stream.receive().await.unwrap();
//!         if chunk.is_empty() {
//!             break;
//!         }
//!         came.extend_from_slice(&chunk);
//!     }
//!     assert_eq!(came, b"hello");
//!     server.await.unwrap().unwrap();
//! });
//! ```
//!
//! **When a seed fails**, the last line that is printed replays it, and it alone:
//! `MONOLOOP_SIM_SEED=123 cargo test -p some-crate name_of_the_test`. The variable takes the
//! place of whatever seeds a test asks for; `MONOLOOP_SIM_SEEDS=1000..2000` does so for
//! [`seeds`], so that many seeds can be run in parts.
//!
//! **What ends a run.** A loop that never comes to an end fails at
//! [`turns_max`](Builder::turns_max); one in which every task waits and nothing will ever happen
//! fails at once; so does a task that panicked and that nobody joined. At the end nothing may be
//! left: no task, timer or socket, no lent buffer and no handle. What is left is listed with name
//! and place.
//!
//! **What is simulated.** Every address is one of this world's, so a client may connect from
//! `10.1.2.3` to a listener at `10.0.0.1`; the groups of a [partition](net::partition) are told
//! apart by address. Bytes of one connection arrive in order, after a delay, or not at all; datagrams
//! overtake each other, come twice or get lost. Unix sockets, and descriptors of the system's, are
//! none of this world's: `Unsupported`. Work takes no time: a step that computes for a second does so in no time of the world. Jobs of the
//! blocking pool run on another thread, but one at a time while the loop stands still, and take
//! a drawn time of the world; two jobs that wait for each other never end. Names have the
//! addresses that a test [gives them](net::host), and no others.
//!
//! **What is not.** Files are the real ones, though each call takes a job's time. Standard input
//! has ended, output is written at once, and there are no child processes.
//!
//! **What stays random** is what a program brings along: the order of a `HashMap`, the real
//! clock, threads of its own.

mod balance;
mod builder;
pub mod net;
mod replay;

pub use crate::driver::simulation::{Broken, Fault, Faults, Link, RETRANSMISSION};
pub use builder::Builder;

use crate::runtime::with_current;
use std::future::Future;
use std::time::Duration;

/// Runs a future in a world without faults, to its end, and checks that nothing is left.
///
/// # Panics
/// When `future` panics, when the run does not end (see the [module](self)), when something is
/// left, and when the thread has a loop already.
#[track_caller]
pub fn run<F: Future>(seed: u64, future: F) -> F::Output {
    Builder::new().run(seed, future)
}

/// Runs a test once for each seed, in a new world without faults.
///
/// # Panics
/// As [`run`], at the first seed that fails.
#[track_caller]
pub fn seeds<F: Future>(seeds: impl IntoIterator<Item = u64>, test: impl FnMut(u64) -> F) {
    Builder::new().seeds(seeds, test);
}

/// How long the world has existed.
///
/// # Panics
/// Outside of a simulated world.
#[must_use]
#[track_caller]
pub fn elapsed() -> Duration {
    with_world(|world| world.elapsed())
}

/// Has the running step take so long: the world goes on, and the loop is stuck. What happens in the
/// network meanwhile is seen when it looks again.
///
/// # Panics
/// Outside of a simulated world.
#[track_caller]
pub fn burn(time: Duration) {
    with_world(|world| world.pass(time));
}

/// Everything that has happened in the network so far, a line each; empty unless
/// [asked for](Builder::trace).
///
/// # Panics
/// Outside of a simulated world.
#[must_use]
#[track_caller]
pub fn trace() -> String {
    with_world(|world| world.trace().to_owned())
}

#[track_caller]
fn with_world<R>(look: impl FnOnce(&mut crate::driver::simulation::Simulation) -> R) -> R {
    with_current(|core| {
        let mut driver = core.driver.borrow_mut();
        let Some(world) = driver.simulation() else {
            panic!("this loop is not in a simulated world: run it with sim::run()");
        };
        look(world)
    })
}
