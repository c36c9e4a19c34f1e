//! From what an operator wrote (files, folders, globs) to the files that are meant.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::problem::{Problem, Problems};
use crate::tls::note;

/// How deep below a given folder files are looked for.
const MAX_DEPTH: usize = 32;

/// How many files all inputs together may name.
const MAX_FILES: usize = 100_000;

/// The largest file that is read, in bytes.
const MAX_BYTES: u64 = 512 << 20;

/// A file that an input names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub path: PathBuf,
    /// The folder of the input: itself, the fixed part of its glob, or the one the file is in.
    pub root: PathBuf,
}

/// What kind of input is expanded: it decides which files of a folder are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InputKind {
    DescriptorSets,
    Sources,
}

impl InputKind {
    fn extensions(self) -> &'static [&'static str] {
        match self {
            Self::DescriptorSets => &["binpb", "pb", "desc", "protoset", "bin"],
            Self::Sources => &["proto"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::DescriptorSets => "descriptor sets",
            Self::Sources => ".proto sources",
        }
    }

    fn takes(self, path: &Path) -> bool {
        let extension = path.extension().and_then(|extension| extension.to_str());
        extension.is_some_and(|extension| self.extensions().contains(&extension))
    }
}

/// The files that `inputs` name, each once, in the order of the inputs and by name within one.
pub(super) fn expand(inputs: &[String], kind: InputKind, problems: &mut Problems) -> Vec<Found> {
    let mut all: Vec<Found> = Vec::new();
    let mut seen = rustc_hash::FxHashSet::default();
    for input in inputs {
        let found = match one(input, kind) {
            Ok(found) => found,
            Err(problem) => {
                problems.push(problem);
                continue;
            }
        };
        for file in found {
            if all.len() == MAX_FILES {
                problems
                    .push(Problem::error(format!("the inputs name more than {MAX_FILES} {}", kind.name())));
                return all;
            }
            if seen.insert(file.path.clone()) {
                all.push(file);
            }
        }
    }
    all
}

fn one(input: &str, kind: InputKind) -> Result<Vec<Found>, Problem> {
    let path = Path::new(input);
    note(path);
    match fs::metadata(path) {
        Ok(about) if about.is_dir() => in_folder(path, kind),
        Ok(_) => Ok(vec![Found { path: path.to_owned(), root: parent(path) }]),
        Err(_) if input.contains(['*', '?', '[']) => by_glob(input, kind),
        Err(error) => Err(Problem::error(format!("`{input}` can't be read: {error}"))
            .help(format!("name files, folders or globs of {}", kind.name()))),
    }
}

/// The folder that a file is in, `.` for a bare name.
fn parent(path: &Path) -> PathBuf {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        Some(_) | None => PathBuf::from("."),
    }
}

fn in_folder(root: &Path, kind: InputKind) -> Result<Vec<Found>, Problem> {
    let mut paths = Vec::new();
    let mut folders = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        let unreadable =
            |error| Problem::error(format!("the folder `{}` can't be read: {error}", folder.display()));
        note(&folder);
        for entry in fs::read_dir(&folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            // Hidden entries are no inputs; among them are the folders that Kubernetes swaps.
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let path = entry.path();
            // Links to files are followed, links to folders are not: they may lead back here.
            if entry.file_type().map_err(unreadable)?.is_dir() {
                if depth == MAX_DEPTH {
                    return Err(Problem::error(format!(
                        "`{}` is more than {MAX_DEPTH} folders deep in `{}`",
                        path.display(),
                        root.display()
                    )));
                }
                folders.push((path, depth + 1));
            } else if kind.takes(&path) && path.is_file() {
                if paths.len() == MAX_FILES {
                    return Err(Problem::error(format!(
                        "`{}` holds more than {MAX_FILES} {}",
                        root.display(),
                        kind.name()
                    )));
                }
                paths.push(path);
            }
        }
    }
    if paths.is_empty() {
        let wanted: Vec<String> =
            kind.extensions().iter().map(|extension| format!("*.{extension}")).collect();
        return Err(Problem::error(format!("the folder `{}` holds no {}", root.display(), kind.name()))
            .help(format!("in a folder, {} are read", wanted.join(", "))));
    }
    paths.sort();
    Ok(paths.into_iter().map(|path| Found { path, root: root.to_owned() }).collect())
}

