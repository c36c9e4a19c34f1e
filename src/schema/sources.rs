//! `.proto` sources: compiled by protox, then treated like the files of a descriptor set.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use protox::Compiler;
use protox::file::{File, FileResolver, IncludeFileResolver};
use rustc_hash::{FxHashMap, FxHashSet};

use super::inputs::{Found, read_text};
use super::load::{RawFile, shielded};
use super::{FileOrigin, editions};
use crate::problem::{Excerpt, Problem, Problems};
use crate::tls::note;

/// Compiles `protos` and gives them and what they import from the file system. Imports are looked
/// for in `imports`, then among the `known` files.
pub(super) fn compile<'k>(
    protos: &[Found],
    imports: &[PathBuf],
    known: impl Iterator<Item = &'k RawFile>,
    problems: &mut Problems,
) -> Vec<RawFile> {
    let folders = folders(protos, imports);
    let resolver = Sources {
        folders: folders
            .iter()
            .map(|folder| (IncludeFileResolver::new(folder.clone()), folder.clone()))
            .collect(),
        known: known
            .filter_map(|file| Some((file.name().to_owned(), editions::lower(file).ok()?.encoded)))
            .collect(),
    };
    let mut compiler = Compiler::with_file_resolver(resolver);
    let mut told = FxHashSet::default();
    for proto in protos {
        let Some(opened) = shielded(|| compiler.open_file(&proto.path).map(|_| ())) else {
            let shown = proto.path.display();
            problems.push(Problem::error(format!(
                "`{shown}` can't be compiled; no source was looked at after it"
            )));
            return Vec::new();
        };
        if let Err(error) = opened {
            // A fault in a file that many import is told once.
            let problem = explain(&error, &proto.path, &folders);
            if told.insert(problem.to_string()) {
                problems.push(problem);
            }
        }
    }

    let mut origins: FxHashMap<&str, &Path> = FxHashMap::default();
    origins.extend(compiler.files().filter_map(|file| Some((file.name(), file.path()?))));
    let pool = compiler.descriptor_pool();
    let mut compiled = Vec::new();
    for file in pool.files() {
        // Those without a path are known already.
        let Some(path) = origins.get(file.name()) else { continue };
        let origin = FileOrigin::Source((*path).to_owned());
        match RawFile::decode(Bytes::from(file.encode_to_vec()), origin) {
            Ok(raw) => compiled.push(raw),
            Err(error) => {
                problems.push(Problem::error(format!("`{}`: {error}", path.display())));
            }
        }
    }
    compiled
}

/// The folders that imports are relative to.
fn folders(protos: &[Found], imports: &[PathBuf]) -> Vec<PathBuf> {
    if !imports.is_empty() {
        return imports.to_vec();
    }
    let mut folders: Vec<PathBuf> = Vec::new();
    let mut seen = FxHashSet::default();
    for proto in protos {
        if seen.insert(&proto.root) {
            folders.push(proto.root.clone());
        }
    }
    folders
}

/// Where protox looks for a file: the import folders, then what is known without sources.
struct Sources {
    folders: Vec<(IncludeFileResolver, PathBuf)>,
    known: FxHashMap<String, Bytes>,
}

impl FileResolver for Sources {
    fn resolve_path(&self, path: &Path) -> Option<String> {
        self.folders.iter().find_map(|(folder, _)| folder.resolve_path(path))
    }

    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        let known = self.known.get(name);
        for (folder, path) in &self.folders {
            // Even if it isn't there: it may come.
            note(&path.join(name));
            match folder.open_file(name) {
                Err(error) if error.is_file_not_found() => {}
                // Later releases of descriptor.proto use what protox can't read.
                Err(_) if known.is_some() && name.starts_with("google/protobuf/") => break,
                other => return other,
            }
        }
        let encoded = known.ok_or_else(|| protox::Error::file_not_found(name))?;
        File::decode_file_descriptor_proto(encoded.clone()).map_err(protox::Error::new)
    }
}

