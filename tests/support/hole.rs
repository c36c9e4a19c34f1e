//! A way to a backend on which everything can vanish without a word: connections stay open, and nothing comes through.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A proxy in front of a backend. Its threads end with its connections.
pub struct Hole {
    pub address: SocketAddr,
    /// Connections with a lower number lead nowhere.
    first: Arc<AtomicUsize>,
    accepted: Arc<AtomicUsize>,
}

impl Hole {
    pub fn before(backend: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (first, accepted): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
        let (own_first, own_accepted) = (Arc::clone(&first), Arc::clone(&accepted));
        std::thread::spawn(move || {
            while let Ok((near, _)) = listener.accept() {
                let number = own_accepted.fetch_add(1, Ordering::SeqCst);
                let Ok(far) = TcpStream::connect(backend) else { continue };
                for (from, to) in [(&near, &far), (&far, &near)] {
                    let (from, to) = (from.try_clone().expect("a socket"), to.try_clone().expect("a socket"));
                    let first = Arc::clone(&own_first);
                    std::thread::spawn(move || carry(from, to, || number < first.load(Ordering::SeqCst)));
                }
            }
        });
        Self { address, first, accepted }
    }

    /// From now on nothing comes through on the connections that there are. New ones are good.
    pub fn swallow(&self) {
        self.first.store(self.accepted(), Ordering::SeqCst);
    }

    /// Connections so far.
    pub fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }
}

fn carry(mut from: TcpStream, mut to: TcpStream, is_lost: impl Fn() -> bool) {
    let mut bytes = [0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if !is_lost() && to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
