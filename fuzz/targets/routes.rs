//! Path templates, and the router that they make.

use http::Method;
use transom::route::{HttpMethod, Lookup, Router, RouterBuilder, Segment, Template};

/// A path that a template matches, made of its own parts.
fn path_for(template: &Template) -> String {
    let mut path = String::new();
    for segment in template.segments() {
        path.push('/');
        match segment {
            Segment::Literal(text) => {
                path.extend(text.bytes().map(|byte| format!("%{byte:02X}")));
            }
            Segment::Single => path.push_str("one"),
            Segment::Rest => path.push_str("some/more"),
        }
    }
    if template.segments().is_empty() {
        path.push('/');
    }
    if let Some(verb) = template.verb() {
        path.push(':');
        path.extend(verb.bytes().map(|byte| format!("%{byte:02X}")));
    }
    path
}

fn router(templates: &[Template]) -> Router<usize> {
    let mut builder = RouterBuilder::new();
    for (index, template) in templates.iter().enumerate() {
        // A second one of the same form is refused, and the first stays.
        let _taken = builder.add(HttpMethod::Exact(Method::GET), template, index);
    }
    builder.build()
}

/// Lines: templates, of which each is found by a path of its own parts; and each line as a path, too.
pub(super) fn template(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let mut templates = Vec::new();
    for line in text.lines().take(16) {
        match Template::parse(line) {
            Ok(template) => {
                assert_eq!(template.as_str(), line);
                assert!(template.segments().len() <= Template::MAX_SEGMENTS);
                for variable in template.variables() {
                    assert!(line[variable.span.clone()].starts_with('{'));
                    assert!(!variable.path.is_empty() && variable.segments.end <= template.segments().len());
                }
                templates.push(template);
            }
            Err(error) => {
                assert!(line.get(error.span.clone()).is_some(), "{error:?} in {line:?}");
                assert!(!error.to_string().is_empty() && !error.help().is_empty());
            }
        }
    }
    for template in &templates {
        let path = path_for(template);
        let alone = router(std::slice::from_ref(template));
        let Lookup::Found(found) = alone.lookup(&Method::GET, &path) else {
            panic!("{template} does not match {path}");
        };
        assert_eq!(found.captures.len(), template.variables().len());
        for (index, variable) in template.variables().iter().enumerate() {
            let captured = found.captures.text(index, &path).expect("a part of the path");
            assert!(variable.multi || !captured.contains('/'), "{template}: {captured}");
        }
        assert!(matches!(alone.lookup(&Method::POST, &path), Lookup::WrongMethod(_)), "{template}");
    }
    let all = router(&templates);
    for line in text.lines().take(16).map(str::to_owned).chain(templates.iter().map(path_for)) {
        if let Lookup::Found(found) = all.lookup(&Method::GET, &line) {
            let template = &templates[*found.value];
            assert_eq!(found.captures.len(), template.variables().len());
            for index in 0..found.captures.len() {
                assert!(found.captures.text(index, &line).is_some(), "{template} {line}");
            }
        }
    }
}
