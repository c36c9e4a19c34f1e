//! The choices of a listener on how REST requests are read.

use crate::codec::{MAX_MESSAGE_LEN, Overrides, Unknown};
use crate::route::{Decoding, Plus};

/// How path, query and body become a request message.
#[derive(Debug, Clone)]
pub struct RequestRules {
    /// Query parameters that name no field.
    pub unknown_parameters: Unknown,
    /// JSON members that name no field.
    pub unknown_members: Unknown,
    /// What `+` means in a query.
    pub plus: Plus,
    /// What becomes of escapes in a path variable of several segments.
    pub path_decoding: Decoding,
    /// Whether a query parameter may reach a leaf inside the body's message.
    pub query_into_body: QueryIntoBody,
    /// What happens where path, body and query set a field to different values.
    pub conflicts: Overrides,
    /// What happens to a body where the binding takes none.
    pub unexpected_body: UnexpectedBody,
    /// How many query parameters a request may have.
    pub max_parameters: usize,
    /// How many names a dotted query parameter may have.
    pub max_parameter_depth: usize,
    /// How deep JSON may nest.
    pub json_depth: u32,
    /// How many bytes a string in JSON may have.
    pub json_string: usize,
}

impl Default for RequestRules {
    fn default() -> Self {
        Self {
            unknown_parameters: Unknown::Reject,
            unknown_members: Unknown::Reject,
            plus: Plus::Literal,
            path_decoding: Decoding::KeepReserved,
            query_into_body: QueryIntoBody::Allow,
            conflicts: Overrides::Stronger,
            unexpected_body: UnexpectedBody::Ignore,
            max_parameters: 256,
            max_parameter_depth: 16,
            json_depth: 100,
            json_string: MAX_MESSAGE_LEN,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryIntoBody {
    Allow,
    Reject,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnexpectedBody {
    Ignore,
    Reject,
}
