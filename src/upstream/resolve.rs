//! What DNS says of a name: one lookup, with no memory of what was said before.
//!
//! The system's `resolv.conf` and `hosts` are read for each lookup, so that they may change under a process that runs.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use tokio::task::JoinSet;

use super::settings::{NameSettings, Wanted};

/// Endpoints beyond this number are left out. The answer that names more is no answer to rely on.
const MOST: usize = 1_000;

/// How long a server may take that was named here. What the system says of its own is kept to.
const PATIENCE: Duration = Duration::from_secs(2);

/// A place that a name leads to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Found {
    pub address: SocketAddr,
    /// Those with the lowest come first (RFC 2782); 0 for addresses.
    pub priority: u16,
    /// At least 1.
    pub weight: u32,
}

/// The addresses of one family, or of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub found: Vec<Found>,
    /// How long it may be relied on.
    pub ttl: Duration,
}

/// Why there is no answer.
pub(super) enum Unanswered {
    /// The name has nothing of what was asked for, or does not exist.
    Nothing(String),
    /// Nobody could tell.
    Failed(String),
}

/// All that was said at one time.
pub(super) enum Lookup {
    /// IPv4 and IPv6, each for itself: one may fail while the other doesn't.
    Addresses([Result<Answer, Unanswered>; 2]),
    Service(Result<Answer, Unanswered>),
}

/// Asks.
pub(super) async fn look_up(settings: &NameSettings) -> Lookup {
    let resolver = match resolver(settings.server) {
        Ok(resolver) => resolver,
        Err(error) => return Lookup::Service(Err(Unanswered::Failed(error.to_string()))),
    };
    match &settings.wanted {
        Wanted::Addresses { host, port, .. } => {
            Lookup::Addresses(addresses(&resolver, host, |ip| found(ip, *port, 0, 1)).await)
        }
        Wanted::Service { name, .. } => Lookup::Service(service(&resolver, name).await),
    }
}

fn resolver(server: Option<SocketAddr>) -> Result<TokioResolver, NetError> {
    let mut builder = match server {
        None => Resolver::builder_tokio()?,
        Some(server) => {
            let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
            for connection in &mut connections {
                connection.port = server.port();
            }
            let server = NameServerConfig::new(server.ip(), true, connections);
            let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
            let mut builder = Resolver::builder_with_config(config, TokioRuntimeProvider::default());
            builder.options_mut().timeout = PATIENCE;
            builder
        }
    };
    // Whoever asks keeps the answer for as long as it may.
    builder.options_mut().cache_size = 0;
    builder.build()
}

fn found(ip: IpAddr, port: u16, priority: u16, weight: u32) -> Found {
    Found { address: SocketAddr::new(ip, port), priority, weight }
}

async fn addresses(
    resolver: &TokioResolver,
    host: &str,
    found: impl Fn(IpAddr) -> Found,
) -> [Result<Answer, Unanswered>; 2] {
    let (v4, v6) = tokio::join!(
        records(resolver, host, RecordType::A, |data| match data {
            RData::A(address) => Some(found(IpAddr::V4(address.0))),
            _ => None,
        }),
        records(resolver, host, RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(found(IpAddr::V6(address.0))),
            _ => None,
        }),
    );
    [v4, v6].map(|family| family.map(|(found, ttl)| Answer { found, ttl }))
}

/// A target that can't be looked up makes the whole answer one: half of a service is no service.
async fn service(resolver: &TokioResolver, name: &str) -> Result<Answer, Unanswered> {
    let (services, mut ttl) = records(resolver, name, RecordType::SRV, |data| match data {
        RData::SRV(service) => Some(service.clone()),
        _ => None,
    })
    .await?;
    let mut lookups = JoinSet::new();
    // A target that is the root says that there is no such service here (RFC 2782).
    for service in services.into_iter().filter(|service| !service.target.is_root()).take(MOST) {
        let resolver = resolver.clone();
        lookups.spawn(async move {
            // One without weight is chosen hardly ever where others have some.
            let weight = u32::from(service.weight).max(1);
            let found = |ip| found(ip, service.port, service.priority, weight);
            addresses(&resolver, &service.target.to_utf8(), found).await
        });
    }
    let mut all = Vec::new();
    while let Some(families) = lookups.join_next().await {
        let families = families.map_err(|error| Unanswered::Failed(error.to_string()))?;
        for family in families {
            match family {
                Ok(answer) => {
                    ttl = ttl.min(answer.ttl);
                    all.extend(answer.found);
                }
                Err(Unanswered::Nothing(_)) => {}
                Err(failed @ Unanswered::Failed(_)) => return Err(failed),
            }
        }
    }
    if all.is_empty() {
        return Err(Unanswered::Nothing(format!("the targets of {name} have no addresses")));
    }
    all.truncate(MOST);
    Ok(Answer { found: all, ttl })
}

/// The records of one type, at least one, and how long all of them hold.
async fn records<T>(
    resolver: &TokioResolver,
    name: &str,
    kind: RecordType,
    read: impl Fn(&RData) -> Option<T>,
) -> Result<(Vec<T>, Duration), Unanswered> {
    let lookup = resolver.lookup(name, kind).await.map_err(|error| {
        let why = error.to_string();
        if error.is_no_records_found() || error.is_nx_domain() {
            Unanswered::Nothing(why)
        } else {
            Unanswered::Failed(why)
        }
    })?;
    let answers = lookup.answers();
    let ttl = answers.iter().map(|record| record.ttl).min().unwrap_or_default();
    let read: Vec<T> = answers.iter().filter_map(|record| read(&record.data)).take(MOST).collect();
    if read.is_empty() {
        return Err(Unanswered::Nothing(format!("{name} has no record of the type {kind}")));
    }
    Ok((read, Duration::from_secs(ttl.into())))
}
