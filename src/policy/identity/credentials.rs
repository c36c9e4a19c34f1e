//! Where a request shows a token, and how it is taken out before the request goes on.
//!
//! Browsers send cookies along with whatever any page asks for, so a cookie counts only where no page of a stranger's can
//! have made the request.

use std::borrow::Cow;

use http::Method;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::request::Parts;
use http::uri::{PathAndQuery, Uri};
use percent_encoding::percent_decode_str;

use super::jwt::Refusal;
use super::settings::TokenSettings;
use crate::policy::{Cors, is_own_page};

/// What a request shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Shown<'h> {
    Nothing,
    Token(Cow<'h, str>),
    /// A cookie alone, in a request that a stranger's page may have made. It counts as nothing.
    ForeignCookie,
}

/// Finds the one token that a request shows.
pub(super) fn find<'h>(
    head: &'h Parts,
    settings: &TokenSettings,
    cors: Option<&Cors>,
) -> Result<Shown<'h>, Refusal> {
    let bearer = bearer(&head.headers)?;
    let in_query = match &settings.query {
        Some(name) => in_query(head.uri.query().unwrap_or_default(), name).map_err(|error| {
            Refusal::Malformed(match error {
                BadQuery::Two => "there are two in the query",
                BadQuery::NoText => "the one in the query is no text",
            })
        })?,
        None => None,
    };
    match (bearer, in_query) {
        // RFC 6750, section 2.
        (Some(_), Some(_)) => {
            return Err(Refusal::Malformed("there is one in the header and one in the query"));
        }
        (Some(token), None) => return Ok(Shown::Token(Cow::Borrowed(token))),
        (None, Some(token)) => return Ok(Shown::Token(token)),
        (None, None) => {}
    }
    let Some(name) = &settings.cookie else { return Ok(Shown::Nothing) };
    Ok(match in_cookie(&head.headers, name)? {
        Some(token) if counts(head, cors) => Shown::Token(Cow::Borrowed(token)),
        Some(_) => Shown::ForeignCookie,
        None => Shown::Nothing,
    })
}

/// The token of an `Authorization: Bearer`. Other schemes are somebody else's.
fn bearer(headers: &HeaderMap) -> Result<Option<&str>, Refusal> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::Malformed("there are two Authorization headers"));
    }
    let Some(token) = credentials(value, b"bearer") else { return Ok(None) };
    // RFC 9110, section 11.2: token68.
    let is_fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(byte);
    match std::str::from_utf8(token) {
        Ok(text) if !text.is_empty() && token.iter().all(is_fine) => Ok(Some(text)),
        Ok(_) | Err(_) => Err(Refusal::Malformed("behind `Bearer` there is no token")),
    }
}

/// What stands behind the name of a scheme, in any case.
fn credentials<'v>(value: &'v HeaderValue, scheme: &[u8]) -> Option<&'v [u8]> {
    let (start, rest) = value.as_bytes().trim_ascii().split_at_checked(scheme.len())?;
    let is_whole = matches!(rest.first(), None | Some(b' ' | b'\t'));
    (start.eq_ignore_ascii_case(scheme) && is_whole).then(|| rest.trim_ascii_start())
}

fn is_named(pair: &str, name: &str) -> bool {
    let own = pair.split_once('=').map_or(pair, |(own, _)| own);
    percent_decode_str(own).eq(name.bytes())
}

/// Why a query doesn't say one thing.
pub(super) enum BadQuery {
    Two,
    NoText,
}

/// The value of the only parameter of this name.
pub(super) fn in_query<'q>(query: &'q str, name: &str) -> Result<Option<Cow<'q, str>>, BadQuery> {
    let mut values = query.split('&').filter(|pair| is_named(pair, name));
    let Some(pair) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(BadQuery::Two);
    }
    let value = pair.split_once('=').map_or("", |(_, value)| value);
    let value = percent_decode_str(value).decode_utf8();
    value.map(Some).map_err(|_| BadQuery::NoText)
}

/// The pairs of all cookies (RFC 6265, section 4.2.1).
fn cookies(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    // Other cookies may hold what is no ASCII.
    let values = headers.get_all(header::COOKIE).iter();
    let values = values.filter_map(|value| std::str::from_utf8(value.as_bytes()).ok());
    values.flat_map(|value| value.split(';')).map(|pair| pair.trim_matches([' ', '\t']))
}

fn cookie_value<'p>(pair: &'p str, name: &str) -> Option<&'p str> {
    pair.split_once('=').filter(|(own, _)| *own == name).map(|(_, value)| value.trim_matches('"'))
}

/// With two of one name nobody knows which is the page's own: other hosts of its domain may set one.
fn in_cookie<'h>(headers: &'h HeaderMap, name: &str) -> Result<Option<&'h str>, Refusal> {
    let mut values = cookies(headers).filter_map(|pair| cookie_value(pair, name));
    let first = values.next();
    match values.next() {
        Some(_) => Err(Refusal::Malformed("there are two cookies of its name")),
        None => Ok(first),
    }
}

