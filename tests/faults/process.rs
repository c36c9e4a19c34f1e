//! A backend as the test holds it: a process that is told how to behave, killed, started again, stopped, and let go on.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::backend::Manner;

/// What makes the test program a backend.
pub const WORD: &str = "--backend";

/// A backend; its process ends with it.
pub struct Process {
    pub address: SocketAddr,
    number: u8,
    folder: Option<PathBuf>,
    child: Child,
}

impl Process {
    pub fn start(number: u8) -> Self {
        Self::start_at(number, SocketAddr::from(([127, 0, 0, 1], 0)), None)
    }

    /// The backends 1, 2 and 3.
    pub fn three() -> [Self; 3] {
        [1, 2, 3].map(Self::start)
    }

    pub fn start_at(number: u8, address: SocketAddr, folder: Option<&Path>) -> Self {
        let (child, address) = spawn(number, address, folder).expect("the address is free");
        Self { address, number, folder: folder.map(Path::to_owned), child }
    }

    /// The same where the address may be taken.
    pub fn try_start_at(number: u8, address: SocketAddr) -> Option<Self> {
        let (child, address) = spawn(number, address, None)?;
        Some(Self { address, number, folder: None, child })
    }

    pub fn tell(&mut self, manner: Manner) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "{}", manner.line()).and_then(|()| input.flush()).expect("it runs");
    }

    /// By SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it has ended");
    }

    /// A new process in the place of one that was killed.
    pub fn restart(&mut self) {
        let started = spawn(self.number, self.address, self.folder.as_deref());
        (self.child, self.address) = started.expect("its address is free");
    }

    /// It is there and does nothing: connections are accepted by the system alone.
    pub fn stop(&self) {
        self.signal("STOP");
    }

    pub fn go_on(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed before.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(number: u8, address: SocketAddr, folder: Option<&Path>) -> Option<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe().expect("it has a path"))
        .args([WORD, &number.to_string(), &address.to_string()])
        .args(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("it is piped"))
        .read_line(&mut line)
        .expect("it says something");
    let Ok(address) = line.trim().parse() else {
        let _ = child.wait();
        return None;
    };
    Some((child, address))
}
