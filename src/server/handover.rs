//! Passing the listening sockets to the process that replaces this one, over a Unix socket.
//!
//! A process that starts asks whoever listens at the path. It gets every socket by SCM_RIGHTS: the same sockets, with the
//! connections that wait at them, so none of them is ever closed or refused. Once it serves it says so; only then does the
//! other one accept nothing more and drain. If it never says so, nothing has changed.
//!
//! ```text
//! starting:  transom 1\n
//! serving:   socket <name> <address>\n   with one descriptor, for each socket
//!            end\n
//! starting:  serving\n                   once it serves
//! serving:   yours\n                     and it drains
//! ```

use std::fs::{self, Metadata};
use std::io::{self, BufRead, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg, sockopt,
};
use tokio::sync::{Notify, watch};
use tracing::{info, warn};

use super::inherited::{Inherited, Listening, Sockets};
use super::notify;
use crate::problem::{Problem, Problems};

const HELLO: &str = "transom 1";
const END: &str = "end";
const SERVING: &str = "serving";
const YOURS: &str = "yours";
/// How long the other process may take for an answer that it has ready.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long a process that has the sockets may take until it serves.
const START: Duration = Duration::from_secs(300);
/// More sockets than a process has: listeners, each with one for each worker.
const MOST_SOCKETS: usize = 65_536;

/// The longest that a process which has the sockets waits for its upstreams before it serves.
const WARM_UP: Duration = Duration::from_secs(5);

/// What a process that may be replaced, and may replace one, begins with.
pub(super) struct Handover {
    predecessor: Option<Predecessor>,
    meeting: Meeting,
    /// The sockets of the process that is replaced.
    pub inherited: Inherited,
}

impl Handover {
    /// Asks who is there, and prepares to be asked.
    ///
    /// # Errors
    /// As [`ask`] and [`Meeting::prepare`].
    pub(super) fn begin(path: &Path) -> Result<Self, Problems> {
        let meeting = Meeting::prepare(path)?;
        let (predecessor, inherited) = ask(path)?.unzip();
        Ok(Self { predecessor, meeting, inherited: inherited.unwrap_or_default() })
    }

    /// Tells the other process, if there is one, that this one serves. It is told once calls find their upstreams, or when
    /// some of them are away for longer.
    pub(super) fn take_over(self, is_ready: impl Fn() -> bool) -> Meeting {
        let Self { predecessor, mut meeting, .. } = self;
        if let Some(predecessor) = predecessor {
            let began = Instant::now();
            while !is_ready() && began.elapsed() < WARM_UP {
                std::thread::sleep(Duration::from_millis(10));
            }
            match predecessor.serving() {
                Ok(()) => info!("this process serves in the place of another one"),
                Err(error) => warn!(%error, "the process that was there did not hear that it is replaced"),
            }
        }
        if let Err(error) = meeting.publish() {
            warn!(path = %meeting.path.display(), %error, "this process can't be replaced");
        }
        meeting
    }
}

/// What a process that starts has of the one that serves.
pub(super) struct Predecessor {
    stream: UnixStream,
}

/// The path of this process, before anybody finds it there.
pub(super) struct Meeting {
    path: PathBuf,
    listener: UnixListener,
    /// Where it listens until it takes the path.
    temporary: PathBuf,
    /// What stands at the path, once that is taken.
    published: Option<Metadata>,
}

fn problem(path: &Path, what: &str, error: &io::Error) -> Problem {
    Problem::error(format!("`handover`: {what} at `{}`: {error}", path.display()))
}

/// Asks the process that listens at `path` for its sockets; `None` where there is none.
///
/// # Errors
/// There is something else, or somebody else's process, or one that does not answer.
pub(super) fn ask(path: &Path) -> Result<Option<(Predecessor, Inherited)>, Problems> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            let what = format!("`handover`: `{}` is there, and is no socket", path.display());
            return Err(Problem::error(what).help("choose a path of its own").into());
        }
        Ok(_) | Err(_) => {}
    }
    let stream = match UnixStream::connect(path) {
        Ok(stream) => stream,
        // A socket that nobody listens at is left behind by a process that was killed.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(problem(path, "nobody can be asked", &error).into()),
    };
    let asked = || -> io::Result<Inherited> {
        is_own(&stream)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        writeln!(&stream, "{HELLO}")?;
        receive(&stream)
    };
    let inherited = asked().map_err(|error| problem(path, "the process does not hand over", &error))?;
    Ok(Some((Predecessor { stream }, inherited)))
}

