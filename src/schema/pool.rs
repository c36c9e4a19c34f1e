//! From raw files to one pool: every file once, nothing missing, nothing defined twice,
//! dependencies first.
//!
//! Each file is added by its encoded bytes, the only way on which extension options survive.

use std::path::PathBuf;

use prost_reflect::{Cardinality, DescriptorPool, Kind, MessageDescriptor};
use rustc_hash::{FxHashMap, FxHashSet};

use super::FileOrigin;
use super::compare::Comparer;
use super::editions::{self, Lowered};
use super::load::{RawFile, RawFiles, shielded};
use crate::codec::Features;
use crate::problem::{Problem, Problems, nearest};

/// After this many files that the pool refuses no more are tried: each refusal costs a pass over
/// all that is in the pool.
const MAX_REFUSED: usize = 50;

/// How many circles of imports are told one by one.
const MAX_CIRCLES: usize = 20;

/// The pool and what went into it.
pub(super) struct Built {
    pub pool: DescriptorPool,
    /// What the pool can't tell of the files in editions.
    pub features: Features,
    /// The files that are in the pool, in the order of the input, built-in ones last.
    pub files: Vec<RawFile>,
    /// Whether every file of the input is in the pool.
    pub complete: bool,
}

/// Builds the pool from all files that can be used.
pub(super) fn build(raw: RawFiles, problems: &mut Problems) -> Built {
    let errors = problems.errors();
    let given = once_each(raw.given, &raw.built_in, problems);
    let mut files = Files::new(given, raw.built_in);
    files.use_imported();
    files.refuse_unreadable(problems);
    files.refuse_missing(problems);
    files.refuse_shared_symbols(problems);
    let (pool, features) = files.fill_pool(problems);
    refuse_map_entries(&pool, problems);
    for problem in editions::check(&pool, &features) {
        problems.push(problem);
    }
    let names: FxHashSet<String> = pool.files().map(|file| file.name().to_owned()).collect();
    let complete = problems.errors() == errors;
    let in_pool = files.all.into_iter().filter(|file| names.contains(file.name())).collect();
    Built { pool, features, files: in_pool, complete }
}

/// Leaves the first of the files with one name, if all say the same.
fn once_each(files: Vec<RawFile>, built_in: &[RawFile], problems: &mut Problems) -> Vec<RawFile> {
    let mut kept: Vec<RawFile> = Vec::with_capacity(files.len());
    let mut by_name: FxHashMap<String, usize> = FxHashMap::default();
    let mut comparer = None;
    for file in files {
        let Some(&first) = by_name.get(file.name()) else {
            by_name.insert(file.name().to_owned(), kept.len());
            kept.push(file);
            continue;
        };
        let first = &kept[first];
        let comparer = comparer.get_or_insert_with(|| Comparer::new(built_in));
        if let Some(difference) = comparer.difference(&first.encoded, &file.encoded) {
            problems.push(
                Problem::error(format!("two inputs define `{}` differently", file.name()))
                    .in_file(origin_path(&first.origin))
                    .in_file(origin_path(&file.origin))
                    .help(format!("they differ in {difference}; leave one of them out")),
            );
        }
    }
    kept
}

/// Why a pool can't be asked to read a file.
fn unreadable(file: &RawFile) -> Option<Problem> {
    let name = file.name();
    let syntax = file.outline.syntax.as_str();
    if !["", "proto2", "proto3", "editions"].contains(&syntax) {
        return Some(Problem::error(format!("`{name}` has the unknown syntax `{syntax}`")));
    }
    let malformed = file.outline.malformed_name()?;
    Some(Problem::error(format!("`{name}` is not valid: `{malformed}` is no name")))
}

fn origin_path(origin: &FileOrigin) -> PathBuf {
    match origin {
        FileOrigin::DescriptorSet(path) | FileOrigin::Source(path) => path.clone(),
        FileOrigin::Reflected(upstream) => PathBuf::from(format!("(reflection of `{upstream}`)")),
        FileOrigin::BuiltIn => PathBuf::from("(built in)"),
    }
}

/// What to do where a file of this origin imports one that is missing.
fn where_to_get(origin: &FileOrigin) -> &'static str {
    match origin {
        FileOrigin::DescriptorSet(_) | FileOrigin::Source(_) | FileOrigin::BuiltIn => {
            "make the descriptor set with `buf build` or with \
             `protoc --include_imports`, or name an input that has the file"
        }
        FileOrigin::Reflected(_) => {
            "the backend does not give it by reflection; name a descriptor set that has the file"
        }
    }
}

