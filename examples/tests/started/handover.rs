//! One server takes over from another under load, again and again, and nobody is refused.

use crate::example::{Example, Server, address_in, path};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Clients with a new connection for each request, and those that keep theirs.
const CHURNING: usize = 8;
const KEEPING: usize = 4;

/// How often one server takes over, unless `HANDOVERS` says otherwise.
fn handovers() -> usize {
    let asked_for = std::env::var("HANDOVERS").ok();
    asked_for.map_or(3, |count| count.parse().unwrap())
}

/// Clients that ask all the time.
struct Load {
    seen: Arc<Seen>,
    clients: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    over: AtomicBool,
    answered: AtomicU64,
    failures: Mutex<Vec<String>>,
    worst: Mutex<Duration>,
}

impl Load {
    fn on(address: SocketAddr) -> Load {
        let seen = Arc::new(Seen::default());
        let clients = (0..CHURNING + KEEPING).map(|number| {
            let seen = seen.clone();
            thread::spawn(move || seen.ask_again_and_again(address, number >= CHURNING))
        });
        Load {
            clients: clients.collect(),
            seen,
        }
    }

    /// Waits until so many more were answered: by whoever serves now.
    fn wait_for(&self, more: u64) {
        let until = self.seen.answered.load(Ordering::Relaxed) + more;
        while self.seen.answered.load(Ordering::Relaxed) < until {
            assert!(self.clients.iter().any(|client| !client.is_finished()));
            thread::yield_now();
        }
    }

    /// Ends it; nobody was refused.
    fn end(self, kind: &str) {
        self.seen.over.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap();
        }
        let answered = self.seen.answered.load(Ordering::Relaxed);
        let failures = self.seen.failures.lock().unwrap();
        let worst = *self.seen.worst.lock().unwrap();
        println!(
            "{kind}: {answered} answered, {} failed, the slowest after {worst:?}",
            failures.len()
        );
        assert!(
            failures.is_empty(),
            "{answered} were answered, these not: {failures:?}"
        );
    }
}

impl Seen {
    fn ask_again_and_again(&self, address: SocketAddr, keeps: bool) {
        let mut kept = None;
        while !self.over.load(Ordering::Relaxed) {
            let started = now();
            match ask(address, keeps, &mut kept) {
                Ok(()) => drop(self.answered.fetch_add(1, Ordering::Relaxed)),
                Err(error) => {
                    kept = None;
                    let mut failures = self.failures.lock().unwrap();
                    failures.push(format!("{error} (keeps: {keeps})"));
                }
            }
            let mut worst = self.worst.lock().unwrap();
            *worst = started.elapsed().max(*worst);
        }
    }
}

/// One request, on the connection that was kept if there is one.
fn ask(
    address: SocketAddr,
    keeps: bool,
    kept: &mut Option<BufReader<TcpStream>>,
) -> io::Result<()> {
    let mut reader = match kept.take() {
        Some(reader) => reader,
        None => {
            let stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(crate::PATIENCE))?;
            BufReader::new(stream)
        }
    };
    let close = if keeps { "" } else { "Connection: close\r\n" };
    let request = format!("GET /plaintext HTTP/1.1\r\nHost: a\r\n{close}\r\n");
    reader.get_mut().write_all(request.as_bytes())?;
    let (mut head, mut closes) = (String::new(), false);
    loop {
        let before = head.len();
        if reader.read_line(&mut head)? == 0 {
            return Err(io::Error::other(format!("closed behind {head:?}")));
        }
        match &head[before..] {
            "\r\n" => break,
            line => closes |= line.eq_ignore_ascii_case("connection: close\r\n"),
        }
    }
    let mut body = [0; 13];
    reader.read_exact(&mut body)?;
    if !head.starts_with("HTTP/1.1 200 ") || body != *b"Hello, World!" {
        return Err(io::Error::other(head));
    }
    if !closes {
        *kept = Some(reader);
    }
    Ok(())
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_at_the_same_port_takes_over_and_nobody_is_refused() {
    for threads in ["1", "2"] {
        let start = |listen: &str| {
            let flags = ["--listen", listen, "--threads", threads];
            let shares = ["--set", "handover.reuse_port=true"];
            let example = Example::start("http_server", &[&flags[..], &shares].concat());
            Server::wait_until_listening(example)
        };
        let mut server = start("127.0.0.1:0");
        let address = server.address;
        let load = Load::on(address);
        for _ in 0..handovers() {
            load.wait_for(100);
            let next = start(&address.to_string());
            server.ask_to_end();
            server.wait_until_stopped();
            server = next;
        }
        load.wait_for(100);
        load.end(&format!("shared port, {threads} threads"));
        server.ask_to_end();
        server.wait_until_stopped();
    }
}

