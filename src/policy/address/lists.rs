//! Who may come in by address: lists of networks that are allowed or denied, of the configuration and of files.
//!
//! Lists live: when their files change, they are read again, on a thread of its own. What is bad is refused, and what was
//! good before stays in force. A look at a list takes no lock and no step more for what is in another one.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use ipnet::IpNet;

use super::{Networks, parse_network};
use crate::fault::{Fault, Kind};
use crate::tls::{self, Look, Mark, Unusable, Vigil};

/// Where the networks of a list stand.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    pub networks: Vec<IpNet>,
    pub files: Vec<PathBuf>,
}

impl Sources {
    /// Reads the files. The marks are from before that.
    fn read(&self) -> Result<(Networks, Vec<Mark>), Unusable> {
        let mut all = self.networks.clone();
        let mut marks = Vec::with_capacity(self.files.len());
        for file in &self.files {
            let (networks, mark) = read_file(file)?;
            all.extend(networks);
            marks.push(mark);
        }
        Ok((all.into_iter().collect(), marks))
    }
}

/// A network on each line; what follows `#` or `;` is a comment.
fn read_file(path: &Path) -> Result<(Vec<IpNet>, Mark), Unusable> {
    let (bytes, mark) = tls::read(path)?;
    let bad = |number: usize, what: String| {
        Unusable::new(format!("line {} of `{}` is no network: {what}", number + 1, path.display()))
    };
    let mut networks = Vec::new();
    for (number, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
        let end = memchr::memchr2(b'#', b';', line).unwrap_or(line.len());
        let line = line.get(..end).unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        let text = std::str::from_utf8(line).map_err(|error| bad(number, error.to_string()))?;
        networks.push(parse_network(text).map_err(|error| bad(number, error.to_string()))?);
    }
    Ok((networks, mark))
}

/// What is in force.
#[derive(Debug)]
struct Current {
    /// None where everybody is.
    allow: Option<Networks>,
    deny: Networks,
}

/// The lists of a listener or a rule. Who is denied is refused even if allowed.
#[derive(Debug)]
pub struct AddressLists {
    /// Where they stand in the configuration, for logs and metrics.
    place: Box<str>,
    allow_name: Arc<str>,
    deny_name: Arc<str>,
    allow: Option<Sources>,
    deny: Sources,
    current: ArcSwap<Current>,
    marks: Vec<Mark>,
}

impl AddressLists {
    /// Reads the lists of what stands at `place` in the configuration.
    ///
    /// # Errors
    /// A file can't be read, or has something else in it than networks.
    pub fn new(place: &str, allow: Option<Sources>, deny: Sources) -> Result<Self, Unusable> {
        let (current, marks) = read(allow.as_ref(), &deny)?;
        Ok(Self {
            place: place.into(),
            allow_name: format!("{place}.allow").into(),
            deny_name: format!("{place}.deny").into(),
            allow,
            deny,
            current: ArcSwap::from_pointee(current),
            marks,
        })
    }

    /// Lets an address in or not. One that nobody knows is in no list: it is denied where some are allowed.
    ///
    /// # Errors
    /// It may not come in.
    pub fn judge(&self, address: Option<IpAddr>) -> Result<(), Fault> {
        let current = self.current.load();
        let by = if address.is_none_or(|address| current.deny.contains(address)) {
            &self.deny_name
        } else {
            let is_allowed = |allow: &Networks| address.is_some_and(|address| allow.contains(address));
            if current.allow.as_ref().is_none_or(is_allowed) {
                return Ok(());
            }
            &self.allow_name
        };
        let fault = Fault::new(Kind::Denied, "ADDRESS_DENIED", "calls from this address are not allowed");
        Err(fault.by_rule(Arc::clone(by)))
    }

    /// Where they stand in the configuration.
    #[must_use]
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Each list by its name, with the number of its ranges.
    pub fn sizes(&self) -> impl Iterator<Item = (Arc<str>, usize)> {
        let current = self.current.load();
        let allow = current.allow.as_ref().map(|allow| (Arc::clone(&self.allow_name), allow.len()));
        allow.into_iter().chain([(Arc::clone(&self.deny_name), current.deny.len())])
    }

    /// The files that some of them are in.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.marks.iter().map(Mark::path)
    }

    /// Whether there are files that may change.
    #[must_use]
    pub fn has_files(&self) -> bool {
        !self.marks.is_empty()
    }
}

fn read(allow: Option<&Sources>, deny: &Sources) -> Result<(Current, Vec<Mark>), Unusable> {
    let (deny, mut marks) = deny.read()?;
    let mut allowed = None;
    if let Some(allow) = allow {
        let (networks, more) = allow.read()?;
        marks.extend(more);
        allowed = Some(networks);
    }
    Ok((Current { allow: allowed, deny }, marks))
}

/// Lists whose files are looked at.
pub struct WatchedLists {
    lists: Arc<AddressLists>,
    vigil: Vigil,
}

