use super::*;

/// A router of routes written as `METHOD /template`; the value is that text.
fn router<'a>(routes: &[&'a str]) -> Router<&'a str> {
    let mut builder = RouterBuilder::new();
    for route in routes {
        let (method, template) = route.split_once(' ').unwrap();
        let template = Template::parse(template).unwrap();
        builder.add(method_of(method), &template, *route).unwrap();
    }
    builder.build()
}

fn method_of(text: &str) -> HttpMethod {
    match text {
        "*" => HttpMethod::Any,
        exact => HttpMethod::Exact(exact.parse().unwrap()),
    }
}

/// The answer as text: the route and its raw captures, or `405` with the methods, or `404`.
fn answer(router: &Router<&str>, request: &str) -> String {
    let (method, path) = request.split_once(' ').unwrap();
    match router.lookup(&method.parse().unwrap(), path) {
        Lookup::Found(found) => {
            let mut answer = (*found.value).to_owned();
            for variable in 0..found.captures.len() {
                answer.push_str(&format!(" [{}]", found.captures.text(variable, path).unwrap()));
            }
            answer
        }
        Lookup::WrongMethod(methods) => format!("405 {methods}"),
        Lookup::Missing => "404".to_owned(),
    }
}

struct Table {
    rule: &'static str,
    routes: &'static [&'static str],
    /// Request and answer.
    requests: &'static [(&'static str, &'static str)],
}

