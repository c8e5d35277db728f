//! Every fault of the simulated network, and what a program sees of it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{ms, poll_once};
use monoloop_runtime::net::{ConnectOptions, TcpListener, TcpStream};
use monoloop_runtime::sim::{self, Builder, Fault, Faults, Link};
use monoloop_runtime::{spawn, time};
use std::io::ErrorKind;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

fn server() -> SocketAddr {
    "10.0.0.1:80".parse().unwrap()
}

fn client() -> SocketAddr {
    "10.0.0.2:5000".parse().unwrap()
}

fn ips() -> ([IpAddr; 1], [IpAddr; 1]) {
    ([client().ip()], [server().ip()])
}

async fn connect() -> std::io::Result<TcpStream> {
    let options = ConnectOptions::default().local_addr(client());
    TcpStream::connect_with(server(), &options).await
}

/// The end that connected and the end that was accepted.
async fn pair() -> (TcpStream, TcpStream) {
    let mut listener = TcpListener::bind(server()).unwrap();
    let connecting = spawn(connect());
    let (accepted, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, client());
    (connecting.await.unwrap().unwrap(), accepted)
}

fn faults_of_all() -> Vec<Fault> {
    sim::net::broken()
        .iter()
        .map(|broken| broken.fault)
        .collect()
}

fn always(set: impl FnOnce(&mut Faults)) -> Faults {
    let mut faults = Faults::default();
    set(&mut faults);
    faults
}

#[test]
fn reads_bring_a_single_byte_and_writes_take_a_part() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        sim::net::set_faults(always(|faults| faults.partial_writes = 1.0));
        let taken = client.write(&[7; 1000]).await.unwrap();
        assert!((1..1000).contains(&taken), "{taken}");
        sim::net::set_faults(always(|faults| faults.one_byte_reads = 1.0));
        for _ in 0..taken {
            assert_eq!(&*server.receive().await.unwrap(), [7]);
        }
        client.shutdown(Shutdown::Write).unwrap();
        assert!(server.receive().await.unwrap().is_empty());
    });
}

#[test]
fn a_connect_is_refused_finds_no_way_or_no_descriptor() {
    let cases: [(Faults, Option<ErrorKind>, Fault); 3] = [
        (
            always(|faults| faults.refusals = 1.0),
            Some(ErrorKind::ConnectionRefused),
            Fault::Refused,
        ),
        (
            always(|faults| faults.unreachable = 1.0),
            Some(ErrorKind::HostUnreachable),
            Fault::Unreachable,
        ),
        (
            always(|faults| faults.connect_failures = 1.0),
            None,
            Fault::ConnectFailed,
        ),
    ];
    for (faults, kind, fault) in cases {
        Builder::new().faults(faults).run(1, async {
            let _listener = TcpListener::bind(server()).unwrap();
            let error = connect().await.unwrap_err();
            match kind {
                Some(kind) => assert_eq!(error.kind(), kind),
                None => assert!(error.raw_os_error().is_some(), "{error}"),
            }
            let broken = sim::net::broken();
            assert_eq!((broken.len(), broken[0].fault), (1, fault));
            assert_eq!((broken[0].client, broken[0].server), (client(), server()));
        });
    }
}

#[test]
fn a_connect_to_nobody_is_refused_and_no_fault_explains_it() {
    sim::run(1, async {
        let error = connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(faults_of_all(), []);
    });
}

#[test]
fn an_accept_without_descriptor_leaves_the_connection_in_the_backlog() {
    sim::run(1, async {
        let mut listener = TcpListener::bind(server()).unwrap();
        let connecting = spawn(connect());
        sim::net::set_faults(always(|faults| faults.accept_failures = 1.0));
        for _ in 0..3 {
            let error = listener.accept().await.unwrap_err();
            assert!(error.raw_os_error().is_some(), "{error}");
        }
        sim::net::set_faults(Faults::default());
        listener.accept().await.unwrap();
        connecting.await.unwrap().unwrap();
    });
}

#[test]
fn descriptors_come_back_when_sockets_close() {
    Builder::new().descriptors_max(2).run(1, async {
        let mut listener = TcpListener::bind(server()).unwrap();
        let stream = connect().await.unwrap();
        assert!(listener.accept().await.is_err());
        assert!(TcpStream::connect(server()).await.is_err());
        drop(stream);
        assert!(listener.accept().await.is_ok());
    });
}

#[test]
fn a_reset_reaches_both_ends() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        sim::net::set_faults(always(|faults| faults.resets = 1.0));
        client.write_all(b"x").await.unwrap();
        for stream in [&mut server, &mut client] {
            let error = stream.receive().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionReset);
            assert!(stream.receive().await.unwrap().is_empty());
            let error = stream.write(b"y").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
        assert_eq!(faults_of_all(), [Fault::Reset]);
    });
}

#[test]
fn all_connections_are_reset_by_hand_and_each_is_recorded_once() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        let receiving = spawn(async move { server.receive().await.map(|chunk| chunk.len()) });
        time::sleep(ms(10)).await;
        sim::net::reset(SocketAddr::from(([1, 2, 3, 4], 5)));
        assert_eq!(faults_of_all(), []);
        sim::net::reset_all();
        let error = receiving.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
        assert!(client.receive().await.is_err());
        assert_eq!(faults_of_all(), [Fault::Reset]);
    });
}