impl WatchedLists {
    #[must_use]
    pub fn new(lists: Arc<AddressLists>) -> Self {
        let vigil = Vigil::new(lists.marks.clone());
        Self { lists, vigil }
    }

    #[must_use]
    pub fn lists(&self) -> &AddressLists {
        &self.lists
    }

    /// Looks whether files have changed, and puts what is new in force.
    pub fn look(&mut self) -> Look<(), Unusable> {
        let AddressLists { allow, deny, current, .. } = &*self.lists;
        match self.vigil.look(|| read(allow.as_ref(), deny)) {
            Look::Read(new) => {
                current.store(Arc::new(new));
                Look::Read(())
            }
            Look::Unchanged => Look::Unchanged,
            Look::Settling => Look::Settling,
            Look::Refused(unusable) => Look::Refused(unusable),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sources(networks: &[&str], files: &[&Path]) -> Sources {
        Sources {
            networks: networks.iter().map(|text| parse_network(text).unwrap()).collect(),
            files: files.iter().map(|path| path.to_path_buf()).collect(),
        }
    }

    /// Which list refuses an address; none where it is let in.
    fn refused_by(lists: &AddressLists, address: &str) -> Option<String> {
        let fault = lists.judge(address.parse().ok()).err()?;
        assert_eq!((fault.reason(), fault.kind()), ("ADDRESS_DENIED", Kind::Denied));
        Some(fault.rule().unwrap().to_string())
    }

    #[test]
    fn who_is_let_in() {
        let deny = || sources(&["10.0.0.9", "2001:db8::/32"], &[]);
        let open = AddressLists::new("p", None, deny()).unwrap();
        let closed = AddressLists::new("p", Some(sources(&["10.0.0.0/8"], &[])), deny()).unwrap();
        for (address, by_open, by_closed) in [
            ("10.0.0.1", None, None),
            ("::ffff:10.0.0.1", None, None),
            ("10.0.0.9", Some("p.deny"), Some("p.deny")),
            ("::ffff:10.0.0.9", Some("p.deny"), Some("p.deny")),
            ("192.0.2.1", None, Some("p.allow")),
            ("2001:db8::1", Some("p.deny"), Some("p.deny")),
            ("2001:db9::1", None, Some("p.allow")),
            // Nobody knows it.
            ("", Some("p.deny"), Some("p.deny")),
        ] {
            assert_eq!(refused_by(&open, address).as_deref(), by_open, "{address}");
            assert_eq!(refused_by(&closed, address).as_deref(), by_closed, "{address}");
        }
        let nobody = AddressLists::new("p", Some(Sources::default()), Sources::default()).unwrap();
        assert_eq!(refused_by(&nobody, "10.0.0.1").as_deref(), Some("p.allow"));
    }

    #[test]
    fn files_are_read_line_by_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        let good = "# drop\r\n10.0.0.0/8 ; SBL1\n\n 192.0.2.1 # one\n2001:db8::/32";
        fs::write(&path, good).unwrap();
        assert_eq!(read_file(&path).unwrap().0.len(), 3);
        for (text, want) in [
            ("10.0.0.0/8\n10.0.0.1/8\n", "line 2 of"),
            ("10.0.0.0/8\n10.0.0.1/8\n", "the network is `10.0.0.0/8`"),
            ("ten\n", "line 1 of"),
            ("10.0.0.1 10.0.0.2\n", "no network"),
        ] {
            fs::write(&path, text).unwrap();
            let said = read_file(&path).unwrap_err().what;
            assert!(said.contains(want), "{said}");
        }
        fs::write(&path, b"\xff").unwrap();
        assert!(read_file(&path).is_err());
    }

    #[test]
    fn a_bad_file_keeps_the_last_good_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list");
        fs::write(&path, "10.0.0.1\n").unwrap();
        let lists = Arc::new(AddressLists::new("p", None, sources(&["10.0.0.9"], &[&path])).unwrap());
        let mut watched = WatchedLists::new(Arc::clone(&lists));
        let mut put = |text: Option<&str>| {
            let next = folder.path().join("next");
            match text {
                Some(text) => fs::write(&next, text).and_then(|()| fs::rename(&next, &path)).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            assert!(matches!(watched.look(), Look::Settling));
            let found = watched.look();
            assert!(matches!(watched.look(), Look::Unchanged));
            found
        };
        let denied = || ["10.0.0.1", "10.0.0.2", "10.0.0.9"].map(|a| refused_by(&lists, a).is_some());
        assert_eq!(denied(), [true, false, true]);
        assert!(matches!(put(Some("10.0.0.2\n")), Look::Read(())));
        assert_eq!(denied(), [false, true, true]);
        assert!(matches!(put(Some("10.0.0.2\nx\n")), Look::Refused(_)));
        assert_eq!(denied(), [false, true, true]);
        assert!(matches!(put(None), Look::Refused(_)));
        assert_eq!(denied(), [false, true, true]);
        assert!(matches!(put(Some("")), Look::Read(())));
        assert_eq!(denied(), [false, false, true]);
    }
}
