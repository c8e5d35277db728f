//! TCP over loopback: what arrives, what is lost, and who is told.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{any_port, assert_balance, jumping, ms, pair, poll_once, run, turns, with_plain_peer};
use futures_util::future::join;
use monoloop_runtime::net::{
    Chunk, ConnectOptions, ListenOptions, OwnedReadHalf, TcpListener, TcpStream,
};
use monoloop_runtime::time::{self, timeout};
use monoloop_runtime::{Config, Runtime, spawn, yield_now};
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Reads to the end.
async fn rest(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let chunk = stream.receive().await?;
        if chunk.is_empty() {
            return Ok(all);
        }
        all.extend_from_slice(&chunk);
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

#[test]
fn the_two_ends_know_each_others_addresses() {
    run(async {
        let mut listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        let connecting = spawn(TcpStream::connect(address));
        let (server, peer) = listener.accept().await.unwrap();
        let client = connecting.await.unwrap().unwrap();
        assert_eq!(client.peer_addr().unwrap(), address);
        assert_eq!(client.local_addr().unwrap(), peer);
        assert_eq!(server.peer_addr().unwrap(), peer);
        assert_eq!(server.local_addr().unwrap(), address);
        assert!(format!("{listener:?}{server:?}").contains(&address.to_string()));
    });
}

#[test]
fn a_connection_may_start_from_a_given_address() {
    run(async {
        let mut listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let from: SocketAddr = "127.0.0.77:0".parse().unwrap();
        let options = ConnectOptions::default().local_addr(from);
        let client = TcpStream::connect_with(address, &options).await.unwrap();
        let (_server, peer) = listener.accept().await.unwrap();
        assert_eq!(peer.ip(), from.ip());
        assert_eq!(client.local_addr().unwrap(), peer);
    });
}

#[test]
fn a_connection_that_nobody_accepts_is_refused() {
    run(async {
        let listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let error = TcpStream::connect(address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let from = ConnectOptions::default().local_addr(any_port());
        let error = TcpStream::connect_with(address, &from).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn an_address_in_use_is_refused_unless_the_port_is_shared() {
    run(async {
        let listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let error = TcpListener::bind(address).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);

        let shared = ListenOptions::default().reuse_port(true);
        let one = TcpListener::bind_with(any_port(), &shared).unwrap();
        let other = TcpListener::bind_with(one.local_addr().unwrap(), &shared).unwrap();
        assert_eq!(one.local_addr().unwrap(), other.local_addr().unwrap());
    });
}

#[test]
fn a_listener_of_the_standard_library_can_be_taken_over() {
    run(async {
        let listener = std::net::TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        // A connection that waits already is seen.
        let _peer = std::net::TcpStream::connect(address).unwrap();
        let mut listener = TcpListener::from_std(listener).unwrap();
        listener.accept().await.unwrap();
    });
}

#[test]
#[cfg(target_os = "linux")]
fn a_listener_that_ignores_new_connections_still_accepts_those_it_had() {
    run(async {
        let mut listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = TcpStream::connect(address).await.unwrap();
        listener.ignore_new_connections().unwrap();
        let late = timeout(ms(500), TcpStream::connect(address)).await;
        assert!(late.is_err(), "{late:?}");

        let (mut accepted, _) = listener.accept().await.unwrap();
        waiting.write_all(b"ask").await.unwrap();
        assert_eq!(&*accepted.receive().await.unwrap(), b"ask");
        accepted.write_all(b"answer").await.unwrap();
        accepted.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut waiting).await.unwrap(), b"answer");
        let nobody = timeout(ms(500), listener.accept()).await;
        assert!(nobody.is_err(), "{nobody:?}");
    });
}

#[test]
fn bytes_come_in_the_order_they_were_sent_by_any_kind_of_write() {
    run(async {
        let (mut one, mut other) = pair().await;
        let count = one.write(b"ab").await.unwrap();
        assert_eq!(count, 2);
        one.write_all(b"cd").await.unwrap();
        let parts = [IoSlice::new(b"e"), IoSlice::new(b""), IoSlice::new(b"fg")];
        assert_eq!(one.write_vectored(&parts).await.unwrap(), 3);
        let mut parts = [IoSlice::new(b""), IoSlice::new(b"hi"), IoSlice::new(b"j")];
        one.write_all_vectored(&mut parts).await.unwrap();
        one.write_all_vectored(&mut []).await.unwrap();
        one.write_all(b"").await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut other).await.unwrap(), b"abcdefghij");
    });
}

