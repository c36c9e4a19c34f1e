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

# The clients of others that tests call the gateway with; without them those tests are skipped
clients:
    tests/clients/install

# The official conformance suite of protobuf, on the codec and through a gateway; fetches it the first time
conformance:
    tests/conformance/run

# The Connect conformance suite, on the gateway; gets it by Go the first time
connect-conformance:
    tests/connect_conformance/run

# All benchmarks
bench:
    cargo bench

# The documentation of the crate, warnings refused
docs:
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --document-private-items

# Renew descriptors/ after a change of proto/
descriptors:
    TRANSOM_UPDATE=1 cargo test --test descriptors committed_set_is_fresh

# The long way: many more random cases, ignored tests too, and ten minutes of fuzzing for each target
nightly: && (fuzz-all "600")
    PROPTEST_CASES=20000 cargo test --release -- --include-ignored

# Run one fuzz target for so many seconds
fuzz target seconds:
    TRANSOM_CORPORA=unpack cargo test --test fuzz_corpora corpora_on_disk
    cargo +nightly fuzz run -s none {{target}} fuzz/corpus/{{target}} fuzz/seeds/{{target}} -- \
        -max_total_time={{seconds}} -timeout=10 -max_len=16384

# Run every fuzz target for so many seconds
fuzz-all seconds:
    for target in fuzz/seeds/*; do just fuzz "$(basename "$target")" {{seconds}} || exit 1; done

# Minimize what the fuzzers have found, and keep it in fuzz/corpora
fuzz-keep:
    for target in fuzz/seeds/*; do cargo +nightly fuzz cmin -s none "$(basename "$target")" || exit 1; done
    TRANSOM_CORPORA=pack cargo test --test fuzz_corpora corpora_on_disk

# What the codec costs, by hostile inputs and by kinds of fields; by instructions (needs valgrind)
tables:
    cargo bench --bench tables

instructions:
    cargo bench --bench tables -- instructions

# What has to pass before a change goes in
ci:
    .ci/run