const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether no page of a stranger's can have made a request: its `Origin` is allowed, or it is one of those that browsers
/// send without, and says by itself that the gateway's own page or nobody's made it. Forms are sent without a preflight.
fn counts(head: &Parts, cors: Option<&Cors>) -> bool {
    if head.headers.get_all(header::CONTENT_TYPE).iter().any(is_of_form) {
        return false;
    }
    if let Some(origin) = head.headers.get(header::ORIGIN) {
        let host = head.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let authority = head.uri.authority().map(|authority| authority.as_str()).or(host);
        return authority.is_some_and(|authority| is_own_page(origin, authority))
            || cors.is_some_and(|cors| cors.takes_cookies_of(origin));
    }
    let site = head.headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
    matches!(head.method, Method::GET | Method::HEAD) && matches!(site, Some(b"same-origin" | b"none"))
}

/// The types that a page can send anywhere without asking (Fetch, "CORS-safelisted request-header").
fn is_of_form(content_type: &HeaderValue) -> bool {
    const FORMS: [&[u8]; 3] = [b"application/x-www-form-urlencoded", b"multipart/form-data", b"text/plain"];
    let bytes = content_type.as_bytes();
    let essence = bytes.split(|byte| matches!(byte, b';' | b',')).next().unwrap_or_default().trim_ascii();
    FORMS.iter().any(|form| essence.eq_ignore_ascii_case(form))
}

/// Takes `Authorization: Bearer` out, under the name too that it would cross by.
pub(super) fn take_bearer(headers: &mut HeaderMap) {
    const PREFIXED: HeaderName = HeaderName::from_static("grpc-metadata-authorization");
    if headers.get(header::AUTHORIZATION).is_some_and(|value| credentials(value, b"bearer").is_some()) {
        headers.remove(header::AUTHORIZATION);
    }
    headers.remove(PREFIXED);
}

/// Takes all cookies of this name out.
pub(super) fn take_cookie(headers: &mut HeaderMap, name: &str) {
    if !cookies(headers).any(|pair| cookie_value(pair, name).is_some()) {
        return;
    }
    let left: Vec<&str> = cookies(headers).filter(|pair| cookie_value(pair, name).is_none()).collect();
    // Parts of values are values.
    let left = HeaderValue::from_bytes(left.join("; ").as_bytes()).ok().filter(|left| !left.is_empty());
    match left {
        Some(left) => drop(headers.insert(header::COOKIE, left)),
        None => drop(headers.remove(header::COOKIE)),
    }
}

