//! Headers of answers that tell browsers what not to do with them.

use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};

/// Who wins where the backend has set such a header itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Wins {
    #[default]
    Backend,
    Gateway,
}

/// What a listener adds to its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecurityHeaders {
    /// To every answer.
    all: Vec<(HeaderName, HeaderValue)>,
    /// To errors alone.
    errors: Vec<(HeaderName, HeaderValue)>,
    pub wins: Wins,
}

impl SecurityHeaders {
    /// Nothing.
    #[must_use]
    pub fn none() -> Self {
        Self { all: Vec::new(), errors: Vec::new(), wins: Wins::default() }
    }

    /// What is right for answers that are data, not pages: nothing in them may run, be framed or be guessed at.
    #[must_use]
    pub fn safe() -> Self {
        let all = [
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::STRICT_TRANSPORT_SECURITY, "max-age=31536000"),
        ];
        let fixed = |(name, value)| (name, HeaderValue::from_static(value));
        let errors = vec![fixed((header::CACHE_CONTROL, "no-store"))];
        Self { all: all.map(fixed).into(), errors, wins: Wins::default() }
    }

    /// Gives a header this value in every answer.
    pub fn set(&mut self, name: HeaderName, value: HeaderValue) {
        self.leave_out(&name);
        self.all.push((name, value));
    }

    /// Leaves a header to the backend.
    pub fn leave_out(&mut self, name: &HeaderName) {
        self.all.retain(|(known, _)| known != name);
        self.errors.retain(|(known, _)| known != name);
    }

    /// Adds them to an answer.
    pub fn put<B>(&self, answer: &mut Response<B>) {
        let status = answer.status();
        if status == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let is_error = status.is_client_error() || status.is_server_error();
        let headers = answer.headers_mut();
        self.all.iter().for_each(|line| self.put_one(line, headers));
        if is_error {
            self.errors.iter().for_each(|line| self.put_one(line, headers));
        }
    }

    fn put_one(&self, (name, value): &(HeaderName, HeaderValue), headers: &mut HeaderMap) {
        match self.wins {
            Wins::Backend if headers.contains_key(name) => {}
            Wins::Backend | Wins::Gateway => {
                headers.insert(name.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(headers: &SecurityHeaders, status: u16, own: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut answer = Response::builder().status(status);
        for (name, value) in own {
            answer = answer.header(*name, *value);
        }
        let mut answer = answer.body(()).unwrap();
        headers.put(&mut answer);
        answer.into_parts().0.headers
    }

    #[test]
    fn errors_are_not_kept_and_the_backend_wins_or_not() {
        let mut headers = SecurityHeaders::safe();
        let found = put(&headers, 200, &[]);
        assert_eq!((found.len(), found.contains_key("cache-control")), (5, false));
        assert_eq!(put(&headers, 404, &[])["cache-control"], "no-store");
        assert!(put(&headers, 101, &[]).is_empty());
        let own =
            [("referrer-policy", "origin"), ("referrer-policy", "same-origin"), ("cache-control", "public")];
        let found = put(&headers, 500, &own);
        assert_eq!(found.get_all("referrer-policy").iter().count(), 2);
        assert_eq!(found["cache-control"], "public");
        headers.wins = Wins::Gateway;
        let found = put(&headers, 500, &own);
        assert_eq!(found.get_all("referrer-policy").iter().collect::<Vec<_>>(), ["no-referrer"]);
        assert_eq!(found["cache-control"], "no-store");
        headers.set(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        headers.leave_out(&header::REFERRER_POLICY);
        let found = put(&headers, 500, &[]);
        assert_eq!(
            (&found["cache-control"], found.contains_key("referrer-policy")),
            (&"private".parse().unwrap(), false)
        );
        assert!(put(&SecurityHeaders::none(), 500, &[]).is_empty());
    }
}
