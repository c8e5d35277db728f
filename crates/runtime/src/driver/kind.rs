//! Which driver a loop runs on.

use std::fmt;
use std::io;
use std::str::FromStr;

/// What a loop asks for I/O.
///
/// Chosen by [`Builder::driver`](crate::Builder::driver), else by the environment variable
/// `MONOLOOP_DRIVER`, else [`Selector`](DriverKind::Selector). Programs run the same on all
/// of them.
///
/// ```
/// use monoloop_runtime::DriverKind;
///
/// assert_eq!("poll".parse(), Ok(DriverKind::Poll));
/// let error = "pol".parse::<DriverKind>().unwrap_err();
/// assert_eq!(error.to_string(), r#"there is no driver "pol": choose selector or poll"#);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum DriverKind {
    /// The system's best: epoll, kqueue or IOCP.
    #[default]
    Selector,
    /// poll(2), which every Unix has. A wait costs as much as there are sockets. Not on Windows
    /// (`Unsupported`).
    Poll,
}

/// The name of no driver that could be chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownDriver(String);

/// The variable that chooses for programs which leave it open.
const VARIABLE: &str = "MONOLOOP_DRIVER";

impl DriverKind {
    /// The one that the environment asks for.
    pub(crate) fn asked_for() -> io::Result<DriverKind> {
        let Some(name) = std::env::var_os(VARIABLE) else {
            return Ok(DriverKind::default());
        };
        let kind = name.to_string_lossy().parse();
        kind.map_err(|error: UnknownDriver| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{VARIABLE}: {error}"))
        })
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            DriverKind::Selector => "selector",
            DriverKind::Poll => "poll",
        }
    }
}

impl FromStr for DriverKind {
    type Err = UnknownDriver;

    fn from_str(name: &str) -> Result<Self, UnknownDriver> {
        match name {
            "selector" => Ok(DriverKind::Selector),
            "poll" => Ok(DriverKind::Poll),
            _ => Err(UnknownDriver(name.to_owned())),
        }
    }
}

impl fmt::Display for DriverKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for UnknownDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.0 {
            "simulation" => f.write_str(
                "a simulated world is not chosen for a program, it is made around a future: \
                 monoloop_runtime::sim::run(seed, future); choose selector or poll",
            ),
            name => write!(f, "there is no driver {name:?}: choose selector or poll"),
        }
    }
}

impl std::error::Error for UnknownDriver {}
