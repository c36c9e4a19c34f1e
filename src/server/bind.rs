//! Binding the listeners' addresses: before anything is served, and in one piece, so that a process serves all of them or
//! none.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::sync::Semaphore;

use super::settings::ListenerSettings;
use crate::problem::{Problem, Problems};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 4096;

/// A listener that has its address.
pub(super) struct Bound {
    pub settings: ListenerSettings,
    pub address: SocketAddr,
    /// One for each worker.
    pub sockets: Vec<TcpListener>,
    /// Room for connections, over all workers.
    pub room: Arc<Semaphore>,
}

/// Binds all listeners, with a socket for each worker.
///
/// # Errors
/// Every address that can't be had.
pub(super) fn bind_all(listeners: &[ListenerSettings], workers: usize) -> Result<Vec<Bound>, Problems> {
    let mut problems = Problems::new();
    let mut bound = Vec::with_capacity(listeners.len());
    for settings in listeners {
        let what = format!("listener `{}`", settings.name);
        if let Err(found) = refuse_taken(settings.address, &what) {
            problems.extend(found);
            continue;
        }
        let first = match bind_one(settings.address, &what) {
            Ok(first) => first,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        // With port 0 the first socket chooses, and the others join it.
        let address = first.local_addr().unwrap_or(settings.address);
        let mut sockets = vec![first];
        for _ in 1..workers {
            match bind_one(address, &what) {
                Ok(socket) => sockets.push(socket),
                Err(found) => problems.extend(found),
            }
        }
        let room = Arc::new(Semaphore::new(settings.limits.connections.min(Semaphore::MAX_PERMITS)));
        bound.push(Bound { settings: settings.clone(), address, sockets, room });
    }
    problems.into_result(bound).map(|(bound, _)| bound)
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
