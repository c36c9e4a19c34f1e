//! System parameters (<https://cloud.google.com/apis/docs/system-parameters>): names in a query that are no fields of
//! the request, but say how it is to be answered.

use super::binding::Binding;
use super::leaves::twice;
use super::settings::RequestRules;
use super::wishes::Wishes;
use crate::codec::{Plan, SelectError, Selection, Unknown};
use crate::fault::Fault;

/// One that is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Parameter {
    Alt,
    Fields,
    PrettyPrint,
    HttpHeaders,
}

/// Those of one request.
pub(super) struct SystemParameters<'b> {
    binding: &'b Binding,
    rules: &'b RequestRules,
    given: Vec<Parameter>,
    wishes: Wishes,
}

impl<'b> SystemParameters<'b> {
    pub(super) fn new(binding: &'b Binding, rules: &'b RequestRules) -> Self {
        Self { binding, rules, given: Vec::new(), wishes: Wishes::default() }
    }

    pub(super) fn wishes(self) -> Wishes {
        self.wishes
    }

    /// Takes a parameter if it is one of the system's, which are told from the fields of `plan`, the request.
    ///
    /// # Errors
    /// A value that is not understood, one that is given twice, and headers in disguise.
    pub(super) fn take(&mut self, plan: &Plan, name: &str, value: &str) -> Result<bool, Fault> {
        let Some(parameter) = self.parameter(plan, name) else { return Ok(false) };
        if self.given.contains(&parameter) {
            return Err(twice(name));
        }
        self.given.push(parameter);
        match parameter {
            Parameter::Alt => match value {
                "json" => {}
                "json;enum-encoding=int" => self.wishes.enum_numbers = true,
                _ => return Err(bad(name, "must be `json` or `json;enum-encoding=int`")),
            },
            Parameter::PrettyPrint => match value {
                "true" => self.wishes.pretty = true,
                "false" => {}
                _ => return Err(bad(name, "must be `true` or `false`")),
            },
            Parameter::Fields => self.wishes.fields = Some(self.selection(name, value)?),
            Parameter::HttpHeaders => return Err(bad(name, "carries headers, which a query must not")),
        }
        Ok(true)
    }

    /// Without `$` a field of the request comes first, and so does a name that is to be ignored.
    fn parameter(&self, plan: &Plan, name: &str) -> Option<Parameter> {
        let bare = match name {
            "$alt" => return Some(Parameter::Alt),
            "$fields" => return Some(Parameter::Fields),
            "$prettyPrint" => return Some(Parameter::PrettyPrint),
            "$httpHeaders" => return Some(Parameter::HttpHeaders),
            "alt" => Parameter::Alt,
            "fields" => Parameter::Fields,
            "prettyPrint" => Parameter::PrettyPrint,
            _ => return None,
        };
        let ignored = match &self.rules.unknown_parameters {
            Unknown::Reject | Unknown::Ignore => false,
            Unknown::IgnoreNamed(names) => names.iter().any(|known| **known == *name),
        };
        (!ignored && plan.field_by_name(name).is_none()).then_some(bare)
    }

    fn selection(&self, name: &str, value: &str) -> Result<Selection, Fault> {
        let Binding { output, response_body, .. } = self.binding;
        Selection::parse(output, *response_body, value, self.rules.max_parameter_depth).map_err(|error| {
            match error {
                SelectError::Empty => bad(name, "names no field, or has a comma too many"),
                SelectError::Unknown(path) => {
                    let message = format!("`{name}`: the answer has no field `{path}`");
                    Fault::invalid_argument("UNKNOWN_REPLY_FIELD", message).at(name)
                }
                SelectError::TooDeep(_) => {
                    let most = self.rules.max_parameter_depth;
                    bad(name, &format!("has a path of more than {most} parts"))
                }
            }
        })
    }
}

fn bad(name: &str, what: &str) -> Fault {
    Fault::invalid_argument("BAD_SYSTEM_PARAMETER", format!("`{name}` {what}")).at(name)
}
