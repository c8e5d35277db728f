//! UDP over loopback: what arrives, what is lost, and who is told.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{any_port, ms, poll_once, run, turns};
use monoloop_runtime::net::{UdpOptions, UdpSocket};
use monoloop_runtime::time::{self, timeout};
use monoloop_runtime::{Config, Runtime, spawn};
use std::cell::Cell;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;

/// Two sockets and their addresses.
fn two() -> ((UdpSocket, SocketAddr), (UdpSocket, SocketAddr)) {
    let open = || {
        let socket = UdpSocket::bind(any_port()).unwrap();
        let address = socket.local_addr().unwrap();
        (socket, address)
    };
    (open(), open())
}

/// Two sockets that are connected with each other.
fn pair() -> (UdpSocket, UdpSocket) {
    let ((mut one, here), (mut other, there)) = two();
    one.connect(there).unwrap();
    other.connect(here).unwrap();
    (one, other)
}

#[test]
fn datagrams_come_whole_with_the_address_of_who_sent_them() {
    run(async {
        let ((mut one, here), (mut other, there)) = two();
        one.send_to(b"hello", there).await.unwrap();
        one.send_to(b"", there).await.unwrap();
        one.send_to(b"world", there).await.unwrap();
        let (datagram, from) = other.receive_from().await.unwrap();
        assert_eq!((&*datagram, from), (&b"hello"[..], here));
        let (datagram, from) = other.receive_from().await.unwrap();
        assert_eq!((&*datagram, from), (&b""[..], here));
        let mut buffer = [0; 100];
        let (count, from) = other.read_from(&mut buffer).await.unwrap();
        assert_eq!((&buffer[..count], from), (&b"world"[..], here));
        other.send_to(b"back", from).await.unwrap();
        assert_eq!(&*one.receive().await.unwrap(), b"back");
    });
}

#[test]
fn a_connected_socket_hears_only_its_peer() {
    run(async {
        let ((mut one, here), (mut other, there)) = two();
        assert_eq!(one.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
        assert!(one.send(b"to whom?").await.is_err());
        one.connect(there).unwrap();
        assert_eq!(one.peer_addr().unwrap(), there);
        assert!(format!("{one:?}").contains(&there.to_string()));
        let mut stranger = UdpSocket::bind(any_port()).unwrap();
        stranger.send_to(b"psst", here).await.unwrap();
        other.send_to(b"hello", here).await.unwrap();
        assert_eq!(&*one.receive().await.unwrap(), b"hello");
        let mut buffer = [0; 8];
        let waits = timeout(ms(5), one.read(&mut buffer)).await;
        assert!(waits.is_err(), "nothing else comes");
        one.send(b"back").await.unwrap();
        let count = other.read(&mut buffer).await.unwrap();
        assert_eq!(&buffer[..count], b"back");
    });
}

#[test]
fn looking_at_a_datagram_leaves_it_there() {
    run(async {
        let ((mut one, here), (mut other, there)) = two();
        one.send_to(b"hello", there).await.unwrap();
        let mut buffer = [0; 3];
        for _ in 0..3 {
            assert_eq!(other.peek_from(&mut buffer).await.unwrap(), (3, here));
            assert_eq!(&buffer, b"hel");
        }
        assert_eq!(&*other.receive().await.unwrap(), b"hello");
        let mut peeking = Box::pin(other.peek_from(&mut buffer));
        assert!(poll_once(&mut peeking).await.is_pending());
        one.send_to(b"more", there).await.unwrap();
        assert_eq!(peeking.await.unwrap(), (3, here));
    });
}

#[test]
fn what_does_not_fit_the_buffer_is_lost_and_the_next_datagram_is_not() {
    let mut config = Config::default();
    config.receive_buffer_bytes = 4;
    let mut runtime = Runtime::builder().config(config).build().unwrap();
    runtime.block_on(async {
        let (mut one, mut other) = pair();
        for text in [&b"longer than four"[..], b"longer", b"next", b"x"] {
            one.send(text).await.unwrap();
        }
        let mut buffer = [0; 3];
        assert_eq!(&*other.receive().await.unwrap(), b"long");
        assert_eq!(other.read(&mut []).await.unwrap(), 0);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 3);
        assert_eq!(&buffer, b"lon");
        assert_eq!(&*other.receive().await.unwrap(), b"next");
        assert_eq!(&*other.receive().await.unwrap(), b"x");
    });
}

