//! What is asked of a caller's claims, and texts that are made of them. Compiled once from the configuration; the policies
//! that judge by who calls ask them of the principal of each call.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use super::identity::Identity;

/// A compiled pattern may take so many bytes; those that people write take far less.
const MAX_PATTERN: usize = 1 << 20;

/// Where a claim is: by its name, or, with a slash in front, by a JSON pointer (RFC 6901), as in `/realm_access/roles`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPath(String);

impl ClaimPath {
    /// None for an empty text, and for one that ends in a slash.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        (!text.is_empty() && !text.ends_with('/')).then(|| Self(text.to_owned()))
    }

    fn find<'c>(&self, claims: &'c Map<String, Value>) -> Option<&'c Value> {
        let Some(pointer) = self.0.strip_prefix('/') else { return claims.get(&self.0) };
        let plain = |part: &str| part.replace("~1", "/").replace("~0", "~");
        let (first, rest) = pointer.split_once('/').unwrap_or((pointer, ""));
        let value = claims.get(&plain(first))?;
        if rest.is_empty() { Some(value) } else { value.pointer(&format!("/{rest}")) }
    }
}

/// What one claim is asked.
#[derive(Debug, Clone)]
pub enum ClaimTest {
    /// It is this text, number or bool.
    Equals(String),
    /// It is a list with this in it, or this itself.
    Contains(String),
    /// All of it matches the pattern, or all of something in its list does.
    Matches(Pattern),
    /// It is one of these, or a list with one of them in it.
    Any(Vec<String>),
    /// It is a list with all of these in it.
    All(Vec<String>),
}

/// A regular expression of the linear-time kind, for whole texts.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// # Errors
    /// Why it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let build = |text: &str| {
            let built = RegexBuilder::new(text).size_limit(MAX_PATTERN).build();
            built.map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                // It draws a picture on several lines; the last one says what is wrong.
                error => error.to_string().lines().last().unwrap_or_default().trim().to_owned(),
            })
        };
        // By itself first: the parentheses around it must not be what makes it one.
        build(text)?;
        build(&format!(r"\A(?:{text})\z")).map(Self)
    }
}

/// One claim and what it is asked.
#[derive(Debug, Clone)]
pub struct ClaimRule {
    pub claim: ClaimPath,
    pub test: ClaimTest,
}

impl ClaimRule {
    fn holds(&self, claims: &Map<String, Value>) -> bool {
        let Some(value) = self.claim.find(claims) else { return false };
        let has = |wanted: &str| items(value).any(|item| item == wanted);
        match &self.test {
            ClaimTest::Equals(wanted) => scalar(value).is_some_and(|text| text == **wanted),
            ClaimTest::Contains(wanted) => has(wanted),
            ClaimTest::Matches(Pattern(pattern)) => items(value).any(|item| pattern.is_match(&item)),
            ClaimTest::Any(wanted) => wanted.iter().any(|wanted| has(wanted)),
            ClaimTest::All(wanted) => wanted.iter().all(|wanted| has(wanted)),
        }
    }
}

/// Sets of rules, of which one has to hold as a whole. No set is empty.
#[derive(Debug, Clone)]
pub struct ClaimSets(pub Vec<Vec<ClaimRule>>);

impl ClaimSets {
    /// Whether one of them holds.
    #[must_use]
    pub fn hold(&self, claims: &Map<String, Value>) -> bool {
        self.0.iter().any(|set| set.iter().all(|rule| rule.holds(claims)))
    }
}

/// A text, a number or a bool as text.
fn scalar(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(is_true) => Some(Cow::Borrowed(if *is_true { "true" } else { "false" })),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What is in a list; anything else is alone in it.
fn items(value: &Value) -> impl Iterator<Item = Cow<'_, str>> {
    let all = match value {
        Value::Array(items) => items.as_slice(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            std::slice::from_ref(value)
        }
    };
    all.iter().filter_map(scalar)
}

/// A text with places that a caller fills, as in `tenants/{claim.tenant}/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Claim(ClaimPath),
    Subject,
    Owner,
    Tier,
}

