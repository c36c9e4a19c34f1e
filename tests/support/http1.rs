//! A client of HTTP/1.1 that sends bytes as they are given, right or wrong, and reads answers strictly.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::reply::Reply;
use super::tls::TlsConnection;
use super::wait::PATIENCE;

/// One connection.
pub struct Http1 {
    stream: BufReader<Stream>,
}

/// What it goes through.
enum Stream {
    Plain(TcpStream),
    Tls(Box<TlsConnection>),
}

impl Stream {
    fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.socket(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Http1 {
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("somebody listens");
        stream.set_nodelay(true).expect("an open socket");
        stream.set_read_timeout(Some(PATIENCE)).expect("an open socket");
        Self { stream: BufReader::new(Stream::Plain(stream)) }
    }

    pub fn over_tls(connection: TlsConnection) -> Self {
        Self { stream: BufReader::new(Stream::Tls(Box::new(connection))) }
    }

    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).expect("the bytes are taken");
    }

    /// Sends what a server may refuse to take.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.get_mut().write_all(bytes.as_ref()).is_ok()
    }

    /// A second handle that only sends, for another thread.
    pub fn writer(&self) -> Writer {
        let Stream::Plain(stream) = self.stream.get_ref() else { panic!("TLS has no two handles") };
        Writer(stream.try_clone().expect("an open socket"))
    }

    /// Closes the way to the server and leaves the way back open.
    pub fn end_sending(&self) {
        self.stream.get_ref().socket().shutdown(Shutdown::Write).expect("an open socket");
    }

    /// The next answer to a request that is not HEAD.
    pub fn reply(&mut self) -> Reply {
        self.read(false).expect("an answer")
    }

    /// The next answer to HEAD.
    pub fn reply_to_head(&mut self) -> Reply {
        self.read(true).expect("an answer")
    }

    /// Whether the server ends the connection without a further byte, in order or not.
    pub fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        match self.stream.read(&mut byte) {
            Ok(count) => count == 0,
            // The second is that of TLS without its word of farewell.
            Err(error) => {
                matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof)
            }
        }
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line).ok().filter(|count| *count > 0)?;
        Some(line.strip_suffix("\r\n").expect("lines end with CRLF").to_owned())
    }

    fn fields(&mut self) -> Option<HeaderMap> {
        let mut fields = HeaderMap::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Some(fields);
            }
            let (name, value) = line.split_once(':').expect("a header has a colon");
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
            fields.append(name, HeaderValue::from_str(value.trim()).expect("a header's value"));
        }
    }

    /// Status and headers of the next answer, whose body is then read by [`Http1::chunk`].
    pub fn head(&mut self) -> Reply {
        self.try_head().expect("an answer")
    }

    /// The next chunk of a chunked body: none where the connection ends or is silent before it, empty for the last.
    pub fn chunk(&mut self) -> Option<Vec<u8>> {
        let mut reply =
            Reply { status: 0, headers: HeaderMap::new(), body: Vec::new(), trailers: HeaderMap::new() };
        self.chunk_of(&mut reply)
    }

    /// The same, whose trailers are kept.
    fn chunk_of(&mut self, reply: &mut Reply) -> Option<Vec<u8>> {
        let size = usize::from_str_radix(&self.line()?, 16).expect("a chunk's size");
        let mut chunk = vec![0; size];
        if size == 0 {
            reply.trailers = self.fields()?;
            return Some(chunk);
        }
        self.stream.read_exact(&mut chunk).ok()?;
        assert_eq!(self.line()?, "", "a chunk ends with CRLF");
        Some(chunk)
    }

    /// The next piece of the body of an answer whose head was read; none at its end. Trailers go into `reply`.
    pub fn piece(&mut self, reply: &mut Reply) -> Option<Vec<u8>> {
        if is_chunked(reply) {
            return Some(self.chunk_of(reply).expect("a whole body")).filter(|chunk| !chunk.is_empty());
        }
        let length = length_of(reply).expect("a body has a length or chunks");
        if reply.body.len() == length {
            return None;
        }
        reply.body = vec![0; length];
        self.stream.read_exact(&mut reply.body).expect("a whole body");
        Some(reply.body.clone())
    }

    /// Whatever comes next; none at the end of the connection.
    pub fn some(&mut self) -> Option<Vec<u8>> {
        let some = self.stream.fill_buf().ok()?.to_vec();
        self.stream.consume(some.len());
        Some(some).filter(|some| !some.is_empty())
    }

    /// Chunks up to the last, and whether that came.
    pub fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk() {
            if chunk.is_empty() {
                return (body, true);
            }
            body.extend_from_slice(&chunk);
        }
        (body, false)
    }

    fn try_head(&mut self) -> Option<Reply> {
        let line = self.line()?;
        let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
        let status = rest.and_then(|rest| rest.get(..3)?.parse().ok());
        let status: u16 = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
        let headers = self.fields()?;
        Some(Reply { status, headers, body: Vec::new(), trailers: HeaderMap::new() })
    }

    /// The next answer; none where the connection ends before it.
    pub fn read(&mut self, to_head: bool) -> Option<Reply> {
        let mut reply = self.try_head()?;
        let status = reply.status;
        if to_head || status < 200 || status == 204 || status == 304 {
            return Some(reply);
        }
        if is_chunked(&reply) {
            loop {
                let chunk = self.chunk_of(&mut reply)?;
                if chunk.is_empty() {
                    return Some(reply);
                }
                reply.body.extend(chunk);
            }
        }
        match length_of(&reply) {
            Some(length) => {
                reply.body = vec![0; length];
                self.stream.read_exact(&mut reply.body).ok()?;
            }
            None => {
                self.stream.read_to_end(&mut reply.body).ok()?;
            }
        }
        Some(reply)
    }
}

fn is_chunked(reply: &Reply) -> bool {
    reply.header("transfer-encoding").is_some_and(|coding| coding == "chunked")
}

fn length_of(reply: &Reply) -> Option<usize> {
    reply.header("content-length").map(|length| length.parse().expect("a length"))
}

/// The sending side of a connection.
pub struct Writer(TcpStream);

impl Writer {
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.0.write_all(bytes.as_ref()).expect("the bytes are taken");
    }

    /// False once the server takes no more.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.0.write_all(bytes.as_ref()).is_ok()
    }
}

/// The bytes of a request. A body gets a content length.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nhost: transom.test\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if !body.is_empty() {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

/// One request on a connection of its own.
pub fn call(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut client = Http1::connect(address);
    client.send(request(method, target, headers, body));
    client.read(method == "HEAD").expect("an answer")
}

pub fn get(address: SocketAddr, target: &str) -> Reply {
    call(address, "GET", target, &[], b"")
}

/// A request with a body of JSON.
pub fn post(address: SocketAddr, target: &str, body: &str) -> Reply {
    call(address, "POST", target, &[("content-type", "application/json")], body.as_bytes())
}
