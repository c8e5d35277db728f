//! A terminal in which keys are read one by one, put back in order at the end.

/// The keys that end a live view: q, and Ctrl-C, which comes as a byte while it runs.
#[cfg(unix)]
const QUITS: [u8; 3] = [b'q', b'Q', 3];

#[cfg(unix)]
pub(crate) use unix::Terminal;

#[cfg(not(unix))]
pub(crate) use other::Terminal;

#[cfg(unix)]
mod unix {
    use super::QUITS;
    use monoloop::{Runtime, signal};
    use rustix::termios::{
        LocalModes, OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr,
    };
    use std::io::{self, IsTerminal, Read, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;
    use std::time::Duration;

    const SHOW_OTHER_SCREEN: &str = "\x1b[?1049h\x1b[?25l";
    const SHOW_FIRST_SCREEN: &str = "\x1b[?25h\x1b[?1049l";

    /// While it is there, the output goes to the terminal's second screen, without a cursor.
    pub(crate) struct Terminal {
        /// How it was; `None` when the input is no terminal.
        before: Option<Termios>,
        quit: Receiver<()>,
    }

    impl Terminal {
        /// `None` when the output is no terminal.
        pub(crate) fn open() -> io::Result<Option<Terminal>> {
            if !io::stdout().is_terminal() {
                return Ok(None);
            }
            let (to, quit) = channel();
            // A signal ends it as a key does, so that the terminal is put back in order.
            let on_signal = to.clone();
            in_thread(move || wait_for_signal(&on_signal))?;
            let before = match isatty(io::stdin()) {
                false => None,
                true => {
                    let before = tcgetattr(io::stdin())?;
                    let mut now = before.clone();
                    // No lines, no echo, and Ctrl-C a byte like others.
                    now.local_modes -= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG;
                    tcsetattr(io::stdin(), OptionalActions::Now, &now)?;
                    in_thread(move || wait_for_key(&to))?;
                    Some(before)
                }
            };
            let terminal = Terminal { before, quit };
            write_now(SHOW_OTHER_SCREEN)?;
            Ok(Some(terminal))
        }

        /// Columns and rows.
        pub(crate) fn size(&self) -> (usize, usize) {
            match tcgetwinsize(io::stdout()) {
                Ok(size) if size.ws_col > 0 && size.ws_row > 0 => {
                    (size.ws_col.into(), size.ws_row.into())
                }
                _ => (80, 24),
            }
        }

        /// Shows a text instead of the one before.
        pub(crate) fn show(&self, text: &str) -> io::Result<()> {
            let mut screen = String::from("\x1b[H");
            for line in text.lines() {
                screen += line;
                // What was longer before, up to the line's end.
                screen += "\x1b[K\r\n";
            }
            screen += "\x1b[J";
            write_now(&screen)
        }

        /// Waits so long; returns true at once when somebody wants to quit.
        pub(crate) fn quits_within(&self, time: Duration) -> bool {
            self.quit.recv_timeout(time).is_ok()
        }
    }

    impl Drop for Terminal {
        fn drop(&mut self) {
            if let Some(before) = &self.before {
                let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
            }
            let _ = write_now(SHOW_FIRST_SCREEN);
        }
    }

    fn wait_for_key(quit: &Sender<()>) {
        let mut byte = [0];
        while let Ok(1) = io::stdin().read(&mut byte) {
            if QUITS.contains(&byte[0]) {
                let _ = quit.send(());
            }
        }
    }

    fn wait_for_signal(quit: &Sender<()>) {
        let Ok(mut runtime) = Runtime::new() else {
            return;
        };
        runtime.block_on(async {
            if let Ok(mut signals) = signal::shutdown() {
                signals.recv().await;
                let _ = quit.send(());
            }
        });
    }

    fn in_thread(work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        thread::Builder::new().spawn(work).map(drop)
    }

    fn write_now(text: &str) -> io::Result<()> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

#[cfg(not(unix))]
mod other {
    use std::io;
    use std::time::Duration;

    /// There is none.
    pub(crate) enum Terminal {}

    impl Terminal {
        pub(crate) fn open() -> io::Result<Option<Terminal>> {
            Ok(None)
        }

        pub(crate) fn size(&self) -> (usize, usize) {
            match *self {}
        }

        pub(crate) fn show(&self, _text: &str) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn quits_within(&self, _time: Duration) -> bool {
            match *self {}
        }
    }
}
