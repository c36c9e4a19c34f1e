use SelectorErrorKind as Kind;
use proptest::prelude::*;

use super::*;

fn method(service: &str, method: &str) -> Selector {
    Selector::Method { service: service.to_owned(), method: method.to_owned() }
}

#[test]
fn the_four_forms() {
    let forms = [
        ("*", Selector::All),
        ("shop.*", Selector::Package("shop".to_owned())),
        ("shop.v1.*", Selector::Package("shop.v1".to_owned())),
        ("shop.v1.Orders/*", Selector::Service("shop.v1.Orders".to_owned())),
        ("Orders/*", Selector::Service("Orders".to_owned())),
        ("shop.v1.Orders/Create", method("shop.v1.Orders", "Create")),
        ("_a.B2/c_3", method("_a.B2", "c_3")),
    ];
    for (text, selector) in forms {
        assert_eq!(Selector::parse(text).as_ref(), Ok(&selector), "{text}");
        assert_eq!(selector.to_string(), text);
    }
}

/// Text, the carets under it, what is wrong.
const BAD: &[(&str, &str, Kind)] = &[
    ("", "", Kind::Empty),
    ("/shop.v1.Orders/Create", "^", Kind::LeadingSlash),
    ("/", "^", Kind::LeadingSlash),
    ("shop.v1.Orders", "^^^^^^^^^^^^^^", Kind::NoMethod),
    ("shop", "^^^^", Kind::NoMethod),
    ("shop.Orders/Create/", "                  ^", Kind::SecondSlash),
    ("shop/Orders/Create", "           ^", Kind::SecondSlash),
    ("shop.Orders/", "", Kind::Name),
    ("shop..Orders/A", "", Kind::Name),
    ("shop.1a/A", "     ^^", Kind::Name),
    ("shop.v-1.*", "     ^^^", Kind::Name),
    ("shop.Orders/Cré", "            ^^^^", Kind::Name),
    ("shop.Orders/A B", "            ^^^", Kind::Name),
    ("shop.Orders/A.B", "            ^^^", Kind::Name),
    ("shop. v1.*", "     ^^^", Kind::Name),
    ("shop.*.Orders/A", "     ^", Kind::Star),
    ("shop*", "    ^", Kind::Star),
    ("*.v1", "^", Kind::Star),
    ("*/*", "^", Kind::Star),
    ("**", "^", Kind::Star),
    ("shop.**", "     ^", Kind::Star),
    ("shop.Orders/Get*", "               ^", Kind::Star),
    ("shop.Orders/**", "            ^", Kind::Star),
];

#[test]
fn bad_selectors() {
    for &(text, carets, kind) in BAD {
        let error = Selector::parse(text).expect_err(text);
        assert_eq!(error.kind, kind, "{text}");
        if carets.is_empty() {
            assert!(error.span.is_empty(), "{text}");
        } else {
            let start = carets.len() - carets.trim_start().len();
            assert_eq!(error.span, start..carets.len(), "{text}\n{carets}");
        }
        assert!(!error.to_string().is_empty() && !error.help().is_empty());
    }
    assert_eq!(Selector::parse("shop.Orders/").expect_err("no method").span, 12..12);
    assert_eq!(Selector::parse("shop..Orders/A").expect_err("no name").span, 5..5);
}

#[test]
fn dotted_names() {
    assert_eq!(Selector::from_dotted("shop.v1.Orders.Create"), Ok(method("shop.v1.Orders", "Create")));
    assert_eq!(Selector::from_dotted("Orders.Create"), Ok(method("Orders", "Create")));
    for (text, span, kind) in [
        ("", 0..0, Kind::Empty),
        ("Create", 0..6, Kind::NoMethod),
        ("shop.v1.Orders.*", 15..16, Kind::Star),
        ("*", 0..1, Kind::Star),
        ("shop.v1.Orders/Create", 14..15, Kind::SlashInDotted),
        ("/shop.v1.Orders", 0..1, Kind::LeadingSlash),
        (".shop.Orders", 0..0, Kind::Name),
        ("shop.Orders.", 12..12, Kind::Name),
    ] {
        assert_eq!(Selector::from_dotted(text), Err(SelectorError { span, kind }), "{text}");
    }
}

#[test]
fn matching() {
    const CASES: &[(&str, &str, &str, bool)] = &[
        ("*", "shop.v1.Orders", "Create", true),
        ("*", "Orders", "Create", true),
        ("shop.*", "shop.v1.Orders", "Create", true),
        ("shop.v1.*", "shop.v1.Orders", "Create", true),
        ("shop.v1.*", "shop.v1.sub.Orders", "Create", true),
        ("shop.v1.*", "shop.v1", "Create", false),
        ("shop.v1.*", "shop.v10.Orders", "Create", false),
        ("shop.v1.*", "shop.Orders", "Create", false),
        ("shop.v1.*", "my.shop.v1.Orders", "Create", false),
        ("shop.v1.Orders/*", "shop.v1.Orders", "Create", true),
        ("shop.v1.Orders/*", "shop.v1.OrdersX", "Create", false),
        ("shop.v1.Orders/*", "shop.v1.Orders.X", "Create", false),
        ("shop.v1.Orders/Create", "shop.v1.Orders", "Create", true),
        ("shop.v1.Orders/Create", "shop.v1.Orders", "create", false),
        ("shop.v1.Orders/Create", "shop.v1.Order", "Create", false),
    ];
    for &(selector, service, method, expected) in CASES {
        let parsed = Selector::parse(selector).unwrap();
        assert_eq!(parsed.matches(service, method), expected, "{selector} {service}/{method}");
    }
}

#[test]
fn specificity() {
    let falling = ["shop.v1.Orders/Create", "shop.v1.Orders/*", "shop.v1.*", "shop.*", "*"];
    for pair in falling.windows(2) {
        let of = |text: &str| Selector::parse(text).unwrap().specificity();
        assert!(of(pair[0]) > of(pair[1]), "{pair:?}");
    }
}

proptest! {
    /// Whatever matches one method can be put in one order.
    #[test]
    fn selectors_of_one_method_differ_in_specificity(
        texts in proptest::collection::vec("[*]|([ab]\\.){1,3}[*]|([ab]\\.){0,2}[ab]/[ab*]", 2..8),
        service in "([ab]\\.){0,3}[ab]",
        method in "[ab]",
    ) {
        let mut matching: Vec<Selector> = texts.iter().map(|t| Selector::parse(t).unwrap()).collect();
        matching.retain(|selector| selector.matches(&service, &method));
        matching.sort_by_key(Selector::specificity);
        matching.dedup();
        for pair in matching.windows(2) {
            prop_assert!(pair[0].specificity() < pair[1].specificity(), "{:?}", pair);
        }
    }
}