/// What protox says, as a problem with its place.
fn explain(error: &protox::Error, input: &Path, folders: &[PathBuf]) -> Problem {
    let name = error.file();
    let source = name.and_then(|name| {
        let path = folders.iter().map(|folder| folder.join(name)).find(|path| path.is_file())?;
        let text = read_text(&path).ok()?;
        Some((path, text))
    });
    if let Some((path, text)) = &source
        && let Some(span) = edition(text)
    {
        return Problem::error(format!("`{}` is written in an edition", path.display()))
            .excerpt(Excerpt::in_file(path.display().to_string(), text, span))
            .help(
                "sources in editions are for their own compilers: make a descriptor set with `buf build -o api.binpb`, \
                 or with `protoc --include_imports --descriptor_set_out=api.binpb`, and name it under `descriptors`",
            );
    }

    let shown = source.as_ref().map_or(input, |(path, _)| path.as_path()).display().to_string();
    let problem = Problem::error(format!("`{shown}`: {error}"));
    // protox gives the place only here: `name:line:column: message`.
    let place = name.and_then(|name| place(&format!("{error:?}"), name));
    let problem = match (&source, place) {
        (Some((_, text)), Some((line, column))) => {
            problem.excerpt(Excerpt::in_file(shown, text, token_at(text, line, column)))
        }
        (_, _) => problem,
    };
    if !error.is_file_not_found() {
        return problem;
    }
    let mut searched: Vec<String> =
        folders.iter().take(MOST_FOLDERS).map(|folder| format!("`{}`", folder.display())).collect();
    if folders.len() > MOST_FOLDERS {
        searched.push("…".to_owned());
    }
    problem.help(format!(
        "looked for in {}; set `imports` to the folders that imports are relative to, or add a descriptor set that \
         has the file",
        searched.join(", ")
    ))
}

/// How many folders a hint lists.
const MOST_FOLDERS: usize = 5;

/// Line and column, from 1, of a protox error in the file `name`.
fn place(debug: &str, name: &str) -> Option<(usize, usize)> {
    let mut parts = debug.strip_prefix(name)?.strip_prefix(':')?.splitn(3, ':');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The bytes of the word, or the one character, at a place.
fn token_at(text: &str, line: usize, column: usize) -> std::ops::Range<usize> {
    let before: usize = text.split_inclusive('\n').take(line.saturating_sub(1)).map(str::len).sum();
    let whole = text.get(before..).unwrap_or_default().lines().next().unwrap_or_default();
    let offset: usize = whole.chars().take(column.saturating_sub(1)).map(char::len_utf8).sum();
    let rest = whole.get(offset..).unwrap_or_default();
    let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
    let length = word.max(rest.chars().next().map_or(0, char::len_utf8));
    before + offset..before + offset + length
}

/// Where a source says `edition`, if that is how it starts.
fn edition(text: &str) -> Option<std::ops::Range<usize>> {
    let mut rest = text;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        if let Some(comment) = rest.strip_prefix("//") {
            rest = &comment[comment.find('\n')?..];
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/")?.1;
        } else {
            break;
        }
    }
    let start = text.len() - rest.len();
    let statement = &rest[..=rest.find(';')?];
    let value = statement.strip_prefix("edition")?.trim_start();
    value.starts_with('=').then(|| start..start + statement.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_editions_behind_comments() {
        for (text, wanted) in [
            ("edition = \"2023\";", Some("edition = \"2023\";")),
            ("\u{feff}// c\n/* d */ edition=\"2024\"; package a;", Some("edition=\"2024\";")),
            ("syntax = \"proto3\";", None),
            ("// edition = \"2023\";", None),
            ("/* edition", None),
            ("edition_of_books", None),
            ("", None),
        ] {
            assert_eq!(edition(text).map(|span| &text[span]), wanted, "{text}");
        }
    }

    #[test]
    fn reads_places_and_words() {
        assert_eq!(place("a.proto:3:14: expected", "a.proto"), Some((3, 14)));
        assert_eq!(place("a.proto: expected", "a.proto"), None);
        for (line, column, wanted) in [(2, 1, "message"), (2, 9, "Ä"), (2, 11, "{"), (9, 1, "")] {
            let text = "\nmessage Ä {\n";
            assert_eq!(&text[token_at(text, line, column)], wanted);
        }
    }
}
