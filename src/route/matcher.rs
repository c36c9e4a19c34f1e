//! The router: from a method and a raw path to the most specific route.
//!
//! Built once per snapshot from all templates, then only read. It says which route stands for a
//! request and where its variables are in the path, as byte ranges; decoding comes later.
//!
//! # Which template wins
//! - Literal before `*` before `**`, from left to right. Of templates that are the same up to
//!   their `**`, the one with more segments behind it wins, then left to right again.
//! - If the winner has no route for the method, the next template that matches is asked. HEAD is
//!   served by GET where the template has no HEAD route; an exact method goes before `Any`.
//! - A path whose last segment has a raw `:` is first matched without what follows the last one,
//!   by the templates with that verb, then as it stands by the templates without a verb.
//! - `*` matches one segment that is not empty. `**` matches zero or more, none of them empty:
//!   `/v1/{name=**}` matches `/v1` with an empty capture (as Envoy's transcoder does), but not
//!   `/v1/` (here Envoy drops the slash), for empty segments match nothing but themselves. The
//!   path `/` has no segments, so `/**` matches it.
//! - A literal is compared with the decoded segment; a segment with a malformed escape equals no
//!   literal, but a wildcard takes it and decoding refuses it. Dot segments are ordinary.
//!
//! # Cost
//! A lookup reads the path once (twice if its end is a known verb) and then asks nodes of the trie,
//! none more than once, and only those whose templates match the path so far: one for each
//! segment, and one more for each choice between a literal, a `*` and a `**` that configuration has
//! made possible there. Neither other routes nor a long path multiply that. Paths of more than
//! 65,536 segments match nothing. Up to 24 segments and 8 variables nothing is allocated.

use std::fmt;
use std::ops::Range;

use http::Method;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use super::methods::{HttpMethod, Methods};
use super::path::{Segments, split_verb};
use super::template::{Segment, Template};
use super::trie::{Decoded, NodeId, Trie, TrieBuilder, decode_key};

/// Collects routes.
pub struct RouterBuilder<T> {
    trie: TrieBuilder,
    plain: NodeId,
    verbs: FxHashMap<Box<[u8]>, NodeId>,
    /// By node, the routes of the templates that end there.
    ends: FxHashMap<usize, Vec<End>>,
    routes: Vec<Route<T>>,
}

/// One route of a template that ends at a node.
struct End {
    method: HttpMethod,
    /// An index into the routes.
    route: usize,
}

struct Route<T> {
    value: T,
    shape: Shape,
}

/// What is needed to find a template's variables in a path that it matched.
struct Shape {
    segments: usize,
    /// The index of the `**`.
    rest: Option<usize>,
    /// The segments that each variable covers.
    variables: Box<[Range<usize>]>,
}

/// The same template, but for the names of variables, already has a route for the same method.
#[derive(Debug, PartialEq, Eq)]
pub struct Taken<'r, T> {
    /// The value of the route that was there first, and stays.
    pub existing: &'r T,
    /// The value that was not added.
    pub value: T,
}

impl<T> Default for RouterBuilder<T> {
    fn default() -> Self {
        let mut trie = TrieBuilder::default();
        let plain = trie.root();
        RouterBuilder {
            trie,
            plain,
            verbs: FxHashMap::default(),
            ends: FxHashMap::default(),
            routes: Vec::new(),
        }
    }
}

impl<T> RouterBuilder<T> {
    /// A builder without routes.
    pub fn new() -> Self {
        RouterBuilder::default()
    }

    /// Adds a route.
    ///
    /// # Errors
    /// A route with the same method, verb and segments is there, whatever its variables are
    /// called. The router stays as it was.
    pub fn add(&mut self, method: HttpMethod, template: &Template, value: T) -> Result<(), Taken<'_, T>> {
        let root = match template.verb() {
            None => self.plain,
            Some(verb) => *self.verbs.entry(verb.as_bytes().into()).or_insert_with(|| self.trie.root()),
        };
        let node = self.trie.insert(root, template.segments());
        let ends = self.ends.entry(node.index()).or_default();
        if let Some(end) = ends.iter().find(|end| end.method == method) {
            return Err(Taken { existing: &self.routes[end.route].value, value });
        }
        ends.push(End { method, route: self.routes.len() });
        self.routes.push(Route { value, shape: Shape::of(template) });
        Ok(())
    }

    /// The router of all routes added.
    pub fn build(mut self) -> Router<T> {
        let trie = self.trie.build();
        let ends = (0..trie.len()).map(|node| self.ends.remove(&node).unwrap_or_default());
        Router { ends: ends.collect(), trie, plain: self.plain, verbs: self.verbs, routes: self.routes }
    }
}

/// All routes, ready to be looked up.
pub struct Router<T> {
    trie: Trie,
    plain: NodeId,
    /// The roots of the templates with a verb, by verb.
    verbs: FxHashMap<Box<[u8]>, NodeId>,
    /// By node, the routes of the templates that end there.
    ends: Vec<Vec<End>>,
    routes: Vec<Route<T>>,
}

