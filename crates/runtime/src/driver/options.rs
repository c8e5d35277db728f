//! Options of sockets that have to be known before they are opened.

use std::net::SocketAddr;

/// Options of a listening socket.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Lets several loops, each with a socket of its own, share the port: the kernel
    /// spreads new connections over them (`SO_REUSEPORT`; an error where there is none).
    /// Default: no.
    pub reuse_port: bool,
    /// Connections that may wait to be accepted. The kernel may allow fewer
    /// (`net.core.somaxconn`, 4,096 on Linux). Default 4,096.
    pub backlog: u32,
    /// Sends small segments at once on accepted connections (`TCP_NODELAY`). Default: yes.
    pub nodelay: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions {
            reuse_port: false,
            backlog: 4096,
            nodelay: true,
        }
    }
}

impl ListenOptions {
    /// Whether several loops may share the port.
    #[must_use]
    pub fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }

    /// Connections that may wait to be accepted.
    #[must_use]
    pub fn backlog(mut self, backlog: u32) -> Self {
        self.backlog = backlog;
        self
    }

    /// Whether accepted connections send small segments at once.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }
}

/// Options of a connection that is opened from here.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectOptions {
    /// The address to connect from; port 0 lets the kernel choose. Default: the kernel
    /// chooses both. There are some 28,000 ports for each pair of addresses, so a client
    /// with more connections needs several.
    pub local_addr: Option<SocketAddr>,
    /// Sends small segments at once (`TCP_NODELAY`). Default: yes.
    pub nodelay: bool,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions {
            local_addr: None,
            nodelay: true,
        }
    }
}

impl ConnectOptions {
    /// The address to connect from.
    #[must_use]
    pub fn local_addr(mut self, address: SocketAddr) -> Self {
        self.local_addr = Some(address);
        self
    }

    /// Whether small segments are sent at once.
    #[must_use]
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.nodelay = nodelay;
        self
    }
}

/// Options of a UDP socket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct UdpOptions {
    /// Lets several sockets have one address (`SO_REUSEADDR`): each of them gets what is sent to a
    /// multicast group or broadcast, the last one what is sent to one receiver. Default: no.
    pub reuse_address: bool,
    /// Lets several sockets of one user share the port: the kernel spreads the senders over them
    /// (`SO_REUSEPORT`; an error where there is none). Default: no.
    pub reuse_port: bool,
}

impl UdpOptions {
    /// Whether several sockets may have one address.
    #[must_use]
    pub fn reuse_address(mut self, reuse_address: bool) -> Self {
        self.reuse_address = reuse_address;
        self
    }

    /// Whether several sockets may share the port.
    #[must_use]
    pub fn reuse_port(mut self, reuse_port: bool) -> Self {
        self.reuse_port = reuse_port;
        self
    }
}