const TABLES: &[Table] = &[
    Table {
        rule: "literal before * before **, from left to right",
        routes: &["GET /v1/**", "GET /v1/*/b", "GET /v1/a/*", "GET /v1/a/b", "GET /v1/*/*", "GET /v1/*"],
        requests: &[
            ("GET /v1/a/b", "GET /v1/a/b"),
            ("GET /v1/a/c", "GET /v1/a/*"),
            ("GET /v1/c/b", "GET /v1/*/b"),
            ("GET /v1/c/d", "GET /v1/*/*"),
            ("GET /v1/c", "GET /v1/*"),
            ("GET /v1/a/b/c", "GET /v1/**"),
            ("GET /v2/a", "404"),
        ],
    },
    Table {
        rule: "an earlier literal does not hide a later match",
        routes: &["GET /a/b/c", "GET /a/*/d", "GET /*/b/e", "GET /{x=**}/f"],
        requests: &[
            ("GET /a/b/c", "GET /a/b/c"),
            ("GET /a/b/d", "GET /a/*/d"),
            ("GET /a/b/e", "GET /*/b/e"),
            ("GET /a/b/f", "GET /{x=**}/f [a/b]"),
            ("GET /a/b/g", "404"),
        ],
    },
    Table {
        rule: "backtracking until the method fits; the methods of all that match otherwise",
        routes: &["GET /v1/a", "POST /v1/{x}", "PUT /v1/**", "GET /{y=**}", "DELETE /v2/a"],
        requests: &[
            ("GET /v1/a", "GET /v1/a"),
            ("POST /v1/a", "POST /v1/{x} [a]"),
            ("PUT /v1/a", "PUT /v1/**"),
            ("GET /v1/b", "GET /{y=**} [v1/b]"),
            ("DELETE /v1/a", "405 GET, HEAD, POST, PUT"),
            ("PATCH /v2/a", "405 DELETE, GET, HEAD"),
            ("OPTIONS /v2/b", "405 GET, HEAD"),
        ],
    },
    Table {
        rule: "HEAD is served by GET where no HEAD route is; Any serves the rest",
        routes: &["GET /a", "GET /b", "HEAD /b", "* /c", "GET /c", "* /d", "POST /*", "LINK /a"],
        requests: &[
            ("HEAD /a", "GET /a"),
            ("HEAD /b", "HEAD /b"),
            ("HEAD /c", "GET /c"),
            ("GET /c", "GET /c"),
            ("PURGE /c", "* /c"),
            ("POST /c", "* /c"),
            ("HEAD /d", "* /d"),
            ("HEAD /e", "405 POST"),
            ("PUT /a", "405 GET, HEAD, LINK, POST"),
            ("PUT /b", "405 GET, HEAD, POST"),
            ("LINK /a", "LINK /a"),
            ("get /a", "405 GET, HEAD, LINK, POST"),
        ],
    },
    Table {
        rule: "split on raw slashes, then a literal compares with the decoded segment",
        routes: &["GET /a%20b/{x}", "GET /a%2Fb", "GET /%C3%A9", "GET /{x}/{y}", "GET /{x}"],
        requests: &[
            ("GET /a%20b/c%2Fd", "GET /a%20b/{x} [c%2Fd]"),
            ("GET /%61%20%62/c", "GET /a%20b/{x} [c]"),
            ("GET /a%2Fb", "GET /a%2Fb"),
            ("GET /a%2fb", "GET /a%2Fb"),
            ("GET /a/b", "GET /{x}/{y} [a] [b]"),
            ("GET /%c3%a9", "GET /%C3%A9"),
            ("GET /é", "GET /%C3%A9"),
            ("GET /a%2Fc", "GET /{x} [a%2Fc]"),
            ("GET /a%252Fb", "GET /{x} [a%252Fb]"),
            ("GET /%zz", "GET /{x} [%zz]"),
            ("GET /a%20b%", "GET /{x} [a%20b%]"),
        ],
    },
    Table {
        rule: "empty and trailing segments match nothing but themselves",
        routes: &["GET /a/*", "GET /b/**", "GET /c/", "GET /d/{x}/", "GET /e/**/", "GET /f"],
        requests: &[
            ("GET /a/", "404"),
            ("GET /a//", "404"),
            ("GET /a/x/", "404"),
            ("GET //a/x", "404"),
            ("GET /b/x//y", "404"),
            ("GET /b/x/", "404"),
            ("GET /b/", "404"),
            ("GET /b//", "404"),
            ("GET /c/", "GET /c/"),
            ("GET /c", "404"),
            ("GET /c//", "404"),
            ("GET /d/x/", "GET /d/{x}/ [x]"),
            ("GET /d/x", "404"),
            ("GET /d//", "404"),
            ("GET /e/x/y/", "GET /e/**/"),
            ("GET /e/", "GET /e/**/"),
            ("GET /e//", "404"),
            ("GET /e/x//y/", "404"),
            ("GET /f/", "404"),
            ("GET //f", "404"),
            ("GET /", "404"),
        ],
    },
    Table {
        rule: "** matches zero or more segments",
        routes: &["GET /v1/{name=**}", "GET /v2/{name=a/**}", "GET /v3/{n=**}/b/{c}"],
        requests: &[
            ("GET /v1", "GET /v1/{name=**} []"),
            ("GET /v1/", "404"),
            ("GET /v1/a", "GET /v1/{name=**} [a]"),
            ("GET /v1/a/b%2Fc", "GET /v1/{name=**} [a/b%2Fc]"),
            ("GET /v2", "404"),
            ("GET /v2/a", "GET /v2/{name=a/**} [a]"),
            ("GET /v2/a/b/c", "GET /v2/{name=a/**} [a/b/c]"),
            ("GET /v3/b/x", "GET /v3/{n=**}/b/{c} [] [x]"),
            ("GET /v3/b/b/x", "GET /v3/{n=**}/b/{c} [b] [x]"),
            ("GET /v3/b/b/b/b", "GET /v3/{n=**}/b/{c} [b/b] [b]"),
            ("GET /v3/x", "404"),
        ],
    },
    Table {
        rule: "the root",
        routes: &["GET /", "POST /**", "GET /{name=**}/x"],
        requests: &[
            ("GET /", "GET /"),
            ("POST /", "POST /**"),
            ("GET /x", "GET /{name=**}/x []"),
            ("GET //", "404"),
            ("GET *", "404"),
            ("PUT /", "405 GET, HEAD, POST"),
        ],
    },
    Table {
        rule: "behind ** more segments win, then literal before *",
        routes: &[
            "GET /**",
            "GET /**/b",
            "GET /**/*/b",
            "GET /**/a/*",
            "GET /**/a/b",
            "GET /**/c/*/*",
            "GET /a/**/b",
            "GET /x/*",
            "GET /x/**/y",
        ],
        requests: &[
            ("GET /b", "GET /**/b"),
            ("GET /z/b", "GET /**/*/b"),
            ("GET /z/a/b", "GET /**/a/b"),
            ("GET /z/a/c", "GET /**/a/*"),
            ("GET /c/a/b", "GET /**/c/*/*"),
            ("GET /a/c/a/b", "GET /a/**/b"),
            ("GET /a/z", "GET /**/a/*"),
            ("GET /z/z", "GET /**"),
            ("GET /x/y", "GET /x/*"),
            ("GET /x/z/y", "GET /x/**/y"),
        ],
    },
    Table {
        rule: "a verb splits where it is registered on a template that otherwise matches",
        routes: &[
            "POST /v1/{x}:cancel",
            "GET /v1/{x}",
            "GET /v1/x%3Acancel",
            "POST /v1/{n=**}:purge",
            "PUT /v1/y%3Acancel",
            "POST /v1/books:purge",
            "GET /w/{x}",
        ],
        requests: &[
            ("POST /v1/a:cancel", "POST /v1/{x}:cancel [a]"),
            ("POST /v1/a:b:cancel", "POST /v1/{x}:cancel [a:b]"),
            ("POST /v1/a%3Ab:cancel", "POST /v1/{x}:cancel [a%3Ab]"),
            ("POST /v1/a:%63ancel", "POST /v1/{x}:cancel [a]"),
            ("GET /v1/a:cancel", "GET /v1/{x} [a:cancel]"),
            ("GET /v1/a:other", "GET /v1/{x} [a:other]"),
            ("GET /v1/a:", "GET /v1/{x} [a:]"),
            ("GET /v1/:cancel", "GET /v1/{x} [:cancel]"),
            ("GET /v1/x:cancel", "GET /v1/x%3Acancel"),
            ("POST /v1/a%3Acancel", "405 GET, HEAD"),
            ("POST /v1/x:cancel", "POST /v1/{x}:cancel [x]"),
            ("PUT /v1/y:cancel", "PUT /v1/y%3Acancel"),
            ("PATCH /v1/y:cancel", "405 GET, HEAD, POST, PUT"),
            ("POST /v1:purge", "POST /v1/{n=**}:purge []"),
            ("POST /v1/a/b:purge", "POST /v1/{n=**}:purge [a/b]"),
            ("POST /v1/books:purge", "POST /v1/books:purge"),
            ("POST /v1/a:purge/b", "404"),
            ("GET /w/a:cancel", "GET /w/{x} [a:cancel]"),
            ("POST /w/a:cancel", "405 GET, HEAD"),
            ("POST /v1/a/:purge", "404"),
        ],
    },
    Table {
        rule: "dot segments are ordinary",
        routes: &["GET /a/{x}/b", "GET /.", "GET /c/{x=**}"],
        requests: &[
            ("GET /a/../b", "GET /a/{x}/b [..]"),
            ("GET /a/./b", "GET /a/{x}/b [.]"),
            ("GET /a/x/../x/b", "404"),
            ("GET /.", "GET /."),
            ("GET /%2e", "GET /."),
            ("GET /./c", "404"),
            ("GET /c/../../d", "GET /c/{x=**} [../../d]"),
        ],
    },
    Table {
        rule: "captures of several segments, and more than fit inline",
        routes: &["GET /v1/{name=shelves/*/books/*}/{page}", "GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j}"],
        requests: &[
            (
                "GET /v1/shelves/1/books/2/3",
                "GET /v1/{name=shelves/*/books/*}/{page} [shelves/1/books/2] [3]",
            ),
            (
                "GET /1/2/3/4/5/6/7/8/9/10",
                "GET /{a}/{b}/{c}/{d}/{e}/{f}/{g}/{h}/{i}/{j} [1] [2] [3] [4] [5] [6] [7] [8] [9] [10]",
            ),
        ],
    },
];

