//! What a lookup costs with few and with many routes, and what building the router costs.
//!
//! The same requests meet routers of 6, 5,600 and 15,000 routes: what a lookup costs should not
//! tell which. The routes have the shapes of large public APIs: standard methods on nested
//! resources, custom verbs, and names of several segments.

use divan::{Bencher, black_box};
use http::Method;
use transom::route::{HttpMethod, Lookup, Router, RouterBuilder, Template};

const ROUTES: &[usize] = &[6, 5_600, 15_000];

fn main() {
    divan::main();
}

/// The routes of resource number `n`, six at a time.
fn resource(n: usize) -> [(Method, String); 6] {
    let (service, collection) = (n / 40, n % 40);
    let base = format!("/v1/service{service}/{{name=projects/*/things{collection}/*}}");
    let plain = format!("/v1/service{service}/things{collection}");
    [
        (Method::GET, base.clone()),
        (Method::DELETE, base.clone()),
        (Method::POST, format!("{base}:archive")),
        (Method::GET, format!("{plain}/{{id}}")),
        (Method::POST, plain.clone()),
        (Method::GET, format!("{plain}/{{id}}/files/{{path=**}}")),
    ]
}

fn templates(count: usize) -> Vec<(Method, Template)> {
    let routes = (0..).flat_map(resource).take(count);
    routes.map(|(method, text)| (method, Template::parse(&text).expect("a template"))).collect()
}

fn router(templates: &[(Method, Template)]) -> Router<usize> {
    let mut builder = RouterBuilder::new();
    for (index, (method, template)) in templates.iter().enumerate() {
        let added = builder.add(HttpMethod::Exact(method.clone()), template, index);
        assert!(added.is_ok(), "{template} is there twice");
    }
    builder.build()
}

fn lookup(bencher: Bencher<'_, '_>, count: usize, method: &Method, path: &str, found: bool) {
    let router = router(&templates(count));
    assert_eq!(matches!(router.lookup(method, path), Lookup::Found(_)), found, "{path}");
    bencher
        .bench(|| matches!(black_box(&router).lookup(black_box(method), black_box(path)), Lookup::Found(_)));
}

#[divan::bench(args = ROUTES)]
fn one_variable(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::GET, "/v1/service0/things0/42", true);
}

#[divan::bench(args = ROUTES)]
fn name_of_several_segments(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::GET, "/v1/service0/projects/p1/things0/42", true);
}

#[divan::bench(args = ROUTES)]
fn verb(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::POST, "/v1/service0/projects/p1/things0/42:archive", true);
}

#[divan::bench(args = ROUTES)]
fn escaped(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::GET, "/v1/service0/%74hings0/4%2F2", true);
}

#[divan::bench(args = ROUTES)]
fn rest_of_the_path(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::GET, "/v1/service0/things0/42/files/a/b/c/d", true);
}

#[divan::bench(args = ROUTES)]
fn missing(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::GET, "/v1/service0/things0/42/pages", false);
}

#[divan::bench(args = ROUTES)]
fn wrong_method(bencher: Bencher<'_, '_>, count: usize) {
    lookup(bencher, count, &Method::PATCH, "/v1/service0/things0/42", false);
}

/// The most segments that a path of 64 KiB can have.
#[divan::bench(args = ROUTES)]
fn hostile_path(bencher: Bencher<'_, '_>, count: usize) {
    let path = format!("/v1/service0/things0/42/files{}", "/a".repeat(32_000));
    lookup(bencher, count, &Method::GET, &path, true);
}

#[divan::bench(args = ROUTES)]
fn parse(bencher: Bencher<'_, '_>, count: usize) {
    bencher.bench(|| templates(count));
}

#[divan::bench(args = ROUTES)]
fn build(bencher: Bencher<'_, '_>, count: usize) {
    let templates = templates(count);
    bencher.bench(|| router(&templates));
}
