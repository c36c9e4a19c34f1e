//! The TLS handshake of a connection: first on it, before anything is known about HTTP.

use std::io;
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::io::Version;
use crate::tls::PeerCertificates;

/// The first byte of a TLS handshake: the type of its record (RFC 8446, section 5.1).
pub(super) const HANDSHAKE: u8 = 0x16;

/// What is served by TLS on a listener, on all workers; it changes when files do.
pub(super) type Served = Arc<ArcSwap<ServerConfig>>;

/// How a client came in.
pub(super) enum Came {
    /// By TLS.
    Secure(Box<TlsStream<TcpStream>>),
    /// By plain HTTP, of which nothing is read yet.
    Plain(TcpStream),
    /// Without a word.
    Left,
}

/// What a handshake settled.
pub(super) struct Settled {
    /// The version of HTTP by ALPN (RFC 7301); none where the client speaks no ALPN.
    pub http: Option<Version>,
    pub peer: Option<PeerCertificates>,
    /// `1.2` or `1.3`.
    pub tls: &'static str,
    pub resumed: bool,
}

/// Does the handshake. It takes as long as the client lets it: whoever calls this limits the time.
///
/// # Errors
/// The handshake failed; the client was told why by an alert.
pub(super) async fn accept(stream: TcpStream, served: &Served) -> io::Result<Came> {
    let mut first = [0];
    if stream.peek(&mut first).await? == 0 {
        return Ok(Came::Left);
    }
    // Methods of HTTP are in capitals, and so is the preface of HTTP/2. For all else rustls has an alert.
    if first[0].is_ascii_uppercase() {
        return Ok(Came::Plain(stream));
    }
    let stream = TlsAcceptor::from(served.load_full()).accept(stream).await?;
    Ok(Came::Secure(Box::new(stream)))
}

/// What there is to know after a handshake.
pub(super) fn settled(stream: &TlsStream<TcpStream>) -> Settled {
    let (_, session) = stream.get_ref();
    Settled {
        http: match session.alpn_protocol() {
            Some(b"h2") => Some(Version::Http2),
            Some(_) => Some(Version::Http1),
            None => None,
        },
        peer: session.peer_certificates().and_then(PeerCertificates::verified),
        tls: match session.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "1.3",
            // There is no third.
            Some(_) | None => "1.2",
        },
        resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
    }
}

/// Why a connection never came to speak HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Plain HTTP on a port for TLS.
    PlainText,
    /// TLS on a port for plain HTTP.
    PlainPort,
    TimedOut,
    /// The client ended the connection.
    Left,
    /// The client showed no certificate, and has to.
    NoCertificate,
    /// The client's certificate was refused.
    BadCertificate,
    /// There is no version, no cipher or no ALPN protocol that both sides know.
    NothingInCommon,
    /// The client sent an alert, as it does where it refuses the server's certificate.
    Alert,
    /// What the client sent breaks the rules.
    Protocol,
}

impl Failure {
    /// As metrics and logs have it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::PlainText => "plain_text",
            Self::PlainPort => "plain_port",
            Self::TimedOut => "timed_out",
            Self::Left => "left",
            Self::NoCertificate => "no_certificate",
            Self::BadCertificate => "bad_certificate",
            Self::NothingInCommon => "nothing_in_common",
            Self::Alert => "alert",
            Self::Protocol => "protocol",
        }
    }

    pub(super) fn of(error: &io::Error) -> Self {
        use rustls::Error;
        match error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(Error::NoCertificatesPresented) => Self::NoCertificate,
            Some(Error::InvalidCertificate(_)) => Self::BadCertificate,
            Some(Error::PeerIncompatible(_) | Error::NoApplicationProtocol) => Self::NothingInCommon,
            Some(Error::AlertReceived(_)) => Self::Alert,
            // The enum may grow; what is left are messages that can't be read, or come at the wrong time.
            Some(_) => Self::Protocol,
            None => Self::Left,
        }
    }
}
