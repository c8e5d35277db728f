//! Sockets of one machine: streams, datagrams, and the files they are found at.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod common;

use common::{Journal, jumping, ms, poll_once, run, turns};
use monoloop_runtime::net::{UnixDatagram, UnixListener, UnixStream};
use monoloop_runtime::time::{self, timeout};
use monoloop_runtime::{Runtime, spawn, yield_now};
use std::cell::Cell;
use std::io::{ErrorKind, IoSlice};
use std::net::Shutdown;
use std::os::unix::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of a test's own, removed at its end.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("monoloop-unix-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Directory(path)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

/// A connection through a listener: the end that connected, the end that was accepted.
async fn pair_through(path: &Path) -> (UnixStream, UnixStream) {
    let mut listener = UnixListener::bind(path).unwrap();
    let path = path.to_owned();
    let connecting = spawn(UnixStream::connect(path));
    let (accepted, _) = listener.accept().await.unwrap();
    (connecting.await.unwrap().unwrap(), accepted)
}

async fn rest(stream: &mut UnixStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        let chunk = stream.receive().await.unwrap();
        if chunk.is_empty() {
            return all;
        }
        all.extend_from_slice(&chunk);
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
}

#[test]
fn bytes_pass_both_ways_and_each_direction_ends_by_itself() {
    let directory = Directory::new();
    run(async {
        let path = directory.path("stream");
        let (one, other) = pair_through(&path).await;
        let (left, right) = UnixStream::pair().unwrap();
        for (mut one, mut other) in [(one, other), (left, right)] {
            one.write_all(b"que").await.unwrap();
            let mut parts = [IoSlice::new(b""), IoSlice::new(b"st"), IoSlice::new(b"ion")];
            one.write_all_vectored(&mut parts).await.unwrap();
            let mut buffer = [0; 3];
            assert_eq!(other.read(&mut buffer).await.unwrap(), 3);
            assert_eq!(&buffer, b"que");
            one.shutdown(Shutdown::Write).unwrap();
            assert_eq!(rest(&mut other).await, b"stion");
            other.write_all(b"answer").await.unwrap();
            assert_eq!(&*one.receive().await.unwrap(), b"answer");
            let error = one.write(b"too late").await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn the_addresses_are_the_path_and_none() {
    let directory = Directory::new();
    run(async {
        let path = directory.path("named");
        let (one, other) = pair_through(&path).await;
        assert_eq!(other.local_addr().unwrap().as_pathname(), Some(&*path));
        assert_eq!(one.peer_addr().unwrap().as_pathname(), Some(&*path));
        assert!(one.local_addr().unwrap().is_unnamed());
        assert!(other.peer_addr().unwrap().is_unnamed());
        assert!(format!("{one:?}").contains("named"));
    });
}

#[test]
fn the_file_stays_behind_and_is_in_the_way_until_it_is_removed() {
    let directory = Directory::new();
    run(async {
        let path = directory.path("stale");
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        let listener = UnixListener::bind(&path).unwrap();
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        drop(listener);
        assert!(path.exists());
        let error = UnixStream::connect(&path).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        std::fs::remove_file(&path).unwrap();
        let listener = UnixListener::bind(&path).unwrap();
        assert_eq!(listener.local_addr().unwrap().as_pathname(), Some(&*path));
        let long = directory.path(&"x".repeat(200));
        let error = UnixListener::bind(long).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_name_is_reached_without_a_file_and_gone_with_its_socket() {
    use std::os::linux::net::SocketAddrExt;
    let name = format!("monoloop-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    run(async {
        let mut listener = UnixListener::bind_addr(&address).unwrap();
        let local = listener.local_addr().unwrap();
        assert_eq!(local.as_abstract_name(), Some(name.as_bytes()));
        let mut one = UnixStream::connect_addr(&address).await.unwrap();
        let (mut other, _) = listener.accept().await.unwrap();
        one.write_all(b"hello").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"hello");
        drop(listener);
        let error = UnixStream::connect_addr(&address).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);

        let mut receiver = UnixDatagram::bind_addr(&address).unwrap();
        let mut sender = UnixDatagram::unbound().unwrap();
        sender.send_to_addr(b"by name", &address).await.unwrap();
        assert_eq!(&*receiver.receive().await.unwrap(), b"by name");
        sender.connect_addr(&address).unwrap();
        sender.send(b"again").await.unwrap();
        assert_eq!(&*receiver.receive().await.unwrap(), b"again");
    });
}

#[cfg(target_os = "linux")]
#[test]
fn who_is_at_the_other_end_is_known() {
    let directory = Directory::new();
    run(async {
        let (one, other) = pair_through(&directory.path("who")).await;
        for end in [one, other] {
            let peer = end.peer_credentials().unwrap();
            assert_eq!(peer.process, std::process::id());
            let own =
                std::os::unix::fs::MetadataExt::uid(&std::fs::metadata(&directory.0).unwrap());
            assert_eq!(peer.user, own);
        }
    });
}

#[test]
fn megabytes_pass_both_ways_at_once_in_parts() {
    const LENGTH: usize = 8 * 1024 * 1024;
    run(async {
        let (one, other) = UnixStream::pair().unwrap();
        let bytes = Rc::new(pattern(LENGTH));
        let mut tasks = Vec::new();
        for stream in [one, other] {
            let (mut read, mut write) = stream.into_split();
            let writing = bytes.clone();
            tasks.push(spawn(async move {
                let mut written = 0;
                while written < writing.len() {
                    written += write.write(&writing[written..]).await.unwrap();
                }
                // Dropped: the peer sees the end.
            }));
            let expected = bytes.clone();
            tasks.push(spawn(async move {
                let mut came = Vec::new();
                loop {
                    let chunk = read.receive().await.unwrap();
                    if chunk.is_empty() {
                        break;
                    }
                    came.extend_from_slice(&chunk);
                    yield_now().await;
                }
                assert!(came == *expected);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[test]
fn a_borrowed_stream_is_read_and_written_at_the_same_time() {
    run(async {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        other.write_all(b"to one").await.unwrap();
        let (mut read, mut write) = one.split();
        let both = futures_util::future::join(read.receive(), write.write_all(b"to other"));
        let (came, written) = both.await;
        assert_eq!(&*came.unwrap(), b"to one");
        written.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"to other");
    });
}

#[test]
fn a_receive_and_an_accept_that_are_dropped_while_they_wait_lose_nothing() {
    let directory = Directory::new();
    run(async {
        let path = directory.path("dropped");
        let mut listener = UnixListener::bind(&path).unwrap();
        for round in 0..10u8 {
            let connecting = {
                let mut accepting = Box::pin(listener.accept());
                assert!(poll_once(&mut accepting).await.is_pending());
                let connecting = spawn(UnixStream::connect(path.clone()));
                turns(usize::from(round % 3)).await;
                connecting
            };
            let (mut one, _) = listener.accept().await.unwrap();
            let mut other = connecting.await.unwrap().unwrap();
            {
                let mut receiving = Box::pin(one.receive());
                assert!(poll_once(&mut receiving).await.is_pending());
                other.write_all(&[round]).await.unwrap();
                turns(usize::from(round % 3)).await;
            }
            assert_eq!(*one.receive().await.unwrap(), [round]);
        }
    });
}

#[test]
fn closing_wakes_who_waits_at_the_other_end() {
    run(async {
        let (mut one, other) = UnixStream::pair().unwrap();
        let reading = spawn(async move { one.receive().await.unwrap().len() });
        turns(2).await;
        drop(other);
        assert_eq!(reading.await.unwrap(), 0);

        let (mut one, other) = UnixStream::pair().unwrap();
        let writing = spawn(async move { one.write_all(&[7; 4 * 1024 * 1024]).await });
        turns(2).await;
        assert!(!writing.is_finished());
        drop(other);
        let error = writing.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    });
}

#[test]
fn who_connects_to_a_full_backlog_waits_and_is_accepted() {
    let directory = Directory::new();
    run(async {
        let path = directory.path("full");
        let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None);
        let socket = socket.unwrap();
        socket
            .bind(&socket2::SockAddr::unix(&path).unwrap())
            .unwrap();
        socket.listen(1).unwrap();
        let mut listener = UnixListener::from_std(socket.into()).unwrap();
        let connected = Journal::default();
        let tasks: Vec<_> = (0..8)
            .map(|number| {
                let (path, connected) = (path.clone(), connected.clone());
                spawn(async move {
                    let stream = UnixStream::connect(path).await.unwrap();
                    connected.add(number);
                    stream
                })
            })
            .collect();
        time::sleep(ms(100)).await;
        assert!(connected.len() < 8, "the backlog holds two");
        let mut accepted = Vec::new();
        for _ in 0..8 {
            accepted.push(listener.accept().await.unwrap());
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(connected.len(), 8);
    });
}

#[test]
fn datagrams_come_whole_in_order_with_the_path_of_who_sent_them() {
    let directory = Directory::new();
    run(async {
        let (here, there) = (directory.path("here"), directory.path("there"));
        let mut one = UnixDatagram::bind(&here).unwrap();
        let mut other = UnixDatagram::bind(&there).unwrap();
        assert_eq!(
            UnixDatagram::bind(&there).unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        for text in ["hello", "", "world"] {
            one.send_to(text.as_bytes(), &there).await.unwrap();
        }
        for text in ["hello", ""] {
            let (datagram, from) = other.receive_from().await.unwrap();
            assert_eq!(&*datagram, text.as_bytes());
            assert_eq!(from.as_pathname(), Some(&*here));
        }
        let mut buffer = [0; 3];
        let (count, from) = other.read_from(&mut buffer).await.unwrap();
        assert_eq!((count, &buffer), (3, b"wor"), "the rest is lost");
        assert_eq!(from.as_pathname(), Some(&*here));
        other.connect(&here).unwrap();
        assert_eq!(other.peer_addr().unwrap().as_pathname(), Some(&*here));
        other.send(b"back").await.unwrap();
        assert_eq!(&*one.receive().await.unwrap(), b"back");
        drop(one);
        let error = other.send(b"gone").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = other.send_to(b"gone", &here).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn who_sends_to_a_full_socket_waits_connected_or_not() {
    const COUNT: u32 = 2000;
    let directory = Directory::new();
    run(async {
        let path = directory.path("full");
        for connected in [true, false] {
            let mut receiver = UnixDatagram::bind(&path).unwrap();
            let sent = Rc::new(Cell::new(0));
            let sending = spawn({
                let (path, sent) = (path.clone(), sent.clone());
                async move {
                    let mut sender = UnixDatagram::unbound().unwrap();
                    if connected {
                        sender.connect(&path).unwrap();
                    }
                    for number in 0..COUNT {
                        let bytes = number.to_be_bytes();
                        match connected {
                            true => sender.send(&bytes).await.unwrap(),
                            false => sender.send_to(&bytes, &path).await.unwrap(),
                        }
                        sent.set(number + 1);
                    }
                }
            });
            time::sleep(ms(50)).await;
            assert!(sent.get() > 0 && sent.get() < COUNT, "it waits");
            for number in 0..COUNT {
                assert_eq!(*receiver.receive().await.unwrap(), number.to_be_bytes());
            }
            sending.await.unwrap();
            std::fs::remove_file(&path).unwrap();
        }
    });
}

#[test]
fn halves_of_a_pair_receive_and_send_in_two_tasks() {
    let mut runtime = jumping();
    runtime.block_on(async {
        let (one, mut other) = UnixDatagram::pair().unwrap();
        let (mut receiver, mut sender) = one.into_split();
        let receiving = spawn(async move { receiver.receive().await.unwrap().to_vec() });
        turns(2).await;
        sender.send(b"question").await.unwrap();
        assert_eq!(&*other.receive().await.unwrap(), b"question");
        other.send(b"answer").await.unwrap();
        assert_eq!(receiving.await.unwrap(), b"answer");
        other.shutdown(Shutdown::Both).unwrap();
        assert!(sender.send(b"nobody").await.is_err());
    });
    common::assert_balance(&mut runtime);
}

#[test]
fn tasks_on_sockets_that_are_always_full_do_not_starve_a_ticker() {
    let mut runtime = Runtime::new().unwrap();
    runtime.block_on(async {
        let (mut one, mut other) = UnixStream::pair().unwrap();
        let (mut left, mut right) = UnixDatagram::pair().unwrap();
        let rounds = Rc::new(Cell::new((0u64, 0u64)));
        let flooded = [
            spawn({
                let rounds = rounds.clone();
                async move {
                    loop {
                        one.write_all(&[7; 100]).await.unwrap();
                        other.receive().await.unwrap();
                        rounds.set((rounds.get().0 + 1, rounds.get().1));
                    }
                }
            }),
            spawn({
                let rounds = rounds.clone();
                async move {
                    loop {
                        left.send(&[7; 100]).await.unwrap();
                        right.receive().await.unwrap();
                        rounds.set((rounds.get().0, rounds.get().1 + 1));
                    }
                }
            }),
        ];
        for _ in 0..20 {
            let before = rounds.get();
            time::sleep(ms(1)).await;
            let now = rounds.get();
            assert!(now.0 > before.0 && now.1 > before.1, "all go on");
        }
        for task in flooded {
            task.cancel();
            assert!(task.await.is_err());
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
                match UnixStream::pair() {
                    Ok(pair) => open.push(pair),
                    Err(error) => break error,
                }
            };
            assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
            let (mut one, mut other) = open.pop().unwrap();
            one.write_all(b"hello").await.unwrap();
            assert_eq!(&*other.receive().await.unwrap(), b"hello");
        });
    });
}

#[test]
fn a_simulated_world_has_none_of_them_and_leaves_no_file() {
    let directory = Directory::new();
    monoloop_runtime::sim::run(1, async {
        let path = directory.path("nowhere");
        let error = UnixListener::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains("UnixListener"), "{error}");
        let error = UnixDatagram::bind(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        let connecting = timeout(ms(1000), UnixStream::connect(&path)).await;
        let error = connecting.expect("it does not wait").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(UnixStream::pair().is_err() && UnixDatagram::pair().is_err());
        assert!(!path.exists());
    });
}
