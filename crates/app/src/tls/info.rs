//! What two ends have agreed upon, for handlers and logs.

use rustls::pki_types::CertificateDer;
use rustls::{CommonState, HandshakeKind, ProtocolVersion};

/// The TLS session that a request came in, see [`Request::tls`](crate::Request::tls). It is that
/// of the connection, and the same for all its requests.
#[derive(Debug, Default)]
pub struct TlsSession {
    pub(super) server_name: Option<Box<str>>,
    version: Option<ProtocolVersion>,
    cipher_suite: Option<&'static str>,
    alpn: Option<Box<[u8]>>,
    resumed: bool,
    certificates: Vec<CertificateDer<'static>>,
}

impl TlsSession {
    pub(super) fn learn(&mut self, state: &CommonState) {
        self.version = state.protocol_version();
        let suite = state.negotiated_cipher_suite();
        self.cipher_suite = suite.and_then(|suite| suite.suite().as_str());
        self.alpn = state.alpn_protocol().map(Into::into);
        self.resumed = state.handshake_kind() == Some(HandshakeKind::Resumed);
        self.certificates = state.peer_certificates().unwrap_or_default().to_vec();
    }

    /// The protocol's version, as in `TLSv1_3`.
    #[must_use]
    pub fn version(&self) -> &'static str {
        let version = self.version.and_then(|version| version.as_str());
        version.unwrap_or("unknown")
    }

    /// The cipher suite by its registered name, as in `TLS13_AES_256_GCM_SHA384`.
    #[must_use]
    pub fn cipher_suite(&self) -> &'static str {
        self.cipher_suite.unwrap_or("unknown")
    }

    /// The name that the client has asked for (SNI, RFC 6066 §3), in lower case. It chose the
    /// certificate, and need not be that of the `Host` field.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }

    /// The protocol that was chosen of those which the client offered (ALPN, RFC 7301); `None` when
    /// it offered none.
    #[must_use]
    pub fn alpn(&self) -> Option<&[u8]> {
        self.alpn.as_deref()
    }

    /// Whether an earlier session was resumed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.resumed
    }

    /// The client's certificates, its own first; none when it was not asked or has none. They were
    /// verified against the authorities that the server trusts.
    #[must_use]
    pub fn peer_certificates(&self) -> &[CertificateDer<'static>] {
        &self.certificates
    }
}
