//! What a server is told of TLS.

use super::Pem;
use crate::config::{ClientAuth, TlsSection, TlsVersion};
use rustls::ServerConfig;
use std::fmt;
use std::sync::Arc;

/// Certificates, their keys, and what is asked of clients. Nothing is read before the server
/// starts.
#[derive(Clone)]
pub struct TlsConfig(pub(super) Kind);

#[derive(Clone)]
pub(super) enum Kind {
    Pem(PemConfig),
    Rustls(Arc<ServerConfig>),
}

#[derive(Debug, Clone)]
pub(super) struct PemConfig {
    /// Each with its key; at least one.
    pub(super) certificates: Vec<(Pem, Pem)>,
    pub(super) client_auth: ClientAuth,
    pub(super) client_authorities: Vec<Pem>,
    pub(super) version_min: TlsVersion,
}

impl TlsConfig {
    /// A certificate, followed by those that lead from it to an authority, and its private key:
    /// paths of PEM files, or [`Pem::text`].
    pub fn new(certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        TlsConfig(Kind::Pem(PemConfig {
            certificates: vec![(certificate.into(), key.into())],
            client_auth: ClientAuth::Off,
            client_authorities: Vec::new(),
            version_min: TlsVersion::V1_2,
        }))
    }

    /// A configuration of rustls as it is. ALPN, resumption and client certificates are what it
    /// says; early data is not taken. Reloading it changes nothing; see
    /// [`TlsReloader::replace`](super::TlsReloader::replace).
    #[must_use]
    pub fn from_rustls(config: Arc<ServerConfig>) -> Self {
        TlsConfig(Kind::Rustls(config))
    }

    /// What an operator has configured; `None` without a certificate.
    #[must_use]
    pub fn from_section(section: &TlsSection) -> Option<Self> {
        let pem = |path: &std::path::PathBuf| Pem::file(path.clone());
        let pairs = section.certificate.iter().zip(&section.key);
        let certificates: Vec<_> = pairs.map(|(one, key)| (pem(one), pem(key))).collect();
        (!certificates.is_empty()).then(|| {
            TlsConfig(Kind::Pem(PemConfig {
                certificates,
                client_auth: section.client_auth,
                client_authorities: section.client_ca.iter().map(pem).collect(),
                version_min: section.version_min,
            }))
        })
    }

    /// A further certificate. A client is shown the first that is valid for the name it asks for
    /// (SNI), else the first of all, as Go does.
    ///
    /// # Panics
    /// When this is a configuration of rustls, which has its own way to choose.
    #[must_use]
    pub fn certificate(mut self, certificate: impl Into<Pem>, key: impl Into<Pem>) -> Self {
        let more = (certificate.into(), key.into());
        self.pem().certificates.push(more);
        self
    }

    /// Whether clients have to show a certificate, and the authorities that it has to come from.
    /// Default: they are not asked.
    ///
    /// # Panics
    /// When this is a configuration of rustls, which has its own verifier.
    #[must_use]
    pub fn client_auth(mut self, auth: ClientAuth, authorities: impl Into<Pem>) -> Self {
        let pem = self.pem();
        pem.client_auth = auth;
        pem.client_authorities = vec![authorities.into()];
        self
    }

    /// The oldest version that is spoken. Default 1.2.
    ///
    /// # Panics
    /// When this is a configuration of rustls, which has its own versions.
    #[must_use]
    pub fn version_min(mut self, version: TlsVersion) -> Self {
        self.pem().version_min = version;
        self
    }

    fn pem(&mut self) -> &mut PemConfig {
        match &mut self.0 {
            Kind::Pem(config) => config,
            Kind::Rustls(_) => panic!("set this in the rustls::ServerConfig that was given"),
        }
    }
}

/// Names files; keys are not shown.
impl fmt::Debug for TlsConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Pem(config) => config.fmt(f),
            Kind::Rustls(_) => f.write_str("rustls::ServerConfig"),
        }
    }
}
