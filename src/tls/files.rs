//! PEM files, and marks by which a change of them is noticed.

use std::fs::{self, File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::noted::note;

/// Larger than any bundle of certificates.
const MAX_BYTES: u64 = 16 << 20;

/// Why a file, or what is in it, can't be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unusable {
    /// What is wrong, in one line; names the file.
    pub what: String,
    /// What to do about it.
    pub help: Option<&'static str>,
}

impl Unusable {
    /// One that needs no advice.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), help: None }
    }

    pub(super) fn help(self, help: &'static str) -> Self {
        Self { help: Some(help), ..self }
    }
}

/// What a file looked like from outside. Any write changes it, and so does a link that leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    path: PathBuf,
    /// Device, inode, length, and the times of the last change of the content and of the inode. None: no such file.
    state: Option<[i128; 5]>,
}

impl Mark {
    /// As the file at `path`, at the end of all links, is now.
    #[must_use]
    pub fn now(path: &Path) -> Self {
        Self::of(path, fs::metadata(path).ok().as_ref())
    }

    fn of(path: &Path, metadata: Option<&Metadata>) -> Self {
        const NANOS: i128 = 1_000_000_000;
        let state = metadata.map(|found| {
            [
                found.dev().into(),
                found.ino().into(),
                found.len().into(),
                i128::from(found.mtime()) * NANOS + i128::from(found.mtime_nsec()),
                i128::from(found.ctime()) * NANOS + i128::from(found.ctime_nsec()),
            ]
        });
        Self { path: path.to_owned(), state }
    }

    /// Whose mark it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The same file as it is now.
    #[must_use]
    pub fn again(&self) -> Self {
        Self::now(&self.path)
    }
}

/// The bytes of a file, and its mark from before they were read: a later write is never taken for an old one.
///
/// # Errors
/// It is no file, too large, or can't be read.
pub fn read(path: &Path) -> Result<(Vec<u8>, Mark), Unusable> {
    note(path);
    let file = path.display();
    let cannot = |why: String| Unusable::new(format!("`{file}` can't be read: {why}"));
    let mut opened = File::open(path).map_err(|error| cannot(error.to_string()))?;
    let metadata = opened.metadata().map_err(|error| cannot(error.to_string()))?;
    if !metadata.is_file() {
        return Err(cannot("it is no file".into()));
    }
    let mark = Mark::of(path, Some(&metadata));
    let mut bytes = Vec::new();
    let length = (&mut opened)
        .take(MAX_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| cannot(error.to_string()))?;
    if length as u64 > MAX_BYTES {
        return Err(cannot(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok((bytes, mark))
}

/// All certificates of a PEM file, at least one, in their order.
pub(super) fn certificates(path: &Path) -> Result<(Vec<CertificateDer<'static>>, Mark), Unusable> {
    let (bytes, mark) = read(path)?;
    let file = path.display();
    let found = CertificateDer::pem_slice_iter(&bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| Unusable::new(format!("`{file}` is no PEM file: {error}")))?;
    if found.is_empty() {
        return Err(Unusable::new(format!("`{file}` has no certificate in it"))
            .help("it needs a block that starts with `-----BEGIN CERTIFICATE-----`"));
    }
    Ok((found, mark))
}

/// The first private key of a PEM file.
pub(super) fn private_key(path: &Path) -> Result<(PrivateKeyDer<'static>, Mark), Unusable> {
    let (bytes, mark) = read(path)?;
    let file = path.display();
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok((key, mark)),
        Err(pem::Error::NoItemsFound) if has(&bytes, b"ENCRYPTED PRIVATE KEY") => {
            Err(Unusable::new(format!("the private key in `{file}` is encrypted"))
                .help("take the password off, as `openssl pkey` does, and guard the file instead"))
        }
        Err(pem::Error::NoItemsFound) => Err(Unusable::new(format!("`{file}` has no private key in it"))
            .help("it needs a block that starts with `-----BEGIN PRIVATE KEY-----`, RSA or EC")),
        Err(error) => Err(Unusable::new(format!("`{file}` is no PEM file: {error}"))),
    }
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_change_a_file_changes_its_mark() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let path = at("current/tls.crt");
        let mut marks = vec![Mark::now(&path)];
        for version in ["v1", "v2"] {
            fs::create_dir(at(version)).unwrap();
            fs::write(at(version).join("tls.crt"), "same length").unwrap();
        }
        std::os::unix::fs::symlink("v1", at("current")).unwrap();
        marks.push(Mark::now(&path));
        // As Kubernetes does it.
        std::os::unix::fs::symlink("v2", at("next")).unwrap();
        fs::rename(at("next"), at("current")).unwrap();
        marks.push(Mark::now(&path));
        // A clock of the file system may be coarse.
        std::thread::sleep(std::time::Duration::from_millis(20));
        fs::write(&path, "as long too").unwrap();
        marks.push(Mark::now(&path));
        fs::remove_file(&path).unwrap();
        marks.push(Mark::now(&path));
        for (pair, step) in marks.windows(2).zip(1..) {
            assert_ne!(pair[0], pair[1], "step {step}");
        }
        assert_eq!(marks[0], marks[4]);
        assert_eq!(marks[3].again(), marks[4]);
    }

    #[test]
    fn files_that_hold_nothing_of_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.pem");
        for (text, certificate, key) in [
            ("", "has no certificate in it", "has no private key in it"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n", "is no PEM file", "is no PEM file"),
            (
                "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
                "has no certificate in it",
                "is encrypted",
            ),
        ] {
            fs::write(&path, text).unwrap();
            let said = certificates(&path).unwrap_err().what;
            assert!(said.contains(certificate), "{text}: {said}");
            let said = private_key(&path).unwrap_err().what;
            assert!(said.contains(key), "{text}: {said}");
        }
        let said = certificates(folder.path()).unwrap_err().what;
        assert!(said.contains("it is no file"), "{said}");
        let said = private_key(&folder.path().join("none.pem")).unwrap_err().what;
        assert!(said.contains("can't be read: No such file"), "{said}");
    }
}
