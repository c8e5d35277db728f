//! Making worlds, and running futures in them.

use super::{Faults, Link, balance, replay};
use crate::blocking::Pool;
use crate::clock::Clock;
use crate::config::Config;
use crate::core::Core;
use crate::driver::simulation::{Setup, Simulation};
use crate::runtime::{Runtime, debug_or_environment};
use crate::stats::TurnStats;
use std::future::Future;
use std::io;
use std::ops::RangeInclusive;
use std::panic::{AssertUnwindSafe, Location, catch_unwind, resume_unwind};
use std::time::Duration;

/// How long what was let go of may take to end, in time of the world: many round trips.
const SETTLE_MAX: Duration = Duration::from_secs(1);

/// What a world is like, and how strictly a run in it is judged.
#[derive(Debug, Clone)]
#[must_use]
pub struct Builder {
    setup: Setup,
    config: Config,
    turns_max: u64,
    shuffle: bool,
    checks_balance: bool,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            setup: Setup::default(),
            config: Config::default(),
            turns_max: 10_000_000,
            shuffle: false,
            checks_balance: true,
        }
    }
}

impl Builder {
    /// A world without faults.
    pub fn new() -> Self {
        Builder::default()
    }

    /// What goes wrong by itself. Default: nothing.
    ///
    /// # Panics
    /// When a probability is none.
    #[track_caller]
    pub fn faults(mut self, faults: Faults) -> Self {
        assert!(faults.are_probabilities(), "probabilities are from 0 to 1");
        self.setup.faults = faults;
        self
    }

    /// What the ways between ends are like.
    ///
    /// # Panics
    /// When there is no room for a single byte.
    #[track_caller]
    pub fn link(mut self, link: Link) -> Self {
        assert!(link.buffer_bytes > 0, "a link holds at least a byte");
        self.setup.link = link;
        self
    }

    /// Sockets that may be open at once; beyond them there is `EMFILE`. Default: any number.
    pub fn descriptors_max(mut self, sockets: usize) -> Self {
        self.setup.descriptors_max = sockets;
        self
    }

    /// How long jobs of the blocking pool take, in time of the world. Default 100 µs to 5 ms.
    ///
    /// # Panics
    /// When the range is empty.
    #[track_caller]
    pub fn blocking_takes(mut self, takes: RangeInclusive<Duration>) -> Self {
        assert!(!takes.is_empty(), "a job takes some time, or none");
        self.setup.job_takes = takes;
        self
    }

    /// The bounds of the loop.
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Turns that a run may take before it counts as endless and fails. Default 10,000,000:
    /// some seconds of real time.
    pub fn turns_max(mut self, turns: u64) -> Self {
        self.turns_max = turns.max(1);
        self
    }

    /// Whether the tasks that are ready at the beginning of a turn are stepped in an order drawn
    /// from the seed. Finds what relies on an order that other drivers, or a new version of the
    /// program, will not keep. Default: no, strictly first in, first out.
    pub fn shuffle(mut self, shuffle: bool) -> Self {
        self.shuffle = shuffle;
        self
    }

    /// Whether a run fails that leaves something behind. Default: yes.
    pub fn check_balance(mut self, check: bool) -> Self {
        self.checks_balance = check;
        self
    }

    /// Whether what happens in the network is written down, for [`trace`](super::trace).
    /// Default: no.
    pub fn trace(mut self, trace: bool) -> Self {
        self.setup.trace = trace;
        self
    }

    /// Whether threads of the program's own may wake tasks: then a loop on which nothing can
    /// happen waits for them in real time instead of failing, and the history is no longer
    /// the seed's alone. Default: no.
    pub fn other_threads(mut self, exist: bool) -> Self {
        self.setup.other_threads = exist;
        self
    }

    /// Runs a future in a new world, to its end.
    ///
    /// # Panics
    /// As [`run`](super::run).
    #[track_caller]
    pub fn run<F: Future>(&self, seed: u64, future: F) -> F::Output {
        let seed = replay::seed_asked_for().unwrap_or(seed);
        self.run_seed(seed, || future)
    }

