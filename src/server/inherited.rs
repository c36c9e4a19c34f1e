//! Listening sockets that the process did not open: those that systemd passes, and those of the process that it replaces.
//!
//! They were listening before this process began, so connections wait at them for it, and nobody is refused.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use listenfd::ListenFd;

use crate::problem::{Problem, Problems};

/// The listening sockets of this process, for the one that will replace it. They are held once more here, so they have to be
/// let go of before they are closed.
#[derive(Debug, Default)]
pub(super) struct Sockets(Mutex<Vec<Listening>>);

impl Sockets {
    fn list(&self) -> MutexGuard<'_, Vec<Listening>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds sockets of one listener.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(super) fn add<'s>(
        &self,
        name: &str,
        address: SocketAddr,
        sockets: impl IntoIterator<Item = &'s TcpListener>,
    ) -> io::Result<()> {
        for socket in sockets {
            let socket = socket.try_clone()?;
            self.list().push(Listening { name: name.to_owned(), address, socket });
        }
        Ok(())
    }

    /// Lets go of those of a listener that is no more.
    pub(super) fn remove(&self, address: SocketAddr) {
        self.list().retain(|listening| listening.address != address);
    }

    /// Lets go of all.
    pub(super) fn clear(&self) {
        self.list().clear();
    }

    /// All there are now.
    ///
    /// # Errors
    /// There are no descriptors left.
    pub(super) fn all(&self) -> io::Result<Vec<Listening>> {
        self.list()
            .iter()
            .map(|Listening { name, address, socket }| {
                Ok(Listening { name: name.clone(), address: *address, socket: socket.try_clone()? })
            })
            .collect()
    }
}

/// A listening socket with what is known of it.
#[derive(Debug)]
pub(super) struct Listening {
    /// The listener's name where the socket was opened; empty where nobody said.
    pub name: String,
    pub address: SocketAddr,
    pub socket: TcpListener,
}

/// Sockets that wait for a listener to take them.
#[derive(Debug, Default)]
pub struct Inherited(Vec<Listening>);

impl Inherited {
    /// The sockets that the service manager passes (sd_listen_fds(3)); with their names, where it says some. It is to be
    /// called once, before there are threads. Warnings come beside it.
    #[must_use]
    pub fn from_service_manager() -> (Self, Problems) {
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut passed = ListenFd::from_env();
        let mut problems = Problems::new();
        let mut sockets = Vec::new();
        for index in 0..passed.len() {
            let name = names.next().unwrap_or_default().to_owned();
            let taken = passed.take_tcp_listener(index).and_then(|socket| {
                let Some(socket) = socket else { return Ok(None) };
                socket.set_nonblocking(true)?;
                Ok(Some(Listening { name: name.clone(), address: socket.local_addr()?, socket }))
            });
            match taken {
                Ok(socket) => sockets.extend(socket),
                Err(error) => {
                    let what = format!(
                        "the socket {index} (`{name}`) that the service manager passes is of no use: {error}"
                    );
                    problems.push(
                        Problem::warning(what).help("pass listening sockets of TCP, by `ListenStream=`"),
                    );
                }
            }
        }
        (Self(sockets), problems)
    }

    pub(super) fn push(&mut self, socket: Listening) {
        self.0.push(socket);
    }

    pub(super) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    /// The sockets at this address. Port 0 is any port, so there the name decides.
    pub(super) fn take(&mut self, name: &str, address: SocketAddr) -> Vec<TcpListener> {
        let fits = |listening: &mut Listening| match address.port() {
            0 => listening.name == name && same_ip(listening.address.ip(), address.ip()),
            _ => listening.address == address,
        };
        self.0.extract_if(.., fits).map(|listening| listening.socket).collect()
    }

    /// A warning for each socket that no listener took. They are closed with it.
    pub(super) fn warn_of_the_rest(self) -> Problems {
        let mut problems = Problems::new();
        for listening in self.0 {
            let what = format!(
                "the socket at {} that was passed (`{}`) is no listener's",
                listening.address, listening.name
            );
            problems
                .push(Problem::warning(what).help("give a listener this address, or don't pass the socket"));
        }
        problems
    }
}

/// A socket that was opened for all addresses of IPv6 may take those of IPv4, and is shown as either.
fn same_ip(left: IpAddr, right: IpAddr) -> bool {
    left == right || left.is_unspecified() && right.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(name: &str) -> Listening {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        Listening { name: name.to_owned(), address: socket.local_addr().unwrap(), socket }
    }

    #[test]
    fn sockets_are_found_by_address_and_by_name_where_the_port_is_any() {
        let (a, b, c) = (listening("a"), listening("a"), listening("c"));
        let (by_address, any) = (b.address, SocketAddr::from(([127, 0, 0, 1], 0)));
        let mut inherited = Inherited(vec![a, b, c]);
        assert_eq!(inherited.take("c", by_address).len(), 1, "the name is no matter");
        assert_eq!(inherited.take("c", by_address).len(), 0);
        assert_eq!(inherited.take("x", any).len(), 0);
        assert_eq!(inherited.take("a", any).len(), 1);
        let rest = inherited.warn_of_the_rest();
        assert!(rest.warnings() == 1 && rest.to_string().contains("(`c`)"), "{rest}");
    }
}
