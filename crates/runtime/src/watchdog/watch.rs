//! Decides, from one look at the loop after the other, whether a step takes too long. Pure: it is
//! told the time.

use super::{Beat, Doing};
use std::time::{Duration, Instant};

/// Looks in the time that a step may take: what is told of its length is right to one of these.
const LOOKS_PER_BOUND: u32 = 8;

/// A step that goes on for so many bounds is reported while it lasts, and again each time that
/// has doubled. A shorter one is reported once, when it has ended and everything is known.
const BOUNDS_UNTIL_STUCK: u32 = 10;

pub(super) struct Watch {
    bound: Duration,
    last_look: Option<Instant>,
    seen: Option<Seen>,
}

/// What is to be done about what was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The loop rests, and so may the watchdog.
    Rest,
    LookAgain,
    /// This goes on for longer than it may. Said once.
    Caught(Seen),
    /// It still does.
    Stuck(Seen),
}

/// What the loop has been found doing, and since when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) beat: Beat,
    /// The last look at which it was not doing it yet.
    pub(super) before: Instant,
    /// The first look at which it was.
    pub(super) since: Instant,
    /// How long it goes on, at least.
    pub(super) lasts: Duration,
    /// When to speak next; `None` before it was caught.
    speak_at: Option<Duration>,
}

impl Watch {
    pub(super) fn new(bound: Duration) -> Self {
        Watch {
            bound,
            last_look: None,
            seen: None,
        }
    }

    /// Between two looks.
    pub(super) fn interval(&self) -> Duration {
        (self.bound / LOOKS_PER_BOUND).max(Duration::from_millis(1))
    }

    pub(super) fn look(&mut self, now: Instant, beat: Beat) -> Verdict {
        let before = self.last_look.replace(now).unwrap_or(now);
        // Who looks that late was kept from running, as the loop may have been: the process was
        // stopped, or its machine. That is no task's fault.
        let overslept = now.duration_since(before) > self.interval() + self.bound;
        match &mut self.seen {
            Some(seen) if seen.beat == beat && !overslept => {
                seen.lasts = now.duration_since(seen.since);
                Self::judge(self.bound, seen)
            }
            _ => {
                self.seen = Some(Seen {
                    beat,
                    before,
                    since: now,
                    lasts: Duration::ZERO,
                    speak_at: None,
                });
                Verdict::LookAgain
            }
        }
    }

    /// The time until now was the watchdog's own, for what a look led to.
    pub(super) fn resume(&mut self, now: Instant) {
        self.last_look = Some(now);
    }

    fn judge(bound: Duration, seen: &mut Seen) -> Verdict {
        match (seen.beat.doing, seen.speak_at) {
            (Doing::Nothing | Doing::Waiting, _) => Verdict::Rest,
            (Doing::Turning | Doing::Stepping(_), None) if seen.lasts >= bound => {
                seen.speak_at = Some(bound * BOUNDS_UNTIL_STUCK);
                Verdict::Caught(*seen)
            }
            (Doing::Turning | Doing::Stepping(_), Some(at)) if seen.lasts >= at => {
                seen.speak_at = Some(at.saturating_mul(2));
                Verdict::Stuck(*seen)
            }
            (Doing::Turning | Doing::Stepping(_), _) => Verdict::LookAgain,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task::TaskId;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    fn stepping(step: u64) -> Beat {
        Beat {
            step,
            doing: Doing::Stepping(TaskId::from_bits(1 << 32)),
        }
    }

    fn waiting(step: u64) -> Beat {
        Beat {
            step,
            doing: Doing::Waiting,
        }
    }

    /// Looks at the same again and again; what is said besides `LookAgain`, and when.
    fn said(
        watch: &mut Watch,
        start: Instant,
        until: Duration,
        beat: Beat,
    ) -> Vec<(u128, Verdict)> {
        let mut said = Vec::new();
        let mut at = Duration::ZERO;
        while at <= until {
            let verdict = watch.look(start + at, beat);
            if verdict != Verdict::LookAgain {
                said.push((at.as_millis(), verdict));
            }
            at += watch.interval();
        }
        said
    }

    #[test]
    fn a_step_is_caught_once_at_its_bound_and_called_stuck_at_ten_times_and_then_at_doublings() {
        let mut watch = Watch::new(ms(80));
        let start = crate::clock::read();
        let said = said(&mut watch, start, ms(4000), stepping(5));
        let times: Vec<u128> = said.iter().map(|(at, _)| *at).collect();
        assert_eq!(times, [80, 800, 1600, 3200]);
        assert!(matches!(said[0].1, Verdict::Caught(seen) if seen.lasts == ms(80)));
        assert!(matches!(said[1].1, Verdict::Stuck(seen) if seen.since == start));
    }

    #[test]
    fn a_loop_that_makes_progress_is_not_caught_however_busy_it_is() {
        let mut watch = Watch::new(ms(80));
        let start = crate::clock::read();
        for step in 0..100 {
            let now = start + ms(70) * u32::try_from(step).unwrap();
            assert_eq!(watch.look(now, stepping(step)), Verdict::LookAgain);
        }
    }

    #[test]
    fn a_loop_that_waits_is_never_caught_and_lets_the_watchdog_rest() {
        let mut watch = Watch::new(ms(80));
        let said = said(&mut watch, crate::clock::read(), ms(1000), waiting(5));
        assert_eq!(said.len(), 100);
        assert!(said.iter().all(|(_, verdict)| *verdict == Verdict::Rest));
    }

    #[test]
    fn the_beginning_of_a_step_lies_between_two_looks() {
        let mut watch = Watch::new(ms(80));
        let start = crate::clock::read();
        watch.look(start, waiting(4));
        let seen = said(&mut watch, start + ms(10), ms(80), stepping(5));
        let Verdict::Caught(seen) = seen[0].1 else {
            panic!("{seen:?}");
        };
        assert_eq!((seen.before, seen.since), (start, start + ms(10)));
    }

    #[test]
    fn what_the_watchdog_itself_takes_long_for_does_not_count_as_a_new_step() {
        let mut watch = Watch::new(ms(80));
        let start = crate::clock::read();
        assert!(matches!(
            said(&mut watch, start, ms(80), stepping(5))[..],
            [(80, Verdict::Caught(_))]
        ));
        watch.resume(start + ms(790));
        let verdict = watch.look(start + ms(800), stepping(5));
        assert!(matches!(verdict, Verdict::Stuck(seen) if seen.lasts == ms(800)));
    }

    #[test]
    fn a_machine_that_stood_still_is_not_held_against_a_step() {
        let mut watch = Watch::new(ms(80));
        let start = crate::clock::read();
        watch.look(start, stepping(5));
        assert_eq!(
            watch.look(start + ms(5000), stepping(5)),
            Verdict::LookAgain
        );
        let said = said(&mut watch, start + ms(5000), ms(80), stepping(5));
        assert!(matches!(said[..], [(80, Verdict::Caught(_))]));
    }
}