#[test]
fn many_datagrams_that_wait_are_received_in_order_without_being_reported_again() {
    run(async {
        let (mut one, mut other) = pair();
        for round in 0..3 {
            for number in 0..50u8 {
                one.send(&[round, number]).await.unwrap();
            }
            for number in 0..50u8 {
                assert_eq!(*other.receive().await.unwrap(), [round, number]);
            }
            let mut receiving = Box::pin(other.receive());
            assert!(poll_once(&mut receiving).await.is_pending());
        }
    });
}

#[test]
fn the_largest_datagram_passes_and_a_larger_one_is_refused() {
    run(async {
        let (mut one, mut other) = pair();
        // RFC 768 and 791: 65,535 bytes less the headers of UDP and IP.
        let bytes: Vec<u8> = (0..65_507).map(|n: u32| n as u8).collect();
        one.send(&bytes).await.unwrap();
        assert!(*other.receive().await.unwrap() == bytes);
        let error = one.send(&[0; 65_508]).await.unwrap_err();
        assert_ne!(error.kind(), ErrorKind::WouldBlock);
        one.send(b"goes on").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"goes on");
    });
}

#[test]
fn a_receive_that_is_dropped_while_it_waits_loses_nothing() {
    run(async {
        let ((mut one, _), (mut other, there)) = two();
        for round in 0..20u8 {
            {
                let mut receiving = Box::pin(other.receive_from());
                assert!(poll_once(&mut receiving).await.is_pending());
                one.send_to(&[round], there).await.unwrap();
                // It was woken for a datagram that it never takes.
                turns(usize::from(round % 3)).await;
            }
            assert_eq!(*other.receive().await.unwrap(), [round]);
        }
    });
}

