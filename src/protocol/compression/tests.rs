//! Packing and unpacking, at every split and against hostile data.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;

/// As gzip, node's Brotli and zstd pack it.
const TEXT: &[u8] = b"hello, hello, hello, world\n";
const GOLDEN: &[(Coding, &str)] = &[
    (Coding::Gzip, "1f8b0800000000000203cb48cdc9c9d751c840a1caf38b7252b800c370a3c21b000000"),
    (Coding::Br, "1b1a00f88d946ede44095286d60a2c6c6f721045e4a9045038578b01"),
    (Coding::Zstd, "28b52ffd04589d00006868656c6c6f2c20776f726c640a0100928b118a96f40b"),
];

const LEVELS: [Level; 3] = [Level::Fast, Level::Balanced, Level::Small];

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn packed(coding: Coding, data: &[u8]) -> Vec<u8> {
    compress(coding, Level::Balanced, data).unwrap()
}

/// Unpacks pieces that come one after the other, as a stream does.
fn unpacked<'d>(
    coding: Coding,
    allowance: Allowance,
    pieces: impl IntoIterator<Item = &'d [u8]>,
) -> Result<Vec<u8>, UnpackError> {
    let mut decoder = Decoder::new(coding, allowance)?;
    let mut out = Vec::new();
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        while let Some(block) = decoder.pull()? {
            assert!(block.len() <= decoder::BLOCK);
            out.extend_from_slice(&block);
        }
    }
    decoder.finish()?;
    Ok(out)
}

fn at_once(coding: Coding, data: &[u8], max: usize) -> Result<Bytes, UnpackError> {
    decompress(coding, Bytes::copy_from_slice(data), max)
}

/// Text that packs about as well as JSON does, and the same each time.
fn text(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let mut out = Vec::new();
    while out.len() < length {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        out.extend_from_slice(format!("{{\"id\":\"{state:08x}\",\"title\":\"A book\"}},").as_bytes());
    }
    out.truncate(length);
    out
}

#[test]
fn reads_what_others_pack() {
    for (coding, hex) in GOLDEN {
        assert_eq!(at_once(*coding, &bytes_of(hex), 1000).unwrap(), TEXT, "{coding:?}");
    }
}

#[test]
fn every_split_gives_the_same() {
    let golden = GOLDEN.iter().map(|(coding, hex)| (*coding, bytes_of(hex), TEXT.to_vec()));
    let long = text(3_000);
    let own = Coding::ALL.map(|coding| (coding, packed(coding, &long), long.clone()));
    for (coding, data, want) in golden.chain(own) {
        for split in 0..=data.len() {
            let (head, tail) = data.split_at(split);
            let got = unpacked(coding, Allowance::Whole(10_000), [head, tail]);
            assert_eq!(got.as_ref(), Ok(&want), "{coding:?} at {split}");
        }
        let got = unpacked(coding, Allowance::Whole(10_000), data.chunks(1));
        assert_eq!(got.as_ref(), Ok(&want), "{coding:?} byte by byte");
    }
}

#[test]
fn every_truncation_is_an_error() {
    for (coding, hex) in GOLDEN {
        let data = bytes_of(hex);
        for end in 1..data.len() {
            let data = &data[..end];
            let got = unpacked(*coding, Allowance::Whole(1000), [data]);
            assert_eq!(got, Err(UnpackError::Truncated(*coding)), "{coding:?} to {end}");
            assert_eq!(at_once(*coding, data, 1000), Err(UnpackError::Truncated(*coding)));
        }
    }
}

#[test]
fn nothing_is_an_empty_text() {
    for coding in Coding::ALL {
        assert_eq!(at_once(coding, b"", 0).unwrap(), Bytes::new());
        let of_nothing = packed(coding, b"");
        assert!(!of_nothing.is_empty());
        assert_eq!(at_once(coding, &of_nothing, of_nothing.len()).unwrap(), Bytes::new());
    }
}

