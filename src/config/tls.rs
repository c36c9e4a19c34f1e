//! The part `tls` of a listener: certificates with their keys, and what is asked of clients. The files are read, so that
//! what is wrong with them is said with its place.

use std::time::SystemTime;

use super::reader::{Map, Value};
use super::values;
use crate::problem::Problem;
use crate::tls::{Authorities, Chain, ClientAuth, ClientCheck, Identity, Key, ListenerTls, Versions};

const PAIR: &str = "name both files, as in `{ cert: tls.crt, key: tls.key }`";

/// TLS as `value` says it. `None` is only returned beside a reported error.
pub(super) fn listener(value: &Value<'_>) -> Option<ListenerTls> {
    let (places, tls) = value.map(read)??;
    for (index, what) in tls.oddities(SystemTime::now()) {
        places.get(index).unwrap_or(value).report(Problem::warning(what));
    }
    Some(tls)
}

/// With the value that names each certificate.
fn read<'r>(map: &mut Map<'r>) -> Option<(Vec<Value<'r>>, ListenerTls)> {
    let own = (map.get("cert"), map.get("key"));
    let more = map.get("certificates");
    let mut pairs = Vec::new();
    match (own, &more) {
        ((None, None), None) => map.missing("cert", PAIR),
        ((None, None), Some(_)) => {}
        (own, _) => pairs.push(identity(map, own)),
    }
    for item in more.map_or_else(Vec::new, |more| more.items()) {
        let pair = item.map(|map| {
            let pair = (map.get("cert"), map.get("key"));
            identity(map, pair)
        });
        pairs.push(pair.flatten());
    }
    let versions = versions(map);
    let client = map.get("client").map(|value| value.map(client).flatten());
    // Without those that are wrong it would be another listener.
    let (places, identities) = pairs.into_iter().collect::<Option<Vec<_>>>()?.into_iter().unzip();
    let client = match client {
        Some(client) => Some(client?),
        None => None,
    };
    let tls = ListenerTls { identities, versions, client };
    (!tls.identities.is_empty()).then_some((places, tls))
}

/// A certificate and its key, with the value that names the certificate.
pub(super) fn identity<'r>(
    map: &Map<'r>,
    (cert, key): (Option<Value<'r>>, Option<Value<'r>>),
) -> Option<(Value<'r>, Identity)> {
    for (name, value) in [("cert", &cert), ("key", &key)] {
        if value.is_none() {
            map.missing(name, PAIR);
        }
    }
    let chain = cert.as_ref().and_then(|value| value.parse(|text| Ok(Chain::load(&map.path(text))?)));
    let loaded = key.as_ref().and_then(|value| value.parse(|text| Ok(Key::load(&map.path(text))?)));
    let (chain, loaded) = (chain?, loaded?);
    Some((cert?, key?.parse(|_| Ok(Identity::new(chain, loaded)?))?))
}

fn versions(map: &mut Map<'_>) -> Versions {
    let table = [("1.2", Versions::Tls12), ("1.3", Versions::Tls13)];
    let Some(given) = map.list("versions", |text| values::choice(text, &table)) else {
        return Versions::default();
    };
    match (given.contains(&Versions::Tls12), given.contains(&Versions::Tls13)) {
        (true, false) => Versions::Tls12,
        (false, true) => Versions::Tls13,
        (true, true) | (false, false) => Versions::default(),
    }
}

fn client(map: &mut Map<'_>) -> Option<ClientCheck> {
    let help = "name the authorities that clients' certificates must lead to, as in `roots: clients-ca.pem`";
    let folder = map.path("");
    let roots = map.required("roots", help);
    let roots = roots.and_then(|value| value.parse(|text| Ok(Authorities::load(&folder.join(text))?)));
    let mut auth = ClientAuth::Required;
    map.set("required", &mut auth, |text| {
        values::boolean(text)
            .map(|required| if required { ClientAuth::Required } else { ClientAuth::Optional })
    });
    Some(ClientCheck { roots: roots?, auth })
}
