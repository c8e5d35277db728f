//! `http_server` with a certificate.

use crate::PATIENCE;
use crate::example::{Example, Server};
use monoloop::tls::rustls::client::{ClientConfig, ClientConnection};
use monoloop::tls::rustls::crypto::ring::default_provider;
use monoloop::tls::rustls::pki_types::pem::PemObject;
use monoloop::tls::rustls::pki_types::{CertificateDer, ServerName};
use monoloop::tls::rustls::{RootCertStore, StreamOwned};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;

/// A certificate and its key in files.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Files {
        let files = Files {
            directory: tempfile::tempdir().unwrap(),
        };
        files.renew();
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Replaces both by new ones.
    fn renew(&self) {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        fs::write(self.path("cert.pem"), cert.pem()).unwrap();
        fs::write(self.path("key.pem"), signing_key.serialize_pem()).unwrap();
    }

    fn flags(&self) -> [String; 4] {
        let (certificate, key) = (self.text("cert.pem"), self.text("key.pem"));
        ["--tls-cert".into(), certificate, "--tls-key".into(), key]
    }

    fn start(&self) -> Server {
        let flags = self.flags();
        Server::start("http_server", &flags.each_ref().map(String::as_str))
    }

    /// A client that trusts the certificate that is in the file now, and no other.
    fn connect(&self, address: SocketAddr) -> Client {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.path("cert.pem")).unwrap();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let session = ClientConnection::new(config.into(), name).unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Client(StreamOwned::new(session, stream))
    }
}

struct Client(StreamOwned<ClientConnection, TcpStream>);

impl Client {
    fn get_plaintext(&mut self) {
        let request = b"GET /plaintext HTTP/1.1\r\nhost: localhost\r\n\r\n";
        self.0.write_all(request).unwrap();
        let mut response = Vec::new();
        let mut buffer = [0; 1024];
        while !response.ends_with(b"Hello, World!") {
            let count = self.0.read(&mut buffer).unwrap();
            assert!(count > 0, "{}", response.escape_ascii());
            response.extend_from_slice(&buffer[..count]);
        }
        assert!(response.starts_with(b"HTTP/1.1 200 OK\r\n"));
    }
}

#[test]
fn a_server_with_a_certificate_speaks_tls() {
    let files = Files::new();
    let server = files.start();
    files.connect(server.address).get_plaintext();
    server.ask_to_end();
    server.wait_until_stopped();
}

#[test]
fn curl_is_content_where_there_is_one() {
    let files = Files::new();
    let server = files.start();
    let port = server.address.port();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "30"]);
    curl.args(["--resolve", &format!("localhost:{port}:127.0.0.1")]);
    curl.args(["--cacert", &files.text("cert.pem")]);
    curl.arg(format!("https://localhost:{port}/plaintext"));
    let Ok(output) = curl.output() else {
        return;
    };
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"Hello, World!");
}

#[test]
fn hangup_brings_a_new_certificate_and_keeps_the_old_one_when_that_is_wrong() {
    let files = Files::new();
    let server = files.start();
    let mut open = files.connect(server.address);
    open.get_plaintext();

    files.renew();
    server.ask_to_reload();
    server.wait_for_line("TLS certificates reloaded");
    files.connect(server.address).get_plaintext();
    open.get_plaintext();

    fs::write(files.path("key.pem"), "nothing").unwrap();
    server.ask_to_reload();
    let line = server.wait_for_line("TLS certificates not reloaded; the old ones stay");
    assert!(line.contains("key.pem: has no private key in it"), "{line}");
    files.connect(server.address).get_plaintext();
    open.get_plaintext();

    server.ask_to_end();
    server.wait_until_stopped();
}

#[test]
fn wrong_files_end_the_server_with_status_2_before_it_listens() {
    let files = Files::new();
    fs::write(files.path("cert.pem"), "nothing").unwrap();
    let [cert_flag, cert, key_flag, key] = files.flags();
    for more in [&[][..], &["--check-config"]] {
        let flags = [&[&*cert_flag, &*cert, &*key_flag, &*key], more].concat();
        let ended = Example::start("http_server", &flags).wait();
        assert_eq!(ended.code, Some(2), "{ended:?}");
        let expected = format!("error: {cert}: has no certificate in it; expected PEM");
        assert!(ended.stderr.starts_with(&expected), "{ended:?}");
    }
    let alone = Example::start("http_server", &[&cert_flag, &cert]).wait();
    assert_eq!(alone.code, Some(2), "{alone:?}");
    assert!(alone.stderr.contains("--tls-key"), "{alone:?}");
}
