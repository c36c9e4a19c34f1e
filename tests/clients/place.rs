//! A gateway with a plain and a TLS listener, and the two backends behind it: the bookstore and the mirror.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::mirror::Mirror;
use crate::backend::Backend as Bookstore;
use crate::support::{Authority, Gateway, Host, Schema, until};

/// Where a client finds the gateway.
#[derive(Clone, Copy, Debug)]
pub struct Sites {
    /// By HTTP/1.1 and by HTTP/2 with prior knowledge.
    pub plain: SocketAddr,
    /// By TLS.
    pub secure: SocketAddr,
}

/// All that a client needs.
pub struct Place {
    // In the order in which they are dropped.
    gateway: Gateway,
    mirror: Mirror,
    _bookstore: Host,
    schema: Schema,
}

impl Place {
    /// `listener` has further keys of both listeners, in flow style.
    pub fn new(listener: &str) -> Self {
        let bookstore = Host::anywhere(|listener| async {
            let _bookstore = Bookstore::start_on(listener).await.expect("an open socket");
            std::future::pending().await
        });
        let mirror = Mirror::start();
        let schema = Schema::new(include_str!("mirror.proto"));
        let authority = Authority::new();
        let signed = authority.sign(&["127.0.0.1", "localhost"]);
        for (name, text) in [("ca.pem", &authority.pem), ("tls.crt", &signed.cert), ("tls.key", &signed.key)]
        {
            schema.write(name, text);
        }
        let yaml = format!(
            "listeners:\n  \
               plain: {{ address: '127.0.0.1:0', {listener} }}\n  \
               secure: {{ address: '127.0.0.1:0', tls: {{ cert: tls.crt, key: tls.key }}, {listener} }}\n\
             schema: {{ descriptors: ['{}', '{}'] }}\n\
             upstreams:\n  \
               bookstore: {{ endpoints: ['http://{}'] }}\n  \
               mirror: {{ endpoints: ['http://{}'] }}\n\
             rules:\n  \
               '*': {{ upstream: bookstore }}\n  \
               clients.v1.*: {{ upstream: mirror }}\n\
             access_log: off\nworkers: 1\ndrain: 0s\n",
            bookstore_descriptors().display(),
            schema.descriptors().display(),
            bookstore.address,
            mirror.address,
        );
        let gateway = Gateway::start(&yaml, schema.folder());
        Self { gateway, mirror, _bookstore: bookstore, schema }
    }

    pub fn sites(&self) -> Sites {
        let address = |name: &str| {
            let listeners = self.gateway.running().listeners();
            listeners.into_iter().find(|listener| listener.0 == name).expect("it was configured").1
        };
        Sites { plain: address("plain"), secure: address("secure") }
    }

    /// What a script is told, as JSON.
    pub fn told(&self) -> Value {
        let Sites { plain, secure } = self.sites();
        json!({
            "plain": plain.to_string(),
            "secure": secure.to_string(),
            "authority": self.schema.folder().join("ca.pem"),
            "bookstore": bookstore_descriptors(),
            "mirror": self.schema.descriptors(),
        })
    }

    /// A folder that lives as long as this.
    pub fn folder(&self) -> &std::path::Path {
        self.schema.folder()
    }

    /// Waits until the mirror has heard that the callers of `calls` calls left, and no call hangs any more.
    pub fn wait_left(&self, calls: usize) {
        until("the mirror hears that its callers left", || self.mirror.left() >= calls);
        assert_eq!((self.mirror.left(), self.mirror.hanging()), (calls, 0));
    }
}

fn bookstore_descriptors() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("descriptors/bookstore.binpb")
}
