//! The bounds of a WebSocket, and whom it is for.

use http::Uri;
use std::time::Duration;

/// How a WebSocket is accepted and kept.
///
/// ```
/// use monoloop::websocket::{Options, Origins};
///
/// let options = Options {
///     message_bytes_max: 64 * 1024,
///     origins: Origins::These(vec!["https://chat.example".to_owned()]),
///     ..Options::default()
/// };
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a message that is received; a longer one is the end (1009). Default 1 MiB, as
    /// the server's bodies and Python's websockets. (Node's ws: 100 MiB; Go's gorilla: none.)
    pub message_bytes_max: usize,
    /// Bytes of a frame that is received, judged by its header. Default 1 MiB.
    pub frame_bytes_max: usize,
    /// Silence of the peer after which it is sent a ping, `None` for never. It also keeps proxies
    /// from taking the connection for dead: nginx closes after 60 s. Default 30 s (Phoenix 30,
    /// Python's websockets 20, Socket.IO 25).
    pub ping_after: Option<Duration>,
    /// Silence of the peer, pongs too, after which the connection is cut; `None` for never. Counts
    /// only while somebody reads. Default 60 s: the peer has 30 to answer a ping (Python's
    /// websockets: 20 and 20).
    pub idle_timeout: Option<Duration>,
    /// Bytes that a message that has begun has to bring in each second, on average, while somebody
    /// reads: it may take `idle_timeout` and a second for each so many bytes, and pings in between
    /// count. Who is slower is told 1008. Default 240, as for bodies
    /// ([`body_bytes_per_second_min`](crate::Timeouts::body_bytes_per_second_min)). Without
    /// `idle_timeout` there is none.
    pub message_bytes_per_second_min: Option<u32>,
    /// How long the peer may take to agree to a close that it was sent (RFC 6455 §7.1.1). Default 10 s, as in Python's
    /// websockets and in Firefox.
    pub close_timeout: Duration,
    /// Subprotocols that are spoken, by preference; the first one that the peer offers is
    /// taken (RFC 6455 §4.2.2). Default: none, and what the peer offers is passed over.
    pub protocols: Vec<&'static str>,
    /// Whose pages may connect. Default [`Origins::SameHost`].
    pub origins: Origins,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            message_bytes_max: 1024 * 1024,
            frame_bytes_max: 1024 * 1024,
            ping_after: Some(Duration::from_secs(30)),
            idle_timeout: Some(Duration::from_secs(60)),
            message_bytes_per_second_min: Some(240),
            close_timeout: Duration::from_secs(10),
            protocols: Vec::new(),
            origins: Origins::SameHost,
        }
    }
}

/// Whose pages may connect.
///
/// A browser sends cookies along with a WebSocket's request whatever page has asked for it, and asks
/// nobody before: without a check any page on the web speaks in the name of whoever looks at it
/// (cross-site WebSocket hijacking). It says in `Origin` which page it was (RFC 6455 §10.2). Programs
/// that are no browsers send none, and are let in by each of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    /// Pages whose host and port are those of the request's `Host`. As gorilla does by default.
    SameHost,
    /// Pages of these origins, as in `https://chat.example`: scheme, host, and the port unless it
    /// is the scheme's own.
    These(Vec<String>),
    /// All pages: for what needs no login and gives away nothing.
    Any,
}

impl Origins {
    /// Whether a page of this origin may connect to this host.
    pub(super) fn allow(&self, origin: &[u8], host: &[u8]) -> bool {
        match self {
            Origins::Any => true,
            Origins::These(allowed) => allowed
                .iter()
                .any(|allowed| allowed.as_bytes().eq_ignore_ascii_case(origin)),
            Origins::SameHost => {
                let origin = Uri::try_from(origin).ok();
                let authority = origin.as_ref().and_then(Uri::authority);
                authority.is_some_and(|page| page.as_str().as_bytes().eq_ignore_ascii_case(host))
            }
        }
    }
}
