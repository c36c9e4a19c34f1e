//! The program itself, as a process: its output line by line, signals, and how it ended.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use super::backend::Backend;
use super::schema::Schema;
use super::wait::until;

/// Lines of a pipe as they come.
pub struct Lines {
    text: Arc<Mutex<String>>,
    thread: JoinHandle<()>,
}

impl Lines {
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let own = Arc::clone(&text);
        let thread = std::thread::spawn(move || {
            for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                own.lock().expect("no panics").push_str(&(line + "\n"));
            }
        });
        Self { text, thread }
    }

    pub fn so_far(&self) -> String {
        self.text.lock().expect("no panics").clone()
    }

    pub fn all(self) -> String {
        self.thread.join().expect("no panics");
        Arc::into_inner(self.text).expect("the thread is over").into_inner().expect("no panics")
    }
}

/// The program of this build. Examples have these files as well, and no program.
pub fn program() -> &'static str {
    const PROGRAM: Option<&str> = option_env!("CARGO_BIN_EXE_transom");
    PROGRAM.expect("it is built for tests")
}

/// The running program. It is killed where a test doesn't end it.
pub struct Transom {
    child: Child,
    out: Option<Lines>,
    err: Option<Lines>,
}

/// What a run left behind.
pub struct Ended {
    pub status: ExitStatus,
    pub out: String,
    pub err: String,
}

impl Transom {
    /// Starts the program with these words.
    pub fn spawn<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Self {
        Self::run(Command::new(program()).args(arguments).env_remove("RUST_LOG").stdin(Stdio::null()))
    }

    /// Starts a command that becomes the program.
    pub fn run(command: &mut Command) -> Self {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let out = child.stdout.take().map(Lines::of);
        let err = child.stderr.take().map(Lines::of);
        Self { child, out, err }
    }

    /// `serve` in front of this backend by flags alone, with these further ones.
    pub fn serve(schema: &Schema, backend: &Backend, more: &[&str]) -> Self {
        let upstream = format!("http://{}", backend.address);
        let descriptors = schema.descriptors().display().to_string();
        let usual = [
            "serve",
            "--descriptors",
            &descriptors,
            "--upstream",
            &upstream,
            "--listen",
            "127.0.0.1:0",
            "--workers",
            "1",
        ];
        Self::spawn(usual.iter().chain(more))
    }

    /// `serve` by a configuration, its listener and its upstream given.
    pub fn configured(schema: &Schema, backend: &Backend, more: &str) -> Self {
        let yaml = format!(
            "listeners: {{ public: {{ address: '127.0.0.1:0' }} }}\nschema: {{ descriptors: test.binpb }}\n\
             upstreams: {{ books: {{ endpoints: 'http://{}' }} }}\nworkers: 1\n{more}\n",
            backend.address
        );
        let file = schema.write("transom.yaml", &yaml);
        Self::spawn(["serve".into(), "--config".into(), file.into_os_string()])
    }

    pub fn said(&self) -> String {
        self.err.as_ref().map(Lines::so_far).unwrap_or_default()
    }

    /// The address that the program announces on the line that starts like this.
    pub fn announced(&self, name: &str) -> SocketAddr {
        let find = || {
            let said = self.said();
            let line =
                said.lines().find_map(|line| line.trim_start().strip_prefix(name).map(str::to_owned))?;
            let address = line.split("://").nth(1)?;
            address.split(' ').next()?.parse().ok()
        };
        until("it says where it listens", || find().is_some());
        find().expect("it was there")
    }

    pub fn address(&self) -> SocketAddr {
        self.announced("listener ")
    }

    pub fn admin(&self) -> SocketAddr {
        self.announced("admin")
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status();
        assert!(status.expect("there is a kill").success());
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Ended {
        until("it ends", || matches!(self.child.try_wait(), Ok(Some(_))));
        Ended {
            status: self.child.wait().expect("it has ended"),
            out: self.out.take().expect("stdout was piped").all(),
            err: self.err.take().expect("stderr was piped").all(),
        }
    }

    pub fn stop(self) -> Ended {
        self.signal("TERM");
        let ended = self.wait();
        assert_eq!(ended.status.code(), Some(0), "{}", ended.err);
        ended
    }
}

impl Drop for Transom {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
