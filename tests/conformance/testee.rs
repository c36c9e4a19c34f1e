//! The program that the official conformance suite of protobuf tests: transom's codec, or a whole gateway around it.
//! `just conformance` runs both; docs/conformance.md tells more.
//!
//! Usage: conformance codec|gateway FOLDER, where FOLDER is what tests/conformance/fetch has filled.

#[path = "../support/mod.rs"]
mod support;

mod backend;
mod codec;
mod gateway;
mod oracle;
mod protocol;

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use transom::config::{self, Settings};
use transom::problem::Problems;

use backend::Backend;
use codec::Codec;
use gateway::Gateway;
use oracle::Oracle;
use protocol::{Category, Format, Input, Outcome, Request, Response};

/// Why a payload has no answer.
pub enum Refusal {
    /// It is no message of its type.
    Parse(String),
    /// It is one, but JSON cannot express it.
    Serialize(String),
    /// The test itself could not be run.
    Broken(String),
}

impl Refusal {
    /// Of a payload that the testee has written itself: it never is the test's own fault.
    fn of_own(self) -> Self {
        match self {
            Self::Parse(why) => Self::Broken(format!("refused what it had written: {why}")),
            Self::Serialize(_) | Self::Broken(_) => self,
        }
    }
}

/// What is tested: both directions between the wire format and JSON.
pub trait Testee {
    fn to_wire(&mut self, message_type: &str, json: &str, ignore_unknown: bool) -> Result<Vec<u8>, Refusal>;
    fn to_json(&mut self, message_type: &str, wire: &[u8]) -> Result<String, Refusal>;
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [mode, folder] = arguments.as_slice() else {
        return Err("usage: conformance codec|gateway FOLDER".into());
    };
    let backend = Backend::start()?;
    let settings = settings(Path::new(folder), backend.address)?;
    let (schema, _) = transom::schema::load(&settings.schema, &[])?;
    let oracle = Oracle::new(&schema);
    let mut testee: Box<dyn Testee> = match mode.as_str() {
        "codec" => Box::new(Codec::new(&schema)),
        "gateway" => Box::new(Gateway::start(&settings, backend)?),
        _ => return Err(format!("`{mode}` is neither `codec` nor `gateway`").into()),
    };
    let (mut from, mut to) = (io::stdin().lock(), io::stdout().lock());
    while let Some(request) = protocol::receive(&mut from)? {
        let outcome = run(&mut *testee, &oracle, request);
        protocol::send(&mut to, &Response { outcome: Some(outcome) })?;
    }
    Ok(())
}

/// The suite's messages: proto2 and proto3 from their sources, editions as protoc has compiled them.
fn settings(folder: &Path, backend: SocketAddr) -> Result<Settings, Problems> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let configuration = format!(
        "listeners:\n\
         \x20 strict: {{ address: '127.0.0.1:0' }}\n\
         \x20 lenient: {{ address: '127.0.0.1:0', request: {{ unknown_members: ignore }} }}\n\
         schema:\n\
         \x20 descriptors: [editions.binpb]\n\
         \x20 protos: ['{own}/classic.proto']\n\
         \x20 imports: ['{own}', 'include']\n\
         upstreams: {{ echo: {{ endpoints: ['http://{backend}'] }} }}\n\
         access_log: off\nworkers: 1\ndrain: 0s\n",
        own = own.display(),
    );
    let (settings, _) = config::parse(&configuration, &folder.join("conformance.yaml"))?;
    Ok(settings)
}

fn run(testee: &mut dyn Testee, oracle: &Oracle, request: Request) -> Outcome {
    // The runner begins by asking which failures it should expect: none.
    if request.message_type == "conformance.FailureSet" {
        return Outcome::Protobuf(Vec::new());
    }
    let message_type = request.message_type.as_str();
    let ignore_unknown = request.category == Category::JsonIgnoreUnknown as i32;
    let result = match (request.input, Format::try_from(request.output)) {
        (Some(Input::Json(json)), Ok(Format::Protobuf)) => {
            testee.to_wire(message_type, &json, ignore_unknown).map(Outcome::Protobuf)
        }
        (Some(Input::Json(json)), Ok(Format::Json)) => testee
            .to_wire(message_type, &json, ignore_unknown)
            .and_then(|wire| testee.to_json(message_type, &wire).map_err(Refusal::of_own).map(Outcome::Json)),
        (Some(Input::Protobuf(wire)), Ok(Format::Json)) => {
            testee.to_json(message_type, &wire).map(Outcome::Json)
        }
        (Some(Input::Protobuf(wire)), Ok(Format::Protobuf)) => {
            let json = testee.to_json(message_type, &wire);
            if json.is_ok() && oracle.has_unknown(message_type, &wire) {
                return Outcome::Skipped("JSON has no place for unknown fields".to_owned());
            }
            json.and_then(|json| {
                let wire = testee.to_wire(message_type, &json, ignore_unknown);
                wire.map_err(Refusal::of_own).map(Outcome::Protobuf)
            })
        }
        _ => return Outcome::Skipped("there are only the wire format and JSON".to_owned()),
    };
    result.unwrap_or_else(|refusal| match refusal {
        Refusal::Parse(why) => Outcome::ParseError(why),
        Refusal::Serialize(why) => Outcome::SerializeError(why),
        Refusal::Broken(why) => Outcome::RuntimeError(why),
    })
}
