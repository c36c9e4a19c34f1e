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
    /// The upstreams that serve the methods of each service; those that share a method are together.
    services: BTreeMap<String, Vec<Box<[Arc<Cluster>]>>>,
}

impl Exposed {
    /// `methods` names the service of each method that is served, and the upstreams that share it.
    #[must_use]
    pub fn new<'m>(index: Index, methods: impl IntoIterator<Item = (&'m str, &'m [Arc<Cluster>])>) -> Self {
        let mut services: BTreeMap<String, Vec<Box<[Arc<Cluster>]>>> = BTreeMap::new();
        for (service, upstreams) in methods {
            match services.get_mut(service) {
                Some(known) if known.iter().any(|known| is_same(known, upstreams)) => {}
                Some(known) => known.push(upstreams.into()),
                None => drop(services.insert(service.to_owned(), vec![upstreams.into()])),
            }
        }
        Self { index, services }
    }

    /// Whether an upstream of each method of a service can be reached; `None` where there is no such service.
    #[must_use]
    pub fn is_reachable(&self, service: &str) -> Option<bool> {
        let upstreams = self.services.get(service)?;
        Some(upstreams.iter().all(|shared| shared.iter().any(|upstream| upstream.is_reachable())))
    }

    /// The names of all services.
    #[must_use]
    pub fn services(&self) -> BTreeSet<&str> {
        self.services.keys().map(String::as_str).collect()
    }
}

fn is_same(left: &[Arc<Cluster>], right: &[Arc<Cluster>]) -> bool {
    left.len() == right.len() && left.iter().zip(right).all(|(left, right)| Arc::ptr_eq(left, right))
}

impl fmt::Debug for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Exposed({} services)", self.services.len())
    }
}
