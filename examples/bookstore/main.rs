//! The quick start: a bookstore and the gateway in front of it, in one process.
//!
//! `cargo run --release --example bookstore` prints five curl lines that work, and serves until
//! Ctrl-C. `--listen` chooses the gateway's address.

// Printing is what a quick start is for.
#![allow(clippy::print_stdout)]

mod backend;

use std::error::Error;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::ExitCode;

use clap::{Arg, Command, value_parser};

use transom::config;
use transom::problem::Problems;
use transom::server::{self, Running};

use self::backend::Backend;

/// Where the gateway listens when nobody says otherwise.
const USUAL: &str = "127.0.0.1:8080";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts both, tells what to try, and serves until Ctrl-C.
async fn run() -> Result<(), Box<dyn Error>> {
    let matches = Command::new("bookstore")
        .about("A bookstore behind transom: backend and gateway in one process")
        .arg(
            Arg::new("listen")
                .long("listen")
                .value_name("ADDRESS")
                .value_parser(value_parser!(SocketAddr))
                .help(format!("The gateway's address [default: {USUAL}, or a free port]")),
        )
        .get_matches();
    let listen = match matches.get_one::<SocketAddr>("listen") {
        Some(chosen) => *chosen,
        None => usual_or_free()?,
    };

    let backend = Backend::start().await?;
    let running = start_gateway(listen, backend.address())?;
    let gateway = running.listeners().first().map_or(listen, |(_, address)| *address);
    println!("The bookstore (gRPC) listens on {}.", backend.address());
    println!("transom listens on http://{gateway}. Try, in another terminal:\n");
    for (about, line) in curl_lines(gateway) {
        println!("# {about}\n{line}\n");
    }
    println!("Ctrl-C ends it.");

    tokio::signal::ctrl_c().await?;
    // It waits for calls under way, which the backend on this thread has to answer.
    tokio::task::spawn_blocking(move || running.stop()).await?;
    backend.stop().await?;
    Ok(())
}

/// Starts the gateway on `listen`, in front of the backend at `backend`, on threads of its own.
fn start_gateway(listen: SocketAddr, backend: SocketAddr) -> Result<Running, Problems> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let configuration = format!(
        "listeners: {{ public: {{ address: {listen} }} }}\n\
         schema: {{ descriptors: [descriptors/bookstore.binpb] }}\n\
         upstreams: {{ bookstore: {{ endpoints: [http://{backend}] }} }}\n\
         access_log: off\n"
    );
    let (settings, _) = config::parse(&configuration, &root.join("bookstore.yaml"))?;
    let (running, _) = server::start(&settings)?;
    Ok(running)
}

/// The usual address, or a free port beside it where somebody else has that one.
fn usual_or_free() -> Result<SocketAddr, Box<dyn Error>> {
    let usual: SocketAddr = USUAL.parse()?;
    // Bound and let go again: the gateway binds it for itself.
    match TcpListener::bind(usual) {
        Ok(_) => Ok(usual),
        Err(error) if error.kind() == ErrorKind::AddrInUse => {
            let free = TcpListener::bind((usual.ip(), 0))?.local_addr()?;
            println!("{usual} is taken by another program: using {free} instead.");
            Ok(free)
        }
        Err(error) => Err(error.into()),
    }
}

/// What to try, each with the line to copy. They work in any order, and again and again.
fn curl_lines(gateway: SocketAddr) -> [(&'static str, String); 5] {
    let base = format!("http://{gateway}/v1");
    let json = "-H 'content-type: application/json'";
    [
        ("A book.", format!("curl -s {base}/shelves/fiction/books/middlemarch")),
        (
            "The paperbacks of all shelves, two at a time.",
            format!("curl -s '{base}/books?pageSize=2&filter=format=FORMAT_PAPERBACK'"),
        ),
        (
            "A new book: 201, with its place in `location`.",
            format!(
                "curl -si -X POST {base}/shelves/computing/books {json} -d \
                 '{{\"title\":\"The Rust Programming Language\",\
                 \"authors\":[{{\"displayName\":\"Steve Klabnik\"}},\
                 {{\"displayName\":\"Carol Nichols\"}}],\
                 \"isbn\":\"9781718503106\",\"format\":\"FORMAT_PAPERBACK\"}}'"
            ),
        ),
        (
            "A new price, and nothing else: the mask says so.",
            format!(
                "curl -s -X PATCH '{base}/shelves/fiction/books/moby-dick?updateMask=price' \
                 {json} -d '{{\"price\":{{\"currencyCode\":\"EUR\",\"minorUnits\":\"1990\"}}}}'"
            ),
        ),
        (
            "An error, with what the backend says of it.",
            format!("curl -s {base}/shelves/fiction/books/the-book-nobody-wrote"),
        ),
    ]
}
