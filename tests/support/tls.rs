//! A certificate authority, what it signs, and clients of TLS that trust it.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned, SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use super::scripted::Tls;
use super::wait::PATIENCE;

/// It is trusted by whoever has its certificate.
pub struct Authority {
    pub pem: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub struct Signed {
    pub cert: String,
    pub key: String,
}

impl Authority {
    pub fn new() -> Self {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // OpenSSL takes a certificate that has its issuer's name for one that signed itself.
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let pem = params.self_signed(&key).expect("a certificate").pem();
        Self { pem, issuer: Issuer::new(params, key) }
    }

    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.pem.as_bytes()).expect("a certificate")
    }

    pub fn sign(&self, names: &[&str]) -> Signed {
        self.sign_until(names, 4000)
    }

    /// One that was good from 2000 to the beginning of `year`.
    pub fn sign_until(&self, names: &[&str], year: i32) -> Signed {
        let key = KeyPair::generate().expect("a key");
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("names");
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(year, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).expect("a certificate");
        Signed { cert: certificate.pem(), key: key.serialize_pem() }
    }
}

impl Signed {
    pub fn certificate(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).expect("a certificate")
    }

    pub fn der(&self) -> Tls {
        (self.certificate(), PrivateKeyDer::from_pem_slice(self.key.as_bytes()).expect("a key"))
    }
}

/// What a client brings along. Connections that are made with the same one may resume each other's sessions.
#[derive(Clone)]
pub struct TlsClient(Arc<ClientConfig>);

/// What a client may choose.
#[derive(Clone, Copy, Default)]
pub struct TlsChoices<'a> {
    pub alpn: &'a [&'a str],
    /// All where there is none.
    pub versions: &'a [&'static SupportedProtocolVersion],
    pub shows: Option<&'a Signed>,
}

impl TlsClient {
    pub fn new(authority: &Authority, choices: TlsChoices<'_>) -> Self {
        let TlsChoices { alpn, versions, shows } = choices;
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(authority.pem.as_bytes()).expect("a certificate");
        roots.add(root).expect("an authority");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let versions = if versions.is_empty() { rustls::ALL_VERSIONS } else { versions };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .expect("ring knows them")
            .with_root_certificates(roots);
        let mut config = match shows.map(Signed::der) {
            Some((certificate, key)) => {
                builder.with_client_auth_cert(vec![certificate], key).expect("a certificate and its key")
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self(Arc::new(config))
    }

    pub fn config(&self) -> Arc<ClientConfig> {
        Arc::clone(&self.0)
    }

    /// Does a whole handshake, asking for `name`.
    ///
    /// # Errors
    /// Either side refused. What a server holds against a client's certificate shows only when something is read.
    pub fn connect(&self, address: SocketAddr, name: &str) -> io::Result<TlsConnection> {
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let mut session = ClientConnection::new(self.config(), name).expect("a good configuration");
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(TlsConnection(StreamOwned::new(session, stream)))
    }
}

/// A connection after its handshake.
pub struct TlsConnection(StreamOwned<ClientConnection, TcpStream>);

impl TlsConnection {
    /// The server's own certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        self.0.conn.peer_certificates().expect("a certificate")[0].clone()
    }

    pub fn alpn(&self) -> Option<&str> {
        self.0.conn.alpn_protocol().map(|name| std::str::from_utf8(name).expect("a name in ASCII"))
    }

    pub fn is_resumed(&self) -> bool {
        self.0.conn.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    pub fn socket(&self) -> &TcpStream {
        &self.0.sock
    }
}

impl Read for TlsConnection {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for TlsConnection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