#[test]
fn halves_receive_and_send_in_two_tasks_and_close_together() {
    let mut runtime = common::jumping();
    runtime.block_on(async {
        let ((one, here), (mut other, there)) = two();
        let (mut receiver, mut sender) = one.into_split();
        let receiving = spawn(async move {
            let (datagram, from) = receiver.receive_from().await.unwrap();
            (datagram.to_vec(), from)
        });
        turns(2).await;
        sender.send_to(b"question", there).await.unwrap();
        let (question, from) = other.receive_from().await.unwrap();
        assert_eq!((&*question, from), (&b"question"[..], here));
        other.send_to(b"answer", here).await.unwrap();
        assert_eq!(receiving.await.unwrap(), (b"answer".to_vec(), there));
        drop(other);
        drop(sender);
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn who_sends_to_nobody_is_told_at_the_next_call() {
    run(async {
        let ((mut one, _), (other, there)) = two();
        one.connect(there).unwrap();
        drop(other);
        one.send(b"anybody?").await.unwrap();
        let told = timeout(ms(1000), one.receive()).await.expect("it is told");
        assert_eq!(told.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        // Once; the socket stays usable.
        assert!(timeout(ms(5), one.receive()).await.is_err());
    });
}

#[test]
fn an_address_in_use_is_refused_unless_it_is_shared() {
    run(async {
        let (socket, address) = two().0;
        let error = UdpSocket::bind(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(socket);
        for options in [
            UdpOptions::default().reuse_port(true),
            UdpOptions::default().reuse_address(true),
        ] {
            let one = UdpSocket::bind_with(any_port(), &options).unwrap();
            let other = UdpSocket::bind_with(one.local_addr().unwrap(), &options).unwrap();
            assert_eq!(one.local_addr().unwrap(), other.local_addr().unwrap());
        }
    });
}

#[test]
fn no_descriptor_left_is_an_error_that_says_so() {
    common::child("no_descriptor_left_is_an_error_that_says_so", || {
        run(async {
            let mut open = Vec::new();
            rlimit::setrlimit(rlimit::Resource::NOFILE, 64, 64).unwrap();
            let error = loop {
                match UdpSocket::bind(any_port()) {
                    Ok(socket) => open.push(socket),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            open.pop();
            let mut last = UdpSocket::bind(any_port()).unwrap();
            let address = last.local_addr().unwrap();
            open[0].send_to(b"hello", address).await.unwrap();
            assert_eq!(&*last.receive().await.unwrap(), b"hello");
        });
    });
}

#[test]
fn a_task_on_a_socket_that_is_always_full_does_not_starve_a_ticker() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        // It sends to itself: whatever it takes out of the socket, it puts back.
        let (mut own, address) = two().0;
        own.connect(address).unwrap();
        for number in 0..10 {
            own.send(&[number]).await.unwrap();
        }
        let received = Rc::new(Cell::new(0u64));
        let flooded = spawn({
            let received = received.clone();
            async move {
                loop {
                    let datagram = own.receive().await.unwrap();
                    own.send(&datagram).await.unwrap();
                    received.set(received.get() + 1);
                }
            }
        });
        for _ in 0..20 {
            let before = received.get();
            time::sleep(ms(1)).await;
            assert!(received.get() > before, "both go on");
        }
        flooded.cancel();
        assert!(flooded.await.is_err());
    });
}

#[test]
fn options_are_those_of_the_system() {
    run(async {
        let (mut one, _) = two().0;
        assert!(!one.broadcast().unwrap());
        one.set_broadcast(true).unwrap();
        assert!(one.broadcast().unwrap());
        one.set_ttl(7).unwrap();
        assert_eq!(one.ttl().unwrap(), 7);
        one.set_multicast_ttl(2).unwrap();
        one.set_receive_buffer_bytes(64 * 1024).unwrap();
        one.set_send_buffer_bytes(64 * 1024).unwrap();
        let group = Ipv4Addr::new(127, 0, 0, 1);
        assert!(one.join_multicast_v4(group, Ipv4Addr::LOCALHOST).is_err());
        assert!(one.join_multicast_v6(Ipv6Addr::LOCALHOST, 0).is_err());
    });
}

#[test]
fn a_group_is_heard_from_joining_to_leaving() {
    run(async {
        // A group for this host only would need none of the network's (RFC 2365 §6.1).
        let group = Ipv4Addr::new(239, 255, 77, 7);
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let mut member = UdpSocket::bind(any).unwrap();
        let port = member.local_addr().unwrap().port();
        member
            .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        let mut sender = UdpSocket::bind(any_port()).unwrap();
        sender.set_multicast_loop(true).unwrap();
        let there = SocketAddr::from((group, port));
        sender.send_to(b"to all", there).await.unwrap();
        let came = timeout(ms(1000), member.receive()).await;
        assert_eq!(&*came.expect("it is a member").unwrap(), b"to all");
        member
            .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        let again = member.leave_multicast_v4(group, Ipv4Addr::LOCALHOST);
        assert!(again.is_err(), "it has left");
    });
}

#[test]
fn a_socket_of_the_standard_library_can_be_taken_over() {
    run(async {
        let socket = std::net::UdpSocket::bind(any_port()).unwrap();
        let address = socket.local_addr().unwrap();
        let (mut one, here) = two().0;
        // A datagram that waits already is seen.
        one.send_to(b"early", address).await.unwrap();
        let mut socket = UdpSocket::from_std(socket).unwrap();
        let (datagram, from) = socket.receive_from().await.unwrap();
        assert_eq!((&*datagram, from), (&b"early"[..], here));
    });
}
