//! A listening socket that lets nobody in any more who is not half in already.

use socket2::Socket;
use std::io;

/// Has the kernel drop, before it looks at them, the segments with which connections begin. A client
/// whose first segment is lost sends it once more a second later (RFC 6298 §2), and then it goes to
/// whoever listens by then. What is under way goes on.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn ignore_new(socket: &Socket) -> io::Result<()> {
    use socket2::SockFilter;

    /// Where the flags are in a TCP header, and two of them (RFC 9293 §3.1).
    const FLAGS_AT: u32 = 13;
    const SYN: u32 = 0x02;
    const ACK: u32 = 0x10;

    // Classic BPF, whose opcodes are those of <linux/bpf_common.h>. A filter of a TCP socket sees
    // segments from their header on, and says how many bytes of them are kept.
    const LOAD_BYTE: u16 = 0x30;
    const AND: u16 = 0x54;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;

    socket.attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, FLAGS_AT),
        SockFilter::new(AND, 0, 0, SYN | ACK),
        SockFilter::new(JUMP_IF_EQUAL, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

/// Other systems have no such filter for TCP.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn ignore_new(_: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system cannot have new connections ignored",
    ))
}
