//! A server that runs out of descriptors. The only test of this program, because the limit is
//! that of the process.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

mod server_common;

use monoloop::net::TcpStream;
use monoloop::time::{self, sleep};
use monoloop::{Router, Shutdown};
use server_common::{
    Client, assert_accounted, assert_balance, get, ms, patient_server, quiet, secs, serve_with,
    server,
};

fn app() -> Router {
    Router::new().get("/", |_| async { "root" })
}

#[test]
fn server_without_descriptors_rests_and_accepts_again_when_there_are_some() {
    let (soft, hard) = rlimit::Resource::NOFILE.get().unwrap();
    serve_with(&patient_server(), app, async |site| {
        site.get("/").await.assert_kept(200);
        // The clients' ends of connections that will be accepted once there is room again.
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(std::net::TcpStream::connect(site.address).unwrap());
        }
        quiet().await;
        let mut held = Vec::new();
        // More than there are holes among the numbers in use: in which order sockets were closed
        // and opened is the driver's affair.
        let open = |_| std::fs::File::open("/dev/null").unwrap();
        let in_use: Vec<_> = (0..64).map(open).collect();
        let numbers = in_use.iter().map(std::os::fd::AsRawFd::as_raw_fd);
        let highest = numbers.max().unwrap() as u64;
        rlimit::Resource::NOFILE.set(highest + 4, hard).unwrap();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }

        // One descriptor for the client, none for the server.
        drop(held.pop());
        let mut waiting = Client::new(TcpStream::connect(site.address).await.unwrap());
        waiting.send(get("/")).await;
        // If accepting was tried all the time, no time would pass.
        let began_at = time::now();
        sleep(secs(10)).await;
        assert_eq!((time::now() - began_at).as_secs(), 10);
        assert_eq!(waiting.take_what_came().await, "");

        // Descriptors come back that are not ours: found by trying, soon.
        let began_at = time::now();
        drop(held.pop());
        waiting.answer().await.assert_kept(200);
        assert!(time::now() - began_at <= ms(200));

        // One of our own connections closes: found at once.
        drop(held.pop());
        let mut second = Client::new(TcpStream::connect(site.address).await.unwrap());
        second.send(get("/")).await;
        quiet().await;
        assert_eq!(second.take_what_came().await, "");
        let began_at = time::now();
        drop(clients.pop());
        second.answer().await.assert_kept(200);
        assert!(
            time::now() - began_at <= ms(5),
            "{:?}",
            time::now() - began_at
        );
        drop((held, clients));
    });

    // The drain of a server that has none ends all the same, and answers what it can.
    let mut runtime = monoloop::Runtime::builder()
        .clock(monoloop::ClockMode::Jumping)
        .build()
        .unwrap();
    let report = runtime.block_on(async {
        let shutdown = Shutdown::new();
        let serving = server().spawn(app, &shutdown).unwrap();
        let address = serving.local_addr();
        let mut idle = Client::new(TcpStream::connect(address).await.unwrap());
        idle.get("/").await.assert_kept(200);
        let mut held = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            held.push(file);
        }
        drop(held.pop());
        let mut waiting = Client::new(TcpStream::connect(address).await.unwrap());
        waiting.send(get("/")).await;
        quiet().await;
        shutdown.drain();
        // The idle one closes and leaves its descriptor to the one that waits.
        idle.assert_closed().await;
        waiting.answer().await.assert_last(200);
        drop((idle, waiting));

        let ledger = serving.ledger();
        let report = serving.wait().await;
        assert_accounted(&ledger);
        report
    });
    assert_eq!(report.forced, 0);
    rlimit::Resource::NOFILE.set(soft, hard).unwrap();
    assert_balance(&mut runtime);
}