fn by_glob(input: &str, kind: InputKind) -> Result<Vec<Found>, Problem> {
    let root = fixed_part(input);
    note_folders(&root);
    let paths = glob::glob(input)
        .map_err(|error| Problem::error(format!("`{input}` is no valid glob: {}", error.msg)))?;
    let mut found = Vec::new();
    for path in paths {
        let path = path.map_err(|error| {
            Problem::error(format!("`{}` can't be read: {}", error.path().display(), error.error()))
        })?;
        if path.is_file() {
            found.push(Found { path, root: root.clone() });
        }
        if found.len() > MAX_FILES {
            return Err(Problem::error(format!("`{input}` matches more than {MAX_FILES} files")));
        }
    }
    if found.is_empty() {
        return Err(Problem::error(format!("`{input}` matches no file"))
            .help(format!("name files, folders or globs of {}", kind.name())));
    }
    Ok(found)
}

/// How many folders below a glob's root are looked at for new files.
const MAX_FOLDERS: usize = 1_000;

/// Notes the folders in which a glob may match something.
fn note_folders(root: &Path) {
    let mut folders = vec![(root.to_owned(), 0)];
    let mut left = MAX_FOLDERS;
    while let Some((folder, depth)) = folders.pop() {
        note(&folder);
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            if depth < MAX_DEPTH && left > 0 && entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                left -= 1;
                folders.push((entry.path(), depth + 1));
            }
        }
    }
}

/// The folder before the first component of a glob that has a wildcard.
fn fixed_part(input: &str) -> PathBuf {
    let fixed: PathBuf = Path::new(input)
        .components()
        .take_while(|part| !part.as_os_str().as_encoded_bytes().iter().any(|b| b"*?[".contains(b)))
        .collect();
    if fixed.as_os_str().is_empty() { PathBuf::from(".") } else { fixed }
}

/// Reads a file that an input names. It may be a pipe, whose length shows only when it is read.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Problem> {
    note(path);
    let unreadable = |why: String| Problem::error(format!("`{}` can't be read: {why}", path.display()));
    let file = fs::File::open(path).map_err(|error| unreadable(error.to_string()))?;
    let mut bytes = Vec::new();
    file.take(MAX_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(unreadable(format!("it is larger than {} MiB", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

/// Reads a file of text.
pub(super) fn read_text(path: &Path) -> Result<String, Problem> {
    String::from_utf8(read(path)?).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::error(format!("`{}` is not UTF-8 text, from byte {at} on", path.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(inputs: &[String], kind: InputKind) -> Result<Vec<String>, String> {
        let mut problems = Problems::new();
        let found = expand(inputs, kind, &mut problems);
        if !problems.is_empty() {
            return Err(problems.to_string());
        }
        Ok(found.iter().map(|found| found.path.file_name().unwrap().to_string_lossy().into_owned()).collect())
    }

    #[test]
    fn files_folders_and_globs() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("deep/er")).unwrap();
        fs::create_dir_all(folder.path().join("..data")).unwrap();
        fs::create_dir_all(folder.path().join("none")).unwrap();
        for file in ["b.binpb", "a.pb", "c.txt", "deep/er/d.desc", "..data/x.pb", "p.proto"] {
            fs::write(folder.path().join(file), "").unwrap();
        }
        let at = |path: &str| folder.path().join(path).to_string_lossy().into_owned();
        let sets = InputKind::DescriptorSets;
        let cases: [(&[String], &[&str]); 5] = [
            (&[at("")], &["a.pb", "b.binpb", "d.desc"]),
            (&[at("c.txt")], &["c.txt"]),
            (&[at("*.binpb"), at("")], &["b.binpb", "a.pb", "d.desc"]),
            (&[at("**/*.desc")], &["d.desc"]),
            (&[at("b.binpb"), at("b.binpb")], &["b.binpb"]),
        ];
        for (inputs, wanted) in cases {
            assert_eq!(names(inputs, sets).unwrap(), wanted, "{inputs:?}");
        }
        assert_eq!(names(&[at("")], InputKind::Sources).unwrap(), ["p.proto"]);
        for (input, wanted) in [
            ("none", "holds no descriptor sets"),
            ("gone.pb", "can't be read"),
            ("*.zip", "matches no file"),
            ("[", "no valid glob"),
        ] {
            let told = names(&[at(input)], sets).unwrap_err();
            assert!(told.contains(wanted), "{told}");
        }
    }

    #[test]
    fn the_folder_of_an_input() {
        for (input, wanted) in
            [("a/b/*.proto", "a/b"), ("**/*.proto", "."), ("/x/y?/z", "/x"), ("a/*/c", "a")]
        {
            assert_eq!(fixed_part(input), Path::new(wanted), "{input}");
        }
        assert_eq!(parent(Path::new("x.proto")), Path::new("."));
    }
}
