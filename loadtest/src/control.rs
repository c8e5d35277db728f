//! A run from beginning to end: connect, warm up, measure, take the result.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use monoloop_proto::http1::Limits;
use monoloop_runtime::sync::remote;
use monoloop_runtime::{Runtime, signal, spawn_named, time};

use crate::answers::Answers;
use crate::connection;
use crate::cpu::CpuTime;
use crate::echo::{self, EchoAnswers};
use crate::http::HttpAnswers;
use crate::load::{Load, Phase};
use crate::outcome::{Ended, Outcome};
use crate::plan::{Plan, Stop, Work};
use crate::progress;
use crate::roster::NextDispatch;
use crate::server_watch::ServerWatch;

/// Attempts to connect that are under way at the same time while the run is set up.
const CONNECTING_MAX: usize = 256;
/// How often the set-up looks whether it may go on: a tick of the loop.
const SET_UP_PERIOD: Duration = Duration::from_millis(1);

/// Runs the plan on a loop of its own, on this thread.
///
/// # Errors
/// When the system refuses a loop or a signal handler; failures of the load are in the outcome.
pub(crate) fn run(plan: Plan) -> io::Result<Outcome> {
    run_until(plan, None)
}

/// Runs the plan as [`run`] does, without a progress line, and ends the measurement early when
/// something is sent through the channel, or when its other side is gone.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_until(plan: Plan, stop: Option<remote::Receiver<()>>) -> io::Result<Outcome> {
    let mut runtime = Runtime::new()?;
    runtime.block_on(async move {
        match plan.work.clone() {
            Work::Http(request) => {
                let limits = Rc::new(Limits::default());
                let (method, asks_to_close) = (request.method.clone(), request.asks_to_close);
                let fresh =
                    move || HttpAnswers::new(method.clone(), asks_to_close, Rc::clone(&limits));
                control(plan, &request.encoded, fresh, stop).await
            }
            Work::Echo { message_bytes } => {
                let message: Rc<[u8]> = echo::message(message_bytes).into();
                let answers = EchoAnswers::new(Rc::clone(&message));
                control(plan, &message, move || answers.clone(), stop).await
            }
        }
    })
}

async fn control<A: Answers + 'static>(
    plan: Plan,
    request: &[u8],
    fresh: impl Fn() -> A + Clone + 'static,
    stop: Option<remote::Receiver<()>>,
) -> io::Result<Outcome> {
    let server = ServerWatch::start(&plan.watched).await?;
    let load = Rc::new(Load::new(plan, request, time::now_precise()));
    watch_for_interrupt(&load)?;
    drop(spawn_named("sweep", connection::sweep(Rc::clone(&load))));
    if load.plan.rate.is_some() {
        let scheduler = spawn_named("scheduler", schedule(Rc::clone(&load)));
        load.roster.set_scheduler(scheduler.task());
    }
    let progress = match stop {
        Some(stop) => {
            watch_for_stop(&load, stop);
            None
        }
        None => Some(progress::start(&load)),
    };

    let set_up_at = time::now_precise();
    let mut ended = set_up(&load, fresh).await;
    let set_up = time::now_precise() - set_up_at;

    if ended.is_none() && !load.plan.warmup.is_zero() {
        let now = time::now_precise();
        load.start(Phase::WarmUp, now);
        ended = wait(&load, Some(now + load.plan.warmup))
            .await
            .or_interrupted();
    }
    let cpu_before = CpuTime::now();
    let started_at = time::now_precise();
    let ended = match ended {
        Some(ended) => ended,
        None => {
            load.start(Phase::Measuring, started_at);
            let until = match load.plan.stop {
                Stop::After(duration) => Some(started_at + duration),
                Stop::Requests(_) => None,
            };
            wait(&load, until).await.ended()
        }
    };
    let ended_at = time::now_precise();
    let was_measuring = load.is_measuring();
    load.end();
    if let Some(progress) = progress {
        progress.finish();
    }

    let (unsent, oldest_unsent) = if was_measuring {
        load.roster.unsent(ended_at)
    } else {
        (0, None)
    };
    let cpu = CpuTime::now().since(cpu_before);
    let (in_flight, open) = (load.in_flight(), load.open());
    let oldest_in_flight = load.roster.oldest_in_flight(ended_at);
    let record = load.take_record();
    let made = record.connections.connect.count();
    let server = server.end(&load, made).await;
    Ok(Outcome {
        ended,
        set_up,
        measured: if was_measuring {
            ended_at - started_at
        } else {
            Duration::ZERO
        },
        cpu,
        in_flight,
        oldest_in_flight,
        unsent,
        oldest_unsent,
        open,
        record,
        server,
        plan: load.plan.clone(),
    })
}

