//! The files of one listener while it serves: what changed is read again, and what is bad is refused.
//!
//! Files are looked at, not subscribed to: that works on every file system, follows links however they are swapped, and
//! needs no second way for when events are lost. A look costs one `stat` a file.

use std::sync::Arc;
use std::time::SystemTime;

use rustls::ServerConfig;

use super::files::Unusable;
use super::settings::{ListenerTls, Resumption};
use super::vigil::{Look, Vigil};

/// The files of a listener, and what is served from them.
pub struct Watched {
    served: ListenerTls,
    resumption: Arc<Resumption>,
    vigil: Vigil,
}

/// What a look found.
pub enum Change {
    Unchanged,
    /// Something is being written; the next look will tell.
    Settling,
    /// New files, for handshakes from now on.
    Renewed(Arc<ServerConfig>),
    /// New files that can't be used. What was served still is.
    Refused(Unusable),
}

impl Watched {
    /// Starts with what was read when the settings were checked. Sessions are resumed with those that had the same
    /// `resumption`.
    ///
    /// # Errors
    /// TLS can't be set up with it.
    pub fn new(
        served: ListenerTls,
        resumption: Arc<Resumption>,
    ) -> Result<(Self, Arc<ServerConfig>), Unusable> {
        let config = Arc::new(served.server_config(&resumption)?);
        let vigil = Vigil::new(served.marks());
        Ok((Self { served, resumption, vigil }, config))
    }

    /// What is served.
    #[must_use]
    pub fn served(&self) -> &ListenerTls {
        &self.served
    }

    /// Looks whether files have changed since the last look, and reads them once they keep still from one look to the
    /// next.
    pub fn look(&mut self, now: SystemTime) -> Change {
        let (served, resumption) = (&self.served, &self.resumption);
        let read = || {
            let loaded = served.again()?;
            refuse_expired(served, &loaded, now)?;
            let config = loaded.server_config(resumption)?;
            let marks = loaded.marks();
            Ok(((loaded, config), marks))
        };
        match self.vigil.look(read) {
            Look::Unchanged => Change::Unchanged,
            Look::Settling => Change::Settling,
            Look::Read((loaded, config)) => {
                self.served = loaded;
                Change::Renewed(Arc::new(config))
            }
            Look::Refused(unusable) => Change::Refused(unusable),
        }
    }
}

/// A certificate that has expired is no good in the place of another one; one that is served already stays.
fn refuse_expired(served: &ListenerTls, new: &ListenerTls, now: SystemTime) -> Result<(), Unusable> {
    let is_served = |identity| served.identities.iter().any(|old| old.is_same(identity));
    let expired = new.identities.iter().filter(|identity| identity.chain().has_expired(now));
    match expired.filter(|identity| !is_served(identity)).find_map(|identity| identity.chain().untimely(now))
    {
        Some(what) => Err(Unusable::new(what)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Duration;

    use super::*;
    use crate::tls::{Chain, Identity, Key};

    const NAMES: [&str; 2] = ["tls.crt", "tls.key"];

    /// Certificate and key of a new authority of its own, valid until the end of `year`.
    fn pair(year: i32) -> [String; 2] {
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.not_after = rcgen::date_time_ymd(year, 12, 31);
        let key = rcgen::KeyPair::generate().unwrap();
        [params.self_signed(&key).unwrap().pem(), key.serialize_pem()]
    }

    /// Puts files in place as one step each.
    fn put(folder: &Path, files: &[(&str, &str)]) {
        for (name, text) in files {
            let next = folder.join("next");
            fs::write(&next, text).unwrap();
            fs::rename(next, folder.join(name)).unwrap();
        }
    }

    fn watched(folder: &Path) -> Watched {
        let [cert, key] = NAMES.map(|name| folder.join(name));
        let identity = Identity::new(Chain::load(&cert).unwrap(), Key::load(&key).unwrap()).unwrap();
        Watched::new(ListenerTls::new(identity), Arc::new(Resumption::new().unwrap())).unwrap().0
    }

    /// What two looks find.
    fn found(watched: &mut Watched) -> String {
        let now = SystemTime::now();
        match watched.look(now) {
            Change::Settling => {}
            Change::Unchanged => return "unchanged".to_owned(),
            Change::Renewed(_) | Change::Refused(_) => panic!("it did not wait"),
        }
        match watched.look(now) {
            Change::Unchanged => "unchanged".to_owned(),
            Change::Settling => "settling".to_owned(),
            Change::Renewed(_) => "renewed".to_owned(),
            Change::Refused(unusable) => unusable.what,
        }
    }

    #[test]
    fn good_files_are_taken_and_bad_ones_are_refused_once() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second, old] = [4000, 4001, 2020].map(pair);
        put(folder.path(), &[(NAMES[0], &first[0]), (NAMES[1], &first[1])]);
        let mut watched = watched(folder.path());
        assert_eq!(found(&mut watched), "unchanged");
        let steps: [(&[(&str, &str)], &str); 7] = [
            (&[(NAMES[0], &second[0])], "is not that of the certificate"),
            (&[(NAMES[1], &second[1])], "renewed"),
            (&[(NAMES[0], &second[0])], "renewed"),
            (&[(NAMES[0], "")], "has no certificate in it"),
            (
                &[(NAMES[0], "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")],
                "can't be read",
            ),
            (&[(NAMES[0], &old[0]), (NAMES[1], &old[1])], "has expired on 2020-12-31"),
            (&[(NAMES[0], &first[0]), (NAMES[1], &first[1])], "renewed"),
        ];
        for (step, (files, want)) in steps.into_iter().enumerate() {
            let before = watched.served().identities[0].clone();
            put(folder.path(), files);
            let got = found(&mut watched);
            assert!(got.contains(want), "step {step}: {got}");
            if want != "renewed" {
                assert!(watched.served().identities[0].is_same(&before), "step {step}");
            }
            assert_eq!(found(&mut watched), "unchanged", "step {step}");
        }
        fs::remove_file(folder.path().join(NAMES[1])).unwrap();
        assert!(found(&mut watched).contains("can't be read"));
        assert_eq!(found(&mut watched), "unchanged");
    }

    #[test]
    fn what_is_still_written_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let [first, second] = [4000, 4001].map(pair);
        put(folder.path(), &[(NAMES[0], &first[0]), (NAMES[1], &first[1])]);
        let mut watched = watched(folder.path());
        put(folder.path(), &[(NAMES[0], &second[0])]);
        assert!(matches!(watched.look(SystemTime::now()), Change::Settling));
        put(folder.path(), &[(NAMES[1], &second[1])]);
        assert_eq!(found(&mut watched), "renewed");
    }

    #[test]
    fn what_expires_while_it_is_served_stays() {
        let folder = tempfile::tempdir().unwrap();
        let first = pair(2040);
        put(folder.path(), &[(NAMES[0], &first[0]), (NAMES[1], &first[1])]);
        let mut watched = watched(folder.path());
        put(folder.path(), &[(NAMES[0], &first[0])]);
        let later = SystemTime::now() + Duration::from_secs(100 * 365 * 86_400);
        assert!(matches!(watched.look(later), Change::Settling));
        assert!(matches!(watched.look(later), Change::Renewed(_)));
    }
}
