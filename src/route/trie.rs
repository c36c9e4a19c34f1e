//! The trie of template segments: which templates match a path, the most specific first.
//!
//! Before a `**` a node's depth is the index of the segment it is asked about, and the nodes
//! behind a `**` are kept apart by how many segments follow it, which fixes where they stand in a
//! path. So a node is only ever asked about one segment of a path, and no search asks a node twice.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::decode::unescape_into;
use super::path::Segments;
use super::template::Segment;

/// The index of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) fn index(self) -> usize {
        self.0 as usize
    }

    fn of(index: usize) -> NodeId {
        NodeId(narrow(index))
    }
}

/// A node's literal children are looked for one by one up to this many, by hash above it.
const FEW: usize = 8;

/// The trie while templates are added.
#[derive(Default)]
pub(super) struct TrieBuilder {
    nodes: Vec<Draft>,
    longest_literal: usize,
}

#[derive(Default)]
struct Draft {
    literals: FxHashMap<Box<[u8]>, NodeId>,
    single: Option<NodeId>,
    /// By the number of segments that follow the `**`, ascending.
    rests: Vec<Rest>,
}

/// What follows a `**`.
#[derive(Clone, Copy)]
struct Rest {
    /// How many segments follow.
    length: u16,
    /// The node that is asked about the first of them.
    node: NodeId,
}

impl TrieBuilder {
    /// A new root, for templates that are to be searched on their own.
    pub(super) fn root(&mut self) -> NodeId {
        self.nodes.push(Draft::default());
        NodeId::of(self.nodes.len() - 1)
    }

    /// The node at which templates with these segments end.
    pub(super) fn insert(&mut self, root: NodeId, segments: &[Segment]) -> NodeId {
        let mut node = root;
        for (index, segment) in segments.iter().enumerate() {
            node = self.child(node, segment, segments.len() - index - 1);
        }
        node
    }

    fn child(&mut self, parent: NodeId, segment: &Segment, following: usize) -> NodeId {
        let fresh = NodeId::of(self.nodes.len());
        let draft = &mut self.nodes[parent.index()];
        let child = match segment {
            Segment::Literal(text) => {
                self.longest_literal = self.longest_literal.max(text.len());
                *draft.literals.entry(text.as_bytes().into()).or_insert(fresh)
            }
            Segment::Single => *draft.single.get_or_insert(fresh),
            Segment::Rest => {
                let length = u16::try_from(following).expect("templates have few segments");
                match draft.rests.binary_search_by_key(&length, |rest| rest.length) {
                    Ok(at) => draft.rests[at].node,
                    Err(at) => {
                        draft.rests.insert(at, Rest { length, node: fresh });
                        fresh
                    }
                }
            }
        };
        if child == fresh {
            self.nodes.push(Draft::default());
        }
        child
    }

    pub(super) fn build(self) -> Trie {
        let mut trie = Trie {
            nodes: Vec::with_capacity(self.nodes.len()),
            few: Vec::new(),
            many: Vec::new(),
            rests: Vec::new(),
            longest_literal: self.longest_literal,
        };
        for draft in self.nodes {
            let literals = if draft.literals.len() <= FEW {
                let start = trie.few.len();
                trie.few.extend(draft.literals);
                Literals::Few(span(start, trie.few.len()))
            } else {
                trie.many.push(draft.literals);
                Literals::Many(narrow(trie.many.len() - 1))
            };
            let start = trie.rests.len();
            trie.rests.extend(draft.rests);
            let rests = span(start, trie.rests.len());
            trie.nodes.push(Node { literals, single: draft.single, rests });
        }
        trie
    }
}

/// The trie in flat vectors. Node indices are those of the builder.
pub(super) struct Trie {
    nodes: Vec<Node>,
    few: Vec<(Box<[u8]>, NodeId)>,
    many: Vec<FxHashMap<Box<[u8]>, NodeId>>,
    rests: Vec<Rest>,
    /// In bytes. Nothing longer is decoded to be compared.
    longest_literal: usize,
}

