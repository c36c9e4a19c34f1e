//! How the messages of a server stream stand in one HTTP body.

use http::header::{self, HeaderMap, HeaderValue};

use crate::protocol::weight::weight;

/// The form of a streamed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum StreamForm {
    /// One JSON array (`application/json`).
    #[default]
    Array,
    /// One message a line (`application/x-ndjson`).
    Lines,
    /// Server-sent events (`text/event-stream`; HTML, section 9.2).
    Events,
}

impl StreamForm {
    /// The form that the client likes best, by `Accept` (RFC 9110, section 12.5.1); `fallback` where it says nothing that
    /// helps.
    #[must_use]
    pub fn negotiate(headers: &HeaderMap, fallback: Self) -> Self {
        let mut best = (0, fallback);
        for value in headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok()) {
            for range in value.split(',') {
                let (media, parameters) = range.split_once(';').unwrap_or((range, ""));
                let form = match media.trim().to_ascii_lowercase().as_str() {
                    "application/json" => Self::Array,
                    "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Self::Lines,
                    "text/event-stream" => Self::Events,
                    "*/*" | "application/*" => fallback,
                    _ => continue,
                };
                let quality = weight(parameters);
                if quality > best.0 {
                    best = (quality, form);
                }
            }
        }
        best.1
    }

    #[must_use]
    pub fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Array => "application/json",
            Self::Lines => "application/x-ndjson",
            Self::Events => "text/event-stream",
        })
    }
}

/// Writes a streamed answer, piece by piece.
#[derive(Debug)]
pub(super) struct Framer {
    form: StreamForm,
    elements: u64,
}

impl Framer {
    pub(super) fn new(form: StreamForm) -> Self {
        Self { form, elements: 0 }
    }

    /// Begins an element; its JSON, which has no line breaks, comes behind.
    pub(super) fn begin(&mut self, out: &mut Vec<u8>) {
        let before: &[u8] = match (self.form, self.elements) {
            (StreamForm::Array, 0) => b"[",
            (StreamForm::Array, _) => b",\n",
            (StreamForm::Lines, _) => b"",
            (StreamForm::Events, _) => b"data: ",
        };
        out.extend_from_slice(before);
        self.elements += 1;
    }

    /// Takes back what [`Framer::begin`] and those behind it wrote since `before`.
    pub(super) fn undo(&mut self, out: &mut Vec<u8>, before: usize) {
        out.truncate(before);
        self.elements = self.elements.saturating_sub(1);
    }

    /// Ends an element.
    pub(super) fn end(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(match self.form {
            StreamForm::Array => b"",
            StreamForm::Lines => b"\n",
            StreamForm::Events => b"\n\n",
        });
    }

    /// The last element of a stream that fails: what went wrong, as `{"error":…}`.
    pub(super) fn fail(&mut self, out: &mut Vec<u8>, error: &str) {
        if self.form == StreamForm::Events {
            out.extend_from_slice(b"event: error\n");
        }
        self.begin(out);
        out.extend_from_slice(error.as_bytes());
        self.end(out);
        if self.form == StreamForm::Array {
            out.extend_from_slice(b"]\n");
        }
    }

    /// The end of a stream that went well.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self.form {
            StreamForm::Array => out.extend_from_slice(if self.elements == 0 { b"[]\n" } else { b"]\n" }),
            StreamForm::Lines => {}
            // A browser would connect again on its own; this lets a page close the source in time.
            StreamForm::Events => out.extend_from_slice(b"event: end\ndata: {}\n\n"),
        }
    }

    /// A sign of life; only events have one that readers pass over.
    pub(super) fn heartbeat(&self) -> Option<&'static [u8]> {
        match self.form {
            StreamForm::Events => Some(b": \n\n"),
            StreamForm::Array | StreamForm::Lines => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept() {
        for (accept, want) in [
            ("", StreamForm::Lines),
            ("*/*", StreamForm::Lines),
            ("text/html", StreamForm::Lines),
            ("application/json", StreamForm::Array),
            ("text/event-stream", StreamForm::Events),
            ("application/json;q=0.5, text/event-stream", StreamForm::Events),
            ("application/json, text/event-stream;q=0.9", StreamForm::Array),
            ("application/x-ndjson;q=0", StreamForm::Lines),
            ("text/event-stream;q=2, application/json;q=0.1", StreamForm::Array),
            ("Application/NDJSON", StreamForm::Lines),
        ] {
            let mut headers = HeaderMap::new();
            if !accept.is_empty() {
                headers.insert(header::ACCEPT, accept.parse().unwrap());
            }
            assert_eq!(StreamForm::negotiate(&headers, StreamForm::Lines), want, "{accept}");
        }
    }

    fn framed(form: StreamForm, elements: &[&str], error: Option<&str>) -> String {
        let mut framer = Framer::new(form);
        let mut out = Vec::new();
        for element in elements {
            framer.begin(&mut out);
            out.extend_from_slice(element.as_bytes());
            framer.end(&mut out);
        }
        match error {
            Some(error) => framer.fail(&mut out, error),
            None => framer.finish(&mut out),
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn forms() {
        let error = Some("{\"error\":{}}");
        for (form, elements, error, want) in [
            (StreamForm::Array, &[][..], None, "[]\n"),
            (StreamForm::Array, &["1", "2"], None, "[1,\n2]\n"),
            (StreamForm::Array, &["1"], error, "[1,\n{\"error\":{}}]\n"),
            (StreamForm::Array, &[], error, "[{\"error\":{}}]\n"),
            (StreamForm::Lines, &["1", "2"], None, "1\n2\n"),
            (StreamForm::Lines, &["1"], error, "1\n{\"error\":{}}\n"),
            (StreamForm::Events, &["1"], None, "data: 1\n\nevent: end\ndata: {}\n\n"),
            (StreamForm::Events, &["1"], error, "data: 1\n\nevent: error\ndata: {\"error\":{}}\n\n"),
        ] {
            assert_eq!(framed(form, elements, error), want);
        }
    }
}
