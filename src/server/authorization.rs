//! What rules say of who may call, compiled into methods; and what is wrong with such rules, which is found out where
//! they meet the schema.

use std::sync::Arc;

use super::snapshot::{Rules, Subject};
use crate::codec::{Plan, PlanSet};
use crate::introspection::Own;
use crate::policy::{Auth, Authorization, Deny, FieldRules, Rule};
use crate::problem::{Problem, Problems};
use crate::schema::{self, Schema};

/// What a method asks of its callers and their messages.
pub(super) struct Asks {
    pub auth: Option<Auth>,
    pub authorization: Option<Arc<Authorization>>,
    pub fields: Option<Arc<FieldRules>>,
}

impl Asks {
    /// What the rules say of this method, whose requests are of `input`.
    ///
    /// # Errors
    /// A rule about fields that doesn't fit the message.
    pub(super) fn of(subject: Subject<'_>, input: &Plan, rules: &Rules<'_>) -> Result<Self, String> {
        let Subject { service, name, .. } = subject;
        let auth = rules.deciding(service, name, |rule| rule.auth);
        // Whoever makes a method public by a narrower rule means it.
        let counts = |rule: &Rule| match auth {
            Some((of, Auth::None)) => rule.selector.specificity() >= of.selector.specificity(),
            Some((_, Auth::Required | Auth::Optional)) | None => true,
        };
        let named = |rule: &Rule, key: &str| Arc::from(format!("{} {key}", rule.selector));
        let deny = rules.deciding(service, name, |rule| rule.deny.as_ref());
        let deny = deny.and_then(|(rule, deny)| Some((rule, deny.as_ref()?)));
        let deny = deny.filter(|(rule, deny)| matches!(deny, Deny::Everybody) || counts(rule));
        let scopes = rules.deciding(service, name, |rule| rule.scopes.as_ref());
        let scopes = scopes.and_then(|(rule, scopes)| Some((rule, scopes.as_ref()?)));
        let scopes = scopes.filter(|(rule, _)| counts(rule));
        let claims = rules.deciding(service, name, |rule| rule.claims.as_ref());
        let claims = claims.and_then(|(rule, claims)| Some((rule, claims.as_ref()?)));
        let claims = claims.filter(|(rule, _)| counts(rule));
        let fields = rules.deciding(service, name, |rule| rule.fields.as_ref());
        let fields = fields.filter(|(_, fields)| !fields.is_empty());
        let names_caller = fields.is_some_and(|(_, fields)| fields.iter().any(|field| field.names_caller()));
        let needs_caller = scopes.is_some() || claims.is_some() || names_caller;
        let authorization = Authorization {
            deny: deny.map(|(rule, deny)| (named(rule, "deny"), deny.clone())),
            scopes: scopes.map(|(rule, scopes)| (named(rule, "scopes"), scopes.clone())),
            claims: claims.map(|(rule, claims)| (named(rule, "claims"), claims.clone())),
        };
        let fields = fields.map(|(rule, fields)| {
            FieldRules::compile(input, fields, format!("{} fields", rule.selector)).map(Arc::new)
        });
        Ok(Self {
            // What is asked of a caller asks who it is.
            auth: auth.map(|(_, auth)| auth).or_else(|| needs_caller.then_some(Auth::Required)),
            authorization: (!authorization.is_empty()).then(|| Arc::new(authorization)),
            fields: fields.transpose()?,
        })
    }
}

/// Reports rules that ask for what can't be: of callers whom nobody asks who they are, or of messages that don't have it.
pub(super) fn report(
    schema: &Schema,
    plans: &Arc<PlanSet>,
    own: &Own,
    rules: &[Rule],
    problems: &mut Problems,
) {
    let all = Rules::new(rules);
    for rule in rules {
        for (key, needs_caller) in asked(rule) {
            let decides = |(method, _): &(&schema::Method, _)| {
                let found = all.deciding(method.service(), method.name(), |rule| says(rule, key));
                found.is_some_and(|(found, ())| std::ptr::eq(found, rule))
            };
            let methods = schema.methods.iter().map(|method| (method, plans));
            let methods = methods.chain(own.methods().iter().map(|method| (method, own.plans())));
            let mut wrong = methods.filter(decides).filter_map(|(method, plans)| {
                let why = wrong_with(rule, key, needs_caller, method, plans, &all)?;
                Some((method, why))
            });
            // Once for each rule: a wide one would be wrong for many.
            if let Some((method, (what, help))) = wrong.next() {
                let name = format!("{}/{}", method.service(), method.name());
                let what = format!("the rule `{}`: `{key}` for `{name}`: {what}", rule.selector);
                let mut problem = Problem::error(what).help(help);
                problem.excerpts.extend(rule.excerpt.clone());
                problems.push(problem);
            }
        }
    }
}

/// The keys of a rule that ask for something, and whether it is of the caller.
fn asked(rule: &Rule) -> impl Iterator<Item = (&'static str, bool)> {
    let scopes = matches!(rule.scopes, Some(Some(_))).then_some(("scopes", true));
    let claims = matches!(rule.claims, Some(Some(_))).then_some(("claims", true));
    let deny = matches!(rule.deny, Some(Some(Deny::Those(_)))).then_some(("deny", true));
    let fields = rule.fields.as_ref().filter(|fields| !fields.is_empty());
    let fields = fields.map(|fields| ("fields", fields.iter().any(|field| field.names_caller())));
    scopes.into_iter().chain(claims).chain(deny).chain(fields)
}

fn says(rule: &Rule, key: &str) -> Option<()> {
    match key {
        "scopes" => rule.scopes.as_ref().map(|_| ()),
        "claims" => rule.claims.as_ref().map(|_| ()),
        "deny" => rule.deny.as_ref().map(|_| ()),
        _ => rule.fields.as_ref().map(|_| ()),
    }
}

/// What is wrong with a key of a rule for a method that it decides about, and what to do about it.
fn wrong_with(
    rule: &Rule,
    key: &str,
    needs_caller: bool,
    method: &schema::Method,
    plans: &Arc<PlanSet>,
    all: &Rules<'_>,
) -> Option<(String, String)> {
    let auth = all.deciding(method.service(), method.name(), |rule| rule.auth);
    if let (true, Some((of, Auth::None))) = (needs_caller, auth) {
        // Fields are checked for everybody, so a narrower `auth: none` doesn't do away with them.
        if key == "fields" || rule.selector.specificity() >= of.selector.specificity() {
            let what = format!("the rule `{}` has `auth: none`, so nobody asks who calls", of.selector);
            return Some((what, format!("set `auth: required`, or `{key}: none`")));
        }
    }
    if key != "fields" {
        return None;
    }
    if method.client_streaming {
        let what = "it takes a stream of messages, and rules are about a single one".to_owned();
        return Some((what, "let its backend check them".to_owned()));
    }
    let plan = plans.message(method.input().full_name())?;
    let fields = rule.fields.as_deref().unwrap_or_default();
    let what = FieldRules::compile(&plan, fields, String::new()).err()?;
    Some((what, "write the path of a field of the request, as in `book.author`".to_owned()))
}
