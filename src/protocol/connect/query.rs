//! A call in a query ("Unary-Get-Request"). Parameters may come in any order, among others that mean nothing here.

use bytes::Bytes;
use percent_encoding::percent_decode;

use crate::codec::decode_base64;
use crate::fault::Fault;
use crate::policy::Codec;

/// What a query says of a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Query {
    /// Decoded, but perhaps in a coding.
    pub message: Bytes,
    /// The coding of the message, where there is one.
    pub compression: Option<String>,
}

/// The codec of a GET that speaks Connect by its query: it names the encoding and, unless that doesn't matter, the version.
pub(in crate::protocol) fn asks_by_query(query: &str, needs_version: bool) -> Option<Codec> {
    // What most queries don't have is found missing at once.
    if needs_version && !query.contains("connect=v1") {
        return None;
    }
    let encoding = raw(query, "encoding").next()?;
    if needs_version && version(query) != Some("v1") {
        return None;
    }
    Some(match encoding {
        "proto" => Codec::Proto,
        "json" => Codec::Json,
        _ => Codec::Other,
    })
}

/// The protocol's version.
pub(super) fn version(query: &str) -> Option<&str> {
    raw(query, "connect").next()
}

/// The values of a parameter, as they stand. Names have no characters that would have to be escaped.
fn raw<'q>(query: &'q str, name: &'static str) -> impl Iterator<Item = &'q str> {
    query.split('&').filter_map(move |pair| pair.strip_prefix(name)?.strip_prefix('='))
}

/// The only value of a parameter.
fn only<'q>(query: &'q str, name: &'static str) -> Result<Option<&'q str>, Fault> {
    let mut values = raw(query, name);
    let first = values.next();
    if values.next().is_some() {
        let message = format!("`{name}` is given more than once");
        return Err(Fault::invalid_argument("DUPLICATE_PARAMETER", message).at(name));
    }
    Ok(first)
}

fn decode(text: &str) -> Vec<u8> {
    let text = text.replace('+', " ");
    percent_decode(text.as_bytes()).collect()
}

/// Reads the query of a call.
///
/// # Errors
/// No message, a parameter twice, or what is no base64.
pub(super) fn read(query: &str) -> Result<Query, Fault> {
    let Some(message) = only(query, "message")? else {
        let message = "the query has no `message`";
        return Err(Fault::invalid_argument("NO_MESSAGE", message).at("message"));
    };
    let mut message = decode(message);
    if only(query, "base64")? == Some("1") {
        let mut decoded = Vec::with_capacity(message.len());
        decode_base64(&message, &mut decoded).ok_or_else(|| {
            Fault::invalid_argument("INVALID_BASE64", "the query's `message` is no base64").at("message")
        })?;
        message = decoded;
    }
    let compression = only(query, "compression")?.filter(|coding| !coding.is_empty());
    let compression = compression.map(|coding| String::from_utf8_lossy(&decode(coding)).into_owned());
    Ok(Query { message: message.into(), compression })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries() {
        for (query, message, compression) in [
            ("encoding=json&message={}", Some("{}"), None),
            ("message=%7B%22a%22%3A%22b+c%22%7D&encoding=json&connect=v1", Some(r#"{"a":"b c"}"#), None),
            ("x=1&message=CgF4&base64=1&&compression=gzip", Some("\n\x01x"), Some("gzip")),
            ("message=CgF-fg&base64=1", Some("\n\x01~~"), None),
            ("message=Cg%3D%3D&base64=1", Some("\n"), None),
            ("message=CgF4&base64=2", Some("CgF4"), None),
            ("message=&base64=1&compression=", Some(""), None),
            ("encoding=json", None, None),
            ("message=*&base64=1", None, None),
            ("message=a&message=b", None, None),
            ("messages=a", None, None),
        ] {
            let read = read(query).ok();
            let want = message.map(|message| Query {
                message: Bytes::copy_from_slice(message.as_bytes()),
                compression: compression.map(str::to_owned),
            });
            assert_eq!(read, want, "{query}");
        }
    }

    #[test]
    fn what_speaks_connect() {
        for (query, with, without) in [
            ("connect=v1&encoding=json", Some(Codec::Json), Some(Codec::Json)),
            ("encoding=proto&connect=v1", Some(Codec::Proto), Some(Codec::Proto)),
            ("encoding=thrift&connect=v1", Some(Codec::Other), Some(Codec::Other)),
            ("encoding=json&connect=v2", None, Some(Codec::Json)),
            ("encoding=json", None, Some(Codec::Json)),
            ("connect=v1", None, None),
            ("xencoding=json&connect=v1", None, None),
            ("", None, None),
        ] {
            assert_eq!((asks_by_query(query, true), asks_by_query(query, false)), (with, without), "{query}");
        }
    }
}
