//! The field mask of a PATCH that doesn't name one: what the body has (AIP-134, "Partial update").

use std::collections::HashSet;

use http::Method;

use super::leaves::Path;
use crate::codec::{FieldId, FieldKind, Plan, WellKnown};
use crate::schema;

/// A PATCH's mask and what it is about.
#[derive(Debug, Clone)]
pub struct MaskRule {
    /// The request's one FieldMask.
    pub mask: FieldId,
    /// The message of the body's field.
    pub resource: Plan,
}

impl MaskRule {
    /// The rule of a binding with this `body` in the request `input`: only a PATCH with a named body that is a message,
    /// and exactly one singular FieldMask beside it, has one.
    pub(super) fn of(binding: &schema::Binding, input: &Plan, body: FieldId) -> Option<Self> {
        if binding.http_method != crate::route::HttpMethod::Exact(Method::PATCH) {
            return None;
        }
        let field = input.field(body);
        if field.is_repeated() || field.kind() != FieldKind::Message(None) {
            return None;
        }
        let mut masks = input.fields().filter(|(_, field)| {
            field.kind() == FieldKind::Message(Some(WellKnown::FieldMask))
                && !field.is_repeated()
                && !field.is_extension()
        });
        let (mask, field) = masks.next()?;
        // In a oneof an absent mask may be absent for another's sake.
        if masks.next().is_some() || field.oneof().is_some() {
            return None;
        }
        Some(Self { mask, resource: input.nested(body)? })
    }

    /// The paths of what a form names, given as ways from the request's message.
    pub(super) fn of_form(&self, named: &[Path]) -> Vec<String> {
        let mut seen = HashSet::new();
        let mut paths = Vec::new();
        for way in named {
            let path = self.path(way.get(1..).unwrap_or_default());
            if seen.insert(path.clone()) {
                paths.push(path);
            }
        }
        paths
    }

    /// As a mask names it: it ends at the first field that is no plain message.
    fn path(&self, way: &[FieldId]) -> String {
        let mut path = String::new();
        let mut owner = self.resource.clone();
        for &field in way {
            let known = owner.field(field);
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(known.name());
            if known.is_repeated() || known.kind() != FieldKind::Message(None) {
                break;
            }
            match owner.nested(field) {
                Some(nested) => owner = nested,
                None => break,
            }
        }
        path
    }
}
