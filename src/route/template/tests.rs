use proptest::prelude::*;

use super::*;

/// Segments as a plain form: literals quoted, then the verb.
fn shape(template: &Template) -> String {
    let mut shape: Vec<String> = template
        .segments()
        .iter()
        .map(|segment| match segment {
            Segment::Literal(text) => format!("{text:?}"),
            Segment::Single => "*".to_owned(),
            Segment::Rest => "**".to_owned(),
        })
        .collect();
    shape.extend(template.verb().map(|verb| format!(":{verb:?}")));
    shape.join(" ")
}

/// Variables as `path=first..end`, with a `+` for several segments.
fn variables(template: &Template) -> String {
    let variables = template.variables().iter().map(|variable| {
        let Range { start, end } = variable.segments;
        let multi = if variable.multi { "+" } else { "" };
        format!("{}={start}..{end}{multi}", variable.path.join("."))
    });
    variables.collect::<Vec<_>>().join(" ")
}

/// Template, its segments and verb, its variables.
const GOOD: &[(&str, &str, &str)] = &[
    ("/", "", ""),
    ("/v1/books", r#""v1" "books""#, ""),
    ("/v1/books/", r#""v1" "books" """#, ""),
    ("/v1/*", r#""v1" *"#, ""),
    ("/v1/**", r#""v1" **"#, ""),
    ("/**", "**", ""),
    ("/**/books", r#"** "books""#, ""),
    ("/**/*", "** *", ""),
    ("/v1/{id}", r#""v1" *"#, "id=1..2"),
    ("/v1/{id=*}", r#""v1" *"#, "id=1..2"),
    ("/v1/{id=exactly}", r#""v1" "exactly""#, "id=1..2"),
    ("/v1/{book.author.id}", r#""v1" *"#, "book.author.id=1..2"),
    ("/v1/{_a1}/{A_}", r#""v1" * *"#, "_a1=1..2 A_=2..3"),
    ("/v1/{name=shelves/*/books/*}", r#""v1" "shelves" * "books" *"#, "name=1..5+"),
    ("/v1/{name=**}", r#""v1" **"#, "name=1..2+"),
    ("/v1/{name=a/**}/b", r#""v1" "a" ** "b""#, "name=1..3+"),
    ("/{a=**}/x/{b}/", r#"** "x" * """#, "a=0..1+ b=2..3"),
    ("/v1/books:archive", r#""v1" "books" :"archive""#, ""),
    ("/v1/{id}:archive", r#""v1" * :"archive""#, "id=1..2"),
    ("/v1/*:archive", r#""v1" * :"archive""#, ""),
    ("/v1/{name=**}:get%2Dall", r#""v1" ** :"get-all""#, "name=1..2+"),
    ("/a%3Ab/%2a/%C3%A9%2F", r#""a:b" "*" "é/""#, ""),
    ("/-._~/!$&'()+,;=@", r#""-._~" "!$&'()+,;=@""#, ""),
    ("/./..", r#""." "..""#, ""),
    ("/v1/{a}/{a.b}", r#""v1" * *"#, "a=1..2 a.b=2..3"),
];

#[test]
fn good_templates() {
    for &(source, segments, vars) in GOOD {
        let template = Template::parse(source).unwrap_or_else(|e| panic!("{source}: {e}"));
        assert_eq!(shape(&template), segments, "{source}");
        assert_eq!(variables(&template), vars, "{source}");
        assert_eq!(template.to_string(), source);
        for variable in template.variables() {
            let text = &source[variable.span.clone()];
            assert!(text.starts_with('{') && text.ends_with('}'), "{source}: {text}");
        }
    }
}

/// Template, the carets under it, what is wrong.
const BAD: &[(&str, &str, Kind)] = &[
    ("", "", Kind::NoLeadingSlash),
    ("v1", "^", Kind::NoLeadingSlash),
    ("é/v1", "^^", Kind::NoLeadingSlash),
    ("//", "^^", Kind::EmptySegment),
    ("/v1//books", "   ^^", Kind::EmptySegment),
    ("/v1/{a=/b}", "       ^", Kind::EmptySegment),
    ("/v1/{a=b//c}", "        ^^", Kind::EmptySegment),
    ("/v1/{a=b/}", "        ^", Kind::EmptySegment),
    ("/v1/:id", "    ^^^", Kind::ColonFirst),
    ("/v1/:id/books", "    ^^^", Kind::ColonFirst),
    ("/:list", " ^^^^^", Kind::ColonFirst),
    ("/v1/a:b/c", "     ^", Kind::MisplacedColon),
    ("/v1/a:b:c", "     ^", Kind::MisplacedColon),
    ("/v1/{a=b:c}", "        ^", Kind::MisplacedColon),
    ("/v1/{a:[0-9]+}", "      ^", Kind::MisplacedColon),
    ("/v1/a:", "     ^", Kind::EmptyVerb),
    ("/v1/{a}:", "       ^", Kind::EmptyVerb),
    ("/v1/b ook", "     ^", Kind::Character(' ')),
    ("/v1?a=b", "   ^", Kind::Character('?')),
    ("/é", " ^^", Kind::Character('é')),
    ("/v1/a:*", "      ^", Kind::Character('*')),
    ("/v1/a:{b}", "      ^", Kind::Character('{')),
    ("/v1/%zz", "    ^^^", Kind::Escape),
    ("/v1/a%2", "     ^^", Kind::Escape),
    ("/v1/%", "    ^", Kind::Escape),
    ("/v1/%a€", "    ^^", Kind::Escape),
    ("/v1/%€", "    ^", Kind::Escape),
    ("/v1/a%00", "    ^^^^", Kind::EscapedText),
    ("/v1/%ff", "    ^^^", Kind::EscapedText),
    ("/v1/a*", "    ^^", Kind::PartialWildcard),
    ("/v1/***", "    ^^^", Kind::PartialWildcard),
    ("/v1/{a=b*}", "       ^^", Kind::PartialWildcard),
    ("/v1/a{b}/c", "    ^^^^", Kind::PartialVariable),
    ("/v1/{a}b/c", "    ^^^^", Kind::PartialVariable),
    ("/v1/{a}{b}", "    ^^^^^^", Kind::PartialVariable),
    ("/v1/*{a}", "    ^^^^", Kind::PartialVariable),
    ("/v1/{a", "    ^^", Kind::UnclosedVariable),
    ("/v1/{a/b}", "    ^^", Kind::UnclosedVariable),
    ("/v1/{a=b", "    ^^^^", Kind::UnclosedVariable),
    ("/v1/{", "    ^", Kind::UnclosedVariable),
    ("/v1/{a=", "    ^^^", Kind::UnclosedVariable),
    ("/v1/a}", "     ^", Kind::StrayBrace),
    ("/v1/}", "    ^", Kind::StrayBrace),
    ("/v1/{a}}", "       ^", Kind::StrayBrace),
    ("/v1/{a={b}}", "       ^", Kind::NestedVariable),
    ("/v1/{a=b/{c}}", "         ^", Kind::NestedVariable),
    ("/v1/{a=b{c}}", "        ^", Kind::NestedVariable),
    ("/v1/{a{b}}", "      ^", Kind::NestedVariable),
    ("/v1/{}", "    ^^", Kind::FieldPath),
    ("/v1/{=*}", "    ^^", Kind::FieldPath),
    ("/v1/{1a}", "     ^^", Kind::FieldPath),
    ("/v1/{a..b}", "     ^^^^", Kind::FieldPath),
    ("/v1/{a.b-c}", "       ^^^", Kind::FieldPath),
    ("/v1/{a.}", "     ^^", Kind::FieldPath),
    ("/v1/{a=}", "      ^^", Kind::EmptyPattern),
    ("/{a}/{a}", "     ^^^", Kind::VariableTwice { first: 1..4 }),
    ("/{a.b=x/*}/{a.b}", "           ^^^^^", Kind::VariableTwice { first: 1..10 }),
    ("/**/a/**", "      ^^", Kind::SecondRest { first: 1..3 }),
    ("/{a=**}/{b=**}", "           ^^", Kind::SecondRest { first: 4..6 }),
];

#[test]
fn bad_templates() {
    for (source, carets, kind) in BAD {
        let error = Template::parse(source).expect_err(source);
        let start = carets.len() - carets.trim_start().len();
        assert_eq!(error.kind, *kind, "{source}");
        assert_eq!(error.span, start..carets.len(), "{source}\n{carets}");
        assert!(!error.to_string().is_empty() && !error.help().is_empty());
    }
}

#[test]
fn help_escapes_the_character() {
    let error = Template::parse("/caf\u{e9}").expect_err("not ASCII");
    assert_eq!(error.to_string(), "'é' cannot stand in a literal");
    assert_eq!(error.help(), "write it as `%C3%A9`");
}

#[test]
fn segments_are_bounded() {
    let most = "/a".repeat(Template::MAX_SEGMENTS);
    assert!(Template::parse(&most).is_ok());
    for more in [format!("{most}/a"), format!("{most}/"), format!("{most}/{{a}}")] {
        let error = Template::parse(&more).expect_err("one more than allowed");
        assert_eq!(error.kind, Kind::TooManySegments);
        assert_eq!(error.span, most.len() + 1..more.len());
    }
}

proptest! {
    /// Whatever the text, a span lies in it on character boundaries.
    #[test]
    fn spans_are_within_the_text(source in "/?([a{}=./:*%é]|[*]{2}|%2[0F]){0,12}") {
        if let Err(error) = Template::parse(&source) {
            prop_assert!(source.get(error.span.clone()).is_some(), "{:?}", error);
        }
    }
}
