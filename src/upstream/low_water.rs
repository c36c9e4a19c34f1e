//! How much a socket has to hold before its reader is woken.
//!
//! No safe wrapper of `SO_RCVLOWAT` is among the libraries that are here anyway. Without it a backend that streams many
//! small messages wakes the worker for each of its segments: 145 times for a stream of 1,000 books, instead of 24 times.
#![expect(unsafe_code, reason = "one system call, over a socket that is borrowed for it")]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Wakes the reader only when `bytes` are there, or nothing more can come. What is there may be read at any time. Setting
/// it wakes the reader at once where there is enough (socket(7), `tcp_set_rcvlowat` of Linux).
///
/// # Errors
/// The socket's own.
pub(super) fn set(socket: &impl AsFd, bytes: u32) -> io::Result<()> {
    let value = libc::c_int::try_from(bytes).unwrap_or(libc::c_int::MAX);
    let length = size_of_val(&value) as libc::socklen_t;
    // SAFETY: the descriptor is open, since it is borrowed; the option's value is an int (socket(7)), and the pointer and the
    // length are those of one that lives until the call returns.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVLOWAT,
            (&raw const value).cast(),
            length,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
