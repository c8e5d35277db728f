//! What a test may do to the network, from inside of the world.
//!
//! # Panics
//! All functions here: outside of a simulated world.

use super::{Broken, Faults, Link, with_world};
use crate::driver::simulation::Simulation;
use std::net::{IpAddr, SocketAddr};

/// Cuts all ways between two groups of addresses. What is on its way waits, and is sent again
/// until the network [heals](heal): connects for 127 s, bytes for 924 s, then they fail with
/// `TimedOut`. Datagrams are lost.
#[track_caller]
pub fn partition(these: impl IntoIterator<Item = IpAddr>, those: impl IntoIterator<Item = IpAddr>) {
    let (these, those) = (these.into_iter().collect(), those.into_iter().collect());
    with_world(|world| world.partition(these, those));
}

/// Ends all partitions. Bytes that could not arrive do so at once; connects are tried again at
/// their next turn.
#[track_caller]
pub fn heal() {
    with_world(Simulation::heal);
}

/// Resets all connections.
#[track_caller]
pub fn reset_all() {
    with_world(|world| world.reset_where(|_| true));
}

/// Resets the connections that have an end at this address.
#[track_caller]
pub fn reset(end: SocketAddr) {
    with_world(|world| world.reset_where(|address| address == end));
}

/// Gives a name its addresses in this world, in the order in which they are answered, in place of
/// those it had; none makes it unknown.
///
/// Nothing but what a test names has a name here, not even `localhost`: asking for another fails
/// as it does where there is no such host. An answer takes the time of a
/// [job](super::Builder::blocking_takes), as [`lookup_host`](crate::net::lookup_host) is one.
///
/// ```
/// use monoloop_runtime::{net, sim};
///
/// sim::run(1, async {
///     sim::net::host("db.example", ["10.0.0.5".parse().unwrap()]);
///     let found = net::lookup_host("db.example", 5432).await.unwrap();
///     assert_eq!(found, ["10.0.0.5:5432".parse().unwrap()]);
///     assert!(net::lookup_host("typo.example", 5432).await.is_err());
/// });
/// ```
#[track_caller]
pub fn host(name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
    let addresses = addresses.into_iter().collect();
    with_world(|world| world.set_host(name, addresses));
}

/// Has the program at the end `address` of a connection, or at a datagram socket, read nothing any more: its reads wait, and
/// its peer can send until the [buffers](Link::buffer_bytes) are full.
#[track_caller]
pub fn stop_reading(address: SocketAddr) {
    with_world(|world| world.stop_reading(address));
}

/// Undoes [`stop_reading`].
#[track_caller]
pub fn resume_reading(address: SocketAddr) {
    with_world(|world| world.resume_reading(address));
}

/// Changes what goes wrong from now on.
///
/// # Panics
/// When a probability is none.
#[track_caller]
pub fn set_faults(faults: Faults) {
    assert!(faults.are_probabilities(), "probabilities are from 0 to 1");
    with_world(|world| world.set_faults(faults));
}

/// Changes what the ways are like from now on; the buffers of connections that exist stay.
///
/// # Panics
/// When there is no room for a single byte.
#[track_caller]
pub fn set_link(link: Link) {
    assert!(link.buffer_bytes > 0, "a link holds at least a byte");
    with_world(|world| world.set_link(link));
}

/// The connections that faults have broken so far, or have kept from being made, in order.
#[must_use]
#[track_caller]
pub fn broken() -> Vec<Broken> {
    with_world(|world| world.broken().to_vec())
}
