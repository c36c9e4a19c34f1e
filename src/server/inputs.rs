//! The files that everything was read from: whether they have changed, and whether whoever changes them is done.
//!
//! They are looked at, not subscribed to: that works on every file system and through every kind of link, and needs no
//! second way for when events are lost. A look costs one `stat` a file, on a thread that serves nobody.

use std::path::PathBuf;

use rustc_hash::FxHashSet;

use crate::config::Settings;
use crate::policy::identity::KeySource;
use crate::tls::Mark;

/// What was read last, for good or bad.
#[derive(Default)]
pub(super) struct Inputs {
    judged: Vec<Mark>,
    /// Files that differ from those, seen once: whoever writes them may not be done.
    settling: Option<Vec<Mark>>,
    /// Those that are read again by others when they change. They matter here only while what was read last is refused.
    cared_for: FxHashSet<PathBuf>,
    refused: bool,
}

/// What a look finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Seen {
    Unchanged,
    /// Something is being written; the next look will tell.
    Settling,
    /// These, at least one, are others than those that were read.
    Changed(Vec<PathBuf>),
}

impl Inputs {
    /// `marks` are from before the files were read; `settings` are what is in force.
    pub(super) fn judge(&mut self, mut marks: Vec<Mark>, settings: &Settings, refused: bool) {
        let mut known = FxHashSet::default();
        // The first was there before anything was read of the file.
        marks.retain(|mark| known.insert(mark.path().to_owned()));
        *self = Self { judged: marks, settling: None, cared_for: cared_for(settings), refused };
    }

    pub(super) fn look(&mut self) -> Seen {
        let marks: Vec<Mark> = self.judged.iter().map(Mark::again).collect();
        let pairs = self.judged.iter().zip(&marks);
        let changed: Vec<PathBuf> = pairs
            .filter(|(before, now)| before != now && (self.refused || !self.cared_for.contains(now.path())))
            .map(|(_, now)| now.path().to_owned())
            .collect();
        if changed.is_empty() {
            self.judged = marks;
            self.settling = None;
            return Seen::Unchanged;
        }
        if self.settling.as_ref() != Some(&marks) {
            self.settling = Some(marks);
            return Seen::Settling;
        }
        Seen::Changed(changed)
    }
}

/// The files of certificates, keys and lists that are looked after while they serve.
fn cared_for(settings: &Settings) -> FxHashSet<PathBuf> {
    let mut files: FxHashSet<PathBuf> = FxHashSet::default();
    for listener in &settings.listeners {
        let tls = listener.tls.iter().flat_map(|tls| tls.marks());
        files.extend(tls.map(|mark| mark.path().to_owned()));
        files.extend(listener.addresses.iter().flat_map(|lists| lists.files()).map(ToOwned::to_owned));
    }
    let upstreams = settings.upstreams.iter().filter_map(|upstream| upstream.tls.as_ref());
    files.extend(upstreams.flat_map(|tls| tls.client.marks()).map(|mark| mark.path().to_owned()));
    let of_rules = settings.rules.iter().filter_map(|rule| rule.addresses.as_ref()?.as_ref());
    files.extend(of_rules.flat_map(|lists| lists.files()).map(ToOwned::to_owned));
    files.extend(settings.identity.api_keys.iter().map(|keys| keys.path.clone()));
    files.extend(settings.identity.issuers.iter().filter_map(|issuer| match &issuer.keys {
        KeySource::File(file) => Some(file.path.clone()),
        KeySource::Secret(_) | KeySource::Url(_) | KeySource::Discovery(_) => None,
    }));
    files
}

/// Whether files are others than when they were marked: then what was read of them may be of two times.
pub(super) fn have_changed(marks: &[Mark]) -> bool {
    marks.iter().any(|mark| mark.again() != *mark)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::config;
    use crate::tls::noting;

    /// The settings of a configuration with a list of addresses, and the marks of both files.
    fn read(folder: &Path) -> (Settings, Vec<Mark>) {
        let (loaded, marks) = noting(|| config::load(&folder.join("t.yaml")));
        (loaded.unwrap().0, marks)
    }

    fn put(path: &Path, text: &str) {
        let next = path.with_extension("next");
        fs::write(&next, text).and_then(|()| fs::rename(&next, path)).unwrap();
    }

    #[test]
    fn changes_count_once_they_keep_still() {
        let folder = tempfile::tempdir().unwrap();
        let (config, list) = (folder.path().join("t.yaml"), folder.path().join("list"));
        let text = "listeners: { a: { address: '127.0.0.1:0', addresses: { deny: [{ file: list }] } } }\n\
                    schema: { descriptors: x.binpb }\nupstreams: { a: { endpoints: 'http://127.0.0.1:1' } }\n";
        put(&list, "");
        put(&config, text);
        let (settings, marks) = read(folder.path());
        let mut inputs = Inputs::default();
        inputs.judge(marks, &settings, false);
        assert_eq!(inputs.look(), Seen::Unchanged);
        // Others look after it.
        put(&list, "10.0.0.1\n");
        assert_eq!((inputs.look(), inputs.look()), (Seen::Unchanged, Seen::Unchanged));
        put(&config, text);
        assert_eq!(inputs.look(), Seen::Settling);
        put(&config, text);
        assert_eq!(inputs.look(), Seen::Settling);
        assert_eq!(inputs.look(), Seen::Changed(vec![config.clone()]));
        // As long as nothing is made of it, it counts.
        assert_eq!(inputs.look(), Seen::Changed(vec![config.clone()]));
        let (settings, marks) = read(folder.path());
        put(&config, text);
        assert!(have_changed(&marks));
        inputs.judge(marks, &settings, true);
        assert_eq!(inputs.look(), Seen::Settling);
        assert_eq!(inputs.look(), Seen::Changed(vec![config]));
        // What is refused may be so by any file.
        let (settings, marks) = read(folder.path());
        inputs.judge(marks, &settings, true);
        put(&list, "10.0.0.2\n");
        assert_eq!(inputs.look(), Seen::Settling);
        assert_eq!(inputs.look(), Seen::Changed(vec![list]));
    }
}