/// Makes the connections, no faster than the listener's backlog can be expected to bear, and
/// waits until each has been tried. `Some` when the run has ended meanwhile.
async fn set_up<A: Answers + 'static>(
    load: &Rc<Load>,
    fresh: impl Fn() -> A + Clone + 'static,
) -> Option<Ended> {
    let started_at = time::now_precise();
    let connections = load.plan.connections;
    let mut begun = 0;
    while begun < connections {
        let elapsed = time::now_precise() - started_at;
        let allowed = (elapsed.as_secs_f64() * load.plan.connect_rate) as usize + 1;
        let room = CONNECTING_MAX.saturating_sub(begun - load.settled());
        let end = connections.min(allowed).min(begun + room);
        for number in begun..end {
            let keep = connection::keep(Rc::clone(load), number, fresh.clone());
            load.roster
                .set_task(number, spawn_named("connection", keep).task());
        }
        begun = begun.max(end);
        if load.is_interrupted() {
            return Some(Ended::Interrupted);
        }
        if load.is_given_up() {
            return Some(Ended::GaveUp);
        }
        if begun < connections {
            time::sleep(SET_UP_PERIOD).await;
        }
    }
    wait_until(load, None, Load::is_settled)
        .await
        .or_interrupted()
}

/// Why a wait is over.
enum Waited {
    TimeIsUp,
    Done,
    Interrupted,
    GaveUp,
}

impl Waited {
    /// What it means for a phase that others follow.
    fn or_interrupted(self) -> Option<Ended> {
        match self {
            Self::TimeIsUp | Self::Done => None,
            Self::Interrupted => Some(Ended::Interrupted),
            Self::GaveUp => Some(Ended::GaveUp),
        }
    }

    /// What it means for the run.
    fn ended(self) -> Ended {
        match self {
            Self::TimeIsUp => Ended::Time,
            Self::Done => Ended::Requests,
            Self::Interrupted => Ended::Interrupted,
            Self::GaveUp => Ended::GaveUp,
        }
    }
}

async fn wait(load: &Load, until: Option<Instant>) -> Waited {
    wait_until(load, until, Load::is_complete).await
}

async fn wait_until(
    load: &Load,
    until: Option<Instant>,
    is_done: impl Fn(&Load) -> bool,
) -> Waited {
    let mut alarm = until.map(time::sleep_until);
    poll_fn(|cx| {
        load.set_controller(cx.waker());
        if load.is_interrupted() {
            return Poll::Ready(Waited::Interrupted);
        }
        if is_done(load) {
            return Poll::Ready(Waited::Done);
        }
        if load.is_stopped() {
            return Poll::Ready(Waited::TimeIsUp);
        }
        if load.is_given_up() {
            return Poll::Ready(Waited::GaveUp);
        }
        match &mut alarm {
            Some(alarm) => pin!(alarm).poll(cx).map(|()| Waited::TimeIsUp),
            None => Poll::Pending,
        }
    })
    .await
}

/// Hands out the requests of the open loop as they become due.
///
/// The loop's timers tick once a millisecond, so at more than 1,000 requests per second several are
/// handed out at once; each keeps the exact time at which it was due.
async fn schedule(load: Rc<Load>) {
    let mut alarm = time::sleep_until(time::now());
    poll_fn(|cx| -> Poll<()> {
        loop {
            match load.roster.dispatch(time::now_precise()) {
                NextDispatch::At(due) => {
                    alarm.reset(due);
                    if pin!(&mut alarm).poll(cx).is_pending() {
                        return Poll::Pending;
                    }
                }
                NextDispatch::Wake => return Poll::Pending,
            }
        }
    })
    .await;
}

fn watch_for_interrupt(load: &Rc<Load>) -> io::Result<()> {
    let mut signal = signal::shutdown()?;
    let load = Rc::clone(load);
    drop(spawn_named("interrupt", async move {
        signal.recv().await;
        load.interrupt();
    }));
    Ok(())
}

fn watch_for_stop(load: &Rc<Load>, mut stop: remote::Receiver<()>) {
    let load = Rc::clone(load);
    drop(spawn_named("stop", async move {
        // Whoever could have sent it and is gone does not want more either.
        let _ = stop.recv().await;
        load.stop();
    }));
}
