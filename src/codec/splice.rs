//! The fields that path variables and query parameters set, as encoded leaves waiting to be spliced into the request
//! message while it is written. The REST translation fills a `Splice` from the URL before it reads the body.

use smallvec::SmallVec;

use super::plan::{FieldId, Plan};

/// Where a leaf came from, the strongest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A path variable: stronger than the body.
    Path,
    /// A body that is a form. It has no JSON beside it: such leaves are only for `write_splice`.
    Body,
    /// A query parameter: weaker than the body.
    Query,
}

impl Rank {
    pub(crate) const ALL: [Self; 3] = [Self::Path, Self::Body, Self::Query];
}

/// One encoded field: the way to it from the root message, and its bytes with the tag.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    path: SmallVec<[FieldId; 4]>,
    rank: Rank,
    start: usize,
    end: usize,
}

/// Encoded leaves, sorted by path once sealed.
#[derive(Clone, Debug, Default)]
pub struct Splice {
    leaves: SmallVec<[Leaf; 8]>,
    bytes: Vec<u8>,
}

impl Splice {
    /// Longer paths would nest messages deeper than protobuf implementations accept. Callers refuse them; a leaf that
    /// comes here with one is left out.
    pub const MAX_PATH: usize = super::wire::DEPTH as usize;

    /// A splice without leaves.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the leaf at `path`, encoded by `write` with its tag. A repeated field gets one leaf per element, a map one
    /// per entry. A path is never empty. What a failed `write` has written is dropped.
    pub fn push<E>(
        &mut self,
        path: &[FieldId],
        rank: Rank,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        if path.is_empty() || path.len() > Self::MAX_PATH {
            return Ok(());
        }
        if self.bytes.is_empty() {
            self.bytes.reserve(128);
        }
        let start = self.bytes.len();
        if let Err(error) = write(&mut self.bytes) {
            self.bytes.truncate(start);
            return Err(error);
        }
        self.leaves.push(Leaf { path: SmallVec::from_slice(path), rank, start, end: self.bytes.len() });
        Ok(())
    }

    /// Brings the leaves into the order in which they are spliced. Must follow the last `push`; leaves of the same
    /// field and rank keep their order.
    pub fn seal(&mut self) {
        self.leaves.sort_by(|a, b| a.path.cmp(&b.path).then(a.rank.cmp(&b.rank)));
    }

    /// Whether there is nothing to splice.
    pub fn is_empty(&self) -> bool {
        self.leaves.is_empty()
    }

    /// Whether any leaf is at or below this field of the root message.
    pub fn touches(&self, field: FieldId) -> bool {
        self.leaves.iter().any(|leaf| leaf.path.first() == Some(&field))
    }

    /// The singular field to which path and query give different values, by its JSON names: for callers that refuse
    /// that. The readers of bodies ask by themselves if `Overrides` says so.
    pub fn conflict(&self, plan: &Plan) -> Option<String> {
        let encoded = |leaf: &Leaf| self.bytes.get(leaf.start..leaf.end);
        let pair = self.leaves.windows(2).find(|pair| {
            let [a, b] = pair else {
                return false;
            };
            a.path == b.path && a.rank != b.rank && encoded(a) != encoded(b) && is_singular(plan, &a.path)
        })?;
        Some(json_path(plan, &pair.first()?.path))
    }

    pub(crate) fn root(&self) -> Leaves<'_> {
        Leaves { leaves: &self.leaves, bytes: &self.bytes, depth: 0 }
    }
}

/// Whether the field at the end of `path` is neither a list nor a map.
fn is_singular(plan: &Plan, path: &[FieldId]) -> bool {
    let mut plan = plan.clone();
    for (index, &id) in path.iter().enumerate() {
        if index + 1 == path.len() {
            let field = plan.field(id);
            return !field.is_repeated() && !field.is_map();
        }
        match plan.nested(id) {
            Some(nested) => plan = nested,
            None => return false,
        }
    }
    false
}

/// `book.author.givenName`
fn json_path(plan: &Plan, path: &[FieldId]) -> String {
    let mut names = Vec::new();
    let mut plan = Some(plan.clone());
    for &id in path {
        let Some(open) = plan else {
            break;
        };
        names.push(open.field(id).json_name().to_owned());
        plan = open.nested(id);
    }
    names.join(".")
}

/// The leaves below one open message: a run of the sorted leaves that share their first `depth` steps.
#[derive(Clone, Copy)]
pub(crate) struct Leaves<'s> {
    leaves: &'s [Leaf],
    bytes: &'s [u8],
    depth: usize,
}

impl<'s> Leaves<'s> {
    /// No leaves at all.
    pub(crate) const NONE: Leaves<'static> = Leaves { leaves: &[], bytes: &[], depth: 0 };

    #[inline]
    pub(crate) fn is_empty(self) -> bool {
        self.leaves.is_empty()
    }

    /// Whether any leaf comes from the path.
    pub(crate) fn any_path(self) -> bool {
        self.any(Rank::Path)
    }

    /// Whether any leaf is of this rank.
    pub(crate) fn any(self, rank: Rank) -> bool {
        self.leaves.iter().any(|leaf| leaf.rank == rank)
    }

    fn step(self, leaf: &Leaf) -> Option<FieldId> {
        leaf.path.get(self.depth).copied()
    }

    /// The leaves at or below `field`.
    pub(crate) fn of(self, field: FieldId) -> FieldLeaves<'s> {
        let wanted = Some(field);
        let from = self.leaves.partition_point(|leaf| self.step(leaf) < wanted);
        let rest = self.leaves.get(from..).unwrap_or_default();
        let len = rest.partition_point(|leaf| self.step(leaf) == wanted);
        FieldLeaves(Leaves { leaves: rest.get(..len).unwrap_or_default(), ..self })
    }

    /// The fields that have leaves, in ascending order.
    pub(crate) fn fields(self) -> impl Iterator<Item = (FieldId, FieldLeaves<'s>)> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let field = rest.step(rest.leaves.first()?)?;
            let own = rest.of(field);
            rest.leaves = rest.leaves.get(own.0.leaves.len()..).unwrap_or_default();
            Some((field, own))
        })
    }
}

/// The leaves at or below one field of the open message.
#[derive(Clone, Copy)]
pub(crate) struct FieldLeaves<'s>(Leaves<'s>);

impl<'s> FieldLeaves<'s> {
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(self, rank: Rank) -> bool {
        self.0.leaves.iter().any(|leaf| leaf.rank == rank)
    }

    fn is_exact(self, leaf: &Leaf) -> bool {
        leaf.path.len() == self.0.depth + 1
    }

    /// The encoded leaves of the field itself, of one rank, in the order in which they were given.
    pub(crate) fn exact(self, rank: Rank) -> impl Iterator<Item = &'s [u8]> {
        self.0
            .leaves
            .iter()
            .filter(move |leaf| leaf.rank == rank && self.is_exact(leaf))
            .map(move |leaf| self.0.bytes.get(leaf.start..leaf.end).unwrap_or_default())
    }

    /// The leaves inside the field's message, as that message sees them.
    pub(crate) fn inside(self) -> Leaves<'s> {
        // Shorter paths sort first, so the leaves of the field itself are a prefix.
        let own = self.0.leaves.partition_point(|leaf| self.is_exact(leaf));
        Leaves {
            leaves: self.0.leaves.get(own..).unwrap_or_default(),
            bytes: self.0.bytes,
            depth: self.0.depth + 1,
        }
    }
}