/// Starts it as systemd does: with the listening socket as descriptor 3.
fn activate(listener: &TcpListener, threads: &str, notify: Option<&str>) -> Server {
    let mut command = Command::new("sh");
    let script = "exec 3<&0 </dev/null; export LISTEN_FDS=1 LISTEN_PID=$$; exec \"$0\" \"$@\"";
    command.args(["-c", script]).arg(path("http_server"));
    command.args(["--set", "handover.activated=true", "--threads", threads]);
    command.stdin(Stdio::from(OwnedFd::from(listener.try_clone().unwrap())));
    if let Some(path) = notify {
        command
            .env("NOTIFY_SOCKET", path)
            .env("WATCHDOG_USEC", "200000");
    }
    Server::wait_until_listening(Example::start_with_stdin(command))
}

#[test]
fn a_server_that_is_given_the_socket_takes_over_and_nobody_is_refused() {
    for threads in ["1", "2"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut server = activate(&listener, threads, None);
        assert_eq!(server.address, address);
        let load = Load::on(address);
        for _ in 0..handovers() {
            load.wait_for(100);
            // First the one ends, then the other starts: nobody accepts in between.
            server.ask_to_end();
            server.wait_until_stopped();
            server = activate(&listener, threads, None);
        }
        load.wait_for(100);
        load.end(&format!("inherited socket, {threads} threads"));
        server.ask_to_end();
        server.wait_until_stopped();
    }
}

#[test]
fn the_supervisor_is_told_of_readiness_of_life_and_of_the_end() {
    let name = format!("monoloop-notify-{}", std::process::id());
    let at = std::env::temp_dir().join(name);
    let _ = std::fs::remove_file(&at);
    let supervisor = UnixDatagram::bind(&at).unwrap();
    supervisor.set_read_timeout(Some(crate::PATIENCE)).unwrap();
    let told = || {
        let mut buffer = [0; 100];
        let count = supervisor.recv(&mut buffer).unwrap();
        String::from_utf8(buffer[..count].to_vec()).unwrap()
    };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let server = activate(&listener, "1", Some(at.to_str().unwrap()));
    assert_eq!(told(), "READY=1\n");
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1\n");
    }
    server.ask_to_end();
    while told() != "STOPPING=1\n" {}
    server.wait_until_stopped();
    std::fs::remove_file(&at).unwrap();
}

#[test]
fn a_server_without_the_socket_that_it_should_be_given_says_how_to_start_it() {
    let flags = ["--set", "handover.activated=true"];
    let ended = Example::start("http_server", &flags).wait();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("systemd-socket-activate"),
        "{ended:?}"
    );
}

/// Who reads the output of a server goes away (SIGPIPE, EPIPE): it serves on, and ends in order.
#[test]
fn a_server_whose_output_nobody_reads_any_more_serves_on() {
    let mut command = Command::new(path("http_server"));
    command.args(["--listen", "127.0.0.1:0", "--access-log"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it ended");
    }
    drop((log, server.stdout.take()));
    let address = address_in(&line);
    let mut kept = None;
    for _ in 0..100 {
        ask(address, true, &mut kept).unwrap();
        ask(address, false, &mut None).unwrap();
    }
    drop(kept);
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill \"$0\"", &server.id().to_string()]);
    assert!(kill.status().unwrap().success());
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[allow(clippy::disallowed_methods, reason = "this process has no loop")]
fn now() -> Instant {
    Instant::now()
}
