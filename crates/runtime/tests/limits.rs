//! What happens when descriptors run out, in a child process that has few.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{any_port, child, ms, poll_once};
use monoloop_runtime::net::{TcpListener, TcpStream};
use monoloop_runtime::{Runtime, spawn, spawn_blocking, time};

#[test]
fn accepting_goes_on_when_there_are_descriptors_again() {
    child("accepting_goes_on_when_there_are_descriptors_again", || {
        rlimit::Resource::NOFILE.set(64, 64).unwrap();
        let mut runtime = Runtime::new().unwrap();
        runtime.block_on(async {
            let mut listener = TcpListener::bind(any_port()).unwrap();
            let address = listener.local_addr().unwrap();
            let mut peers = Vec::new();
            let exhausted = loop {
                match std::net::TcpStream::connect(address) {
                    Ok(peer) => peers.push(peer),
                    Err(error) => break error,
                }
            };
            assert!(peers.len() > 30, "{} connected", peers.len());
            let refused = listener.accept().await.unwrap_err();
            assert_eq!(refused.raw_os_error(), exhausted.raw_os_error());
            assert!(TcpStream::connect(address).await.is_err());
            // It is not forgotten, and says so each time.
            assert!(listener.accept().await.is_err());

            // All of them are answered, one descriptor at a time.
            let waiting = peers.len();
            for _ in 0..waiting {
                drop(peers.pop());
                drop(listener.accept().await.unwrap());
            }
            let mut accepting = Box::pin(listener.accept());
            assert!(poll_once(&mut accepting).await.is_pending());
            let _peer = std::net::TcpStream::connect(address).unwrap();
            let accepted = time::timeout(ms(5000), accepting).await;
            accepted.expect("it waits for new ones as before").unwrap();
        });
        common::assert_balance(&mut runtime);
    });
}

#[test]
fn a_loop_that_cannot_have_a_descriptor_is_an_error_and_the_thread_can_try_again() {
    let name = "a_loop_that_cannot_have_a_descriptor_is_an_error_and_the_thread_can_try_again";
    child(name, || {
        let before = rlimit::Resource::NOFILE.get().unwrap();
        rlimit::Resource::NOFILE.set(0, before.1).unwrap();
        let error = Runtime::new().unwrap_err();
        assert_ne!(error.kind(), std::io::ErrorKind::AlreadyExists);
        rlimit::Resource::NOFILE.set(before.0, before.1).unwrap();
        assert_eq!(Runtime::new().unwrap().block_on(async { 7 }), 7);
    });
}

#[test]
fn a_loop_that_is_dropped_gives_everything_back_whatever_was_left_on_it() {
    let name = "a_loop_that_is_dropped_gives_everything_back_whatever_was_left_on_it";
    child(name, || {
        rlimit::Resource::NOFILE.set(64, 64).unwrap();
        for _ in 0..100 {
            let mut runtime = Runtime::new().unwrap();
            runtime.block_on(async {
                let (one, mut other) = common::pair().await;
                let waiting = spawn(async move { other.receive().await.map(drop) });
                let (read, mut write) = one.into_split();
                // Each holds the loop: a handle, a timer, a half of a socket, a job.
                drop(spawn(async move {
                    let _held = (waiting, read);
                    time::sleep(ms(1_000_000)).await;
                }));
                drop(spawn(async move {
                    let _job = spawn_blocking(|| ());
                    write.write_all(&vec![0; 1 << 24]).await
                }));
                common::turns(3).await;
            });
        }
    });
}
