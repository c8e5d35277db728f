//! The keys that bound what one peer may do, and what becomes of work that nobody waits for.

use super::{Config, TimeoutsConfig, choices, values};
use crate::bounds::Bounds;
use crate::{HalfClose, OnDisconnect, Shedding, Timeouts};
use serde::{Deserialize, Deserializer, Serialize};
use std::time::Duration;

/// What it means that a client goes away, and what becomes of its handler.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DisconnectConfig {
    /// What becomes of a handler whose client is gone. Default [`OnDisconnect::Cancel`].
    #[serde(with = "choices::on_disconnect")]
    pub handler: OnDisconnect,
    /// What a client means that closes its sending half. Default [`HalfClose::StillReads`].
    #[serde(with = "choices::half_close")]
    pub half_close: HalfClose,
}

/// Turning requests away while they wait too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OverloadConfig {
    /// How long requests may wait for their first step before some are answered 503. `None`, written
    /// `"off"` and the default: for ever. From 2 ms, below which the loop's timers see nothing.
    #[serde(
        serialize_with = "values::timeout::serialize",
        deserialize_with = "queue_delay_or_off"
    )]
    pub queue_delay_max: Option<Duration>,
    /// How long is looked at before anything is changed. Default 100 ms, as CoDel has it (RFC 8289
    /// §4.3). From 10 ms, in which it is looked ten times.
    #[serde(
        serialize_with = "values::duration::serialize",
        deserialize_with = "interval"
    )]
    pub interval: Duration,
}

impl Default for OverloadConfig {
    fn default() -> Self {
        OverloadConfig {
            queue_delay_max: None,
            interval: Duration::from_millis(100),
        }
    }
}

/// The shortest delay that is told from none, and the shortest time in which it is looked at often
/// enough.
const QUEUE_DELAY_MIN: Duration = Duration::from_millis(2);
const INTERVAL_MIN: Duration = Duration::from_millis(10);

fn queue_delay_or_off<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    values::read(from, |value| match value.as_str() {
        Some("off") => Ok(None),
        _ => values::duration::parse(value, QUEUE_DELAY_MIN)
            .map(Some)
            .ok_or_else(|| {
                "expected a duration with its unit from 2ms to 24h, as in \"50ms\", or \"off\""
                    .to_owned()
            }),
    })
}

fn interval<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    values::read(from, |value| {
        values::duration::parse(value, INTERVAL_MIN).ok_or_else(|| {
            "expected a duration with its unit from 10ms to 24h, as in \"100ms\"".to_owned()
        })
    })
}

impl Config {
    /// What each loop is told.
    pub(crate) fn bounds(&self) -> Bounds {
        let limits = &self.limits;
        let overload = &self.overload;
        Bounds {
            connections_max: limits.connections_max as usize,
            connections_per_peer_max: limits.connections_per_peer_max,
            requests_per_connection_max: limits.requests_per_connection_max.unwrap_or(u32::MAX),
            response_buffer_bytes_max: limits.response_buffer_bytes_max as usize,
            on_disconnect: self.disconnect.handler,
            half_close: self.disconnect.half_close,
            shedding: overload.queue_delay_max.map(|delay| Shedding {
                queue_delay_max: delay,
                interval: overload.interval,
            }),
        }
    }
}

impl From<&TimeoutsConfig> for Timeouts {
    fn from(config: &TimeoutsConfig) -> Self {
        Timeouts {
            head: config.head,
            idle: config.idle,
            body: config.body,
            body_bytes_per_second_min: config.body_bytes_per_second_min,
            handler: config.handler,
            write: config.write,
            write_bytes_per_second_min: config.write_bytes_per_second_min,
            tls_handshake: config.tls_handshake,
        }
    }
}
