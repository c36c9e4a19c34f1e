//! Lookups against the plainest possible matcher: every template in turn, every way to match it,
//! then the least by the documented order.

use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// One way in which a template matches a path.
struct Fit<'a> {
    method: &'a str,
    route: usize,
    /// Least first: with the verb or without, then the order of segments.
    order: (bool, Vec<u32>),
    captures: Vec<String>,
}

fn fits<'a>(routes: &'a [(&str, Template)], path: &str) -> Vec<Fit<'a>> {
    let mut fits = Vec::new();
    for (route, (method, template)) in routes.iter().enumerate() {
        let path = match template.verb() {
            None => path,
            Some(verb) => match path.rsplit_once(':') {
                Some((before, after)) if decoded(after).as_deref() == Some(verb.as_bytes()) => before,
                _ => continue,
            },
        };
        let Some(below) = path.strip_prefix('/') else {
            continue;
        };
        let parts: Vec<&str> = if below.is_empty() { vec![] } else { below.split('/').collect() };
        let Some(taken) = assign(template.segments(), &parts) else {
            continue;
        };
        let capture = |variable: &crate::route::Variable| taken[variable.segments.clone()].concat().join("/");
        fits.push(Fit {
            method,
            route,
            order: (template.verb().is_none(), order(template.segments())),
            captures: template.variables().iter().map(capture).collect(),
        });
    }
    fits
}

/// The parts of the path that each segment takes.
fn assign<'p>(segments: &[Segment], parts: &[&'p str]) -> Option<Vec<Vec<&'p str>>> {
    let Some((segment, later)) = segments.split_first() else {
        return parts.is_empty().then(Vec::new);
    };
    let takes = match segment {
        Segment::Literal(_) | Segment::Single => 1..=1,
        Segment::Rest => 0..=parts.len(),
    };
    for count in takes {
        let Some((taken, left)) = parts.split_at_checked(count) else {
            break;
        };
        let fits = taken.iter().all(|part| match segment {
            Segment::Literal(text) => decoded(part).as_deref() == Some(text.as_bytes()),
            Segment::Single | Segment::Rest => !part.is_empty(),
        });
        if fits && let Some(mut assigned) = assign(later, left) {
            assigned.insert(0, taken.to_vec());
            return Some(assigned);
        }
    }
    None
}

fn order(segments: &[Segment]) -> Vec<u32> {
    let mut order = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        match segment {
            Segment::Literal(_) => order.push(0),
            Segment::Single => order.push(1),
            Segment::Rest => order.extend([2, u32::MAX - (segments.len() - index) as u32]),
        }
    }
    order
}

fn decoded(raw: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut pieces = raw.split('%');
    bytes.extend_from_slice(pieces.next()?.as_bytes());
    for piece in pieces {
        let digits = piece.get(..2).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    Some(bytes)
}

fn serves(route: &str, method: &str) -> Option<u32> {
    match (route, method) {
        (exact, wanted) if exact == wanted => Some(0),
        ("GET", "HEAD") => Some(1),
        ("*", _) => Some(2),
        _ => None,
    }
}

fn expected(routes: &[(&str, Template)], method: &str, path: &str) -> String {
    let mut fits = fits(routes, path);
    fits.sort_by(|a, b| (&a.order, serves(a.method, method)).cmp(&(&b.order, serves(b.method, method))));
    if let Some(fit) = fits.iter().find(|fit| serves(fit.method, method).is_some()) {
        return format!("{} {:?}", fit.route, fit.captures);
    }
    let mut methods: Vec<&str> = fits.iter().map(|fit| fit.method).collect();
    if methods.contains(&"GET") {
        methods.push("HEAD");
    }
    methods.sort_unstable();
    methods.dedup();
    methods.join(", ")
}

fn actual(router: &Router<usize>, method: &str, path: &str) -> String {
    match router.lookup(&method.parse().unwrap(), path) {
        Lookup::Found(Match { value, captures }) => {
            let texts: Vec<&str> =
                (0..captures.len()).map(|index| captures.text(index, path).unwrap()).collect();
            format!("{value} {texts:?}")
        }
        Lookup::WrongMethod(methods) => methods.to_string(),
        Lookup::Missing => String::new(),
    }
}

/// Templates of few different segments, so that they often meet. `#` becomes a number, so that no
/// variable is named twice.
fn template() -> impl Strategy<Value = Template> {
    let segment = select(vec![
        "a",
        "a",
        "b",
        "%C3%A9",
        "a%3Av",
        "b%2Fb",
        "*",
        "*",
        "**",
        "{x#}",
        "{x#=a/*}",
        "{x#=**}",
        "{x#=*/**}",
        "{x#=**/b}",
    ]);
    let end = select(vec!["", "", "", "/", ":v", ":v", ":%77"]);
    (proptest::collection::vec(segment, 0..5), end).prop_filter_map("not a template", |(segments, end)| {
        let mut source = String::new();
        for (index, segment) in segments.iter().enumerate() {
            source.push('/');
            source.push_str(&segment.replace('#', &index.to_string()));
        }
        let source = if source.is_empty() { "/".to_owned() } else { source + end };
        Template::parse(&source).ok()
    })
}

fn path() -> impl Strategy<Value = String> {
    let segment = select(vec![
        "a", "a", "a", "b", "b", "c", "%61", "a%3Av", "a:v", "b:v", ":v", "", "%C3%A9", "é", "b%2Fb", "%2F",
        "%zz", "a:w", "%", "..",
    ]);
    let end = select(vec!["", "", "", "", ":v", ":%76", ":w", ":x", ":", "/"]);
    (proptest::collection::vec(segment, 1..7), end)
        .prop_map(|(segments, end)| format!("/{}{end}", segments.join("/")))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn lookups_agree_with_the_plain_matcher(
        candidates in proptest::collection::vec(
            (select(vec!["GET", "POST", "HEAD", "*", "GET", "PUT"]), template()),
            0..24,
        ),
        requests in proptest::collection::vec(
            (select(vec!["GET", "POST", "HEAD", "PUT", "PATCH"]), path()),
            1..24,
        ),
    ) {
        let mut routes: Vec<(&str, Template)> = Vec::new();
        let mut builder = RouterBuilder::new();
        for (method, template) in candidates {
            let of = if method == "*" { HttpMethod::Any } else {
                HttpMethod::Exact(method.parse().unwrap())
            };
            let same = routes.iter().position(|(other, known)| {
                *other == method
                    && known.segments() == template.segments()
                    && known.verb() == template.verb()
            });
            let added = builder.add(of, &template, routes.len()).map_err(|taken| *taken.existing);
            prop_assert_eq!(added.err(), same);
            if same.is_none() {
                routes.push((method, template));
            }
        }
        let router = builder.build();
        for (method, path) in requests {
            prop_assert_eq!(
                actual(&router, method, &path),
                expected(&routes, method, &path),
                "{} {} among {:?}", method, path,
                routes.iter().map(|(of, template)| format!("{of} {template}")).collect::<Vec<_>>()
            );
        }
    }
}