#[test]
fn a_peer_that_stops_reading_fills_the_buffers_and_goes_on_when_it_may() {
    let link = Link {
        buffer_bytes: 1000,
        ..Link::default()
    };
    Builder::new().link(link).run(1, async {
        let (mut client, mut server) = pair().await;
        sim::net::stop_reading(self::client());
        let reading = spawn(async move {
            let mut came = 0;
            while came < 5000 {
                came += client.receive().await.unwrap().len();
            }
        });
        assert_eq!(server.write(&[1; 5000]).await.unwrap(), 1000);
        let blocked = time::timeout(Duration::from_secs(3600), server.write(b"x")).await;
        assert!(blocked.is_err());
        sim::net::resume_reading(self::client());
        server.write_all(&[1; 4000]).await.unwrap();
        reading.await.unwrap();
    });
}

#[test]
fn a_partition_holds_bytes_back_until_it_heals_and_their_order_stays() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        let (these, those) = ips();
        client.write_all(b"one ").await.unwrap();
        sim::net::partition(these, those);
        client.write_all(b"two ").await.unwrap();
        let nothing = time::timeout(Duration::from_secs(600), server.receive()).await;
        assert!(nothing.is_err());
        client.write_all(b"three").await.unwrap();
        sim::net::heal();
        let mut came = Vec::new();
        while came.len() < 13 {
            came.extend_from_slice(&server.receive().await.unwrap());
        }
        assert_eq!(came, b"one two three");
        assert_eq!(faults_of_all(), []);
    });
}

#[test]
fn who_sends_into_a_partition_gives_up_after_a_quarter_of_an_hour_and_who_listens_never_learns() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        let (these, those) = ips();
        sim::net::partition(those, these);
        client.write_all(b"lost").await.unwrap();
        let began = sim::elapsed();
        let error = client.receive().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        let took = (sim::elapsed() - began).as_secs();
        assert_eq!(took, 924);
        sim::net::heal();
        let mut receiving = Box::pin(server.receive());
        assert!(poll_once(&mut receiving).await.is_pending());
        assert_eq!(faults_of_all(), [Fault::TimedOut]);
    });
}

#[test]
fn a_connect_into_a_partition_is_tried_again_and_given_up_after_two_minutes() {
    sim::run(1, async {
        let mut listener = TcpListener::bind(server()).unwrap();
        let (these, those) = ips();
        sim::net::partition(these, those);
        let error = connect().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert_eq!(sim::elapsed().as_secs(), 127);
        assert_eq!(faults_of_all(), [Fault::TimedOut]);
        // Others are not concerned.
        drop(TcpStream::connect(server()).await.unwrap());
        listener.accept().await.unwrap();
        let connecting = spawn(connect());
        time::sleep(Duration::from_secs(5)).await;
        sim::net::heal();
        listener.accept().await.unwrap();
        connecting.await.unwrap().unwrap();
    });
}

#[test]
fn a_connect_to_a_full_backlog_waits_until_there_is_room() {
    sim::run(1, async {
        let options = monoloop_runtime::net::ListenOptions::default().backlog(1);
        let mut listener = TcpListener::bind_with(server(), &options).unwrap();
        let _first = TcpStream::connect(server()).await.unwrap();
        let second = spawn(connect());
        time::sleep(ms(500)).await;
        assert!(!second.is_finished());
        listener.accept().await.unwrap();
        let _second = second.await.unwrap().unwrap();
        assert_eq!(listener.accept().await.unwrap().1, client());
    });
}

#[test]
fn a_half_closed_connection_carries_the_other_direction() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        client.write_all(b"question").await.unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(&*server.receive().await.unwrap(), b"question");
        assert!(server.receive().await.unwrap().is_empty());
        time::sleep(Duration::from_secs(60)).await;
        server.write_all(b"answer").await.unwrap();
        drop(server);
        assert_eq!(&*client.receive().await.unwrap(), b"answer");
        assert!(client.receive().await.unwrap().is_empty());
    });
}

#[test]
fn writing_to_who_has_closed_works_once_and_then_breaks() {
    sim::run(1, async {
        let (mut client, server) = pair().await;
        drop(server);
        assert!(client.receive().await.unwrap().is_empty());
        client.write_all(b"x").await.unwrap();
        time::sleep(ms(10)).await;
        let error = client.write_all(b"y").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_lost_segment_comes_with_its_retransmission() {
    sim::run(1, async {
        let (mut client, mut server) = pair().await;
        sim::net::set_faults(always(|faults| faults.losses = 1.0));
        let began = sim::elapsed();
        client.write_all(b"x").await.unwrap();
        sim::net::set_faults(Faults::default());
        assert_eq!(&*server.receive().await.unwrap(), b"x");
        assert!(sim::elapsed() - began >= sim::RETRANSMISSION);
    });
}

#[test]
fn a_listener_that_closes_resets_its_backlog() {
    sim::run(1, async {
        let listener = TcpListener::bind(server()).unwrap();
        let mut stream = connect().await.unwrap();
        drop(listener);
        let error = stream.receive().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_host_has_some_28000_ports_for_each_pair_of_addresses() {
    sim::run(1, async {
        let _listener = TcpListener::bind_with(
            server(),
            &monoloop_runtime::net::ListenOptions::default().backlog(100_000),
        )
        .unwrap();
        let mut streams = Vec::new();
        let error = loop {
            match TcpStream::connect(server()).await {
                Ok(stream) => streams.push(stream),
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
        assert_eq!(streams.len(), 28_232);
    });
}
