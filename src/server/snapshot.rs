//! All that was compiled from descriptors and rules: immutable, and replaced as a whole.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use rustc_hash::FxHashMap;
use tokio::sync::watch;

use super::authorization::{self, Asks};
use super::limiting::{Compiled, Limiting};
use super::own::OwnMethods;
use super::retrying;
use super::settings::shown;
use super::sources::load_schema;
use super::unknown::UnknownMethods;
use crate::codec::{Plan, PlanSet};
use crate::config::Settings;
use crate::introspection::{Exposed, Exposes, Own};
use crate::policy::{Method, Rule, Target};
use crate::problem::{Problem, Problems};
use crate::route::{HttpMethod, Router, RouterBuilder, Segment, Selector};
use crate::schema::{self, Idempotency, Index, Schema};
use crate::telemetry::Metrics;
use crate::transcode::Binding;
use crate::upstream::Clusters;

/// How long a unary call may take where no rule says so.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

/// What a path and a method lead to.
pub(super) struct Route {
    pub method: Arc<Method>,
    pub binding: Arc<Binding>,
}

/// What requests are judged by. A request loads it once.
pub struct Snapshot {
    generation: u64,
    router: Router<Route>,
    /// By `/package.Service/Method`. Only what is in the schema is a key, so a fast hash is safe.
    rpcs: FxHashMap<Box<str>, Arc<Method>>,
    /// What its methods share, and calls that outlive it.
    plans: Arc<PlanSet>,
    own: OwnMethods,
    unknown: UnknownMethods,
    exposed: Arc<Exposed>,
    bindings: usize,
    example: Option<String>,
}

impl Snapshot {
    /// Counts up with every snapshot of a process, from 1.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// How many RPCs there are.
    #[must_use]
    pub fn methods(&self) -> usize {
        self.rpcs.len()
    }

    /// How many HTTP bindings there are.
    #[must_use]
    pub fn bindings(&self) -> usize {
        self.bindings
    }

    /// A path that a GET reaches, for a first try; variables are filled with `1`.
    #[must_use]
    pub fn example(&self) -> Option<&str> {
        self.example.as_deref()
    }

    /// As a listener that shows these of the gateway's own services has it.
    pub(super) fn shown(&self, exposes: Exposes) -> Shown<'_> {
        Shown { snapshot: self, exposes }
    }

    /// An RPC of the schema, by `/package.Service/Method`.
    #[cfg(test)]
    pub(crate) fn rpc(&self, path: &str) -> Option<&Arc<Method>> {
        self.rpcs.get(path)
    }

    /// What clients may know of it.
    pub(super) fn exposed(&self) -> &Arc<Exposed> {
        &self.exposed
    }

    pub(super) fn plans(&self) -> &Arc<PlanSet> {
        &self.plans
    }
}

/// A snapshot, as one listener has it.
pub(super) struct Shown<'s> {
    snapshot: &'s Snapshot,
    exposes: Exposes,
}

impl Shown<'_> {
    pub(super) fn router(&self) -> &Router<Route> {
        &self.snapshot.router
    }

    /// The RPC with exactly this path. The gateway's own ones come before those of the schema.
    pub(super) fn rpc(&self, path: &str) -> Option<&Arc<Method>> {
        self.snapshot.own.find(path, self.exposes).or_else(|| self.snapshot.rpcs.get(path))
    }

    /// What passes without the schema: [`Shown::rpc`] comes first.
    pub(super) fn unknown(&self) -> &UnknownMethods {
        &self.snapshot.unknown
    }
}

/// Loads the schema and compiles it with the rules, as serving would. Warnings come beside the snapshot.
///
/// # Errors
/// Every problem in schema, HTTP rules, upstreams and rules.
pub fn compile(settings: &Settings) -> Result<(Snapshot, Problems), Problems> {
    let (schema, mut warnings) = load_schema(&settings.schema, &settings.upstreams)?;
    let (snapshot, more) = compile_schema(&schema, settings)?;
    warnings.extend(more);
    Ok((snapshot, warnings))
}

/// Compiles a schema that is loaded with the rules, as serving would. Warnings come beside the snapshot.
///
/// # Errors
/// Every problem in upstreams and rules.
pub fn compile_schema(schema: &Schema, settings: &Settings) -> Result<(Snapshot, Problems), Problems> {
    let metrics = Arc::new(Metrics::default());
    let clusters = Clusters::new(&settings.upstreams, 1, &metrics)?;
    let own = Own::new(shown(&settings.listeners), &clusters, 1, watch::channel(false).1);
    let limiting = Limiting::new(settings, &metrics);
    build(schema, &settings.rules, &clusters, &own, &metrics, &limiting, 1)
}