#[test]
fn more_slices_than_the_system_takes_at_once_are_all_written() {
    // The system takes 1,024 at a time: the write is short though the socket has room.
    run(async {
        for turned in [false, true] {
            let (one, other) = pair().await;
            let (mut writer, mut reader) = if turned { (other, one) } else { (one, other) };
            let bytes = pattern(5000);
            let mut slices: Vec<_> = bytes
                .iter()
                .map(std::slice::from_ref)
                .map(IoSlice::new)
                .collect();
            let writing = timeout(ms(1000), writer.write_all_vectored(&mut slices));
            writing.await.expect("there is room").unwrap();
            drop(writer);
            assert_eq!(rest(&mut reader).await.unwrap(), bytes);
        }
    });
}

#[test]
fn reading_takes_what_is_there_and_leaves_the_rest() {
    run(async {
        let (mut one, mut other) = pair().await;
        one.write_all(b"hello world").await.unwrap();
        let mut buffer = [0; 5];
        assert_eq!(other.read(&mut []).await.unwrap(), 0);
        assert_eq!(other.read(&mut buffer).await.unwrap(), 5);
        assert_eq!(&buffer, b"hello");
        assert_eq!(&*other.receive().await.unwrap(), b" world");
        // Drained: it waits, and what comes later wakes it.
        assert!(timeout(ms(5), other.read(&mut buffer)).await.is_err());
        let reading = spawn(async move {
            let mut buffer = [0; 5];
            let count = other.read(&mut buffer).await.unwrap();
            buffer[..count].to_vec()
        });
        turns(2).await;
        one.write_all(b"later").await.unwrap();
        assert_eq!(reading.await.unwrap(), b"later");
    });
}

#[test]
fn a_buffer_filled_to_its_last_byte_does_not_end_the_reading() {
    let mut config = Config::default();
    config.receive_buffer_bytes = 8;
    let mut runtime = Runtime::builder().config(config).build().unwrap();
    runtime.block_on(async {
        let (mut one, mut other) = pair().await;
        one.write_all(b"01234567").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"01234567");
        one.write_all(b"0123456789abcdef").await.unwrap();
        drop(one);
        assert_eq!(rest(&mut other).await.unwrap(), b"0123456789abcdef");
    });
    assert_balance(&mut runtime);
}

#[test]
fn an_end_that_came_together_with_the_last_bytes_is_seen() {
    run(async {
        for length in [1, 100, 64 * 1024, 64 * 1024 + 1] {
            let (mut stream, mut peer) = with_plain_peer().await;
            let bytes = pattern(length);
            peer.write_all(&bytes).unwrap();
            drop(peer);
            // Both are there before the first read; the read that takes the last bytes is short
            // and must not be taken for "drained, wait for more".
            time::sleep(ms(1)).await;
            let all = timeout(ms(1000), rest(&mut stream)).await;
            assert_eq!(all.expect("the end is seen").unwrap(), bytes);
            // It stays.
            assert!(stream.receive().await.unwrap().is_empty());
            assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
        }
    });
}

#[test]
fn an_end_that_comes_while_the_reader_waits_wakes_it() {
    run(async {
        let (mut one, mut other) = pair().await;
        let reading = spawn(async move { rest(&mut other).await.unwrap() });
        turns(2).await;
        one.write_all(b"bye").await.unwrap();
        turns(2).await;
        drop(one);
        assert_eq!(reading.await.unwrap(), b"bye");
    });
}

