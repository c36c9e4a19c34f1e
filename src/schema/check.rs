//! From a pool and raw rules to the methods that are served and their bindings.
//!
//! Which methods there are and which rule each has is settled here; what a single rule says is
//! read in [`binding`]; what two say together, again here.

mod binding;

use std::collections::hash_map::Entry;

use prost_reflect::MethodDescriptor;
use rustc_hash::{FxHashMap, FxHashSet};

use super::http_rule::{RawRule, SourcedRule};
use super::pool::Built;
use super::reflected::Homes;
use super::service_config::{ConfigRule, ServiceConfigs};
use super::{Binding, BindingSource, File, Method, Reflected, SameTemplate, Schema, SchemaSettings};
use crate::problem::{Problem, Problems, nearest};
use crate::route::{HttpMethod, Segment, Selector};
use binding::Checked;

/// Makes the schema of all that is right.
pub(super) fn check(
    built: Built,
    configs: &ServiceConfigs,
    settings: &SchemaSettings,
    reflected: &[Reflected],
    problems: &mut Problems,
) -> Schema {
    let Built { pool, features, files, complete } = built;
    let homes = Homes::new(reflected);
    let all: Vec<MethodDescriptor> = files
        .iter()
        .filter_map(|file| Some((pool.get_file_by_name(file.name())?, &file.origin)))
        .flat_map(|(file, origin)| {
            file.services().filter(|service| homes.serve(service.full_name(), origin)).collect::<Vec<_>>()
        })
        .flat_map(|service| service.methods().collect::<Vec<_>>())
        .collect();
    // Where a file is missing, so may be the methods that these would name.
    if complete {
        let names: FxHashSet<&str> = all.iter().map(MethodDescriptor::full_name).collect();
        refuse_unknown_rules(configs, &names, problems);
        if !settings.passes_unknown {
            refuse_idle_selectors(&settings.services, &all, problems);
        }
    }
    let mut rules = annotations(&files);
    rules.extend(configs.rules.iter().map(|config| (config.selector.value.clone(), of(config))));

    let served = |method: &MethodDescriptor| {
        settings.services.is_empty()
            || settings
                .services
                .iter()
                .any(|of| of.matches(method.parent_service().full_name(), method.name()))
    };
    let methods: Vec<Method> = (all.into_iter().filter(served))
        .map(|method| {
            let upstreams = homes.of(method.parent_service().full_name());
            Method::new(method, upstreams)
        })
        .collect();
    let mut checked: Vec<Checked> = Vec::new();
    for (index, method) in methods.iter().enumerate() {
        let rule = match rules.remove(method.full_name()) {
            Some(rule) => rule,
            None if settings.default_bindings => {
                SourcedRule { rule: RawRule::default_for(&method.path), source: BindingSource::Default }
            }
            None => continue,
        };
        binding::of_rule(&rule, method, index, &mut checked, problems);
    }
    let bindings = refuse_same_templates(checked, &methods, settings.same_template, problems);
    let files = files
        .into_iter()
        .map(|raw| File { name: raw.outline.name, encoded: raw.encoded, origin: raw.origin })
        .collect();
    Schema {
        pool,
        features,
        methods,
        bindings,
        files,
        fully_decode_reserved_expansion: configs.fully_decode_reserved_expansion,
        unknown: settings.passes_unknown.then(|| settings.services.clone()),
    }
}

/// The rules in the options of methods, by the method's full name.
fn annotations(files: &[super::load::RawFile]) -> FxHashMap<String, SourcedRule> {
    let mut rules = FxHashMap::default();
    for file in files {
        for service in &file.outline.services {
            for method in &service.methods {
                let http = method.options.as_ref().and_then(|options| options.http.as_ref());
                if let Some(http) = http {
                    let name = file.outline.full_name(&service.name) + "." + &method.name;
                    let rule = RawRule::annotated(http);
                    rules.insert(name, SourcedRule { rule, source: BindingSource::Annotation });
                }
            }
        }
    }
    rules
}

fn of(config: &ConfigRule) -> SourcedRule {
    SourcedRule { rule: config.rule.clone(), source: BindingSource::ServiceConfig(config.file.path.clone()) }
}

