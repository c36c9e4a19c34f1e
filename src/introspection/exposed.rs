//! What clients may find out about the schema in force.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::schema::Index;
use crate::upstream::Cluster;

/// The files and services of one snapshot.
#[derive(Default)]
pub struct Exposed {
    pub index: Index,
    /// The upstreams that serve the methods of each service.
    services: BTreeMap<String, Vec<Arc<Cluster>>>,
}

impl Exposed {
    /// `methods` names the service of each method that is served, and the upstream that serves it.
    #[must_use]
    pub fn new<'m>(index: Index, methods: impl IntoIterator<Item = (&'m str, &'m Arc<Cluster>)>) -> Self {
        let mut services: BTreeMap<String, Vec<Arc<Cluster>>> = BTreeMap::new();
        for (service, upstream) in methods {
            match services.get_mut(service) {
                Some(known) if known.iter().any(|known| Arc::ptr_eq(known, upstream)) => {}
                Some(known) => known.push(Arc::clone(upstream)),
                None => drop(services.insert(service.to_owned(), vec![Arc::clone(upstream)])),
            }
        }
        Self { index, services }
    }

    /// Whether all upstreams of a service can be reached; `None` where there is no such service.
    #[must_use]
    pub fn is_reachable(&self, service: &str) -> Option<bool> {
        let upstreams = self.services.get(service)?;
        Some(upstreams.iter().all(|upstream| upstream.is_reachable()))
    }

    /// The names of all services.
    #[must_use]
    pub fn services(&self) -> BTreeSet<&str> {
        self.services.keys().map(String::as_str).collect()
    }
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exposed({} services)", self.services.len())
    }
}