/// Files by index; every name stands once.
struct Files {
    all: Vec<RawFile>,
    by_name: FxHashMap<String, usize>,
    /// By file: whether it is to be in the pool.
    state: Vec<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Given, or imported by one that is given.
    Wanted,
    /// Built in and imported by nothing: in the pool where nothing speaks against it.
    Spare,
    /// Not to be used; if it was wanted, a problem says why.
    Out,
}

impl Files {
    /// A given file stands before a built-in one of the same name.
    fn new(given: Vec<RawFile>, built_in: Vec<RawFile>) -> Self {
        let mut files = Self { all: given, by_name: FxHashMap::default(), state: Vec::new() };
        files.state = vec![State::Wanted; files.all.len()];
        let names = files.all.iter().enumerate();
        files.by_name = names.map(|(index, file)| (file.name().to_owned(), index)).collect();
        for file in built_in {
            if !files.by_name.contains_key(file.name()) {
                files.by_name.insert(file.name().to_owned(), files.all.len());
                files.all.push(file);
                files.state.push(State::Spare);
            }
        }
        files
    }

    fn imports(&self, file: usize) -> impl Iterator<Item = Option<usize>> {
        self.all[file].outline.dependency.iter().map(|name| self.by_name.get(name).copied())
    }

    /// Makes the built-in files that given ones import, directly or not, wanted.
    fn use_imported(&mut self) {
        let mut open: Vec<usize> = (0..self.all.len()).collect();
        open.retain(|&file| self.state[file] == State::Wanted);
        while let Some(file) = open.pop() {
            let spare: Vec<usize> =
                self.imports(file).flatten().filter(|&import| self.state[import] == State::Spare).collect();
            for import in spare {
                self.state[import] = State::Wanted;
                open.push(import);
            }
        }
    }

    fn refuse_unreadable(&mut self, problems: &mut Problems) {
        for (file, state) in self.all.iter().zip(&mut self.state) {
            if let Some(problem) = unreadable(file) {
                problems.push(problem.in_file(origin_path(&file.origin)));
                *state = State::Out;
            }
        }
    }

    fn refuse_missing(&mut self, problems: &mut Problems) {
        for file in 0..self.all.len() {
            let mut missing = Vec::new();
            for (name, import) in self.all[file].outline.dependency.iter().zip(self.imports(file)) {
                if import.is_none() {
                    missing.push(name.clone());
                }
            }
            if missing.is_empty() {
                continue;
            }
            for name in missing {
                let alike = self.by_name.keys().map(String::as_str).filter(|known| ends_alike(known, &name));
                let near =
                    nearest(&name, alike).map_or(String::new(), |near| format!(" (there is `{near}`)"));
                problems.push(
                    Problem::error(format!(
                        "`{}` imports `{name}`, which no input has{near}",
                        self.all[file].name()
                    ))
                    .in_file(origin_path(&self.all[file].origin))
                    .help(where_to_get(&self.all[file].origin)),
                );
            }
            self.state[file] = State::Out;
        }
    }

    /// One name can be defined by one file. Two with the same content under different names are
    /// usually one file, found by different import paths.
    fn refuse_shared_symbols(&mut self, problems: &mut Problems) {
        let mut owners: FxHashMap<String, usize> = FxHashMap::default();
        let mut told: FxHashSet<(usize, usize)> = FxHashSet::default();
        for file in 0..self.all.len() {
            if self.state[file] == State::Out {
                continue;
            }
            let outline = &self.all[file].outline;
            let names: Vec<String> = outline.symbols().map(|symbol| outline.full_name(symbol)).collect();
            let first = names.iter().find_map(|name| {
                owners.get(name).copied().filter(|&owner| owner != file).map(|owner| (owner, name))
            });
            let Some((owner, name)) = first else {
                owners.extend(names.into_iter().map(|name| (name, file)));
                continue;
            };
            if self.state[file] == State::Wanted && told.insert((owner, file)) {
                let (one, other) = (&self.all[owner], &self.all[file]);
                problems.push(
                    Problem::error(format!("`{}` and `{}` both define `{name}`", one.name(), other.name()))
                        .in_file(origin_path(&one.origin))
                        .in_file(origin_path(&other.origin))
                        .help(
                            "if it is one file under two names, compile all sources with the same \
                         import path; otherwise leave one of them out",
                        ),
                );
            }
            self.state[file] = State::Out;
        }
    }

