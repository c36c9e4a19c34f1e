//! The command line: `transom serve`, `transom check`, `transom routes`, `transom key new`.
//!
//! Before the way of any request. Each command turns its flags into the same settings that a configuration file gives,
//! prints every problem that there is, and ends with 0 (all is well), 1 (problems in what it was given) or 2 (wrong usage);
//! `check --against` has two more.

pub mod against;
pub mod check;
pub mod flags;
pub mod key;
pub mod report;
pub mod routes;
pub mod serve;

use clap::{Parser, Subcommand};

use flags::{CheckFlags, GatewayFlags, RoutesFlags};
use key::KeyCommand;

/// A gRPC-first API gateway: REST and JSON clients reach gRPC backends, by the HTTP rules in their descriptors.
#[derive(Debug, Parser)]
#[command(name = "transom", version, arg_required_else_help = true, after_help = EXAMPLES)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

const EXAMPLES: &str = "\
Examples:
  protoc -I proto --include_imports --descriptor_set_out=api.binpb proto/shop/v1/*.proto
  transom routes --descriptors api.binpb
  transom serve --descriptors api.binpb --upstream http://127.0.0.1:50051
  transom check --config transom.yaml && transom serve --config transom.yaml

Exit status: 0 all is well, 1 problems in what was given, 2 wrong usage.";

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the gateway
    ///
    /// A configuration file says all, or flags alone do. SIGTERM ends it once the calls that are under way are done.
    #[command(arg_required_else_help = true, after_help = SERVE_EXAMPLES)]
    Serve(GatewayFlags),
    /// Finds every problem in the configuration, the schema and the rules
    ///
    /// Takes what `serve` takes and prints each problem with its place, without serving anything. With `--against` it says
    /// what clients of an older schema or configuration will meet.
    #[command(arg_required_else_help = true, after_help = CHECK_EXAMPLES)]
    Check(CheckFlags),
    /// Prints the HTTP routes of the schema
    ///
    /// That is, which HTTP method and path reaches which RPC. Needs the schema only, no upstream.
    #[command(arg_required_else_help = true, after_help = ROUTES_EXAMPLES)]
    Routes(RoutesFlags),
    /// Makes API keys
    #[command(subcommand, arg_required_else_help = true)]
    Key(KeyCommand),
}

const SERVE_EXAMPLES: &str = "\
Examples:
  transom serve --config transom.yaml
  transom serve --descriptors api.binpb --upstream http://127.0.0.1:50051
  transom serve --reflect --upstream http://127.0.0.1:50051
  transom serve --proto proto/ --listen 0.0.0.0:8080 --admin 127.0.0.1:9090 \\
      --upstream http://10.0.0.1:50051 --upstream http://10.0.0.2:50051 \\
      --upstream 'shop.v1.Orders/*=https://orders.internal:443'";

const CHECK_EXAMPLES: &str = "\
Examples:
  transom check --config transom.yaml
  transom check --descriptors api.binpb --upstream http://127.0.0.1:50051
  transom check --config transom.yaml --against api-of-last-week.binpb
  transom check --config transom.yaml --against ../deployed/transom.yaml --json

Exit status: 0 no errors, 1 errors, 2 wrong usage. With `--against`, also: 3 what may surprise clients, 4 what breaks them.";

const ROUTES_EXAMPLES: &str = "\
Examples:
  transom routes --config transom.yaml
  transom routes --descriptors api.binpb --service 'shop.v1.*'
  transom routes --reflect --upstream http://127.0.0.1:50051
  transom routes --proto proto/ --json | jq -r '.[].template'";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn usage() {
        for (line, good) in [
            ("serve --config a.yaml", true),
            ("serve --descriptors a --descriptors b --upstream http://h:1", true),
            ("check --proto a -I b --upstream http://h:1", true),
            ("serve --reflect --upstream http://h:1", true),
            ("serve --reflect --reflect-every 30s --upstream http://h:1", true),
            ("routes --reflect --upstream http://h:1", true),
            ("check --config a.yaml --against b.yaml --json", true),
            ("check --descriptors a --upstream http://h:1 --against b.binpb", true),
            ("check --config a.yaml --json", false),
            ("serve --config a.yaml --against b.yaml", false),
            ("routes --descriptors a --json", true),
            ("routes --config a.yaml --json", true),
            // The file says all; which of the two would stand?
            ("serve --config a.yaml --descriptors a", false),
            ("serve --config a.yaml --upstream http://h:1", false),
            ("serve --config a.yaml --listen 127.0.0.1:1", false),
            ("serve --config a.yaml --default-bindings", false),
            ("routes --config a.yaml --proto a", false),
            ("serve --import a --descriptors a", false),
            ("routes --descriptors a --upstream http://h:1", false),
            ("serve --descriptors a --upstream http://h:1 --reflect-every 30s", false),
            ("serve --config a.yaml --reflect", false),
            ("key new --owner a --scopes b,c --tier d --expires 90d", true),
            ("key new --scopes b", false),
            ("key", false),
            ("serve", false),
            ("", false),
            ("sevre --config a.yaml", false),
        ] {
            let words = std::iter::once("transom").chain(line.split_ascii_whitespace());
            let result = Cli::try_parse_from(words);
            assert_eq!(result.is_ok(), good, "{line}: {result:?}");
            if let Err(error) = result {
                assert_eq!(error.exit_code(), 2, "{line}");
            }
        }
    }
}