/// Compiles a loaded schema with the rules.
pub(super) fn build(
    schema: &Schema,
    rules: &[Rule],
    clusters: &Clusters,
    own: &Own,
    metrics: &Metrics,
    limiting: &Limiting,
    generation: u64,
) -> Result<(Snapshot, Problems), Problems> {
    let mut problems = Problems::new();
    if schema.unknown.is_none() {
        report_idle_rules(schema, own, rules, &mut problems);
    }
    report_own_upstreams(own, rules, &mut problems);
    let told: Vec<&schema::Method> = schema.methods.iter().chain(own.methods()).collect();
    limiting.report_inert(&told, rules, &mut problems);
    retrying::report_inert(schema, rules, &mut problems);
    if schema.unknown.is_none() {
        report_unstreamed(&told, rules, &mut problems);
    }
    let plans = PlanSet::compile_with(&schema.pool, &schema.features);
    authorization::report(schema, &plans, own, rules, &mut problems);
    let sorted = Rules::new(rules);
    let compiler = Compiler { rules: &sorted, metrics, limiting };
    let methods = compile_methods(schema, &compiler, clusters, &plans, &mut problems);
    let own_methods = OwnMethods::compile(own, &compiler, &mut problems);
    let mut router = RouterBuilder::new();
    let mut bindings = 0;
    for binding in &schema.bindings {
        let Some(Some(method)) = methods.get(binding.method) else { continue };
        let Some(compiled) =
            Binding::compile(binding, &method.input, &method.output, schema.fully_decode_reserved_expansion)
        else {
            let what = format!(
                "the HTTP rule `{}` of `{}` does not fit its messages",
                binding.template,
                method.name()
            );
            problems.push(Problem::error(what));
            continue;
        };
        bindings += 1;
        let route = Route { method: Arc::clone(method), binding: Arc::new(compiled) };
        if let Err(taken) = router.add(binding.http_method.clone(), &binding.template, route) {
            let what = format!(
                "`{}` and `{}` are both bound to `{}`",
                taken.existing.method.name(),
                method.name(),
                binding.template
            );
            problems.push(Problem::error(what));
        }
    }
    let unknown = UnknownMethods::compile(schema, &compiler, rules, clusters, &plans, &mut problems);
    if schema.unknown.is_some() && !unknown.are_passed() {
        problems.push(
            Problem::warning("no rule says which upstream gets the methods that the schema does not have")
                .help("add `\"*\": { upstream: … }` to `rules`, or leave out `schema.unknown_methods`"),
        );
    }
    let index = if own.shown().reflection { Index::of_schema(schema) } else { Index::default() };
    let served = schema.methods.iter().zip(&methods);
    let served = served.filter_map(|(told, method)| Some((told.service(), method.as_ref()?.upstream.all())));
    problems.into_result(Snapshot {
        exposed: Arc::new(Exposed::new(index, served)),
        own: own_methods,
        unknown,
        generation,
        router: router.build(),
        rpcs: methods.into_iter().flatten().map(|method| (method.path.as_str().into(), method)).collect(),
        plans,
        bindings,
        example: example(schema),
    })
}

fn example(schema: &Schema) -> Option<String> {
    let gets = schema.bindings.iter().filter(|binding| {
        let unary = schema
            .methods
            .get(binding.method)
            .is_some_and(|method| !method.client_streaming && !method.server_streaming);
        unary && binding.http_method == HttpMethod::Exact(http::Method::GET)
    });
    let shortest = gets.min_by_key(|binding| binding.template.segments().len())?;
    let mut path: String = shortest
        .template
        .segments()
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Single | Segment::Rest => "/1".to_owned(),
        })
        .collect();
    if let Some(verb) = shortest.template.verb() {
        path.push(':');
        path.push_str(verb);
    }
    Some(path)
}