    /// Adds every file after those that it imports. What imports a file that is out is out too,
    /// without a word of its own.
    fn fill_pool(&mut self, problems: &mut Problems) -> (DescriptorPool, Features) {
        let mut pool = DescriptorPool::new();
        let mut features = Features::default();
        let mut refused = 0;
        for file in self.in_order(problems) {
            if self.imports(file).any(|import| import.is_none_or(|at| self.state[at] == State::Out)) {
                self.state[file] = State::Out;
            }
            if self.state[file] == State::Out {
                continue;
            }
            let raw = &self.all[file];
            let lowered = match editions::lower(raw) {
                Ok(lowered) => lowered,
                Err(faults) => {
                    for fault in faults {
                        problems.push(fault.in_file(origin_path(&raw.origin)));
                    }
                    self.state[file] = State::Out;
                    continue;
                }
            };
            let Lowered { encoded, features: own } = lowered;
            let Some(added) = shielded(|| pool.decode_file_descriptor_proto(encoded)) else {
                problems.push(
                    Problem::error(format!("`{}` is damaged; no file was looked at after it", raw.name()))
                        .in_file(origin_path(&raw.origin)),
                );
                return (DescriptorPool::new(), Features::default());
            };
            let Err(error) = added else {
                features.extend(own);
                continue;
            };
            if self.state[file] == State::Wanted {
                problems.push(
                    Problem::error(format!("`{}` is not valid: {error}", raw.name()))
                        .in_file(origin_path(&raw.origin)),
                );
                refused += 1;
            }
            self.state[file] = State::Out;
            if refused == MAX_REFUSED {
                problems.push(Problem::error(format!(
                    "{refused} files are not valid; the files after `{}` were not looked at",
                    self.all[file].name()
                )));
                break;
            }
        }
        (pool, features)
    }

    /// All files, dependencies first, otherwise in the order of the input. Files on a circle of
    /// imports are put out, and told.
    fn in_order(&mut self, problems: &mut Problems) -> Vec<usize> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.all.len()];
        let mut order = Vec::with_capacity(self.all.len());
        let mut circles = Vec::new();
        // A stack of its own: chains of imports have no limit.
        let mut open: Vec<(usize, Vec<usize>)> = Vec::new();
        for start in 0..self.all.len() {
            if marks[start] != Mark::New {
                continue;
            }
            marks[start] = Mark::Open;
            open.push((start, self.imports(start).flatten().collect()));
            while let Some((file, imports)) = open.last_mut() {
                let file = *file;
                let Some(import) = imports.pop() else {
                    marks[file] = Mark::Done;
                    order.push(file);
                    open.pop();
                    continue;
                };
                match marks[import] {
                    Mark::New => {
                        marks[import] = Mark::Open;
                        open.push((import, self.imports(import).flatten().collect()));
                    }
                    Mark::Open if circles.len() == MAX_CIRCLES => {}
                    Mark::Open => {
                        let from = open.iter().position(|(on, _)| *on == import).unwrap_or(0);
                        circles.push(open[from..].iter().map(|(on, _)| *on).collect::<Vec<_>>());
                    }
                    Mark::Done => {}
                }
            }
        }
        for circle in circles {
            if circle.iter().all(|&file| self.state[file] == State::Out) {
                continue;
            }
            let mut names: Vec<&str> = circle.iter().map(|&file| self.all[file].name()).collect();
            names.extend(circle.first().map(|&file| self.all[file].name()));
            problems.push(
                Problem::error(format!("a circle of imports: {}", names.join(" imports ")))
                    .help("move what they share to a file that imports none of them"),
            );
            for file in circle {
                self.state[file] = State::Out;
            }
        }
        order
    }
}

/// Whoever meets a map takes for granted that its entries are as compilers make them: a key that
/// can be one, and a value. The pool does not look.
fn refuse_map_entries(pool: &DescriptorPool, problems: &mut Problems) {
    for message in pool.all_messages().filter(MessageDescriptor::is_map_entry) {
        let singular =
            |number| message.get_field(number).filter(|field| field.cardinality() == Cardinality::Optional);
        let key = singular(1).is_some_and(|key| match key.kind() {
            Kind::Double | Kind::Float | Kind::Bytes | Kind::Message(_) | Kind::Enum(_) => false,
            Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64 | Kind::Sint32 | Kind::Sint64 => true,
            Kind::Fixed32 | Kind::Fixed64 | Kind::Sfixed32 | Kind::Sfixed64 | Kind::Bool | Kind::String => {
                true
            }
        });
        if !key || singular(2).is_none() || message.fields().len() != 2 {
            let (file, name) = (message.parent_file(), message.full_name());
            problems
                .push(Problem::error(format!("`{}` is not valid: `{name}` is no map entry", file.name())));
        }
    }
}

/// Whether two paths name a file alike, so that one may be meant by the other.
fn ends_alike(one: &str, other: &str) -> bool {
    one.rsplit('/').next() == other.rsplit('/').next()
}