#[test]
fn matching() {
    for table in TABLES {
        let router = router(table.routes);
        for (request, expected) in table.requests {
            assert_eq!(answer(&router, request), *expected, "{}: {request}", table.rule);
        }
    }
}

/// The same outcome whether literals are few or many beside each other.
#[test]
fn many_literals_beside_each_other() {
    let routes: Vec<String> = (0..500).map(|n| format!("GET /v1/n{n}/{{x}}")).collect();
    let routes: Vec<&str> = routes.iter().map(String::as_str).collect();
    let router = router(&routes);
    for route in &routes {
        let request = route.replace("{x}", "7");
        assert_eq!(answer(&router, &request), format!("{route} [7]"));
        assert_eq!(answer(&router, &request.replace("/n", "/%6E")), format!("{route} [7]"));
    }
    assert_eq!(answer(&router, "GET /v1/n500/7"), "404");
}

#[test]
fn same_shape_is_taken() {
    const SAME: &[(&str, &str, bool)] = &[
        ("GET /v1/{a}", "GET /v1/{b}", true),
        ("GET /v1/{a}", "GET /v1/*", true),
        ("GET /v1/{a=b/*}", "GET /v1/b/{c}", true),
        ("GET /v1/{a=**}", "GET /v1/**", true),
        ("GET /a%2Db", "GET /a-b", true),
        ("* /v1", "* /v1", true),
        ("GET /v1/{a}", "POST /v1/{a}", false),
        ("GET /v1/{a}", "* /v1/{a}", false),
        ("GET /v1/{a}", "HEAD /v1/{a}", false),
        ("GET /v1/{a}", "GET /v1/{a}:go", false),
        ("GET /v1/{a}:go", "GET /v1/{b}:%67o", true),
        ("GET /v1", "GET /v1/", false),
        ("GET /**/a", "GET /**/a/a", false),
        ("GET /a:b", "GET /a%3Ab", false),
    ];
    for (first, second, same) in SAME {
        let mut builder = RouterBuilder::new();
        let mut add = |route: &'static str| {
            let (method, template) = route.split_once(' ').unwrap();
            let template = Template::parse(template).unwrap();
            let taken = builder.add(method_of(method), &template, route);
            taken.err().map(|taken| (*taken.existing, taken.value))
        };
        assert_eq!(add(first), None);
        assert_eq!(add(second), same.then_some((*first, *second)), "{first}, {second}");
        // What was refused changed nothing.
        let router = builder.build();
        let request = first.replace("{a}", "x").replace("{a=b/*}", "b/x").replace("{a=**}", "x");
        let request = request.replace("**", "x").replace("* ", "PUT ");
        assert!(answer(&router, &request).starts_with(first), "{request}");
    }
}

