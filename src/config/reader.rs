//! Walks the tree of a configuration key by key and collects what is wrong on the way.
//!
//! A [`Map`] remembers which keys were asked for; when its reading ends, those that nobody asked for are unknown keys.
//! Nothing stops at a fault: the reading function gets `None` and goes on, and the problem is kept with its place.

use std::cell::RefCell;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::tree::{Entry, Key, Kind, Node};
use super::values::Wrong;
use crate::problem::{Excerpt, Problem, Problems, nearest};

/// More problems than anyone reads; the rest isn't kept.
const MAX_PROBLEMS: usize = 1_000;

/// The text of a configuration and the file that it is from.
pub(super) struct Source<'s> {
    text: &'s str,
    /// The offset at which each line starts.
    lines: Vec<usize>,
    origin: String,
    folder: PathBuf,
}

impl<'s> Source<'s> {
    pub(super) fn new(text: &'s str, origin: &Path) -> Self {
        let folder = origin.parent().map_or_else(PathBuf::new, Path::to_owned);
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, lines, origin: origin.display().to_string(), folder }
    }
}

/// The source and the problems found in it so far.
pub(super) struct Reader<'s> {
    source: Source<'s>,
    /// With the offset that each is about, for their order.
    found: RefCell<Vec<(usize, Problem)>>,
}

impl<'s> Reader<'s> {
    pub(super) fn new(source: Source<'s>) -> Self {
        Self { source, found: RefCell::new(Vec::new()) }
    }

    pub(super) fn text(&self) -> &'s str {
        self.source.text
    }

    /// The line in which `span` starts, marked up to its end at most. There is one for each rule, so lines are looked up.
    fn excerpt(&self, span: Range<usize>) -> Excerpt {
        let Source { text, lines, origin, .. } = &self.source;
        let number = lines.partition_point(|start| *start <= span.start);
        let first = number.checked_sub(1).and_then(|index| lines.get(index)).copied().unwrap_or(0);
        let line = text.get(first..).and_then(|rest| rest.lines().next()).unwrap_or_default();
        let inside = |at: usize| line.floor_char_boundary(at.saturating_sub(first));
        let span = inside(span.start)..inside(span.end.max(span.start));
        Excerpt { text: line.to_owned(), origin: origin.clone(), line: number, span, label: String::new() }
    }

    pub(super) fn report(&self, span: Range<usize>, problem: Problem) {
        let excerpt = self.excerpt(span.clone());
        self.keep(span.start, problem.excerpt(excerpt));
    }

    fn keep(&self, at: usize, problem: Problem) {
        let mut found = self.found.borrow_mut();
        match found.len() {
            ..MAX_PROBLEMS => found.push((at, problem)),
            MAX_PROBLEMS => {
                let more = Problem::error("there are more problems, which aren't shown");
                found.push((usize::MAX, more.in_file(&*self.source.origin)));
            }
            _ => {}
        }
    }

    /// Reports something that has no place in the text.
    pub(super) fn report_whole(&self, problem: Problem) {
        self.keep(0, problem.in_file(&*self.source.origin));
    }

    pub(super) fn report_twice(&self, key: &Key, first: Range<usize>) {
        let problem = Problem::error(format!("the key `{}` is given twice", key.text))
            .excerpt(self.excerpt(key.span.clone()).labelled("here again"))
            .excerpt(self.excerpt(first).labelled("first here"));
        self.keep(key.span.start, problem);
    }

    /// The node as the key of a map; one that can't be a key is reported.
    pub(super) fn key(&self, node: Node) -> Option<Key> {
        match node.kind {
            Kind::Scalar(text) => Some(Key { text, span: node.span }),
            Kind::Empty | Kind::List(_) | Kind::Map(_) => {
                self.report(node.span, Problem::error("a key is a single text"));
                None
            }
        }
    }

    /// Reads the outermost map.
    pub(super) fn root<T>(&self, node: &Node, read: impl FnOnce(&mut Map<'_>) -> T) -> Option<T> {
        let root = Value { reader: self, path: String::new(), said: node.span.clone(), node };
        root.map(read)
    }

    /// All problems in the order of the text.
    pub(super) fn into_problems(self) -> Problems {
        let mut found = self.found.into_inner();
        found.sort_by_key(|(at, _)| *at);
        let mut problems = Problems::new();
        for (_, problem) in found {
            problems.push(problem);
        }
        problems
    }
}

