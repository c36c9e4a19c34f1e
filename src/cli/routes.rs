//! `transom routes`: which HTTP method and path reaches which RPC.

use std::fmt::Write;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::flags::{self, RoutesFlags, SchemaSources};
use super::report;
use crate::problem::{Problem, Problems};
use crate::schema::{BodyRule, Schema};
use crate::server;

/// Prints the routes as a table, or as JSON.
#[must_use]
pub fn run(flags: &RoutesFlags) -> ExitCode {
    report::or_exit(flags::schema(flags), |sources, warnings| print(&sources, warnings, flags.json))
}

fn print(sources: &SchemaSources, mut problems: Problems, as_json: bool) -> ExitCode {
    match server::load_schema(&sources.schema, &sources.upstreams) {
        Ok((schema, warnings)) => {
            problems.extend(warnings);
            problems.extend(unbound(&schema));
            report::print(&problems);
            let routes = routes(&schema);
            report::output(if as_json { as_array(&routes) } else { table(&routes) })
        }
        Err(errors) => {
            problems.extend(errors);
            report::failed(&problems)
        }
    }
}

/// A warning about methods that have no row in the table.
fn unbound(schema: &Schema) -> Problems {
    let mut bound = vec![false; schema.methods.len()];
    for binding in &schema.bindings {
        if let Some(bound) = bound.get_mut(binding.method) {
            *bound = true;
        }
    }
    let names: Vec<&str> = (schema.methods.iter().zip(&bound))
        .filter(|(_, bound)| !**bound)
        .map(|(method, _)| method.path.trim_start_matches('/'))
        .collect();
    let Some(first) = names.first() else { return Problems::new() };
    let what = match names.len() - 1 {
        0 => format!("`{first}` has no HTTP rule, so no route"),
        others => format!("`{first}` and {others} more have no HTTP rule, so no route"),
    };
    Problem::warning(what).help("`--default-bindings` gives such methods `POST /pkg.Service/Method`").into()
}

/// How many messages go each way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Streaming {
    None,
    Server,
    Client,
    Both,
}

impl Streaming {
    fn of(client: bool, server: bool) -> Self {
        match (client, server) {
            (false, false) => Self::None,
            (false, true) => Self::Server,
            (true, false) => Self::Client,
            (true, true) => Self::Both,
        }
    }

    fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Server => Some("server"),
            Self::Client => Some("client"),
            Self::Both => Some("bidi"),
        }
    }
}

/// One row.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    template: String,
    http_method: String,
    /// `pkg.Service/Method`, as the rules of a configuration have it.
    rpc: String,
    /// `*`, a field's name, or none.
    body: Option<String>,
    streaming: Streaming,
}

fn routes(schema: &Schema) -> Vec<Route> {
    let mut routes: Vec<Route> = (schema.bindings.iter())
        .filter_map(|binding| {
            let method = schema.methods.get(binding.method)?;
            Some(Route {
                template: binding.template.to_string(),
                http_method: binding.http_method.to_string(),
                rpc: method.path.trim_start_matches('/').to_owned(),
                body: match &binding.body {
                    BodyRule::None => None,
                    BodyRule::Whole => Some("*".to_owned()),
                    BodyRule::Field(field) => Some(field.name().to_owned()),
                },
                streaming: Streaming::of(method.client_streaming, method.server_streaming),
            })
        })
        .collect();
    routes.sort_by(|left, right| {
        (&left.template, &left.http_method, &left.rpc).cmp(&(&right.template, &right.http_method, &right.rpc))
    });
    routes
}

/// The routes under a head, each column as wide as its widest cell.
fn table(routes: &[Route]) -> String {
    let mut rows = vec![["METHOD", "TEMPLATE", "RPC", "BODY", "STREAMING"]];
    rows.extend(routes.iter().map(|route| {
        let body = route.body.as_deref().unwrap_or("-");
        [&*route.http_method, &*route.template, &*route.rpc, body, route.streaming.name().unwrap_or("-")]
    }));
    let mut widths = [0; 5];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(widths) {
            // Writing to a string doesn't fail.
            let _ = write!(line, "{cell:<width$}  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn as_array(routes: &[Route]) -> String {
    let objects = routes.iter().map(|route| {
        json!({
            "method": route.http_method,
            "template": route.template,
            "rpc": route.rpc,
            "body": route.body,
            "streaming": route.streaming.name(),
        })
    });
    format!("{:#}\n", Value::Array(objects.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(http_method: &str, template: &str, body: Option<&str>, client: bool, server: bool) -> Route {
        Route {
            template: template.to_owned(),
            http_method: http_method.to_owned(),
            rpc: "a.B/C".to_owned(),
            body: body.map(str::to_owned),
            streaming: Streaming::of(client, server),
        }
    }

    #[test]
    fn columns_are_aligned_and_lines_have_no_blanks_at_their_ends() {
        let routes = [
            route("DELETE", "/v1/{name=shelves/*}", None, false, false),
            route("POST", "/v1/é", Some("book"), true, true),
        ];
        let want = "\
METHOD  TEMPLATE              RPC    BODY  STREAMING
DELETE  /v1/{name=shelves/*}  a.B/C  -     -
POST    /v1/é                 a.B/C  book  bidi
";
        assert_eq!(table(&routes), want);
    }

    #[test]
    fn no_routes_are_a_head_or_an_empty_array() {
        assert_eq!(table(&[]), "METHOD  TEMPLATE  RPC  BODY  STREAMING\n");
        assert_eq!(as_array(&[]), "[]\n");
    }

    #[test]
    fn json_has_null_for_nothing() {
        let text =
            as_array(&[route("GET", "/v1", None, false, false), route("GET", "/v2", Some("*"), false, true)]);
        let value: Value = serde_json::from_str(&text).expect("it is JSON");
        let want = json!([
            {"method": "GET", "template": "/v1", "rpc": "a.B/C", "body": null, "streaming": null},
            {"method": "GET", "template": "/v2", "rpc": "a.B/C", "body": "*", "streaming": "server"},
        ]);
        assert_eq!(value, want);
    }
}
