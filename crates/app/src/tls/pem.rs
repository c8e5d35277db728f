//! Certificates and keys in PEM (RFC 7468), and where they come from.

use super::TlsError;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use std::borrow::Cow;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where PEM text comes from: a file, which is read again at each reload, or memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Pem(Source);

#[derive(Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Text(Arc<[u8]>),
}

impl Pem {
    /// A file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Pem(Source::File(path.into()))
    }

    /// The text itself.
    pub fn text(text: impl AsRef<[u8]>) -> Self {
        Pem(Source::Text(text.as_ref().into()))
    }

    pub(super) fn certificates(&self) -> Result<Vec<CertificateDer<'static>>, TlsError> {
        let text = self.read()?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let certificates = certificates.map_err(|error| self.malformed(error))?;
        match certificates.is_empty() {
            true => Err(TlsError::NoCertificate(self.to_string())),
            false => Ok(certificates),
        }
    }

    pub(super) fn key(&self) -> Result<PrivateKeyDer<'static>, TlsError> {
        PrivateKeyDer::from_pem_slice(&self.read()?).map_err(|error| match error {
            pem::Error::NoItemsFound => TlsError::NoKey(self.to_string()),
            error => self.malformed(error),
        })
    }

    fn read(&self) -> Result<Cow<'_, [u8]>, TlsError> {
        match &self.0 {
            Source::Text(text) => Ok(Cow::Borrowed(text)),
            Source::File(path) => fs::read(path)
                .map(Cow::Owned)
                .map_err(|error| TlsError::Read {
                    file: path.display().to_string(),
                    error,
                }),
        }
    }

    fn malformed(&self, error: pem::Error) -> TlsError {
        TlsError::Malformed {
            file: self.to_string(),
            error,
        }
    }
}

impl From<PathBuf> for Pem {
    fn from(path: PathBuf) -> Self {
        Pem::file(path)
    }
}

impl From<&Path> for Pem {
    fn from(path: &Path) -> Self {
        Pem::file(path)
    }
}

/// The path of a file.
impl From<&str> for Pem {
    fn from(path: &str) -> Self {
        Pem::file(path)
    }
}

/// Names the file. What is in memory may be a key and is not shown.
impl fmt::Display for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Text(_) => f.write_str("the PEM text"),
        }
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({self})")
    }
}