/// One value, the key path that leads to it, and where that is said.
#[derive(Clone)]
pub(super) struct Value<'r> {
    reader: &'r Reader<'r>,
    path: String,
    /// The key, or the item of a list.
    said: Range<usize>,
    node: &'r Node,
}

impl<'r> Value<'r> {
    /// The key path, as in `listeners.public.address`.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The excerpt that shows the key.
    pub(super) fn excerpt(&self) -> Excerpt {
        self.reader.excerpt(self.said.clone())
    }

    /// Reports an error about the key as a whole.
    pub(super) fn wrong(&self, what: &str, help: impl Into<String>) {
        self.report(Problem::error(self.title(what)).help(help));
    }

    /// Reports a problem that shows the key.
    pub(super) fn report(&self, problem: Problem) {
        self.reader.report(self.said.clone(), problem);
    }

    fn title(&self, what: &str) -> String {
        if self.path.is_empty() {
            format!("the configuration: {what}")
        } else {
            format!("`{}`: {what}", self.path)
        }
    }

    fn unlike(&self, wanted: &str) {
        let given = match &self.node.kind {
            Kind::Empty => {
                return self.wrong("there is no value", format!("write {wanted}, or leave the key out"));
            }
            Kind::Scalar(_) => "a single value",
            Kind::List(_) => "a list",
            Kind::Map(_) => "a map",
        };
        self.wrong(&format!("this is {given}"), format!("write {wanted}"));
    }

    /// The text of a single value.
    pub(super) fn text(&self) -> Option<&'r str> {
        match &self.node.kind {
            Kind::Scalar(text) => Some(text),
            Kind::Empty | Kind::List(_) | Kind::Map(_) => {
                self.unlike("a single value");
                None
            }
        }
    }

    /// A single value as `parse` reads it.
    pub(super) fn parse<T>(&self, parse: impl FnOnce(&str) -> Result<T, Wrong>) -> Option<T> {
        let text = self.text()?;
        match parse(text) {
            Ok(value) => Some(value),
            Err(wrong) => {
                self.refuse_part(text, &self.node.span, wrong);
                None
            }
        }
    }

    /// Reports what is wrong with the text at `whole`, in the name of this value.
    fn refuse_part(&self, text: &str, whole: &Range<usize>, wrong: Wrong) {
        let source = self.reader.text().get(whole.clone());
        let start = source.and_then(|source| source.find(text)).map(|start| whole.start + start);
        // Where the source has escapes, a part of the text is no part of the source.
        let span = match (start, &wrong.span) {
            (Some(start), Some(part)) => start + part.start..start + part.end,
            (None, _) | (_, None) => whole.clone(),
        };
        self.reader.report(span, wrong.problem(&self.path));
    }

    pub(super) fn is_map(&self) -> bool {
        matches!(self.node.kind, Kind::Map(_))
    }

    pub(super) fn is_empty_map(&self) -> bool {
        matches!(&self.node.kind, Kind::Map(entries) if entries.is_empty())
    }

    pub(super) fn is_list(&self) -> bool {
        matches!(self.node.kind, Kind::List(_))
    }

    /// The items of a list that isn't empty; a single value is a list of one.
    pub(super) fn items(&self) -> Vec<Value<'r>> {
        match &self.node.kind {
            Kind::List(nodes) => {
                if nodes.is_empty() {
                    self.wrong("the list is empty", "put something in, or leave the key out");
                }
                nodes.iter().map(|node| self.item(node)).collect()
            }
            Kind::Scalar(_) => vec![self.item(self.node)],
            Kind::Empty | Kind::Map(_) => {
                self.unlike("a list");
                Vec::new()
            }
        }
    }

    fn item(&self, node: &'r Node) -> Value<'r> {
        Value { reader: self.reader, path: self.path.clone(), said: node.span.clone(), node }
    }

    /// The entries of a map whose keys the operator chose, with the keys as `parse` reads them; `None` for a bad one.
    pub(super) fn entries<K>(&self, parse: impl Fn(&str) -> Result<K, Wrong>) -> Vec<(Option<K>, Value<'r>)> {
        let Kind::Map(entries) = &self.node.kind else {
            self.unlike("a map");
            return Vec::new();
        };
        if entries.is_empty() {
            self.wrong("the map is empty", "put something in, or leave the key out");
        }
        let read = |entry: &'r Entry| {
            let key = parse(&entry.key.text).map_err(|wrong| {
                self.refuse_part(&entry.key.text, &entry.key.span, wrong);
            });
            (key.ok(), self.entry(entry))
        };
        entries.iter().map(read).collect()
    }

    fn entry(&self, entry: &'r Entry) -> Value<'r> {
        let name = &entry.key.text;
        let path = if self.path.is_empty() { name.clone() } else { format!("{}.{name}", self.path) };
        Value { reader: self.reader, path, said: entry.key.span.clone(), node: &entry.value }
    }

    /// Reads a map of known keys and reports those that `read` doesn't ask for.
    pub(super) fn map<T>(&self, read: impl FnOnce(&mut Map<'r>) -> T) -> Option<T> {
        let Kind::Map(entries) = &self.node.kind else {
            self.unlike("a map, `{}` for one without keys");
            return None;
        };
        let asked = vec![false; entries.len()];
        let mut map = Map { value: self.clone(), entries, asked, known: Vec::new() };
        let result = read(&mut map);
        map.finish();
        Some(result)
    }
}

/// A map of known keys while it is read.
pub(super) struct Map<'r> {
    value: Value<'r>,
    entries: &'r [Entry],
    /// Which of `entries` were asked for.
    asked: Vec<bool>,
    known: Vec<&'static str>,
}

