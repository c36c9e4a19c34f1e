//! Path, query and body into one framed request message.

use bytes::Bytes;

use super::binding::{Binding, BodyRule, Variable};
use super::input::{Built, Input};
use super::leaves::{Leaves, Path, Place};
use super::parameters::{self, undecodable};
use super::raw::{self, HttpBody, write_raw};
use super::settings::{RequestRules, UnexpectedBody};
use super::split::Split;
use super::wishes::Wishes;
use crate::codec::{self, MAX_MESSAGE_LEN, Plan, Rank, ReadError, ReadOptions, Splice};
use crate::fault::Fault;
use crate::route::{Captures, Decoding, decode};
use crate::upstream::{FRAME_HEAD, finish_frame, start_frame};

/// What request messages are made by: the method's type, the binding that was matched, and the listener's choices.
#[derive(Clone, Copy)]
pub struct Maker<'r> {
    /// The type of the request.
    pub plan: &'r Plan,
    pub binding: &'r Binding,
    pub rules: &'r RequestRules,
}

/// The parts of a URL that say something of the message.
#[derive(Clone, Copy)]
pub struct Url<'r> {
    pub path: &'r str,
    /// Where the variables of the binding's template stand in `path`.
    pub captures: &'r Captures,
    pub query: Option<&'r str>,
}

