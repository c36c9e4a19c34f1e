//! Names of parameters: from dotted names, with the key of a map in brackets, to fields.

use std::borrow::Cow;

use super::leaves::{Path, not_a_leaf};
use super::settings::RequestRules;
use super::split::{Split, split_once};
use crate::codec::{FieldId, Plan, takes_text};
use crate::fault::Fault;
use crate::route::{DecodeError, Plus, decode_query};

/// A parameter's name, decoded.
pub(super) struct Name<'q> {
    /// All of it.
    pub whole: Cow<'q, str>,
    /// The fields, as far as the first bracket.
    fields: Cow<'q, str>,
    bracket: Bracket<'q>,
}

/// What stands behind the fields.
enum Bracket<'q> {
    None,
    Key(Cow<'q, str>),
    Malformed,
}

impl<'q> Name<'q> {
    /// Decodes a name. Where the brackets of a key are written as they are, escaped ones belong to the key; where they
    /// are escaped themselves, as browsers do it, a key has none.
    ///
    /// # Errors
    /// An escape that can't be decoded.
    pub(super) fn decode(raw: &'q str, plus: Plus) -> Result<Self, DecodeError> {
        let whole = decode_query(raw, plus)?;
        let Some((fields, key)) = split_once(raw, b'[') else {
            let (fields, rest) = split_at_bracket(&whole);
            if rest.is_empty() {
                return Ok(Self { fields: whole.clone(), whole, bracket: Bracket::None });
            }
            let bracket = match key_of(rest) {
                Some(key) => Bracket::Key(Cow::Owned(key.to_owned())),
                None => Bracket::Malformed,
            };
            let fields = Cow::Owned(fields.to_owned());
            return Ok(Self { whole, fields, bracket });
        };
        let bracket = match key.strip_suffix(']').filter(|key| is_plain(key)) {
            Some(key) => Bracket::Key(decode_query(key, plus)?),
            None => Bracket::Malformed,
        };
        let fields = decode_query(fields, plus)?;
        // What comes before may have an escaped bracket of its own.
        let bracket = if is_plain(&fields) { bracket } else { Bracket::Malformed };
        Ok(Self { whole, fields, bracket })
    }
}

/// The text before the first bracket of either kind, and all that follows.
fn split_at_bracket(text: &str) -> (&str, &str) {
    let at = text.bytes().position(|byte| matches!(byte, b'[' | b']')).unwrap_or(text.len());
    text.split_at(at)
}

/// The key in `[key]`.
fn key_of(text: &str) -> Option<&str> {
    text.strip_prefix('[')?.strip_suffix(']').filter(|key| is_plain(key))
}

fn is_plain(text: &str) -> bool {
    split_at_bracket(text).1.is_empty()
}

/// What a name leads to.
pub(super) enum Target<'n> {
    Field {
        path: Path,
        /// The message that the field is in, where that isn't the one that names start at.
        owner: Option<Plan>,
        /// Of a map: the key of the entry.
        key: Option<&'n str>,
    },
    Unknown,
}

/// Follows a name from the message of `plan`; `base` is the way to that from the request's message.
///
/// # Errors
/// A name that leads to, or through, what one text can't set.
pub(super) fn find<'n>(
    plan: &Plan,
    base: &[FieldId],
    name: &'n Name<'_>,
    rules: &RequestRules,
) -> Result<Target<'n>, Fault> {
    let whole = &*name.whole;
    let mut path = Path::from_slice(base);
    let mut owner: Option<Plan> = None;
    let mut parts = Split::new(split_at_bracket(&name.fields).0, b'.').peekable();
    let mut count = 0;
    while let Some(part) = parts.next() {
        count += 1;
        if count > rules.max_parameter_depth {
            let message = format!("the parameter's name has more than {} parts", rules.max_parameter_depth);
            return Err(Fault::invalid_argument("PARAMETER_TOO_DEEP", message).at(whole));
        }
        let message = owner.as_ref().unwrap_or(plan);
        let Some(field) = message.field_by_name(part) else { return Ok(Target::Unknown) };
        let known = message.field(field);
        path.push(field);
        if parts.peek().is_none() {
            let key = match &name.bracket {
                Bracket::Malformed => {
                    let message = format!("`{whole}` has brackets that are no `[key]` at its end");
                    return Err(Fault::invalid_argument("MALFORMED_BRACKETS", message).at(whole));
                }
                Bracket::Key(_) if !known.is_map() => {
                    let message = format!("`{whole}` has a key in brackets, but `{part}` is no map");
                    return Err(Fault::invalid_argument("NOT_A_MAP", message).at(whole));
                }
                Bracket::Key(key) => Some(&**key),
                Bracket::None if known.is_map() => {
                    let message = format!("`{whole}` is a map: name an entry of it, as in `{whole}[key]`");
                    return Err(Fault::invalid_argument("NOT_A_SCALAR", message).at(whole));
                }
                Bracket::None if !takes_text(message, field) => return Err(not_a_leaf(whole)),
                Bracket::None => None,
            };
            return Ok(Target::Field { path, owner, key });
        }
        if known.is_repeated() || known.is_map() {
            let message = format!("`{whole}` leads through `{part}`, which has many elements");
            return Err(Fault::invalid_argument("PARAMETER_INTO_REPEATED", message).at(whole));
        }
        match message.nested(field) {
            Some(nested) => owner = Some(nested),
            None => return Ok(Target::Unknown),
        }
    }
    Ok(Target::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        // Fields and key; none where the brackets are malformed.
        let table: &[(&str, &str, Option<Option<&str>>)] = &[
            ("a", "a", Some(None)),
            ("a.b", "a.b", Some(None)),
            ("a[k]", "a", Some(Some("k"))),
            ("a.b[k.c]", "a.b", Some(Some("k.c"))),
            ("a[]", "a", Some(Some(""))),
            ("a%5Bk%5d", "a", Some(Some("k"))),
            ("a[%5Bk%5D]", "a", Some(Some("[k]"))),
            ("a[k%2Fx%3D+]", "a", Some(Some("k/x=+"))),
            ("%61[%6B]", "a", Some(Some("k"))),
            ("a[", "a", None),
            ("a]", "a", None),
            ("a[k", "a", None),
            ("ak]", "ak", None),
            ("a[k]x", "a", None),
            ("a[k].x", "a", None),
            ("a[k][l]", "a", None),
            ("a[[k]]", "a", None),
            ("a[k]]", "a", None),
            ("a%5Bk%5D%5Bl%5D", "a", None),
            ("a%5Bk", "a", None),
            ("a%5B[k]", "a", None),
            ("a[k%5D", "a", None),
        ];
        for (raw, fields, key) in table {
            let name = Name::decode(raw, Plus::Literal).unwrap();
            assert_eq!(split_at_bracket(&name.fields).0, *fields, "{raw}");
            let found = match &name.bracket {
                Bracket::None => Some(None),
                Bracket::Key(key) => Some(Some(&**key)),
                Bracket::Malformed => None,
            };
            assert_eq!(found, *key, "{raw}");
        }
        let spaced = Name::decode("a[k+l]", Plus::Space).unwrap();
        assert!(matches!(&spaced.bracket, Bracket::Key(key) if key == "k l"));
        for raw in ["a%", "a[%]", "a[%00]", "%ff[a]"] {
            assert!(Name::decode(raw, Plus::Literal).is_err(), "{raw}");
        }
    }
}