impl Predecessor {
    /// Tells the other process that this one serves, and waits until it has heard.
    ///
    /// # Errors
    /// It is gone, or does not answer; this one serves all the same.
    pub(super) fn serving(self) -> io::Result<()> {
        writeln!(&self.stream, "{SERVING}")?;
        expect(&mut BufReader::new(&self.stream), YOURS)
    }
}

impl Meeting {
    /// Prepares to listen at `path`, for the user of this process alone.
    ///
    /// # Errors
    /// The folder can't be written, or the path is too long.
    pub(super) fn prepare(path: &Path) -> Result<Self, Problems> {
        let mut temporary = path.as_os_str().to_owned();
        temporary.push(format!(".{}", std::process::id()));
        let temporary = PathBuf::from(temporary);
        let bound = || {
            // One of the same number, that was killed.
            let _ = fs::remove_file(&temporary);
            let listener = UnixListener::bind(&temporary)?;
            fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600))?;
            listener.set_nonblocking(true)?;
            Ok(listener)
        };
        let listener = bound().map_err(|error| problem(path, "can't listen", &error))?;
        Ok(Self { path: path.to_owned(), listener, temporary, published: None })
    }

    /// Takes the path, from whomever it was.
    fn publish(&mut self) -> io::Result<()> {
        fs::rename(&self.temporary, &self.path)?;
        self.published = Some(fs::symlink_metadata(&self.path)?);
        Ok(())
    }

    /// Hands the sockets to whoever asks, until the process stops.
    pub(super) async fn run(
        self,
        sockets: Arc<Sockets>,
        replaced: Arc<Notify>,
        mut stopped: watch::Receiver<bool>,
    ) {
        let Some(own) = &self.published else { return };
        let listener = match self.listen() {
            Ok(listener) => listener,
            Err(error) => {
                warn!(path = %self.path.display(), %error, "this process can't be replaced");
                return;
            }
        };
        loop {
            let accepted = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                accepted = listener.accept() => accepted,
            };
            let Ok((stream, _)) = accepted else {
                tokio::time::sleep(Duration::from_millis(50)).await;
                continue;
            };
            let passed = Arc::clone(&sockets);
            let handed = tokio::task::spawn_blocking(move || hand_over(stream.into_std()?, &passed.all()?));
            // Nobody waits for one that starts slowly.
            let handed = tokio::select! {
                _ = stopped.wait_for(|stopped| *stopped) => break,
                handed = handed => handed,
            };
            match handed {
                Ok(Ok(pid)) => {
                    info!(pid, "another process serves now");
                    replaced.notify_one();
                    // The path is the other one's.
                    return;
                }
                Ok(Err(error)) => warn!(%error, "a process asked to take over, and did not"),
                Err(error) => warn!(%error, "a handover met a bug of the gateway"),
            }
        }
        let is_own = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == (own.dev(), own.ino()));
        if is_own {
            let _ = fs::remove_file(&self.path);
        }
    }

    fn listen(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for Meeting {
    fn drop(&mut self) {
        // It is there only where the path was not taken.
        let _ = fs::remove_file(&self.temporary);
    }
}

/// Refuses processes of other users.
fn is_own(stream: &UnixStream) -> io::Result<i32> {
    let peer = sockopt::socket_peercred(stream)?;
    if peer.uid == rustix::process::geteuid() {
        Ok(peer.pid.as_raw_nonzero().get())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the process is another user's"))
    }
}

/// Passes the sockets to the process at the other end, and waits until it serves. Gives its number.
fn hand_over(stream: UnixStream, sockets: &[Listening]) -> io::Result<i32> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let pid = is_own(&stream)?;
    let mut lines = BufReader::new(&stream);
    expect(&mut lines, HELLO)?;
    for listening in sockets {
        send(&stream, &format!("socket {} {}\n", listening.name, listening.address), &listening.socket)?;
    }
    writeln!(&stream, "{END}")?;
    stream.set_read_timeout(Some(START))?;
    expect(&mut lines, SERVING)?;
    // While this one is the main process it may name another one; later it is too late.
    notify::main_pid(pid);
    writeln!(&stream, "{YOURS}")?;
    Ok(pid)
}

fn expect(lines: &mut impl BufRead, want: &str) -> io::Result<()> {
    let mut line = String::new();
    io::Read::take(&mut *lines, 64).read_line(&mut line)?;
    match line.trim_end() {
        line if line == want => Ok(()),
        "" => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other process left")),
        line => Err(io::Error::new(io::ErrorKind::InvalidData, format!("`{line}` instead of `{want}`"))),
    }
}

