//! YAML as a tree in which every key and value knows its place in the text.
//!
//! The first step of reading a configuration. Values stay text here: what `10s` or `off` means is known only by the key
//! that it stands under. Aliases are copied in; depth and size are bounded whatever the text says.

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::ops::Range;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag, options};

use super::reader::Reader;
use crate::problem::Problem;

/// More nodes than any configuration has. Copies count, those kept for aliases and those made by them.
const MAX_NODES: usize = 100_000;
/// Lists and maps inside each other, as they are written.
const MAX_DEPTH: usize = 32;

/// A value and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Byte range in the text; of a list or map only its start.
    pub span: Range<usize>,
    pub kind: Kind,
}

#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// Nothing, `~` or `null`.
    Empty,
    /// Any single value, as text.
    Scalar(String),
    List(Vec<Node>),
    /// No two entries have the same key.
    Map(Vec<Entry>),
}

#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub key: Key,
    pub value: Node,
}

#[derive(Debug, Clone)]
pub(super) struct Key {
    pub text: String,
    pub span: Range<usize>,
}

/// Reads the text of `reader`; problems of YAML itself are reported to it. `None` where there is no tree to go on with.
pub(super) fn read(reader: &Reader<'_>) -> Option<Node> {
    let options = options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        disallow_directives: true,
        flow_nesting_limit: MAX_DEPTH,
        block_nesting_limit: MAX_DEPTH,
    };
    let mut builder = Builder::new(reader);
    for event in Parser::new_from_str_with_options(reader.text(), options) {
        let step = match event {
            Ok((event, span)) => builder.take(event, &span),
            Err(error) => Err(syntax(reader.text(), &error)),
        };
        if let Err((span, problem)) = step {
            reader.report(span, problem);
            return None;
        }
    }
    if builder.root.is_none() {
        reader.report_whole(
            Problem::error("the configuration is empty")
                .help("it needs `listeners`, `schema` and `upstreams`"),
        );
    }
    builder.root
}

/// A problem after which the rest of the text can't be understood.
type Stop = (Range<usize>, Problem);

fn syntax(text: &str, error: &ScanError) -> Stop {
    let at = error.marker().byte_offset().unwrap_or(text.len());
    let mut problem = Problem::error(format!("this isn't YAML: {}", error.info()));
    if text.get(at..).is_some_and(|rest| rest.starts_with('*')) {
        problem = problem.help(QUOTE_STAR);
    }
    (at..at + 1, problem)
}

const QUOTE_STAR: &str = "a text that starts with `*` needs quotes: `\"*\"`";

/// What the next node in an open map is.
enum Next {
    Key,
    ValueOf(Key),
    /// The value of a key that was refused.
    Nothing,
}

/// A list or map whose end hasn't come yet.
struct Open {
    node: Node,
    anchor: usize,
    /// Nodes placed before this one; tells its size at its end.
    before: usize,
    next: Next,
    /// Where each key of a map was first.
    seen: HashMap<String, Range<usize>>,
}

struct Builder<'r> {
    reader: &'r Reader<'r>,
    root: Option<Node>,
    open: Vec<Open>,
    /// Finished nodes that an alias may copy, with their sizes.
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'r> Builder<'r> {
    fn new(reader: &'r Reader<'r>) -> Self {
        Self { reader, root: None, open: Vec::new(), anchors: HashMap::new(), nodes: 0 }
    }

    fn take(&mut self, event: Event<'_>, place: &Span) -> Result<(), Stop> {
        let span = place.byte_range().unwrap_or(0..0);
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err((span, Problem::error("a configuration is one YAML document; a second one starts here")))
            }
            Event::DocumentStart(..) => Ok(()),
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_tag(place, tag);
                let empty = style == ScalarStyle::Plain && matches!(&*text, "" | "~" | "null");
                let kind = if empty { Kind::Empty } else { Kind::Scalar(text.into_owned()) };
                self.count(1, &span)?;
                self.place(Node { span, kind }, anchor, 1)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_tag(place, tag);
                self.start(Node { span, kind: Kind::List(Vec::new()) }, anchor)
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_tag(place, tag);
                self.start(Node { span, kind: Kind::Map(Vec::new()) }, anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(open) => self.place(open.node, open.anchor, self.nodes - open.before),
                None => Ok(()),
            },
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor) else {
                    return Err((span, Problem::error("an alias inside of what it stands for")));
                };
                // What is kept for aliases was counted, so a copy of it is small enough to be made before it is.
                let (node, size) = (node.clone(), *size);
                self.count(size, &span)?;
                self.place(node, 0, size)
            }
            Event::UnresolvedAlias(name) => {
                let problem = Problem::error(format!("there is no anchor `&{name}` above")).help(QUOTE_STAR);
                Err((span, problem))
            }
            // The enum isn't exhaustive; comments and names of anchors weren't asked for.
            _ => Err((span, Problem::error("this part of YAML has no meaning here"))),
        }
    }

    fn refuse_tag(&self, place: &Span, tag: Option<Cow<'_, Tag>>) {
        if let Some(tag) = tag {
            let span = place.tag_span().and_then(|span| span.byte_range()).unwrap_or(0..0);
            let problem = Problem::error(format!("the tag `{}` has no meaning here", tag.original()));
            self.reader.report(span, problem.help("leave it out"));
        }
    }

    fn count(&mut self, size: usize, span: &Range<usize>) -> Result<(), Stop> {
        self.nodes = self.nodes.saturating_add(size);
        if self.nodes > MAX_NODES {
            return Err((span.clone(), Problem::error(format!("more than {MAX_NODES} keys and values"))));
        }
        Ok(())
    }

    fn start(&mut self, node: Node, anchor: usize) -> Result<(), Stop> {
        let before = self.nodes;
        self.count(1, &node.span)?;
        self.open.push(Open { node, anchor, before, next: Next::Key, seen: HashMap::new() });
        Ok(())
    }

    /// Puts a finished node where it belongs: into the innermost list or map, as a key, or at the root.
    fn place(&mut self, node: Node, anchor: usize, size: usize) -> Result<(), Stop> {
        if anchor != 0 {
            self.count(size, &node.span)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.node.kind {
            Kind::List(items) => items.push(node),
            Kind::Map(entries) => {
                open.next = match std::mem::replace(&mut open.next, Next::Key) {
                    Next::Key => self.reader.key(node).map_or(Next::Nothing, Next::ValueOf),
                    Next::Nothing => Next::Key,
                    Next::ValueOf(key) => {
                        match open.seen.entry(key.text.clone()) {
                            Slot::Occupied(first) => self.reader.report_twice(&key, first.get().clone()),
                            Slot::Vacant(slot) => {
                                slot.insert(key.span.clone());
                                entries.push(Entry { key, value: node });
                            }
                        }
                        Next::Key
                    }
                };
            }
            // Only lists and maps are opened.
            Kind::Empty | Kind::Scalar(_) => {}
        }
        Ok(())
    }
}
