//! A redis-server on a port of its own, which a test may kill and start again. Without the program the test says that it was
//! skipped, and fails where `CI` is set.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::support::until;

pub struct Redis {
    pub address: SocketAddr,
    folder: TempDir,
    child: Option<Child>,
}

impl Redis {
    /// A running server, or none where the program is missing.
    pub fn start() -> Option<Self> {
        if Command::new("redis-server").arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "redis-server is missing, and CI must have it");
            eprintln!("skipped: redis-server is missing");
            return None;
        }
        let address =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
        let folder = tempfile::tempdir().expect("a folder");
        let mut redis = Self { address, folder, child: None };
        redis.run();
        Some(redis)
    }

    /// Starts it again, with nothing in it.
    pub fn run(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.address.port().to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(self.folder.path())
            .stdout(Stdio::null())
            .spawn()
            .expect("it runs");
        self.child = Some(child);
        until("redis-server answers", || self.ask("PING").is_some_and(|answer| answer.contains("PONG")));
    }

    /// Cuts it off.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it was running");
            child.wait().expect("it ends");
        }
    }

    /// Lets it neither answer nor end, until it is told to go on.
    pub fn pause(&self, is_paused: bool) {
        let pid = self.child.as_ref().expect("it runs").id().to_string();
        let signal = if is_paused { "-STOP" } else { "-CONT" };
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill runs").success());
    }

    /// What it answers to one command.
    pub fn ask(&self, command: &str) -> Option<String> {
        let mut stream = TcpStream::connect(self.address).ok()?;
        stream.write_all(format!("{command}\r\nQUIT\r\n").as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        Some(answer)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.kill();
    }
}
