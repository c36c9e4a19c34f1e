//! Compiles `proto/` at build time, without protoc.
//!
//! Into `OUT_DIR` go: `builtin.binpb`, the google.api and google.rpc files (with what they import)
//! that the schema room always knows; `introspection.binpb` and `introspection.rs`, gRPC's services of
//! health and reflection and the Rust servers for them; `bookstore.binpb`, the example API with imports
//! and source info; and `api.rs`, the example's Rust client and server, included by examples and tests
//! only.

use std::error::Error;
use std::path::{Path, PathBuf};

use protox::Compiler;

const ROOT: &str = "proto";

/// The files every schema may import without bringing them along.
const BUILTIN: [&str; 7] = [
    "google/api/annotations.proto",
    "google/api/field_behavior.proto",
    "google/api/http.proto",
    "google/api/httpbody.proto",
    "google/rpc/code.proto",
    "google/rpc/error_details.proto",
    "google/rpc/status.proto",
];

/// The services that the gateway answers itself.
const INTROSPECTION: [&str; 3] = [
    "grpc/health/v1/health.proto",
    "grpc/reflection/v1/reflection.proto",
    "grpc/reflection/v1alpha/reflection.proto",
];

/// The roots of the example API. The error details are named because nothing imports them: they
/// travel inside `Any`.
const BOOKSTORE: [&str; 3] =
    ["bookstore/v1/bookstore.proto", "bookstore/v1/reading_room.proto", "google/rpc/error_details.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed={ROOT}");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    compile(&BUILTIN, &out.join("builtin.binpb"))?;
    let introspection = compile(&INTROSPECTION, &out.join("introspection.binpb"))?;
    // The two versions of reflection differ in the name of their package only.
    tonic_prost_build::configure()
        .include_file("introspection.rs")
        .build_client(false)
        .btree_map(".")
        .bytes(".")
        .extern_path(".grpc.reflection.v1alpha", "crate::introspection::proto::grpc::reflection::v1")
        .compile_fds(introspection.file_descriptor_set())?;

    let bookstore = compile(&BOOKSTORE, &out.join("bookstore.binpb"))?;

    tonic_prost_build::configure()
        .include_file("api.rs")
        .btree_map(".")
        .compile_fds(bookstore.file_descriptor_set())?;
    Ok(())
}

/// Compiles `files` and writes their set, in protox's own encoding: the one that keeps extension
/// options such as `google.api.http`, which prost's types would drop.
fn compile(files: &[&str], to: &Path) -> Result<Compiler, Box<dyn Error>> {
    let mut compiler = Compiler::new([ROOT])?;
    compiler.include_imports(true).include_source_info(true);
    compiler.open_files(files)?;
    std::fs::write(to, compiler.encode_file_descriptor_set())?;
    Ok(compiler)
}
