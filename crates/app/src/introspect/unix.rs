//! Unix sockets: the thread that accepts, and the client's end.

use super::SocketError;
use super::loops::Loops;
use super::place::Place;
use super::serve::serve;
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::loops::now;

/// Clients that are served at a time, each by a thread; more wait in the kernel's backlog.
const CLIENTS_MAX: usize = 16;

/// How long accepting rests when it failed: for want of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long connecting rests when the backlog is full.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

const STACK_BYTES: usize = 256 * 1024;

/// A socket that is served.
#[derive(Debug)]
pub(super) struct Opened {
    shared: Arc<Shared>,
    place: Place,
}

#[derive(Debug, Default)]
struct Shared {
    loops: Loops,
    closing: AtomicBool,
    clients: Mutex<usize>,
    client_left: Condvar,
}

impl Opened {
    pub(super) fn open(path: &Path) -> Result<Opened, SocketError> {
        let (listener, place) = Place::take(path)?;
        let shared = Arc::new(Shared::default());
        let accepting = shared.clone();
        let started = in_thread(move || accept(&listener, &accepting));
        match started {
            Ok(()) => Ok(Opened { shared, place }),
            Err(error) => Err(SocketError::Io {
                path: path.to_owned(),
                error,
            }),
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.place.path()
    }

    pub(super) fn loops(&self) -> &Loops {
        &self.shared.loops
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        // Ends the wait for clients.
        let _ = connect_once(self.place.path());
    }
}

fn accept(listener: &UnixListener, shared: &Arc<Shared>) {
    while !shared.closing.load(Ordering::Acquire) {
        match listener.accept() {
            Ok((stream, _)) => {
                let client = Client::enter(shared);
                // Without a thread for it, it is turned away.
                let _ = in_thread(move || {
                    let client = client;
                    serve(stream, &client.shared.loops);
                });
            }
            Err(_) => thread::park_timeout(ACCEPT_PAUSE),
        }
    }
}

fn in_thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = thread::Builder::new().name("monoloop-look".into());
    builder.stack_size(STACK_BYTES).spawn(work).map(drop)
}

/// One of the clients that are served.
struct Client {
    shared: Arc<Shared>,
}

impl Client {
    /// Waits until there is room for one more: each is done, or cut off, after a while.
    fn enter(shared: &Arc<Shared>) -> Client {
        let clients = shared.clients.lock();
        let clients = clients.unwrap_or_else(PoisonError::into_inner);
        let full = |clients: &mut usize| *clients >= CLIENTS_MAX;
        let room = shared.client_left.wait_while(clients, full);
        *room.unwrap_or_else(PoisonError::into_inner) += 1;
        Client {
            shared: shared.clone(),
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let clients = self.shared.clients.lock();
        *clients.unwrap_or_else(PoisonError::into_inner) -= 1;
        self.shared.client_left.notify_one();
    }
}

/// Connects to a socket, whose backlog may be full for a while.
pub(super) fn connect(path: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let gives_up_at = now() + timeout;
    loop {
        match connect_once(path) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && now() < gives_up_at => {
                thread::park_timeout(CONNECT_PAUSE);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::ErrorKind::TimedOut.into());
            }
            connected => return connected,
        }
    }
}

/// Whether there is something that cannot be connected to: a file, a directory.
pub(super) fn is_no_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| !found.file_type().is_socket())
}

fn connect_once(path: &Path) -> io::Result<UnixStream> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.connect(&SockAddr::unix(path)?)?;
    socket.set_nonblocking(false)?;
    Ok(socket.into())
}
