//! Binding the listeners' addresses, before anything of what is new is served: where one can't be had, nothing changes.

use std::io;
use std::net::{SocketAddr, TcpListener};

use socket2::{Domain, Protocol, Socket, Type};

use super::settings::ListenerSettings;
use crate::problem::{Problem, Problems};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// A listener that has its address.
pub(super) struct Bound {
    pub address: SocketAddr,
    /// With the number of the worker that accepts by it. Each worker has one at least.
    pub sockets: Vec<(usize, TcpListener)>,
}

/// Binds a listener, with a socket for each worker. `own` are addresses that this process has already; sockets at its
/// address that were `passed` to this process are used as they are.
///
/// # Errors
/// The address can't be had.
pub(super) fn bind_listener(
    settings: &ListenerSettings,
    workers: usize,
    own: &[SocketAddr],
    passed: Vec<TcpListener>,
) -> Result<Bound, Problems> {
    let what = format!("listener `{}`", settings.name);
    if let Some(first) = passed.first() {
        let bound = first
            .local_addr()
            .and_then(|address| Ok(Bound { address, sockets: shared_out(passed, workers)? }));
        let cannot = |error: io::Error| {
            Problem::error(format!("{what}: the socket that was passed is of no use: {error}"))
        };
        return bound.map_err(|error| cannot(error).into());
    }
    // Where one of ours has the port, it can't be told whether somebody else has it as well.
    if !own.iter().any(|own| own.port() == settings.address.port()) {
        refuse_taken(settings.address, &what)?;
    }
    let first = bind_one(settings.address, &what)?;
    // With port 0 the first socket chooses, and the others join it.
    let address = first.local_addr().unwrap_or(settings.address);
    let mut sockets = vec![(0, first)];
    for worker in 1..workers {
        sockets.push((worker, bind_one(address, &what)?));
    }
    Ok(Bound { address, sockets })
}

/// Gives every socket to a worker, since connections wait at all of them, and every worker a socket, which it shares with
/// others where there are too few.
fn shared_out(passed: Vec<TcpListener>, workers: usize) -> io::Result<Vec<(usize, TcpListener)>> {
    let mut shared = Vec::with_capacity(passed.len().max(workers));
    for (worker, socket) in (passed.len()..workers).zip(passed.iter().cycle()) {
        shared.push((worker, socket.try_clone()?));
    }
    for (number, socket) in passed.into_iter().enumerate() {
        socket.set_nonblocking(true)?;
        shared.push((number % workers.max(1), socket));
    }
    Ok(shared)
}

/// Workers share an address with each other, but must not share it, unnoticed, with another process of the same user:
/// a socket that shares nothing can be bound where nobody listens alone.
fn refuse_taken(address: SocketAddr, what: &str) -> Result<(), Problems> {
    if address.port() == 0 {
        return Ok(());
    }
    match TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(Problem::error(format!("{what}: {address} can't be bound: {error}")).into()),
    }
}

/// One socket at `address`, for what problems call `what`.
///
/// # Errors
/// The address can't be had.
pub(super) fn bind_one(address: SocketAddr, what: &str) -> Result<TcpListener, Problems> {
    bind(address)
        .map_err(|error| Problems::from(Problem::error(format!("{what}: {address} can't be bound: {error}"))))
}

/// Opens a listening socket that other workers may share.
fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}
