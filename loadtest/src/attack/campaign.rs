//! The attacks, one after the other, each beside well-behaved clients.
//!
//! The hostile side and the one that judges run on this thread; the well-behaved clients have a
//! thread and a loop of their own, so that neither is late because of the other.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use monoloop_runtime::sync::remote;
use monoloop_runtime::{Runtime, signal, spawn_blocking, spawn_named, time};

use crate::attack::arena::Arena;
use crate::attack::plan::AttackPlan;
use crate::attack::tally::Tally;
use crate::attack::verdict::{Books, Memory, Verdict, WellBehaved, p99_bound};
use crate::attack::{Attack, report};
use crate::control;
use crate::ledger::Ledger;
use crate::memory;
use crate::outcome::Outcome;
use crate::{Failure, usage};

/// The well-behaved are well under way before an attack begins: connected, and warm.
const HEAD_START: Duration = Duration::from_millis(600);
/// And they see what it is like when it is over.
const AFTERMATH: Duration = Duration::from_millis(200);
/// Longer than any attack takes.
const LONGEST: Duration = Duration::from_secs(3600);
/// How long a server may take to be done with connections that were closed, refused or let go:
/// that of a lingering close (2.5 s in monoloop), and some more.
const SETTLES_WITHIN: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const SETTLE_PERIOD: Duration = Duration::from_millis(100);
/// How often a quiet server is measured until the measurement is good for something.
const QUIET_ATTEMPTS: usize = 3;
/// How often the memory is looked at while an attack runs.
const MEMORY_PERIOD: Duration = Duration::from_millis(100);

/// What all attacks together came to.
pub(super) struct Campaign {
    pub(super) quiet: WellBehaved,
    pub(super) verdicts: Vec<Verdict>,
    pub(super) is_interrupted: bool,
}

/// Runs the plan, and says after each attack how it went.
pub(super) fn run(plan: &AttackPlan) -> Result<Campaign, Failure> {
    let mut runtime = Runtime::new()?;
    runtime.block_on(campaign(plan))
}

async fn campaign(plan: &AttackPlan) -> Result<Campaign, Failure> {
    let quiet = measure_quiet(plan).await?;
    crate::print(&report::render_quiet(&quiet));
    if let Some(admin) = &plan.admin {
        // A ledger that cannot be read is the operator's to mend, before anything is attacked.
        admin.ledger().await.map_err(|error| {
            usage::UsageError::new(
                "--admin",
                format!("the ledger cannot be read: {error}"),
                "Give the URL of the server's metrics, such as http://127.0.0.1:9090/metrics.",
            )
        })?;
    }
    crate::print(&report::render_heading());
    let mut result = Campaign {
        quiet,
        verdicts: Vec::new(),
        is_interrupted: false,
    };
    let interrupted = watch_for_interrupt()?;
    for attack in &plan.attacks {
        let arena = Rc::new(arena(plan));
        *interrupted.borrow_mut() = Some(Rc::clone(&arena));
        let verdict = one(plan, *attack, &arena, &result.quiet).await;
        result.is_interrupted = arena.is_interrupted.get();
        crate::print(&report::render_verdict(&verdict));
        result.verdicts.push(verdict);
        if result.is_interrupted {
            break;
        }
    }
    Ok(result)
}

fn arena(plan: &AttackPlan) -> Arena {
    Arena {
        address: plan.address,
        host: plan.target.authority.clone(),
        path: plan.target.path.clone(),
        post_path: plan.post_path.clone(),
        ws_path: plan.ws_path.clone(),
        connections: plan.connections,
        duration: plan.duration,
        timeouts: plan.timeouts,
        grace: plan.grace,
        sources: plan.sources.clone(),
        tally: RefCell::new(Tally::new()),
        is_interrupted: Cell::new(false),
    }
}

/// One attack, and what it came to.
async fn one(
    plan: &AttackPlan,
    attack: &dyn Attack,
    arena: &Rc<Arena>,
    quiet: &WellBehaved,
) -> Verdict {
    let began = time::now_precise();
    let before = ledger(plan).await;
    let watch = MemoryWatch::start(plan.pid);

    let clients = Clients::start(plan);
    time::sleep(HEAD_START).await;
    attack.run(Rc::clone(arena)).await;
    time::sleep(AFTERMATH).await;
    let outcome = clients.stop().await;

    let after = settled(plan, before.as_ref()).await;
    let memory = watch.end(plan, before.as_ref()).await;
    let tally = arena.tally.replace(Tally::new());
    let cut_off = &tally.cut_off;
    let mut faults = tally.faults.clone();
    let unsaid = tally.faults_count - faults.len() as u64;
    if unsaid > 0 {
        faults.push(format!("and {unsaid} more hostile connections like these"));
    }
    if tally.connections() == 0 {
        faults.push("no hostile connection was made: nothing was attacked".into());
    }
    let mut verdict = Verdict {
        name: attack.name(),
        hostile: tally.connections(),
        endings: tally.endings(),
        cut_off: (!cut_off.is_empty())
            .then(|| [cut_off.min(), cut_off.percentile(50.0), cut_off.max()]),
        well_behaved: outcome.as_ref().map(WellBehaved::of),
        p99_max: plan
            .p99_max
            .unwrap_or_else(|| p99_bound(quiet.p99, attack.saturates())),
        books: before.zip(after).map(|(before, after)| Books {
            before,
            after,
            reasons: attack.ends_in(),
        }),
        memory,
        took: time::now_precise().saturating_duration_since(began),
        faults,
        unverified: Vec::new(),
    };
    verdict.judge();
    verdict
}