/// Takes all parameters of this name out of a query, so that no backend and no log sees them.
pub(super) fn take_parameter(uri: &mut Uri, name: &str) {
    let Some(query) = uri.query() else { return };
    if !query.split('&').any(|pair| is_named(pair, name)) {
        return;
    }
    let left: Vec<&str> = query.split('&').filter(|pair| !is_named(pair, name)).collect();
    let whole = match left.join("&") {
        left if left.is_empty() => uri.path().to_owned(),
        left => format!("{}?{left}", uri.path()),
    };
    // What is left of a good one is good.
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(whole).unwrap_or(PathAndQuery::from_static("/")));
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{CorsSettings, Origin, Origins};
    use http::Request;

    const SETTINGS: fn() -> TokenSettings = || TokenSettings {
        cookie: Some("session".into()),
        query: Some("access_token".into()),
        ..TokenSettings::default()
    };

    fn head(method: &str, target: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(target);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn found(method: &str, target: &str, headers: &[(&str, &str)]) -> String {
        let cors = Cors::new(&CorsSettings {
            origins: Origins::Listed(vec![Origin::parse("https://app.example").unwrap()]),
            headers: None,
            expose: Vec::new(),
            credentials: true,
            max_age: std::time::Duration::ZERO,
        });
        match find(&head(method, target, headers), &SETTINGS(), Some(&cors)) {
            Ok(Shown::Nothing) => "nothing".into(),
            Ok(Shown::ForeignCookie) => "foreign".into(),
            Ok(Shown::Token(token)) => token.into_owned(),
            Err(refusal) => refusal.reason().into(),
        }
    }

    /// Method or target, headers, and what is found.
    type Case<'c> = (&'c str, &'c [(&'c str, &'c str)], &'c str);

    #[test]
    fn where_tokens_are() {
        let cases: &[Case<'_>] = &[
            ("/", &[("authorization", "Bearer a.b.c")], "a.b.c"),
            ("/", &[("authorization", "bEARER   a.b.c ")], "a.b.c"),
            ("/", &[("authorization", "Bearer")], "TOKEN_MALFORMED"),
            ("/", &[("authorization", "Bearer ")], "TOKEN_MALFORMED"),
            ("/", &[("authorization", "Bearer a b")], "TOKEN_MALFORMED"),
            ("/", &[("authorization", "Bearer a, Bearer b")], "TOKEN_MALFORMED"),
            ("/", &[("authorization", "Bearer a"), ("authorization", "Bearer b")], "TOKEN_MALFORMED"),
            ("/", &[("authorization", "Bearer a"), ("authorization", "Basic b")], "TOKEN_MALFORMED"),
            ("/", &[("authorization", "Basic YTpi")], "nothing"),
            ("/", &[("authorization", "Bearera")], "nothing"),
            ("/", &[("authorization", "")], "nothing"),
            ("/?access_token=a.b.c", &[], "a.b.c"),
            ("/?x=1&access%5Ftoken=a%2Eb&y", &[], "a.b"),
            ("/?access_token=a&access_token=b", &[], "TOKEN_MALFORMED"),
            ("/?access_token=%ff", &[], "TOKEN_MALFORMED"),
            ("/?access_token=a", &[("authorization", "Bearer a")], "TOKEN_MALFORMED"),
            ("/?access_tokens=a", &[], "nothing"),
        ];
        for (target, headers, want) in cases {
            assert_eq!(found("GET", target, headers), *want, "{target} {headers:?}");
        }
    }

    #[test]
    fn cookies_count_where_no_strangers_page_can_ask() {
        const COOKIE: (&str, &str) = ("cookie", "a=b; session=t; c=d");
        const HOST: (&str, &str) = ("host", "shop.example");
        let own = ("origin", "https://shop.example");
        let app = ("origin", "https://app.example");
        let evil = ("origin", "https://evil.example");
        let cases: &[Case<'_>] = &[
            ("POST", &[own], "t"),
            ("POST", &[app], "t"),
            ("POST", &[evil], "foreign"),
            ("POST", &[("origin", "null")], "foreign"),
            ("POST", &[], "foreign"),
            ("POST", &[("sec-fetch-site", "same-origin")], "foreign"),
            ("GET", &[], "foreign"),
            ("GET", &[("sec-fetch-site", "same-origin")], "t"),
            ("GET", &[("sec-fetch-site", "none")], "t"),
            ("GET", &[("sec-fetch-site", "same-site")], "foreign"),
            ("GET", &[("sec-fetch-site", "cross-site")], "foreign"),
            ("GET", &[evil, ("sec-fetch-site", "same-origin")], "foreign"),
            ("POST", &[own, ("content-type", "application/json")], "t"),
            ("POST", &[own, ("content-type", "Text/Plain; charset=utf-8")], "foreign"),
            ("POST", &[own, ("content-type", "multipart/form-data; boundary=x")], "foreign"),
            ("POST", &[own, ("content-type", "application/x-www-form-urlencoded")], "foreign"),
            ("POST", &[evil, ("authorization", "Bearer h")], "h"),
            ("POST", &[own, ("cookie", "session=u")], "TOKEN_MALFORMED"),
        ];
        for (method, headers, want) in cases {
            let headers = [&[COOKIE, HOST], *headers].concat();
            assert_eq!(found(method, "/", &headers), *want, "{method} {headers:?}");
        }
    }

    #[test]
    fn what_was_shown_is_taken_out() {
        for (query, left) in [
            ("access_token=a", ""),
            ("x=1&access_token=a&y=2", "?x=1&y=2"),
            ("access%5Ftoken=a&x&access_token", "?x"),
            ("x=access_token", "?x=access_token"),
        ] {
            let mut uri: Uri = format!("http://h/p%2F?{query}").parse().unwrap();
            take_parameter(&mut uri, "access_token");
            assert_eq!(uri.to_string(), format!("http://h/p%2F{left}"));
        }
        let mut parts = head("GET", "/", &[("cookie", "session=t"), ("cookie", "a=b; session=u;c=d")]);
        take_cookie(&mut parts.headers, "session");
        assert_eq!(parts.headers.get_all("cookie").iter().collect::<Vec<_>>(), ["a=b; c=d"]);
        let mut parts = head("GET", "/", &[]);
        parts.headers.insert("cookie", HeaderValue::from_bytes("session=t; a=ä".as_bytes()).unwrap());
        take_cookie(&mut parts.headers, "session");
        assert_eq!(parts.headers["cookie"].as_bytes(), "a=ä".as_bytes());
        let mut parts = head("GET", "/", &[("cookie", "session=t")]);
        take_cookie(&mut parts.headers, "session");
        assert!(parts.headers.is_empty());
        let headers = [("authorization", "bearer t"), ("grpc-metadata-authorization", "Bearer forged")];
        let mut parts = head("GET", "/", &headers);
        take_bearer(&mut parts.headers);
        assert!(parts.headers.is_empty());
    }
}