/// One [`Method`] for each of the schema, in its order; none where there is a problem with it.
fn compile_methods(
    schema: &Schema,
    compiler: &Compiler<'_>,
    clusters: &Clusters,
    plans: &Arc<PlanSet>,
    problems: &mut Problems,
) -> Vec<Option<Arc<Method>>> {
    let rules = compiler.rules;
    let mut homeless: BTreeMap<&str, usize> = BTreeMap::new();
    let mut contested: BTreeMap<&str, &[Arc<str>]> = BTreeMap::new();
    let methods = schema
        .methods
        .iter()
        .map(|method| {
            let (service, name) = (method.service(), method.name());
            let rule = rules.most_specific(service, name, |rule| rule.upstream.as_ref());
            let upstream = match (rule, &*method.upstreams) {
                (Some(upstream), _) => Target::compile(upstream, clusters),
                (None, []) => clusters.only().cloned().map(Target::One),
                (None, [only]) => clusters.get(only).cloned().map(Target::One),
                (None, several) => {
                    contested.insert(service, several);
                    return None;
                }
            };
            let Some(upstream) = upstream else {
                *homeless.entry(service).or_default() += 1;
                return None;
            };
            let compiled = compiler.method(method, plans, &upstream, problems);
            // What rules are about and isn't there is reported already.
            if compiled.is_none() && problems.errors() == 0 {
                problems.push(Problem::error(format!(
                    "`{service}/{name}` can't be compiled: its messages are missing"
                )));
            }
            compiled
        })
        .collect();
    for (service, count) in homeless {
        let methods = if count == 1 { "method".to_owned() } else { format!("{count} methods") };
        problems.push(
            Problem::error(format!("no rule says which upstream serves the {methods} of `{service}`"))
                .help(format!("add `\"{service}/*\": {{ upstream: … }}` to `rules`, or choose services with `schema.services`")),
        );
    }
    for (service, upstreams) in contested {
        let names: Vec<String> = upstreams.iter().map(|name| format!("`{name}`")).collect();
        problems.push(
            Problem::error(format!("the upstreams {} all serve `{service}`, and no rule says which one is called", names.join(", ")))
                .help(format!("add `\"{service}/*\": {{ upstream: … }}` to `rules`, or choose services with `schema.services`")),
        );
    }
    methods
}

/// What methods are compiled with.
pub(super) struct Compiler<'c> {
    pub rules: &'c Rules<'c>,
    pub metrics: &'c Metrics,
    pub limiting: &'c Limiting,
}

/// What rules are about: a method by its name, or those that a selector matches and the schema does not have.
#[derive(Clone, Copy)]
pub(super) struct Subject<'m> {
    pub service: &'m str,
    pub name: &'m str,
    pub client_streaming: bool,
    /// As counters and problems name it.
    pub shown: &'m str,
}

impl<'m> From<&'m schema::Method> for Subject<'m> {
    fn from(method: &'m schema::Method) -> Self {
        Self {
            service: method.service(),
            name: method.name(),
            client_streaming: method.client_streaming,
            shown: method.path.trim_start_matches('/'),
        }
    }
}

/// What is known of a method besides the rules.
struct Shape {
    path: PathAndQuery,
    is_known: bool,
    input: Plan,
    output: Plan,
    server_streaming: bool,
    idempotency: Idempotency,
    /// Where no rule says how long its calls may take.
    timeout: Option<Duration>,
}

impl Compiler<'_> {
    /// A method with all that the rules say of it; none where its messages are missing, or don't have what rules are
    /// about.
    pub(super) fn method(
        &self,
        method: &schema::Method,
        plans: &Arc<PlanSet>,
        upstream: &Target,
        problems: &mut Problems,
    ) -> Option<Arc<Method>> {
        let shape = Shape {
            path: PathAndQuery::try_from(method.path.as_str()).ok()?,
            is_known: true,
            input: plans.message(method.input().full_name())?,
            output: plans.message(method.output().full_name())?,
            server_streaming: method.server_streaming,
            idempotency: method.idempotency(),
            timeout: Some(DEFAULT_TIMEOUT),
        };
        self.compile(method.into(), shape, upstream, problems)
    }

    /// Methods that the schema does not have, all of one selector; none where rules ask for what only a schema tells.
    pub(super) fn unknown(
        &self,
        subject: Subject<'_>,
        plans: &Arc<PlanSet>,
        upstream: &Target,
        problems: &mut Problems,
    ) -> Option<Arc<Method>> {
        // Nobody can look into its messages, so it is refused where a rule has to, whatever wider ones say.
        let fields = self.rules.most_specific(subject.service, subject.name, |rule| rule.fields.as_ref());
        if fields.is_some_and(|fields| !fields.is_empty()) {
            return None;
        }
        // Nothing is read by it. Every schema has the built-in files.
        let plan = plans.message("google.protobuf.Any")?;
        let shape = Shape {
            path: PathAndQuery::from_static("/"),
            is_known: false,
            input: plan.clone(),
            output: plan,
            server_streaming: true,
            idempotency: Idempotency::Unknown,
            timeout: None,
        };
        self.compile(subject, shape, upstream, problems)
    }

    fn compile(
        &self,
        subject: Subject<'_>,
        shape: Shape,
        upstream: &Target,
        problems: &mut Problems,
    ) -> Option<Arc<Method>> {
        let rules = self.rules;
        let Subject { service, name, client_streaming, shown } = subject;
        let Shape { path, is_known, input, output, server_streaming, idempotency, timeout } = shape;
        let Asks { auth, authorization, fields } = Asks::of(subject, &input, rules).ok()?;
        let Compiled { limits, concurrency } = self.limiting.compile(subject, &input, rules, problems);
        Some(Arc::new(Method {
            path,
            is_known,
            input,
            output,
            client_streaming,
            server_streaming,
            idempotency,
            upstream: upstream.clone(),
            addresses: rules.most_specific(service, name, |rule| rule.addresses.clone()).flatten(),
            cors: rules.most_specific(service, name, |rule| rule.cors.clone()),
            auth,
            authorization,
            fields,
            timeout: rules.most_specific(service, name, |rule| rule.timeout).or(timeout),
            idle_timeout: rules
                .most_specific(service, name, |rule| rule.idle_timeout)
                .filter(|longest| *longest != Rule::NO_TIMEOUT),
            max_body: rules.most_specific(service, name, |rule| rule.max_body),
            max_reply: rules.most_specific(service, name, |rule| rule.max_reply),
            limits,
            concurrency,
            retries: retrying::compile(subject, idempotency, rules),
            stats: self.metrics.call(shown),
        }))
    }
}

