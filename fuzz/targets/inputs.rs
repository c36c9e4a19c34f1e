//! What an operator gives: configuration, service configurations, descriptor sets.

use std::path::Path;
use std::sync::LazyLock;

use tempfile::TempDir;
use transom::codec::PlanSet;
use transom::problem::Problems;
use transom::schema::{self, SchemaSettings};

/// Every report can be printed.
fn print(problems: &Problems) {
    assert!(problems.iter().all(|problem| !problem.render(false).is_empty()));
}

/// A configuration. File names in it lead nowhere.
pub(super) fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    match transom::config::parse(text, Path::new("/nowhere/transom.yaml")) {
        Ok((settings, problems)) => {
            print(&problems);
            assert!(!settings.listeners.is_empty() && !settings.upstreams.is_empty());
        }
        Err(problems) => print(&problems),
    }
}

static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder for the input");
    std::fs::write(folder.path().join("api.proto"), SOURCE).expect("the folder can be written");
    folder
});

const SOURCE: &str = r#"
syntax = "proto3";
package a;
message M { string x = 1; M m = 2; repeated int32 n = 3; }
service S { rpc One(M) returns (M); rpc Two(M) returns (stream M); }
"#;

fn load(settings: &SchemaSettings) {
    match schema::load(settings, &[]) {
        Ok((schema, problems)) => {
            print(&problems);
            let plans = PlanSet::compile(&schema.pool);
            for method in &schema.methods {
                assert!(plans.message(method.input().full_name()).is_some());
            }
        }
        Err(problems) => print(&problems),
    }
}

/// A service configuration over a small schema.
pub(super) fn service_config(data: &[u8]) {
    let folder = FOLDER.path();
    let file = folder.join("service.yaml");
    std::fs::write(&file, data).expect("the folder can be written");
    load(&SchemaSettings {
        protos: vec![folder.join("api.proto").display().to_string()],
        http_rules: vec![file],
        ..SchemaSettings::default()
    });
}

/// A descriptor set.
pub(super) fn descriptors(data: &[u8]) {
    let file = FOLDER.path().join("set.binpb");
    std::fs::write(&file, data).expect("the folder can be written");
    load(&SchemaSettings {
        descriptors: vec![file.display().to_string()],
        default_bindings: true,
        ..SchemaSettings::default()
    });
}
