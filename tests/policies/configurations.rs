//! The configurations that the documentation prints work as printed.

use std::path::Path;

use transom::{config, server};

/// The blocks of YAML in a document, each with the name that a comment in its first line gives to it as a file.
fn blocks(document: &str) -> Vec<(Option<String>, String)> {
    let parts = document.split("```yaml\n").skip(1);
    let blocks = parts.map(|part| part.split("```").next().unwrap_or_default().to_owned());
    blocks
        .map(|block| {
            let name = block.lines().next().and_then(|line| line.strip_prefix("# ")).map(str::to_owned);
            (name.filter(|name| name.ends_with(".yaml")), block)
        })
        .collect()
}

#[test]
fn what_is_printed_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(root.join("descriptors/bookstore.binpb"), folder.path().join("bookstore.binpb")).unwrap();
    let document = std::fs::read_to_string(root.join("docs/authorization.md")).unwrap();
    let blocks = blocks(&document);
    for (name, block) in &blocks {
        if let Some(name) = name {
            std::fs::write(folder.path().join(name), block).unwrap();
        }
    }
    let (settings, warnings) =
        config::load(&folder.path().join("transom.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(warnings.to_string(), "");
    let (_, warnings) = server::compile(&settings).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(warnings.to_string(), "");
    // Each of the others is a rule, or several, in the place of those of the whole.
    let whole = std::fs::read_to_string(folder.path().join("transom.yaml")).unwrap();
    let (start, _) = whole.split_once("rules:\n").expect("it has rules");
    let mut fragments = 0;
    for (_, block) in blocks.iter().filter(|(name, _)| name.is_none()) {
        assert!(block.starts_with("rules:\n"), "{block}");
        let yaml = format!("{start}{block}");
        let (settings, _) = config::parse(&yaml, &folder.path().join("transom.yaml"))
            .unwrap_or_else(|problems| panic!("{problems}"));
        server::compile(&settings).unwrap_or_else(|problems| panic!("{problems}"));
        fragments += 1;
    }
    assert!(fragments >= 4, "{fragments}");
}

#[test]
fn what_the_readme_shows_loads() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &str| std::fs::read_to_string(root.join(path)).unwrap();
    let named = |document: &str, name: &str| {
        let found = blocks(document).into_iter().find(|(own, _)| own.as_deref() == Some(name));
        found.unwrap_or_else(|| panic!("there is no {name}")).1
    };
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("descriptors")).unwrap();
    let descriptors = "descriptors/bookstore.binpb";
    std::fs::copy(root.join(descriptors), folder.path().join(descriptors)).unwrap();
    std::fs::write(folder.path().join("keys.yaml"), named(&read("docs/authorization.md"), "keys.yaml"))
        .unwrap();
    let file = folder.path().join("policies.yaml");
    std::fs::write(&file, named(&read("README.md"), "policies.yaml")).unwrap();
    let (settings, warnings) = config::load(&file).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(warnings.to_string(), "");
    let (_, warnings) = server::compile(&settings).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(warnings.to_string(), "");
}
