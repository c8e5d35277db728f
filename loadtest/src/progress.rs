//! The line that shows, on a terminal, how the run is doing.

use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget};
use monoloop_runtime::{TaskHandle, spawn_named, time};

use crate::format;
use crate::load::{Load, Phase};

const PERIOD: Duration = Duration::from_millis(250);

/// The line while it is shown.
pub(crate) struct Progress {
    bar: ProgressBar,
    task: TaskHandle,
}

/// Shows a line on standard error if that is a terminal; in a pipe there is none.
pub(crate) fn start(load: &Rc<Load>) -> Progress {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    let task = spawn_named("progress", follow(Rc::clone(load), bar.clone()));
    Progress {
        bar,
        task: task.task(),
    }
}

impl Progress {
    /// Wipes the line.
    pub(crate) fn finish(self) {
        self.task.cancel();
        self.bar.finish_and_clear();
    }
}

async fn follow(load: Rc<Load>, bar: ProgressBar) {
    if bar.is_hidden() {
        return;
    }
    // Two spaces to the left keep it apart from the report.
    if let Ok(style) = indicatif::ProgressStyle::with_template("  {msg}") {
        bar.set_style(style);
    }
    let mut ticks = time::interval(PERIOD);
    let (mut seen_answers, mut seen_at) = (load.answers(), time::now());
    loop {
        let now = ticks.tick().await;
        let elapsed = now.saturating_duration_since(seen_at).as_secs_f64();
        let answers = load.answers();
        let per_second = if elapsed > 0.0 {
            (answers - seen_answers) as f64 / elapsed
        } else {
            0.0
        };
        (seen_answers, seen_at) = (answers, now);
        bar.set_message(describe(&load, per_second));
    }
}

fn describe(load: &Load, per_second: f64) -> String {
    let open = format::count(load.open() as u64);
    let all = format::count(load.plan.connections as u64);
    let phase = match load.phase() {
        Phase::Connecting => return format!("connecting: {open} of {all}"),
        Phase::WarmUp => "warming up",
        Phase::Measuring | Phase::Over => "measuring",
    };
    let answers = format::count(load.answers());
    let failed = format::count(load.record().failed.total());
    format!(
        "{phase}: {answers} answered, {}/s, {failed} failed, {open} of {all} connections open",
        format::rate(per_second)
    )
}
