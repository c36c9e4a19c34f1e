//! The configurations in docs/limits.md work as they are printed.

use std::path::Path;

use transom::config;

#[test]
fn configurations_work_as_printed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("docs/limits.md")).expect("it is there");
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 5, "{}", blocks.len());
    for block in blocks {
        // The descriptors and the password that they name are not there, and need not be to read them.
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("redis.password"), "secret\n").unwrap();
        std::fs::copy(root.join("descriptors/bookstore.binpb"), folder.path().join("bookstore.binpb"))
            .unwrap();
        let file = folder.path().join("transom.yaml");
        std::fs::write(&file, block).unwrap();
        let (settings, warnings) =
            config::load(&file).unwrap_or_else(|problems| panic!("{block}\n{problems}"));
        assert!(warnings.is_empty(), "{block}\n{warnings}");
        let compiled = transom::server::compile(&settings);
        assert!(compiled.is_ok(), "{block}\n{}", compiled.err().unwrap());
    }
}
