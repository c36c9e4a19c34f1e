//! JSON to wire bytes: the entry points, and the loop over the members of an object. Values are read in `member.rs`
//! and `read_scalar.rs`, well-known types in `wkt/`, and `read_splice.rs` brings in what path and query have set.

use std::borrow::Cow;

use super::bits::Bits;
use super::error::{Fail, ReadError, ReadErrorKind, Step};
use super::lexer::Lexer;
use super::options::{Overrides, ReadOptions};
use super::plan::{FieldId, Plan, PlanSet};
use super::read_splice::write_leaves;
use super::required::check_complete;
use super::splice::{Leaves, Splice};
use super::tables::{FieldPlan, MessageId, MessagePlan};
use super::wire::Open;
use super::wkt::TypeMembers;

/// Ok, or why the JSON text was refused.
pub(super) type Outcome = Result<(), Box<Fail>>;

/// Reads `json` as the message of `plan` (binding `body: "*"`), with the leaves of `splice` in their places, and
/// appends its wire bytes to `out`. After an error `out` is as it was.
pub fn read_message(
    plan: &Plan,
    json: &[u8],
    splice: &Splice,
    options: &ReadOptions<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    read(plan, json, splice, options, out, |reader| reader.root(plan.id, splice.root(), options.depth))
}

/// Reads `json` as the value of one field (binding `body: "field"`): a message, a list, a map or a scalar. The leaves
/// of `splice` are written into it and around it. Paths in errors start at the message of `plan`.
pub fn read_field(
    plan: &Plan,
    field: FieldId,
    json: &[u8],
    splice: &Splice,
    options: &ReadOptions<'_>,
    out: &mut Vec<u8>,
) -> Result<(), ReadError> {
    read(plan, json, splice, options, out, |reader| {
        let message = reader.set.get(plan.id);
        let mut met = Bits::new();
        met.insert(field.0);
        let leaves = splice.root();
        reader.member(message, field, &mut met, leaves, options.depth)?;
        reader.rest_of_splice(message, &met, leaves)
    })
}

/// Writes a message that has no body, only the leaves of `splice`. Required fields may be missing: see
/// [`check_complete`].
pub fn write_splice(plan: &Plan, splice: &Splice, out: &mut Vec<u8>) {
    let message = plan.inner();
    write_leaves(&plan.set, message, splice.root(), Bits::new(), false, out);
}

/// What both entry points share: the check for UTF-8, the end of the text, and the finished error.
fn read(
    plan: &Plan,
    json: &[u8],
    splice: &Splice,
    options: &ReadOptions<'_>,
    out: &mut Vec<u8>,
    value: impl FnOnce(&mut Reader<'_, '_>) -> Outcome,
) -> Result<(), ReadError> {
    if options.overrides == Overrides::RejectDifferent
        && let Some(path) = splice.conflict(plan)
    {
        return Err(ReadError { kind: ReadErrorKind::OverrideDiffers, path, offset: 0 });
    }
    if json.len() > options.max_len {
        return Err(ReadError {
            kind: ReadErrorKind::TooLarge,
            path: String::new(),
            offset: options.max_len,
        });
    }
    let start = out.len();
    let result = match simdutf8::compat::from_utf8(json) {
        Ok(text) => {
            // The wire form is the shorter one.
            out.reserve(json.len() / 2);
            let mut reader = Reader {
                set: &plan.set,
                lex: Lexer::limited(text, options.max_string),
                out,
                options,
                types: TypeMembers::default(),
                scratch: Vec::new(),
            };
            value(&mut reader).and_then(|()| {
                if !reader.lex.finished() {
                    return Err(reader.lex.fail(ReadErrorKind::TrailingData));
                }
                // Some lists are shorter in JSON than on the wire.
                if reader.out.len() - start > options.max_len {
                    return Err(reader.lex.fail(ReadErrorKind::TooLarge));
                }
                Ok(())
            })
        }
        Err(error) => Err(Fail::new(ReadErrorKind::Utf8, error.valid_up_to())),
    };
    let complete = || match options.partial {
        true => Ok(()),
        false => check_complete(plan, out.get(start..).unwrap_or_default()),
    };
    let result = result.map_err(|fail| fail.finish()).and_then(|()| complete());
    if result.is_err() {
        out.truncate(start);
    }
    result
}

/// Whether an object is the contents of an `Any` and has an `@type` among its members.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TypeMember {
    None,
    Expected,
    Taken,
}

/// One JSON text being read.
pub(crate) struct Reader<'r, 'j> {
    pub(super) set: &'r PlanSet,
    pub(super) lex: Lexer<'j>,
    pub(super) out: &'r mut Vec<u8>,
    pub(super) options: &'r ReadOptions<'r>,
    pub(super) types: TypeMembers,
    /// For the text of strings with escapes.
    pub(super) scratch: Vec<u8>,
}

