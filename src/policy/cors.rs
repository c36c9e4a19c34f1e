//! Cross-origin requests of browsers (the Fetch standard, section 3.2): which origins may read what the gateway answers.

use std::time::Duration;

use http::header::{self, HeaderMap, HeaderName, HeaderValue};

/// The origins whose pages may use a listener or an RPC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origins {
    Any,
    Listed(Vec<Origin>),
}

/// One origin, or all of a domain's hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// `https://app.example.com`, as browsers write it.
    Exact(String),
    /// `https://*.example.com`: any host below, however deep, with this scheme and port.
    Below {
        /// `https://`.
        scheme: String,
        /// `.example.com`, and the port where it is not the scheme's own.
        suffix: String,
    },
}

impl Origins {
    /// Whether the value of an `Origin` header is one of them. `null` is only where any is.
    #[must_use]
    pub fn allow(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(list) => origin.to_str().is_ok_and(|text| list.iter().any(|one| one.matches(text))),
        }
    }
}

impl Origin {
    /// Reads an origin or a pattern of origins.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let (scheme, rest) =
            text.split_once("://").ok_or("an origin has a scheme, as in `https://app.example.com`")?;
        if rest.is_empty() || scheme.is_empty() {
            return Err("an origin has a scheme and a host");
        }
        if rest.contains(['/', '?', '#', '@']) {
            return Err("an origin has no path, query or user");
        }
        let lower = text.to_ascii_lowercase();
        if lower.len() != text.len() || lower != text {
            return Err("browsers write origins in lower case");
        }
        if (scheme == "https" && rest.ends_with(":443")) || (scheme == "http" && rest.ends_with(":80")) {
            return Err("browsers leave a scheme's own port out");
        }
        match rest.strip_prefix("*.") {
            Some(domain) if domain.is_empty() || domain.contains('*') => {
                Err("`*` stands once, for all of the hosts below a domain")
            }
            Some(domain) => Ok(Self::Below { scheme: format!("{scheme}://"), suffix: format!(".{domain}") }),
            None if rest.contains('*') => {
                Err("`*` stands only before a domain, as in `https://*.example.com`")
            }
            None => Ok(Self::Exact(text.to_owned())),
        }
    }

    fn matches(&self, origin: &str) -> bool {
        match self {
            Self::Exact(exact) => origin == exact,
            Self::Below { scheme, suffix } => {
                let host =
                    origin.strip_prefix(scheme.as_str()).and_then(|host| host.strip_suffix(suffix.as_str()));
                // What stands before the suffix is a host's own labels, and nothing that only looks like it.
                host.is_some_and(|host| {
                    !host.is_empty()
                        && !host.starts_with('.')
                        && host
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
                })
            }
        }
    }
}

/// The choices of a listener or a rule about cross-origin requests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CorsSettings {
    pub origins: Origins,
    /// Further request headers that pages may set; none for any.
    pub headers: Option<Vec<HeaderName>>,
    /// Further headers of answers that pages may read.
    pub expose: Vec<HeaderName>,
    /// Whether cookies and client certificates count. Never with any origin.
    pub credentials: bool,
    /// How long a browser may remember a preflight's answer.
    pub max_age: Duration,
}

/// Request headers that the clients' protocols need.
const REQUEST_HEADERS: [&str; 18] = [
    "content-type",
    "content-encoding",
    "authorization",
    "x-api-key",
    "x-grpc-web",
    "x-user-agent",
    "grpc-timeout",
    "connect-protocol-version",
    "connect-timeout-ms",
    "connect-content-encoding",
    "connect-accept-encoding",
    "x-server-timeout",
    "idempotency-key",
    "x-request-id",
    "traceparent",
    "tracestate",
    "if-match",
    "if-none-match",
];

/// Headers of answers that the clients' protocols need.
const EXPOSED: [&str; 13] = [
    "content-encoding",
    "grpc-status",
    "grpc-message",
    "grpc-status-details-bin",
    "grpc-encoding",
    "connect-content-encoding",
    "etag",
    "location",
    "ratelimit",
    "ratelimit-policy",
    "retry-after",
    "www-authenticate",
    "x-request-id",
];

