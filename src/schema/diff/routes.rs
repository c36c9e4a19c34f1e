//! HTTP bindings: what each old route leads to now.
//!
//! Templates are not compared with each other as texts. Paths that an old template matches are looked up in the router
//! of the new schema, and paths that a new template matches in that of the old one: what answers is what clients meet.

use http::Method as HttpVerb;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use prost_reflect::FieldDescriptor;
use rustc_hash::{FxHashMap, FxHashSet};

use super::finding::{Change, Finding, Impact};
use super::messages::Pair;
use super::methods::{messages_of, shown};
use crate::route::{HttpMethod, Lookup, Router, RouterBuilder, Segment, Template};
use crate::schema::{Binding, BodyRule, Method, Schema};

/// Compares what requests by HTTP reach. Messages that meet where routes lead to other methods are added to `pairs`.
pub(super) fn compare(old: &Schema, new: &Schema, pairs: &mut Vec<Pair>, findings: &mut Vec<Finding>) {
    let comparison = Comparison { old: Side::of(old), new: Side::of(new), wildcard: wildcard(old, new) };
    for binding in &old.bindings {
        if let Some(method) = comparison.old.method(binding) {
            comparison.fate(binding, method, pairs, findings);
        }
    }
    for binding in &new.bindings {
        if let Some(method) = comparison.new.method(binding) {
            comparison.shadows(binding, method, findings);
        }
    }
}

/// A schema with its routes.
struct Side<'s> {
    schema: &'s Schema,
    /// Of indices of bindings.
    router: Router<usize>,
    by_shape: FxHashMap<Shape<'s>, usize>,
    paths: FxHashSet<&'s str>,
}

/// Two templates of one shape match the same paths.
type Shape<'s> = (&'s HttpMethod, &'s [Segment], Option<&'s str>);

fn shape(binding: &Binding) -> Shape<'_> {
    (&binding.http_method, binding.template.segments(), binding.template.verb())
}

impl<'s> Side<'s> {
    fn of(schema: &'s Schema) -> Self {
        let mut router = RouterBuilder::new();
        let mut by_shape = FxHashMap::default();
        for (at, binding) in schema.bindings.iter().enumerate() {
            // Where two have one route, loading has decided for the first.
            if router.add(binding.http_method.clone(), &binding.template, at).is_ok() {
                by_shape.insert(shape(binding), at);
            }
        }
        let paths = schema.methods.iter().map(|method| method.path.as_str()).collect();
        Self { schema, router: router.build(), by_shape, paths }
    }

    fn method(&self, binding: &Binding) -> Option<&'s Method> {
        self.schema.methods.get(binding.method)
    }

    fn at(&self, index: usize) -> Option<(&'s Binding, &'s Method)> {
        let binding = self.schema.bindings.get(index)?;
        Some((binding, self.method(binding)?))
    }
}

struct Comparison<'s> {
    old: Side<'s>,
    new: Side<'s>,
    /// A segment that no template names.
    wildcard: String,
}

/// What a request that had a route meets now.
enum Met<'s> {
    Route(&'s Binding, &'s Method),
    WrongMethod,
    Nothing,
}

impl<'s> Comparison<'s> {
    /// What became of an old route.
    fn fate(&self, was: &'s Binding, method: &Method, pairs: &mut Vec<Pair>, findings: &mut Vec<Finding>) {
        let route = route(was);
        let same = self.new.by_shape.get(&shape(was)).and_then(|&at| self.new.at(at));
        let met = match same {
            Some((is, now)) => Met::Route(is, now),
            None => self.worst(was),
        };
        let finding = |change, impact, what: String| finding(&route, method, change, impact, &what);
        let gone = !self.new.paths.contains(method.path.as_str());
        match met {
            // The method itself is reported.
            Met::Nothing | Met::WrongMethod if gone => {}
            Met::Nothing => findings.push(
                finding(Change::RouteRemoved, Impact::Breaking, "is gone".to_owned())
                    .rest("requests are answered with 404")
                    .help("keep it as one of the method's `additional_bindings`"),
            ),
            Met::WrongMethod => findings.push(
                finding(
                    Change::RouteRemoved,
                    Impact::Breaking,
                    "is gone; its path has other HTTP methods".to_owned(),
                )
                .rest("requests are answered with 405")
                .help("keep it as one of the method's `additional_bindings`"),
            ),
            Met::Route(is, now) if now.path != method.path => {
                let same_types = now.input().full_name() == method.input().full_name()
                    && now.output().full_name() == method.output().full_name();
                let impact = if same_types && gone { Impact::Dangerous } else { Impact::Breaking };
                findings.push(
                    finding(
                        Change::RouteRetargeted,
                        impact,
                        format!("leads to `{}` now, by `{}`", shown(now), self::route(is)),
                    )
                    .rest("requests call another method, under that method's rules")
                    .help("give the other method a path of its own"),
                );
                pairs.extend(messages_of(method, now));
            }
            Met::Route(is, now) => {
                if same.is_none() {
                    findings.push(
                        finding(
                            Change::RouteReplaced,
                            Impact::Notice,
                            format!("is served by `{}` now", self::route(is)),
                        )
                        .rest("requests reach the same method"),
                    );
                }
                self.details(was, is, now, findings);
            }
        }
    }