#[test]
fn an_empty_router_has_nothing() {
    assert_eq!(answer(&router(&[]), "GET /"), "404");
    assert_eq!(answer(&router(&[]), "GET /a:b"), "404");
}

#[test]
fn what_is_no_path_is_missing() {
    let router = router(&["GET /**", "GET /**:verb"]);
    for path in ["", "*", "a", "a/b", ":verb", "http://host/a"] {
        assert_eq!(router.lookup(&Method::GET, path), Lookup::Missing, "{path}");
    }
}

#[test]
fn segments_of_a_path_are_bounded() {
    let router = router(&["GET /**"]);
    let most = "/a".repeat(usize::from(u16::MAX) + 1);
    assert!(matches!(router.lookup(&Method::GET, &most), Lookup::Found(_)));
    let more = format!("{most}/a");
    assert_eq!(router.lookup(&Method::GET, &more), Lookup::Missing);
}

/// All templates of eight segments that are `a`, `*`, and in one place perhaps `**`, and paths that
/// fit them all: what is reached grows neither by backtracking nor with the path.
#[test]
fn hostile_paths_reach_each_node_once() {
    let mut trie = TrieBuilder::default();
    let root = trie.root();
    for bits in 0..1_u32 << 8 {
        let plain = (0..8).map(|bit| match bits >> bit & 1 {
            0 => Segment::Single,
            _ => Segment::Literal("a".to_owned()),
        });
        let plain: Vec<Segment> = plain.collect();
        trie.insert(root, &plain);
        for place in 0..8 {
            let mut with_rest = plain.clone();
            with_rest[place] = Segment::Rest;
            trie.insert(root, &with_rest);
        }
    }
    let trie = trie.build();
    // At eight segments those without `**` are reached too.
    for (length, reached) in [(6, 0), (7, 8 << 7), (8, (8 << 7) + (1 << 8)), (60_000, 8 << 7)] {
        let path = "/a".repeat(length);
        let segments = Segments::split(&path).unwrap();
        let mut ends = Vec::new();
        let mut calls = 0;
        let none: Option<()> = trie.search(root, &segments, |node| {
            calls += 1;
            if trie.is_leaf(node) {
                ends.push(node.index());
            }
            None
        });
        assert_eq!(none, None);
        assert!(calls <= trie.len());
        assert_eq!(ends.len(), reached, "{length}");
        ends.sort_unstable();
        ends.dedup();
        assert_eq!(ends.len(), reached, "{length}: twice");
    }
}

#[test]
fn methods_print_as_allow() {
    let methods: Methods = [Method::PUT, Method::GET, Method::DELETE, Method::PUT].into_iter().collect();
    assert_eq!(methods.to_string(), "DELETE, GET, HEAD, PUT");
    assert!(methods.contains(&Method::HEAD) && !methods.contains(&Method::POST));
    assert_eq!(methods.iter().count(), 4);
    let without: Methods = [Method::POST].into_iter().collect();
    assert_eq!(without.to_string(), "POST");
}