#[test]
fn several_members_are_one_text() {
    let joined = |coding, parts: &[&[u8]]| {
        let data: Vec<u8> = parts.iter().flat_map(|part| packed(coding, part)).collect();
        (unpacked(coding, Allowance::Whole(1000), data.chunks(1)), at_once(coding, &data, 1000))
    };
    for coding in [Coding::Gzip, Coding::Zstd] {
        for parts in [&[&b"one "[..], b"two"][..], &[b"", b"one ", b"", b"two", b""]] {
            let (slow, fast) = joined(coding, parts);
            assert_eq!(slow.unwrap(), b"one two", "{coding:?}");
            assert_eq!(fast.unwrap(), &b"one two"[..], "{coding:?}");
        }
    }
    let (slow, fast) = joined(Coding::Br, &[b"one", b"two"]);
    assert_eq!(slow, Err(UnpackError::Trailing(Coding::Br)));
    assert_eq!(fast, Err(UnpackError::Trailing(Coding::Br)));
}

#[test]
fn garbage_behind_the_end_is_an_error() {
    for (coding, hex) in GOLDEN {
        for garbage in [&b"\0"[..], b"{}", b"\0\0\0\0\0\0\0\0\0\0\0\0", TEXT] {
            let data = [bytes_of(hex), garbage.to_vec()].concat();
            assert!(at_once(*coding, &data, 1000).is_err(), "{coding:?} {garbage:?}");
            assert!(unpacked(*coding, Allowance::Whole(1000), data.chunks(1)).is_err());
        }
    }
}

#[test]
fn garbage_is_an_error() {
    for coding in Coding::ALL {
        let cases = [&b"{\"a\":1,\"b\":2}"[..], b"\x78\x9c\x4b\x04\x00\x00\x62\x00\x62", &[0xff; 50]];
        for data in cases {
            assert!(at_once(coding, data, 1000).is_err(), "{coding:?} {data:?}");
        }
    }
    // One bit of the text's checksum.
    for (coding, at) in [(Coding::Gzip, 8), (Coding::Zstd, 4)] {
        let hex = GOLDEN.iter().find(|golden| golden.0 == coding).unwrap().1;
        let mut data = bytes_of(hex);
        let end = data.len();
        data[end - at] ^= 1;
        assert_eq!(at_once(coding, &data, 1000), Err(UnpackError::Corrupt(coding)));
    }
}

#[test]
fn the_limit_is_exact() {
    let text = text(100_000);
    for coding in Coding::ALL {
        let data = packed(coding, &text);
        for (max, fits) in [(100_000, true), (100_001, true), (99_999, false), (1, false), (0, false)] {
            let want = if fits { Ok(()) } else { Err(UnpackError::TooLarge(max)) };
            assert_eq!(at_once(coding, &data, max).map(drop), want, "{coding:?} {max}");
            let got = unpacked(coding, Allowance::Whole(max), data.chunks(1000));
            assert_eq!(got.map(drop), want, "{coding:?} {max} streamed");
        }
    }
}

/// Packed data of endless zeros, up to a limit.
fn bomb(coding: Coding, unpacked: usize) -> Vec<u8> {
    let mut encoder = Encoder::new(coding, Level::Balanced).unwrap();
    let zeros = vec![0; 1 << 16];
    for _ in 0..unpacked / zeros.len() {
        encoder.write(&zeros).unwrap();
    }
    encoder.finish().unwrap()
}