    /// The worst that any request of an old route meets.
    fn worst(&self, was: &Binding) -> Met<'s> {
        let mut kept = None;
        for (verb, path) in self.samples(was) {
            match self.new.router.lookup(&verb, &path) {
                Lookup::Missing => return Met::Nothing,
                Lookup::WrongMethod(_) => return Met::WrongMethod,
                Lookup::Found(found) => {
                    let Some((is, now)) = self.new.at(*found.value) else { continue };
                    let is_other = self.old.method(was).is_some_and(|old| old.path != now.path);
                    if is_other {
                        return Met::Route(is, now);
                    }
                    kept.get_or_insert((is, now));
                }
            }
        }
        kept.map_or(Met::Nothing, |(is, now)| Met::Route(is, now))
    }

    /// Whether a new route takes requests from an old one that is still there.
    fn shadows(&self, is: &Binding, now: &Method, findings: &mut Vec<Finding>) {
        if self.old.by_shape.contains_key(&shape(is)) {
            return;
        }
        let mut told: FxHashSet<usize> = FxHashSet::default();
        for (verb, path) in self.samples(is) {
            let Lookup::Found(found) = self.old.router.lookup(&verb, &path) else { continue };
            let Some((was, before)) = self.old.at(*found.value) else { continue };
            // One that is gone is reported as such.
            let stays = self.new.by_shape.contains_key(&shape(was));
            if !stays || before.path == now.path && same_message(was, is) || !told.insert(*found.value) {
                continue;
            }
            let (old_route, new_route) = (route(was), route(is));
            findings.push(
                Finding::new(
                    Change::RouteShadowed,
                    Impact::Dangerous,
                    &*old_route,
                    format!(
                        "the route `{old_route}` of `{}` loses paths to `{new_route}` of `{}`",
                        shown(before),
                        shown(now)
                    ),
                )
                .file(now.descriptor.parent_service().parent_file().name())
                .rest("requests with such a path call the other method, or are read in another way")
                .help("give the new route a path that no old one matches"),
            );
        }
    }

    /// Compares how requests of one method by one path are read, and how it is answered.
    fn details(&self, was: &Binding, is: &Binding, method: &Method, findings: &mut Vec<Finding>) {
        let route = route(was);
        let finding = |change, impact, what: String| finding(&route, method, change, impact, &what);
        if !same_body(&was.body, &is.body) {
            let (had, has) = (body(&was.body), body(&is.body));
            findings.push(
                finding(
                    Change::BindingBodyChanged,
                    Impact::Breaking,
                    format!("takes {has} as its body and no longer {had}"),
                )
                .rest(body_effect(&is.body))
                .help("keep the body, and add an additional binding with another path"),
            );
        }
        let number = |field: &Option<FieldDescriptor>| field.as_ref().map(FieldDescriptor::number);
        if number(&was.response_body) != number(&is.response_body) {
            let whole = |field: &Option<FieldDescriptor>| {
                field
                    .as_ref()
                    .map_or("the whole reply".to_owned(), |field| format!("the field `{}`", field.name()))
            };
            let what = format!(
                "is answered with {} and no longer with {}",
                whole(&is.response_body),
                whole(&was.response_body)
            );
            findings.push(
                finding(Change::BindingResponseBodyChanged, Impact::Breaking, what)
                    .rest("answers have another form")
                    .help("keep the `response_body`"),
            );
        }
        if variables(was) != variables(is) {
            let listed = |binding: &Binding| {
                let names = binding
                    .template
                    .variables()
                    .iter()
                    .map(|variable| format!("`{}`", variable.path.join(".")));
                let names: Vec<String> = names.collect();
                if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
            };
            findings.push(
                finding(
                    Change::BindingVariablesChanged,
                    Impact::Dangerous,
                    format!("sets {} by its path and no longer {}", listed(is), listed(was)),
                )
                .rest("requests of the same path say something else; fields that the path set may be set by the query"),
            );
        }
    }

    /// Requests that reach a binding's template.
    fn samples(&self, binding: &Binding) -> Vec<(HttpVerb, String)> {
        let verbs = match &binding.http_method {
            HttpMethod::Exact(verb) => vec![verb.clone()],
            HttpMethod::Any => {
                vec![HttpVerb::GET, HttpVerb::POST, HttpVerb::PUT, HttpVerb::PATCH, HttpVerb::DELETE]
            }
        };
        let paths = self.paths(&binding.template);
        verbs.iter().flat_map(|verb| paths.iter().map(|path| (verb.clone(), path.clone()))).collect()
    }

    /// A `**` stands for two segments, for one and for none.
    fn paths(&self, template: &Template) -> Vec<String> {
        let has_rest = template.segments().contains(&Segment::Rest);
        let lengths = if has_rest { vec![2, 1, 0] } else { vec![0] };
        lengths
            .into_iter()
            .map(|rest| {
                let mut path = String::new();
                for segment in template.segments() {
                    let times = if *segment == Segment::Rest { rest } else { 1 };
                    for _ in 0..times {
                        path.push('/');
                        match segment {
                            Segment::Literal(text) => path.extend(utf8_percent_encode(text, SEGMENT)),
                            Segment::Single | Segment::Rest => path.push_str(&self.wildcard),
                        }
                    }
                }
                if path.is_empty() {
                    path.push('/');
                }
                if let Some(verb) = template.verb() {
                    path.push(':');
                    path.extend(utf8_percent_encode(verb, SEGMENT));
                }
                path
            })
            .collect()
    }
}

