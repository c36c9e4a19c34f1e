//! A whole gateway: each payload goes over sockets, from a client of HTTP to a backend of gRPC or back.

use std::error::Error;

use transom::config::Settings;
use transom::server::{self, Running};

use super::backend::Backend;
use super::support::{Http2, Reply};
use super::{Refusal, Testee};

/// A running gateway with two listeners: one refuses unknown members of JSON, the other ignores them.
pub struct Gateway {
    strict: Http2,
    lenient: Http2,
    backend: Backend,
    _running: Running,
}

impl Gateway {
    /// Starts the gateway in front of `backend`, with two listeners in this order: strict, lenient.
    pub fn start(settings: &Settings, backend: Backend) -> Result<Self, Box<dyn Error>> {
        let (running, _) = server::start(settings)?;
        let [(_, strict), (_, lenient)] = running.listeners()[..] else {
            return Err("there are not two listeners".into());
        };
        Ok(Self {
            strict: Http2::connect(strict),
            lenient: Http2::connect(lenient),
            backend,
            _running: running,
        })
    }
}

impl Testee for Gateway {
    fn to_wire(&mut self, message_type: &str, json: &str, ignore_unknown: bool) -> Result<Vec<u8>, Refusal> {
        self.backend.answer_with(&[]);
        let client = if ignore_unknown { &mut self.lenient } else { &mut self.strict };
        let reply = post(client, message_type, json);
        let came = self.backend.came();
        match (reply.status, came) {
            (200, Some(message)) => Ok(message),
            (400, None) => Err(Refusal::Parse(text(&reply))),
            (status, came) => {
                Err(Refusal::Broken(format!("status {status}, at the backend {came:?}: {}", text(&reply))))
            }
        }
    }

    fn to_json(&mut self, message_type: &str, wire: &[u8]) -> Result<String, Refusal> {
        self.backend.answer_with(wire);
        let reply = post(&mut self.strict, message_type, "{}");
        if reply.status == 200 {
            return String::from_utf8(reply.body).map_err(|error| Refusal::Broken(error.to_string()));
        }
        let said = text(&reply);
        Err(match (reply.status, reply.reason().as_str()) {
            (500, "UNREADABLE_REPLY") => Refusal::Parse(said),
            (500, "REPLY_WITHOUT_JSON") => Refusal::Serialize(said),
            (status, _) => Refusal::Broken(format!("status {status}: {said}")),
        })
    }
}

fn post(client: &mut Http2, message_type: &str, json: &str) -> Reply {
    client.call("POST", &format!("/{message_type}"), &[("content-type", "application/json")], json.as_bytes())
}

fn text(reply: &Reply) -> String {
    String::from_utf8_lossy(&reply.body).into_owned()
}
