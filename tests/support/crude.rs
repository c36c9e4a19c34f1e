//! A backend that speaks HTTP/2 frame by frame, for what an implementation of it would not do: refuse calls with GOAWAY,
//! or vanish when they come.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const PREFACE: usize = 24;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
const ACK: u8 = 1;

/// What happens to each call.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// GOAWAY says that nothing of it was begun with, and the connection ends.
    Away,
    /// The connection ends, and nobody knows.
    Vanish,
}

/// A running one; it stays until the process ends.
pub struct Crude {
    pub address: SocketAddr,
    calls: Arc<AtomicUsize>,
}

impl Crude {
    pub fn start(fate: Fate) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a bound socket");
        let calls: Arc<AtomicUsize> = Arc::default();
        let own = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let own = Arc::clone(&own);
                // Whoever has called may leave at any time.
                std::thread::spawn(move || drop(connection(stream, fate, &own)));
            }
        });
        Self { address, calls }
    }

    /// How many calls have come.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

fn connection(mut stream: TcpStream, fate: Fate, calls: &AtomicUsize) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    stream.read_exact(&mut [0; PREFACE])?;
    stream.write_all(&frame(SETTINGS, 0, &[]))?;
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]) as usize;
        stream.read_exact(&mut vec![0; length])?;
        match (head[3], head[4]) {
            (SETTINGS, 0) => stream.write_all(&frame(SETTINGS, ACK, &[]))?,
            (HEADERS, _) => {
                calls.fetch_add(1, Ordering::SeqCst);
                if let Fate::Away = fate {
                    // The last stream is none, and nothing is wrong.
                    stream.write_all(&frame(GOAWAY, 0, &[0; 8]))?;
                    // It is read before the end is.
                    stream.shutdown(std::net::Shutdown::Write)?;
                    while stream.read(&mut [0; 1024])? > 0 {}
                }
                return Ok(());
            }
            _ => {}
        }
    }
}

fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short frame").to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags, 0, 0, 0, 0]);
    frame.extend(payload);
    frame
}