/// All but unreserved characters (RFC 3986, section 2.3).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A segment that no template of either schema has as a literal.
fn wildcard(old: &Schema, new: &Schema) -> String {
    let bindings = old.bindings.iter().chain(&new.bindings);
    let literals: FxHashSet<&str> = bindings
        .flat_map(|binding| binding.template.segments())
        .filter_map(|segment| match segment {
            Segment::Literal(text) => Some(text.as_str()),
            Segment::Single | Segment::Rest => None,
        })
        .collect();
    let mut wildcard = "any".to_owned();
    while literals.contains(wildcard.as_str()) {
        wildcard.push('~');
    }
    wildcard
}

/// As in `GET /v1/{name=shelves/*}`.
fn route(binding: &Binding) -> String {
    format!("{} {}", binding.http_method, binding.template)
}

/// Fields by number: what they are called is another matter.
fn variables(binding: &Binding) -> Vec<Vec<u32>> {
    binding.variables.iter().map(|path| path.iter().map(FieldDescriptor::number).collect()).collect()
}

fn same_body(was: &BodyRule, is: &BodyRule) -> bool {
    match (was, is) {
        (BodyRule::None, BodyRule::None) | (BodyRule::Whole, BodyRule::Whole) => true,
        (BodyRule::Field(was), BodyRule::Field(is)) => was.number() == is.number(),
        (BodyRule::None | BodyRule::Whole | BodyRule::Field(_), _) => false,
    }
}

/// Whether both read a request into the same message and answer in the same form.
fn same_message(was: &Binding, is: &Binding) -> bool {
    let response = |binding: &Binding| binding.response_body.as_ref().map(FieldDescriptor::number);
    same_body(&was.body, &is.body) && variables(was) == variables(is) && response(was) == response(is)
}

fn body(rule: &BodyRule) -> String {
    match rule {
        BodyRule::None => "nothing".to_owned(),
        BodyRule::Whole => "the whole request".to_owned(),
        BodyRule::Field(field) => format!("the field `{}`", field.name()),
    }
}

fn body_effect(now: &BodyRule) -> &'static str {
    match now {
        BodyRule::None => "bodies are no longer read; all but the path comes from the query",
        BodyRule::Whole => "query parameters are refused; all but the path comes from the body",
        BodyRule::Field(_) => "bodies are read as one field; all else comes from path and query",
    }
}

/// What is found about a route of a method: `what` goes on from their names.
fn finding(route: &str, method: &Method, change: Change, impact: Impact, what: &str) -> Finding {
    Finding::new(change, impact, route, format!("the route `{route}` of `{}` {what}", shown(method)))
        .file(method.descriptor.parent_service().parent_file().name())
}
