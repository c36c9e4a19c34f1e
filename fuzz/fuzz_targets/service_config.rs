#![no_main]

#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(
    init: {
        // The descriptor library panics on some descriptors, and the loader makes a problem of that. The fuzzer's own hook
        // would end the process first; a panic that reaches it still counts.
        std::panic::set_hook(Box::new(|info| eprintln!("{info}")));
    },
    |data: &[u8]| targets::run("service_config", data)
);
