//! The `monoloop` command and a server with the socket that it looks in at: what both say, also
//! while the loop is stuck, to whom, and what hostile clients bring about.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test stops at what it did not expect")]

use monoloop::introspect::{Ask, AskError, Client, LoopState, Reply, Report, Socket, SocketError};
use monoloop::sync::Event;
use monoloop::{REQUEST_ID, Request, Router, Running, Server, ServerError, spawn_named};
use serde_json::Value;
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, Barrier};
use std::thread;

/// A server with a socket, and what its handlers wait for.
struct Site {
    directory: tempfile::TempDir,
    server: Option<Running>,
    /// Twice passed by whoever handles `/stuck`: when it has come, and to let it go.
    gate: Arc<Barrier>,
}

impl Site {
    fn start() -> Site {
        Site::start_with(1)
    }

    fn start_with(threads: usize) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let gate = Arc::new(Barrier::new(2));
        let opens = gate.clone();
        let server = Server::bind("127.0.0.1:0").unwrap().threads(threads);
        let server = server.socket(directory.path().join("look.sock"));
        let server = server.start(move || {
            let opens = opens.clone();
            Router::new()
                .get("/", async |_| "hello\n")
                .get("/waits", waits)
                .get("/stuck", move |_| {
                    let opens = opens.clone();
                    async move {
                        opens.wait();
                        opens.wait();
                        "free again\n"
                    }
                })
        });
        Site {
            server: Some(server.unwrap()),
            directory,
            gate,
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("look.sock")
    }

    /// Sends a request and leaves its answer to be read.
    fn send(&self, path: &str, id: &str) -> TcpStream {
        let address = self.server.as_ref().unwrap().local_addr();
        let mut stream = TcpStream::connect(address).unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nhost: a\r\nx-request-id: {id}\r\n\r\n");
        stream.write_all(head.as_bytes()).unwrap();
        stream
    }

    fn command(&self, arguments: &[&str]) -> Output {
        command(&self.path(), arguments)
    }

    /// What the command prints when all is well.
    fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.stdout(arguments)).unwrap()
    }

    fn report(&self) -> Report {
        report(&self.path())
    }

    /// Looks until a task of that name waits.
    fn wait_for(&self, name: &str) -> Value {
        loop {
            let report = self.json(&["ps", "--json"]);
            let loops = report["loops"].as_array().unwrap().iter();
            let mut tasks = loops.flat_map(|of| of["tasks"].as_array().unwrap());
            let found = tasks.find(|task| task["name"] == name && task["state"] == "waiting");
            if let Some(task) = found {
                return task.clone();
            }
        }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown().force();
            drop(server.stop());
        }
    }
}

/// Waits for a task that waits for an event that never comes.
async fn waits(_: Request) -> &'static str {
    let never = async { Event::new().wait().await };
    match spawn_named("worker", never).await {
        Ok(()) => "never\n",
        Err(_) => "the worker was cancelled\n",
    }
}

fn monoloop(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_monoloop"));
    command.args(arguments).env_remove("MONOLOOP_SOCKET");
    command
}

fn command(socket: &Path, arguments: &[&str]) -> Output {
    let mut command = monoloop(arguments);
    command.env("MONOLOOP_SOCKET", socket).output().unwrap()
}

fn report(path: &Path) -> Report {
    let mut report = None;
    let asked = Client::new(path).ask(&Ask::Ps, |reply| {
        if let Reply::Tasks(tasks) = reply {
            report = Some(tasks);
        }
    });
    asked.unwrap();
    report.unwrap()
}