/// Sends a line with one descriptor.
fn send(stream: &UnixStream, line: &str, socket: &TcpListener) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    let sockets = [socket.as_fd()];
    control.push(SendAncillaryMessage::ScmRights(&sockets));
    let sent = sendmsg(stream, &[IoSlice::new(line.as_bytes())], &mut control, SendFlags::NOSIGNAL)?;
    // The descriptor goes with the first byte.
    let mut rest = stream;
    rest.write_all(line.as_bytes().get(sent..).unwrap_or_default())
}

/// Reads lines and their descriptors, to the end. Both come in the order in which they were sent.
fn receive(stream: &UnixStream) -> io::Result<Inherited> {
    let invalid = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut text = Vec::new();
    let mut descriptors: Vec<OwnedFd> = Vec::new();
    let end = format!("{END}\n");
    while text != end.as_bytes() && !text.ends_with(format!("\n{end}").as_bytes()) {
        let mut bytes = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(16))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut slices = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(stream, &mut slices, &mut control, RecvFlags::CMSG_CLOEXEC)?;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                descriptors.extend(rights);
            }
        }
        if received.bytes == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it left"));
        }
        text.extend_from_slice(bytes.get(..received.bytes).unwrap_or_default());
        if descriptors.len() > MOST_SOCKETS || text.len() > MOST_SOCKETS * 256 {
            return Err(invalid("it passes too many sockets".to_owned()));
        }
    }
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().filter(|line| *line != END).collect();
    if lines.len() != descriptors.len() {
        return Err(invalid(format!("{} sockets are named, and {} came", lines.len(), descriptors.len())));
    }
    let mut inherited = Inherited::default();
    for (line, descriptor) in lines.into_iter().zip(descriptors) {
        let said = line.strip_prefix("socket ").and_then(|rest| rest.rsplit_once(' '));
        let Some((name, address)) = said.and_then(|(name, text)| Some((name, text.parse().ok()?))) else {
            return Err(invalid(format!("`{line}` names no socket")));
        };
        inherited.push(Listening { name: name.to_owned(), address, socket: TcpListener::from(descriptor) });
    }
    Ok(inherited)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listening(name: &str) -> Listening {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        Listening { name: name.to_owned(), address: socket.local_addr().unwrap(), socket }
    }

    #[test]
    fn sockets_are_passed_with_what_waits_at_them() {
        let sockets: Vec<Listening> = (0..40).map(|_| listening("the public one")).collect();
        let addresses: Vec<_> = sockets.iter().map(|listening| listening.address).collect();
        let mut client = std::net::TcpStream::connect(addresses[7]).unwrap();
        client.write_all(b"hello").unwrap();
        let (left, right) = UnixStream::pair().unwrap();
        let old = std::thread::spawn(move || hand_over(right, &sockets));
        writeln!(&left, "{HELLO}").unwrap();
        let mut inherited = receive(&left).unwrap();
        Predecessor { stream: left }.serving().unwrap();
        assert_eq!(old.join().unwrap().unwrap(), i32::try_from(std::process::id()).unwrap());
        let taken = inherited.take("", addresses[7]);
        let (mut accepted, _) = taken[0].accept().unwrap();
        let mut text = [0; 5];
        io::Read::read_exact(&mut accepted, &mut text).unwrap();
        assert_eq!(&text, b"hello");
        assert_eq!(inherited.warn_of_the_rest().warnings(), 39);
    }

    #[test]
    fn one_that_leaves_before_it_serves_takes_nothing() {
        for says in ["", "GET / HTTP/1.1\r\n\r\n", "transom 1\n", "transom 1\nno\n"] {
            let (left, right) = UnixStream::pair().unwrap();
            writeln!(&left, "{says}").unwrap();
            left.shutdown(std::net::Shutdown::Write).unwrap();
            let result = hand_over(right, &[listening("a")]);
            assert!(result.is_err(), "{says}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_alive_is_nobody() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        assert!(ask(&path).unwrap().is_none());
        drop(UnixListener::bind(&path).unwrap());
        assert!(ask(&path).unwrap().is_none());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "").unwrap();
        assert!(ask(&path).err().unwrap().to_string().contains("is no socket"));
        let far = folder.path().join("x".repeat(200));
        assert!(Meeting::prepare(&far).is_err());
    }

    #[test]
    fn nobody_else_may_ask() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.sock");
        let meeting = Meeting::prepare(&path).unwrap();
        let mode = fs::metadata(&meeting.temporary).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let temporary = meeting.temporary.clone();
        drop(meeting);
        assert!(!temporary.exists());
    }
}
