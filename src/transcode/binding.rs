//! An HTTP binding, compiled: every name in it is the number of a field.

use super::mask::MaskRule;
use super::raw::is_raw;
use crate::codec::{FieldId, Plan};
use crate::schema;

/// One HTTP rule of one RPC, checked against its messages at load.
pub struct Binding {
    /// In the order of the template.
    pub variables: Box<[Variable]>,
    pub body: BodyRule,
    /// The field of the reply that is the whole answer.
    pub response_body: Option<FieldId>,
    /// The type of the reply.
    pub output: Plan,
    /// Of a PATCH: how an absent field mask is filled.
    pub mask: Option<MaskRule>,
    /// The body is a `google.api.HttpBody`: taken as it comes.
    pub raw_request: bool,
    /// The answer is the data of a `google.api.HttpBody`.
    pub raw_response: bool,
    /// `fully_decode_reserved_expansion` of google/api/http.proto, from a service configuration.
    pub fully_decode: bool,
}

/// A path variable: the way from the request message to the field that it sets.
pub struct Variable {
    /// As the template spells it.
    pub name: Box<str>,
    /// From the request message to the field.
    pub path: Box<[FieldId]>,
    /// The message that the field is in.
    pub owner: Plan,
    /// Whether it may match several segments.
    pub multi: bool,
    /// Whether the field is repeated: the text is its elements with commas between them.
    pub list: bool,
}

/// Where a request's body goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyRule {
    /// There is none.
    None,
    /// It is the message.
    Whole,
    /// It is this field.
    Field(FieldId),
}

impl Binding {
    /// The binding of an RPC's own path: the body is the message, and the reply is the answer.
    #[must_use]
    pub fn whole(output: &Plan) -> Self {
        Self {
            variables: Box::default(),
            body: BodyRule::Whole,
            response_body: None,
            output: output.clone(),
            mask: None,
            raw_request: false,
            raw_response: false,
            fully_decode: false,
        }
    }

    /// Compiles a checked binding. `None` where it names fields that the plans don't have, which the checks at load
    /// leave no room for.
    #[must_use]
    pub fn compile(
        binding: &schema::Binding,
        input: &Plan,
        output: &Plan,
        fully_decode: bool,
    ) -> Option<Self> {
        let mut variables = Vec::with_capacity(binding.variables.len());
        for (fields, variable) in binding.variables.iter().zip(binding.template.variables()) {
            let mut owner = input.clone();
            let mut path = Vec::with_capacity(fields.len());
            for (depth, field) in fields.iter().enumerate() {
                let id = owner.field_by_name(field.name())?;
                path.push(id);
                if depth + 1 < fields.len() {
                    owner = owner.nested(id)?;
                }
            }
            let list = path.last().is_some_and(|&field| owner.field(field).is_repeated());
            variables.push(Variable {
                name: fields.iter().map(|field| field.name()).collect::<Vec<_>>().join(".").into(),
                path: path.into(),
                owner,
                multi: variable.multi,
                list,
            });
        }
        let body = match &binding.body {
            schema::BodyRule::None => BodyRule::None,
            schema::BodyRule::Whole => BodyRule::Whole,
            schema::BodyRule::Field(field) => BodyRule::Field(input.field_by_name(field.name())?),
        };
        let response_body = match &binding.response_body {
            Some(field) => Some(output.field_by_name(field.name())?),
            None => None,
        };
        let raw_request = match body {
            BodyRule::None => false,
            BodyRule::Whole => is_raw(input),
            BodyRule::Field(field) => is_raw_field(input, field),
        };
        let raw_response = match response_body {
            None => is_raw(output),
            Some(field) => is_raw_field(output, field),
        };
        let mask = match body {
            BodyRule::Field(field) => MaskRule::of(binding, input, field),
            BodyRule::None | BodyRule::Whole => None,
        };
        Some(Self {
            variables: variables.into(),
            body,
            response_body,
            output: output.clone(),
            mask,
            raw_request,
            raw_response,
            fully_decode,
        })
    }
}

fn is_raw_field(message: &Plan, field: FieldId) -> bool {
    !message.field(field).is_repeated() && message.nested(field).is_some_and(|nested| is_raw(&nested))
}
