//! The driver for readiness where there is nothing better: poll(2), through rustix.
//!
//! The kernel is told at every wait which sockets are of interest, so a wait costs as much as
//! there are sockets. It is for systems, and for sandboxes, that have no epoll or kqueue,
//! and it keeps the others honest: same programs, other kernel.
//!
//! poll(2) reports what is the case, not what has changed. So a wait asks only for what is not
//! known already: a socket that was reported readable is left out until a call has said
//! `WouldBlock`, and the loop does not spin on bytes that nobody takes. The kernel refuses
//! (`EINVAL`) to look at more sockets than the process may have descriptors, which takes a limit
//! that was lowered below what is open.

use super::Wait;
use super::readiness::{Io, Report, Sockets, Watch};
use crate::inbox::Notify;
use crate::task::Waiter;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use slotmap::DefaultKey;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

/// Reported even when nobody asks: then both directions have something to say.
const BROKEN: PollFlags = PollFlags::ERR.union(PollFlags::HUP).union(PollFlags::NVAL);

pub(crate) struct Poll {
    /// What the last wait looked at, behind the bell.
    keys: Vec<DefaultKey>,
    reports: Vec<(DefaultKey, Report)>,
    bell: UnixStream,
    ringer: Arc<UnixStream>,
}

impl Poll {
    pub(crate) fn open() -> io::Result<Self> {
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        Ok(Poll {
            keys: Vec::new(),
            reports: Vec::new(),
            bell,
            ringer: Arc::new(ringer),
        })
    }

    /// Takes what other threads have written to the bell.
    fn silence(&self) -> io::Result<()> {
        let mut bell = &self.bell;
        loop {
            match bell.read(&mut [0; 64]) {
                Ok(0) => unreachable!("the other end of the bell is open as long as this one"),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl Watch for Poll {
    fn add(&mut self, _: &mut Io, _: DefaultKey, _: bool) -> io::Result<()> {
        Ok(())
    }

    fn add_room(&mut self, _: &mut Io, _: DefaultKey) -> io::Result<()> {
        Ok(())
    }

    fn wait(
        &mut self,
        wait: Wait,
        sockets: &mut Sockets,
        woken: &mut Vec<Waiter>,
    ) -> io::Result<usize> {
        // It borrows the descriptors, so that none of them can be closed meanwhile.
        let mut asked = vec![PollFd::new(&self.bell, PollFlags::IN)];
        self.keys.clear();
        for (key, wanted) in sockets.wanted() {
            let mut events = PollFlags::empty();
            events.set(PollFlags::IN, wanted.readable);
            events.set(PollFlags::OUT, wanted.writable);
            asked.push(PollFd::new(wanted.io, events));
            self.keys.push(key);
        }
        let events = match poll(&mut asked, timeout_of(wait).as_ref()) {
            Ok(events) => events,
            // A signal: its own thread deals with it, the loop takes a turn.
            Err(rustix::io::Errno::INTR) => return Ok(0),
            Err(error) => return Err(error.into()),
        };
        let rung = !asked[0].revents().is_empty();
        for (key, asked) in self.keys.iter().zip(&asked[1..]) {
            let came = asked.revents();
            if came.is_empty() {
                continue;
            }
            let report = Report {
                readable: came.contains(PollFlags::IN),
                writable: came.contains(PollFlags::OUT),
                read_closed: false,
                broken: came.intersects(BROKEN),
            };
            self.reports.push((*key, report));
        }
        for (key, report) in self.reports.drain(..) {
            sockets.report(key, report, woken);
        }
        if rung {
            self.silence()?;
        }
        Ok(events)
    }

    fn notifier(&mut self) -> io::Result<Box<dyn Notify>> {
        Ok(Box::new(Ringer(self.ringer.clone())))
    }
}

struct Ringer(Arc<UnixStream>);

impl Notify for Ringer {
    fn notify(&self) {
        let mut ringer = &*self.0;
        loop {
            match ringer.write(&[1]) {
                Ok(_) => return,
                // It was rung so often that it rings for sure; or the loop is gone.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    tracing::error!(%error, "another thread could not wake the event loop");
                    return;
                }
            }
        }
    }
}

fn timeout_of(wait: Wait) -> Option<Timespec> {
    let timeout = match wait {
        Wait::Not => std::time::Duration::ZERO,
        Wait::AtMost(timeout) => timeout,
        Wait::Forever => return None,
    };
    // More seconds than the kernel counts are forever.
    Timespec::try_from(timeout).ok()
}