/// Rules, the most specific first.
pub(super) struct Rules<'r>(Vec<&'r Rule>);

impl<'r> Rules<'r> {
    pub(super) fn new(rules: &'r [Rule]) -> Self {
        let mut sorted: Vec<&Rule> = rules.iter().collect();
        sorted.sort_by_key(|rule| std::cmp::Reverse(rule.selector.specificity()));
        Self(sorted)
    }

    /// The value of one key: that of the most specific rule that has it.
    pub(super) fn most_specific<T>(
        &self,
        service: &str,
        method: &str,
        key: impl Fn(&'r Rule) -> Option<T>,
    ) -> Option<T> {
        self.deciding(service, method, key).map(|(_, value)| value)
    }

    /// [`Rules::most_specific`], with the rule that it is of.
    pub(super) fn deciding<T>(
        &self,
        service: &str,
        method: &str,
        key: impl Fn(&'r Rule) -> Option<T>,
    ) -> Option<(&'r Rule, T)> {
        let mut matching = self.0.iter().filter(|rule| rule.selector.matches(service, method));
        matching.find_map(|rule| Some((*rule, key(rule)?)))
    }
}

/// Rules that give an upstream to what the gateway answers itself.
fn report_own_upstreams(own: &Own, rules: &[Rule], problems: &mut Problems) {
    let names_own = |selector: &Selector| match selector {
        Selector::All | Selector::Package(_) => false,
        Selector::Service(_) | Selector::Method { .. } => {
            own.methods().iter().any(|method| selector.matches(method.service(), method.name()))
        }
    };
    for rule in rules.iter().filter(|rule| rule.upstream.is_some() && names_own(&rule.selector)) {
        let what =
            format!("the rule `{}` has an upstream, but the gateway answers this itself", rule.selector);
        let mut problem = Problem::warning(what)
            .help("listeners with `health: off` or `reflection: off` pass the service to its upstream");
        problem.excerpts.extend(rule.excerpt.clone());
        problems.push(problem);
    }
}

/// Rules that say how long streams may be silent, of methods that are all unary.
fn report_unstreamed(methods: &[&schema::Method], rules: &[Rule], problems: &mut Problems) {
    let sorted = Rules::new(rules);
    for rule in rules.iter().filter(|rule| rule.idle_timeout.is_some()) {
        let decided = |method: &&&schema::Method| {
            let of = |rule: &Rule| rule.idle_timeout;
            let found = sorted.deciding(method.service(), method.name(), of);
            found.is_some_and(|(by, _)| std::ptr::eq(by, rule))
        };
        let mut decided = methods.iter().filter(decided).peekable();
        if decided.peek().is_none() || decided.any(|one| one.client_streaming || one.server_streaming) {
            continue;
        }
        let what =
            format!("`idle_timeout` of the rule `{}` does nothing: its methods are unary", rule.selector);
        let mut problem =
            Problem::error(what).help("write `timeout`, which holds unary calls, or leave it out");
        problem.excerpts.extend(rule.excerpt.clone());
        problems.push(problem);
    }
}

fn report_idle_rules(schema: &Schema, own: &Own, rules: &[Rule], problems: &mut Problems) {
    for rule in rules {
        let matches = |method: &schema::Method| rule.selector.matches(method.service(), method.name());
        if !schema.methods.iter().chain(own.methods()).any(matches) {
            let mut problem = Problem::warning(format!("the rule `{}` matches no method", rule.selector))
                .help("`transom routes` prints the methods that there are");
            problem.excerpts.extend(rule.excerpt.clone());
            problems.push(problem);
        }
    }
}
