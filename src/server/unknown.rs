//! Methods that the schema does not have, where they are passed by choice: resolved by their name alone, with the rules that
//! match it. What they take and give is between client and backend.
//!
//! Strangers choose these names, so nothing is kept by them: what one of the rules' selectors says is compiled once, and
//! counted under that selector.

use std::sync::Arc;

use http::uri::PathAndQuery;
use rustc_hash::{FxHashMap, FxHashSet};

use super::snapshot::{Compiler, Subject};
use crate::codec::PlanSet;
use crate::policy::{Method, Rule, Target};
use crate::problem::Problems;
use crate::route::{Selector, is_identifier};
use crate::schema::Schema;
use crate::upstream::Clusters;

/// None at a place that is refused.
type Places = FxHashMap<Box<str>, Option<Arc<Method>>>;

/// What there is of unknown methods, by the most specific selector that matches them.
#[derive(Default)]
pub(super) struct UnknownMethods {
    /// By `package.Service/Method`. Only what an operator wrote is a key of these maps, so a fast hash is safe.
    methods: Places,
    services: Places,
    packages: Places,
    all: Option<Arc<Method>>,
    /// Those that are served; all where there are none.
    served: Vec<Selector>,
}

impl UnknownMethods {
    /// None of them where the schema's settings don't pass them. Those that no rule gives an upstream go to the only one, or
    /// are refused where there are several.
    pub(super) fn compile(
        schema: &Schema,
        compiler: &Compiler<'_>,
        rules: &[Rule],
        clusters: &Clusters,
        plans: &Arc<PlanSet>,
        problems: &mut Problems,
    ) -> Self {
        let Some(served) = &schema.unknown else { return Self::default() };
        let mut unknown = Self { served: served.clone(), ..Self::default() };
        let known: FxHashSet<&str> =
            schema.methods.iter().map(|method| method.path.trim_start_matches('/')).collect();
        for selector in rules.iter().map(|rule| &rule.selector).chain([&Selector::All]) {
            // Names that no other method has, and that match what all methods of the selector match.
            let (service, name) = match selector {
                Selector::All => (String::new(), ""),
                Selector::Package(package) => (format!("{package}."), ""),
                Selector::Service(service) => (service.clone(), ""),
                Selector::Method { service, method } => (service.clone(), &**method),
            };
            if matches!(selector, Selector::Method { .. }) && known.contains(&*selector.to_string()) {
                continue;
            }
            let shown = selector.to_string();
            let subject = Subject { service: &service, name, client_streaming: true, shown: &shown };
            let upstream = compiler.rules.most_specific(&service, name, |rule| rule.upstream.as_ref());
            let upstream = match upstream {
                Some(upstream) => Target::compile(upstream, clusters),
                None => clusters.only().cloned().map(Target::One),
            };
            // One that is refused has its place, too: a wider rule must not let in what a narrower one doesn't.
            let method = upstream.and_then(|upstream| compiler.unknown(subject, plans, &upstream, problems));
            match selector {
                Selector::All => unknown.all = method,
                Selector::Package(package) => drop(unknown.packages.insert(package.as_str().into(), method)),
                Selector::Service(service) => drop(unknown.services.insert(service.as_str().into(), method)),
                Selector::Method { .. } => {
                    drop(unknown.methods.insert(selector.to_string().into(), method));
                }
            }
        }
        unknown
    }

    /// Whether there are any.
    pub(super) fn are_passed(&self) -> bool {
        let places = [&self.methods, &self.services, &self.packages];
        self.all.is_some() || places.iter().any(|places| places.values().any(Option::is_some))
    }

    /// The method at `/package.Service/Method`, if it may be called.
    pub(super) fn find(&self, path: &str) -> Option<Arc<Method>> {
        if !self.are_passed() {
            return None;
        }
        let full = path.strip_prefix('/')?;
        let (service, name) = full.split_once('/')?;
        // Selectors match no other names, so rules would be passed by.
        if !service.split('.').all(is_identifier) || !is_identifier(name) {
            return None;
        }
        if !self.served.is_empty() && !self.served.iter().any(|selector| selector.matches(service, name)) {
            return None;
        }
        let of_package = || {
            let ends = service.rmatch_indices('.').map(|(at, _)| at);
            ends.filter_map(|at| self.packages.get(service.get(..at)?)).next()
        };
        let narrow = self.methods.get(full).or_else(|| self.services.get(service)).or_else(of_package);
        let found = narrow.unwrap_or(&self.all).as_ref()?;
        Some(Arc::new(Method {
            path: PathAndQuery::try_from(path).ok()?,
            stats: Arc::new(found.stats.of_other(full)),
            ..Method::clone(found)
        }))
    }
}
