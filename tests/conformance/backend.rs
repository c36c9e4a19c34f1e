//! A backend that keeps the last message that came and answers with the one that it was told.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};

use super::support::{frame, header_map};

/// Length and flag before a message.
const PREFIX: usize = 5;

#[derive(Default)]
struct Messages {
    came: Option<Vec<u8>>,
    answer: Vec<u8>,
}

/// A handle on a backend, which runs until the process ends.
pub struct Backend {
    pub address: SocketAddr,
    messages: Arc<Mutex<Messages>>,
}

impl Backend {
    pub fn start() -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let messages = Arc::new(Mutex::new(Messages::default()));
        let own = Arc::clone(&messages);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        std::thread::spawn(move || runtime.block_on(accept(listener, own)));
        Ok(Self { address, messages })
    }

    /// Answers the next calls with this message.
    pub fn answer_with(&self, message: &[u8]) {
        let mut messages = self.messages.lock().expect("no panics");
        *messages = Messages { came: None, answer: message.to_vec() };
    }

    /// The message that came last since it was told what to answer.
    pub fn came(&self) -> Option<Vec<u8>> {
        self.messages.lock().expect("no panics").came.take()
    }
}

async fn accept(listener: std::net::TcpListener, messages: Arc<Mutex<Messages>>) {
    let listener = TcpListener::from_std(listener).expect("an open socket");
    while let Ok((stream, _)) = listener.accept().await {
        stream.set_nodelay(true).expect("an open socket");
        tokio::spawn(serve(stream, Arc::clone(&messages)));
    }
}

async fn serve(stream: TcpStream, messages: Arc<Mutex<Messages>>) {
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let messages = Arc::clone(&messages);
        // What goes wrong shows as a failed call.
        tokio::spawn(async move { drop(answer(request, respond, &messages).await) });
    }
}

async fn answer(
    mut request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    messages: &Mutex<Messages>,
) -> Result<(), h2::Error> {
    let mut body = Vec::new();
    while let Some(data) = request.body_mut().data().await {
        let data = data?;
        request.body_mut().flow_control().release_capacity(data.len())?;
        body.extend_from_slice(&data);
    }
    let reply = {
        let mut messages = messages.lock().expect("no panics");
        messages.came = body.get(PREFIX..).map(<[u8]>::to_vec);
        frame(&messages.answer)
    };
    let head = Response::builder().header("content-type", "application/grpc").body(()).expect("a head");
    let mut stream = respond.send_response(head, false)?;
    stream.send_data(reply.into(), false)?;
    stream.send_trailers(header_map(&[("grpc-status", "0")]))
}