impl Template {
    /// # Errors
    /// A brace that is not of a place, or a place that there isn't.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, after) =
                behind.split_once('}').ok_or("a `{` has no `}`; write `{claim.tenant}`, for example")?;
            if !before.is_empty() {
                pieces.push(Piece::Text(plain(before)?));
            }
            pieces.push(match name {
                "subject" => Piece::Subject,
                "owner" => Piece::Owner,
                "tier" => Piece::Tier,
                _ => match name.strip_prefix("claim.").and_then(ClaimPath::parse) {
                    Some(claim) => Piece::Claim(claim),
                    None => {
                        return Err(format!(
                            "`{{{name}}}` is nothing of a caller's; there are `{{claim.NAME}}`, `{{subject}}`, `{{owner}}`, `{{tier}}`"
                        ));
                    }
                },
            });
            rest = after;
        }
        if !rest.is_empty() || pieces.is_empty() {
            pieces.push(Piece::Text(plain(rest)?));
        }
        Ok(Self(pieces))
    }

    /// The text, where no caller makes it another one.
    #[must_use]
    pub fn fixed(&self) -> Option<&str> {
        match &*self.0 {
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text for this caller; none where a place has nothing to fill it, which an empty text is as well. `whole` says
    /// that what fills a place may not have a slash, so that it is one segment of a name.
    pub(super) fn fill(&self, caller: Option<&Identity>, whole: bool) -> Option<String> {
        let mut out = String::new();
        for piece in &self.0 {
            let filling = match piece {
                Piece::Text(text) => {
                    out.push_str(text);
                    continue;
                }
                Piece::Claim(claim) => claim.find(&caller?.claims).and_then(scalar)?,
                Piece::Subject => Cow::Borrowed(&*caller?.subject),
                Piece::Owner => Cow::Borrowed(caller?.owner.as_deref()?),
                Piece::Tier => Cow::Borrowed(caller?.tier.as_deref()?),
            };
            if filling.is_empty() || (whole && filling.contains('/')) {
                return None;
            }
            out.push_str(&filling);
        }
        Some(out)
    }
}

fn plain(text: &str) -> Result<String, String> {
    if text.contains('}') { Err("a `}` has no `{`".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::policy::identity::Source;

    fn claims() -> Map<String, Value> {
        let value = json!({
            "tenant": "acme", "level": 3, "staff": true, "groups": ["a", "b"], "nothing": null,
            "realm_access": { "roles": ["r/w"], "x/y": "z" }, "https://x.test/role": "admin", "empty": "",
            "slashed": "a/b",
        });
        value.as_object().cloned().unwrap()
    }

    fn texts(all: &[&str]) -> Vec<String> {
        all.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn what_claims_say() {
        use ClaimTest::{All, Any, Contains, Equals, Matches};
        let pattern = |text| Matches(Pattern::parse(text).unwrap());
        for (claim, test, holds) in [
            ("tenant", Equals("acme".into()), true),
            ("tenant", Equals("Acme".into()), false),
            ("level", Equals("3".into()), true),
            ("staff", Equals("true".into()), true),
            ("groups", Equals("a".into()), false),
            ("nothing", Equals("null".into()), false),
            ("missing", Equals(String::new()), false),
            ("https://x.test/role", Equals("admin".into()), true),
            ("/realm_access/x~1y", Equals("z".into()), true),
            ("/tenant", Equals("acme".into()), true),
            ("/realm_access/none", Equals("z".into()), false),
            ("groups", Contains("b".into()), true),
            ("groups", Contains("c".into()), false),
            ("tenant", Contains("acm".into()), false),
            ("/realm_access/roles", Contains("r/w".into()), true),
            ("tenant", pattern("ac.e"), true),
            ("tenant", pattern("ac"), false),
            ("tenant", pattern("x|acme"), true),
            ("tenant", pattern("acme|x"), true),
            ("groups", pattern("[b-z]"), true),
            ("tenant", Any(texts(&["x", "acme"])), true),
            ("groups", Any(texts(&["x", "b"])), true),
            ("groups", All(texts(&["a", "b"])), true),
            ("groups", All(texts(&["a", "x"])), false),
        ] {
            let rule = ClaimRule { claim: ClaimPath::parse(claim).unwrap(), test };
            assert_eq!(rule.holds(&claims()), holds, "{rule:?}");
        }
    }

    #[test]
    fn a_pattern_is_one_by_itself() {
        for bad in ["a)|(b", "(", "[", r"(a)\1", "(?=a)"] {
            assert!(Pattern::parse(bad).is_err(), "{bad}");
        }
        assert!(Pattern::parse(&"(a{1000}){1000}".repeat(2)).unwrap_err().contains("too large"));
    }

    #[test]
    fn templates() {
        let mut identity = Identity::new(Source::ApiKey, "k1");
        identity.claims = claims();
        for (text, whole, want) in [
            ("tenants/{claim.tenant}/", true, Some("tenants/acme/")),
            ("{subject}", true, Some("k1")),
            ("{claim.level}-{claim.staff}", true, Some("3-true")),
            ("{claim./realm_access/x~1y}", true, Some("z")),
            ("plain", true, Some("plain")),
            ("", true, Some("")),
            ("{claim.empty}", true, None),
            ("{claim.missing}", true, None),
            ("{claim.groups}", true, None),
            ("{claim.slashed}", true, None),
            ("{claim.slashed}", false, Some("a/b")),
            ("{owner}", true, None),
        ] {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.fill(Some(&identity), whole).as_deref(), want, "{text}");
            let alone = template.fill(None, whole);
            assert_eq!(alone.as_deref(), template.fixed(), "{text}");
        }
        for bad in ["{", "}", "{claim.}", "{claim}", "{other}", "a}b{subject}"] {
            assert!(Template::parse(bad).is_err(), "{bad}");
        }
    }
}
