//! Random messages: bytes to JSON and JSON to bytes come to the same in both implementations.

use proptest::prelude::*;

use super::SCHEMA;
use super::both::Both;
use super::descriptors::random_set;

const MESSAGES: [&str; 4] = ["ed.All", "ed24.Box", "ed.Needs", "ed.Inner"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn messages_of_the_committed_schema(seed in any::<u64>(), name in prop::sample::select(&MESSAGES[..])) {
        SCHEMA.same_json(name, seed)?;
        SCHEMA.same_bytes(name, seed)?;
    }
}

proptest! {
    // Loading takes its time.
    #![proptest_config(ProptestConfig {
        cases: ProptestConfig::default(). cases / 8,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn messages_of_random_schemas(schema in any::<u64>(), seeds in prop::array::uniform8(any::<u64>())) {
        let both = Both::new(&random_set(schema));
        for seed in seeds {
            for name in ["r.M0", "r.M1", "r.M2"] {
                both.same_json(name, seed)?;
                both.same_bytes(name, seed)?;
            }
        }
    }
}