    /// Runs a test once for each seed, each time in a new world.
    ///
    /// # Panics
    /// As [`run`](super::run), at the first seed that fails.
    #[track_caller]
    pub fn seeds<F: Future>(
        &self,
        seeds: impl IntoIterator<Item = u64>,
        mut test: impl FnMut(u64) -> F,
    ) {
        if let Some(seed) = replay::seed_asked_for() {
            self.run_seed(seed, || test(seed));
            return;
        }
        match replay::seeds_asked_for() {
            Some(asked_for) => {
                for seed in asked_for {
                    self.run_seed(seed, || test(seed));
                }
            }
            None => {
                for seed in seeds {
                    self.run_seed(seed, || test(seed));
                }
            }
        }
    }

    #[track_caller]
    fn run_seed<F: Future>(&self, seed: u64, future: impl FnOnce() -> F) -> F::Output {
        let place = Location::caller();
        let ended = catch_unwind(AssertUnwindSafe(|| self.run_in_world(place, seed, future)));
        ended.unwrap_or_else(|payload| {
            eprintln!(
                "the simulation at {place} failed; this replays it:\n{}",
                replay::line(seed)
            );
            resume_unwind(payload)
        })
    }

    fn run_in_world<F: Future>(
        &self,
        place: &'static Location<'static>,
        seed: u64,
        future: impl FnOnce() -> F,
    ) -> F::Output {
        let mut runtime = self.build(seed);
        let turns_max = self.turns_max;
        let mut turns = 0;
        let mut look = move |core: &Core, turn: io::Result<TurnStats>| {
            if let Err(error) = turn {
                stopped(core, &error);
            }
            turns += 1;
            if turns > turns_max {
                endless(core, turns_max);
            }
        };
        let output = runtime.block_on_watched(place, future(), &mut look);
        if self.checks_balance {
            let core = runtime.core.clone();
            runtime.block_on_watched(place, balance::settle(core, SETTLE_MAX), &mut look);
            if let Some(left) = balance::left(&runtime) {
                panic!("at the end of the run something is left:\n{left}");
            }
        }
        let panics = runtime.core.unjoined_panics();
        assert!(
            panics == 0,
            "{panics} tasks panicked and nobody joined them; the log says which"
        );
        output
    }

    fn build(&self, seed: u64) -> Runtime {
        if let Err(error) = Runtime::is_first() {
            panic!("a simulated world needs a thread of its own: {error}");
        }
        let config = self.config.clone().at_least_one_of_each();
        let (pool, jobs) = Pool::by_hand(&config);
        let world = Simulation::new(seed, self.setup.clone(), Some(jobs));
        let clock = Clock::simulated(world.time());
        let debug = debug_or_environment(None).unwrap_or_else(|error| panic!("{error}"));
        let runtime = Runtime::assemble(config, clock, Box::new(world), debug);
        let mut runtime = runtime.expect("a simulated driver needs nothing of the system's");
        runtime.core.set_pool(pool);
        if self.shuffle {
            // Another sequence than the network's.
            let random = fastrand::Rng::with_seed(!seed);
            runtime.event_loop.shuffle = Some(Box::new(random));
        }
        runtime
    }
}

fn stopped(core: &Core, error: &io::Error) -> ! {
    if error.kind() != io::ErrorKind::Deadlock {
        panic!("the simulated blocking pool has no thread: {error}");
    }
    panic!(
        "every task waits and nothing will ever happen: no timer is armed, nothing is on its \
         way\n{}",
        balance::list("tasks", &balance::tasks(core))
    );
}

fn endless(core: &Core, turns_max: u64) -> ! {
    panic!(
        "no end after {turns_max} turns and {:?} of simulated time; raise turns_max, or look for \
         who keeps waking\n{}",
        super::elapsed(),
        balance::list("tasks", &balance::tasks(core))
    );
}
