//! A TLS client on the loop, and certificates of all kinds.

#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "these are tests")]

use monoloop::net::TcpStream;
use monoloop::tls::rustls::client::{ClientConfig, ClientConnection};
use monoloop::tls::rustls::crypto::ring::default_provider;
use monoloop::tls::rustls::pki_types::pem::PemObject;
use monoloop::tls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use monoloop::tls::rustls::{
    self, AlertDescription, RootCertStore, SupportedProtocolVersion, version,
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
#[derive(Clone)]
pub(crate) struct Identity {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new([]).unwrap();
        // Each has its own name, by which those it has signed name it.
        let name = format!("authority {}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.as_ref().pem()
    }

    pub(crate) fn issue(&self, names: &[&str]) -> Identity {
        self.issue_with(names, |_| {})
    }

    pub(crate) fn issue_with(
        &self,
        names: &[&str],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Identity {
        let names: Vec<String> = names.iter().map(|&name| name.into()).collect();
        let mut params = CertificateParams::new(names).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        Identity {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }

    /// A client that trusts this authority.
    pub(crate) fn client(&self) -> Settings {
        Settings {
            roots: self.pem(),
            name: "localhost".into(),
            identity: None,
            alpn: vec!["http/1.1"],
            versions: vec![&version::TLS13, &version::TLS12],
        }
    }
}

impl Identity {
    pub(crate) fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.certificate.as_bytes()).unwrap()
    }
}

/// What a client is like.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) roots: String,
    pub(crate) name: String,
    pub(crate) identity: Option<Identity>,
    pub(crate) alpn: Vec<&'static str>,
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
}

impl Settings {
    pub(crate) fn config(&self) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        let root = CertificateDer::from_pem_slice(self.roots.as_bytes()).unwrap();
        roots.add(root).unwrap();
        let builder = ClientConfig::builder_with_provider(default_provider().into())
            .with_protocol_versions(&self.versions)
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(identity) => {
                let key = PrivateKeyDer::from_pem_slice(identity.key.as_bytes()).unwrap();
                builder
                    .with_client_auth_cert(vec![identity.der()], key)
                    .unwrap()
            }
        };
        config.alpn_protocols = self.alpn.iter().map(|&name| name.into()).collect();
        Arc::new(config)
    }

    pub(crate) fn session(&self) -> ClientConnection {
        session(self.config(), &self.name)
    }
}

pub(crate) fn session(config: Arc<ClientConfig>, name: &str) -> ClientConnection {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    ClientConnection::new(config, name).unwrap()
}

/// Why a client gets no further.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The server has sent this alert.
    Alert(AlertDescription),
    /// The client refuses what the server says.
    Refused(rustls::Error),
    /// The server has closed without `close_notify`.
    CutShort,
    Io(std::io::Error),
}

pub(crate) struct TlsClient {
    pub(crate) tcp: TcpStream,
    pub(crate) session: ClientConnection,
    /// Bytes of a write at most.
    pub(crate) write_bytes_max: usize,
    /// Deciphered, and not looked at yet.
    received: Vec<u8>,
}

impl TlsClient {
    pub(crate) fn new(tcp: TcpStream, session: ClientConnection) -> Self {
        TlsClient {
            tcp,
            session,
            write_bytes_max: usize::MAX,
            received: Vec::new(),
        }
    }

    pub(crate) async fn shake_hands(&mut self) -> Result<(), Broken> {
        loop {
            self.flush().await?;
            if !self.session.is_handshaking() {
                return Ok(());
            }
            if !self.receive_more().await? {
                return Err(Broken::CutShort);
            }
        }
    }

    /// Sends what the session has to send.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        let mut records = Vec::new();
        while self.session.wants_write() {
            self.session.write_tls(&mut records).unwrap();
        }
        for piece in records.chunks(self.write_bytes_max) {
            self.tcp.write_all(piece).await.map_err(Broken::Io)?;
            if self.write_bytes_max < records.len() {
                monoloop::yield_now().await;
            }
        }
        Ok(())
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<(), Broken> {
        let mut left = bytes.as_ref();
        while !left.is_empty() {
            let count = self.session.writer().write(left).unwrap();
            left = &left[count..];
            self.flush().await?;
        }
        Ok(())
    }

    /// Receives once; whether the server has not said that it is done.
    async fn receive_more(&mut self) -> Result<bool, Broken> {
        let chunk = self.tcp.receive().await.map_err(Broken::Io)?;
        let mut bytes = &chunk[..];
        if bytes.is_empty() {
            // Tells rustls that nothing more comes.
            self.session.read_tls(&mut bytes).unwrap();
        }
        while !bytes.is_empty() {
            self.session.read_tls(&mut bytes).unwrap();
            self.go_on()?;
        }
        self.go_on()
    }

    /// Takes records that were received before.
    pub(crate) fn read_before(&mut self, mut records: &[u8]) -> Result<(), Broken> {
        while !records.is_empty() {
            self.session.read_tls(&mut records).unwrap();
            self.go_on()?;
        }
        Ok(())
    }

    fn go_on(&mut self) -> Result<bool, Broken> {
        self.session
            .process_new_packets()
            .map_err(|error| match error {
                rustls::Error::AlertReceived(alert) => Broken::Alert(alert),
                error => Broken::Refused(error),
            })?;
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.session.reader().read(&mut buffer) {
                Ok(0) => return Ok(false),
                Ok(count) => self.received.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(true),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    return Err(Broken::CutShort);
                }
                Err(error) => return Err(Broken::Io(error)),
            }
        }
    }

    /// Exactly so many bytes.
    pub(crate) async fn take(&mut self, count: usize) -> Result<Vec<u8>, Broken> {
        while self.received.len() < count {
            if !self.receive_more().await? && self.received.len() < count {
                return Err(Broken::CutShort);
            }
            self.flush().await?;
        }
        Ok(self.received.drain(..count).collect())
    }

    /// The head of the next response and its body, whose length has to be announced.
    pub(crate) async fn response(&mut self) -> Result<(String, Vec<u8>), Broken> {
        let end = loop {
            let end = self
                .received
                .windows(4)
                .position(|four| four == b"\r\n\r\n");
            if let Some(end) = end {
                break end + 4;
            }
            let byte = self.received.len() + 1;
            let so_far = self.take(byte).await?;
            self.received.splice(..0, so_far);
        };
        let head = String::from_utf8(self.take(end).await?).unwrap();
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            name.eq_ignore_ascii_case("content-length")
                .then(|| value.parse().unwrap())
        });
        let body = self.take(length.unwrap_or(0)).await?;
        Ok((head, body))
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<String, Broken> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n"))
            .await?;
        let (head, body) = self.response().await?;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        Ok(String::from_utf8(body).unwrap())
    }

    /// Everything until the server says that it is done.
    pub(crate) async fn rest(&mut self) -> Result<Vec<u8>, Broken> {
        while self.receive_more().await? {}
        Ok(std::mem::take(&mut self.received))
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) -> Result<(), Broken> {
        self.session.send_close_notify();
        self.flush().await
    }

    /// Sends nothing more, and does not say so.
    pub(crate) fn cut_short(&mut self) {
        self.tcp.shutdown(Shutdown::Write).unwrap();
    }
}