/// Rules of service configurations whose selector names no method.
fn refuse_unknown_rules(configs: &ServiceConfigs, methods: &FxHashSet<&str>, problems: &mut Problems) {
    let mut budget = HINT_BUDGET;
    for rule in &configs.rules {
        let selector = &rule.selector.value;
        if methods.contains(selector.as_str()) {
            continue;
        }
        let help = match (Selector::from_dotted(selector), hint(selector, methods, &mut budget)) {
            (Err(error), _) => error.help().to_owned(),
            (Ok(_), Some(near)) => format!("did you mean `{near}`?"),
            (Ok(_), None) => "name a method in full, as in `pkg.Service.Method`".to_owned(),
        };
        problems.push(
            Problem::error(format!("the selector `{selector}` names no method"))
                .excerpt(rule.selector.excerpt(""))
                .help(help),
        );
    }
}

/// How many comparisons of names hints may cost in all; without a limit, a wrong file with many
/// rules would take minutes to refuse.
const HINT_BUDGET: usize = 2_000_000;

/// The nearest name, while the budget lasts.
fn hint<'n>(given: &str, known: &FxHashSet<&'n str>, budget: &mut usize) -> Option<&'n str> {
    *budget = budget.checked_sub(known.len())?;
    nearest(given, known.iter().copied())
}

/// Selectors of `services` that match nothing.
fn refuse_idle_selectors(selectors: &[Selector], methods: &[MethodDescriptor], problems: &mut Problems) {
    let mut budget = HINT_BUDGET;
    for selector in selectors {
        let matches =
            |method: &MethodDescriptor| selector.matches(method.parent_service().full_name(), method.name());
        if methods.iter().any(matches) {
            continue;
        }
        let known: FxHashSet<String> = methods
            .iter()
            .map(|method| {
                let service = method.parent_service();
                match selector {
                    Selector::All | Selector::Package(_) => format!("{}.*", service.package_name()),
                    Selector::Service(_) => format!("{}/*", service.full_name()),
                    Selector::Method { .. } => format!("{}/{}", service.full_name(), method.name()),
                }
            })
            .collect();
        let known = known.iter().map(String::as_str).collect();
        let problem = Problem::error(format!("the selector `{selector}` matches no method"));
        problems.push(match hint(&selector.to_string(), &known, &mut budget) {
            Some(near) => problem.help(format!("did you mean `{near}`?")),
            None => problem,
        });
    }
}

/// What two bindings must not share.
type Shape = (HttpMethod, Vec<Segment>, Option<String>);

fn refuse_same_templates(
    checked: Vec<Checked>,
    methods: &[Method],
    rule: SameTemplate,
    problems: &mut Problems,
) -> Vec<Binding> {
    let mut shapes: FxHashMap<Shape, usize> = FxHashMap::default();
    let mut kept: Vec<Checked> = Vec::with_capacity(checked.len());
    for later in checked {
        let template = &later.binding.template;
        let shape = (
            later.binding.http_method.clone(),
            template.segments().to_vec(),
            template.verb().map(str::to_owned),
        );
        let first = match shapes.entry(shape) {
            Entry::Occupied(first) => &kept[*first.get()],
            Entry::Vacant(vacant) => {
                vacant.insert(kept.len());
                kept.push(later);
                continue;
            }
        };
        problems.push(same_template(first, &later, methods, rule));
    }
    kept.into_iter().map(|checked| checked.binding).collect()
}

fn same_template(first: &Checked, later: &Checked, methods: &[Method], rule: SameTemplate) -> Problem {
    let name = |of: &Checked| methods.get(of.binding.method).map_or("", Method::full_name);
    let (one, other) = (name(first), name(later));
    let http_method = &first.binding.http_method;
    let problem = match rule {
        SameTemplate::Refuse => {
            let what = if one == other {
                format!("`{one}` binds {http_method} to the same template twice")
            } else {
                format!("`{one}` and `{other}` both bind {http_method} to the same template")
            };
            Problem::error(what).help(
                "change one of the templates, leave one of the methods out with `services`, or let the first one win (`same_template: first`)",
            )
        }
        SameTemplate::FirstWins => Problem::warning(format!(
            "`{one}` comes first and takes {http_method} requests that `{other}` is bound to as well"
        )),
    };
    let excerpt = |of: &Checked| {
        of.path.excerpt(name(of)).labelled(match &of.binding.source {
            BindingSource::Annotation => "in its annotation".to_owned(),
            BindingSource::ServiceConfig(_) => format!("for `{}`", name(of)),
            BindingSource::Default => "its default binding".to_owned(),
        })
    };
    problem.excerpt(excerpt(first)).excerpt(excerpt(later))
}
