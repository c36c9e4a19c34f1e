# One word for each habit; `just` alone lists them.

_list:
    @just --list --unsorted

# Format the code
fmt:
    cargo fmt

# Everything a reviewer would not want to say
lint:
    cargo fmt --check
    cargo clippy --all-targets -- -D warnings

# All tests
test:
    cargo test

# The official conformance suite of protobuf, on the codec and through a gateway; fetches it the first time
conformance:
    tests/conformance/run

# All benchmarks
bench:
    cargo bench

# The documentation of the crate, warnings refused
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Renew descriptors/ after a change of proto/
descriptors:
    TRANSOM_UPDATE=1 cargo test --test descriptors committed_set_is_fresh

# The long way: many more random cases, ignored tests too
nightly:
    PROPTEST_CASES=20000 cargo test --release -- --include-ignored

# What has to pass before a change goes in
ci:
    .ci/run
