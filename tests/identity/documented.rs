//! The configurations in docs/identity.md work as they are printed.

use crate::mint::{Mint, SECRET};
use crate::support::Authority;
use transom::config;

#[test]
fn what_is_printed_can_be_loaded() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("keys.json"), Mint::new().key_set(&["ES256"]).to_string())
        .expect("a file");
    std::fs::write(folder.path().join("secret.txt"), SECRET).expect("a file");
    std::fs::write(folder.path().join("keys.yaml"), "keys: {}").expect("a file");
    let authority = Authority::new();
    let signed = authority.sign(&["gateway.test"]);
    for (name, text) in [("tls.crt", &signed.cert), ("tls.key", &signed.key), ("clients.pem", &authority.pem)]
    {
        std::fs::write(folder.path().join(name), text).expect("a file");
    }
    let descriptors = concat!(env!("CARGO_MANIFEST_DIR"), "/descriptors/bookstore.binpb");
    let text = include_str!("../../docs/identity.md");
    let printed: Vec<&str> =
        text.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(printed.len(), 6);
    for printed in printed {
        let mut yaml = format!(
            "schema: {{ descriptors: '{descriptors}' }}\nupstreams: {{ main: {{ endpoints: 'http://127.0.0.1:1' }} }}\n{printed}"
        );
        if !yaml.contains("listeners:") {
            yaml.push_str("listeners: { public: { address: '127.0.0.1:0' } }\n");
        }
        let (settings, warnings) = config::parse(&yaml, &folder.path().join("transom.yaml"))
            .unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
        assert!(warnings.is_empty(), "{warnings}");
        transom::server::compile(&settings).unwrap_or_else(|problems| panic!("{problems}\n{yaml}"));
    }
}