impl<T> fmt::Debug for Router<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Router").field("routes", &self.routes.len()).finish_non_exhaustive()
    }
}

/// What the router knows about a method and a path.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'r, T> {
    /// The route that stands for them.
    Found(Match<'r, T>),
    /// The path has routes, but none for this method: the methods it has some for.
    WrongMethod(Methods),
    /// The path has no route.
    Missing,
}

/// A route, and where its template's variables are in the path.
#[derive(Debug, PartialEq, Eq)]
pub struct Match<'r, T> {
    /// What was added with the route.
    pub value: &'r T,
    /// Where the variables are.
    pub captures: Captures,
}

/// Where the variables of the matched template are in the path, in the order of
/// [`Template::variables`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Captures(SmallVec<[(u32, u32); 8]>);

impl Captures {
    /// How many variables the template has.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of the path that are the variable's. Empty if its `**` matched nothing.
    pub fn get(&self, variable: usize) -> Option<Range<usize>> {
        self.0.get(variable).map(|&(start, end)| start as usize..end as usize)
    }

    /// The variable's part of the path that was looked up, still percent-encoded.
    pub fn text<'p>(&self, variable: usize, path: &'p str) -> Option<&'p str> {
        path.get(self.get(variable)?)
    }
}

impl<T> Router<T> {
    /// Finds the route for a method and the raw path of a request, without its query.
    pub fn lookup(&self, method: &Method, path: &str) -> Lookup<'_, T> {
        let mut refused = SmallVec::new();
        let found = self
            .with_verb(method, path, &mut refused)
            .or_else(|| self.under(self.plain, method, path, &mut refused));
        match found {
            Some(found) => Lookup::Found(found),
            None if refused.is_empty() => Lookup::Missing,
            None => Lookup::WrongMethod(self.methods(&refused)),
        }
    }

    fn with_verb(&self, method: &Method, path: &str, refused: &mut Refused) -> Option<Match<'_, T>> {
        if self.verbs.is_empty() {
            return None;
        }
        let (path, verb) = split_verb(path)?;
        let root = *self.verbs.get(decode_key(verb.as_bytes(), &mut Decoded::new())?)?;
        self.under(root, method, path, refused)
    }

    /// The most specific route under a root; notes where the path fits but the method does not.
    fn under(
        &self,
        root: NodeId,
        method: &Method,
        path: &str,
        refused: &mut Refused,
    ) -> Option<Match<'_, T>> {
        let segments = Segments::split(path)?;
        let route = self.trie.search(root, &segments, |node| {
            let ends = &self.ends[node.index()];
            let end = serving(ends, method);
            if end.is_none() && !ends.is_empty() {
                refused.push(node);
            }
            end.map(|end| &self.routes[end.route])
        })?;
        Some(Match { value: &route.value, captures: route.shape.captures(&segments) })
    }

    /// The methods of these nodes.
    fn methods(&self, nodes: &[NodeId]) -> Methods {
        let ends = nodes.iter().flat_map(|node| &self.ends[node.index()]);
        ends.filter_map(|end| match &end.method {
            HttpMethod::Exact(method) => Some(method.clone()),
            // It serves every method, so its node refused none.
            HttpMethod::Any => None,
        })
        .collect()
    }
}

/// The nodes at which a path ended that have no route for the method.
type Refused = SmallVec<[NodeId; 4]>;

/// The route of one template that serves a method.
fn serving<'a>(ends: &'a [End], method: &Method) -> Option<&'a End> {
    let exact = |wanted: &Method| {
        ends.iter().find(|end| matches!(&end.method, HttpMethod::Exact(of) if of == wanted))
    };
    exact(method)
        .or_else(|| if *method == Method::HEAD { exact(&Method::GET) } else { None })
        .or_else(|| ends.iter().find(|end| end.method == HttpMethod::Any))
}

impl Shape {
    fn of(template: &Template) -> Shape {
        let segments = template.segments();
        Shape {
            segments: segments.len(),
            rest: segments.iter().position(|segment| *segment == Segment::Rest),
            variables: template.variables().iter().map(|of| of.segments.clone()).collect(),
        }
    }

    /// Where the variables are in a path that the template matched: what stands behind the `**`
    /// is moved by what the `**` took beyond one segment.
    fn captures(&self, path: &Segments<'_>) -> Captures {
        let moved = |index: usize| match self.rest {
            Some(rest) if index > rest => (index + path.len()).saturating_sub(self.segments),
            _ => index,
        };
        let range = |covered: &Range<usize>| {
            let bytes = path.bytes(moved(covered.start)..moved(covered.end));
            // A path that was split is shorter than 2^32 bytes.
            (bytes.start as u32, bytes.end as u32)
        };
        Captures(self.variables.iter().map(range).collect())
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod oracle;
