//! Listeners: whether clients still find them, and are answered in the same form.

use crate::schema::diff::{Change, Finding, Impact};
use crate::server::ListenerSettings;

/// Compares listeners by their names.
pub(super) fn compare(old: &[ListenerSettings], new: &[ListenerSettings], findings: &mut Vec<Finding>) {
    for was in old {
        let name = &was.name;
        let finding = |change, impact, what: String| {
            Finding::new(change, impact, name.clone(), format!("the listener `{name}` {what}"))
        };
        let Some(is) = new.iter().find(|listener| listener.name == *name) else {
            let elsewhere = new.iter().find(|listener| listener.address == was.address);
            findings.push(match elsewhere {
                Some(other) => finding(
                    Change::ListenerRemoved,
                    Impact::Notice,
                    format!("is called `{}` now", other.name),
                )
                .everyone("the address is the same"),
                None => finding(Change::ListenerRemoved, Impact::Breaking, "is gone".to_owned())
                    .everyone(format!("connections to {} are refused", was.address)),
            });
            continue;
        };
        if was.address != is.address {
            findings.push(
                finding(
                    Change::ListenerAddressChanged,
                    Impact::Breaking,
                    format!("is at {} and no longer at {}", is.address, was.address),
                )
                .everyone(format!("connections to {} are refused", was.address)),
            );
        }
        if was.tls.is_some() != is.tls.is_some() {
            let what = if is.tls.is_some() { "takes TLS now" } else { "takes plain text now, and no TLS" };
            findings.push(
                finding(Change::ListenerTlsChanged, Impact::Breaking, what.to_owned())
                    .everyone("connections of the other kind fail"),
            );
        }
        let form = |impact, what: &str| finding(Change::ListenerFormChanged, impact, what.to_owned());
        if was.json != is.json {
            findings.push(
                form(Impact::Breaking, "prints replies in another way (`json`)")
                    .rest("names, numbers or defaults in replies look different"),
            );
        }
        if was.errors != is.errors {
            findings.push(
                form(Impact::Breaking, "prints errors in another form (`errors`)")
                    .rest("clients that read error bodies don't find what they look for"),
            );
        }
        if was.websocket.is_some() && is.websocket.is_none() {
            findings.push(form(Impact::Breaking, "refuses WebSockets now").rest("handshakes are refused"));
        }
        if is.limits.body < was.limits.body || is.limits.message < was.limits.message {
            findings.push(
                form(Impact::Dangerous, "takes smaller messages (`limits`)")
                    .everyone("large messages may be refused that passed"),
            );
        }
    }
}
