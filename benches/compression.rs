//! What it takes to pack and unpack an answer, by coding, level and size. Throughput is in bytes of JSON.

use bytes::Bytes;
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use transom::protocol::compression::{Coding, Level, compress, decompress};

fn main() {
    divan::main();
}

/// A list of books of so many bytes, the same each time.
fn books(size: usize) -> Vec<u8> {
    const WORDS: [&str; 12] =
        ["river", "stone", "of", "and", "light", "garden", "winter", "history", "night", "glass", "a", "the"];
    let mut state = 1_u32;
    let mut draw = |choices: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % choices
    };
    let mut out = Vec::with_capacity(size + 200);
    while out.len() < size {
        let words = 3 + draw(5);
        let title: Vec<&str> = (0..words).map(|_| WORDS[draw(12) as usize]).collect();
        let book = format!(
            "{{\"name\":\"shelves/{}/books/{:x}\",\"title\":\"{}\",\"price\":{{\"units\":\"{}\",\"nanos\":{}}},\
             \"createTime\":\"2026-01-{:02}T{:02}:00:00Z\"}},",
            draw(50),
            draw(1 << 24),
            title.join(" "),
            draw(90),
            draw(1_000_000),
            draw(28) + 1,
            draw(24),
        );
        out.extend_from_slice(book.as_bytes());
    }
    out.truncate(size);
    out
}

const SIZES: [usize; 2] = [2_000, 100_000];
const LEVELS: [Level; 3] = [Level::Fast, Level::Balanced, Level::Small];

/// Every size with every level.
fn cases() -> impl Iterator<Item = (usize, Level)> {
    SIZES.into_iter().flat_map(|size| LEVELS.map(|level| (size, level)))
}

fn pack(bencher: Bencher<'_, '_>, coding: Coding, (size, level): (usize, Level)) {
    let data = books(size);
    let bencher = bencher.counter(BytesCount::new(size));
    bencher.bench(|| compress(coding, level, black_box(&data)).expect("there is memory"));
}

fn unpack(bencher: Bencher<'_, '_>, coding: Coding, size: usize) {
    let packed = Bytes::from(compress(coding, Level::Balanced, &books(size)).expect("there is memory"));
    let bencher = bencher.counter(BytesCount::new(size));
    bencher.bench(|| decompress(coding, black_box(packed.clone()), size).expect("it is whole"));
}

#[divan::bench(args = cases())]
fn pack_gzip(bencher: Bencher<'_, '_>, case: (usize, Level)) {
    pack(bencher, Coding::Gzip, case);
}

#[divan::bench(args = cases())]
fn pack_br(bencher: Bencher<'_, '_>, case: (usize, Level)) {
    pack(bencher, Coding::Br, case);
}

#[divan::bench(args = cases())]
fn pack_zstd(bencher: Bencher<'_, '_>, case: (usize, Level)) {
    pack(bencher, Coding::Zstd, case);
}

#[divan::bench(args = SIZES)]
fn unpack_gzip(bencher: Bencher<'_, '_>, size: usize) {
    unpack(bencher, Coding::Gzip, size);
}

#[divan::bench(args = SIZES)]
fn unpack_br(bencher: Bencher<'_, '_>, size: usize) {
    unpack(bencher, Coding::Br, size);
}

#[divan::bench(args = SIZES)]
fn unpack_zstd(bencher: Bencher<'_, '_>, size: usize) {
    unpack(bencher, Coding::Zstd, size);
}
