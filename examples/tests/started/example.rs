//! An example as a child process that does not outlive its test.

use crate::PATIENCE;
use crate::client::Client;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

/// A process. Dropping it kills it.
pub(crate) struct Example {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

/// What a process leaves behind.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` when a signal has ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    /// What nobody had read until then.
    pub(crate) stderr: String,
}

impl Example {
    pub(crate) fn start(name: &str, flags: &[&str]) -> Example {
        let mut command = Command::new(path(name));
        command.args(flags);
        Example::start_command(command)
    }

    pub(crate) fn start_command(mut command: Command) -> Example {
        // Undisturbed by what is set where the tests run.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MONOLOOP_") || variable == "RUST_LOG" {
                command.env_remove(variable);
            }
        }
        Example::start_as_it_is(command)
    }

    /// Starts it in debug mode, with the rest of the environment as it is.
    pub(crate) fn start_debugging(mut command: Command) -> Example {
        command.env("MONOLOOP_DEBUG", "1");
        Example::start_as_it_is(command)
    }

    fn start_as_it_is(mut command: Command) -> Example {
        command.stdin(Stdio::null());
        Example::start_with_stdin(command)
    }

    /// Starts it with the standard input and the environment that it was given.
    pub(crate) fn start_with_stdin(mut command: Command) -> Example {
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        Example {
            stdout: lines_of(child.stdout.take().unwrap()),
            stderr: lines_of(child.stderr.take().unwrap()),
            child,
        }
    }

    /// The next line of the log that has `text` in it.
    pub(crate) fn wait_for_line(&self, text: &str) -> String {
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(text) => return line,
                Ok(_) => {}
                Err(error) => panic!("no {text:?} in the log: {error}"),
            }
        }
    }

    /// The lines of the log that have come and that nobody has read.
    pub(crate) fn lines_so_far(&self) -> Vec<String> {
        self.stderr.try_iter().collect()
    }

    /// Sends SIGTERM.
    pub(crate) fn ask_to_end(&self) {
        self.signal("TERM");
    }

    /// Sends SIGHUP.
    pub(crate) fn ask_to_reload(&self) {
        self.signal("HUP");
    }

    fn signal(&self, name: &str) {
        let mut kill = Command::new("sh");
        let command = format!("kill -{name} \"$0\"");
        kill.args(["-c", &command, &self.child.id().to_string()]);
        assert!(kill.status().unwrap().success());
    }

    /// Waits until it has ended by itself.
    pub(crate) fn wait(mut self) -> Ended {
        let (stdout, stderr) = (rest_of(&self.stdout), rest_of(&self.stderr));
        Ended {
            code: self.child.wait().unwrap().code(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An example that listens.
pub(crate) struct Server {
    example: Example,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Starts a server at a free port and waits until it listens.
    pub(crate) fn start(name: &str, flags: &[&str]) -> Server {
        let listen = ["--listen", "127.0.0.1:0"];
        Server::wait_until_listening(Example::start(name, &[&listen, flags].concat()))
    }

    pub(crate) fn wait_until_listening(example: Example) -> Server {
        let line = example.wait_for_line("listening");
        let address = address_in(&line);
        Server { example, address }
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// Waits until it has ended, checks that it did so in order, and returns what nobody had
    /// read of the log.
    pub(crate) fn wait_until_stopped(self) -> String {
        let ended = self.example.wait();
        assert_eq!(ended.code, Some(0), "{ended:?}");
        let last = ended.stderr.lines().last();
        assert!(
            last.is_some_and(|line| line.contains("stopped")),
            "{ended:?}"
        );
        ended.stderr
    }
}

impl Deref for Server {
    type Target = Example;

    fn deref(&self) -> &Example {
        &self.example
    }
}

/// Where cargo puts an example: beside the directory of the tests.
pub(crate) fn path(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test.ancestors().nth(2).unwrap();
    let path = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is missing: `cargo test` builds it, `cargo test --test` does not",
        path.display()
    );
    path
}

fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, lines) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            // A test that has ended reads no more.
            let _ = sender.send(line.unwrap());
        }
    });
    lines
}

/// All lines until the stream is closed.
fn rest_of(lines: &Receiver<String>) -> String {
    let mut text = String::new();
    loop {
        match lines.recv_timeout(PATIENCE) {
            Ok(line) => text += &(line + "\n"),
            Err(RecvTimeoutError::Disconnected) => return text,
            Err(RecvTimeoutError::Timeout) => panic!("it does not end; it said:\n{text}"),
        }
    }
}

pub(crate) fn address_in(line: &str) -> SocketAddr {
    let is_part = |c: char| c.is_ascii_digit() || c == '.' || c == ':';
    let mut words = line.split(|c| !is_part(c));
    let address = words.find_map(|word| word.parse().ok());
    address.unwrap_or_else(|| panic!("no address in {line:?}"))
}
