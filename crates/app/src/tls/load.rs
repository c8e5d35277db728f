//! Makes what rustls needs of files, and says what is wrong with them.

use super::certificates::{Certificates, Noting};
use super::config::{Kind, PemConfig};
use super::{Pem, TlsConfig, TlsError};
use crate::config::{ClientAuth, TlsSection, TlsVersion};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::{ServerName, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{UnbufferedServerConnection, WebPkiClientVerifier};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, Error, InconsistentKeys, RootCertStore, ServerConfig, version};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The protocols that are spoken, by their names in ALPN.
const ALPN: [&[u8]; 1] = [b"http/1.1"];

/// Whether a server with this configuration would start.
pub(crate) fn check(section: &TlsSection) -> Result<(), TlsError> {
    match TlsConfig::from_section(section) {
        None => Ok(()),
        Some(config) => load(&config).map(drop),
    }
}

/// Reads all files.
pub(super) fn load(config: &TlsConfig) -> Result<Arc<ServerConfig>, TlsError> {
    let mut config = match &config.0 {
        Kind::Pem(config) => load_pem(config)?,
        Kind::Rustls(config) => (**config).clone(),
    };
    // It may be a replay, and handlers would not know.
    config.max_early_data_size = 0;
    config.cert_resolver = Arc::new(Noting(config.cert_resolver));
    let config = Arc::new(config);
    // Making a session fails for the configuration alone.
    UnbufferedServerConnection::new(config.clone()).map_err(TlsError::Config)?;
    Ok(config)
}

fn load_pem(config: &PemConfig) -> Result<ServerConfig, TlsError> {
    let provider = Arc::new(default_provider());
    let keys = config.certificates.iter();
    let keys = keys.map(|(certificate, key)| load_key(certificate, key, &provider));
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    let versions: &[_] = match config.version_min {
        TlsVersion::V1_2 => &[&version::TLS13, &version::TLS12],
        TlsVersion::V1_3 => &[&version::TLS13],
    };
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .map_err(TlsError::Config)?;
    let builder = match client_verifier(config, &provider)? {
        None => builder.with_no_client_auth(),
        Some(verifier) => builder.with_client_cert_verifier(verifier),
    };
    let mut made = builder.with_cert_resolver(Arc::new(Certificates(keys)));
    made.alpn_protocols = ALPN.map(<[u8]>::to_vec).to_vec();
    // Stateless, so that loops share nothing and a session costs no memory.
    made.ticketer = Ticketer::new().map_err(TlsError::Config)?;
    Ok(made)
}

fn load_key(
    certificate: &Pem,
    key: &Pem,
    provider: &CryptoProvider,
) -> Result<Arc<CertifiedKey>, TlsError> {
    let chain = certificate.certificates()?;
    let private = key.key()?;
    let private = provider.key_provider.load_private_key(private);
    let private = private.map_err(|error| TlsError::Key {
        file: key.to_string(),
        error,
    })?;
    let certified = CertifiedKey::new(chain, private);
    match certified.keys_match() {
        // Not all keys can tell.
        Ok(()) | Err(Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
            return Err(TlsError::KeyMismatch {
                certificate: certificate.to_string(),
                key: key.to_string(),
            });
        }
        Err(error) => {
            return Err(TlsError::Certificate {
                file: certificate.to_string(),
                error,
            });
        }
    }
    warn_of_dates(certificate, &certified, provider);
    Ok(Arc::new(certified))
}

/// A certificate out of its time is served all the same: clients refuse it, and those who look
/// after the server get to know why.
fn warn_of_dates(file: &Pem, certified: &CertifiedKey, provider: &CryptoProvider) {
    if let Some(error) = out_of_time(certified, provider) {
        tracing::warn!(%file, %error, "the certificate is out of its time, and clients will refuse it");
    }
}

/// What a verifier says of a certificate's dates, which it judges before anything else: whatever
/// else it says is for clients to say.
fn out_of_time(certified: &CertifiedKey, provider: &CryptoProvider) -> Option<CertificateError> {
    use CertificateError::{Expired, ExpiredContext, NotValidYet, NotValidYetContext};
    let certificate = certified.cert.first()?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate.clone()).ok()?;
    let provider = Arc::new(provider.clone());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build();
    let anybody = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    let now = UnixTime::now();
    let verified = verifier
        .ok()?
        .verify_server_cert(certificate, &[], &anybody, &[], now);
    match verified {
        Err(Error::InvalidCertificate(
            error @ (Expired | ExpiredContext { .. } | NotValidYet | NotValidYetContext { .. }),
        )) => Some(error),
        Ok(_) | Err(_) => None,
    }
}

fn client_verifier(
    config: &PemConfig,
    provider: &Arc<CryptoProvider>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, TlsError> {
    if config.client_auth == ClientAuth::Off {
        return Ok(None);
    }
    let mut roots = RootCertStore::empty();
    for file in &config.client_authorities {
        for certificate in file.certificates()? {
            let added = roots.add(certificate);
            added.map_err(|error| TlsError::Certificate {
                file: file.to_string(),
                error,
            })?;
        }
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let verifier = match config.client_auth {
        ClientAuth::Optional => verifier.allow_unauthenticated(),
        ClientAuth::Required | ClientAuth::Off => verifier,
    };
    let verifier = verifier.build().map_err(TlsError::ClientAuthorities)?;
    Ok(Some(verifier))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    fn judged(from: i32, until: i32) -> Option<CertificateError> {
        let mut params = CertificateParams::new(["localhost".to_owned()]).expect("a name");
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("a key");
        let certificate = params.self_signed(&key).expect("a certificate");
        let provider = default_provider();
        let private = key.serialize_der().try_into().expect("a key");
        let private = provider.key_provider.load_private_key(private);
        let private = private.expect("a key of a kind that is known");
        let certified = CertifiedKey::new(vec![certificate.into()], private);
        out_of_time(&certified, &provider)
    }

    #[test]
    fn a_certificate_out_of_its_time_is_noticed() {
        assert_eq!(judged(2001, 4000), None);
        let expired = judged(2001, 2002).expect("it has expired");
        assert!(expired.to_string().contains("expired"), "{expired}");
        let early = judged(3999, 4000).expect("it is not valid yet");
        assert!(early.to_string().contains("not valid yet"), "{early}");
    }
}
