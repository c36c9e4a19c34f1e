//! Rules about fields of the request's message: what they have to be, for this caller. Asked by `vet`, once the message is
//! there in the bytes that the backend will get.

use std::sync::Arc;

use super::claims::Template;
use super::identity::{Identity, Principal};
use crate::codec::{Comparable, FieldPath, Plan};
use crate::fault::{Fault, Kind};

/// What one field has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldTest {
    Equals(Template),
    /// What fills the places of the text has no slash in it.
    StartsWith(Template),
    OneOf(Vec<Template>),
}

/// A field by its path, and what it has to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldRule {
    /// As in `book.author`.
    pub path: String,
    pub test: FieldTest,
}

impl FieldRule {
    fn templates(&self) -> &[Template] {
        match &self.test {
            FieldTest::Equals(template) | FieldTest::StartsWith(template) => std::slice::from_ref(template),
            FieldTest::OneOf(templates) => templates,
        }
    }

    /// Whether it depends on who calls.
    #[must_use]
    pub fn names_caller(&self) -> bool {
        self.templates().iter().any(|template| template.fixed().is_none())
    }
}

/// All rules about the fields of one method's requests.
#[derive(Debug)]
pub struct FieldRules {
    /// What logs call it.
    rule: Arc<str>,
    rules: Vec<(FieldPath, FieldRule)>,
}

impl FieldRules {
    /// `name` is what logs call them.
    ///
    /// # Errors
    /// A field that the message doesn't have, or that can't be what it should be.
    pub fn compile(plan: &Plan, rules: &[FieldRule], name: String) -> Result<Self, String> {
        let compile = |rule: &FieldRule| {
            let path = FieldPath::parse(plan, &rule.path).map_err(|error| error.to_string())?;
            let comparable = path.comparable();
            let is_prefix = matches!(rule.test, FieldTest::StartsWith(_));
            if is_prefix && comparable != Comparable::Text {
                return Err(format!("the field `{}` is no text, so it starts with nothing", rule.path));
            }
            let mut fixed = rule.templates().iter().filter_map(Template::fixed);
            match fixed.find(|text| !is_value(comparable, text)) {
                Some(text) => Err(format!("the field `{}` is never `{text}`", rule.path)),
                None => Ok((path, rule.clone())),
            }
        };
        let rules = rules.iter().map(compile).collect::<Result<_, _>>()?;
        Ok(Self { rule: name.into(), rules })
    }

    /// Whether a message may be sent by this caller.
    ///
    /// # Errors
    /// A message that can't be read, or a field that is something else.
    pub(super) fn check(&self, message: &[u8], principal: &Principal) -> Result<(), Fault> {
        let caller = principal.identity().map(AsRef::as_ref);
        for (path, rule) in &self.rules {
            let value = path.value(message).map_err(|error| {
                let what = "the message can't be read";
                Fault::invalid_argument("BAD_MESSAGE", what).because(format!("{error:?}"))
            })?;
            if !is_allowed(&rule.test, &value, caller) {
                return Err(Fault::new(Kind::Denied, "FIELD_DENIED", "this caller may not ask for that")
                    .by_rule(Arc::clone(&self.rule))
                    .because(format!("field {}", rule.path)));
            }
        }
        Ok(())
    }
}

/// The one spelling that numbers and bools have.
fn is_value(comparable: Comparable, text: &str) -> bool {
    match comparable {
        Comparable::Text => true,
        Comparable::Bool => matches!(text, "true" | "false"),
        Comparable::Integer => text.parse::<i128>().is_ok_and(|number| number.to_string() == text),
    }
}

fn is_allowed(test: &FieldTest, value: &[u8], caller: Option<&Identity>) -> bool {
    let is = |template: &Template| template.fill(caller, false).is_some_and(|text| text.as_bytes() == value);
    match test {
        FieldTest::Equals(template) => is(template),
        FieldTest::OneOf(templates) => templates.iter().any(is),
        FieldTest::StartsWith(template) => {
            template.fill(caller, true).is_some_and(|text| value.starts_with(text.as_bytes()))
        }
    }
}
