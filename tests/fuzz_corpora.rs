//! Replays what the fuzzers have found worth keeping, without them: seeds, minimized corpora, and findings.
//! `fuzz/README.md` says how they come about. What is printed, the input at hand, is seen only when a test fails.

#![allow(clippy::print_stdout)]

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::path::{Path, PathBuf};

fn folder(of: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(of)
}

/// The inputs in a packed corpus: each behind its length, as four bytes, the least first.
fn unpack(mut packed: &[u8]) -> Vec<&[u8]> {
    let mut inputs = Vec::new();
    while let Some((length, rest)) = packed.split_first_chunk::<4>() {
        let (input, rest) =
            rest.split_at_checked(u32::from_le_bytes(*length) as usize).expect("the packed corpus is whole");
        inputs.push(input);
        packed = rest;
    }
    assert!(packed.is_empty(), "the packed corpus is whole");
    inputs
}

/// The least that still says something, so that the repository stays small.
const MAX_INPUT: u64 = 2048;
const MAX_PACKED: usize = 64 << 10;

/// With `TRANSOM_CORPORA=unpack` it lays the corpora out for the fuzzers, in `fuzz/corpus`; with `pack` it keeps what is
/// there, the smallest first. Without, it only checks that they are small.
#[test]
fn corpora_on_disk() {
    let wish = std::env::var("TRANSOM_CORPORA").unwrap_or_default();
    for (name, _) in targets::TARGETS {
        let (loose, kept) = (folder("corpus").join(name), folder("corpora").join(name));
        match &*wish {
            "unpack" => {
                std::fs::create_dir_all(&loose).unwrap();
                for (index, input) in unpack(&std::fs::read(&kept).unwrap()).into_iter().enumerate() {
                    std::fs::write(loose.join(format!("kept-{index}")), input).unwrap();
                }
            }
            "pack" => {
                let files = std::fs::read_dir(&loose).unwrap().map(|entry| entry.unwrap());
                let mut inputs: Vec<Vec<u8>> = files
                    .filter(|file| file.metadata().unwrap().len() <= MAX_INPUT)
                    .map(|file| std::fs::read(file.path()).unwrap())
                    .collect();
                inputs.sort_by(|a, b| a.len().cmp(&b.len()).then_with(|| a.cmp(b)));
                inputs.dedup();
                let mut packed = Vec::new();
                for input in inputs {
                    if packed.len() + 4 + input.len() > MAX_PACKED {
                        break;
                    }
                    packed.extend_from_slice(&(input.len() as u32).to_le_bytes());
                    packed.extend_from_slice(&input);
                }
                std::fs::write(&kept, packed).unwrap();
            }
            other => assert_eq!(other, "", "TRANSOM_CORPORA is `pack` or `unpack`"),
        }
        assert!(std::fs::metadata(&kept).unwrap().len() <= MAX_PACKED as u64, "{name}");
    }
}

#[test]
fn all_that_was_kept_is_replayed() {
    for (name, target) in targets::TARGETS {
        let seeds: Vec<PathBuf> = std::fs::read_dir(folder("seeds").join(name))
            .unwrap_or_else(|error| panic!("seeds of {name}: {error}"))
            .map(|entry| entry.unwrap().path())
            .collect();
        assert!(!seeds.is_empty(), "{name} has no seeds");
        for seed in seeds {
            println!("{}", seed.display());
            target(&std::fs::read(seed).unwrap());
        }
        let packed = std::fs::read(folder("corpora").join(name))
            .unwrap_or_else(|error| panic!("the corpus of {name}: {error}"));
        for (index, input) in unpack(&packed).into_iter().enumerate() {
            println!("{name} {index}: {}", input.escape_ascii());
            target(input);
        }
    }
}

/// A target whose program, seeds or name is forgotten somewhere would never run.
#[test]
fn every_target_has_its_program() {
    let manifest = std::fs::read_to_string(folder("Cargo.toml")).unwrap();
    let mut programs: Vec<&str> = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/")?.strip_suffix(".rs\""))
        .collect();
    programs.sort_unstable();
    let names: Vec<&str> = targets::TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(programs, names);
    for name in names {
        let program = std::fs::read_to_string(folder("fuzz_targets").join(format!("{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\"")), "{name}");
    }
}