impl<'r> Map<'r> {
    /// The value under a key, if it is there.
    pub(super) fn get(&mut self, name: &'static str) -> Option<Value<'r>> {
        self.known.push(name);
        let (entry, asked) =
            self.entries.iter().zip(&mut self.asked).find(|(entry, _)| entry.key.text == name)?;
        *asked = true;
        Some(self.value.entry(entry))
    }

    /// The value under a key that must be there.
    pub(super) fn required(&mut self, name: &'static str, help: &str) -> Option<Value<'r>> {
        let value = self.get(name);
        if value.is_none() {
            self.missing(name, help);
        }
        value
    }

    /// Reports that a key, or one of several, is missing.
    pub(super) fn missing(&self, name: &str, help: &str) {
        if self.value.path.is_empty() {
            self.value.reader.report_whole(Problem::error(format!("the key `{name}` is missing")).help(help));
        } else {
            self.value.wrong(&format!("the key `{name}` is missing"), help);
        }
    }

    /// A single value as `parse` reads it, if it is there and good.
    pub(super) fn value<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Option<T> {
        self.get(name)?.parse(parse)
    }

    /// Replaces a default where the key is there.
    pub(super) fn set<T>(
        &mut self,
        name: &'static str,
        slot: &mut T,
        parse: impl FnOnce(&str) -> Result<T, Wrong>,
    ) {
        if let Some(value) = self.value(name, parse) {
            *slot = value;
        }
    }

    /// Reads the map of known keys under a key, if it is there.
    pub(super) fn map(&mut self, name: &'static str, read: impl FnOnce(&mut Map<'r>)) {
        if let Some(value) = self.get(name) {
            value.map(read);
        }
    }

    /// The good items of the list under a key, if it is there.
    pub(super) fn list<T>(
        &mut self,
        name: &'static str,
        parse: impl Fn(&str) -> Result<T, Wrong>,
    ) -> Option<Vec<T>> {
        let items = self.get(name)?.items();
        Some(items.iter().filter_map(|item| item.parse(&parse)).collect())
    }

    /// The path that `text` means in this configuration.
    pub(super) fn path(&self, text: &str) -> PathBuf {
        self.value.reader.source.folder.join(text)
    }

    /// The map as a value, for problems about it as a whole.
    pub(super) fn whole(&self) -> &Value<'r> {
        &self.value
    }

    fn finish(self) {
        for (entry, _) in self.entries.iter().zip(&self.asked).filter(|(_, asked)| !**asked) {
            let key = &entry.key;
            let place =
                if self.value.path.is_empty() { String::new() } else { format!(" in `{}`", self.value.path) };
            let help = match nearest(&key.text, self.known.iter().copied()) {
                Some(name) => format!("did you mean `{name}`?"),
                None => format!("the keys here are {}", listed(&self.known)),
            };
            let problem = Problem::error(format!("unknown key `{}`{place}", key.text)).help(help);
            self.value.reader.report(key.span.clone(), problem);
        }
    }
}

/// The names in backquotes, separated by commas.
pub(super) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}