impl<'r, 'j> Reader<'r, 'j> {
    /// The message of the whole text.
    fn root(&mut self, id: MessageId, leaves: Leaves<'_>, depth: u32) -> Outcome {
        let message = self.set.get(id);
        if message.well_known.is_none() || leaves.is_empty() {
            return self.message(id, leaves, depth);
        }
        // The JSON form of a well-known type has no fields to splice into: the stronger one stands as a whole.
        let start = self.out.len();
        self.message(id, Leaves::NONE, depth)?;
        if leaves.any_path() {
            self.out.truncate(start);
            write_leaves(self.set, message, leaves, Bits::default(), true, self.out);
        }
        Ok(())
    }

    /// The contents of a message, without tag or length.
    pub(super) fn message(&mut self, id: MessageId, leaves: Leaves<'_>, depth: u32) -> Outcome {
        let message = self.set.get(id);
        match message.well_known {
            None => self.object(message, leaves, depth, TypeMember::None),
            Some(which) => self.well_known(which, message, depth),
        }
    }

    /// An object whose members are fields, and perhaps the `@type` of an `Any`, which was read before.
    pub(super) fn object(
        &mut self,
        message: &'r MessagePlan,
        leaves: Leaves<'_>,
        depth: u32,
        mut type_member: TypeMember,
    ) -> Outcome {
        let depth = self.deeper(depth)?;
        self.lex.open(b'{')?;
        let mut met = Bits::new();
        if !self.lex.take(b'}') {
            let mut guess = message.first;
            loop {
                if let Some(id) = self.name(message, guess, depth, &mut type_member)? {
                    let field = message.field(id);
                    guess = field.next;
                    if !met.insert(id.0) {
                        return Err(self.at(field, ReadErrorKind::DuplicateMember));
                    }
                    self.member(message, id, &mut met, leaves, depth)?;
                }
                if !self.lex.another(b'}')? {
                    break;
                }
            }
        }
        if leaves.is_empty() {
            return Ok(());
        }
        self.rest_of_splice(message, &met, leaves)
    }

    /// One level further in.
    #[inline]
    pub(super) fn deeper(&self, depth: u32) -> Result<u32, Box<Fail>> {
        depth.checked_sub(1).ok_or_else(|| self.lex.fail(ReadErrorKind::Depth))
    }

    #[cold]
    pub(super) fn at(&self, field: &FieldPlan, kind: ReadErrorKind) -> Box<Fail> {
        self.lex.fail(kind).within(Step::Member(field.json_name.clone()))
    }

    /// The name of a member and the colon after it. `None` if it is unknown and was skipped with its value.
    #[inline]
    fn name(
        &mut self,
        message: &MessagePlan,
        guess: u32,
        depth: u32,
        type_member: &mut TypeMember,
    ) -> Result<Option<FieldId>, Box<Fail>> {
        self.lex.peek();
        // Most texts have the fields in the order of their declaration, so the next one is tried before any look-up.
        if let Some(field) = message.fields.get(guess as usize)
            && self.lex.take_key(&field.json_key)
        {
            return Ok(Some(FieldId(guess)));
        }
        self.name_by_lookup(message, depth, type_member)
    }

    fn name_by_lookup(
        &mut self,
        message: &MessagePlan,
        depth: u32,
        type_member: &mut TypeMember,
    ) -> Result<Option<FieldId>, Box<Fail>> {
        let name = self.key_string()?;
        if let Some(&id) = message.by_name.get(&*name) {
            self.lex.colon()?;
            return Ok(Some(id));
        }
        let name = String::from_utf8_lossy(&name);
        let refused = match type_member {
            TypeMember::Expected if name == "@type" => {
                *type_member = TypeMember::Taken;
                None
            }
            TypeMember::Taken if name == "@type" => Some(ReadErrorKind::DuplicateMember),
            TypeMember::None | TypeMember::Expected | TypeMember::Taken => {
                (!self.options.unknown.ignores(&name)).then_some(ReadErrorKind::UnknownMember)
            }
        };
        if let Some(kind) = refused {
            return Err(self.lex.fail(kind).within(Step::Member(name.into())));
        }
        self.lex.colon()?;
        self.lex.skip_value(depth, &mut self.scratch)?;
        Ok(None)
    }

    /// A member's name or a map key: anything but a string is no JSON there.
    #[inline]
    pub(super) fn key_string(&mut self) -> Result<Cow<'j, [u8]>, Box<Fail>> {
        if self.lex.peek() != Some(b'"') {
            return Err(self.lex.fail(ReadErrorKind::Syntax));
        }
        self.lex.cow()
    }

    /// Keeps a length-delimited value open while `write` fills it.
    #[inline]
    pub(super) fn delimited(&mut self, write: impl FnOnce(&mut Self) -> Outcome) -> Outcome {
        let open = Open::begin(self.out);
        write(self)?;
        open.end(self.out);
        Ok(())
    }
}
