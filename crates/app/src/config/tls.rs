//! What an operator may set of TLS.

use std::fmt;
use std::path::PathBuf;

use serde::de::Deserializer;
use serde::{Deserialize, Serialize, Serializer};
use toml::Value;

use super::values::{file_path, read};

const OFF: &str = "off";

/// TLS, which needs the crate's feature `tls`. Without a certificate the server speaks plain HTTP.
///
/// The files are read when the server starts, and again at SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TlsSection {
    /// PEM files, each with a certificate and those that lead from it to an authority. Of several,
    /// a client is shown the first that is valid for the name it asks for, else the first of all.
    /// None, written `"off"` and the default: no TLS.
    #[serde(with = "paths")]
    pub certificate: Vec<PathBuf>,
    /// PEM files with the private keys of the certificates, in the same order.
    #[serde(with = "paths")]
    pub key: Vec<PathBuf>,
    /// Whether clients have to show a certificate. Default off.
    #[serde(with = "client_auth")]
    pub client_auth: ClientAuth,
    /// PEM files with the authorities that clients' certificates are to come from.
    #[serde(with = "paths")]
    pub client_ca: Vec<PathBuf>,
    /// The oldest version of TLS that is spoken. Default 1.2, as nginx, Go and Caddy have it; what
    /// is older must not be (RFC 8996).
    #[serde(with = "version")]
    pub version_min: TlsVersion,
}

/// Whether clients have to show a certificate (mutual TLS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum ClientAuth {
    /// They are not asked.
    #[default]
    Off,
    /// They are asked, and served without one; one that is not trusted is refused.
    Optional,
    /// They are not served without one that is trusted.
    Required,
}

/// A version of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum TlsVersion {
    /// TLS 1.2 (RFC 5246), with forward secrecy and authenticated encryption only.
    #[default]
    V1_2,
    /// TLS 1.3 (RFC 8446).
    V1_3,
}

impl Default for TlsSection {
    fn default() -> Self {
        TlsSection {
            certificate: Vec::new(),
            key: Vec::new(),
            client_auth: ClientAuth::Off,
            client_ca: Vec::new(),
            version_min: TlsVersion::V1_2,
        }
    }
}

impl fmt::Display for ClientAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ClientAuth::Off => OFF,
            ClientAuth::Optional => "optional",
            ClientAuth::Required => "required",
        })
    }
}

impl fmt::Display for TlsVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TlsVersion::V1_2 => "1.2",
            TlsVersion::V1_3 => "1.3",
        })
    }
}

/// Files: one path, several in an array or parted by commas, or `"off"`.
mod paths {
    use super::*;

    pub(super) fn serialize<S: Serializer>(paths: &[PathBuf], to: S) -> Result<S::Ok, S::Error> {
        match paths {
            [] => to.serialize_str(OFF),
            [path] if !path.to_string_lossy().contains(',') => to.collect_str(&path.display()),
            paths => to.collect_seq(paths.iter().map(|path| path.display().to_string())),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<PathBuf>, D::Error> {
        const EXPECTED: &str = "expected \"off\", the path of a PEM file, as in \
                                \"/etc/tls/server.pem\" or \"./server.pem\", or several";
        read(from, |value| {
            let texts: Vec<&str> = match value {
                Value::String(text) if text == OFF => return Ok(Vec::new()),
                // The environment and the command line know only text.
                Value::String(text) => text.split(',').map(str::trim).collect(),
                Value::Array(values) => {
                    let texts: Option<_> = values.iter().map(Value::as_str).collect();
                    texts.ok_or(EXPECTED)?
                }
                _ => return Err(EXPECTED.to_owned()),
            };
            let paths: Option<Vec<PathBuf>> = texts.into_iter().map(file_path).collect();
            paths
                .filter(|paths| !paths.is_empty())
                .ok_or_else(|| EXPECTED.to_owned())
        })
    }
}

mod client_auth {
    use super::*;

    pub(super) fn serialize<S: Serializer>(auth: &ClientAuth, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(auth)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ClientAuth, D::Error> {
        read(from, |value| match value.as_str() {
            Some(OFF) => Ok(ClientAuth::Off),
            Some("optional") => Ok(ClientAuth::Optional),
            Some("required") => Ok(ClientAuth::Required),
            _ => Err("expected \"off\", \"optional\" or \"required\"".to_owned()),
        })
    }
}

mod version {
    use super::*;

    pub(super) fn serialize<S: Serializer>(version: &TlsVersion, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(version)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<TlsVersion, D::Error> {
        read(from, |value| match value.as_str() {
            Some("1.2") => Ok(TlsVersion::V1_2),
            Some("1.3") => Ok(TlsVersion::V1_3),
            _ => Err("expected \"1.2\" or \"1.3\"".to_owned()),
        })
    }
}
