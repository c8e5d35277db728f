//! Timers as data: a hierarchical wheel. What waits on them is `time`.

mod wheel;

pub(crate) use wheel::{TimerKey, Wheel};