/// What the server says to raw bytes, until it closes the connection.
fn answer_to(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    // It may have said all and closed before it has read all.
    let _ = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = stream.read(&mut chunk) {
        answer.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(answer).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn ps_lists_the_tasks_with_what_they_wait_on_and_for_which_request() {
    let site = Site::start();
    let stream = site.send("/waits", "the-first");
    let worker = site.wait_for("worker");
    assert_eq!(worker["waits_on"][0]["what"], "event");

    let table = site.stdout(&["ps"]);
    let mut lines = table.lines();
    let heading: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let titles = "ID NAME STATE SINCE STEPS BUSY LONGEST WAITS ON CONTEXT";
    assert_eq!(heading.join(" "), titles);
    let line = |name: &str| {
        let mut found = table.lines().filter(|line| line.contains(name));
        found
            .next()
            .unwrap_or_else(|| panic!("{name} is not in {table}"))
    };
    let address = site.server.as_ref().unwrap().local_addr();
    assert!(
        line(" accept ").contains(&format!("accept at {address}")),
        "{table}"
    );
    let id = worker["id"].as_str().unwrap();
    let connection = line("(src/accept.rs:");
    assert!(connection.contains(&format!("task {id}")), "{table}");
    assert!(connection.contains("the-first"), "{table}");
    assert!(
        line(" worker ").contains("the-first"),
        "a child inherits it: {table}"
    );

    let sorted = site.stdout(&["ps", "--sort", "busy"]);
    assert_eq!(sorted.lines().count(), table.lines().count());
    drop(stream);
}

#[test]
fn pstree_shows_who_spawned_whom() {
    let site = Site::start();
    let _stream = site.send("/waits", "a");
    site.wait_for("worker");
    let tree = site.stdout(&["pstree"]);
    let indent = |name: &str| {
        let line = tree.lines().find(|line| line.contains(name));
        let line = line.unwrap_or_else(|| panic!("{name} is not in {tree}"));
        line.chars().take_while(|c| "├└│─ ".contains(*c)).count()
    };
    assert_eq!((indent("main"), indent("accept ")), (0, 0), "{tree}");
    assert_eq!(
        (indent("(src/accept.rs"), indent("worker")),
        (3, 6),
        "{tree}"
    );
    let json = site.json(&["pstree", "--json"]);
    assert_eq!(json[0]["loop"], 0);
    let top = json[0]["tasks"].as_array().unwrap();
    assert!(top.iter().any(|task| task["name"] == "accept"), "{json}");
}

#[test]
fn trace_prints_the_stages_of_each_turn() {
    let site = Site::start();
    let path = site.path();
    // Each look is a turn.
    let ended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let looks_until = ended.clone();
    let looking = thread::spawn(move || {
        while !looks_until.load(std::sync::atomic::Ordering::Relaxed) {
            report(&path);
        }
    });
    let text = site.stdout(&["trace", "--turns", "5", "--timeout", "30s"]);
    let json = site.stdout(&["trace", "--turns", "3", "--timeout", "30s", "--json"]);
    ended.store(true, std::sync::atomic::Ordering::Relaxed);
    looking.join().unwrap();

    let count = |start: &str| text.lines().filter(|line| line.starts_with(start)).count();
    for stage in [
        "turn ",
        "  I/O    polled",
        "  timers ",
        "  inbox  ",
        "  tasks  ",
    ] {
        assert_eq!(count(stage), 5, "{stage:?} in {text}");
    }
    let turns: Vec<Value> = json
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(turns.len(), 3);
    for pair in turns.windows(2) {
        let number = |turn: &Value| turn["number"].as_u64().unwrap();
        assert_eq!(number(&pair[1]), number(&pair[0]) + 1);
    }
    let steps = turns[0]["steps"].as_u64().unwrap();
    assert_eq!(turns[0]["stepped"].as_array().unwrap().len() as u64, steps);
}

#[test]
fn trace_of_a_loop_with_nothing_to_do_says_so() {
    let site = Site::start();
    let output = site.command(&["trace", "--turns", "1000", "--timeout", "10ms"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(
        stderr(&output).contains("of 1000 turns within 10ms"),
        "{output:?}"
    );
}

#[test]
fn cancel_ends_the_task_and_only_once() {
    let site = Site::start();
    let stream = site.send("/waits", "a");
    let worker = site.wait_for("worker");
    let id = worker["id"].as_str().unwrap();
    assert_eq!(
        site.stdout(&["cancel", id]),
        format!("asked {id} (worker) to end\n")
    );
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    while !line.contains("the worker was cancelled") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    let output = site.command(&["cancel", id]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!("error: loop 0 has no task {id}; see monoloop ps\n")
    );

    let _stream = site.send("/waits", "b");
    let worker = site.wait_for("worker");
    let json = site.json(&["cancel", "--json", worker["id"].as_str().unwrap()]);
    assert_eq!(
        (&json["answer"], &json["name"]),
        (&"cancelled".into(), &"worker".into())
    );
}

#[test]
fn the_main_task_is_not_cancelled() {
    let site = Site::start();
    let main = site.wait_for("main");
    let output = site.command(&["cancel", main["id"].as_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("main task; to end the program send it SIGTERM"));
}

#[test]
fn what_a_server_consists_of_is_not_cancelled() {
    let site = Site::start();
    for name in ["accept", "drain"] {
        let task = site.wait_for(name);
        let output = site.command(&["cancel", task["id"].as_str().unwrap()]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let told = stderr(&output);
        assert!(
            told.contains(&format!("({name}) is the server's own")),
            "{told}"
        );
        assert!(told.contains("send it SIGTERM"), "{told}");
    }
    site.wait_for("accept");
}

#[test]
fn what_is_asked_and_is_no_socket_is_told_to_be_none() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "dear diary").unwrap();
    for path in [directory.path(), &path] {
        let output = command(path, &["ps"]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(stderr(&output).contains("it is no socket"), "{output:?}");
    }
}

#[test]
fn top_shows_tables_where_there_is_no_terminal() {
    let site = Site::start();
    let text = site.stdout(&["top", "--iterations", "3", "--interval", "100ms"]);
    let count = |part: &str| text.matches(part).count();
    assert_eq!((count("ID "), count("loop 0: ")), (3, 3), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
    let json = site.stdout(&["top", "--iterations", "2", "--interval", "100ms", "--json"]);
    assert_eq!(json.lines().count(), 2);
}

#[test]
fn while_the_loop_is_stuck_it_is_said_in_which_task_and_since_when() {
    let site = Site::start();
    let _waiting = site.send("/waits", "a");
    site.wait_for("worker");
    let mut stuck = site.send("/stuck", "culprit");
    site.gate.wait();

    let output = site.command(&["ps"]);
    assert_eq!(output.status.code(), Some(0));
    let told = stderr(&output);
    assert!(told.starts_with("the loop is stuck in task "), "{told}");
    assert!(
        told.contains("spawned at ") && told.contains("accept.rs:"),
        "{told}"
    );
    assert!(told.contains("tasks as they were "), "{told}");
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.contains(" worker "), "{table}");

    let report = site.report();
    assert_eq!(report.loops[0].state, LoopState::Stuck);
    let stuck_in = report.loops[0].stuck.as_ref().unwrap();
    assert!(stuck_in.since_us >= 200_000, "{stuck_in:?}");
    assert!(report.loops[0].age_us.unwrap() > 0);

    if cfg!(all(
        target_os = "linux",
        any(target_arch = "x86_64", target_arch = "aarch64")
    )) {
        // The watchdog looks, too, and takes its time to find the names.
        let calls = loop {
            let stuck_in = site.report().loops.remove(0).stuck;
            match stuck_in.expect("it stays so").stack {
                calls if calls.is_empty() => {}
                calls => break calls,
            }
        };
        let is_here = |call: &String| call.contains("tests/introspect.rs:");
        assert!(calls.iter().any(is_here), "{calls:#?}");
        let told = stderr(&site.command(&["ps"]));
        let lines: Vec<&str> = told.lines().skip(1).collect();
        assert!(lines.iter().all(|line| line.starts_with("  in ")), "{told}");
        assert_eq!(lines.len(), calls.len(), "{told}");
    }

    let id = stuck_in.task.as_deref().unwrap();
    for arguments in [&["cancel", id][..], &["trace", "--timeout", "10ms"]] {
        let output = site.command(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        assert!(
            stderr(&output).starts_with("error: the loop is stuck in task "),
            "{output:?}"
        );
    }
    site.gate.wait();
    // It was asked to end meanwhile, and does.
    let mut answer = String::new();
    let _ = stuck.read_to_string(&mut answer);
    assert_eq!(site.report().loops[0].state, LoopState::Turning);
}

#[test]
fn with_several_loops_ids_say_of_which() {
    let site = Site::start_with(2);
    let table = site.stdout(&["ps"]);
    for start in ["0/", "1/"] {
        assert!(table.lines().any(|line| line.starts_with(start)), "{table}");
    }
    let output = site.command(&["cancel", "999.1"]);
    assert!(
        stderr(&output).contains("several loops; say which, as in 0/17.3"),
        "{output:?}"
    );
    let output = site.command(&["cancel", "1/999.1"]);
    assert_eq!(
        stderr(&output),
        "error: loop 1 has no task 999.1; see monoloop ps\n"
    );
    let output = site.command(&["trace", "--loop", "7"]);
    assert_eq!(
        stderr(&output),
        "error: the server has no loop 7; there are 0, 1\n"
    );
}

#[test]
fn the_socket_is_the_owners_alone_and_goes_with_the_server() {
    let mut site = Site::start();
    let path = site.path();
    let found = fs::symlink_metadata(&path).unwrap();
    assert!(found.file_type().is_socket());
    assert_eq!(found.permissions().mode() & 0o777, 0o600);
    let names = fs::read_dir(site.directory.path()).unwrap().count();
    assert_eq!(names, 1, "nothing else is left in the directory");
    site.server.take().unwrap().stop();
    assert!(!path.exists());
    let output = site.command(&["ps"]);
    assert_eq!(output.status.code(), Some(1));
    let path = path.display();
    let told = stderr(&output);
    assert!(told.starts_with(&format!(
        "error: cannot ask the server at {path}: No such file"
    )));
    assert!(told.contains("; start the server with --socket"), "{told}");
}

#[test]
fn a_socket_of_the_dead_is_replaced_and_one_of_the_living_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("look.sock");
    drop(UnixListener::bind(&path).unwrap());
    let output = command(&path, &["ps"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("the server that opened it is gone"),
        "{output:?}"
    );

    let socket = Socket::open(&path).unwrap();
    assert_eq!(report(&path).loops, []);
    let refused = Socket::open(&path).unwrap_err();
    assert!(matches!(refused, SocketError::InUse { .. }));
    assert!(
        refused
            .to_string()
            .contains("a running process serves it; end that one")
    );
    assert_eq!(report(&path).pid, std::process::id(), "it goes on");

    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .socket(&path)
        .start(Router::new);
    assert!(matches!(
        server,
        Err(ServerError::Socket(SocketError::InUse { .. }))
    ));
    drop(socket);
    assert!(!path.exists());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn what_is_no_socket_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("notes.txt");
    fs::write(&path, "dear diary").unwrap();
    let refused = Socket::open(&path).unwrap_err();
    assert!(
        matches!(refused, SocketError::NotASocket { .. }),
        "{refused}"
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "dear diary");
    let nowhere = Socket::open(directory.path().join("no/such/place")).unwrap_err();
    assert!(
        nowhere.to_string().contains("make the directory"),
        "{nowhere}"
    );
    let long = Socket::open(directory.path().join("x".repeat(200))).unwrap_err();
    assert!(
        long.to_string().contains("choose a path of at most"),
        "{long}"
    );
}

#[test]
fn a_successors_socket_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("look.sock");
    let first = Socket::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let second = Socket::open(&path).unwrap();
    drop(first);
    assert_eq!(report(&path).loops, []);
    drop(second);
    assert!(!path.exists());
}

#[test]
fn a_socket_that_may_not_be_used_is_told_with_the_remedy() {
    let site = Site::start();
    fs::set_permissions(site.path(), Permissions::from_mode(0o000)).unwrap();
    let output = site.command(&["ps"]);
    // Root may always.
    if output.status.code() != Some(0) {
        assert_eq!(output.status.code(), Some(1));
        assert!(
            stderr(&output).contains("run this as the user of the server"),
            "{output:?}"
        );
    }
}

#[test]
fn garbage_is_answered_with_what_is_wrong() {
    let site = Site::start();
    let refusals: [(&[u8], &str); 8] = [
        (b"hello\n", "not a request of the monoloop command"),
        (b"\n", "not a request of the monoloop command"),
        (b"\xff\xfe\x00\n", "not a request of the monoloop command"),
        (
            b"{\"monoloop\":1}\n",
            "not a request that this server knows",
        ),
        (
            b"{\"monoloop\":1,\"ask\":\"shutdown\"}\n",
            "not a request that this server knows",
        ),
        (
            b"{\"monoloop\":2,\"ask\":\"ps\"}\n",
            "speaks version 1 of the protocol, the request is of version 2",
        ),
        (
            b"{\"monoloop\":1,\"ask\":\"trace\",\"loop\":0,\"turns\":0,\"timeout_ms\":1}\n",
            "cannot trace 0 turns",
        ),
        (
            b"{\"monoloop\":1,\"ask\":\"cancel\",\"task\":\"all\"}\n",
            "not the id of a task",
        ),
    ];
    for (request, expected) in refusals {
        let answer = answer_to(&site.path(), request);
        let line: Value = serde_json::from_str(&answer).unwrap();
        let message = line["message"].as_str().unwrap();
        assert!(message.contains(expected), "{message}");
    }
    let answer = answer_to(&site.path(), &[b'a'; 100_000]);
    assert!(
        answer.is_empty() || answer.contains("at most 4096 bytes"),
        "{answer}"
    );
    assert_eq!(site.report().loops[0].state, LoopState::Turning);
}

#[test]
fn those_who_say_nothing_are_cut_off_and_keep_nobody_out_for_long() {
    let site = Site::start();
    let mut silent: Vec<UnixStream> = (0..40)
        .map(|_| UnixStream::connect(site.path()).unwrap())
        .collect();
    silent[0].write_all(b"{\"monoloop\":1").unwrap();
    assert_eq!(site.report().loops[0].state, LoopState::Turning);
    let mut rest = Vec::new();
    assert_eq!(silent[0].read_to_end(&mut rest).unwrap(), 0, "it is closed");
}

#[test]
fn a_hundred_clients_at_once_are_all_answered() {
    let site = Site::start();
    let asking: Vec<_> = (0..100)
        .map(|_| {
            let path = site.path();
            thread::spawn(move || report(&path))
        })
        .collect();
    for asking in asking {
        let report = asking.join().unwrap();
        assert_eq!(report.loops[0].state, LoopState::Turning);
        assert!(!report.loops[0].tasks.is_empty());
    }
}

#[test]
fn another_servers_socket_is_told_apart() {
    let directory = tempfile::tempdir().unwrap();
    let ask = |name: &str, answer: &'static [u8]| {
        let path = directory.path().join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let serving = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            BufReader::new(&stream)
                .read_line(&mut String::new())
                .unwrap();
            stream.write_all(answer).unwrap();
        });
        let output = command(&path, &["ps"]);
        serving.join().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        stderr(&output)
    };
    let told = ask("a", b"HTTP/1.1 400 Bad Request\r\n\r\n");
    assert!(
        told.contains("is not the socket of a monoloop server"),
        "{told}"
    );
    assert!(ask("b", b"").contains("it says nothing"));
    let told = ask("c", b"{\"monoloop\":7,\"answer\":\"tasks\"}\n");
    assert!(
        told.contains("speaks version 7 of the protocol, this command version 1"),
        "{told}"
    );
}

#[test]
fn wrong_usage_ends_with_2() {
    let usages: [(&[&str], &str); 6] = [
        (
            &["ps"],
            "which server? give its socket with --socket PATH or MONOLOOP_SOCKET=PATH",
        ),
        (
            &["cancel", "seventeen"],
            "a task's id is its slot and its generation, as in 17.3",
        ),
        (
            &["cancel", "x/17.3"],
            "before the / stands the number of a loop",
        ),
        (&["trace", "--turns", "0"], "0 is not in 1..=10000"),
        (&["top", "--interval", "1ms"], "from 100ms to 1h"),
        (&["dance"], "unrecognized subcommand 'dance'"),
    ];
    for (arguments, complaint) in usages {
        let output = monoloop(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(stderr(&output).contains(complaint), "{output:?}");
    }
}

#[test]
fn a_refusal_is_an_error_of_the_client() {
    let site = Site::start();
    let asked = Client::new(site.path()).ask(
        &Ask::Cancel {
            number: Some(3),
            task: "1.1".to_owned(),
        },
        |_| panic!("nothing was done"),
    );
    assert!(matches!(asked, Err(AskError::Refused(message)) if message.contains("no loop 3")));
    assert!(REQUEST_ID.get().is_none());
}
