//! Python's official gRPC client: all kinds of calls, metadata, errors with their details, deadlines, cancellation and gzip,
//! plain and by TLS. `clients/grpc_python.py` has what it does. Needs what `clients/install` installs: without it the test
//! says that it was skipped, and fails where `CI` is set.

#[path = "../examples/bookstore/backend.rs"]
mod backend;
mod clients;
mod support;

use std::path::Path;
use std::process::Command;

use clients::{Place, Program, program, run};

/// The calls that the script leaves, or lets run into their deadline, on one of two listeners.
const LEFT: usize = 3 + 4;

#[test]
fn grpcio_calls_through_the_gateway() {
    let Some(python) = program(Program::Python) else { return };
    let place = Place::new("");
    let mut command = Command::new(python);
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients/grpc_python.py"));
    command.arg(place.told().to_string());
    let said = run(command);
    assert!(said.ends_with("checks went well\n"), "{said}");
    place.wait_left(2 * LEFT);
}