/// [`CorsSettings`] as they are put into answers.
#[derive(Debug)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    /// None for whatever a preflight asks for.
    allow_headers: Option<HeaderValue>,
    expose: HeaderValue,
    max_age: HeaderValue,
}

impl Cors {
    #[must_use]
    pub fn new(settings: &CorsSettings) -> Self {
        let list = |own: &[&str], more: &[HeaderName]| {
            let names = own.iter().copied().chain(more.iter().map(HeaderName::as_str));
            // Header names are always header values.
            HeaderValue::from_str(&names.collect::<Vec<_>>().join(", "))
                .unwrap_or_else(|_| HeaderValue::from_static(""))
        };
        Self {
            origins: settings.origins.clone(),
            credentials: settings.credentials,
            allow_headers: settings.headers.as_ref().map(|more| list(&REQUEST_HEADERS, more)),
            expose: list(&EXPOSED, &settings.expose),
            max_age: HeaderValue::from(settings.max_age.as_secs()),
        }
    }

    /// The origins whose pages may call.
    #[must_use]
    pub fn origins(&self) -> &Origins {
        &self.origins
    }

    /// Whether pages of this origin may act for their visitors: it is listed, and cookies count.
    #[must_use]
    pub fn takes_cookies_of(&self, origin: &HeaderValue) -> bool {
        self.credentials && matches!(self.origins, Origins::Listed(_)) && self.origins.allow(origin)
    }

    /// What a request asks for that says this of its page.
    #[must_use]
    pub fn asked(&self, page: Page) -> Asked {
        let Some(origin) = page.origin else { return Asked::Nothing };
        if !self.origins.allow(&origin) {
            return Asked::Refused;
        }
        match page.preflight {
            Some(Preflight { wanted }) => Asked::Preflight { origin, wanted },
            None => Asked::Read { origin },
        }
    }