#[test]
fn a_bomb_is_stopped_at_the_limit() {
    const MAX: usize = 100_000;
    for coding in Coding::ALL {
        let data = bomb(coding, 1 << 20);
        assert!(data.len() < MAX, "{coding:?}: {} bytes", data.len());
        let mut decoder = Decoder::new(coding, Allowance::Whole(MAX)).unwrap();
        decoder.push(data.into());
        let mut got = 0;
        let error = loop {
            match decoder.pull() {
                Ok(block) => got += block.unwrap().len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error, UnpackError::TooLarge(MAX), "{coding:?}");
        assert!(got <= MAX, "{coding:?}: {got} bytes came out");
    }
}

#[test]
fn packed_data_without_end_is_too_large() {
    let empty = packed(Coding::Gzip, b"").repeat(100);
    assert_eq!(at_once(Coding::Gzip, &empty, 500), Err(UnpackError::TooLarge(500)));
    assert_eq!(at_once(Coding::Gzip, &empty, empty.len()).unwrap(), Bytes::new());
}

#[test]
fn a_stream_may_be_long_but_no_bomb() {
    let long = text(200_000);
    for coding in Coding::ALL {
        let got = unpacked(coding, Allowance::Stream(1000), packed(coding, &long).chunks(100));
        assert_eq!(got.as_ref(), Ok(&long), "{coding:?}");
        let data = bomb(coding, 1 << 20);
        let got = unpacked(coding, Allowance::Stream(1000), data.chunks(100));
        assert_eq!(got, Err(UnpackError::Bomb(coding)));
        let got = unpacked(coding, Allowance::Stream(1 << 20), data.chunks(100));
        assert_eq!(got.map(|data| data.len()), Ok(1 << 20), "{coding:?}");
    }
}

#[test]
fn larger_windows_than_the_web_allows_are_refused() {
    // A frame head with a window of 16 MiB, then one of 8 MiB; each with an empty last block.
    let frame = |window: u8| [&[0x28, 0xb5, 0x2f, 0xfd, 0x00, window][..], &[1, 0, 0]].concat();
    assert_eq!(at_once(Coding::Zstd, &frame(14 << 3), 1000), Err(UnpackError::Corrupt(Coding::Zstd)));
    assert_eq!(at_once(Coding::Zstd, &frame(13 << 3), 1000).unwrap(), Bytes::new());
    // "Large window Brotli", which is no part of RFC 7932.
    let large = [0x11, 0x1e, 0x03];
    assert_eq!(at_once(Coding::Br, &large, 1000), Err(UnpackError::Corrupt(Coding::Br)));
}

#[test]
fn after_a_flush_everything_is_there() {
    for coding in Coding::ALL {
        let mut encoder = Encoder::new(coding, Level::Balanced).unwrap();
        let mut decoder = Decoder::new(coding, Allowance::Whole(1 << 20)).unwrap();
        let mut pull = |data: Vec<u8>| {
            decoder.push(data.into());
            let blocks = std::iter::from_fn(|| decoder.pull().unwrap());
            blocks.flatten().collect::<Vec<u8>>()
        };
        for event in ["data: 1\n\n", "data: 2\n\n", &"data: long\n\n".repeat(10_000)] {
            encoder.write(event.as_bytes()).unwrap();
            encoder.flush().unwrap();
            assert_eq!(pull(encoder.take()), event.as_bytes(), "{coding:?}");
        }
        // Nothing new, nothing lost.
        encoder.flush().unwrap();
        assert_eq!(pull(encoder.take()), b"", "{coding:?}");
        assert_eq!(pull(encoder.finish().unwrap()), b"", "{coding:?}");
        assert_eq!(decoder.finish(), Ok(()));
    }
}

#[test]
fn every_level_packs_more_than_its_window() {
    // More than twice the window, and it comes back the same.
    let long = text(600_000);
    for coding in Coding::ALL {
        for level in LEVELS {
            let data = compress(coding, level, &long).unwrap();
            assert!(data.len() < long.len() / 2, "{coding:?} {level:?}: {}", data.len());
            assert_eq!(at_once(coding, &data, long.len()).unwrap(), long, "{coding:?} {level:?}");
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_packed_comes_back(
        data in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b'"'), any::<u8>()], 0..2_000),
        repeat in 1_usize..5,
        coding in prop::sample::select(&Coding::ALL[..]),
        level in prop::sample::select(&LEVELS[..]),
        split in 1_usize..3_000,
    ) {
        let data = data.repeat(repeat);
        let whole = compress(coding, level, &data).unwrap();
        prop_assert_eq!(&at_once(coding, &whole, whole.len().max(data.len())).unwrap(), &data);
        let mut encoder = Encoder::new(coding, level).unwrap();
        let mut pieces = Vec::new();
        for (index, piece) in data.chunks(split).enumerate() {
            encoder.write(piece).unwrap();
            if index % 3 == 0 {
                encoder.flush().unwrap();
            }
            pieces.push(encoder.take());
        }
        pieces.push(encoder.finish().unwrap());
        let pieces = pieces.iter().map(Vec::as_slice).filter(|piece| !piece.is_empty());
        prop_assert_eq!(unpacked(coding, Allowance::Whole(1 << 20), pieces).unwrap(), data);
    }

    #[test]
    fn damage_never_harms(
        coding in prop::sample::select(&Coding::ALL[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        split in 1_usize..50,
    ) {
        let mut data = packed(coding, &text(500));
        for (index, byte) in changes {
            let index = index.index(data.len());
            data[index] = byte;
        }
        let slow = unpacked(coding, Allowance::Whole(10_000), data.chunks(split));
        prop_assert!(slow.is_err() || slow.unwrap().len() <= 10_000);
        let fast = at_once(coding, &data, 10_000);
        prop_assert!(fast.is_err() || fast.unwrap().len() <= 10_000);
    }
}