#[test]
fn a_half_closed_connection_still_carries_the_other_direction() {
    run(async {
        let (mut one, mut other) = pair().await;
        one.write_all(b"question").await.unwrap();
        one.shutdown(Shutdown::Write).unwrap();
        assert_eq!(rest(&mut other).await.unwrap(), b"question");
        let answer = pattern(300_000);
        let (written, came) = join(
            async {
                let written = other.write_all(&answer).await;
                drop(other);
                written
            },
            rest(&mut one),
        )
        .await;
        written.unwrap();
        assert_eq!(came.unwrap(), answer);
        let error = one.write_all(b"after the end").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_stream_that_is_shut_down_for_reading_wakes_its_reader_with_the_end() {
    run(async {
        let (_one, mut other) = pair().await;
        assert!(timeout(ms(5), other.receive()).await.is_err());
        other.shutdown(Shutdown::Read).unwrap();
        assert!(other.receive().await.unwrap().is_empty());
    });
}

#[test]
fn a_reset_reaches_a_reader_that_waits_and_a_writer() {
    run(async {
        let (mut stream, peer) = with_plain_peer().await;
        let reading = spawn(async move {
            let error = stream.receive().await.unwrap_err();
            (error.kind(), stream)
        });
        turns(2).await;
        common::reset(peer);
        let (kind, mut stream) = reading.await.unwrap();
        assert_eq!(kind, ErrorKind::ConnectionReset);
        let error = stream.write_all(b"too late").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn a_reset_reaches_a_writer_that_waits_for_room() {
    run(async {
        let (mut stream, peer) = with_plain_peer().await;
        let writing = spawn(async move {
            let block = vec![0; 1024 * 1024];
            loop {
                if let Err(error) = stream.write_all(&block).await {
                    return error.kind();
                }
            }
        });
        time::sleep(ms(1)).await;
        assert!(!writing.is_finished(), "nobody reads: it waits");
        common::reset(peer);
        assert_eq!(writing.await.unwrap(), ErrorKind::ConnectionReset);
    });
}

#[test]
fn a_peer_that_does_not_read_stops_the_writer_until_it_does() {
    run(async {
        let (mut one, mut other) = pair().await;
        let bytes = pattern(16 * 1024 * 1024);
        let writing = spawn({
            let bytes = bytes.clone();
            async move { one.write_all(&bytes).await.unwrap() }
        });
        for _ in 0..3 {
            time::sleep(ms(1)).await;
            assert!(!writing.is_finished());
        }
        let came = rest(&mut other).await.unwrap();
        assert!(came == bytes);
        writing.await.unwrap();
    });
}

#[test]
fn a_writer_stopped_many_times_goes_on_each_time() {
    run(async {
        let (mut one, mut other) = pair().await;
        let bytes = pattern(8 * 1024 * 1024);
        let writing = spawn({
            let bytes = bytes.clone();
            async move {
                // Partial writes as they come.
                let mut written = 0;
                while written < bytes.len() {
                    written += one.write(&bytes[written..]).await.unwrap();
                }
            }
        });
        let mut came = Vec::new();
        let mut buffer = vec![0; 200_000];
        while came.len() < bytes.len() {
            let count = other.read(&mut buffer).await.unwrap();
            came.extend_from_slice(&buffer[..count]);
            yield_now().await;
        }
        assert!(came == bytes);
        writing.await.unwrap();
    });
}

/// Checks a pattern as it comes, without keeping it.
async fn check(mut half: OwnedReadHalf, length: usize) {
    let mut seen = 0;
    loop {
        let chunk = half.receive().await.unwrap();
        if chunk.is_empty() {
            break;
        }
        // One byte of each chunk, and where it ends, are enough: nothing may shift.
        assert_eq!(chunk[0], (seen * 31 + seen / 251) as u8);
        seen += chunk.len();
        assert_eq!(
            chunk[chunk.len() - 1],
            ((seen - 1) * 31 + (seen - 1) / 251) as u8
        );
    }
    assert_eq!(seen, length);
}

#[test]
fn a_hundred_megabytes_pass_through_both_ways_at_once() {
    const LENGTH: usize = 100 * 1024 * 1024;
    run(async {
        let (one, other) = pair().await;
        let bytes = std::rc::Rc::new(pattern(LENGTH));
        let mut tasks = Vec::new();
        for stream in [one, other] {
            let (read, mut write) = stream.into_split();
            let bytes = bytes.clone();
            tasks.push(spawn(async move {
                write.write_all(&bytes).await.unwrap();
                // Dropped: the peer sees the end.
            }));
            tasks.push(spawn(check(read, LENGTH)));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_dropped_write_half_tells_the_peer_and_a_dropped_read_half_does_not() {
    run(async {
        let (one, mut other) = pair().await;
        let (read, mut write) = one.into_split();
        drop(read);
        write.write_all(b"still here").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"still here");
        drop(write);
        assert!(other.receive().await.unwrap().is_empty());

        let (one, mut other) = pair().await;
        let (mut read, write) = one.into_split();
        drop(write);
        assert!(other.receive().await.unwrap().is_empty());
        other.write_all(b"answer").await.unwrap();
        assert_eq!(&*read.receive().await.unwrap(), b"answer");
    });
}

#[test]
fn two_thousand_connections_are_accepted_and_each_is_answered() {
    let mut runtime = jumping();
    runtime.block_on(async {
        let mut listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        let accepting = spawn(async move {
            for _ in 0..2000 {
                let (mut stream, _) = listener.accept().await.unwrap();
                drop(spawn(async move {
                    let chunk = stream.receive().await.unwrap();
                    stream.write_all(&chunk).await.unwrap();
                    assert!(stream.receive().await.unwrap().is_empty());
                }));
            }
        });
        let clients: Vec<_> = (0..2000u32)
            .map(|number| {
                spawn(async move {
                    let mut stream = TcpStream::connect(address).await.unwrap();
                    stream.write_all(&number.to_be_bytes()).await.unwrap();
                    let chunk = stream.receive().await.unwrap();
                    assert_eq!(*chunk, number.to_be_bytes());
                    drop(chunk);
                    stream
                })
            })
            .collect();
        accepting.await.unwrap();
        let mut open = Vec::new();
        for client in clients {
            open.push(client.await.unwrap());
        }
        assert_eq!(open.len(), 2000);
        drop(open);
        time::sleep(ms(1)).await;
    });
    assert_balance(&mut runtime);
}

#[test]
fn a_receive_that_is_dropped_while_it_waits_loses_nothing() {
    run(async {
        let (mut one, mut other) = pair().await;
        for round in 0..20u8 {
            {
                let mut receiving = Box::pin(other.receive());
                assert!(poll_once(&mut receiving).await.is_pending());
                one.write_all(&[round]).await.unwrap();
                // It was woken for data that it never takes.
                turns(usize::from(round % 3)).await;
            }
            assert_eq!(*other.receive().await.unwrap(), [round]);
        }
    });
}

#[test]
fn an_accept_that_is_dropped_while_it_waits_loses_no_connection() {
    run(async {
        let mut listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..10 {
            let connecting = spawn(TcpStream::connect(address));
            {
                let mut accepting = Box::pin(listener.accept());
                assert!(poll_once(&mut accepting).await.is_pending());
                time::sleep(ms(1)).await;
            }
            listener.accept().await.unwrap();
            connecting.await.unwrap().unwrap();
        }
    });
}

#[test]
fn a_stream_may_be_read_by_one_task_after_the_other() {
    run(async {
        let (mut one, mut other) = pair().await;
        for round in 0..5u8 {
            assert!(timeout(ms(1), other.receive()).await.is_err());
            let reading = spawn(async move {
                let came = other.receive().await.unwrap().to_vec();
                (came, other)
            });
            turns(2).await;
            one.write_all(&[round]).await.unwrap();
            let (came, back) = reading.await.unwrap();
            assert_eq!(came, [round]);
            other = back;
        }
    });
}

#[test]
fn a_chunk_can_be_taken_off_piece_by_piece() {
    run(async {
        let (mut one, mut other) = pair().await;
        one.write_all(b"GET / HTTP").await.unwrap();
        let mut chunk: Chunk = other.receive().await.unwrap();
        chunk.advance(4);
        assert_eq!(chunk.as_ref(), b"/ HTTP");
        chunk.advance(0);
        chunk.advance(6);
        assert!(chunk.is_empty());
        let message = common::panic_message(move || chunk.advance(1));
        assert_eq!(message, "advanced by 1 bytes in a chunk of 0");
    });
}

#[test]
fn a_buffer_goes_back_to_the_loop_and_is_lent_again() {
    run(async {
        let (mut one, mut other) = pair().await;
        let mut places = Vec::new();
        for _ in 0..5 {
            one.write_all(b"x").await.unwrap();
            let chunk = other.receive().await.unwrap();
            places.push(chunk.as_ptr());
        }
        places.dedup();
        assert_eq!(places.len(), 1, "one buffer serves all");
        // A reader that waits holds none: all of them could be lent to others.
        one.write_all(b"x").await.unwrap();
        let held = other.receive().await.unwrap();
        assert!(timeout(ms(1), other.receive()).await.is_err());
        one.write_all(b"y").await.unwrap();
        assert_eq!(
            (&*held, &*other.receive().await.unwrap()),
            (&b"x"[..], &b"y"[..])
        );
    });
}

#[test]
fn a_closed_socket_is_not_confused_with_its_successor() {
    run(async {
        let mut listener = TcpListener::bind(any_port()).unwrap();
        let address = listener.local_addr().unwrap();
        for _ in 0..50 {
            let mut peers = Vec::new();
            let mut streams = Vec::new();
            for _ in 0..4 {
                peers.push(std::net::TcpStream::connect(address).unwrap());
                streams.push(listener.accept().await.unwrap().0);
            }
            // Events of all are reported in one batch; the first closes the others and opens
            // new sockets in their slots, which must not see the old ones' events.
            for peer in &mut peers {
                peer.write_all(b"old").unwrap();
            }
            let first = streams.remove(0);
            drop(streams);
            let mut next = std::net::TcpStream::connect(address).unwrap();
            let (mut successor, _) = listener.accept().await.unwrap();
            let mut receiving = Box::pin(successor.receive());
            turns(3).await;
            assert!(matches!(poll_once(&mut receiving).await, Poll::Pending));
            next.write_all(b"new").unwrap();
            assert_eq!(&*receiving.await.unwrap(), b"new");
            drop(first);
        }
    });
}

#[test]
fn a_stream_may_outlive_its_loop_and_close_then() {
    let mut runtime = jumping();
    let (stream, mut peer) = runtime.block_on(with_plain_peer());
    drop(runtime);
    drop(stream);
    assert_eq!(peer.read(&mut [0; 4]).unwrap(), 0);
}

/// A waker whose destructor uses the loop.
struct Greedy(Arc<AtomicUsize>);

impl Wake for Greedy {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Greedy {
    fn drop(&mut self) {
        drop(spawn(async {}));
        drop(TcpListener::bind(any_port()).unwrap());
        let mut sleep = time::sleep(ms(1));
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(sleep.poll_elapsed(cx).is_pending());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_waker_whose_destructor_uses_the_loop_may_be_remembered_by_sockets_timers_and_tasks() {
    run(async {
        let drops = Arc::new(AtomicUsize::new(0));
        let wait = |mut future: Pin<&mut dyn Erased>| {
            let waker = Waker::from(Arc::new(Greedy(drops.clone())));
            assert!(!future.as_mut().is_ready(&mut Context::from_waker(&waker)));
        };
        let (_one, mut other) = pair().await;
        let mut task = spawn(std::future::pending::<()>());
        let mut sleep = time::sleep(ms(10));
        let mut listener = TcpListener::bind(any_port()).unwrap();
        for _ in 0..3 {
            wait(pin!(&mut task));
            wait(pin!(&mut sleep));
            wait(pin!(other.receive()));
            wait(pin!(listener.accept()));
        }
        task.cancel();
        drop((task, sleep, other, listener));
        turns(3).await;
        assert_eq!(drops.load(Ordering::Relaxed), 12);
    });
}

/// A future of any output.
trait Erased {
    fn is_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool;
}

impl<F: Future> Erased for F {
    fn is_ready(self: Pin<&mut Self>, cx: &mut Context<'_>) -> bool {
        self.poll(cx).is_ready()
    }
}
