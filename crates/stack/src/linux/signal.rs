//! The signal: its handler, and what has to be asked of the system for it.

#![allow(
    unsafe_code,
    reason = "signals are asked of the system by calls that the compiler cannot check"
)]

use super::registers::Registers;
use super::slot;
use std::io;
use std::mem::MaybeUninit;
use std::ops::Range;
use std::ptr;
use std::sync::OnceLock;

/// Ignored by default and hardly in use; see the crate's documentation.
const SIGNAL: libc::c_int = libc::SIGURG;

/// What was there before. Set before our handler is.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

/// Puts the handler in place, once in the life of the process.
pub(super) fn install() -> io::Result<()> {
    static INSTALLED: OnceLock<Result<(), i32>> = OnceLock::new();
    let installed = INSTALLED.get_or_init(|| {
        let failed = || io::Error::last_os_error().raw_os_error().unwrap_or(0);
        let mut before = MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: asks only, and writes to memory that is ours.
        if unsafe { libc::sigaction(SIGNAL, ptr::null(), before.as_mut_ptr()) } != 0 {
            return Err(failed());
        }
        // SAFETY: the call has filled it.
        let before = unsafe { before.assume_init() };
        BEFORE.get_or_init(|| before);

        // SAFETY: zeros are a valid `sigaction`: no handler, no flags, nothing masked.
        let mut ours: libc::sigaction = unsafe { MaybeUninit::zeroed().assume_init() };
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            on_signal;
        ours.sa_sigaction = handler as usize;
        ours.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
        // SAFETY: the handler has the signature that SA_SIGINFO asks for, lives as long as
        // the program, and does nothing but what signal-safety(7) allows.
        if unsafe { libc::sigaction(SIGNAL, &ours, ptr::null_mut()) } != 0 {
            return Err(failed());
        }
        Ok(())
    });
    installed.map_err(io::Error::from_raw_os_error)
}

/// Everything in here may interrupt anything: no lock, no allocation, no panic.
extern "C" fn on_signal(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: `errno` of this thread, always there.
    let errno = unsafe { *libc::__errno_location() };
    // SAFETY: the kernel gives a handler with SA_SIGINFO the interrupted context, aligned,
    // which nothing else touches while the handler runs.
    let registers = Registers::of(unsafe { &*context.cast::<libc::ucontext_t>() });
    slot::answer(own_thread(), registers);
    call_the_one_before(signal, info, context);
    // SAFETY: as above.
    unsafe { *libc::__errno_location() = errno };
}

/// Always, for a signal that was meant for it may have been merged with ours.
fn call_the_one_before(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    let Some(before) = BEFORE.get() else {
        return;
    };
    let handler = before.sa_sigaction;
    if handler == libc::SIG_DFL || handler == libc::SIG_IGN {
        return;
    }
    if before.sa_flags & libc::SA_SIGINFO == 0 {
        // SAFETY: somebody has installed this address as a handler of this signal without
        // SA_SIGINFO, which has this signature.
        let handler: extern "C" fn(libc::c_int) = unsafe { std::mem::transmute(handler) };
        handler(signal);
    } else {
        // SAFETY: as above, with SA_SIGINFO.
        let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) =
            unsafe { std::mem::transmute(handler) };
        handler(signal, info, context);
    }
}

/// Sends the signal to one thread of this process. False when that thread is gone.
pub(super) fn send(thread: libc::pid_t) -> bool {
    // SAFETY: no memory is involved. A thread that is gone is an error, not a danger.
    unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), thread, SIGNAL) == 0 }
}

/// The kernel's number of the calling thread.
pub(super) fn own_thread() -> libc::pid_t {
    // SAFETY: cannot fail and touches nothing.
    unsafe { libc::syscall(libc::SYS_gettid) as libc::pid_t }
}

/// Where the stack of the calling thread is.
pub(super) fn own_stack() -> io::Result<Range<usize>> {
    let mut attributes = MaybeUninit::<libc::pthread_attr_t>::uninit();
    // SAFETY: fills the attributes of a thread that exists, the calling one.
    let error = unsafe { libc::pthread_getattr_np(libc::pthread_self(), attributes.as_mut_ptr()) };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    let (mut start, mut bytes) = (ptr::null_mut(), 0);
    // SAFETY: the attributes were filled above, are read, and then let go, once.
    let error = unsafe {
        let attributes = attributes.as_mut_ptr();
        let error = libc::pthread_attr_getstack(attributes, &mut start, &mut bytes);
        libc::pthread_attr_destroy(attributes);
        error
    };
    match error {
        0 => Ok(start as usize..start as usize + bytes),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}