    /// Writes into the headers of an answer what its browser needs to know. `allow` of a preflight's answer are the
    /// methods of the path.
    pub fn put(&self, asked: Asked, headers: &mut HeaderMap) {
        let any = self.origins == Origins::Any && !self.credentials;
        if !any {
            // Caches must not give one origin's answer to another.
            headers.append(header::VARY, HeaderValue::from_static("origin"));
        }
        let origin = match asked {
            Asked::Nothing | Asked::Refused => return,
            Asked::Preflight { origin, wanted } => {
                if let Some(methods) = headers.get(header::ALLOW).cloned() {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
                }
                if let Some(allowed) = self.allow_headers.clone().or(wanted) {
                    headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
                }
                headers.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
                origin
            }
            Asked::Read { origin } => {
                headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, self.expose.clone());
                origin
            }
        };
        let origin = if any { HeaderValue::from_static("*") } else { origin };
        headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        if self.credentials {
            headers.insert(header::ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// Whether a page of the gateway's own origin asks: `origin` names the host and the port that the request itself went to.
/// Its scheme may be another one, where TLS ends before the gateway.
#[must_use]
pub fn is_own_page(origin: &HeaderValue, authority: &str) -> bool {
    let host = origin.to_str().ok().and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    host.is_some_and(|host| !host.is_empty() && host.eq_ignore_ascii_case(authority))
}

/// What a request says of the page that it is from, kept until it is known whose choices hold.
#[derive(Debug, Default)]
pub struct Page {
    origin: Option<HeaderValue>,
    /// There where it asks for another request.
    preflight: Option<Preflight>,
}

#[derive(Debug)]
struct Preflight {
    /// The headers that the other request will have.
    wanted: Option<HeaderValue>,
}

impl Page {
    /// As the head of a request says.
    #[must_use]
    pub fn of(is_options: bool, headers: &HeaderMap) -> Self {
        let Some(origin) = headers.get(header::ORIGIN) else { return Self::default() };
        let preflight = is_preflight(is_options, headers)
            .then(|| Preflight { wanted: headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS).cloned() });
        Self { origin: Some(origin.clone()), preflight }
    }

    /// Whether it asks for another request.
    #[must_use]
    pub fn is_preflight(&self) -> bool {
        self.preflight.is_some()
    }
}

/// What a request asks for across origins.
#[derive(Debug)]
pub enum Asked {
    /// It is no cross-origin request of a browser.
    Nothing,
    /// Its origin may not; it gets its answer, and the browser keeps that from the page.
    Refused,
    /// Whether another request may be made.
    Preflight { origin: HeaderValue, wanted: Option<HeaderValue> },
    /// The answer, for the page to read.
    Read { origin: HeaderValue },
}

/// Whether a request asks for another one (Fetch, "CORS-preflight request").
#[must_use]
pub fn is_preflight(is_options: bool, headers: &HeaderMap) -> bool {
    is_options
        && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
        && headers.contains_key(header::ORIGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_match_as_a_whole() {
        let list = ["https://a.example", "https://*.b.example", "http://*.c.example:8080"];
        let origins = Origins::Listed(list.iter().map(|text| Origin::parse(text).unwrap()).collect());
        for (origin, allowed) in [
            ("https://a.example", true),
            ("http://a.example", false),
            ("https://a.example:444", false),
            ("https://a.example.evil", false),
            ("https://xa.example", false),
            ("https://x.b.example", true),
            ("https://x.y.b.example", true),
            ("https://b.example", false),
            ("https://.b.example", false),
            ("https://xb.example", false),
            ("https://evil/.b.example", false),
            ("https://evil:1.b.example", false),
            ("http://x.c.example:8080", true),
            ("http://x.c.example", false),
            ("null", false),
        ] {
            assert_eq!(origins.allow(&HeaderValue::from_static(origin)), allowed, "{origin}");
        }
        assert!(Origins::Any.allow(&HeaderValue::from_static("null")));
    }

    #[test]
    fn what_no_browser_writes_is_refused() {
        for text in [
            "example.com",
            "https://",
            "https://a/",
            "https://A.example",
            "https://a.example:443",
            "https://*",
            "https://*.",
            "https://a.*.example",
            "https://*.*.example",
            "https://u@a.example",
            "://a",
        ] {
            assert!(Origin::parse(text).is_err(), "{text}");
        }
    }

    fn cors(origins: Origins, credentials: bool) -> Cors {
        let max_age = Duration::from_secs(60);
        Cors::new(&CorsSettings {
            origins,
            headers: Some(Vec::new()),
            expose: Vec::new(),
            credentials,
            max_age,
        })
    }

    fn put(cors: &Cors, is_options: bool, request: &[(&'static str, &'static str)]) -> HeaderMap {
        let headers = request
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect();
        let mut answer = HeaderMap::new();
        answer.insert(header::ALLOW, HeaderValue::from_static("GET, OPTIONS"));
        cors.put(cors.asked(Page::of(is_options, &headers)), &mut answer);
        answer
    }

    #[test]
    fn answers_say_what_their_browsers_need() {
        let one = Origins::Listed(vec![Origin::Exact("https://a.example".into())]);
        let own = cors(one, true);
        let read = put(&own, false, &[("origin", "https://a.example")]);
        assert_eq!(read["access-control-allow-origin"], "https://a.example");
        assert_eq!(read["access-control-allow-credentials"], "true");
        assert_eq!(read["vary"], "origin");
        assert!(read["access-control-expose-headers"].to_str().unwrap().contains("grpc-status"));
        let other = put(&own, false, &[("origin", "https://b.example")]);
        assert!(!other.contains_key("access-control-allow-origin"));
        assert_eq!(other["vary"], "origin");
        let asking = [("origin", "https://a.example"), ("access-control-request-method", "GET")];
        let preflight = put(&own, true, &asking);
        assert_eq!(preflight["access-control-allow-methods"], "GET, OPTIONS");
        assert_eq!(preflight["access-control-max-age"], "60");
        assert!(preflight["access-control-allow-headers"].to_str().unwrap().contains("x-grpc-web"));
        let any = put(&cors(Origins::Any, false), false, &[("origin", "https://b.example")]);
        assert_eq!(any["access-control-allow-origin"], "*");
        assert!(!any.contains_key("vary"));
    }
}
