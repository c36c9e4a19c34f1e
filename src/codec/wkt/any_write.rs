//! Writes `google.protobuf.Any`: the members of the message in it after its `@type`, or a well-known type's JSON form
//! as `value`. A type that the schema does not have must not spoil the whole answer: its bytes are kept as base64.

use super::super::error::WireErrorKind;
use super::super::wire::LEN;
use super::super::write::{Writer, Written};
use super::any_read::type_name;
use super::write::each_record;

impl Writer<'_> {
    pub(super) fn any(&mut self, parts: &[&[u8]], depth: u32) -> Written {
        let (mut url, mut value): (&[u8], &[u8]) = (b"", b"");
        each_record(parts, |number, wire_type, contents| {
            match (number, wire_type) {
                (1, LEN) => url = contents,
                (2, LEN) => value = contents,
                _ => {}
            }
            Ok(())
        })?;
        if url.is_empty() && value.is_empty() {
            self.out.extend_from_slice(b"{}");
            return Ok(());
        }
        let start = self.out.len();
        self.out.extend_from_slice(b",\"@type\":");
        self.string(url, true)?;
        match type_name(url).and_then(|name| self.set.id_of(name)) {
            None => {
                self.out.extend_from_slice(b",\"value\":");
                self.base64(value);
            }
            Some(id) => {
                let message = self.set.get(id);
                match message.well_known {
                    None => {
                        let depth = depth.checked_sub(1).ok_or(WireErrorKind::Depth)?;
                        self.members(message, &[value], depth)?;
                    }
                    Some(_) => {
                        self.out.extend_from_slice(b",\"value\":");
                        self.message(id, &[value], depth)?;
                    }
                }
            }
        }
        self.close(start, b'{', b'}');
        Ok(())
    }
}
