//! Asks an issuer for its keys: one small document over a connection of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{self, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body::Body;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use serde::Deserialize;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::tls;
use crate::upstream::Roots;

/// For everything, from looking the host up to the last byte.
const PATIENCE: Duration = Duration::from_secs(10);
/// Larger than any key set.
const MAX_BYTES: usize = 1 << 20;

/// Where a key set, or what leads to it, is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyUrl {
    target: Target,
    roots: Roots,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Target {
    uri: Uri,
    secure: bool,
    /// Without brackets.
    host: String,
    port: u16,
}

impl KeyUrl {
    /// # Errors
    /// What is wrong with the URL.
    pub fn new(text: &str, roots: Roots) -> Result<Self, &'static str> {
        Ok(Self { target: Target::parse(text)?, roots })
    }

    /// Whether nobody on the way can put other keys in: HTTPS, or a way that leaves no machine.
    #[must_use]
    pub fn is_safe(&self) -> bool {
        let Target { secure, host, .. } = &self.target;
        let address = host.parse::<std::net::IpAddr>();
        *secure || host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for KeyUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.target.uri.fmt(f)
    }
}

impl Target {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let uri: Uri = text.parse().map_err(|_| "it is no URL")?;
        let secure = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            Some(_) | None => return Err("its scheme is neither https nor http"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it has user information");
        }
        let host = authority.host();
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        if ServerName::try_from(host).is_err() {
            return Err("its host is neither a name nor an address");
        }
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Self { secure, host: host.to_owned(), port, uri })
    }
}

/// The place of an issuer's metadata (OpenID Connect Discovery 1.0, section 4).
#[must_use]
pub fn well_known(issuer: &str) -> String {
    format!("{}/.well-known/openid-configuration", issuer.trim_end_matches('/'))
}

/// What of an issuer's metadata matters here.
#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    jwks_uri: String,
}

/// Asks one issuer.
pub(super) struct Client {
    tls: Arc<ClientConfig>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

impl Client {
    /// # Errors
    /// Roots that can't be used.
    pub(super) fn new(url: &KeyUrl) -> Result<Self, rustls::Error> {
        let given = match &url.roots {
            Roots::System => None,
            Roots::Given(certificates) => Some(certificates.as_slice()),
        };
        Ok(Self { tls: tls::client_config(given, &[b"http/1.1"])? })
    }

    /// The document at this URL.
    pub(super) async fn get(&self, url: &KeyUrl) -> Result<Bytes, String> {
        self.get_target(&url.target).await
    }

    /// The key set that the metadata at this URL name, which must be those of `issuer`.
    pub(super) async fn discover(&self, url: &KeyUrl, issuer: &str) -> Result<Bytes, String> {
        let metadata = self.get_target(&url.target).await?;
        let metadata: Metadata = serde_json::from_slice(&metadata)
            .map_err(|error| format!("the metadata can't be read: {error}"))?;
        if metadata.issuer != issuer {
            return Err(format!("the metadata are of another issuer, {:?}", metadata.issuer));
        }
        let target = Target::parse(&metadata.jwks_uri).map_err(|why| format!("the `jwks_uri`: {why}"))?;
        if url.target.secure && !target.secure {
            return Err("the `jwks_uri` is not https".to_owned());
        }
        self.get_target(&target).await
    }

    async fn get_target(&self, target: &Target) -> Result<Bytes, String> {
        let got = timeout(PATIENCE, async {
            let stream = TcpStream::connect((target.host.as_str(), target.port))
                .await
                .map_err(|error| format!("can't connect: {error}"))?;
            if !target.secure {
                return get(stream, target).await;
            }
            let name = ServerName::try_from(target.host.clone()).map_err(|error| error.to_string())?;
            let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, stream).await;
            get(stream.map_err(|error| format!("no TLS: {error}"))?, target).await
        });
        got.await.unwrap_or_else(|_| Err("there was no answer in time".to_owned()))
    }
}

async fn get(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    target: &Target,
) -> Result<Bytes, String> {
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    // It ends with this function.
    let mut driver = JoinSet::new();
    driver.spawn(async move {
        // What goes wrong shows in the answer.
        let _ = connection.await;
    });
    let path = target.uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = target.uri.authority().map_or(target.host.as_str(), |authority| authority.as_str());
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .header(header::USER_AGENT, HeaderValue::from_static("transom"))
        .body(String::new())
        .map_err(|error| error.to_string())?;
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    if response.status() != StatusCode::OK {
        return Err(format!("the answer is {}", response.status()));
    }
    let mut body = std::pin::pin!(response.into_body());
    let mut bytes = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        let frame = frame.map_err(|error| error.to_string())?;
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        if bytes.len() > MAX_BYTES {
            return Err(format!("the answer is larger than {} KiB", MAX_BYTES >> 10));
        }
    }
    Ok(bytes.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_keys() {
        for (text, want) in [
            ("https://id.example/keys?a=b", Ok(true)),
            ("http://127.0.0.1:8080/keys", Ok(true)),
            ("http://[::1]/keys", Ok(true)),
            ("http://localhost", Ok(true)),
            ("http://keycloak:8080/keys", Ok(false)),
            ("keys.json", Err("its scheme is neither https nor http")),
            ("ftp://a/keys", Err("its scheme is neither https nor http")),
            ("https:///keys", Err("it is no URL")),
            ("https://me@id.example/", Err("it has user information")),
            ("https://a..b/", Err("its host is neither a name nor an address")),
        ] {
            assert_eq!(KeyUrl::new(text, Roots::System).map(|url| url.is_safe()), want, "{text}");
        }
        assert_eq!(well_known("https://id.example/"), "https://id.example/.well-known/openid-configuration");
    }
}
