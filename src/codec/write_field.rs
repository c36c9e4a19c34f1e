//! One field of a message as JSON: what an HTTP rule with `response_body` answers.

use super::careful::{index, of_field};
use super::error::WireError;
use super::locate::locate;
use super::options::JsonStyle;
use super::plan::{FieldId, Plan};
use super::tables::{Kind, Shape};
use super::wire::DEPTH;
use super::write::{refuse_incomplete, write};

/// Writes only the value of `field` of the message in `wire`, and appends it to `out`. If it is unset: its default
/// value, `[]` for a list, `{}` for a map and, as in grpc-gateway, for a message; `null` for a message whose JSON form
/// is not an object (a Timestamp, a wrapper). After an error `out` is as it was.
pub fn write_field(
    plan: &Plan,
    field: FieldId,
    wire: &[u8],
    style: JsonStyle,
    out: &mut Vec<u8>,
) -> Result<(), WireError> {
    refuse_incomplete(plan, wire)?;
    write(plan, style, out, |writer| {
        let message = writer.set.get(plan.id);
        let records = index(Some(writer.set), message, &[wire])?;
        let field_plan = message.field(field);
        let own = of_field(&records, field);
        let start = writer.out.len();
        if !own.is_empty() {
            writer.field_value(field_plan, own, start, DEPTH)?;
        }
        if writer.out.len() > start {
            return Ok(());
        }
        match (field_plan.shape, field_plan.kind) {
            (Shape::Single, Kind::Message(id) | Kind::Group(id)) => {
                let text: &[u8] = if writer.set.get(id).is_object() { b"{}" } else { b"null" };
                writer.out.extend_from_slice(text);
                Ok(())
            }
            _ => writer.default_value(field_plan),
        }
    })
    .map_err(|error| locate(plan, wire, error.kind))
}