/// What the well-behaved see while nobody does any harm. On a machine that is busy with something
/// else it is measured again a few times: every bound is made of it.
async fn measure_quiet(plan: &AttackPlan) -> Result<WellBehaved, Failure> {
    let mut quiet = measure_quiet_once(plan).await?;
    for _ in 1..QUIET_ATTEMPTS {
        if quiet.client_fault.is_none() {
            break;
        }
        quiet = measure_quiet_once(plan).await?;
    }
    Ok(quiet)
}

async fn measure_quiet_once(plan: &AttackPlan) -> Result<WellBehaved, Failure> {
    let clients = Clients::start(plan);
    time::sleep(HEAD_START + plan.quiet).await;
    let quiet = clients.stop().await.as_ref().map(WellBehaved::of);
    match quiet {
        Some(quiet) if quiet.answered > 0 && quiet.errors == 0 => Ok(quiet),
        seen => {
            let seen = seen.and_then(|quiet| quiet.first_error);
            Err(Failure::from(usage::UsageError::new(
                plan.url.clone(),
                format!(
                    "well-behaved clients are not served, though nobody attacks: {}",
                    seen.as_deref().unwrap_or("no answer")
                ),
                "Check that the server runs, and give a URL that it answers with success.",
            )))
        }
    }
}

/// The well-behaved clients, on a thread of their own.
struct Clients {
    stop: remote::Sender<()>,
    thread: thread::JoinHandle<Option<Outcome>>,
}

impl Clients {
    fn start(plan: &AttackPlan) -> Self {
        let (stop, stopped) = remote::channel(1);
        let plan = plan.well_behaved(LONGEST);
        let thread = thread::spawn(move || control::run_until(plan.ok()?, Some(stopped)).ok());
        Self { stop, thread }
    }

    /// `None` when they could not be run.
    async fn stop(self) -> Option<Outcome> {
        // Full or closed, they have been told or are gone.
        let _ = self.stop.try_send(());
        spawn_blocking(move || self.thread.join().ok().flatten())
            .await
            .ok()
            .flatten()
    }
}

async fn ledger(plan: &AttackPlan) -> Option<Ledger> {
    plan.admin.as_ref()?.ledger().await.ok()
}

/// The ledger when the server is done with the attack, or when it had time enough.
async fn settled(plan: &AttackPlan, before: Option<&Ledger>) -> Option<Ledger> {
    let before = before?;
    let until = time::now() + SETTLES_WITHIN + plan.grace;
    loop {
        let now = ledger(plan).await?;
        let is_settled = now.connections.in_flight <= before.connections.in_flight;
        if is_settled || time::now() >= until {
            return Some(now);
        }
        time::sleep(SETTLE_PERIOD).await;
    }
}

/// Looks at the server's memory while an attack runs.
struct MemoryWatch {
    before_bytes: Option<u64>,
    peak_bytes: Rc<Cell<u64>>,
    task: Option<monoloop_runtime::TaskHandle>,
}

impl MemoryWatch {
    fn start(pid: Option<u32>) -> Self {
        let before_bytes = pid.and_then(memory::resident_bytes);
        let peak_bytes = Rc::new(Cell::new(before_bytes.unwrap_or(0)));
        let peak = Rc::clone(&peak_bytes);
        let task = pid.map(|pid| {
            let watch = async move {
                while let Some(bytes) = memory::resident_bytes(pid) {
                    peak.set(peak.get().max(bytes));
                    time::sleep(MEMORY_PERIOD).await;
                }
            };
            spawn_named("memory", watch).task()
        });
        Self {
            before_bytes,
            peak_bytes,
            task,
        }
    }

    /// What it came to, when the memory is back or had time enough to come back.
    async fn end(self, plan: &AttackPlan, before: Option<&Ledger>) -> Option<Memory> {
        if let Some(task) = &self.task {
            task.cancel();
        }
        let exported = || before.and_then(|ledger| ledger.resident_bytes);
        let before_bytes = self.before_bytes.or_else(exported)?;
        let most = before_bytes + plan.memory_margin_bytes;
        let until: Instant = time::now() + SETTLES_WITHIN;
        loop {
            let after_bytes = match plan.pid {
                Some(pid) => memory::resident_bytes(pid)?,
                None => ledger(plan).await?.resident_bytes?,
            };
            if after_bytes <= most || time::now() >= until {
                return Some(Memory {
                    before_bytes,
                    peak_bytes: self.peak_bytes.get().max(after_bytes).max(before_bytes),
                    after_bytes,
                    margin_bytes: plan.memory_margin_bytes,
                });
            }
            time::sleep(SETTLE_PERIOD).await;
        }
    }
}

/// Ctrl-C ends the attack that is under way, and the campaign with it.
fn watch_for_interrupt() -> io::Result<Rc<RefCell<Option<Rc<Arena>>>>> {
    let current: Rc<RefCell<Option<Rc<Arena>>>> = Rc::default();
    let mut signal = signal::shutdown()?;
    let watched = Rc::clone(&current);
    drop(spawn_named("interrupt", async move {
        signal.recv().await;
        if let Some(arena) = &*watched.borrow() {
            arena.is_interrupted.set(true);
        }
    }));
    Ok(current)
}
