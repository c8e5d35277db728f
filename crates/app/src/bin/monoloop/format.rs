//! Times, names and texts as people read them.

use monoloop::introspect::{LoopReport, LoopState, Report, TaskReport};
use std::collections::BTreeMap;

/// At most three digits that count, and the unit: `640us`, `1.5ms`, `12.3s`, `4m10s`.
pub(crate) fn time(micros: u64) -> String {
    let with_fraction = |value: f64, unit| match value {
        value if value < 9.95 => format!("{value:.1}{unit}"),
        value => format!("{value:.0}{unit}"),
    };
    match micros {
        0..1_000 => format!("{micros}us"),
        1_000..999_500 => with_fraction(micros as f64 / 1e3, "ms"),
        999_500..100_000_000 => format!("{:.1}s", micros as f64 / 1e6),
        _ => {
            let seconds = micros / 1_000_000;
            match seconds {
                0..6_000 => format!("{}m{:02}s", seconds / 60, seconds % 60),
                6_000..172_800 => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
                _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3600 % 24),
            }
        }
    }
}

pub(crate) fn time_or_dash(micros: Option<u64>) -> String {
    micros.map_or_else(|| "-".to_owned(), time)
}

/// A text of the server's, made harmless for a terminal.
pub(crate) fn text(text: &str) -> String {
    match text.chars().any(char::is_control) {
        true => text.escape_debug().to_string(),
        false => text.to_owned(),
    }
}

/// The name of a task; of one that has none, the place where it was spawned.
pub(crate) fn name(name: Option<&str>, place: &str) -> String {
    match name {
        Some(name) => text(name),
        None => format!("({})", short_place(place)),
    }
}

/// The last two parts of the path, and the line.
fn short_place(place: &str) -> String {
    let place = match place.rsplit_once(':') {
        Some((line, _column)) => line,
        None => place,
    };
    let parts: Vec<&str> = place.split(['/', '\\']).collect();
    text(&parts[parts.len().saturating_sub(2)..].join("/"))
}

/// `17.3`, or with the loop when there are several: `1/17.3`.
pub(crate) fn id(report: &Report, number: usize, id: &str) -> String {
    match report.loops.len() {
        0 | 1 => id.to_owned(),
        _ => format!("{number}/{id}"),
    }
}

pub(crate) fn waits_on(task: &TaskReport) -> String {
    if let Some(reason) = &task.cancelled {
        return format!("(asked to end: {})", text(reason));
    }
    let waits: Vec<String> = task.waits_on.iter().map(|wait| text(&wait.text)).collect();
    match waits.is_empty() {
        true => "-".to_owned(),
        false => waits.join(", "),
    }
}

pub(crate) fn context(context: &BTreeMap<String, String>) -> String {
    let variables: Vec<String> = context
        .iter()
        .map(|(name, value)| format!("{}={}", text(name), text(value)))
        .collect();
    variables.join(" ")
}

/// What has to be said of a loop before its tasks are shown: nothing when all is well.
pub(crate) fn warning(report: &Report, of: &LoopReport) -> Option<String> {
    if of.state == LoopState::Turning {
        return None;
    }
    let stuck = of.stuck.as_ref()?;
    let which = match report.loops.len() {
        0 | 1 => String::new(),
        _ => format!("loop {}: ", of.number),
    };
    let behind = match stuck.waiting_behind {
        0 => String::new(),
        count => format!("; {count} tasks were ready behind it"),
    };
    let tasks = match of.age_us {
        None => "no tasks are known: nobody had asked before".to_owned(),
        Some(age) => format!("tasks as they were {} ago", time(age)),
    };
    Some(format!("{which}{}{behind}; {tasks}", text(&stuck.message)))
}

/// Where a loop is stuck, a line each; empty when all is well, or nobody knows.
pub(crate) fn stack(of: &LoopReport) -> Vec<String> {
    let stuck = of.stuck.iter().filter(|_| of.state != LoopState::Turning);
    let calls = stuck.flat_map(|stuck| &stuck.stack);
    calls.map(|call| format!("  in {}", text(call))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_the_unit_that_fits() {
        let times = [
            (0, "0us"),
            (999, "999us"),
            (1_000, "1.0ms"),
            (9_949, "9.9ms"),
            (12_345, "12ms"),
            (999_499, "999ms"),
            (999_500, "1.0s"),
            (61_250_000, "61.2s"),
            (100_000_000, "1m40s"),
            (7_200_000_000, "2h00m"),
            (200_000_000_000, "2d07h"),
        ];
        for (micros, expected) in times {
            assert_eq!(time(micros), expected);
        }
    }

    #[test]
    fn what_would_move_the_cursor_is_escaped() {
        assert_eq!(text("a b"), "a b");
        assert_eq!(text("a\x1b[2Jb"), "a\\u{1b}[2Jb");
    }

    #[test]
    fn a_task_without_a_name_is_called_by_its_place() {
        assert_eq!(name(Some("accept"), "src/a.rs:1:2"), "accept");
        assert_eq!(
            name(None, "/home/x/app/src/accept.rs:117:16"),
            "(src/accept.rs:117)"
        );
        assert_eq!(name(None, "main.rs:3:4"), "(main.rs:3)");
    }
}
