//! `loadtest attack`: hostile peers beside well-behaved clients.
//!
//! Each attack is a type that says what it does and in which reason of the server's ledger its
//! connections have to end ([`Attack`]); it runs in an [`arena`] and notes there how each of its
//! connections ended ([`tally`]). The [`campaign`] runs one after the other, each beside the open
//! loop of well-behaved clients, and reaches a [`verdict`].

mod arena;
pub(crate) mod args;
mod campaign;
mod exhaustion;
mod flood;
mod framing;
mod heads;
mod json;
mod peer;
mod plan;
mod report;
mod slow;
mod tally;
mod unread;
mod verdict;
mod websocket;

use std::pin::Pin;
use std::process::ExitCode;
use std::rc::Rc;

use crate::Failure;
use crate::attack::arena::Arena;
use crate::attack::args::AttackArgs;
use crate::attack::plan::AttackPlan;
use crate::attack::verdict::Judgement;
use crate::usage::UsageError;

/// An attack under way.
type Run<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

fn boxed<'a>(run: impl Future<Output = ()> + 'a) -> Run<'a> {
    Box::pin(run)
}

/// One way of hurting a server.
trait Attack: Sync {
    /// As `--only` takes it.
    fn name(&self) -> &'static str;

    /// What it does, with its precedent, in one line.
    fn about(&self) -> &'static str;

    /// The reasons in which the server's ledger has to have its connections.
    fn ends_in(&self) -> &'static [&'static str];

    /// Whether it takes all the server has by what is allowed. The others then wait for their turn:
    /// their requests are answered, though not as fast as on a quiet server.
    fn saturates(&self) -> bool {
        false
    }

    /// Attacks until it is over; what was seen is in the arena's tally.
    fn run(&self, arena: Rc<Arena>) -> Run<'_>;
}

/// Every attack there is, in the order in which they run: the last ones leave most behind.
static ATTACKS: [&dyn Attack; 19] = [
    &slow::SlowlorisHead,
    &slow::SlowBody,
    &slow::StalledBody,
    &slow::ExpectNever,
    &slow::IdleFlood,
    &flood::HalfClose,
    &flood::ResetMidBody,
    &heads::OversizeHead,
    &heads::HeaderBomb,
    &heads::Garbage,
    &framing::Smuggling,
    &framing::ChunkBomb,
    &flood::PipelineFlood,
    &flood::ConnectionChurn,
    &websocket::BrokenFrames,
    &websocket::Fragments,
    &websocket::PingFlood,
    &unread::SlowRead,
    &unread::NoRead,
];

/// Runs after all others: it leaves nothing to attack with.
static LAST: &dyn Attack = &exhaustion::FdExhaustion;

fn all() -> impl Iterator<Item = &'static dyn Attack> {
    ATTACKS.iter().copied().chain([LAST])
}

/// Runs what the command line asks for.
pub(crate) fn run(args: AttackArgs) -> Result<ExitCode, Failure> {
    if args.list {
        crate::print(&report::render_list(all()));
        return Ok(ExitCode::SUCCESS);
    }
    let plan = AttackPlan::new(args)?;
    crate::open_files::make_room(plan.files_needed(), 1)?;
    crate::print(&report::render_plan(&plan));
    let result = campaign::run(&plan)?;
    crate::print(&report::render_result(&plan, &result));
    if let Some(path) = &plan.json {
        json::write(path, &plan, &result).map_err(|error| {
            UsageError::new(
                format!("--json {}", path.display()),
                format!("the file cannot be written: {error}"),
                "Give a path in a directory that exists and may be written to.",
            )
        })?;
    }
    let good = result.verdicts.iter().all(|verdict| {
        matches!(
            verdict.judgement(),
            Judgement::Passed | Judgement::Unverified
        )
    });
    Ok(if good && !result.is_interrupted {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
