//! Running a server: how a new version takes the place of the old one, and no client notices.
//!
//! What to look at when something is wrong is in [`incidents`](crate::guide::incidents).
//!
//! There are two ways. Both need nothing of the clients, and both end the old process with
//! SIGTERM, which [drains](crate::Shutdown) it: requests that run are finished, connections between
//! two requests are still answered for half a second, with `Connection: close`.
//!
//! # systemd holds the socket
//! With `handover.activated = true` the server serves on a socket that systemd has opened
//! (`LISTEN_FDS`; [`Server::activated`](crate::Server::activated)). The socket stays while the
//! server is replaced; who connects in between waits in its backlog for as long as the new server takes to
//! start. All loops share that one socket: the kernel wakes each of them for a new connection and the
//! first one gets it, which costs some wake-ups that `SO_REUSEPORT` does not.
//!
//! ```text
//! # shop.socket
//! [Socket]
//! ListenStream=0.0.0.0:8080
//! Backlog=4096
//! [Install]
//! WantedBy=sockets.target
//!
//! # shop.service
//! [Service]
//! Type=notify
//! ExecStart=/usr/local/bin/shop --config /etc/shop/server.toml
//! WatchdogSec=10s
//! TimeoutStopSec=30s
//! LimitNOFILE=65536
//! Restart=on-failure
//! ```
//! `systemctl restart shop` is the restart. The server tells systemd when it is ready, that it drains,
//! and, with `WatchdogSec=`, that its first loop turns (`NOTIFY_SOCKET`). Without systemd,
//! `systemd-socket-activate -l 8080 shop` shows the same; a program of your own hands a socket over
//! with [`Server::listener`](crate::Server::listener).
//!
//! # Two servers share the port
//! With `handover.reuse_port = true` ([`Server::reuse_port`](crate::Server::reuse_port)) the new server
//! listens at the port beside the old one (`SO_REUSEPORT`, the same user for both):
//!
//! ```text
//! shop --config server.toml &      # the new one
//! curl --retry 20 --retry-all-errors -s http://127.0.0.1:8080/readyz
//! kill -TERM "$OLD_PID"            # the old one drains
//! ```
//! The kernel deals new connections out to both sockets, by their addresses, and resets those that the old
//! one was dealt and has not accepted when it closes. So on Linux the old server first has the kernel
//! ignore who begins to connect to it, accepts for 300 ms those who had begun, and closes
//! then. Who was ignored is not refused: its system tries again after a second, as it does for any
//! lost packet, and gets to the new server. With `net.ipv4.tcp_migrate_req = 1` (Linux 5.14) the kernel
//! itself hands on what a socket had not accepted.
