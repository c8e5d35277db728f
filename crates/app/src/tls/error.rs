//! What is wrong with certificates, keys and what else TLS is told.

use rustls::pki_types::pem;
use std::error::Error;
use std::fmt;
use std::io;

/// Why certificates and keys cannot be used. It names the file, and what to do about it.
#[derive(Debug)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    Read {
        /// The path as it was given.
        file: String,
        /// What the operating system says.
        error: io::Error,
    },
    /// A file is damaged.
    Malformed {
        /// The path as it was given.
        file: String,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// There is no certificate in this file.
    NoCertificate(String),
    /// There is no private key in this file.
    NoKey(String),
    /// A certificate cannot be used.
    Certificate {
        /// The path as it was given.
        file: String,
        /// What rustls says.
        error: rustls::Error,
    },
    /// A key is of a kind that cannot be used, or damaged.
    Key {
        /// The path as it was given.
        file: String,
        /// What rustls says.
        error: rustls::Error,
    },
    /// A key belongs to another certificate.
    KeyMismatch {
        /// The certificate's path as it was given.
        certificate: String,
        /// The key's.
        key: String,
    },
    /// The authorities for certificates of clients cannot be used.
    ClientAuthorities(rustls::server::VerifierBuilderError),
    /// rustls refuses what it was told.
    Config(rustls::Error),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TlsError::Read { file, error } => {
                let remedy = match error.kind() {
                    io::ErrorKind::NotFound => "check the path",
                    io::ErrorKind::PermissionDenied => {
                        "the user that the server runs as has to be able to read it"
                    }
                    _ => "check the path and its permissions",
                };
                write!(f, "{file}: cannot be read: {error}; {remedy}")
            }
            TlsError::Malformed { file, error } => {
                write!(f, "{file}: is not PEM: {error:?}; write it anew")
            }
            TlsError::NoCertificate(file) => write!(
                f,
                "{file}: has no certificate in it; expected PEM with a part that begins with \
                 -----BEGIN CERTIFICATE-----"
            ),
            TlsError::NoKey(file) => write!(
                f,
                "{file}: has no private key in it; expected PEM with a part that begins with \
                 -----BEGIN PRIVATE KEY-----, and without a pass phrase"
            ),
            TlsError::Certificate { file, error } => {
                write!(f, "{file}: the certificate cannot be used: {error}")
            }
            TlsError::Key { file, error } => write!(
                f,
                "{file}: the key cannot be used: {error}; RSA from 2048 bits, ECDSA on P-256 or \
                 P-384 and Ed25519 can be"
            ),
            TlsError::KeyMismatch { certificate, key } => write!(
                f,
                "{key}: is not the key of the certificate in {certificate}; give the two that \
                 were made together"
            ),
            TlsError::ClientAuthorities(error) => {
                write!(f, "the authorities of clients cannot be used: {error}")
            }
            TlsError::Config(error) => write!(f, "TLS cannot be set up: {error}"),
        }
    }
}

impl Error for TlsError {
    /// What lies behind the error of the operating system, which is part of the message.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            TlsError::Read { error, .. } => error.source(),
            _ => None,
        }
    }
}
