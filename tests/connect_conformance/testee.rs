//! The gateway as a server under test of the Connect conformance suite (Go module connectrpc.com/conformance), before the
//! suite's own server, which it calls by gRPC alone. The runner tells on standard input what it needs, and is told where to call.
//!
//! Arguments: the suite's `referenceserver`, and the folder of its `.proto` files.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};

use prost::Message;
use tokio::signal::unix::{SignalKind, signal};
use transom::config;
use transom::server::start;

type Error = Box<dyn std::error::Error>;

/// connectrpc.conformance.v1.ServerCompatRequest, as far as it matters here.
#[derive(Clone, PartialEq, Message)]
struct Request {
    #[prost(int32, tag = "1")]
    protocol: i32,
    #[prost(int32, tag = "2")]
    http_version: i32,
    #[prost(bool, tag = "4")]
    use_tls: bool,
    /// In PEM; clients show a certificate where it is there.
    #[prost(bytes = "vec", tag = "5")]
    client_tls_cert: Vec<u8>,
    #[prost(uint32, tag = "6")]
    message_receive_limit: u32,
    #[prost(message, tag = "7")]
    server_creds: Option<Credentials>,
}

/// connectrpc.conformance.v1.TLSCreds, in PEM. Good for 127.0.0.1.
#[derive(Clone, PartialEq, Message)]
struct Credentials {
    #[prost(bytes = "vec", tag = "1")]
    cert: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    key: Vec<u8>,
}

/// connectrpc.conformance.v1.ServerCompatResponse.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(string, tag = "1")]
    host: String,
    #[prost(uint32, tag = "2")]
    port: u32,
    #[prost(bytes = "vec", tag = "3")]
    pem_cert: Vec<u8>,
}

/// What stands for gRPC and for HTTP/2 in the suite's enums.
const PROTOCOL_GRPC: i32 = 2;
const HTTP_VERSION_2: i32 = 2;

/// Messages have their length before them, in four bytes.
fn read<M: Message + Default>(mut from: impl Read) -> Result<M, Error> {
    let mut length = [0; 4];
    from.read_exact(&mut length)?;
    let mut message = vec![0; usize::try_from(u32::from_be_bytes(length))?];
    from.read_exact(&mut message)?;
    Ok(M::decode(message.as_slice())?)
}

fn write(message: &impl Message, mut to: impl Write) -> Result<(), Error> {
    let bytes = message.encode_to_vec();
    to.write_all(&u32::try_from(bytes.len())?.to_be_bytes())?;
    to.write_all(&bytes)?;
    Ok(to.flush()?)
}

/// The suite's own server, which ends with this.
struct Backend {
    process: Child,
    port: u32,
}

impl Backend {
    fn start(program: &str) -> Result<Self, Error> {
        let mut process = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        // The limit is the gateway's to hold.
        let message_receive_limit = 64 << 20;
        let request = Request {
            protocol: PROTOCOL_GRPC,
            http_version: HTTP_VERSION_2,
            message_receive_limit,
            ..Request::default()
        };
        write(&request, process.stdin.take().ok_or("no standard input")?)?;
        let response: Response = read(process.stdout.as_mut().ok_or("no standard output")?)?;
        Ok(Self { process, port: response.port })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The key `tls` of the listener, with its files in `folder`.
fn tls(request: &Request, folder: &Path) -> Result<String, Error> {
    if !request.use_tls {
        return Ok(String::new());
    }
    let credentials = request.server_creds.as_ref().ok_or("TLS without a certificate")?;
    let file = |name: &str, pem: &[u8]| -> Result<String, Error> {
        let path = folder.join(name);
        std::fs::write(&path, pem)?;
        Ok(format!("'{}'", path.display()))
    };
    let (cert, key) = (file("cert.pem", &credentials.cert)?, file("key.pem", &credentials.key)?);
    let clients = match request.client_tls_cert.as_slice() {
        [] => String::new(),
        pem => format!("client: {{ roots: {}, required: true }}", file("client.pem", pem)?),
    };
    Ok(format!("tls: {{ cert: {cert}, key: {key}, {clients} }},"))
}

fn run() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(server), Some(protos)) = (arguments.next(), arguments.next()) else {
        return Err("usage: connect_conformance SERVER PROTOS".into());
    };
    let request: Request = read(std::io::stdin())?;
    let backend = Backend::start(&server)?;
    let limits = match request.message_receive_limit {
        0 => String::new(),
        limit => format!("limits: {{ body: {limit}B }}"),
    };
    let folder = tempfile::tempdir()?;
    let tls = tls(&request, folder.path())?;
    let yaml = format!(
        "listeners: {{ public: {{ address: '127.0.0.1:0', {tls} compression: {{ min_size: 0 }}, {limits} }} }}\n\
         schema: {{ protos: '{protos}/connectrpc/conformance/v1/service.proto', imports: '{protos}' }}\n\
         upstreams: {{ main: {{ endpoints: ['http://127.0.0.1:{}'] }} }}\n\
         rules: {{ '*': {{ timeout: off }} }}\n\
         access_log: off\nworkers: 1\ndrain: 0s\n",
        backend.port
    );
    let (settings, _) =
        config::parse(&yaml, Path::new("conformance.yaml")).map_err(|problems| problems.to_string())?;
    let (running, _) = start(&settings).map_err(|problems| problems.to_string())?;
    let address = running.listeners().first().ok_or("no listener")?.1;
    // Before the runner knows of it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut end = runtime.block_on(async { signal(SignalKind::terminate()) })?;
    let pem_cert = request.server_creds.filter(|_| request.use_tls).map_or_else(Vec::new, |own| own.cert);
    let response = Response { host: address.ip().to_string(), port: address.port().into(), pem_cert };
    write(&response, std::io::stdout())?;
    runtime.block_on(end.recv());
    running.stop();
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The runner shows what is said here.
            let _ = writeln!(std::io::stderr(), "{error}");
            ExitCode::FAILURE
        }
    }
}
