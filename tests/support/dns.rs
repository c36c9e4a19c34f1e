//! A DNS server over UDP that says what it is told, and counts who asks.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What is said of a name.
#[derive(Clone, Debug)]
pub enum Said {
    /// These addresses, for this many seconds.
    Addresses(Vec<IpAddr>, u32),
    /// Services: priority, weight, port, target.
    Services(Vec<(u16, u16, u16, &'static str)>, u32),
    /// The name exists and has nothing.
    Empty,
    NoSuchName,
    ServerFailure,
    Silence,
}

#[derive(Default)]
struct Shared {
    said: Mutex<HashMap<String, Said>>,
    /// By name, queries for any type.
    asked: Mutex<HashMap<String, usize>>,
    is_over: AtomicBool,
}

/// A running server.
pub struct Dns {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Dns {
    /// Knows no name.
    pub fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a free port");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("an open socket");
        let address = socket.local_addr().expect("it is bound");
        let shared = Arc::new(Shared::default());
        let own = Arc::clone(&shared);
        let thread = std::thread::spawn(move || serve(&socket, &own));
        Self { address, shared, thread: Some(thread) }
    }

    /// Says this of a name from now on.
    pub fn say(&self, name: &str, said: Said) {
        self.shared.said.lock().expect("no panics").insert(name.to_owned(), said);
    }

    /// Says that a host is at these last parts of 127.0.0.x.
    pub fn say_loopback(&self, name: &str, last: &[u8], ttl: u32) {
        let addresses = last.iter().map(|last| Ipv4Addr::new(127, 0, 0, *last).into()).collect();
        self.say(name, Said::Addresses(addresses, ttl));
    }

    /// How many queries came for a name.
    pub fn asked(&self, name: &str) -> usize {
        self.shared.asked.lock().expect("no panics").get(name).copied().unwrap_or_default()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the DNS server did not panic");
        }
    }
}

fn serve(socket: &UdpSocket, shared: &Shared) {
    let mut query = [0; 1500];
    while !shared.is_over.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut query) else { continue };
        if let Some(answer) = answer(&query[..length], shared) {
            socket.send_to(&answer, from).expect("it is sent");
        }
    }
}

const A: u16 = 1;
const AAAA: u16 = 28;
const SRV: u16 = 33;

/// The whole message (RFC 1035, section 4).
fn answer(query: &[u8], shared: &Shared) -> Option<Vec<u8>> {
    let mut labels = Vec::new();
    let mut at = 12;
    while query[at] != 0 {
        let end = at + 1 + usize::from(query[at]);
        labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_ascii_lowercase());
        at = end;
    }
    let question = &query[12..at + 5];
    let kind = u16::from_be_bytes([query[at + 1], query[at + 2]]);
    let name = labels.join(".");
    *shared.asked.lock().expect("no panics").entry(name.clone()).or_default() += 1;
    let said = shared.said.lock().expect("no panics").get(&name).cloned().unwrap_or(Said::NoSuchName);
    let (code, records, ttl) = match said {
        Said::Silence => return None,
        Said::ServerFailure => (2, Vec::new(), 0),
        Said::NoSuchName => (3, Vec::new(), 0),
        Said::Empty => (0, Vec::new(), 0),
        Said::Addresses(addresses, ttl) => {
            let octets = addresses.iter().filter_map(|address| match address {
                IpAddr::V4(address) => (kind == A).then(|| address.octets().to_vec()),
                IpAddr::V6(address) => (kind == AAAA).then(|| address.octets().to_vec()),
            });
            (0, octets.collect(), ttl)
        }
        Said::Services(services, ttl) if kind == SRV => {
            let data = |(priority, weight, port, target): &(u16, u16, u16, &str)| {
                let mut data: Vec<u8> =
                    [priority, weight, port].into_iter().flat_map(|n| n.to_be_bytes()).collect();
                for label in target.split('.').filter(|label| !label.is_empty()) {
                    data.push(u8::try_from(label.len()).expect("a short label"));
                    data.extend(label.as_bytes());
                }
                data.push(0);
                data
            };
            (0, services.iter().map(data).collect::<Vec<_>>(), ttl)
        }
        Said::Services(..) => (0, Vec::new(), 0),
    };
    let mut message = query[..2].to_vec();
    // A response, recursion desired and available, one question.
    message.extend([0x81, 0x80 | code, 0, 1]);
    message.extend(u16::try_from(records.len()).expect("few records").to_be_bytes());
    message.extend([0; 4]);
    message.extend(question);
    for data in records {
        // The name of the question, its type, class IN.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1]);
        message.extend(ttl.to_be_bytes());
        message.extend(u16::try_from(data.len()).expect("a short record").to_be_bytes());
        message.extend(data);
    }
    Some(message)
}
