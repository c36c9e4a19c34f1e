//! The codec in both directions on one volume and on a page of them, beside two others that do the same: prost-reflect's
//! `DynamicMessage`, and structs known at compile time with serde_json and prost. Throughput is in bytes of JSON.

mod derived;
mod shelf;

use std::sync::LazyLock;

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use prost::Message;
use prost_reflect::DynamicMessage;
use serde::Serialize;
use serde::de::DeserializeOwned;
use transom::codec::{JsonStyle, ReadOptions, Splice, read_message, write_message};

use shelf::{Sample, volume, volumes};

static ONE: LazyLock<Sample> = LazyLock::new(|| Sample::new("shelf.Volume", volume(4242)));
static PAGE: LazyLock<Sample> = LazyLock::new(|| Sample::new("shelf.Volumes", volumes(700)));

fn main() {
    same::<derived::Volume>(&ONE);
    same::<derived::Volumes>(&PAGE);
    divan::main();
}

/// The structs do the same work: the same JSON and the same bytes come out of them.
fn same<T: Message + Default + Serialize + DeserializeOwned>(sample: &Sample) {
    let message: T = serde_json::from_str(&sample.json).expect("the sample is valid");
    assert_eq!(message.encode_to_vec().len(), sample.wire.len());
    let message = T::decode(&sample.wire[..]).expect("the sample is valid");
    // Fractions of seconds have three digits here, and as many as are needed there.
    let fraction = |json: &str| json.replace(".250Z", ".25Z").replace(".500s", ".5s");
    let json = serde_json::to_string(&message).expect("a message has a JSON form");
    assert_eq!(fraction(&json).len(), fraction(&sample.json).len());
}

fn bytes(sample: &Sample) -> BytesCount {
    BytesCount::new(sample.json.len())
}

fn to_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let mut out = Vec::with_capacity(sample.json.len() * 2);
    bencher.counter(bytes(sample)).bench_local(|| {
        out.clear();
        write_message(&sample.plan, black_box(&sample.wire), JsonStyle::default(), &mut out)
    });
}

fn from_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let mut out = Vec::with_capacity(sample.json.len() * 2);
    let (splice, options) = (Splice::new(), ReadOptions::default());
    bencher.counter(bytes(sample)).bench_local(|| {
        out.clear();
        read_message(&sample.plan, black_box(sample.json.as_bytes()), &splice, &options, &mut out)
    });
}

fn dynamic_to_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let descriptor = sample.pool.get_message_by_name(sample.plan.full_name()).expect("known");
    bencher.counter(bytes(sample)).bench_local(|| {
        let message = DynamicMessage::decode(descriptor.clone(), black_box(&sample.wire[..]));
        serde_json::to_vec(&message.expect("valid"))
    });
}

fn dynamic_from_json(bencher: Bencher<'_, '_>, sample: &Sample) {
    let descriptor = sample.pool.get_message_by_name(sample.plan.full_name()).expect("known");
    bencher.counter(bytes(sample)).bench_local(|| {
        let mut deserializer = serde_json::Deserializer::from_str(black_box(&sample.json));
        let message = DynamicMessage::deserialize(descriptor.clone(), &mut deserializer);
        message.expect("valid").encode_to_vec()
    });
}

fn derived_to_json<T: Message + Default + Serialize>(bencher: Bencher<'_, '_>, sample: &Sample) {
    let mut out = Vec::with_capacity(sample.json.len() * 2);
    bencher.counter(bytes(sample)).bench_local(|| {
        out.clear();
        let message = T::decode(black_box(&sample.wire[..])).expect("valid");
        serde_json::to_writer(&mut out, &message)
    });
}

fn derived_from_json<T: Message + DeserializeOwned>(bencher: Bencher<'_, '_>, sample: &Sample) {
    let mut out = Vec::with_capacity(sample.json.len() * 2);
    bencher.counter(bytes(sample)).bench_local(|| {
        out.clear();
        let message: T = serde_json::from_slice(black_box(sample.json.as_bytes())).expect("valid");
        message.encode(&mut out)
    });
}

/// The same benches for each sample.
macro_rules! benches {
    ($module:ident, $sample:ident, $message:ty) => {
        mod $module {
            use divan::Bencher;

            use super::$sample;

            #[divan::bench]
            fn to_json(bencher: Bencher<'_, '_>) {
                super::to_json(bencher, &$sample);
            }

            #[divan::bench]
            fn to_json_dynamic(bencher: Bencher<'_, '_>) {
                super::dynamic_to_json(bencher, &$sample);
            }

            #[divan::bench]
            fn to_json_derived(bencher: Bencher<'_, '_>) {
                super::derived_to_json::<$message>(bencher, &$sample);
            }

            #[divan::bench]
            fn from_json(bencher: Bencher<'_, '_>) {
                super::from_json(bencher, &$sample);
            }

            #[divan::bench]
            fn from_json_dynamic(bencher: Bencher<'_, '_>) {
                super::dynamic_from_json(bencher, &$sample);
            }

            #[divan::bench]
            fn from_json_derived(bencher: Bencher<'_, '_>) {
                super::derived_from_json::<$message>(bencher, &$sample);
            }
        }
    };
}

benches!(one, ONE, crate::derived::Volume);
benches!(page, PAGE, crate::derived::Volumes);
