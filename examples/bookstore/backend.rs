//! The example's backend: a bookstore behind tonic, with its books in memory.
//!
//! It is what stands behind the gateway in the quick start and in the integration tests, which
//! include this file by its path. Everything it promises in `proto/bookstore/v1` it does: lending,
//! conflicts, quotas, events, and errors with their google.rpc details.

// What is public for the includer is unreachable from outside its crate.
#![allow(unreachable_pub)]

// The paths are spelt out so that the modules are found from wherever this file is included.
#[path = "backend/bookstore.rs"]
mod bookstore;
#[path = "backend/catalogue.rs"]
mod catalogue;
#[path = "backend/discussion.rs"]
mod discussion;
#[path = "backend/fields.rs"]
mod fields;
#[path = "backend/filter.rs"]
mod filter;
#[path = "backend/lending.rs"]
mod lending;
#[path = "backend/media.rs"]
mod media;
#[path = "backend/names.rs"]
mod names;
#[path = "backend/paging.rs"]
mod paging;
#[path = "backend/reading_room.rs"]
mod reading_room;
#[path = "backend/refusal.rs"]
mod refusal;
#[path = "backend/search.rs"]
mod search;
#[path = "backend/shelves.rs"]
mod shelves;
#[path = "backend/store.rs"]
mod store;
#[path = "backend/validation.rs"]
mod validation;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

use self::api::bookstore::v1::bookstore_server::BookstoreServer;
use self::api::bookstore::v1::reading_room_server::ReadingRoomServer;
use self::bookstore::BookstoreService;
use self::reading_room::ReadingRoomService;
use self::store::Store;

/// The API's messages, clients and servers, as `build.rs` generates them from `proto/`.
// Generated for every includer at once: none uses all of it.
#[allow(dead_code, clippy::all)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/api.rs"));
}

/// A running backend; it stops when this is dropped or [`Backend::stop`] is called.
pub struct Backend {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

// A test may need to start it only, or to stop it, or to know where it is.
#[allow(dead_code)]
impl Backend {
    /// Starts a freshly stocked bookstore on a free port of 127.0.0.1.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(TcpListener::bind("127.0.0.1:0").await?).await
    }

    /// Starts a freshly stocked bookstore on `listener`.
    pub async fn start_on(listener: TcpListener) -> std::io::Result<Self> {
        let address = listener.local_addr()?;
        let store = Arc::new(Store::stocked());
        let bookstore = BookstoreServer::new(BookstoreService::new(Arc::clone(&store)));
        let reading_room = ReadingRoomServer::new(ReadingRoomService::new(store));
        let (stop, stopped) = oneshot::channel::<()>();
        let server = Server::builder()
            .add_service(bookstore)
            .add_service(reading_room)
            .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async {
                // Either a word or the sender's end means stop.
                let _ = stopped.await;
            });
        Ok(Self { address, stop, server: tokio::spawn(server) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Finishes the calls in hand and stops.
    pub async fn stop(self) -> std::io::Result<()> {
        let _ = self.stop.send(());
        self.server.await.map_err(std::io::Error::other)?.map_err(std::io::Error::other)
    }
}