impl Maker<'_> {
    /// Builds the message that a bound request stands for, in its gRPC frame.
    ///
    /// A field is set by the path, else by the body, else by the query. Without a body the message is empty but for them.
    ///
    /// # Errors
    /// A 400 that names the variable, parameter or field at fault; 415 for a form where the body can't be one.
    pub fn message(self, url: Url<'_>, input: Input<'_>) -> Result<Built, Fault> {
        let Self { plan, binding, rules } = self;
        if binding.body == BodyRule::None
            && input != Input::None
            && rules.unexpected_body == UnexpectedBody::Reject
        {
            return Err(Fault::invalid_argument("UNEXPECTED_BODY", "this method takes no body"));
        }
        let Fields { splice, named, wishes } = self.fields(url, input)?;
        let mut out = Vec::with_capacity(input.len() + 128);
        start_frame(&mut out);
        match input {
            Input::None | Input::Form(_) => codec::write_splice(plan, &splice, &mut out),
            Input::Json(_) if binding.body == BodyRule::None => codec::write_splice(plan, &splice, &mut out),
            Input::Json(body) => self.read_body(body, &splice, &mut out)?,
        }
        self.fill_mask(input, &splice, &named, &mut out)?;
        Ok(Built { message: self.finish(out)?, wishes })
    }

    /// The message for a further element of a client stream: the URL has said what it has to say with the first one.
    ///
    /// # Errors
    /// A 400 that names the field at fault.
    pub fn later_message(self, element: &[u8]) -> Result<Bytes, Fault> {
        let mut out = Vec::with_capacity(element.len() + 128);
        start_frame(&mut out);
        let nothing = Splice::new();
        self.read_body(element, &nothing, &mut out)?;
        self.fill_mask(Input::Json(element), &nothing, &[], &mut out)?;
        self.finish(out)
    }

    /// The message for a raw body, or for a piece of one: the `HttpBody` is the message, or the field that the binding
    /// names. The URL's fields are in it where `url` is given.
    ///
    /// # Errors
    /// A 400 that names the variable or parameter at fault.
    pub fn raw_message(self, url: Option<Url<'_>>, body: &HttpBody) -> Result<Built, Fault> {
        let mut out = Vec::with_capacity(body.data.len() + 128);
        start_frame(&mut out);
        let mut wishes = Wishes::default();
        if let Some(url) = url {
            let fields = self.fields(url, Input::None)?;
            codec::write_splice(self.plan, &fields.splice, &mut out);
            wishes = fields.wishes;
        }
        match self.binding.body {
            BodyRule::None => {}
            BodyRule::Whole => write_raw(None, body, &mut out),
            BodyRule::Field(field) => {
                let field = self.plan.field(field);
                let place = raw::Place { number: field.number(), delimited: field.is_delimited() };
                write_raw(Some(place), body, &mut out);
            }
        }
        Ok(Built { message: self.finish(out)?, wishes })
    }

    /// Ends the frame of a message that has all that the request says.
    fn finish(self, out: Vec<u8>) -> Result<Bytes, Fault> {
        codec::check_complete(self.plan, out.get(FRAME_HEAD..).unwrap_or_default())
            .map_err(|error| bad_body(&error))?;
        finish_frame(out)
    }

    fn read_body(self, body: &[u8], splice: &Splice, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Self { plan, binding, rules } = self;
        let options = ReadOptions {
            unknown: &rules.unknown_members,
            depth: rules.json_depth,
            // The text was limited before it was read, by the size of bodies.
            max_len: MAX_MESSAGE_LEN,
            max_string: rules.json_string,
            overrides: rules.conflicts,
            // Checked when all is there, see `finish`.
            partial: true,
        };
        let read = match binding.body {
            BodyRule::None => return Ok(()),
            BodyRule::Whole => codec::read_message(plan, body, splice, &options, out),
            BodyRule::Field(field) => codec::read_field(plan, field, body, splice, &options, out),
        };
        read.map_err(|error| bad_body(&error))
    }

    /// Writes the mask of a PATCH that nobody has set: what the body has.
    fn fill_mask(
        self,
        input: Input<'_>,
        splice: &Splice,
        named: &[Path],
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mask = self.binding.mask.as_ref();
        let Some(rule) = mask.filter(|rule| !splice.touches(rule.mask)) else { return Ok(()) };
        let paths = match input {
            Input::None => Vec::new(),
            Input::Form(_) => rule.of_form(named),
            Input::Json(body) => codec::member_paths(&rule.resource, body, self.rules.json_depth)
                .map_err(|error| bad_body(&error))?,
        };
        // The only occurrence of the field: the body is another one.
        codec::write_mask(self.plan, rule.mask, &paths, out);
        Ok(())
    }

    fn fields(self, url: Url<'_>, input: Input<'_>) -> Result<Fields, Fault> {
        let Self { plan, binding, rules } = self;
        let mut leaves = Leaves::new(plan, rules.conflicts);
        for (index, variable) in binding.variables.iter().enumerate() {
            let raw = url.captures.text(index, url.path).unwrap_or_default();
            let decoding = decoding(variable, binding, raw, rules);
            // A list is split before anything is decoded, so an escaped comma belongs to an element.
            let elements = if variable.list { Split::new(raw, b',') } else { Split::whole(raw) };
            for raw in elements {
                let text = decode(raw, decoding).map_err(|error| undecodable(&variable.name, error))?;
                leaves.set(variable.place(), Rank::Path, &text)?;
            }
        }
        let named = match input {
            Input::Form(form) => parameters::read_form(form, binding.body, &mut leaves, rules)?,
            Input::None | Input::Json(_) => Vec::new(),
        };
        let wishes = match url.query {
            Some(query) => parameters::read_query(query, binding, &mut leaves, rules)?,
            None => Wishes::default(),
        };
        Ok(Fields { splice: leaves.seal()?, named, wishes })
    }
}

/// What path, form and query say.
struct Fields {
    splice: Splice,
    /// The ways to the fields that the form names.
    named: Vec<Path>,
    wishes: Wishes,
}

impl Variable {
    fn place(&self) -> Place<'_> {
        Place { path: &self.path, owner: &self.owner, key: None, name: &self.name }
    }
}

/// How a capture is decoded: one segment wholly, several by choice, or as the service configuration says for all.
fn decoding(variable: &Variable, binding: &Binding, raw: &str, rules: &RequestRules) -> Decoding {
    match (variable.multi, binding.fully_decode) {
        (false, _) => Decoding::All,
        (true, false) => rules.path_decoding,
        // A slash stays escaped where it would be the only one, so that `a%2Fb` and `a/b` stay apart.
        (true, true) if raw.contains('/') => Decoding::All,
        (true, true) => Decoding::KeepSlash,
    }
}

pub(super) fn bad_body(error: &ReadError) -> Fault {
    let fault = Fault::invalid_argument(error.kind.reason(), error.to_string());
    if error.path.is_empty() { fault } else { fault.at(error.path.clone()) }
}