struct Node {
    literals: Literals,
    single: Option<NodeId>,
    /// A part of `Trie::rests`.
    rests: Span,
}

/// The start and the end of a part of one of the trie's vectors.
type Span = (u32, u32);

enum Literals {
    /// A part of `Trie::few`.
    Few(Span),
    /// An index into `Trie::many`. Only configuration fills the map, so its keys are trusted.
    Many(u32),
}

/// An index into one of the vectors, which all come from configuration.
fn narrow(index: usize) -> u32 {
    u32::try_from(index).expect("no configuration has 2^32 segments")
}

fn span(start: usize, end: usize) -> Span {
    (narrow(start), narrow(end))
}

fn part<T>(of: &[T], (start, end): Span) -> &[T] {
    of.get(start as usize..end as usize).unwrap_or_default()
}

impl Trie {
    /// How many nodes there are.
    pub(super) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether no node is below this one.
    #[cfg(test)]
    pub(super) fn is_leaf(&self, node: NodeId) -> bool {
        let Node { literals, single, rests } = &self.nodes[node.index()];
        let none = matches!(literals, Literals::Few((start, end)) if start == end);
        none && single.is_none() && rests.0 == rests.1
    }

    /// Offers `accept` the ends of all templates under `root` that match, the most specific
    /// first, until it takes one.
    ///
    /// Asks each node at most once, and a node costs no more than its own segment of the path
    /// (and no more than three times the longest literal, if that has to be decoded) and the
    /// number of different lengths of what follows a `**` in it.
    pub(super) fn search<R>(
        &self,
        root: NodeId,
        path: &Segments<'_>,
        mut accept: impl FnMut(NodeId) -> Option<R>,
    ) -> Option<R> {
        // What is still to be tried, the most specific last.
        let mut open: SmallVec<[(NodeId, usize); 16]> = SmallVec::new();
        let mut next = Some((root, 0));
        while let Some((id, at)) = next.or_else(|| open.pop()) {
            next = None;
            let node = &self.nodes[id.index()];
            let segment = path.get(at);
            if segment.is_none()
                && let Some(taken) = accept(id)
            {
                return Some(taken);
            }
            // A longer rest leaves less to the `**`, so it is tried first.
            for rest in part(&self.rests, node.rests) {
                let Some(end) = path.len().checked_sub(usize::from(rest.length)) else {
                    break;
                };
                if end >= at && !path.has_empty(at..end) {
                    open.push((rest.node, end));
                }
            }
            let Some(segment) = segment else { continue };
            if let Some(single) = node.single
                && !segment.is_empty()
            {
                open.push((single, at + 1));
            }
            next = self.literal(&node.literals, segment).map(|child| (child, at + 1));
        }
        None
    }

    fn literal(&self, literals: &Literals, raw: &[u8]) -> Option<NodeId> {
        if let Literals::Few((start, end)) = literals
            && start == end
        {
            return None;
        }
        let mut decoded = Decoded::new();
        let key = self.key(raw, &mut decoded)?;
        match literals {
            Literals::Few(few) => part(&self.few, *few)
                .iter()
                .find_map(|(literal, child)| (**literal == *key).then_some(*child)),
            Literals::Many(index) => self.many.get(*index as usize)?.get(key).copied(),
        }
    }

    /// The decoded segment; `None` if it is longer than any literal, or has no decoded form.
    fn key<'a>(&self, raw: &'a [u8], decoded: &'a mut Decoded) -> Option<&'a [u8]> {
        if raw.len() > self.longest_literal.saturating_mul(3) {
            return None;
        }
        decode_key(raw, decoded)
    }
}

/// Room for a decoded segment.
pub(super) type Decoded = SmallVec<[u8; 64]>;

/// What a raw segment, or verb, is compared as; `None` if an escape is malformed.
pub(super) fn decode_key<'a>(raw: &'a [u8], decoded: &'a mut Decoded) -> Option<&'a [u8]> {
    if memchr::memchr(b'%', raw).is_none() {
        return Some(raw);
    }
    unescape_into(raw, decoded).then_some(decoded.as_slice())
}
